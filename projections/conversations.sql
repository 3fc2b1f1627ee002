-- conversations: one row a conversation: who writes, to which number, and when last.
-- $1: last position already projected; $2: last position to project now.
WITH new AS (
    SELECT position, conversation_id, version, type, recorded_at,
           public.current_data(type, schema_version, data) AS data
      FROM events
     WHERE position > $1 AND position <= $2
       AND type IN ('MessageReceived', 'MessageEdited', 'MessageDeleted', 'ReplyGenerated',
                    'InstructorWrote', 'HandedOver', 'AssistantPaused', 'AssistantResumed',
                    'AutomationStopped', 'AutomationResumed', 'CustomerForgotten')
),
-- Most events say of the customer what others have said: they count as one, so that little is left
-- to put in order.
said AS (
    SELECT conversation_id, sender, reason, max(position) AS last,
           min(recorded_at) AS created_at,
           max(recorded_at) FILTER (WHERE type IN ('MessageReceived', 'MessageEdited',
                                                   'MessageDeleted', 'ReplyGenerated',
                                                   'InstructorWrote')) AS last_message_at,
           max(sent_at) AS customer_at,
           max(version) FILTER (WHERE type IN ('MessageReceived', 'MessageEdited',
                                               'MessageDeleted')) AS customer_version,
           max(position) FILTER (WHERE type = 'AssistantPaused') AS paused,
           max(position) FILTER (WHERE type = 'AssistantResumed') AS resumed,
           max(position) FILTER (WHERE type = 'AutomationStopped') AS stopped,
           max(position) FILTER (WHERE type = 'AutomationResumed') AS restarted
      FROM (SELECT *, data -> 'sender' AS sender, (data ->> 'sent_at')::timestamptz AS sent_at,
                   CASE WHEN type IN ('HandedOver', 'InstructorWrote', 'CustomerForgotten')
                        THEN coalesce(data ->> 'reason', '') END AS reason
              FROM new) AS event
     GROUP BY conversation_id, sender, reason
),
-- A later word about the customer replaces an earlier one; silence replaces nothing. But a new id
-- that comes with old ones and without a phone says that the phone has been given up: it may be a
-- stranger's by now. The number that they write to is one, so the least of them will do, which asks
-- for no order.
folded AS (
    SELECT conversation_id AS id, min(created_at) AS created_at,
           min(sender ->> 'phone_number_id') AS phone_number_id,
           array_agg(sender ->> 'wa_id' ORDER BY last DESC)
               FILTER (WHERE sender ->> 'wa_id' IS NOT NULL
                          OR sender ->> 'user_id' IS NOT NULL
                             AND sender -> 'also' ->> 0 IS NOT NULL) AS phones,
           (array_agg(sender ->> 'user_id' ORDER BY last DESC)
               FILTER (WHERE sender ->> 'user_id' IS NOT NULL))[1] AS user_id,
           (array_agg(sender ->> 'name' ORDER BY last DESC)
               FILTER (WHERE sender ->> 'name' IS NOT NULL))[1] AS name,
           (array_agg(sender ->> 'username' ORDER BY last DESC)
               FILTER (WHERE sender ->> 'username' IS NOT NULL))[1] AS username,
           max(last_message_at) AS last_message_at, max(customer_at) AS customer_at,
           max(customer_version) AS customer_version,
           CASE WHEN max(paused) > coalesce(max(resumed), 0) THEN true
                WHEN max(resumed) IS NOT NULL THEN false END AS paused,
           CASE WHEN max(stopped) > coalesce(max(restarted), 0) THEN true
                WHEN max(restarted) IS NOT NULL THEN false END AS stopped,
           (array_agg(reason ORDER BY last DESC) FILTER (WHERE reason IS NOT NULL))[1]
               AS handed_over
      FROM said
     GROUP BY conversation_id
),
rows AS (
    SELECT id, least(c.created_at, f.created_at) AS created_at,
           least(c.phone_number_id, f.phone_number_id) AS phone_number_id,
           CASE WHEN f.phones IS NULL THEN c.wa_id ELSE f.phones[1] END AS wa_id,
           coalesce(f.user_id, c.user_id) AS user_id,
           coalesce(f.name, c.name) AS name, coalesce(f.username, c.username) AS username,
           greatest(f.last_message_at, c.last_message_at) AS last_message_at,
           greatest(f.customer_at, c.customer_at) AS customer_at,
           coalesce(f.customer_version, c.customer_version) AS customer_version,
           coalesce(f.paused, c.paused, false) AS paused,
           coalesce(f.stopped, c.stopped, false) AS stopped,
           nullif(coalesce(f.handed_over, c.handed_over), '') AS handed_over
      FROM folded f
      LEFT JOIN LATERAL (SELECT * FROM conversations WHERE conversations.id = f.id OFFSET 0) AS c
                USING (id)
     WHERE coalesce(c.phone_number_id, f.phone_number_id) IS NOT NULL
)
INSERT INTO conversations AS row (id, created_at, phone_number_id, wa_id, user_id, name, username,
                                  last_message_at, customer_at, customer_version,
                                  paused, stopped, handed_over)
SELECT * FROM rows
    ON CONFLICT (id) DO UPDATE
   SET (created_at, phone_number_id, wa_id, user_id, name, username, last_message_at, customer_at,
        customer_version, paused, stopped, handed_over)
     = (excluded.created_at, excluded.phone_number_id, excluded.wa_id, excluded.user_id,
        excluded.name, excluded.username, excluded.last_message_at, excluded.customer_at,
        excluded.customer_version, excluded.paused, excluded.stopped, excluded.handed_over)
 WHERE row.* IS DISTINCT FROM excluded.*
