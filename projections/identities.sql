-- identities: which conversation a phone or a business-scoped id leads to, within one number.
-- $1: last position already projected; $2: last position to project now.
WITH new AS (
    SELECT position, conversation_id,
           public.current_data(type, schema_version, data) -> 'sender' AS sender
      FROM events
     WHERE position > $1 AND position <= $2
       AND type IN ('MessageReceived', 'MessageEdited', 'MessageDeleted')
),
named AS (
    SELECT position, conversation_id, sender ->> 'phone_number_id' AS phone_number_id, identity
      FROM new
      CROSS JOIN LATERAL (
          SELECT sender ->> 'wa_id' AS identity
          UNION ALL SELECT sender ->> 'user_id'
          UNION ALL SELECT jsonb_array_elements_text(sender -> 'also')
      ) AS every_identity
     WHERE identity IS NOT NULL
)
INSERT INTO identities AS row (phone_number_id, identity, conversation_id)
SELECT DISTINCT ON (phone_number_id, identity) phone_number_id, identity, conversation_id
  FROM named
 ORDER BY phone_number_id, identity, position DESC
    ON CONFLICT (phone_number_id, identity) DO UPDATE
   SET conversation_id = excluded.conversation_id
 WHERE row.conversation_id IS DISTINCT FROM excluded.conversation_id
