"""schema.sql: what the database itself refuses, and whom it shows what."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from frostdesk.cli.operations import apply_schema, schema, schema_number
from frostdesk.store.append import EventStore
from frostdesk.store.database import Connection, Pool
from tests.factories import generated, received
from tests.support.databases import SCHEMA, execute, new_database, query

VISIBLE = {"conversations", "messages", "bookings"}
HIDDEN = {"events", "identities", "claims"}
NEWEST = (1, "c92d11f153e42ade")
ROLES = {"anon": "", "authenticated": "", "service_role": "BYPASSRLS"}


@pytest.fixture
async def filled(pool: Pool) -> Pool:
    """A database with two events in it."""
    async with EventStore(pool) as store:
        (appended,) = await store.append([received()])
        await store.append([generated()], conversation_id=appended.conversation_id)
    return pool


FORBIDDEN = (
    "UPDATE events SET data = '{}'",
    "UPDATE events SET recorded_at = now() WHERE position = 1",
    "UPDATE events SET position = position + 100",
    "DELETE FROM events",
    "DELETE FROM events WHERE position = 2",
    "TRUNCATE events",
    "TRUNCATE events CASCADE",
    "INSERT INTO events SELECT * FROM events ON CONFLICT (id) DO UPDATE SET data = '{}'",
    "SET session_replication_role = replica; DELETE FROM events",
)


async def test_the_past_is_refused_to_everybody(filled: Pool, subtests: pytest.Subtests) -> None:
    """Whoever tries to change or remove events is told why not, the owner included."""
    before = await filled.fetch("SELECT * FROM events ORDER BY position")
    for statement in FORBIDDEN:
        with (
            subtests.test(statement=statement),
            pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"),
        ):
            await filled.execute(statement)
    await filled.execute("RESET session_replication_role")
    assert await filled.fetch("SELECT * FROM events ORDER BY position") == before


async def test_a_version_is_given_once(filled: Pool) -> None:
    """Two events cannot both be the second of a conversation, whoever inserts them."""
    with pytest.raises(asyncpg.UniqueViolationError, match="version"):
        await filled.execute(
            "INSERT INTO events (id, conversation_id, version, type, data)"
            " SELECT gen_random_uuid(), conversation_id, 2, 'ReplySent', '{}' FROM events LIMIT 1"
        )


async def test_the_schema_can_be_applied_again(database_url: str, filled: Pool) -> None:
    """A second application changes neither events nor rows nor the shape of anything."""
    shape = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY 1, 2"
    )
    before = [await filled.fetch(sql) for sql in ("SELECT * FROM events", shape)]
    for _ in range(2):
        await apply_schema(database_url)
    assert [await filled.fetch(sql) for sql in ("SELECT * FROM events", shape)] == before


def test_the_command_applies_the_schema_of_the_checkout() -> None:
    """`frostdesk init-db` and the tests apply the same file."""
    assert schema() == SCHEMA.read_text()


def test_every_schema_has_a_number_of_its_own() -> None:
    """Whoever changes schema.sql raises its number, and notes here what it then holds."""
    statements = re.sub(r"(?m)^ *--.*\n|\n\n+", "", schema())
    digest = hashlib.sha256(statements.encode()).hexdigest()[:16]
    assert (schema_number(schema()), digest) == NEWEST


async def test_the_promised_columns_are_there(pool: Pool) -> None:
    """Every table has at least the columns, with the types, that others count on."""
    rows = await pool.fetch(
        "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public'"
    )
    promised = {
        "events": "position bigint, id uuid, conversation_id uuid, version integer, type text,"
        " data jsonb, recorded_at timestamp with time zone",
        "conversations": "id uuid, created_at timestamp with time zone",
        "messages": "id uuid, conversation_id uuid, role text, content text,"
        " created_at timestamp with time zone",
        "bookings": "id uuid, conversation_id uuid, instructor_id integer, date date,"
        " time time without time zone, duration integer, status text,"
        " created_at timestamp with time zone",
    }
    expected = {
        (f"{table}.{name}", kind)
        for table, columns in promised.items()
        for name, kind in (column.strip().split(" ", 1) for column in columns.split(","))
    }
    assert expected <= {tuple(row) for row in rows}


async def test_roles_are_of_two_words(filled: Pool) -> None:
    """The database takes no message of another role."""
    with pytest.raises(asyncpg.CheckViolationError):
        await filled.execute("UPDATE messages SET role = 'nobody'")


async def test_exactly_the_three_tables_are_published(pool: Pool) -> None:
    """Supabase Realtime hears of the three tables, with the old row, and of nothing else."""
    rows = await pool.fetch(
        "SELECT tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime'"
    )
    assert {row["tablename"] for row in rows} == VISIBLE
    full = await pool.fetch("SELECT relname FROM pg_class WHERE relreplident = 'f'")
    assert {row["relname"] for row in full} == VISIBLE


async def test_every_table_is_under_row_level_security(pool: Pool) -> None:
    """No table of ours is without row-level security."""
    rows = await pool.fetch(
        "SELECT relname FROM pg_class"
        " WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
    )
    assert {row["relname"] for row in rows} >= VISIBLE | HIDDEN


@pytest.fixture(scope="module")
def supabase(postgres_server: str, template: str) -> Iterator[str]:
    """A database as Supabase makes it: its roles may do everything with every new table."""
    del template  # it has to be there before the roles, which it would otherwise refer to
    there = {row["rolname"] for row in query(postgres_server, "SELECT rolname FROM pg_roles")}
    ours = [name for name in ROLES if name not in there]
    for name in ours:
        execute(postgres_server, f"CREATE ROLE {name} NOLOGIN {ROLES[name]}")
    try:
        with new_database(postgres_server) as url:
            execute(
                url,
                "".join(
                    f"GRANT USAGE ON SCHEMA public TO {name};"
                    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO {name};"
                    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO {name};"
                    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO {name};"
                    for name in ROLES
                )
                + "CREATE PUBLICATION supabase_realtime;",
            )
            execute(url, SCHEMA.read_text())
            execute(url, SCHEMA.read_text())
            yield url
    finally:
        for name in ours:
            execute(postgres_server, f"DROP ROLE {name}")


@pytest.fixture
async def guest(supabase: str) -> AsyncIterator[Connection]:
    """A connection to that database, in which there is a conversation."""
    async with asyncpg.create_pool(supabase, min_size=1) as pool, EventStore(pool) as store:
        await store.append([received(whatsapp_id="wamid.supabase")])
        async with pool.acquire() as connection:
            yield connection


async def as_role(guest: Connection, role: str, statement: str) -> int:
    """How many rows a statement gives to that role."""
    async with guest.transaction():
        await guest.execute(f"SET LOCAL ROLE {role}")
        return len(await guest.fetch(statement))


@pytest.mark.parametrize("table", sorted(VISIBLE | HIDDEN))
async def test_anon_reads_nothing(guest: Connection, table: str) -> None:
    """Whoever is not signed in reads no table, though Supabase grants all by default."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_role(guest, "anon", f"SELECT * FROM {table}")


