"""A desk of real processes on servers of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import asyncpg
import psutil

from frostdesk.embedded.postgres import start_postgres
from frostdesk.embedded.redis import start_redis
from tests.benchmarks.load.processes import Cpu
from tests.benchmarks.load.webhooks import letters, post
from tests.faults.rig import LOGIN, UNFINISHED, freeze, thaw
from tests.support.databases import SCHEMA
from tests.support.desk import Outside
from tests.support.environments import complete_environment
from tests.support.ports import free_port
from tests.support.programs import Program, Programs
from tests.support.waiting import until

ANSWERED_SECONDS = 60.0
WARM_UP = 30

LOOK_SECONDS = 0.1


class Servers:
    """PostgreSQL and Redis, with all the settings that `frostdesk dev` gives them."""

    def __init__(self, folder: Path, *, postgres_url: str, redis_url: str) -> None:
        self.folder = folder
        self.postgres_url = postgres_url
        self.redis_url = redis_url

    def postgres_cpu(self) -> Cpu:
        """What PostgreSQL uses, all of its processes together."""
        file = self.folder / "postgres" / "cluster" / "postmaster.pid"
        return Cpu.of(int(file.read_text().split("\n", 1)[0]))

    def redis_cpu(self) -> Cpu:
        """What Redis uses."""
        home = str((self.folder / "redis").resolve())
        running = psutil.process_iter(["name", "cwd"])
        return Cpu(*(p for p in running if p.info["cwd"] == home and p.info["name"] != "sh"))


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Servers whose data is in that folder."""
    with (
        start_postgres(folder / "postgres") as postgres,
        start_redis(folder / "redis") as redis,
    ):
        yield Servers(folder, postgres_url=postgres.url, redis_url=redis.url)


@contextmanager
def throw_away_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, whatever PostgreSQL leaves in it."""
    with TemporaryDirectory(prefix="frostdesk-load-", ignore_cleanup_errors=True) as name:
        yield Path(name)


class Desk:
    """The API, some workers, and the outside world, on one database and one Redis."""

    def __init__(
        self, folder: Path, session: aiohttp.ClientSession, *, database_url: str, redis_url: str
    ) -> None:
        self.session = session
        self.administrator_url = database_url
        self.api_port, self._model_port, self._whatsapp_port = (free_port() for _ in range(3))
        model, whatsapp = (
            f"http://127.0.0.1:{port}" for port in (self._model_port, self._whatsapp_port)
        )
        self.programs = Programs(
            complete_environment(
                database_url=database_url.replace("postgres@", "desk@", 1),
                redis_url=redis_url,
                port=self.api_port,
                model_url=f"{model}/v1",
                whatsapp_url=f"{whatsapp}/v23.0",
            ),
            folder,
        )
        self.model_url, self.whatsapp_url = model, whatsapp
        self.outside = Outside(session, model, whatsapp)
        self.workers: list[Program] = []

    async def start_outside(self) -> None:
        """Start the simulated model, and a WhatsApp that reports no delivery."""
        self.simulators = [
            self.programs.start(f"simulate-{name}", "--port", str(port))
            for name, port in (("model", self._model_port), ("whatsapp", self._whatsapp_port))
        ]
        await until(self._outside_answers, 30)
        await self.outside.whatsapp(statuses=False)

    async def _outside_answers(self) -> bool:
        try:
            await self.outside.model()
            await self.outside.whatsapp()
        except aiohttp.ClientError:
            return False
        return True

    async def start_api(self, **variables: str) -> None:
        """Start the API, and wait until it is ready."""
        self.api = await self.programs.serve(**variables)
        self.url = self.api.url

    async def start_worker(self, **variables: str) -> None:
        """Start one more worker, and wait until it is at work."""
        worker = self.programs.start("worker", **variables)
        await worker.says("worker started")
        self.workers.append(worker)

    async def warm_up(self) -> None:
        """Have some customers answered, so that all code is loaded and every connection is open."""
        for letter in letters(WARM_UP):
            await post(self.session, self.url, letter)
        await self.is_settled()

    async def is_settled(self) -> None:
        """Wait until every message has come to its end.

        Raises:
            TimeoutError: some have not within ANSWERED_SECONDS.
        """
        connection = await asyncpg.connect(self.administrator_url)
        try:
            async with asyncio.timeout(ANSWERED_SECONDS):
                while await connection.fetchval(UNFINISHED):  # noqa: ASYNC110  # another process's
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            await connection.close()

    @contextmanager
    def held(self) -> Iterator[list[psutil.Process]]:
        """The workers' processes, which stand still, at the latest until this ends."""
        processes = [psutil.Process(worker.process.pid) for worker in self.workers]
        freeze(processes)
        try:
            yield processes
        finally:
            thaw(processes)


@asynccontextmanager
async def running_desk() -> AsyncIterator[tuple[Servers, Desk]]:
    """An empty desk, whose API and workers have yet to be started."""
    with throw_away_folder() as folder, running_servers(folder) as servers:
        await prepare(servers.postgres_url)
        async with desk_on(servers, servers.postgres_url, servers.redis_url) as desk:
            await desk.start_outside()
            yield servers, desk


async def prepare(database_url: str) -> None:
    """Apply the schema, and make the least privileged login that the README recommends."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(SCHEMA.read_text())
    if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = 'desk'"):
        await connection.execute(LOGIN)
    await connection.close()


@asynccontextmanager
async def desk_on(servers: Servers, database_url: str, redis_url: str) -> AsyncIterator[Desk]:
    """A desk on that database, of which nothing runs yet; whatever was started ends with it."""
    with TemporaryDirectory(dir=servers.folder) as folder:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            desk = Desk(Path(folder), session, database_url=database_url, redis_url=redis_url)
            try:
                yield desk
            finally:
                desk.programs.end_all()


@asynccontextmanager
async def bare_handler(session: aiohttp.ClientSession) -> AsyncIterator[tuple[int, int]]:
    """The port and the process number of a bare handler."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.load.bare", str(port), start_new_session=True
    )

    async def answers() -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{port}/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    try:
        await until(answers, 30)
        yield port, process.pid
    finally:
        process.kill()
        await process.wait()
