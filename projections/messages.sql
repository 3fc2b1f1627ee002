-- messages: one row a message, as it reads now and as far as it has come.
-- $1: last position already projected; $2: last position to project now.
-- However the log is cut into such spans, the rows are the same: what an event does follows from the
-- events before it, and what comes before the message that it names does nothing.
-- NOT MATERIALIZED: to read the whole log a few times costs less than to copy it once.
WITH new AS NOT MATERIALIZED (
    SELECT position, id, conversation_id, version, type, recorded_at,
           public.current_data(type, schema_version, data) AS data
      FROM events
     WHERE position > $1 AND position <= $2
),
received AS (
    SELECT id, position, conversation_id, version, recorded_at, data ->> 'kind' AS kind,
           data ->> 'text' AS content, data ->> 'whatsapp_id' AS whatsapp_id,
           (data ->> 'sent_at')::timestamptz AS sent_at,
           CASE WHEN (data -> 'answerable')::boolean IS FALSE THEN 'noted' ELSE 'waiting' END
               AS status
      FROM new WHERE type = 'MessageReceived'
),
-- A change may come before the message that it changes, and then stands for it. Of several texts
-- the last by WhatsApp's clock counts.
changed AS (
    SELECT id, min(position) AS position,
           (array_agg(conversation_id ORDER BY position))[1] AS conversation_id,
           (array_agg(version ORDER BY position))[1] AS version,
           (array_agg(recorded_at ORDER BY position))[1] AS recorded_at,
           (array_agg(whatsapp_id ORDER BY position))[1] AS whatsapp_id,
           (array_agg(sent_at ORDER BY position))[1] AS sent_at,
           (array_agg(kind ORDER BY sent_at DESC, position DESC) FILTER (WHERE NOT deletes))[1]
               AS kind,
           (array_agg(content ORDER BY sent_at DESC, position DESC) FILTER (WHERE NOT deletes))[1]
               AS content,
           max(sent_at) FILTER (WHERE NOT deletes) AS edited_at,
           min(sent_at) FILTER (WHERE deletes) AS deleted_at
      FROM (SELECT (data ->> 'message_id')::uuid AS id, position, conversation_id, version,
                   recorded_at, data ->> 'original_whatsapp_id' AS whatsapp_id,
                   type = 'MessageDeleted' AS deletes, (data ->> 'sent_at')::timestamptz AS sent_at,
                   data ->> 'kind' AS kind, data ->> 'text' AS content
              FROM new WHERE type IN ('MessageEdited', 'MessageDeleted')) AS change
     GROUP BY id
),
-- The last step tells how far a customer's message has come.
handled AS (
    SELECT DISTINCT ON (id) id, position, status, error, recorded_at
      FROM (SELECT jsonb_array_elements_text(
                       CASE type WHEN 'CustomerForgotten' THEN data -> 'messages'
                                 ELSE data -> 'answers' END)::uuid AS id, position,
                   CASE type WHEN 'AnswerWithheld' THEN 'held' WHEN 'ReplyFailed' THEN 'failed'
                             WHEN 'AssistantResumed' THEN 'waiting'
                             WHEN 'RetryRequested' THEN 'waiting'
                             WHEN 'CustomerForgotten' THEN 'forgotten' ELSE 'answered' END
                       AS status,
                   CASE type WHEN 'ReplyFailed' THEN data ->> 'reason' END AS error, recorded_at
              FROM new
             WHERE type IN ('ReplyGenerated', 'InstructorWrote', 'AnswerWithheld',
                            'AssistantResumed', 'ReplyFailed', 'RetryRequested',
                            'CustomerForgotten')) AS step
     ORDER BY id, position DESC
),
written AS NOT MATERIALIZED (
    SELECT id, position, conversation_id, version, recorded_at,
           CASE type WHEN 'InstructorWrote' THEN 'instructor' ELSE 'assistant' END AS author,
           data ->> 'text' AS content,
           coalesce((data -> 'disclosure')::boolean, false) AS disclosure
      FROM new WHERE type IN ('ReplyGenerated', 'InstructorWrote')
),
steps AS (
    SELECT (data ->> 'reply_id')::uuid AS id, position, recorded_at,
           CASE type WHEN 'ReplySent' THEN 'sent' WHEN 'ReplyFailed' THEN 'failed'
                     WHEN 'RetryRequested' THEN 'pending' WHEN 'SendUncertain' THEN 'unsettled'
                     WHEN 'SendRepeated' THEN 'repeated' END AS status,
           CASE type WHEN 'ReplyFailed' THEN data ->> 'reason' END AS error,
           CASE type WHEN 'ReplySent' THEN data -> 'whatsapp_ids' ->> -1 END AS whatsapp_id,
           CASE type WHEN 'DeliveryUpdated' THEN data ->> 'status' END AS tick,
           CASE type WHEN 'DeliveryUpdated' THEN (data ->> 'at')::timestamptz END AS at
      FROM new
     WHERE type IN ('DeliveryUpdated', 'ReplySent', 'SendUncertain', 'SendRepeated', 'ReplyFailed',
                    'RetryRequested')
    UNION ALL
    SELECT jsonb_array_elements_text(data -> 'messages')::uuid, position, recorded_at, 'forgotten',
           NULL, NULL, NULL, NULL
      FROM new WHERE type = 'CustomerForgotten'
),
-- The last step tells how far a reply has come; ticks add their times. However many steps the
-- planner counts with, OFFSET has it look up messages by their keys and never read them all.
progressed AS (
    SELECT s.id,
           (array_agg(s.status ORDER BY s.position DESC) FILTER (WHERE s.status IS NOT NULL))[1]
               AS status,
           (array_agg(s.error ORDER BY s.position DESC) FILTER (WHERE s.status IS NOT NULL))[1]
               AS error,
           (array_agg(s.recorded_at ORDER BY s.position DESC)
               FILTER (WHERE s.status IS NOT NULL))[1] AS recorded_at,
           (array_agg(s.whatsapp_id ORDER BY s.position DESC)
               FILTER (WHERE s.whatsapp_id IS NOT NULL))[1] AS whatsapp_id,
           (array_agg(s.recorded_at ORDER BY s.position DESC) FILTER (WHERE s.status = 'sent'))[1]
               AS sent_at,
           array_agg(s.position) FILTER (WHERE s.status = 'sent') AS sends,
           max(s.position) FILTER (WHERE s.status IN ('pending', 'forgotten')) AS begun_anew,
           max(s.position) FILTER (WHERE s.status = 'failed') AS failed,
           (array_agg(s.error ORDER BY s.position DESC) FILTER (WHERE s.status = 'failed'))[1]
               AS failure,
           (array_agg(s.recorded_at ORDER BY s.position DESC)
               FILTER (WHERE s.status = 'failed'))[1] AS failed_at,
           min(s.at) FILTER (WHERE s.tick = 'delivered') AS delivered_at,
           min(s.at) FILTER (WHERE s.tick = 'read') AS read_at
      FROM steps s
      LEFT JOIN written w USING (id)
     WHERE s.position > w.position
        OR EXISTS (SELECT FROM messages m WHERE m.id = s.id OFFSET 0)
     GROUP BY s.id
),
-- The two roles share nothing, so whoever asks for one of them is not made to wait for the other.
-- OFFSET comes before the role: else the key would be looked for in an index of one role's messages,
-- all through, by plans made while it was empty.
rows AS (
    SELECT id, coalesce(w.conversation_id, m.conversation_id, c.conversation_id) AS conversation_id,
           'user' AS role, 'customer' AS author,
           CASE WHEN coalesce(m.deleted_at, c.deleted_at) IS NOT NULL THEN '[deleted]'
                WHEN c.edited_at >= coalesce(m.edited_at, c.edited_at) THEN c.content
                WHEN m.edited_at IS NOT NULL THEN m.content
                ELSE coalesce(w.content, m.content) END AS content,
           coalesce(w.recorded_at, m.created_at, c.recorded_at) AS created_at,
           coalesce(w.version, m.version, c.version) AS version,
           CASE WHEN c.edited_at >= coalesce(m.edited_at, c.edited_at) THEN c.kind
                WHEN m.edited_at IS NOT NULL THEN m.kind
                ELSE coalesce(w.kind, m.kind, 'unknown') END AS kind,
           CASE WHEN coalesce(m.deleted_at, c.deleted_at) IS NOT NULL THEN 'deleted'
                WHEN c.position < w.position THEN coalesce(h.status, m.status, 'waiting')
                ELSE coalesce(h.status, m.status, w.status, 'waiting') END AS status,
           CASE WHEN h.status IS NULL THEN m.error ELSE h.error END AS error,
           coalesce(h.recorded_at, m.step_at,
                    CASE WHEN c.position < w.position THEN c.recorded_at END, w.recorded_at,
                    c.recorded_at) AS step_at,
           coalesce(w.whatsapp_id, m.whatsapp_id, c.whatsapp_id) AS whatsapp_id,
           coalesce(w.sent_at, m.sent_at, c.sent_at) AS sent_at,
           greatest(m.edited_at, c.edited_at) AS edited_at,
           least(m.deleted_at, c.deleted_at) AS deleted_at,
           NULL::timestamptz AS delivered_at, NULL::timestamptz AS read_at, false AS disclosure
      FROM received w
      FULL JOIN changed c USING (id)
      FULL JOIN handled AS step USING (id)
      LEFT JOIN LATERAL (SELECT *
                           FROM (SELECT * FROM messages
                                  WHERE messages.id = coalesce(w.id, c.id, step.id) OFFSET 0) AS m
                          WHERE role = 'user') AS m USING (id)
      LEFT JOIN LATERAL (SELECT step.* WHERE m.id IS NOT NULL
                            OR step.position > least(w.position, c.position)) AS h USING (id)
     WHERE coalesce(w.id, c.id, m.id) IS NOT NULL
    UNION ALL
    SELECT id, coalesce(w.conversation_id, m.conversation_id), 'assistant',
           coalesce(w.author, m.author), coalesce(w.content, m.content),
           coalesce(w.recorded_at, m.created_at), coalesce(w.version, m.version), 'text',
           CASE WHEN s.stays THEN 'failed' ELSE coalesce(p.status, m.status, 'pending') END,
           CASE WHEN s.stays AND p.failed IS NOT NULL THEN p.failure
                WHEN s.stays OR p.status IS NULL THEN m.error ELSE p.error END,
           CASE WHEN s.stays THEN coalesce(p.failed_at, m.step_at)
                ELSE coalesce(p.recorded_at, m.step_at, w.recorded_at) END,
           coalesce(p.whatsapp_id, m.whatsapp_id),
           coalesce(p.sent_at, m.sent_at), NULL, NULL, least(m.delivered_at, p.delivered_at),
           least(m.read_at, p.read_at), coalesce(w.disclosure, m.disclosure)
      FROM written w
      FULL JOIN progressed p USING (id)
      LEFT JOIN LATERAL (SELECT *
                           FROM (SELECT * FROM messages
                                  WHERE messages.id = coalesce(w.id, p.id) OFFSET 0) AS m
                          WHERE role = 'assistant') AS m USING (id)
      -- What has failed stays so, whatever comes of a send that was under way, until it is begun
      -- anew, or was sent by ids of which WhatsApp had reported none as failed.
      CROSS JOIN LATERAL (
          SELECT CASE WHEN p.status IN ('sent', 'unsettled', 'repeated')
                           AND coalesce(p.failed > coalesce(p.begun_anew, 0),
                                        p.begun_anew IS NULL AND m.status = 'failed')
                      THEN NOT EXISTS (
                          SELECT FROM events sent
                           WHERE position = ANY (p.sends) AND position > coalesce(p.failed, 0)
                             AND NOT EXISTS (
                                 SELECT FROM events told
                                  WHERE told.conversation_id = sent.conversation_id
                                    AND told.position < sent.position
                                    AND told.type = 'DeliveryUpdated'
                                    AND public.current_data(told.type, told.schema_version,
                                                            told.data) @> '{"status": "failed"}'
                                    AND public.current_data(sent.type, sent.schema_version,
                                                            sent.data) -> 'whatsapp_ids'
                                        ? (public.current_data(told.type, told.schema_version,
                                                               told.data) ->> 'whatsapp_id')))
                      ELSE false END AS stays) AS s
     WHERE coalesce(w.id, m.id) IS NOT NULL
)
INSERT INTO messages AS row (id, conversation_id, role, author, content, created_at, version, kind,
                             status, error, step_at, whatsapp_id, sent_at, edited_at, deleted_at,
                             delivered_at, read_at, disclosure)
SELECT * FROM rows
    ON CONFLICT (id) DO UPDATE
   SET (conversation_id, role, author, content, created_at, version, kind, status, error, step_at,
        whatsapp_id, sent_at, edited_at, deleted_at, delivered_at, read_at, disclosure)
     = (excluded.conversation_id, excluded.role, excluded.author, excluded.content,
        excluded.created_at, excluded.version, excluded.kind, excluded.status, excluded.error,
        excluded.step_at, excluded.whatsapp_id, excluded.sent_at, excluded.edited_at,
        excluded.deleted_at, excluded.delivered_at, excluded.read_at, excluded.disclosure)
 WHERE row.* IS DISTINCT FROM excluded.*
