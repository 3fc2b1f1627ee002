-- conversations: one row a conversation: who writes, to which number, and when last.
-- $1: last position already projected; $2: last position to project now.
WITH new AS (
    SELECT position, conversation_id, version, type, recorded_at,
           public.current_data(type, schema_version, data) -> 'sender' AS sender,
           (public.current_data(type, schema_version, data) ->> 'sent_at')::timestamptz AS sent_at,
           public.current_data(type, schema_version, data) ->> 'reason' AS reason
      FROM events
     WHERE position > $1 AND position <= $2
       AND type IN ('MessageReceived', 'MessageEdited', 'MessageDeleted', 'ReplyGenerated',
                    'InstructorWrote', 'HandedOver', 'AssistantPaused', 'AssistantResumed',
                    'AutomationStopped', 'AutomationResumed', 'CustomerForgotten')
),
-- A later word about the customer replaces an earlier one; silence replaces nothing.
folded AS (
    SELECT conversation_id AS id,
           (array_agg(recorded_at ORDER BY position))[1] AS created_at,
           (array_agg(sender ->> 'phone_number_id' ORDER BY position)
               FILTER (WHERE sender ->> 'phone_number_id' IS NOT NULL))[1] AS phone_number_id,
           (array_agg(sender ->> 'wa_id' ORDER BY position DESC)
               FILTER (WHERE sender ->> 'wa_id' IS NOT NULL))[1] AS wa_id,
           (array_agg(sender ->> 'user_id' ORDER BY position DESC)
               FILTER (WHERE sender ->> 'user_id' IS NOT NULL))[1] AS user_id,
           (array_agg(sender ->> 'name' ORDER BY position DESC)
               FILTER (WHERE sender ->> 'name' IS NOT NULL))[1] AS name,
           (array_agg(sender ->> 'username' ORDER BY position DESC)
               FILTER (WHERE sender ->> 'username' IS NOT NULL))[1] AS username,
           (array_agg(recorded_at ORDER BY position DESC)
               FILTER (WHERE type IN ('MessageReceived', 'MessageEdited', 'MessageDeleted',
                                      'ReplyGenerated', 'InstructorWrote')))[1] AS last_message_at,
           max(sent_at) AS customer_at,
           max(version) FILTER (WHERE type IN ('MessageReceived', 'MessageEdited',
                                               'MessageDeleted')) AS customer_version,
           (array_agg(type ORDER BY position DESC)
               FILTER (WHERE type IN ('AssistantPaused', 'AssistantResumed')))[1] AS assistant,
           (array_agg(type ORDER BY position DESC)
               FILTER (WHERE type IN ('AutomationStopped', 'AutomationResumed')))[1] AS automation,
           (array_agg(coalesce(reason, '') ORDER BY position DESC)
               FILTER (WHERE type IN ('HandedOver', 'InstructorWrote', 'CustomerForgotten')))[1]
               AS handed_over
      FROM new
     GROUP BY conversation_id
)
INSERT INTO conversations AS row (id, created_at, phone_number_id, wa_id, user_id, name, username,
                                  last_message_at, customer_at, customer_version,
                                  paused, stopped, handed_over)
SELECT f.id,
       coalesce(c.created_at, f.created_at),
       coalesce(c.phone_number_id, f.phone_number_id),
       coalesce(f.wa_id, c.wa_id),
       coalesce(f.user_id, c.user_id),
       coalesce(f.name, c.name),
       coalesce(f.username, c.username),
       coalesce(f.last_message_at, c.last_message_at),
       greatest(f.customer_at, c.customer_at),
       coalesce(f.customer_version, c.customer_version),
       coalesce(f.assistant = 'AssistantPaused', c.paused, false),
       coalesce(f.automation = 'AutomationStopped', c.stopped, false),
       nullif(coalesce(f.handed_over, c.handed_over), '')
  FROM folded f
  -- OFFSET has the planner look conversations up by their keys, however many it counts with.
  LEFT JOIN LATERAL (SELECT * FROM conversations WHERE conversations.id = f.id OFFSET 0) AS c ON true
 WHERE coalesce(c.phone_number_id, f.phone_number_id) IS NOT NULL
    ON CONFLICT (id) DO UPDATE
   SET (wa_id, user_id, name, username, last_message_at, customer_at, customer_version,
        paused, stopped, handed_over)
     = (excluded.wa_id, excluded.user_id, excluded.name, excluded.username,
        excluded.last_message_at, excluded.customer_at, excluded.customer_version,
        excluded.paused, excluded.stopped, excluded.handed_over)
 WHERE (row.wa_id, row.user_id, row.name, row.username, row.last_message_at, row.customer_at,
        row.customer_version, row.paused, row.stopped, row.handed_over)
       IS DISTINCT FROM
       (excluded.wa_id, excluded.user_id, excluded.name, excluded.username,
        excluded.last_message_at, excluded.customer_at, excluded.customer_version,
        excluded.paused, excluded.stopped, excluded.handed_over)
