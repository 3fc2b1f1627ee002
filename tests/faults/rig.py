"""A whole FrostDesk as real processes, each of which can be broken by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import asyncpg
import psutil

from frostdesk.embedded.postgres import start_postgres
from frostdesk.embedded.process import RunningServer
from frostdesk.embedded.redis import start_redis
from tests.faults.clock import Clock
from tests.faults.disk import small_disk
from tests.support.databases import SCHEMA, execute
from tests.support.desk import Outside
from tests.support.environments import complete_environment
from tests.support.ports import free_port
from tests.support.programs import Program, Programs
from tests.support.waiting import until

WORKERS = 2
CONNECTIONS = 60
DISK_MB = 1024
GRACE_SECONDS = 30.0
"""What a container gives a process that is asked to end."""

POSTGRES = {
    "max_connections": str(CONNECTIONS),
    # As little as possible is kept ready, so that a full disk is felt at once.
    "shared_buffers": "16MB",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
}
UNFINISHED = """
SELECT (SELECT count(*) FROM messages
         WHERE status IN ('waiting', 'pending', 'unsettled', 'repeated'))
     + (SELECT count(*) FROM bookings WHERE decision_id IS DISTINCT FROM announced_id) AS number
"""
LOGIN = "CREATE ROLE desk LOGIN REPLICATION IN ROLE frostdesk_service"


class Rig:
    """PostgreSQL, Redis, a simulated model and WhatsApp, one API and some workers.

    `complaints` are what went wrong with the processes themselves, for the judge.
    """

    def __init__(
        self, folder: Path, session: aiohttp.ClientSession, *, clock: Clock, has_small_disk: bool
    ) -> None:
        self.folder = folder
        self.session = session
        self.clock = clock
        self.has_small_disk = has_small_disk
        self.complaints: list[str] = []
        self.api_port, self._model_port, self._whatsapp_port = (free_port() for _ in range(3))
        self._start_servers()
        self._admin_url = self.postgres.url
        self.programs = Programs(self._environment(), folder)
        self.outside = Outside(
            session,
            f"http://127.0.0.1:{self._model_port}",
            f"http://127.0.0.1:{self._whatsapp_port}",
        )

    # The servers

    def _start_servers(self) -> None:
        self._start_postgres()
        self._start_redis()

    def _environment(self) -> dict[str, str]:
        url = self._admin_url.replace("postgres@", "desk@", 1)
        return self.clock.variables() | complete_environment(
            database_url=url,
            redis_url=self.redis.url,
            port=self.api_port,
            model_url=f"http://127.0.0.1:{self._model_port}/v1",
            whatsapp_url=f"http://127.0.0.1:{self._whatsapp_port}/v23.0",
        )

    async def stop_server(self, server: RunningServer) -> None:
        """Ask PostgreSQL or Redis to end, and wait until it has."""
        await asyncio.to_thread(server.stop)

    async def crash_postgres(self) -> None:
        """Have PostgreSQL end at once, without a checkpoint: it has to recover."""
        self.postgres_process().send_signal(signal.SIGQUIT)
        await self.stop_server(self.postgres)

    async def start_postgres(self) -> None:
        """Start PostgreSQL again on the data that it had."""
        await asyncio.to_thread(self._start_postgres)

    def _start_postgres(self) -> None:
        with self.clock.shown_to_children():
            self.postgres = start_postgres(self.folder / "postgres", settings=POSTGRES)

    async def start_redis(self) -> None:
        """Start a Redis that knows nothing."""
        await asyncio.to_thread(self._start_redis)

    def _start_redis(self) -> None:
        self.redis = start_redis(self.folder / "redis")

    def postgres_process(self) -> psutil.Process:
        """The process that all of PostgreSQL's others come from."""
        file = self.folder / "postgres" / "cluster" / "postmaster.pid"
        return psutil.Process(int(file.read_text().split("\n", 1)[0]))

    async def is_settled(self) -> bool:
        """Whether every message and every decision has come to its end."""
        return bool((await self.sql(UNFINISHED))[0]["number"] == 0)

    async def sql(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """What a query of the administrator's gives."""
        async with self.administrator() as connection:
            return await connection.fetch(query, *arguments)

    @asynccontextmanager
    async def administrator(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection that may do everything, and finds a place where others find none."""
        connection = await asyncpg.connect(self._admin_url, timeout=10)
        try:
            yield connection
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=5)

    # FrostDesk's own processes

    async def start(self) -> None:
        """Prepare the database and start everything."""
        await asyncio.to_thread(execute, self._admin_url, SCHEMA.read_text())
        await self.sql(LOGIN)
        self.start_model()
        self.programs.start("simulate-whatsapp", "--port", str(self._whatsapp_port))
        await self.start_api()
        self.workers: list[Program] = []
        await self.start_workers(WORKERS)
        await self.outside_answers()

    async def outside_answers(self) -> None:
        """Wait until the model and WhatsApp answer."""

        async def answers() -> bool:
            with suppress(aiohttp.ClientError):
                await self.outside.model()
                await self.outside.whatsapp()
                return True
            return False

        await until(answers, 20)

    def start_model(self) -> None:
        """Start the simulated model."""
        self.model = self.programs.start("simulate-model", "--port", str(self._model_port))

    async def start_api(self) -> None:
        """Start the API and wait until it answers."""
        self.api = await self.programs.serve(FROSTDESK_DATABASE_URL=self._url_of("api"))

    async def start_workers(self, count: int) -> None:
        """Start so many workers and wait until they are at work."""
        new = [
            self.programs.start("worker", FROSTDESK_DATABASE_URL=self._url_of("worker"))
            for _ in range(count)
        ]
        self.workers += new
        await asyncio.gather(*(worker.says("worker started") for worker in new))

    def _url_of(self, name: str) -> str:
        return f"{self.programs.environment['FROSTDESK_DATABASE_URL']}&application_name={name}"

    def kill_workers(self, count: int = WORKERS) -> None:
        """`kill -9` some workers, or all of them."""
        for worker in self.workers[:count]:
            worker.kill()
        del self.workers[:count]

    async def end(self, program: Program) -> None:
        """SIGTERM, as a rolling restart sends it; what is not well is a complaint."""
        began = asyncio.get_running_loop().time()
        program.process.terminate()
        try:
            status = await program.wait(GRACE_SECONDS)
        except TimeoutError:
            self.complaints.append(f"a process did not end within {GRACE_SECONDS:.0f} s")
            program.kill()
            return
        if status:
            seconds = asyncio.get_running_loop().time() - began
            self.complaints.append(f"SIGTERM ended in status {status} after {seconds:.0f} s")

    def programs_running(self) -> dict[str, Program]:
        """The service's processes by name."""
        workers = {f"worker {n}": worker for n, worker in enumerate(self.workers, 1)}
        return {"api": self.api, **workers}

    def has_lost_a_process(self) -> bool:
        """Whether a process has ended without being told to."""
        return any(p.process.poll() is not None for p in self.programs_running().values())

    def check_processes(self) -> None:
        """Complain of every process that has ended without being told to."""
        for name, program in self.programs_running().items():
            if (status := program.process.poll()) is not None:
                self.complaints.append(f"{name} ended by itself with status {status}")

    # Holding them at a step

    @asynccontextmanager
    async def appends_held(self) -> AsyncIterator[None]:
        """Whoever appends waits before its transaction reads or writes anything."""
        async with self.administrator() as connection:
            await connection.execute("SELECT pg_advisory_lock(4607452716)")
            yield

    @asynccontextmanager
    async def commits_held(self) -> AsyncIterator[None]:
        """Whoever commits has committed for good, and waits for a replica before it is told so."""
        await self._wait_for_replica("nobody")
        try:
            yield
        finally:
            await self._wait_for_replica("")

    async def _wait_for_replica(self, name: str) -> None:
        async with self.administrator() as connection:
            await connection.execute("SET synchronous_commit = local")
            await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            await connection.execute("SELECT pg_reload_conf()")

    async def is_held(self, name: str, event: str) -> None:
        """Wait until a process of that name waits in PostgreSQL for `event`."""

        async def held() -> bool:
            rows = await self.sql(
                "SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event = $2",
                name,
                event,
            )
            return bool(rows)

        await until(held, 20)


def freeze(processes: Sequence[psutil.Process]) -> None:
    """Let none of them run, while their connections stay."""
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)


def thaw(processes: Sequence[psutil.Process]) -> None:
    """Let them run again."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)


@asynccontextmanager
async def running_rig() -> AsyncIterator[Rig]:
    """A rig at work; nothing of it is left afterwards."""
    async with AsyncExitStack() as ending:
        folder = Path(ending.enter_context(TemporaryDirectory(prefix="frostdesk-faults-")))
        has_disk = ending.enter_context(small_disk(folder / "postgres", megabytes=DISK_MB))
        timeout = aiohttp.ClientTimeout(total=30)
        # Connections that a fault has piled up go again: the API's open files are to be compared.
        connector = aiohttp.TCPConnector(keepalive_timeout=5)
        session = await ending.enter_async_context(
            aiohttp.ClientSession(timeout=timeout, connector=connector)
        )
        rig = Rig(folder, session, clock=Clock(folder / "clock"), has_small_disk=has_disk)
        ending.push_async_callback(_stop, rig)
        await rig.start()
        yield rig


async def _stop(rig: Rig) -> None:
    rig.programs.end_all()
    await rig.stop_server(rig.redis)
    await rig.stop_server(rig.postgres)
