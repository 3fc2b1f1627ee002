"""`frostdesk doctor` on real servers, with one thing amiss at a time: it finds it, and no other."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from frostdesk.cli.doctor import examine
from frostdesk.cli.doctor import redis as doctor_redis
from frostdesk.cli.doctor.verdict import Verdict
from frostdesk.embedded.postgres import start_postgres
from frostdesk.embedded.redis import start_redis
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from tests.factories import failed, received
from tests.operators.conftest import entered_as
from tests.support.databases import SCHEMA, execute, new_database
from tests.support.desk import running_worker, settings_of
from tests.support.pooler import running_pooler
from tests.support.programs import Programs

NOBODY = "127.0.0.1:9"
META = f"http://{NOBODY}/graph.facebook.com/v23.0"


async def problems(environ: Mapping[str, str]) -> dict[str, Verdict]:
    """What the doctor finds amiss. The test server is quick in place of durable, as it says."""
    found = {v.check: v for v in await examine(environ) if v.state != "ok"}
    if "durability" in found and "fsync" in found["durability"].seen:
        del found["durability"]
    for verdict in found.values():
        assert verdict.advice, verdict
    return found


async def assert_finds(environ: Mapping[str, str], **expected: str) -> None:
    """Those checks and no other are not well, and each one's verdict holds these words."""
    found = await problems(environ)
    assert {*found} == {name.replace("_", " ") for name in expected}, found
    for name, words in expected.items():
        verdict = found[name.replace("_", " ")]
        assert words in f"{verdict.seen} {verdict.advice}"


async def test_a_healthy_service_has_nothing_amiss(listening: dict[str, str]) -> None:
    """Set up as the README says, everything is well."""
    await assert_finds(listening)


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (
            {"FROSTDESK_WHATSAPP_APP_SECRET": "hush", "FROSTDESK_WHATSAPP_API_URL": META},
            {"app_secret": "32 hexadecimal digits", "whatsapp": "May this machine reach"},
        ),
        ({"FROSTDESK_WHATSAPP_TOKEN": "expired"}, {"whatsapp": "Make a permanent token"}),
        (
            {"FROSTDESK_WHATSAPP_PHONE_NUMBER_ID": "41790000000"},
            {"whatsapp": "FROSTDESK_WHATSAPP_PHONE_NUMBER_ID"},
        ),
        ({"OPENAI_API_KEY": "another"}, {"model": "Correct OPENAI_API_KEY"}),
        ({"OPENAI_BASE_URL": f"http://{NOBODY}/v1"}, {"model": "OPENAI_BASE_URL"}),
        ({"FROSTDESK_OPENAI_MODEL": "gpt-0"}, {"model": "does not list gpt-0"}),
        ({"FROSTDESK_TIMEZONE": "Mars/Olympus"}, {"configuration": "FROSTDESK_TIMEZONE"}),
        ({"FROSTDESK_WHATSAPP_VERIFY_TOKEN": ""}, {"configuration": "VERIFY_TOKEN is missing"}),
        ({"FROSTDESK_INSTRUCTOR_TOKEN": "ski"}, {"token": "can be guessed"}),
        ({"FROSTDESK_INSTRUCTOR_TOKEN": "a-verify-token"}, {"token": "another secret"}),
        (
            {"FROSTDESK_SUPABASE_ANON_KEY": "anon"},
            {"supabase": "FROSTDESK_SUPABASE_URL is missing"},
        ),
        ({"FROSTDESK_DISCLOSURE_FILE": str(SCHEMA)}, {"instructions": "Correct the file"}),
        (
            {"FROSTDESK_DATABASE_URL": f"postgresql://desk:hush@{NOBODY}/desk"},
            {"database": "Is it running?", "live_updates": "cannot be reached"},
        ),
        ({"FROSTDESK_REDIS_URL": f"redis://{NOBODY}/0"}, {"redis": "Is it running"}),
    ],
)
async def test_a_variable_is_wrong(
    listening: dict[str, str], planted: dict[str, str], expected: dict[str, str]
) -> None:
    """The wrong variable is named, and where its value is to be had."""
    await assert_finds(listening | planted, **expected)


