-- messages: one row a message, as it reads now and as far as it has come.
-- $1: last position already projected; $2: last position to project now.
-- However the log is cut into such spans, the rows are the same: what an event does follows from the
-- events before it, and what comes before the message that it names does nothing.
WITH new AS MATERIALIZED (
    SELECT position, id, conversation_id, version, type, recorded_at,
           public.current_data(type, schema_version, data) AS data
      FROM events
     WHERE position > $1 AND position <= $2
       AND type IN ('MessageReceived', 'MessageEdited', 'MessageDeleted', 'ReplyGenerated',
                    'ReplySent', 'SendUncertain', 'SendRepeated', 'ReplyFailed', 'RetryRequested',
                    'DeliveryUpdated', 'CustomerForgotten', 'InstructorWrote', 'AnswerWithheld',
                    'AssistantResumed')
),
written AS (
    SELECT id, position, conversation_id, version, recorded_at, 'user' AS role,
           'customer' AS author, data ->> 'kind' AS kind, data ->> 'text' AS content,
           data ->> 'whatsapp_id' AS whatsapp_id, (data ->> 'sent_at')::timestamptz AS sent_at,
           false AS disclosure,
           CASE WHEN (data -> 'answerable')::boolean IS FALSE THEN 'noted' ELSE 'waiting' END
               AS status
      FROM new WHERE type = 'MessageReceived'
    UNION ALL
    SELECT id, position, conversation_id, version, recorded_at, 'assistant',
           CASE type WHEN 'InstructorWrote' THEN 'instructor' ELSE 'assistant' END, 'text',
           data ->> 'text', NULL, NULL, coalesce((data -> 'disclosure')::boolean, false), 'pending'
      FROM new WHERE type IN ('ReplyGenerated', 'InstructorWrote')
),
changes AS (
    SELECT (data ->> 'message_id')::uuid AS id, position, conversation_id, version, recorded_at,
           data ->> 'original_whatsapp_id' AS whatsapp_id, type = 'MessageDeleted' AS deletes,
           (data ->> 'sent_at')::timestamptz AS sent_at, data ->> 'kind' AS kind,
           data ->> 'text' AS content
      FROM new WHERE type IN ('MessageEdited', 'MessageDeleted')
),
-- A change may come before the message that it changes, and then stands for it. Of several texts
-- the last by WhatsApp's clock counts.
changed AS (
    SELECT first.*, edit.kind, edit.content, edit.sent_at AS edited_at, removal.deleted_at
      FROM (SELECT DISTINCT ON (id) id, position, conversation_id, version, recorded_at,
                   whatsapp_id, sent_at
              FROM changes ORDER BY id, position) AS first
      LEFT JOIN (SELECT DISTINCT ON (id) id, kind, content, sent_at
                   FROM changes WHERE NOT deletes
                  ORDER BY id, sent_at DESC, position DESC) AS edit USING (id)
      LEFT JOIN (SELECT id, min(sent_at) AS deleted_at
                   FROM changes WHERE deletes GROUP BY id) AS removal USING (id)
),
steps AS (
    SELECT (jsonb_array_elements_text(data -> 'answers'))::uuid AS id, position,
           CASE type WHEN 'AnswerWithheld' THEN 'held' WHEN 'AssistantResumed' THEN 'waiting'
                     ELSE 'answered' END AS status,
           NULL AS error, NULL AS whatsapp_id, recorded_at AS at,
           NULL::timestamptz AS delivered_at, NULL::timestamptz AS read_at
      FROM new
     WHERE type IN ('ReplyGenerated', 'InstructorWrote', 'AnswerWithheld', 'AssistantResumed')
    UNION ALL
    SELECT (jsonb_array_elements_text(data -> 'messages'))::uuid, position, 'forgotten', NULL, NULL,
           recorded_at, NULL, NULL
      FROM new WHERE type = 'CustomerForgotten'
    UNION ALL
    SELECT (jsonb_array_elements_text(data -> 'answers'))::uuid, position,
           CASE type WHEN 'ReplyFailed' THEN 'failed' ELSE 'waiting' END,
           CASE type WHEN 'ReplyFailed' THEN data ->> 'reason' END, NULL, recorded_at, NULL, NULL
      FROM new WHERE type IN ('ReplyFailed', 'RetryRequested')
    UNION ALL
    SELECT (data ->> 'reply_id')::uuid, position,
           CASE type WHEN 'ReplyFailed' THEN 'failed' WHEN 'RetryRequested' THEN 'pending'
                     WHEN 'ReplySent' THEN 'sent' WHEN 'SendUncertain' THEN 'unsettled'
                     WHEN 'SendRepeated' THEN 'repeated' END,
           CASE type WHEN 'ReplyFailed' THEN data ->> 'reason' END,
           CASE type WHEN 'ReplySent' THEN data -> 'whatsapp_ids' ->> -1 END,
           recorded_at, NULL, NULL
      FROM new
     WHERE type IN ('ReplySent', 'SendUncertain', 'SendRepeated')
        OR type IN ('ReplyFailed', 'RetryRequested') AND data ->> 'reply_id' IS NOT NULL
    UNION ALL
    SELECT (data ->> 'reply_id')::uuid, position, NULL, NULL, NULL, NULL,
           CASE data ->> 'status' WHEN 'delivered' THEN (data ->> 'at')::timestamptz END,
           CASE data ->> 'status' WHEN 'read' THEN (data ->> 'at')::timestamptz END
      FROM new WHERE type = 'DeliveryUpdated'
),
-- The last step tells how far a message has come; ticks add their times. However many steps the
-- planner counts with, OFFSET has it look up messages by their keys and never read them all.
progressed AS (
    SELECT s.id,
           (array_agg(s.status ORDER BY s.position DESC) FILTER (WHERE s.status IS NOT NULL))[1]
               AS status,
           (array_agg(s.error ORDER BY s.position DESC) FILTER (WHERE s.status IS NOT NULL))[1]
               AS error,
           (array_agg(s.at ORDER BY s.position DESC) FILTER (WHERE s.status IS NOT NULL))[1]
               AS step_at,
           (array_agg(s.whatsapp_id ORDER BY s.position DESC)
               FILTER (WHERE s.whatsapp_id IS NOT NULL))[1] AS whatsapp_id,
           (array_agg(s.at ORDER BY s.position DESC) FILTER (WHERE s.status = 'sent'))[1]
               AS sent_at,
           min(s.delivered_at) AS delivered_at, min(s.read_at) AS read_at
      FROM steps s
      LEFT JOIN written w USING (id)
      LEFT JOIN changed c USING (id)
     WHERE s.position > coalesce(least(w.position, c.position), 0)
        OR EXISTS (SELECT FROM messages m WHERE m.id = s.id OFFSET 0)
     GROUP BY s.id
),
merged AS (
    SELECT id,
           coalesce(w.conversation_id, m.conversation_id, c.conversation_id) AS conversation_id,
           coalesce(w.role, m.role, 'user') AS role,
           coalesce(w.author, m.author, 'customer') AS author,
           coalesce(w.recorded_at, m.created_at, c.recorded_at) AS created_at,
           coalesce(w.version, m.version, c.version) AS version,
           CASE WHEN c.edited_at >= coalesce(m.edited_at, c.edited_at) THEN c.kind
                WHEN m.edited_at IS NOT NULL THEN m.kind
                ELSE coalesce(w.kind, m.kind, 'unknown') END AS kind,
           CASE WHEN coalesce(m.deleted_at, c.deleted_at) IS NOT NULL THEN '[deleted]'
                WHEN c.edited_at >= coalesce(m.edited_at, c.edited_at) THEN c.content
                WHEN m.edited_at IS NOT NULL THEN m.content
                ELSE coalesce(w.content, m.content) END AS content,
           CASE WHEN coalesce(m.deleted_at, c.deleted_at) IS NOT NULL THEN 'deleted'
                WHEN c.position < w.position THEN coalesce(p.status, m.status, 'waiting')
                ELSE coalesce(p.status, m.status, w.status, 'waiting') END AS status,
           CASE WHEN p.status IS NULL THEN m.error ELSE p.error END AS error,
           coalesce(p.step_at, m.step_at, CASE WHEN c.position < w.position THEN c.recorded_at END,
                    w.recorded_at, c.recorded_at) AS step_at,
           CASE coalesce(w.role, m.role) WHEN 'assistant' THEN coalesce(p.whatsapp_id, m.whatsapp_id)
                ELSE coalesce(w.whatsapp_id, m.whatsapp_id, c.whatsapp_id) END AS whatsapp_id,
           CASE coalesce(w.role, m.role) WHEN 'assistant' THEN coalesce(p.sent_at, m.sent_at)
                ELSE coalesce(w.sent_at, m.sent_at, c.sent_at) END AS sent_at,
           greatest(m.edited_at, c.edited_at) AS edited_at,
           least(m.deleted_at, c.deleted_at) AS deleted_at,
           least(m.delivered_at, p.delivered_at) AS delivered_at,
           least(m.read_at, p.read_at) AS read_at,
           coalesce(w.disclosure, m.disclosure, false) AS disclosure
      FROM written w
      FULL JOIN changed c USING (id)
      FULL JOIN progressed p USING (id)
      LEFT JOIN LATERAL (SELECT * FROM messages WHERE messages.id = coalesce(w.id, c.id, p.id)
                         OFFSET 0) AS m USING (id)
     WHERE coalesce(w.id, c.id, m.id) IS NOT NULL
)
INSERT INTO messages AS row (id, conversation_id, role, author, content, created_at, version, kind, status,
                             error, step_at, whatsapp_id, sent_at, edited_at, deleted_at,
                             delivered_at, read_at, disclosure)
