"""Commands of whoever runs the service, as processes."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool, connect
from tests.factories import received
from tests.support.databases import new_database, query
from tests.support.programs import Programs
from tests.support.waiting import until

SECRETS = ("an-app-secret", "a-whatsapp-token", "an-instructor-token", "a-model-key")


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """A database without tables."""
    with new_database(postgres_server) as url:
        yield url


def one_message(done: subprocess.CompletedProcess[str], status: int) -> str:
    """What a command said that ended with this status: one message, no traceback, no secret."""
    assert done.returncode == status, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("frostdesk: ") == 1
    assert not any(secret in done.stderr for secret in SECRETS)
    return done.stderr


async def test_the_schema_is_applied_and_again(programs: Programs, empty_database_url: str) -> None:
    """`init-db` makes the tables; repeated, also at the same time, it changes nothing."""
    url = {"FROSTDESK_DATABASE_URL": empty_database_url}
    runs = await asyncio.gather(*(programs.run("init-db", **url) for _ in range(3)))
    assert [(done.returncode, done.stderr) for done in runs] == [(0, "")] * 3
    tables = await asyncio.to_thread(query, empty_database_url, "SELECT count(*) FROM events")
    assert tables[0][0] == 0


async def test_a_newer_schema_is_left_as_it_is(programs: Programs, pool: Pool) -> None:
    """The `init-db` of an older version, as when going back to it, undoes nothing and says so."""
    number = "SELECT obj_description('events'::regclass, 'pg_class')"
    await pool.execute(
        "COMMENT ON TABLE events IS 'FrostDesk schema 999'; DROP INDEX events_forgotten"
    )
    done = await programs.run("init-db")
    assert done.returncode == 0
    assert "newer" in done.stderr
    assert await pool.fetchval(number) == "FrostDesk schema 999"
    assert await pool.fetchval("SELECT to_regclass('events_forgotten')") is None


async def test_the_schema_waits_for_what_reads_long(
    programs: Programs, pool: Pool, direct_url: str
) -> None:
    """While a backup is read, `init-db` waits and appends go on; afterwards it does its work."""
    await pool.execute("COMMENT ON TABLE events IS NULL")
    reader = await connect(direct_url)
    async with EventStore(pool) as store:
        async with reader.transaction():
            await reader.fetch("SELECT * FROM events")
            applying = asyncio.create_task(programs.run("init-db"))
            await until(lambda: _waits_for_a_table(pool))
            await store.append([received()])
            assert not applying.done()
        assert (await applying).returncode == 0
    await reader.close()
    assert await pool.fetchval("SELECT obj_description('events'::regclass, 'pg_class')")


async def _waits_for_a_table(pool: Pool) -> bool:
    return bool(
        await pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass"
        )
    )


async def test_a_wrong_configuration_ends_with_2(programs: Programs) -> None:
    """`serve` and `worker` name everything that is missing or malformed, in one message."""
    nothing = dict.fromkeys(
        [name for name in programs.environment if name.startswith(("FROSTDESK_", "OPENAI_"))], ""
    )
    nothing.pop("FROSTDESK_TEST_RUN")
    text = one_message(await programs.run("serve", **nothing), 2)
    for name in ("DATABASE_URL", "REDIS_URL", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"):
        assert f"FROSTDESK_{name} is missing" in text
    assert "FROSTDESK_INSTRUCTOR_TOKEN is missing" in text
    wrong = {"FROSTDESK_PORT": "http", "FROSTDESK_TIMEZONE": "Mars", "OPENAI_API_KEY": ""}
    text = one_message(await programs.run("worker", **wrong), 2)
    for name in ("FROSTDESK_PORT", "FROSTDESK_TIMEZONE", "OPENAI_API_KEY"):
        assert name in text


async def test_a_port_in_use_is_said_so(programs: Programs) -> None:
    """`serve` on a port that is taken ends with one message that names the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = await programs.run("serve", FROSTDESK_PORT=port)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_database_that_is_away_is_said_so(programs: Programs) -> None:
    """Commands that need PostgreSQL say that it is away, and where to look."""
    away = {"FROSTDESK_DATABASE_URL": "postgresql://desk:hush-42@127.0.0.1:9/desk"}
    for command in ("init-db", "bookings"):
        text = one_message(await programs.run(command, **away), 1)
        assert "PostgreSQL" in text
        assert "hush-42" not in text


async def test_missing_tables_are_said_so(programs: Programs, empty_database_url: str) -> None:
    """On a database without tables, the message says which command makes them."""
    done = await programs.run("bookings", FROSTDESK_DATABASE_URL=empty_database_url)
    assert "init-db" in one_message(done, 1)


@pytest.mark.parametrize("arguments", [("nonsense",), ("bookings", "--nonsense"), ("confirm",)])
async def test_a_wrong_call_shows_how(programs: Programs, arguments: tuple[str, ...]) -> None:
    """An unknown command, option or a missing argument ends with 2 and the usage."""
    done = await programs.run(*arguments)
    assert done.returncode == 2
    assert "Usage:" in done.stderr


def test_help_is_light() -> None:
    """`frostdesk --help` imports nothing heavy."""
    heavy = {"openai", "asyncpg", "aiohttp", "rich", "arq", "redis", "uvloop", "babel"}
    program = (
        "import sys\n"
        "from frostdesk.cli import main\n"
        "sys.argv = ['frostdesk', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "Usage: frostdesk" in done.stdout
    assert done.stderr.strip() == "[]"


async def test_serve_and_worker_end_in_time(programs: Programs, pool: Pool) -> None:
    """On SIGTERM, API and worker end with status 0, and nothing is held any more."""
    api, worker = await programs.serve(), programs.start("worker")
    await worker.says("worker started")
    assert [*await asyncio.gather(api.terminate(), worker.terminate())] == [0, 0]
    assert await pool.fetchval("SELECT count(*) FROM claims") == 0


async def test_the_same_by_ctrl_c(programs: Programs) -> None:
    """Ctrl-C ends both as cleanly, without a traceback."""
    api, worker = await programs.serve(), programs.start("worker")
    await worker.says("worker started")
    assert [*await asyncio.gather(api.interrupt(), worker.interrupt())] == [0, 0]
    assert "Traceback" not in api.output() + worker.output()


def _heeds_sigterm(pid: int) -> bool:
    """Whether the process has a handler: proc(5), `SigCgt` of /proc/PID/status."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = re.findall(r"SigCgt:\s*(\w+)", status)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_signal_is_heeded_before_everything_is_imported(
    programs: Programs, command: str
) -> None:
    """Told to end while it begins, a program ends as it would later."""
    program = programs.start(command)

    async def heeds() -> bool:
        return _heeds_sigterm(program.process.pid)

    await until(heeds)
    assert await program.terminate() == 0
    assert "Traceback" not in program.output()