@pytest.mark.parametrize("table", sorted(VISIBLE - {"bookings"}))
async def test_the_desk_reads_the_tables(guest: Connection, table: str) -> None:
    """Whoever is signed in sees the rows of the three tables."""
    assert await as_role(guest, "authenticated", f"SELECT * FROM {table}") == 1
    assert await as_role(guest, "authenticated", "SELECT * FROM bookings") == 0


@pytest.mark.parametrize("table", sorted(HIDDEN))
async def test_the_desk_reads_nothing_else(guest: Connection, table: str) -> None:
    """The log and what is internal are out of reach for whoever is signed in."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_role(guest, "authenticated", f"SELECT * FROM {table}")


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO events SELECT * FROM events",
        "UPDATE messages SET content = 'changed'",
        "DELETE FROM bookings",
        "TRUNCATE conversations CASCADE",
        "SELECT forget_conversation(gen_random_uuid(), gen_random_uuid())",
    ],
)
async def test_nobody_writes_past_the_service(guest: Connection, role: str, statement: str) -> None:
    """Neither role of Supabase's writes anything, signed in or not."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_role(guest, role, statement)


async def test_the_service_role_cannot_change_the_past(
    guest: Connection,
) -> None:
    """Supabase's own service role meets the same guard as everybody."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await as_role(guest, "service_role", "DELETE FROM events")
