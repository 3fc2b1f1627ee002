-- identities: which conversation a phone or a business-scoped id leads to, within one number.
-- $1: last position already projected; $2: last position to project now.
WITH senders AS (
    SELECT conversation_id, public.current_data(type, schema_version, data) -> 'sender' AS sender,
           max(position) AS position
      FROM events
     WHERE position > $1 AND position <= $2
       AND type IN ('MessageReceived', 'MessageEdited', 'MessageDeleted')
     GROUP BY 1, 2
),
rows AS (
    SELECT DISTINCT ON (phone_number_id, identity)
           sender ->> 'phone_number_id' AS phone_number_id, identity, conversation_id
      FROM senders
      CROSS JOIN LATERAL (
          SELECT sender ->> 'wa_id' AS identity
          UNION ALL SELECT sender ->> 'user_id'
          UNION ALL SELECT jsonb_array_elements_text(sender -> 'also')
      ) AS every_identity
     WHERE identity IS NOT NULL
     ORDER BY phone_number_id, identity, position DESC
)
INSERT INTO identities AS row (phone_number_id, identity, conversation_id)
SELECT * FROM rows
    ON CONFLICT (phone_number_id, identity) DO UPDATE
   SET conversation_id = excluded.conversation_id
 WHERE row.conversation_id IS DISTINCT FROM excluded.conversation_id
