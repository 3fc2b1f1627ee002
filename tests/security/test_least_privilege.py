"""The service's own role: the whole story runs under it, and it can do nothing beyond."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from frostdesk.cli.operations import apply_schema, schema
from frostdesk.store.append import EventStore
from frostdesk.store.database import Connection, Pool, connect
from tests.factories import generated, received
from tests.support.databases import execute, new_database, query
from tests.support.desk import Desk, running_api, running_outside, running_worker, settings_of
from tests.support.secrets import DATABASE_PASSWORD
from tests.support.service import as_login, as_service


@pytest.fixture
def service_url(database_url: str, service_login: str) -> str:
    """This test's database, entered as the service."""
    return as_login(database_url, service_login)


@pytest.fixture
async def service(service_url: str, pool: Pool) -> AsyncIterator[Connection]:
    """A connection as the service, to a database with two events in it."""
    async with EventStore(pool) as store:
        (appended,) = await store.append([received()])
        await store.append([generated()], conversation_id=appended.conversation_id)
    connection = await connect(service_url)
    yield connection
    await connection.close()


async def test_the_whole_story_runs_under_it(
    environment: dict[str, str], service_url: str, pool: Pool, api_port: int
) -> None:
    """A message becomes a reply and a proposal, is confirmed, and the customer hears of it."""
    settings = settings_of(environment | {"FROSTDESK_DATABASE_URL": service_url})
    async with (
        running_api(settings, port=api_port),
        running_outside(environment, pool) as desk,
        running_worker(settings),
    ):
        await _tell_the_story(desk)


async def _tell_the_story(desk: Desk) -> None:
    phone = desk.phone()
    asked = await phone.write("A lesson on Saturday at 10 for two hours, please")
    (booking,) = await desk.has_events("BookingProposed")
    await phone.hears(1)
    await desk.api.post(f"/bookings/{booking['event_id']}/confirm")
    (_, notice) = await phone.hears(2)
    assert "confirmed" in notice.lower()
    await phone.edit(asked, "Sunday would be fine as well")
    await desk.has_events("MessageEdited")
    await phone.delete(asked)
    await desk.has_events("MessageDeleted")
    await desk.api.post(f"/bookings/{booking['event_id']}/cancel")
    await phone.hears(3)
    conversation_id = await desk.conversation_id()
    for command in ("pause", "resume"):
        await desk.api.post(f"/conversations/{conversation_id}/{command}")
    await desk.api.post("/calendar")
    await desk.is_idle()
    for path in ("/conversations", "/bookings", "/events", f"/conversations/{conversation_id}"):
        await desk.api.get(path)
    async with desk.api.session.get(f"{desk.api.url}/metrics") as answer:
        assert "frostdesk_postgresql_up 1.0" in await answer.text()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "TRUNCATE conversations CASCADE",
        "DELETE FROM messages",
        "DELETE FROM bookings",
        "ALTER TABLE events ADD COLUMN more text",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
        "DROP TABLE messages",
        "DROP INDEX messages_unfinished",
        "CREATE TABLE public.more (id int)",
        "CREATE SCHEMA more",
        "CREATE TRIGGER more BEFORE INSERT ON events EXECUTE FUNCTION events_take_turns()",
        "CREATE OR REPLACE FUNCTION events_are_immutable() RETURNS trigger LANGUAGE sql AS ''",
        "DROP POLICY service_works ON events",
        "ALTER PUBLICATION supabase_realtime DROP TABLE messages",
        "SET session_replication_role = replica",
        "CREATE ROLE another LOGIN",
        "SELECT forget_conversation(conversation_id, gen_random_uuid()) FROM events",
        "COPY events TO PROGRAM 'cat'",
    ],
)
async def test_it_can_do_nothing_beyond(service: Connection, statement: str) -> None:
    """The past, the schema, the roles and forgetting are out of its reach."""
    before = await service.fetch("SELECT * FROM events ORDER BY position")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute(statement)
    assert await service.fetch("SELECT * FROM events ORDER BY position") == before


async def test_the_rows_that_it_needs_are_in_its_sight(service: Connection) -> None:
    """Row-level security hides nothing of what the service works with."""
    for table, count in {"events": 2, "conversations": 1, "messages": 2, "identities": 1}.items():
        assert await service.fetchval(f"SELECT count(*) FROM {table}") == count


def test_every_test_runs_under_it(database_url: str) -> None:
    """API and worker of the other tests enter the database as the service."""
    (who,) = query(
        as_service(database_url),
        "SELECT current_user, usesuper FROM pg_user WHERE usename = current_user",
    )
    assert who["current_user"].startswith("frostdesk_test_")
    assert not who["usesuper"]


def test_an_older_grant_is_taken_back(database_url: str, service_url: str) -> None:
    """`init-db` sets the role's rights as they should be, whatever somebody gave it before."""
    execute(database_url, "GRANT ALL ON events TO frostdesk_service")
    asyncio.run(apply_schema(database_url))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(service_url, "TRUNCATE events")


def test_it_cannot_log_in_by_itself(database_url: str) -> None:
    """The role is for members: it has no login, and no right over the server."""
    (role,) = query(
        database_url,
        "SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication"
        " OR rolbypassrls AS mighty FROM pg_roles WHERE rolname = 'frostdesk_service'",
    )
    assert not role["mighty"]


def test_an_owner_who_may_not_make_roles_is_told(
    postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema is applied all the same, with a note that says what to have done."""
    owner = f"frostdesk_test_{uuid4().hex}"
    execute(postgres_server, f"CREATE ROLE {owner} LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    try:
        with new_database(postgres_server) as url:
            name = urlsplit(url).path.lstrip("/")
            execute(
                url,
                f"ALTER SCHEMA public OWNER TO {owner}; GRANT ALL ON DATABASE {name} TO {owner}",
            )
            # A server on which nobody has made the role: its name is one that nobody has used.
            theirs = f"frostdesk_service_{uuid4().hex}"
            text = schema().replace("frostdesk_service", theirs)
            monkeypatch.setattr("frostdesk.cli.operations.schema", lambda: text)
            notes = asyncio.run(apply_schema(as_login(url, owner)))
            (note,) = [note for note in notes if theirs in note]
            assert f"CREATE ROLE {theirs} NOLOGIN" in note
            execute(
                as_login(url, owner),
                "INSERT INTO claims VALUES (gen_random_uuid(), gen_random_uuid(), now())",
            )
    finally:
        execute(postgres_server, f"DROP ROLE {owner}")