async def test_the_model_is_behind_a_proxy(
    listening: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor asks by the way that the worker takes."""
    far = {"OPENAI_BASE_URL": "http://model.invalid/v1"}
    await assert_finds(listening | far, model="OPENAI_BASE_URL")
    monkeypatch.setenv("http_proxy", listening["OPENAI_BASE_URL"].removesuffix("/v1"))
    await assert_finds(listening | far)


async def test_there_is_no_such_database(listening: dict[str, str]) -> None:
    """A database that does not exist is told from a server that is away."""
    url = urlsplit(listening["FROSTDESK_DATABASE_URL"])._replace(path="/nothing").geturl()
    found = await problems(listening | {"FROSTDESK_DATABASE_URL": url})
    assert "Create the database" in found["database"].advice


@pytest.fixture
def empty_url(postgres_server: str) -> Iterator[str]:
    """A database without tables."""
    with new_database(postgres_server) as url:
        yield url


async def test_the_schema_is_missing(listening: dict[str, str], empty_url: str) -> None:
    """Without tables, it says which command makes them."""
    found = await problems(listening | {"FROSTDESK_DATABASE_URL": empty_url})
    assert "init-db" in found["schema"].advice


FOR_THIS_DATABASE = """
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$
"""

# Whoever asks the database for the time gets the answer of this function.
LYING_CLOCK = """
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
    $$ SELECT pg_catalog.clock_timestamp() + interval '1 hour' $$;
""" + FOR_THIS_DATABASE.format("search_path = public, pg_catalog")


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ("COMMENT ON TABLE events IS NULL", {"schema": "Run `frostdesk init-db`"}),
        (
            "COMMENT ON TABLE events IS 'FrostDesk schema 999'",
            {"schema": "Upgrade this FrostDesk"},
        ),
        ("ALTER TABLE events DISABLE TRIGGER events_only_forget", {"schema": "guard"}),
        ("ALTER TABLE messages DROP COLUMN read_at", {"schema": "`frostdesk rebuild`"}),
        ("ALTER TABLE messages ALTER sent_at TYPE text", {"schema": "`frostdesk rebuild`"}),
        ("REVOKE INSERT ON events FROM frostdesk_service", {"rights": "may not use events"}),
        ("REVOKE UPDATE ON messages FROM frostdesk_service", {"rights": "GRANT frostdesk_service"}),
        ("GRANT DELETE ON events TO frostdesk_service", {"rights": "may change or delete events"}),
        ("ALTER PUBLICATION supabase_realtime DROP TABLE messages", {"publication": "init-db"}),
        (
            FOR_THIS_DATABASE.format("synchronous_commit = off"),
            {"durability": "loses messages"},
        ),
        (LYING_CLOCK, {"clock": "Set both clocks by NTP"}),
    ],
)
async def test_the_database_is_not_as_it_should_be(
    listening: dict[str, str], direct_url: str, planted: str, expected: dict[str, str]
) -> None:
    """Schema, rights, publication, durability and clock are looked at one by one."""
    await asyncio.to_thread(execute, direct_url, planted)
    await assert_finds(listening, **expected)


async def test_the_login_may_do_more_than_serve(listening: dict[str, str], direct_url: str) -> None:
    """A superuser's login is named as one, and where to read about a better one."""
    await assert_finds(listening | {"FROSTDESK_DATABASE_URL": direct_url}, rights="superuser")


async def test_the_login_may_not_follow_changes(
    listening: dict[str, str], direct_url: str, service_login: str
) -> None:
    """Live updates need REPLICATION, and the right statement is told."""
    await asyncio.to_thread(execute, direct_url, f"ALTER ROLE {service_login} NOREPLICATION")
    try:
        await assert_finds(listening, live_updates="REPLICATION")
    finally:
        await asyncio.to_thread(execute, direct_url, f"ALTER ROLE {service_login} REPLICATION")


@pytest.fixture
def pooled_url(direct_url: str, service_login: str, tmp_path: Path) -> Iterator[str]:
    """The service's database behind a pgbouncer in transaction mode."""
    with running_pooler(direct_url, tmp_path) as url:
        yield entered_as(service_login, url)


async def test_a_pooler_stands_before_the_live_updates(
    listening: dict[str, str], pooled_url: str
) -> None:
    """Through a pooler there is no stream of changes; the variable that is named helps."""
    pooled = listening | {"FROSTDESK_DATABASE_URL": pooled_url}
    await assert_finds(pooled, live_updates="FROSTDESK_DIRECT_DATABASE_URL")
    bare = listening["FROSTDESK_DATABASE_URL"]
    await assert_finds(pooled | {"FROSTDESK_DIRECT_DATABASE_URL": bare})


async def test_the_server_keeps_too_little_for_live_updates(
    listening: dict[str, str], tmp_path: Path
) -> None:
    """Without `wal_level = logical` there is no stream of changes."""
    settings = {"wal_level": "replica", "fsync": "off"}
    with start_postgres(tmp_path, settings=settings) as server:
        await asyncio.to_thread(execute, server.url, SCHEMA.read_text())
        found = await problems(listening | {"FROSTDESK_DATABASE_URL": server.url})
    assert {*found} == {"rights", "live updates"}
    assert "wal_level = logical" in found["live updates"].advice


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[str]:
    """A Redis of which the settings may be changed."""
    with start_redis(tmp_path) as server:
        yield server.url


@pytest.mark.parametrize(
    ("memory", "policy", "expected"),
    [
        ("100mb", "allkeys-lru", {"redis": "noeviction"}),
        ("1", "noeviction", {"redis": "memory full"}),
    ],
)
async def test_redis_is_not_as_it_should_be(
    healthy: dict[str, str], own_redis: str, memory: str, policy: str, expected: dict[str, str]
) -> None:
    """A Redis that throws keys away, and one that takes none, are told apart."""
    environ = healthy | {"FROSTDESK_REDIS_URL": own_redis}
    async with running_worker(settings_of(environ)):
        with redis.Redis.from_url(own_redis) as client:
            client.config_set("maxmemory-policy", policy)
            client.config_set("maxmemory", memory)
        await assert_finds(environ, **expected)


async def test_a_login_of_redis_that_runs_no_scripts(
    healthy: dict[str, str], own_redis: str
) -> None:
    """Jobs are rung for and taken by scripts, for which a narrow login may lack the right."""
    with redis.Redis.from_url(own_redis) as client:
        client.acl_setuser(
            "narrow",
            enabled=True,
            passwords=["+a-secret"],
            keys=["*"],
            channels=["*"],
            commands=["+@all", "-@scripting"],
        )
    narrow = own_redis.replace("://", "://narrow:a-secret@")
    await assert_finds(healthy | {"FROSTDESK_REDIS_URL": narrow}, redis="scripts included")


async def test_no_worker_runs(healthy: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who would answer is connected to Redis."""
    monkeypatch.setattr(doctor_redis, "WORKER_SECONDS", 0.5)
    await assert_finds(healthy, worker="Start `frostdesk worker`")


async def test_a_worker_that_starts_is_waited_for(healthy: dict[str, str]) -> None:
    """Asked at the same time as it is started, the doctor finds it."""
    examining = asyncio.create_task(problems(healthy))
    async with running_worker(settings_of(healthy)):
        assert await examining == {}


async def test_messages_wait_for_long(
    healthy: dict[str, str], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody answers is counted, with the age of the oldest."""
    monkeypatch.setattr(doctor_redis, "WORKER_SECONDS", 0.5)
    async with EventStore(pool) as store:
        await store.append([received()])
    await pool.execute("UPDATE messages SET created_at = created_at - interval '1 hour'")
    await assert_finds(healthy, worker="nobody answers", messages="the oldest for 36")


async def test_messages_have_failed(listening: dict[str, str], pool: Pool) -> None:
    """What waits for the instructor's retry is told, and how to find it."""
    message = received()
    async with EventStore(pool) as store:
        (placed,) = await store.append([message])
        await store.append([failed(message.id)], conversation_id=placed.conversation_id)
    await assert_finds(listening, messages="frostdesk retry")


async def test_few_files_may_be_open(healthy: dict[str, str]) -> None:
    """A limit below what systems usually give is named, as the shell has it."""
    doctor = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        f"ulimit -n 200; {sys.executable} -m frostdesk doctor --json",
        env=healthy | {"FROSTDESK_REDIS_URL": f"redis://{NOBODY}/0"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await doctor.communicate()
    (limit,) = [v for v in map(json.loads, output.splitlines()) if v["check"] == "open files"]
    assert limit["state"] == "warning"
    assert "ulimit" in limit["advice"]


async def test_it_says_so_in_words_and_by_its_status(
    programs: Programs, listening: dict[str, str]
) -> None:
    """Exit status 0 unless something has failed; every problem with its advice; no secret."""
    well = await programs.run("doctor", **listening)
    assert well.returncode == 0, well.stdout
    ill = await programs.run(
        "doctor", **listening | {"FROSTDESK_WHATSAPP_TOKEN": "a-refused-token"}
    )
    assert ill.returncode == 1
    assert "→ Make a permanent token" in ill.stdout
    for done in (well, ill):
        assert done.stderr == ""
        for name, value in listening.items():
            if name.endswith(("TOKEN", "SECRET", "KEY")):
                assert value not in done.stdout
