"""Growth: the same operations on a short log and on a long one, in turns, one at a time.

Both logs are stories of many conversations (tests/benchmarks/log.py), in two databases of one
server, with all tables filled. Each operation is timed as its caller waits for it: the statements
by way of the store's own functions, the rest over HTTP at a desk of its own. `first` is the first
time that a conversation is touched, `warm` every further time, when PostgreSQL has it in memory.
The large log's median is set against the small one's. The server starts anew once both are filled.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import click

from frostdesk.embedded.postgres import start_postgres
from frostdesk.limits import Limits
from frostdesk.store.append import EventStore, Expected
from frostdesk.store.claims import Claims
from frostdesk.store.database import Pool, create_pool
from frostdesk.store.usage import Usage
from frostdesk.store.work import find_unfinished
from frostdesk.worker.answering import STALE
from tests.benchmarks.load.figures import Figure, percentile
from tests.benchmarks.load.rig import (
    Desk,
    Servers,
    desk_on,
    prepare,
    running_servers,
    throw_away_folder,
)
from tests.benchmarks.load.webhooks import letter_of, post
from tests.benchmarks.log import EVENTS_A_VISIT, VISITS_A_CUSTOMER
from tests.benchmarks.replay import LAST_TEN
from tests.benchmarks.replay import Desk as Filling
from tests.factories import ZURICH, generated, received, sender, sent
from tests.faults.rig import UNFINISHED
from tests.support.desk import Api
from tests.support.waiting import until

SMALL = 10_000
PASSES = 6
READ, WRITTEN, ANSWERED = 40, 40, 18
"""Conversations, of each log, that are read, written to by the store, and answered by a worker."""

AT_MOST = 1.5

FILLING = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
}
"""How PostgreSQL is set while the logs are filled, and no longer."""

T = TypeVar("T")


class Log:
    """A database with a log in it, a desk on it, and how long each operation took there."""

    def __init__(self, desk: Desk, pool: Pool, store: EventStore, events: int) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self._desk = desk
        self._pool = pool
        self._store = store
        self._api = Api(desk.session, desk.url)
        usage = Usage(calls_per_minute=240)
        self._claims = Claims(pool, usage, holder=uuid4())
        self._limits = Limits(pool, usage, calls_per_day=50_000, timezone=ZURICH)
        self._customers = int(events / EVENTS_A_VISIT) // VISITS_A_CUSTOMER
        self._wrote: dict[str, list[float]] = defaultdict(list)

    def phone(self, number: int) -> str:
        """One of the customers who are measured, spread over the whole log."""
        customer = number * self._customers // (READ + WRITTEN + ANSWERED)
        return f"4179{customer:08}"

    async def _timed(self, name: str, work: Awaitable[T]) -> T:
        begun = time.perf_counter()
        result = await work
        self.took[name].append(time.perf_counter() - begun)
        return result

    async def read(self, number: int) -> None:
        """What the desk and the sweep read."""
        conversation_id = await self._conversation(self.phone(number))
        await self._timed("last ten messages", self._pool.fetch(LAST_TEN, conversation_id))
        await self._timed("GET /conversations", self._api.get("/conversations"))
        await self._timed("GET /bookings", self._api.get("/bookings"))
        await self._timed("GET /bookings?status=", self._api.get("/bookings", status="confirmed"))
        await self._timed("sweep", find_unfinished(self._pool, limit=200, settle_after=20))

    async def write(self, number: int) -> None:
        """A message, and the statements of its answer, in their order."""
        message = received(by=sender(self.phone(number)))
        (placed,) = await self._timed("append a message", self._store.append([message]))
        of = placed.conversation_id
        await self._timed("claim", self._claims.claim(of))
        work = await self._timed("load", self._claims.load(of))
        assert work
        await self._limits.allowance(work)
        reply = generated(answers=(message.id,))
        expected = Expected(work.version, STALE)
        await self._timed(
            "append a reply",
            self._store.append([reply], conversation_id=of, expected=expected),
        )
        await self._timed(
            "append its sending", self._store.append([sent(reply)], conversation_id=of)
        )
        await self._timed("release", self._claims.release(of))

    async def answer(self, number: int) -> None:
        """A webhook, and the reply of a worker. When it was sent is known in the end."""
        letter = letter_of(self.phone(number))
        self._wrote[letter.customer].append(time.time())
        await self._timed("webhook until 200", post(self._desk.session, self._desk.url, letter))
        await until(self._is_settled)

    async def note_sends(self) -> None:
        """Take from WhatsApp how long each answer took."""
        arrived: dict[str, list[float]] = defaultdict(list)
        for send in await self._desk.outside.sends():
            at = datetime.fromisoformat(send["at"]).timestamp()
            arrived[send["message"]["to"]].append(at)
        for turn in range(PASSES):
            for phone, wrote in self._wrote.items():
                self.took["webhook until the reply is at WhatsApp"].append(
                    arrived[phone][turn] - wrote[turn]
                )

    async def _is_settled(self) -> bool:
        return bool(await self._pool.fetchval(UNFINISHED) == 0)

    async def _conversation(self, phone: str) -> UUID:
        found: UUID = await self._pool.fetchval(
            "SELECT conversation_id FROM identities WHERE identity = $1", phone
        )
        return found


async def measure(events: int) -> list[Figure]:
    """How much longer each operation takes when the log has so many events."""
    lengths = {"small": SMALL, "large": events}
    with throw_away_folder() as folder:
        await _fill(folder, lengths)
        async with AsyncExitStack() as ending:
            servers = ending.enter_context(running_servers(folder))
            logs = [
                await ending.enter_async_context(_log(servers, number, name, length))
                for number, (name, length) in enumerate(lengths.items())
            ]
            for _ in range(PASSES):
                await _pass(logs)
            for log in logs:
                await log.note_sends()
    small, large = logs
    return [_compare(name, small.took[name], large.took[name]) for name in small.took]


async def _pass(logs: list[Log]) -> None:
    """Every operation with each conversation, on both logs by turns."""
    steps: list[Callable[[Log, int], Awaitable[None]]] = [
        *[Log.read] * READ,
        *[Log.write] * WRITTEN,
        *[Log.answer] * ANSWERED,
    ]
    for number, step in enumerate(steps):
        for log in logs:
            await step(log, number)


def _compare(name: str, small: list[float], large: list[float]) -> Figure:
    a_pass = len(small) // PASSES
    first = [percentile(took[:a_pass], 0.5) * 1000 for took in (small, large)]
    warm = [percentile(took[a_pass:], 0.5) * 1000 for took in (small, large)]
    return Figure(
        name,
        warm[1] / warm[0],
        "x",
        at_most=AT_MOST,
        beside={
            "ms, small": warm[0],
            "large": warm[1],
            "first small": first[0],
            "first large": first[1],
        },
    )


@asynccontextmanager
async def _log(servers: Servers, number: int, name: str, events: int) -> AsyncIterator[Log]:
    """A database that has been filled, and a desk at work on it."""
    redis_url = servers.redis_url.replace("db=0", f"db={number}")
    async with desk_on(servers, _database(servers.postgres_url, name), redis_url) as desk:
        await desk.start_outside()
        await desk.start_api()
        await desk.start_worker()
        await desk.warm_up()
        service_url = desk.programs.environment["FROSTDESK_DATABASE_URL"]
        async with create_pool(service_url) as pool, EventStore(pool) as store:
            yield Log(desk, pool, store, events)


async def _fill(folder: Path, lengths: Mapping[str, int]) -> None:
    """Make databases of these names, with so many events and the tables that follow from them."""
    with start_postgres(folder / "postgres", settings=FILLING) as server:
        for name, events in lengths.items():
            connection = await asyncpg.connect(server.url)
            await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()
            begun = time.monotonic()
            filling = Filling(_database(server.url, name))
            await prepare(filling.url)
            number = await filling.load(events)
            filling.run()
            await filling.tidy()
            click.echo(f"{number:,} events in {time.monotonic() - begun:.0f} s", err=True)


def _database(server_url: str, name: str) -> str:
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()
