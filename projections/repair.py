"""Setting rows of the live tables right, while others go on appending.

The rows that a comparison found wrong, and what they should be, wait in a schema of their own. They
are set right in small transactions that take their turn like an append. What has been appended
since the comparison is projected onto them first, so a row always becomes what the log says now.
Projecting events on some rows only is sound because a row follows from its own past and the events.
"""

from __future__ import annotations

import time

import asyncpg
import msgspec

from projections import APPEND_LOCK, TABLES, project
from projections.compare import Part
from projections.shadow import EVERYTHING, KEYS, Connection, create

SCHEMA = "frostdesk_rebuild"
"""Here only while a repair is going on; what a killed one has left is dropped by the next."""

TURNS = (
    ("conversations", False),
    ("identities", False),
    ("messages", False),
    ("bookings", False),
    ("bookings", True),
    ("conversations", True),
)
"""The order in which rows are set right, and whether it is those that have to wait for others."""

FIRST_BATCH = 100
LARGEST_BATCH = 4_000
HOLD_SECONDS = 0.04
"""How long appends may be held up by a batch; its size follows."""

CATCH_UP_EVENTS = 200
"""So few events may be projected while appends wait; more are projected beforehand."""

LONGEST_SPAN = 20_000

# While it holds the turn nothing may take long: rather give up the batch and take a smaller one.
# Tables that have just been filled have no statistics, and a batch is small: rows by their keys.
TAKE_TURN = f"""
BEGIN;
SET LOCAL idle_in_transaction_session_timeout = '5s';
SET LOCAL search_path = {SCHEMA}, public;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
-- Costs are high where sequential scans are off, and compiling would take longer than the work.
SET LOCAL jit = off;
SELECT pg_advisory_xact_lock({APPEND_LOCK});
SET LOCAL lock_timeout = '400ms';
SET LOCAL statement_timeout = '400ms'
"""

# Two lessons may have to change places: what is wrong gives up its slot before anything takes one.
FREE_SLOTS = """
UPDATE public.bookings AS live SET status = 'pending' FROM bookings_turn AS turn
 WHERE live.id = turn.id AND live.status = 'confirmed'
"""


class Repaired(msgspec.Struct):
    """How many rows were changed, and how."""

    inserted: int = 0
    changed: int = 0
    deleted: int = 0


class ForgottenMeanwhileError(Exception):
    """A customer was forgotten after the comparison, which may hold words that are now erased."""


async def drop(connection: Connection) -> None:
    """Take away what a repair has left behind."""
    await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


async def prepare(connection: Connection) -> None:
    """Make room for the rows that are to be set right. For nobody else's eyes, and not logged."""
    async with connection.transaction():
        await drop(connection)
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        await create(connection, TABLES, SCHEMA, kind="UNLOGGED")
        for table, keys in KEYS.items():
            await connection.execute(
                f"CREATE UNLOGGED TABLE {SCHEMA}.{table}_drift AS"
                f" SELECT {', '.join(keys)}, false AS late"
                f" FROM public.{table} LIMIT 0"
            )


async def keep(connection: Connection, part: Part) -> None:
    """Bring what a comparison has noted, and what it should be, into the schema."""
    keys = ", ".join(KEYS[part.table])
    await connection.execute(
        f"INSERT INTO {SCHEMA}.{part.table}_drift SELECT {keys}, late FROM {part.drift}"
    )
    await connection.execute(
        f"INSERT INTO {SCHEMA}.{part.table}"
        f" SELECT (other).* FROM {part.drift} WHERE NOT other IS NULL"
    )


async def number(connection: Connection) -> None:
    """Give what was brought into the schema the order in which it is set right."""
    for table, keys in KEYS.items():
        await connection.execute(
            f"CREATE UNLOGGED TABLE {SCHEMA}.{table}_turn AS SELECT *, row_number() OVER"
            f" (PARTITION BY late ORDER BY {', '.join(keys)}) AS place FROM {SCHEMA}.{table}_drift"
        )
        await connection.execute(f"ALTER TABLE {SCHEMA}.{table}_turn ADD PRIMARY KEY (late, place)")


