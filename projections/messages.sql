-- messages: one row a message, as it reads now and as far as it has come.
-- $1: last position already projected; $2: last position to project now.
WITH new AS (
    SELECT position, id, conversation_id, version, type, data, recorded_at
      FROM events
     WHERE position > $1 AND position <= $2
       AND type NOT IN ('BookingProposed', 'BookingConfirmed', 'BookingCancelled')
),
written AS (
    SELECT id, conversation_id, version, recorded_at, 'user' AS role, data ->> 'kind' AS kind,
           data ->> 'text' AS content, data ->> 'whatsapp_id' AS whatsapp_id,
           (data ->> 'sent_at')::timestamptz AS sent_at, false AS disclosure,
           CASE WHEN (data -> 'answerable')::boolean IS FALSE THEN 'noted' ELSE 'waiting' END
               AS status
      FROM new WHERE type = 'MessageReceived'
    UNION ALL
    SELECT id, conversation_id, version, recorded_at, 'assistant', 'text', data ->> 'text', NULL,
           NULL, coalesce((data -> 'disclosure')::boolean, false), 'pending'
      FROM new WHERE type = 'ReplyGenerated'
),
-- A change may come before the message that it changes, and then stands for it.
changed AS (
    SELECT (data ->> 'message_id')::uuid AS id,
           (array_agg(conversation_id ORDER BY position))[1] AS conversation_id,
           min(version) AS version,
           (array_agg(recorded_at ORDER BY position))[1] AS recorded_at,
           (array_agg(data ->> 'original_whatsapp_id'))[1] AS whatsapp_id,
           (array_agg((data ->> 'sent_at')::timestamptz ORDER BY position))[1] AS sent_at,
           (array_agg(data ->> 'kind' ORDER BY data ->> 'sent_at' DESC, position DESC)
               FILTER (WHERE type = 'MessageEdited'))[1] AS kind,
           (array_agg(data ->> 'text' ORDER BY data ->> 'sent_at' DESC, position DESC)
               FILTER (WHERE type = 'MessageEdited'))[1] AS content,
           max((data ->> 'sent_at')::timestamptz) FILTER (WHERE type = 'MessageEdited')
               AS edited_at,
           min((data ->> 'sent_at')::timestamptz) FILTER (WHERE type = 'MessageDeleted')
               AS deleted_at
      FROM new WHERE type IN ('MessageEdited', 'MessageDeleted')
     GROUP BY data ->> 'message_id'
),
steps AS (
    SELECT answered.id::uuid AS id, position, 'answered' AS status, NULL AS error,
           NULL AS whatsapp_id, recorded_at AS at
      FROM new CROSS JOIN LATERAL jsonb_array_elements_text(data -> 'answers') AS answered (id)
     WHERE type = 'ReplyGenerated'
    UNION ALL
    SELECT of.id::uuid, position,
           CASE WHEN type = 'ReplyFailed' THEN 'failed'
                WHEN of.id = data ->> 'reply_id' THEN 'pending' ELSE 'waiting' END,
           CASE WHEN type = 'ReplyFailed' THEN data ->> 'reason' END, NULL, recorded_at
      FROM new CROSS JOIN LATERAL (
          SELECT jsonb_array_elements_text(data -> 'answers')
          UNION ALL SELECT data ->> 'reply_id'
      ) AS of (id)
     WHERE type IN ('ReplyFailed', 'RetryRequested') AND of.id IS NOT NULL
    UNION ALL
    SELECT (data ->> 'reply_id')::uuid, position,
           CASE type WHEN 'ReplySent' THEN 'sent' WHEN 'SendUncertain' THEN 'unsettled'
                     WHEN 'SendRepeated' THEN 'repeated' WHEN 'DeliveryUpdated' THEN
                     'tick ' || (data ->> 'status') END,
           NULL, data -> 'whatsapp_ids' ->> -1,
           coalesce((data ->> 'at')::timestamptz, recorded_at)
      FROM new WHERE type IN ('ReplySent', 'SendUncertain', 'SendRepeated', 'DeliveryUpdated')
),
-- The last step tells how far a message has come; ticks add their times.
progressed AS (
    SELECT id,
           (array_agg(status ORDER BY position DESC) FILTER (WHERE status NOT LIKE 'tick %'))[1]
               AS status,
           (array_agg(error ORDER BY position DESC) FILTER (WHERE status NOT LIKE 'tick %'))[1]
               AS error,
           (array_agg(at ORDER BY position DESC) FILTER (WHERE status NOT LIKE 'tick %'))[1]
               AS step_at,
           (array_agg(whatsapp_id ORDER BY position DESC) FILTER (WHERE status = 'sent'))[1]
               AS whatsapp_id,
           (array_agg(at ORDER BY position DESC) FILTER (WHERE status = 'sent'))[1] AS sent_at,
           min(at) FILTER (WHERE status = 'tick delivered') AS delivered_at,
           min(at) FILTER (WHERE status = 'tick read') AS read_at
      FROM steps
     GROUP BY id
),
touched AS (
    SELECT id FROM written UNION SELECT id FROM changed UNION SELECT id FROM progressed
),
merged AS (
    SELECT t.id,
           coalesce(w.conversation_id, m.conversation_id, c.conversation_id) AS conversation_id,
           coalesce(w.role, m.role, CASE WHEN c.id IS NOT NULL THEN 'user' END) AS role,
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
                ELSE coalesce(p.status, m.status, w.status, 'waiting') END AS status,
           CASE WHEN p.status IS NULL THEN m.error ELSE p.error END AS error,
           coalesce(p.step_at, m.step_at, w.recorded_at, c.recorded_at) AS step_at,
           coalesce(p.whatsapp_id, w.whatsapp_id, m.whatsapp_id, c.whatsapp_id) AS whatsapp_id,
           coalesce(p.sent_at, w.sent_at, m.sent_at, c.sent_at) AS sent_at,
           greatest(m.edited_at, c.edited_at) AS edited_at,
           coalesce(m.deleted_at, c.deleted_at) AS deleted_at,
           least(m.delivered_at, p.delivered_at) AS delivered_at,
           least(m.read_at, p.read_at) AS read_at,
           coalesce(w.disclosure, m.disclosure, false) AS disclosure
      FROM touched t
      LEFT JOIN written w USING (id)
      LEFT JOIN changed c USING (id)
      LEFT JOIN progressed p USING (id)
      LEFT JOIN messages m USING (id)
)
INSERT INTO messages AS row (id, conversation_id, role, content, created_at, version, kind, status,
                             error, step_at, whatsapp_id, sent_at, edited_at, deleted_at,
                             delivered_at, read_at, disclosure)
SELECT id, conversation_id, role, content, created_at, version, kind, status, error, step_at,
       whatsapp_id, sent_at, edited_at, deleted_at, delivered_at, read_at, disclosure
  FROM merged
 WHERE role IS NOT NULL
    ON CONFLICT (id) DO UPDATE
   SET (content, created_at, version, kind, status, error, step_at, whatsapp_id, sent_at,
        edited_at, deleted_at, delivered_at, read_at)
     = (excluded.content, excluded.created_at, excluded.version, excluded.kind, excluded.status,
        excluded.error, excluded.step_at, excluded.whatsapp_id, excluded.sent_at, excluded.edited_at,
        excluded.deleted_at, excluded.delivered_at, excluded.read_at)
 WHERE (row.content, row.created_at, row.version, row.kind, row.status, row.error,
        row.step_at, row.whatsapp_id, row.sent_at, row.edited_at, row.deleted_at, row.delivered_at, row.read_at)
       IS DISTINCT FROM
       (excluded.content, excluded.created_at, excluded.version, excluded.kind, excluded.status,
        excluded.error, excluded.step_at, excluded.whatsapp_id, excluded.sent_at, excluded.edited_at,
        excluded.deleted_at, excluded.delivered_at, excluded.read_at)
