"""The one place that writes events, and with them, in the same transaction, every projection.

An append is one trip: a function of the session's own takes the lock, appends and projects. It is
made from the statements here and in `projections`.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from frostdesk.store.database import Connection
from frostdesk.store.functions import call, function
from projections import APPEND_LOCK, READS, STATEMENTS

PARAMETERS = (
    "int[], uuid[], text[], text[], text[], uuid[], uuid[], uuid[], text[], text[], uuid[], int[], "
    "text[], smallint[]"
)

APPEND = r"""
WITH input AS (
    SELECT *
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) WITH ORDINALITY
        AS input (unit, id, type, data, actor, causation_id, correlation_id, conversation_id,
                  phone_number_id, identities, message_id, after_version, minding,
                  schema_version, place)
),
-- Each LIMIT and OFFSET makes the planner look up by key, whatever it believes of the tables'
-- sizes: it plans once, perhaps while they are empty.
found AS MATERIALIZED (
    SELECT input.*,
           -- Hardly anybody has a second name.
           coalesce(
               (SELECT i.conversation_id FROM identities i
                 WHERE i.phone_number_id = input.phone_number_id
                   AND i.identity = split_part(input.identities, E'\x1f', 1) LIMIT 1),
               CASE WHEN strpos(input.identities, E'\x1f') > 0 THEN
                   (SELECT i.conversation_id
                      FROM unnest(string_to_array(input.identities, E'\x1f')) WITH ORDINALITY
                        AS named (identity, place)
                     CROSS JOIN LATERAL (SELECT conversation_id FROM identities
                                          WHERE phone_number_id = input.phone_number_id
                                            AND identity = named.identity LIMIT 1) AS i
                     ORDER BY named.place LIMIT 1) END,
               input.conversation_id) AS stream,
           -- In the log before, or about a message of a customer who has been forgotten since.
           (SELECT true FROM events e WHERE e.id = input.id LIMIT 1) IS NOT NULL
           OR (SELECT true
                 FROM (SELECT conversation_id FROM messages WHERE id = input.message_id
                       OFFSET 0) AS m
                CROSS JOIN LATERAL (SELECT FROM events e
                                     WHERE e.conversation_id = m.conversation_id
                                       AND e.type = 'CustomerForgotten' LIMIT 1) AS forgotten)
              IS NOT NULL
           AS known
      FROM input
),
-- A forgotten customer's stream has ended, but for decisions about its lessons. Whoever writes anew
-- begins another one, named by the message that it begins with: nothing ties it to the first.
placed AS MATERIALIZED (
    SELECT f.unit, f.id, f.type, f.data, f.actor, f.causation_id, f.correlation_id,
           f.schema_version, f.place,
           CASE WHEN ended AND identities IS NOT NULL AND NOT known
                THEN (SELECT first.id FROM found AS first
                       WHERE first.stream = f.stream AND first.identities IS NOT NULL
                         AND NOT first.known
                       ORDER BY first.place LIMIT 1)
                ELSE stream END AS conversation_id,
           known OR coalesce(ended, false) AND identities IS NULL
                    AND f.type NOT IN ('BookingConfirmed', 'BookingCancelled') AS known,
           after_version IS NOT NULL
           AND (SELECT true FROM events e
                 WHERE e.conversation_id = f.stream AND e.version > f.after_version
                   AND (f.minding IS NULL OR e.type = ANY (string_to_array(f.minding, ' ')))
                 LIMIT 1) IS NOT NULL AS overtaken
      FROM found f
      LEFT JOIN LATERAL (SELECT true AS ended FROM events
                          WHERE conversation_id = f.stream AND type = 'CustomerForgotten'
                          LIMIT 1) AS e ON true
),
inserted AS (
    INSERT INTO events (id, conversation_id, version, type, schema_version, data, actor,
                        causation_id, correlation_id)
    SELECT id, conversation_id,
           row_number() OVER (PARTITION BY conversation_id ORDER BY place)
           + coalesce((SELECT max(e.version) FROM events e
                        WHERE e.conversation_id = p.conversation_id), 0),
           type, schema_version, data::jsonb, actor, causation_id, correlation_id
      FROM placed p
     WHERE NOT known AND NOT overtaken
     ORDER BY place
    RETURNING id, position, version
)
-- The events of a unit expect the same of one stream: what has overtaken one has overtaken all.
SELECT p.id, p.conversation_id, i.position, i.version,
       overtaken AND unit IN (SELECT unit FROM placed WHERE NOT known) AS refused
  FROM placed p
  LEFT JOIN inserted i ON i.id = p.id
 ORDER BY p.place
"""

COLUMNS = (
    "position",
    "id",
    "conversation_id",
    "version",
    "type",
    "data",
    "recorded_at",
    "schema_version",
    "actor",
    "causation_id",
    "correlation_id",
)
"""What a backup keeps of an event, in its order."""


def _projection(table: str) -> str:
    """The table's statement, for when an event is appended that concerns it."""
    types = ", ".join(f"'{event}'" for event in sorted(READS[table]))
    statement = STATEMENTS[table].replace("$1", "head").replace("$2", "reached")
    return f"IF $3 && ARRAY[{types}] THEN {statement}; END IF;"


# The lock comes before the snapshot of the statement that reads what others appended.
WRITE = function(
    "append",
    f"""
CREATE OR REPLACE FUNCTION {{name}}({PARAMETERS})
    RETURNS TABLE (id uuid, conversation_id uuid, "position" bigint, version int, refused boolean)
    LANGUAGE plpgsql SET lock_timeout = '15s' SET jit = off
    SET plan_cache_mode = force_generic_plan AS $append$
#variable_conflict use_column
DECLARE
    head bigint;
    reached bigint := {2**63 - 1};  -- while the lock is held, all that comes after the head is ours
BEGIN
    PERFORM pg_advisory_xact_lock({APPEND_LOCK});
    SELECT coalesce(max(position), 0) INTO head FROM events;
    RETURN QUERY {APPEND};
    {" ".join(_projection(table) for table in STATEMENTS)}
END $append$;
""",
    arguments=14,
)


async def write_events(
    connection: Connection, columns: Sequence[Sequence[object]]
) -> list[asyncpg.Record]:
    """Append events, given as the columns that APPEND takes, in a transaction of their own.

    Returns, in their order, the rows (id, conversation_id, position, version, refused).
    """
    return await call(connection, WRITE, *columns)


async def restore_events(connection: Connection, staged: str) -> None:
    """Bring the events of the table `staged`, positions included, into the log as they were."""
    columns = ", ".join(COLUMNS)
    await connection.execute(
        f"INSERT INTO events ({columns}) SELECT {columns} FROM {staged} ORDER BY position"
    )
