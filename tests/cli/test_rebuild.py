"""`frostdesk rebuild`, as an engineer runs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from frostdesk.store.append import EventStore
from projections import APPEND_LOCK
from projections.repair import SCHEMA
from tests.factories import received
from tests.projections.story import customer, tell
from tests.support.programs import Program, Programs
from tests.support.waiting import until

INTERRUPTED = 130


@pytest.fixture
async def store(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[EventStore]:
    """Appends as the service does, and has told a story."""
    async with EventStore(pool) as store:
        await tell(store)
        yield store


async def spoil(pool: asyncpg.Pool[asyncpg.Record]) -> list[str]:
    """Make every message wrong; gives their ids."""
    rows = await pool.fetch("UPDATE messages SET content = 'wrong' RETURNING id")
    return [str(row["id"]) for row in rows]


@asynccontextmanager
async def held(programs: Programs, pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[Program]:
    """A rebuild that has found drift, and waits for its turn to repair."""
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute(f"SELECT pg_advisory_xact_lock({APPEND_LOCK})")
        program = programs.start("rebuild")
        await until(lambda: _waits(pool), 20)
        yield program


async def _waits(pool: asyncpg.Pool[asyncpg.Record]) -> bool:
    waiting = await pool.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return bool(waiting)


async def run(programs: Programs, *arguments: str) -> tuple[int, str, str]:
    """Run it to its end; gives status, output and error output."""
    done = await programs.run("rebuild", *arguments)
    return done.returncode, done.stdout, done.stderr


async def test_it_repairs_and_says_what_it_did(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """The summary counts rows, changes, seconds and events/s, as text and as one object."""
    assert store
    spoilt = await spoil(pool)

    status, output, _ = await run(programs, "--json")
    summary = json.loads(output)

    assert status == 0
    assert summary["changed"] == len(spoilt)
    assert summary["inserted"] == summary["deleted"] == 0
    assert summary["events"] == await pool.fetchval("SELECT count(*) FROM events")
    assert summary["rows"] > len(spoilt)
    assert summary["seconds"] > 0
    assert summary["events_per_second"] > 0

    status, output, _ = await run(programs)
    assert status == 0
    assert "0 inserted, 0 changed, 0 deleted" in output
    assert "events/s" in output


async def test_verify_names_the_rows_that_differ(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """Exit 1, and table, id, column, is and should be; once all is right, exit 0."""
    assert store
    spoilt = await spoil(pool)

    status, output, _ = await run(programs, "--verify")
    assert status == 1
    for message in spoilt:
        assert f'messages {message}  content  is: "wrong", should be: ' in output

    status, output, _ = await run(programs, "--verify", "--json")
    rows = [json.loads(line) for line in output.splitlines()]
    assert status == 1
    assert sorted(row["id"] for row in rows) == sorted(spoilt)
    for row in rows:
        assert row["table"] == "messages"
        assert row["columns"] == ["content"]
        assert row["is"]["content"] == "wrong"
        assert row["should_be"]["content"] != "wrong"

    await run(programs)
    status, output, _ = await run(programs, "--verify")
    assert status == 0
    assert "none differs" in output


async def test_verify_lists_the_first_and_counts_the_rest(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """Twenty rows are listed; --json has them all."""
    assert store
    await pool.execute(
        "INSERT INTO identities SELECT '1', n, gen_random_uuid() FROM generate_series(1, 50) AS n"
    )

    _, output, _ = await run(programs, "--verify")
    assert output.count("identities 1/") == 20
    assert "30 more rows" in output

    _, output, _ = await run(programs, "--verify", "--json")
    assert len(output.splitlines()) == 50


async def test_the_past_stands_beside_the_present(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """--as-of builds the tables as they were at a position, included; --diff tells what changed."""
    then = await pool.fetchval("SELECT max(position) FROM events")
    before = await pool.fetch("SELECT * FROM messages ORDER BY id")
    (placed,) = await store.append([received(by=customer(0))])

    status, output, _ = await run(programs, "--as-of", str(then), "--schema", "back_then")
    assert status == 0
    assert f"position {then}" in output
    assert await pool.fetch("SELECT * FROM back_then.messages ORDER BY id") == before

    _, output, _ = await run(
        programs, "--as-of", str(then), "--schema", "back_then", "--diff", "--json"
    )
    changes = [json.loads(line) for line in output.splitlines()]
    assert {change["table"] for change in changes} == {"conversations", "messages"}
    (message,) = [change for change in changes if change["table"] == "messages"]
    assert (message["id"], message["then"]) == (str(placed.id), None)

    status, output, _ = await run(
        programs, "--as-of", str(placed.position), "--schema", "back_then", "--diff"
    )
    assert status == 0
    assert "Nothing has changed since" in output


async def test_the_past_may_be_a_moment(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """A time, with or without a zone, or a date stands for the last event recorded until then."""
    assert store
    head = await pool.fetchval("SELECT max(position) FROM events")
    for moment, position in (
        ("2001-01-01", 0),
        ("2001-01-01T10:00", 0),
        ("2999-01-01T10:00:00+01:00", head),
        ("2999-01-01", head),
        ("99999999999999999999", head),
    ):
        status, output, _ = await run(programs, "--as-of", moment, "--schema", "t", "--json")
        assert status == 0
        assert json.loads(output)["position"] == position


async def test_a_schema_of_somebody_else_s_is_refused(
    pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """Nothing is built where something else stands, in PostgreSQL's schemas, or under odd names."""
    await pool.execute("CREATE SCHEMA theirs")
    status, _, error = await run(programs, "--as-of", "1", "--schema", "theirs")
    assert status == 1
    assert "theirs exists already" in error

    odd = ("public", "pg_then", "information_schema", SCHEMA, "Then", "a b", "a;b", "")
    runs = [run(programs, "--as-of", "1", "--schema", name) for name in odd]
    for status, _, error in await asyncio.gather(*runs):
        assert status == 2
        assert "Choose a name" in error
    assert await pool.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'theirs'") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--as-of", "1"),
        ("--schema", "t"),
        ("--diff",),
        ("--as-of", "yesterday", "--schema", "t"),
        ("--as-of", "1", "--schema", "t", "--verify"),
    ],
)
async def test_options_that_do_not_fit_together_are_refused(
    programs: Programs, arguments: tuple[str, ...]
) -> None:
    """Exit 2 and one message, before anything is read."""
    status, _, error = await run(programs, *arguments)
    assert status == 2
    assert "Error: " in error


