"""Real servers for every test: a database and a key space of its own, and processes that end.

The environment may name other servers. `FROSTDESK_TEST_DATABASE_URL`: a PostgreSQL on which
databases may be created. `FROSTDESK_TEST_REDIS_URL`: a Redis, of which the first empty numbered
database is used and emptied after every test. `FROSTDESK_TEST_POSTGRES_VERSION`: 16 instead of 18
for the embedded PostgreSQL. `FROSTDESK_TEST_POOLER=1`: everything reaches PostgreSQL through a
pgbouncer in transaction mode, but for the replication stream of the live updates.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, settings
from pytest_aiohttp import AiohttpServer

from frostdesk.embedded.postgres import start_postgres
from frostdesk.embedded.redis import start_redis
from frostdesk.simulators.model import ModelSettings, create_model_app
from frostdesk.simulators.state import WhatsAppSettings
from frostdesk.simulators.whatsapp import create_whatsapp_app
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool, create_pool
from tests.support.databases import SCHEMA, execute, name_of, new_database
from tests.support.environments import complete_environment
from tests.support.keyspaces import empty_keyspace, flush
from tests.support.leftovers import MARK, leftovers
from tests.support.pooler import direct, running_pooler
from tests.support.ports import free_port
from tests.support.programs import Programs
from tests.support.secrets import APP_SECRET, MODEL_KEY, PHONE_NUMBER_ID, WHATSAPP_TOKEN
from tests.support.servers import served
from tests.support.service import service_login as service_login_on

# A shared machine may stand still at any moment, which says nothing of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Where a script runs the tests in its background, its shell has had us ignore Ctrl-C, and so have
# the programs that we start, which are to be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    """The whole run leaves no process behind. Set up first, so it looks when all else has ended."""
    os.environ[MARK] = uuid4().hex
    yield
    assert leftovers() == []


@pytest.fixture(scope="session")
def postgres_server(bare_server: str) -> Iterator[str]:
    """The URL of a PostgreSQL server, for those who make databases on it themselves."""
    if not os.environ.get("FROSTDESK_TEST_POOLER"):
        yield bare_server
        return
    with (
        TemporaryDirectory(prefix="frostdesk-test-") as folder,
        running_pooler(bare_server, Path(folder)) as url,
    ):
        yield url


@pytest.fixture(scope="session")
def bare_server() -> Iterator[str]:
    """The URL of that server itself, without a pooler."""
    if outside := os.environ.get("FROSTDESK_TEST_DATABASE_URL"):
        yield outside
        return
    version = int(os.environ.get("FROSTDESK_TEST_POSTGRES_VERSION", "18"))
    with (
        TemporaryDirectory(prefix="frostdesk-test-") as folder,
        start_postgres(Path(folder), version=version, settings=NOT_DURABLE) as server,
    ):
        yield server.url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Redis database that was empty when the run began."""
    if outside := os.environ.get("FROSTDESK_TEST_REDIS_URL"):
        yield empty_keyspace(outside)
        return
    with TemporaryDirectory(prefix="frostdesk-test-") as folder, start_redis(Path(folder)) as redis:
        yield redis.url


@pytest.fixture(scope="session")
def template(postgres_server: str) -> Iterator[str]:
    """The name of a database that holds schema.sql and no row. Nobody may connect to it."""
    with new_database(postgres_server) as url:
        execute(direct(url), SCHEMA.read_text())
        yield name_of(url)


@pytest.fixture(scope="session")
def service_login(postgres_server: str, template: str) -> Iterator[str]:
    """The login that API and worker enter the database by, with the rights of the service only."""
    del template  # which has made the role
    with service_login_on(postgres_server) as login:
        yield login


@pytest.fixture
def database_url(postgres_server: str, template: str, service_login: str) -> Iterator[str]:
    """The URL of this test's own database, with the schema in it, entered as its owner."""
    del service_login  # but there it has to be, for the processes of the service
    with new_database(postgres_server, template=template) as url:
        yield url


@pytest.fixture
def direct_url(database_url: str) -> str:
    """The URL of the same database without a pooler, for what only PostgreSQL itself can do."""
    return direct(database_url)


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """The URL of an empty Redis, this test's own as long as it runs."""
    yield redis_server
    flush(redis_server)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """A pool of connections to this test's own database."""
    async with create_pool(database_url) as pool:
        yield pool


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    """Appends to this test's database as the service does."""
    async with EventStore(pool) as store:
        yield store


@pytest.fixture
def api_port() -> int:
    """The port that this test's API listens on, once it is started."""
    return free_port()


@pytest.fixture
async def aiohttp_server() -> AsyncIterator[AiohttpServer]:
    """Serves an application until the end of the test: pytest-aiohttp's, but for how it closes."""
    async with AsyncExitStack() as servers:

        async def serve(
            app: web.Application, *, port: int | None = None, **options: Any
        ) -> TestServer:
            return await servers.enter_async_context(served(app, port=port, **options))

        yield serve


@pytest.fixture
async def simulated_model(aiohttp_server: AiohttpServer) -> TestServer:
    """A model that speaks chat completions, under `/v1`; `/_control` makes it misbehave."""
    return await aiohttp_server(create_model_app(ModelSettings(api_key=MODEL_KEY)))


@pytest.fixture
async def simulated_whatsapp(aiohttp_server: AiohttpServer, api_port: int) -> TestServer:
    """A WhatsApp whose customers write to this test's API; `/_customers` makes them write."""
    settings = WhatsAppSettings(
        app_secret=APP_SECRET,
        token=WHATSAPP_TOKEN,
        webhook_url=f"http://127.0.0.1:{api_port}/inbound",
        phone_number_ids=(PHONE_NUMBER_ID,),
    )
    return await aiohttp_server(create_whatsapp_app(settings))


@pytest.fixture
def environment(
    database_url: str,
    redis_url: str,
    api_port: int,
    simulated_model: TestServer,
    simulated_whatsapp: TestServer,
) -> dict[str, str]:
    """A complete configuration for every command, on this test's own servers."""
    configured = complete_environment(
        database_url=database_url,
        redis_url=redis_url,
        port=api_port,
        model_url=str(simulated_model.make_url("/v1")),
        whatsapp_url=str(simulated_whatsapp.make_url("/v23.0")),
    )
    if (behind := direct(database_url)) != database_url:
        configured["FROSTDESK_DIRECT_DATABASE_URL"] = behind
    return configured


@pytest.fixture
def programs(environment: dict[str, str], tmp_path: Path) -> Iterator[Programs]:
    """FrostDesk's commands on this test's own servers; whatever still runs at its end is killed."""
    programs = Programs(environment, tmp_path)
    yield programs
    programs.end_all()
