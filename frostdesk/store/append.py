"""The one place that writes events, and with them, in the same transaction, every projection.

Whatever is waiting is appended together: while one transaction commits, the next batch collects.
Appends of all processes take turns by an advisory lock, so the order of positions is the order of
commits, and what one transaction decides cannot be overtaken by another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Self
from uuid import UUID

import asyncpg
import msgspec

from frostdesk.errors import VersionConflictError
from frostdesk.events import Event, Sender, conversation_id_for
from frostdesk.store.database import LOST, Connection, Pool
from projections import project

BATCH_EVENTS = 256

# One trip. The lock comes before the snapshot of the statement that reads what others appended;
# a client that hangs in the middle must not hold up everybody else.
BEGIN = """
BEGIN;
SET LOCAL idle_in_transaction_session_timeout = '10s';
SET LOCAL lock_timeout = '15s';
SET LOCAL jit = off;
SELECT pg_advisory_xact_lock(4607452716)
"""

APPEND = r"""
WITH input AS (
    SELECT *
      FROM unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[],
                  $7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::int[], $12::text[],
                  $13::smallint[])
           WITH ORDINALITY
        AS input (unit, id, type, data, actor, causation_id, correlation_id, conversation_id,
                  phone_number_id, identities, after_version, minding, schema_version, place)
),
found AS (
    SELECT input.*,
           coalesce(
               (SELECT i.conversation_id
                  FROM unnest(string_to_array(input.identities, E'\x1f')) WITH ORDINALITY
                    AS named (identity, place)
                 -- The LIMIT keeps the planner from reading every identity of the number.
                 CROSS JOIN LATERAL (SELECT conversation_id FROM identities
                                      WHERE phone_number_id = input.phone_number_id
                                        AND identity = named.identity LIMIT 1) AS i
                 ORDER BY named.place LIMIT 1),
               input.conversation_id) AS stream,
           -- In the log before, or about a message of a customer who has been forgotten since.
           EXISTS (SELECT FROM events e WHERE e.id = input.id)
           OR identities IS NOT NULL AND EXISTS (
               SELECT FROM messages m
                 JOIN events e ON e.conversation_id = m.conversation_id
                              AND e.type = 'CustomerForgotten'
                WHERE m.id = coalesce((input.data::jsonb ->> 'message_id')::uuid, input.id))
           AS known
      FROM input
),
-- A forgotten customer's stream has ended, but for decisions about its lessons. Whoever writes anew
-- begins another one, named by the message that it begins with: nothing ties it to the first.
placed AS (
    SELECT f.unit, f.id, f.type, f.data, f.actor, f.causation_id, f.correlation_id, f.after_version,
           f.minding, f.schema_version, f.place,
           CASE WHEN e.id IS NOT NULL AND identities IS NOT NULL AND NOT known
                THEN first_value(f.id) OVER (PARTITION BY stream, known ORDER BY f.place)
                ELSE stream END AS conversation_id,
           known OR (e.id IS NOT NULL AND identities IS NULL
                     AND f.type NOT IN ('BookingConfirmed', 'BookingCancelled')) AS known
      FROM found f
      LEFT JOIN events e ON e.conversation_id = f.stream AND e.type = 'CustomerForgotten'
),
refused AS (
    SELECT DISTINCT unit
      FROM placed p
     WHERE NOT known AND after_version IS NOT NULL
       AND EXISTS (SELECT FROM events e
                    WHERE e.conversation_id = p.conversation_id AND e.version > p.after_version
                      AND (minding IS NULL OR e.type = ANY (string_to_array(minding, ' '))))
),
fresh AS (
    SELECT *, row_number() OVER (PARTITION BY conversation_id ORDER BY place) AS step
      FROM placed
     WHERE NOT known AND unit NOT IN (SELECT unit FROM refused)
),
inserted AS (
    INSERT INTO events (id, conversation_id, version, type, schema_version, data, actor,
                        causation_id, correlation_id)
    SELECT id, conversation_id,
           step + coalesce((SELECT max(e.version) FROM events e
                             WHERE e.conversation_id = fresh.conversation_id), 0),
           type, schema_version, data::jsonb, actor, causation_id, correlation_id
      FROM fresh
     ORDER BY place
    RETURNING id, position, version
)
SELECT p.id, p.conversation_id, i.position, i.version,
       p.unit IN (SELECT unit FROM refused) AS refused
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


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is not yet in the log: its derived id, who did it, and what led to it."""

    id: UUID
    event: Event
    actor: str
    causation_id: UUID | None = None
    correlation_id: UUID | None = None


class Expected(msgspec.Struct, frozen=True):
    """The append counts only if nothing came after `version` of the stream.

    With `minding`, only events of these types count as something.
    """

    version: int
    minding: tuple[str, ...] | None = None


class Appended(msgspec.Struct, frozen=True):
    """Where an event stands. `position` and `version` are absent if it was in the log before.

    They are absent, too, if it is about a forgotten customer, of whom nothing more is kept.
    """

    id: UUID
    conversation_id: UUID
    position: int | None
    version: int | None

    @property
    def is_new(self) -> bool:
        """Whether this append brought it into the log."""
        return self.position is not None


class _Unit(msgspec.Struct, eq=False):
    """Events that are appended together or not at all, and who waits for it."""

    events: Sequence[NewEvent]
    conversation_id: UUID | None
    expected: Expected | None
    done: asyncio.Future[list[Appended]]

    @property
    def names(self) -> set[object]:
        """What two units of one batch must not both name.

        Two names for one person may be first seen together here, so whoever is called by either
        has to wait until the table of identities knows.
        """
        names: set[object] = {e.id for e in self.events}
        for sender in self.senders:
            if len(sender.identities) > 1:
                names.update((sender.phone_number_id, i) for i in sender.identities)
        if self.expected is not None:
            names.add(self.conversation_id)
        return names

    @property
    def touched(self) -> set[object]:
        """What it names, and what it is harmless to name twice unless somebody `names` it."""
        touched = self.names | ({self.conversation_id} - {None})
        for sender in self.senders:
            touched.update((sender.phone_number_id, i) for i in sender.identities)
        return touched

    @property
    def senders(self) -> list[Sender]:
        """Who wrote these events, as far as a customer did."""
        found = (getattr(new.event, "sender", None) for new in self.events)
        return [sender for sender in found if sender is not None]


class EventStore:
    """Appends events. One object a process; as an async context manager it owns one task."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[_Unit] = []
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start collecting."""
        self._task = asyncio.create_task(self._run(), name="append events")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop. Whoever still waits is cancelled: nothing was promised to them."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for unit in self._waiting:
            unit.done.cancel()

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        conversation_id: UUID | None = None,
        expected: Expected | None = None,
    ) -> list[Appended]:
        """Append `events` to one stream, all of them or none, and return where each stands.

        Without a `conversation_id` the events carry a sender, whose conversation is looked up, or
        begins here. Events whose ids are in the log already are left as they are.

        Raises:
            VersionConflictError: what was `expected` is not so; nothing was appended.
            asyncpg.PostgresError: the database refused these events; nothing was appended.
            One of `LOST`: unknown whether it was appended; appending again is harmless.
        """
        done: asyncio.Future[list[Appended]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Unit(events, conversation_id, expected, done))
        self._bell.set()
        return await done

    async def _run(self) -> None:
        while True:
            await self._bell.wait()
            batch = self._next_batch()
            if not self._waiting:
                self._bell.clear()
            await self._append_batch(batch)

    def _next_batch(self) -> list[_Unit]:
        """As many waiting units as fit together, those that expect something first."""
        batch: list[_Unit] = []
        left: list[_Unit] = []
        # Those left behind count too: what comes after them must not overtake them.
        named: set[object] = set()
        touched: set[object] = set()
        size = 0
        for unit in self._waiting:
            if unit.done.cancelled():
                continue
            clashes = not (named.isdisjoint(unit.touched) and touched.isdisjoint(unit.names))
            if size >= BATCH_EVENTS or clashes:
                left.append(unit)
            else:
                batch.append(unit)
                size += len(unit.events)
            named |= unit.names
            touched |= unit.touched
        self._waiting = left
        return sorted(batch, key=lambda unit: unit.expected is None)

    async def _append_batch(self, batch: list[_Unit]) -> None:
        """Append a batch; if the database refuses it, each unit alone, so none fails another."""
        try:
            results = await self._write(batch)
        except asyncio.CancelledError:
            for unit in batch:
                unit.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # handed to whoever waits
            if len(batch) == 1 or isinstance(error, LOST):
                _fail(batch, error)
                return
            for unit in batch:
                await self._append_batch([unit])
            return
        for unit, result in zip(batch, results, strict=True):
            if unit.done.done():
                continue
            if isinstance(result, VersionConflictError):
                unit.done.set_exception(result)
            else:
                unit.done.set_result(result)

    async def _write(self, batch: list[_Unit]) -> list[list[Appended] | VersionConflictError]:
        async with self._pool.acquire() as connection:
            try:
                await connection.execute(BEGIN)
                rows = await connection.fetch(APPEND, *_columns(batch))
                positions = [row["position"] for row in rows if row["position"] is not None]
                if positions:
                    types = {type(new.event).__name__ for unit in batch for new in unit.events}
                    await project(connection, min(positions) - 1, max(positions), types=types)
                await connection.execute("COMMIT")
            except BaseException:
                await _abandon(connection)
                raise
        return _results(batch, rows)


async def restore_events(connection: Connection, staged: str) -> None:
    """Bring the events of the table `staged`, positions included, into the log as they were."""
    columns = ", ".join(COLUMNS)
    await connection.execute(
        f"INSERT INTO events ({columns}) SELECT {columns} FROM {staged} ORDER BY position"
    )


async def _abandon(connection: Connection) -> None:
    """Leave the transaction; a connection that cannot even do that is thrown away."""
    try:
        await asyncio.shield(connection.execute("ROLLBACK", timeout=5))
    except Exception:  # noqa: BLE001  # the first error is the one that counts
        connection.terminate()


def _fail(batch: Sequence[_Unit], error: Exception) -> None:
    for unit in batch:
        if not unit.done.done():
            unit.done.set_exception(error)


def _columns(batch: Sequence[_Unit]) -> list[list[object]]:
    """The arguments of APPEND, one array a column."""
    return [list(column) for column in zip(*_rows(batch), strict=True)]


def _rows(batch: Sequence[_Unit]) -> list[tuple[object, ...]]:
    return [
        (
            number,
            new.id,
            type(new.event).__name__,
            msgspec.json.encode(new.event).decode(),
            new.actor,
            new.causation_id,
            new.correlation_id,
            *_whereabouts(unit, new),
            unit.expected and unit.expected.version,
            unit.expected and unit.expected.minding and " ".join(unit.expected.minding),
            new.event.schema_version,
        )
        for number, unit in enumerate(batch)
        for new in unit.events
    ]


def _whereabouts(unit: _Unit, new: NewEvent) -> tuple[UUID, str | None, str | None]:
    """The stream if it is known, else the one that begins if none is found, and what finds it."""
    if unit.conversation_id is not None:
        return unit.conversation_id, None, None
    sender: Sender = new.event.sender  # type: ignore[attr-defined]  # append's contract
    begins = conversation_id_for(sender.phone_number_id, sender.identities[0])
    return begins, sender.phone_number_id, "\x1f".join(sender.identities)


def _results(
    batch: Sequence[_Unit], rows: Sequence[asyncpg.Record]
) -> list[list[Appended] | VersionConflictError]:
    results: list[list[Appended] | VersionConflictError] = []
    remaining = iter(rows)
    for unit in batch:
        mine = [next(remaining) for _ in unit.events]
        if any(row["refused"] for row in mine):
            results.append(VersionConflictError("The conversation has moved on."))
        else:
            results.append(
                [Appended(r["id"], r["conversation_id"], r["position"], r["version"]) for r in mine]
            )
    return results