async def test_two_at_once(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """The second ends with exit 1 and one message; the first does its work."""
    assert store
    await spoil(pool)
    async with held(programs, pool) as first:
        status, output, error = await run(programs)
    assert (status, output) == (1, "")
    assert len(error.splitlines()) == 1
    assert "Another rebuild is running" in error
    assert await first.wait() == 0


async def test_killed(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """Killed, it leaves the tables as they were; the next one cleans up and repairs."""
    assert store
    await spoil(pool)
    async with held(programs, pool) as program:
        program.kill()
    assert await pool.fetchval("SELECT bool_and(content = 'wrong') FROM messages")
    assert await pool.fetchval("SELECT to_regnamespace($1)", SCHEMA) is not None

    status, _, _ = await run(programs)

    assert status == 0
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE content = 'wrong'") == 0
    assert await pool.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None


async def test_interrupted(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs
) -> None:
    """Ctrl-C ends it with exit 130 and one line; the tables are as they were, nothing is left."""
    assert store
    await spoil(pool)
    async with held(programs, pool) as program:
        status = await program.interrupt()
    assert status == INTERRUPTED
    assert len(program.output().splitlines()) == 1
    assert await pool.fetchval("SELECT bool_and(content = 'wrong') FROM messages")
    assert await pool.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None


async def test_without_a_schema_or_a_database(postgres_server: str, programs: Programs) -> None:
    """One message says what to do."""
    status, _, error = await _run_on(programs, postgres_server)
    assert status == 1
    assert "init-db" in error

    nowhere = "postgresql://postgres@127.0.0.1:9/nowhere"
    status, _, error = await _run_on(programs, nowhere)
    assert status == 1
    assert "cannot be reached" in error


async def _run_on(programs: Programs, url: str) -> tuple[int, str, str]:
    done = await programs.run("rebuild", FROSTDESK_DATABASE_URL=url)
    return done.returncode, done.stdout, done.stderr


async def test_without_the_privilege(
    store: EventStore, pool: asyncpg.Pool[asyncpg.Record], programs: Programs, database_url: str
) -> None:
    """Whoever may not create a schema is told what is missing, and nothing is changed."""
    assert store
    await spoil(pool)
    role = f"reader_{database_url.rpartition('/')[2].partition('?')[0][-12:]}"
    await pool.execute(f"CREATE ROLE {role} LOGIN BYPASSRLS")
    try:
        await pool.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        url = database_url.replace("postgres@", f"{role}@")
        status, _, error = await _run_on(programs, url)
    finally:
        await pool.execute(f"DROP OWNED BY {role}")
        await pool.execute(f"DROP ROLE {role}")
    assert status == 1
    assert "Nothing was changed" in error
    assert await pool.fetchval("SELECT bool_and(content = 'wrong') FROM messages")
