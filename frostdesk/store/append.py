"""Appending events to the log.

Whatever is waiting is appended together: while one transaction commits, the next batch collects.
Appends of all processes take turns by an advisory lock, so the order of positions is the order of
commits, and what one transaction decides cannot be overtaken by another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import islice
from typing import Self
from uuid import UUID

import asyncpg
import msgspec
import structlog

from frostdesk.errors import VersionConflictError
from frostdesk.events import Event, Sender, conversation_id_for
from frostdesk.store.database import LOST, Pool
from frostdesk.store.writing import write_events

BATCH_LEAST = 32
BATCH_MOST = 256
"""Between these, half of what waits goes out at a time: one half is written while the other is read
or answered. Of fewer the database needs more time for each; more would keep others waiting."""

IDLE_TURNS = 3

log = structlog.get_logger(__name__)


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
    """Events that are appended together or not at all, and who waits for it.

    Two units of one batch must not both name the same, nor one name what the other touches.
    """

    events: Sequence[NewEvent]
    conversation_id: UUID | None
    expected: Expected | None
    done: asyncio.Future[list[Appended]]
    names: set[object] = msgspec.field(default_factory=set)
    touched: set[object] = msgspec.field(default_factory=set)

    def __post_init__(self) -> None:
        """Find out what it names and touches.

        Two names for one person may be first seen together here, so whoever is called by either
        has to wait until the table of identities knows.
        """
        for new in self.events:
            self.names.add(new.id)
            sender: Sender | None = getattr(new.event, "sender", None)
            if sender is not None:
                called = [(sender.phone_number_id, i) for i in sender.identities]
                (self.names if len(called) > 1 else self.touched).update(called)
        if self.expected is not None:
            self.names.add(self.conversation_id)
        elif self.conversation_id is not None:
            self.touched.add(self.conversation_id)
        self.touched |= self.names


class EventStore:
    """Appends events. One object a process; as an async context manager it owns one task."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[_Unit] = []
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None = None

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
        try:
            return await done
        finally:
            del done  # an error of its own names this frame, and would be kept by it

    async def _run(self) -> None:
        try:
            await self._append_what_comes()
        finally:
            await self._give_back()

    async def _append_what_comes(self) -> None:
        enough = 0
        while True:
            await self._bell.wait()
            await self._collect(enough=enough)
            batch = self._next_batch()
            enough = len(batch) // 2
            if not self._waiting:
                self._bell.clear()
            await self._append_batch(batch)
            batch.clear()  # nobody's events are kept until the next batch
            if not self._waiting:
                await self._give_back()

    async def _collect(self, *, enough: int) -> None:
        """Let those come along who are arriving just now: wait while turns of the loop bring more.

        A turn that takes a request in and one that handles it make two. When `enough` have come,
        the database begins while the loop goes on with the rest, and both are busy.
        """
        idle = 0
        while idle < IDLE_TURNS and len(self._waiting) < max(enough, 1):
            before = len(self._waiting)
            await asyncio.sleep(0)
            idle = idle + 1 if len(self._waiting) == before else 0

    def _next_batch(self) -> list[_Unit]:
        """The next of the waiting units that fit together, those that expect something first."""
        batch: list[_Unit] = []
        left: list[_Unit] = []
        # Those left behind count too: what comes after them must not overtake them.
        named: set[object] = set()
        touched: set[object] = set()
        size, most = 0, min(max(len(self._waiting) // 2, BATCH_LEAST), BATCH_MOST)
        for place, unit in enumerate(self._waiting):
            if size >= most:
                left += self._waiting[place:]
                break
            if unit.done.cancelled():
                continue
            if not (named.isdisjoint(unit.touched) and touched.isdisjoint(unit.names)):
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
        else:
            _answer(batch, results)
            return
        # Here and not above, where this error would go along with theirs, and keep the batch. Those
        # whose turn has not come stand at the head of all who wait, however this ends.
        self._waiting[:0] = batch
        for _ in range(len(batch)):
            await self._append_batch([self._waiting.pop(0)])

    async def _write(self, batch: list[_Unit]) -> list[list[Appended] | VersionConflictError]:
        """Write by a connection that is kept while more events wait.

        So neither they nor those who are answered wait for it to go back and come again.
        """
        if self._connection is None:
            self._connection = await self._pool.acquire()
        try:
            rows = await write_events(self._connection, _columns(batch))
        except BaseException:
            await self._give_back()
            raise
        return _results(batch, rows)

    async def _give_back(self) -> None:
        """Let the pool have the connection. What it meets in closing an old one concerns nobody."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await self._pool.release(connection)
        except LOST as error:
            log.warning("a connection could not be given back", error=repr(error))


def _answer(batch: list[_Unit], results: list[list[Appended] | VersionConflictError]) -> None:
    for unit, result in zip(batch, results, strict=True):
        if unit.done.done():
            continue
        if isinstance(result, VersionConflictError):
            unit.done.set_exception(result)
        else:
            unit.done.set_result(result)


def _fail(batch: list[_Unit], error: Exception) -> None:
    """Hand the error to whoever waits. It names frames that name the batch, which is emptied."""
    for unit in batch:
        if not unit.done.done():
            unit.done.set_exception(error)
    batch.clear()


def _columns(batch: Sequence[_Unit]) -> list[list[object]]:
    """The arguments of APPEND, one array a column."""
    return [list(column) for column in zip(*_rows(batch), strict=True)]


def _rows(batch: Sequence[_Unit]) -> list[tuple[object, ...]]:
    begun: dict[tuple[str, str], UUID] = {}
    return [
        (
            number,
            new.id,
            type(new.event).__name__,
            msgspec.json.encode(new.event).decode(),
            new.actor,
            new.causation_id,
            new.correlation_id,
            *_whereabouts(unit, new, begun),
            unit.expected and unit.expected.version,
            unit.expected and unit.expected.minding and " ".join(unit.expected.minding),
            new.event.schema_version,
        )
        for number, unit in enumerate(batch)
        for new in unit.events
    ]


def _whereabouts(
    unit: _Unit, new: NewEvent, begun: dict[tuple[str, str], UUID]
) -> tuple[UUID, str | None, str | None, UUID | None]:
    """The stream if it is known, else the one that begins if none is found, and what finds it.

    Last, the customer's message that these words are, or are about. `begun` are the streams that
    may begin in this batch, by whose they are.
    """
    if unit.conversation_id is not None:
        return unit.conversation_id, None, None, None
    sender: Sender = new.event.sender  # type: ignore[attr-defined]  # append's contract
    whose = (sender.phone_number_id, sender.identities[0])
    begins = begun.setdefault(whose, conversation_id_for(new.id))
    message_id = getattr(new.event, "message_id", new.id)
    return begins, sender.phone_number_id, "\x1f".join(sender.identities), message_id


def _results(
    batch: Sequence[_Unit], rows: Sequence[asyncpg.Record]
) -> list[list[Appended] | VersionConflictError]:
    results: list[list[Appended] | VersionConflictError] = []
    remaining = iter(rows)
    for unit in batch:
        mine = list(islice(remaining, len(unit.events)))
        if mine and mine[0]["refused"]:  # as the whole unit is then
            results.append(VersionConflictError("The conversation has moved on."))
        else:
            results.append(
                [Appended(r["id"], r["conversation_id"], r["position"], r["version"]) for r in mine]
            )
    return results
