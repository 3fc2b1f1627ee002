-- bookings: one row a lesson, with the last decision about it.
-- $1: last position already projected; $2: last position to project now.
WITH new AS (
    SELECT position, id, conversation_id, type, data, recorded_at
      FROM events
     WHERE position > $1 AND position <= $2
       AND type IN ('BookingProposed', 'BookingConfirmed', 'BookingCancelled', 'ReplyGenerated')
),
proposed AS (
    SELECT id, conversation_id, recorded_at, (data ->> 'instructor_id')::int AS instructor_id,
           data -> 'lesson' AS lesson
      FROM new WHERE type = 'BookingProposed'
),
decided AS (
    SELECT DISTINCT ON (data ->> 'booking_id') (data ->> 'booking_id')::uuid AS id,
           id AS decision_id,
           CASE type WHEN 'BookingConfirmed' THEN 'confirmed' ELSE 'cancelled' END AS status
      FROM new WHERE type IN ('BookingConfirmed', 'BookingCancelled')
     ORDER BY data ->> 'booking_id', position DESC
),
announced AS (
    SELECT DISTINCT ON (data ->> 'booking_id') (data ->> 'booking_id')::uuid AS id,
           (data ->> 'about')::uuid AS announced_id
      FROM new WHERE type = 'ReplyGenerated' AND data ->> 'booking_id' IS NOT NULL
     ORDER BY data ->> 'booking_id', position DESC
),
touched AS (
    SELECT id FROM proposed UNION SELECT id FROM decided UNION SELECT id FROM announced
),
merged AS (
    SELECT t.id,
           coalesce(b.conversation_id, p.conversation_id) AS conversation_id,
           coalesce(b.instructor_id, p.instructor_id, 1) AS instructor_id,
           coalesce(b.date, (lesson ->> 'date')::date) AS date,
           coalesce(b."time", (lesson ->> 'time')::time) AS "time",
           coalesce(b.duration, (lesson ->> 'duration')::int) AS duration,
           coalesce(b.timezone, lesson ->> 'timezone') AS timezone,
           coalesce(b.starts_at, (lesson ->> 'starts_at')::timestamptz) AS starts_at,
           coalesce(b.ends_at, (lesson ->> 'ends_at')::timestamptz) AS ends_at,
           coalesce(d.status, b.status, 'pending') AS status,
           coalesce(b.created_at, p.recorded_at) AS created_at,
           coalesce(d.decision_id, b.decision_id) AS decision_id,
           coalesce(a.announced_id, b.announced_id) AS announced_id
      FROM touched t
      LEFT JOIN proposed p USING (id)
      LEFT JOIN decided d USING (id)
      LEFT JOIN announced a USING (id)
      LEFT JOIN bookings b USING (id)
)
INSERT INTO bookings AS row (id, conversation_id, instructor_id, date, "time", duration, timezone,
                             starts_at, ends_at, status, created_at, decision_id, announced_id)
SELECT id, conversation_id, instructor_id, date, "time", duration, timezone, starts_at, ends_at,
       status, created_at, decision_id, announced_id
  FROM merged
 WHERE conversation_id IS NOT NULL
    ON CONFLICT (id) DO UPDATE
   SET (status, decision_id, announced_id)
     = (excluded.status, excluded.decision_id, excluded.announced_id)
 WHERE (row.status, row.decision_id, row.announced_id)
       IS DISTINCT FROM (excluded.status, excluded.decision_id, excluded.announced_id)