class Repair:
    """Sets right what is in the schema. `since` is the position that its rows stand for."""

    def __init__(self, connection: Connection, since: int) -> None:
        self._connection = connection
        self._since = since
        self._size = FIRST_BATCH
        self._place = 0
        self.done = Repaired()

    async def run(self) -> Repaired:
        """Set every row right that is still wrong; the rows that were right are not touched.

        Raises:
            ForgottenMeanwhileError: what is in the schema must not be used; compare again.
        """
        for table, late in TURNS:
            statement = await self._statement(table, late=late)
            self._place = 0
            try:
                while await self._batch(statement):
                    pass
            except asyncpg.ExclusionViolationError:
                self._place = 0  # what batches before have set right gives up its slot as well
                await self._take_turn(statement, upto=EVERYTHING, first=FREE_SLOTS)
        return self.done

    async def _batch(self, statement: str) -> bool:
        """Set a batch of rows right; gives whether there may be more."""
        await self._catch_up()
        try:
            return await self._take_turn(statement, upto=self._place + self._size)
        except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError):
            if self._size == 1:
                raise
            self._size = max(1, self._size // 4)
            return True

    async def _take_turn(self, statement: str, *, upto: int, first: str | None = None) -> bool:
        connection = self._connection
        try:
            await connection.execute(TAKE_TURN)
            started = time.monotonic()
            head = await self._project_rest()
            if first:
                await connection.execute(first)
            found = await connection.fetchrow(statement, self._place, upto)
            await connection.execute("COMMIT")
        except BaseException:
            if not connection.is_closed():
                await connection.execute("ROLLBACK")
            raise
        assert found is not None  # noqa: S101  # an aggregate gives one row
        self._since, self._place = head, upto
        self._adapt(time.monotonic() - started)
        self.done.inserted += found["inserted"]
        self.done.changed += found["changed"]
        self.done.deleted += found["deleted"]
        return bool(found["taken"])

    def _adapt(self, held: float) -> None:
        """Take as many rows at a time as fit into HOLD_SECONDS."""
        fitting = self._size * min(2.0, HOLD_SECONDS / max(held, 0.001))
        self._size = max(1, min(LARGEST_BATCH, int(fitting)))

    async def _project_rest(self) -> int:
        """Project what has been appended since. Nothing more can be: it is our turn."""
        head = await self._head()
        await project(self._connection, self._since, head)
        return head

    async def _catch_up(self) -> None:
        """Project most of what has been appended since, holding nobody up."""
        while (head := await self._head()) - self._since > CATCH_UP_EVENTS:
            upto = min(head, self._since + LONGEST_SPAN)
            async with self._connection.transaction():
                await self._connection.execute(
                    f"SET LOCAL search_path = {SCHEMA}, public; SET LOCAL jit = off"
                )
                await project(self._connection, self._since, upto)
            self._since = upto

    async def _head(self) -> int:
        row = await self._connection.fetchrow(
            "SELECT coalesce(max(position), 0) AS head, EXISTS (SELECT FROM public.events"
            " WHERE type = 'CustomerForgotten' AND position > $1) AS forgotten FROM public.events",
            self._since,
        )
        assert row is not None  # noqa: S101  # an aggregate gives one row
        if row["forgotten"]:
            raise ForgottenMeanwhileError
        return int(row["head"])

    async def _statement(self, table: str, *, late: bool) -> str:
        """The statement that sets the rows beyond number $1, up to $2, right and counts them."""
        columns = await self._connection.fetchval(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
            f"public.{table}",
        )
        return SET_RIGHT.format(
            table=table,
            keys=", ".join(KEYS[table]),
            first=KEYS[table][0],
            same=" AND ".join(f"live.{key} = found.{key}" for key in KEYS[table]),
            columns=columns,
            others=", ".join(f"other.{column}" for column in columns.split(", ")),
            late=late,
        )


# What should not be there goes first, as it may stand in the way of what should.
SET_RIGHT = """
WITH taken AS (
    SELECT {keys} FROM {table}_turn WHERE late = {late} AND place > $1 AND place <= $2
),
found AS MATERIALIZED (
    SELECT {keys}, live.{first} IS NULL AS missing, other.{first} IS NULL AS extra
      FROM taken
      LEFT JOIN public.{table} AS live USING ({keys})
      LEFT JOIN {table} AS other USING ({keys})
     WHERE ROW(live.*) IS DISTINCT FROM ROW(other.*)
),
deleted AS (
    DELETE FROM public.{table} AS live USING found WHERE {same} AND extra RETURNING true
),
changed AS (
    UPDATE public.{table} AS live SET ({columns}) = ROW({others})
      FROM found JOIN {table} AS other USING ({keys})
     WHERE {same} AND NOT extra AND NOT missing
       AND (SELECT count(*) FROM deleted) >= 0
    RETURNING true
),
inserted AS (
    INSERT INTO public.{table} ({columns})
    SELECT {others} FROM found JOIN {table} AS other USING ({keys})
     WHERE missing AND (SELECT count(*) FROM changed) >= 0
    RETURNING true
)
SELECT (SELECT count(*) FROM taken) AS taken, (SELECT count(*) FROM inserted) AS inserted,
       (SELECT count(*) FROM changed) AS changed, (SELECT count(*) FROM deleted) AS deleted
"""
