"""How fast the tables are rebuilt and compared, against the limit measured in the same run.

    python tests/benchmarks/replay.py --events 1000000

The limit is `INSERT … SELECT` of all the events into a bare table without an index. Everything runs
on a PostgreSQL of its own, which is thrown away; the commands run as an engineer runs them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import asyncpg
import click

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from frostdesk.embedded.postgres import start_postgres  # noqa: E402  # found by the line above
from frostdesk.events import MessageReceived, Sender  # noqa: E402
from frostdesk.store.append import EventStore, NewEvent  # noqa: E402
from frostdesk.store.database import create_pool  # noqa: E402
from tests.benchmarks.log import fill  # noqa: E402

TRIES = 3
SAMPLES = 400
SMALL = 10_000
MANY = 5_000_000

LAST_TEN = """
SELECT role, content FROM messages WHERE conversation_id = $1 ORDER BY version DESC LIMIT 10
"""


class Desk:
    """A database with a log in it."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def load(self, events: int) -> int:
        """Apply the schema and write a log; gives how many events it has."""
        connection = await asyncpg.connect(self.url)
        await connection.execute((ROOT / "schema.sql").read_text())
        number = await fill(connection, events)
        await connection.execute("VACUUM ANALYZE events", timeout=None)
        await connection.close()
        return number

    async def limit(self, tries: int) -> float:
        """Seconds to copy all the events into a bare table: the best of a few tries."""
        connection = await asyncpg.connect(self.url)
        best = float("inf")
        for _ in range(tries):
            await connection.execute("CREATE TABLE bare (LIKE events)")
            started = time.monotonic()
            await connection.execute("INSERT INTO bare SELECT * FROM events", timeout=None)
            best = min(best, time.monotonic() - started)
            await connection.execute("DROP TABLE bare")
        await connection.close()
        return best

    def run(self, *arguments: str) -> tuple[float, float]:
        """Run `frostdesk rebuild …`; gives the seconds that it took and its peak memory in MB."""
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "frostdesk", "rebuild", "--json", *arguments],
            cwd=ROOT,
            env={**os.environ, "FROSTDESK_DATABASE_URL": self.url},
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(process.returncode)
        return time.monotonic() - started, used.ru_maxrss / 1024

    async def tidy(self) -> None:
        """What autovacuum does in time."""
        connection = await asyncpg.connect(self.url)
        await connection.execute("VACUUM ANALYZE", timeout=None)
        await connection.close()

    async def latencies(self) -> tuple[float, float, float]:
        """Median milliseconds of a single append, and of reading a conversation's last ten.

        The latter is told twice: for a conversation that nobody has read, whose messages lie
        scattered where the system keeps the files, and again when PostgreSQL has them in memory.
        """
        async with create_pool(self.url) as pool, EventStore(pool) as store:
            ids = [
                r["id"] for r in await pool.fetch("SELECT id FROM conversations LIMIT $1", SAMPLES)
            ]
            appends = [await _timed(store.append([_message(n)])) for n in range(SAMPLES)]
            first, again = [
                [await _timed(pool.fetch(LAST_TEN, id_)) for id_ in ids] for _ in range(2)
            ]
        return _median(appends), _median(first), _median(again)


async def _timed(work: Any) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1000


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _message(number: int) -> NewEvent:
    """A message of one of the log's customers."""
    by = Sender(phone_number_id="700100200300", wa_id=f"4179{number % 50:08}")
    event = MessageReceived(
        whatsapp_id=f"wamid.{uuid4()}",
        sender=by,
        kind="text",
        text="Is there a lesson free?",
        sent_at=datetime.now(UTC),
    )
    return NewEvent(id=uuid4(), event=event, actor="customer")


async def measure(desk: Desk, events: int) -> None:
    """Print the figures of a log of that length."""
    number = await desk.load(events)
    click.echo(f"{number:,} events")
    tries = TRIES if number < MANY else 1
    restored = desk.run()
    await desk.tidy()
    limit = await desk.limit(tries)
    rebuilt = min(desk.run() for _ in range(tries))
    verified = min(desk.run("--verify") for _ in range(tries))
    append, first, again = await desk.latencies()
    click.echo(f"  limit, INSERT … SELECT into a bare table  {limit:8.2f} s")
    for what, (seconds, peak) in (
        ("rebuild that finds nothing wrong", rebuilt),
        ("rebuild --verify", verified),
        ("rebuild of empty tables", restored),
    ):
        click.echo(f"  {what:<40}  {seconds:8.2f} s  {seconds / limit:6.2f} x  {peak:4.0f} MB")
    click.echo(f"  single append, median                     {append:8.2f} ms")
    click.echo(f"  last ten messages, median, first read     {first:8.2f} ms")
    click.echo(f"  last ten messages, median, read again     {again:8.2f} ms")


def main() -> None:
    """Measure each length that was asked for, on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[SMALL, 100_000, 1_000_000])
    for events in parser.parse_args().events:
        with (
            TemporaryDirectory(prefix="frostdesk-replay-") as folder,
            start_postgres(Path(folder)) as server,
        ):
            asyncio.run(measure(Desk(server.url), events))


if __name__ == "__main__":
    main()