SELECT id, conversation_id, role, author, content, created_at, version, kind, status, error,
       step_at,
       whatsapp_id, sent_at, edited_at, deleted_at, delivered_at, read_at, disclosure
  FROM merged
    ON CONFLICT (id) DO UPDATE
   SET (conversation_id, role, author, content, created_at, version, kind, status, error, step_at,
        whatsapp_id, sent_at, edited_at, deleted_at, delivered_at, read_at, disclosure)
     = (excluded.conversation_id, excluded.role, excluded.author, excluded.content, excluded.created_at,
        excluded.version, excluded.kind, excluded.status, excluded.error, excluded.step_at,
        excluded.whatsapp_id, excluded.sent_at, excluded.edited_at, excluded.deleted_at,
        excluded.delivered_at, excluded.read_at, excluded.disclosure)
 WHERE (row.conversation_id, row.role, row.author, row.content, row.created_at, row.version, row.kind,
        row.status, row.error, row.step_at, row.whatsapp_id, row.sent_at, row.edited_at,
        row.deleted_at, row.delivered_at, row.read_at, row.disclosure)
       IS DISTINCT FROM
       (excluded.conversation_id, excluded.role, excluded.author, excluded.content, excluded.created_at,
        excluded.version, excluded.kind, excluded.status, excluded.error, excluded.step_at,
        excluded.whatsapp_id, excluded.sent_at, excluded.edited_at, excluded.deleted_at,
        excluded.delivered_at, excluded.read_at, excluded.disclosure)
