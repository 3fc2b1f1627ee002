-- bookings: one row a lesson, with the last decision about it.
-- $1: last position already projected; $2: last position to project now.
-- What comes before the proposal that it names does nothing.
WITH new AS MATERIALIZED (
    SELECT position, id, conversation_id, type, recorded_at,
           public.current_data(type, schema_version, data) AS data
      FROM events
     WHERE position > $1 AND position <= $2
       AND (type IN ('BookingProposed', 'BookingConfirmed', 'BookingCancelled', 'CustomerForgotten')
            OR type IN ('ReplyGenerated', 'AnswerWithheld')
               AND public.current_data(type, schema_version, data) ? 'about')
),
proposed AS (
    SELECT id, position, conversation_id, recorded_at,
           coalesce((data ->> 'instructor_id')::int, 1) AS instructor_id, data -> 'lesson' AS lesson
      FROM new WHERE type = 'BookingProposed'
),
decided AS (
    SELECT DISTINCT ON (data ->> 'booking_id') (data ->> 'booking_id')::uuid AS id, position,
           id AS decision_id,
           CASE type WHEN 'BookingConfirmed' THEN 'confirmed' ELSE 'cancelled' END AS status
      FROM new WHERE type IN ('BookingConfirmed', 'BookingCancelled')
     ORDER BY data ->> 'booking_id', position DESC
),
announced AS (
    SELECT DISTINCT ON (data ->> 'booking_id') (data ->> 'booking_id')::uuid AS id, position,
           (data ->> 'about')::uuid AS announced_id
      FROM new
     WHERE type IN ('ReplyGenerated', 'AnswerWithheld') AND data ->> 'booking_id' IS NOT NULL
       AND data ->> 'about' IS NOT NULL
     ORDER BY data ->> 'booking_id', position DESC
),
touched AS (
    SELECT id FROM proposed UNION SELECT id FROM decided UNION SELECT id FROM announced
    UNION
    SELECT b.id
      FROM new
     CROSS JOIN LATERAL (SELECT id FROM bookings
                          WHERE bookings.conversation_id = new.conversation_id OFFSET 0) AS b
     WHERE type = 'CustomerForgotten'
),
rows AS (
    SELECT t.id,
           coalesce(b.conversation_id, p.conversation_id) AS conversation_id,
           coalesce(b.instructor_id, p.instructor_id) AS instructor_id,
           coalesce(b.date, (lesson ->> 'date')::date) AS date,
           coalesce(b."time", (lesson ->> 'time')::time) AS "time",
           coalesce(b.duration, (lesson ->> 'duration')::int) AS duration,
           coalesce(b.timezone, lesson ->> 'timezone') AS timezone,
           coalesce(b.starts_at, (lesson ->> 'starts_at')::timestamptz) AS starts_at,
           coalesce(b.ends_at, (lesson ->> 'ends_at')::timestamptz) AS ends_at,
           coalesce(d.status, b.status, 'pending') AS status,
           coalesce(b.created_at, p.recorded_at) AS created_at,
           coalesce(d.decision_id, b.decision_id) AS decision_id,
           -- A forgotten customer is told nothing more: every decision counts as announced.
           CASE WHEN f.conversation_id IS NULL THEN coalesce(a.announced_id, b.announced_id)
                ELSE coalesce(d.decision_id, b.decision_id) END AS announced_id
      FROM touched t
      LEFT JOIN LATERAL (SELECT * FROM bookings WHERE bookings.id = t.id OFFSET 0) AS b USING (id)
      LEFT JOIN proposed p USING (id)
      LEFT JOIN decided d ON d.id = t.id AND (b.id IS NOT NULL OR d.position > p.position)
      LEFT JOIN announced a ON a.id = t.id AND (b.id IS NOT NULL OR a.position > p.position)
      LEFT JOIN LATERAL (SELECT conversation_id FROM events
                          WHERE type = 'CustomerForgotten'
                            AND conversation_id = coalesce(b.conversation_id, p.conversation_id)
                         OFFSET 0) AS f ON true
     WHERE coalesce(b.id, p.id) IS NOT NULL
)
INSERT INTO bookings AS row (id, conversation_id, instructor_id, date, "time", duration, timezone,
                             starts_at, ends_at, status, created_at, decision_id, announced_id)
SELECT * FROM rows
    ON CONFLICT (id) DO UPDATE
   SET (status, decision_id, announced_id)
     = (excluded.status, excluded.decision_id, excluded.announced_id)
 WHERE (row.status, row.decision_id, row.announced_id)
       IS DISTINCT FROM (excluded.status, excluded.decision_id, excluded.announced_id)
