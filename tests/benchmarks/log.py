"""A log such as a busy desk leaves behind, written by one SQL statement.

Customers take turns, one exchange each. Ten exchanges of a customer make 51 events: chats, an
edit, and a lesson that is proposed and then confirmed at a time that no other lesson has. However
long the log, no lesson lies ahead: one instructor's season does not grow with it.
"""

from __future__ import annotations

import asyncpg

EVENTS_A_VISIT = 5.1
VISITS_A_CUSTOMER = 20

# One row an event of an exchange of this kind: its place in the exchange and its type.
# `before` is how many events of the ten exchanges come before this one's.
SCRIPT = """
SELECT kind, before, place, type
  FROM (VALUES
    (0, 0, 'chat'), (1, 5, 'chat'), (2, 10, 'chat'), (3, 15, 'lesson'), (4, 21, 'confirm'),
    (5, 25, 'chat'), (6, 30, 'edit'), (7, 36, 'chat'), (8, 41, 'chat'), (9, 46, 'chat')
  ) AS visit (kind, before, story)
  JOIN (VALUES
    ('chat', 1, 'MessageReceived'), ('chat', 2, 'ReplyGenerated'), ('chat', 3, 'ReplySent'),
    ('chat', 4, 'delivered'), ('chat', 5, 'read'),
    ('lesson', 1, 'MessageReceived'), ('lesson', 2, 'ReplyGenerated'),
    ('lesson', 3, 'BookingProposed'), ('lesson', 4, 'ReplySent'), ('lesson', 5, 'delivered'),
    ('lesson', 6, 'read'),
    ('confirm', 1, 'BookingConfirmed'), ('confirm', 2, 'ReplyGenerated'),
    ('confirm', 3, 'ReplySent'), ('confirm', 4, 'delivered'),
    ('edit', 1, 'MessageReceived'), ('edit', 2, 'MessageEdited'), ('edit', 3, 'ReplyGenerated'),
    ('edit', 4, 'ReplySent'), ('edit', 5, 'delivered'), ('edit', 6, 'read')
  ) AS step (story, place, type) USING (story)
"""

# $1: customers; $2: first visit; $3: last visit.
FILL = f"""
WITH script AS MATERIALIZED ({SCRIPT}),
visited AS (
    SELECT visit, visit % $1::bigint AS customer, visit / $1::bigint AS turn,
           md5('m' || visit)::uuid AS message, md5('r' || visit)::uuid AS reply,
           md5('b' || visit - CASE visit / $1::bigint % 10 WHEN 4 THEN $1::bigint ELSE 0 END)::uuid
               AS booking,
           timestamptz '2026-01-01' + visit * interval '1 second' AS at,
           timestamptz '2026-01-01'
               - (visit - CASE visit / $1::bigint % 10 WHEN 4 THEN $1::bigint ELSE 0 END)
               * interval '1 hour' AS starts_at
      FROM generate_series($2::bigint, $3::bigint) AS visit
)
INSERT INTO events (id, conversation_id, version, type, data, actor, causation_id, recorded_at)
SELECT CASE type WHEN 'MessageReceived' THEN message WHEN 'ReplyGenerated' THEN reply
                 WHEN 'BookingProposed' THEN booking ELSE md5(type || visit)::uuid END,
       md5('c' || customer)::uuid,
       turn / 10 * 51 + before + place,
       CASE WHEN type IN ('delivered', 'read') THEN 'DeliveryUpdated' ELSE type END,
       CASE
       WHEN type = 'MessageReceived' THEN jsonb_build_object(
           'whatsapp_id', 'wamid.' || message, 'kind', 'text', 'sent_at', at,
           'text', 'Hello, is there still room for a lesson some day next week, number ' || visit,
           'sender', jsonb_build_object('phone_number_id', '700100200300', 'name', 'Mira Vogt',
               'wa_id', '4179' || lpad(customer::text, 8, '0')))
       WHEN type = 'MessageEdited' THEN jsonb_build_object(
           'message_id', message, 'whatsapp_id', 'wamid.e' || message, 'kind', 'text',
           'original_whatsapp_id', 'wamid.' || message, 'sent_at', at + interval '30 s',
           'text', 'Hello, is there still room for two lessons next week, number ' || visit,
           'sender', jsonb_build_object('phone_number_id', '700100200300', 'name', 'Mira Vogt',
               'wa_id', '4179' || lpad(customer::text, 8, '0')))
       WHEN type = 'ReplyGenerated' AND place = 2 AND kind = 4 THEN jsonb_build_object(
           'text', 'Your lesson is confirmed. See you on the slope, number ' || visit,
           'about', md5('BookingConfirmed' || visit)::uuid, 'booking_id', booking)
       WHEN type = 'ReplyGenerated' THEN jsonb_build_object(
           'text', repeat('There is room on most mornings. ', 6) || visit, 'language', 'en',
           'answers', jsonb_build_array(message), 'through_version', before + 1,
           'model', 'a-model', 'prompt_hash', md5(visit::text), 'input_tokens', 900,
           'output_tokens', 60, 'seconds', 1.25, 'disclosure', turn = 0)
       WHEN type = 'ReplySent' THEN jsonb_build_object(
           'reply_id', reply, 'whatsapp_ids', jsonb_build_array('wamid.r' || visit))
       WHEN type = 'BookingProposed' THEN jsonb_build_object(
           'reply_id', reply, 'lesson', jsonb_build_object(
               'date', (starts_at AT TIME ZONE 'UTC')::date,
               'time', (starts_at AT TIME ZONE 'UTC')::time, 'duration', 60, 'timezone', 'UTC',
               'starts_at', starts_at, 'ends_at', starts_at + interval '1 hour'))
       WHEN type = 'BookingConfirmed' THEN jsonb_build_object('booking_id', booking)
       ELSE jsonb_build_object(
           'reply_id', reply, 'whatsapp_id', 'wamid.r' || visit, 'status', type,
           'at', at + interval '1 minute') END,
       CASE WHEN type IN ('MessageReceived', 'MessageEdited') THEN 'customer' ELSE 'system' END,
       message, at + place * interval '1 second'
  FROM visited JOIN script ON kind = turn % 10
 ORDER BY visit, place
"""

VISITS_A_STATEMENT = 100_000


async def fill(connection: asyncpg.Connection[asyncpg.Record], events: int) -> int:
    """Append about `events` events to an empty log; returns how many. No table is projected."""
    visits = int(events / EVENTS_A_VISIT)
    customers = max(1, visits // VISITS_A_CUSTOMER)
    for first in range(0, visits, VISITS_A_STATEMENT):
        last = min(first + VISITS_A_STATEMENT, visits) - 1
        await connection.execute(FILL, customers, first, last, timeout=None)
    await connection.execute("ANALYZE events")
    return int(await connection.fetchval("SELECT count(*) FROM events", timeout=None))
