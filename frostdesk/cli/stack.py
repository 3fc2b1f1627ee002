"""Everything on one machine: embedded servers, simulators, API and worker, each a real process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from frostdesk.errors import ConfigurationError, FrostDeskError

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
LAST_PORT = 65_535
SERVICE = ("serve", "worker")
BUSINESS_NUMBER = "100000000000001"


class Stack(msgspec.Struct, kw_only=True, eq=False):
    """A running desk. `environment` is what its processes were given."""

    environment: Mapping[str, str]
    model_url: str | None
    whatsapp_url: str | None
    processes: dict[str, asyncio.subprocess.Process]

    @property
    def url(self) -> str:
        """Where the API listens."""
        return f"http://{self.environment['FROSTDESK_HOST']}:{self.environment['FROSTDESK_PORT']}"

    async def ended(self) -> str:
        """Wait until one of the processes ends, which none should, and name it."""
        waiting = {
            asyncio.create_task(process.wait(), name=name)
            for name, process in self.processes.items()
        }
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return done.pop().get_name()


@contextlib.asynccontextmanager
async def running_stack(
    data_dir: Path, given: Mapping[str, str], *, quiet: bool = False
) -> AsyncIterator[Stack]:
    """Start what `given` (environment variables) does not name, and stop it all in the end.

    Raises:
        ConfigurationError: a port is taken, or a server cannot be had on this machine.
        FrostDeskError: a process did not become ready.
    """
    from frostdesk.cli.operations import apply_schema
    from frostdesk.embedded.process import guarded

    async with contextlib.AsyncExitStack() as ending:
        environment = complete(given)
        port = int(environment["FROSTDESK_PORT"])
        _check_ports(environment["FROSTDESK_HOST"], range(port, port + 3))
        environment |= _servers(data_dir, environment, ending)
        await apply_schema(environment["FROSTDESK_DATABASE_URL"])
        stack = Stack(
            environment=environment,
            model_url=f"http://127.0.0.1:{port + 1}" if simulates_model(given) else None,
            whatsapp_url=f"http://127.0.0.1:{port + 2}" if simulates_whatsapp(given) else None,
            processes={},
        )
        ending.push_async_callback(_stop, stack)
        commands = {name: [name] for name in SERVICE}
        places = [(environment["FROSTDESK_HOST"], port)]
        if stack.model_url:
            commands["simulated model"] = ["simulate-model", "--port", str(port + 1)]
            places.append(("127.0.0.1", port + 1))
        if stack.whatsapp_url:
            commands["simulated WhatsApp"] = ["simulate-whatsapp", "--port", str(port + 2)]
            places.append(("127.0.0.1", port + 2))
        for name, command in commands.items():
            stack.processes[name] = await _start(command, environment, quiet=quiet)
            ending.enter_context(guarded(stack.processes[name].pid, signal.SIGTERM))
        await _ready(stack, places)
        yield stack


def simulates_model(given: Mapping[str, str]) -> bool:
    """Whether the simulated model stands in: there is no key."""
    return not given.get("OPENAI_API_KEY")


def simulates_whatsapp(given: Mapping[str, str]) -> bool:
    """Whether the simulated WhatsApp stands in: there is no token."""
    return not given.get("FROSTDESK_WHATSAPP_TOKEN")


def complete(given: Mapping[str, str]) -> dict[str, str]:
    """The environment with made-up secrets and local addresses for what is not `given`."""
    port = int(given.get("FROSTDESK_PORT") or 3000)
    made_up = {
        "FROSTDESK_HOST": "127.0.0.1",
        "FROSTDESK_PORT": str(port),
        "FROSTDESK_INSTRUCTOR_TOKEN": secrets.token_urlsafe(16),
        "FROSTDESK_WHATSAPP_APP_SECRET": secrets.token_urlsafe(16),
        "FROSTDESK_WHATSAPP_VERIFY_TOKEN": secrets.token_urlsafe(16),
    }
    if simulates_model(given):
        made_up["OPENAI_API_KEY"] = secrets.token_urlsafe(16)
        made_up["OPENAI_BASE_URL"] = f"http://127.0.0.1:{port + 1}/v1"
    if simulates_whatsapp(given):
        made_up["FROSTDESK_WHATSAPP_TOKEN"] = secrets.token_urlsafe(16)
        made_up["FROSTDESK_WHATSAPP_PHONE_NUMBER_ID"] = BUSINESS_NUMBER
        made_up["FROSTDESK_WHATSAPP_API_URL"] = f"http://127.0.0.1:{port + 2}/v23.0"
    return made_up | {name: value for name, value in given.items() if value}


def _check_ports(host: str, ports: range) -> None:
    if ports[-1] > LAST_PORT:
        raise ConfigurationError(
            f"FROSTDESK_PORT has to leave room for two ports after it, up to {LAST_PORT}."
        )
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise ConfigurationError(
                    f"Port {port} on {host} cannot be used ({error.strerror}). Is another "
                    "FrostDesk running? FROSTDESK_PORT chooses another port; the two after it "
                    "are used as well."
                ) from error


def _servers(
    data_dir: Path, environment: Mapping[str, str], ending: contextlib.AsyncExitStack
) -> dict[str, str]:
    """Start the embedded servers that stand in for what is not named."""
    from frostdesk.embedded.postgres import start_postgres
    from frostdesk.embedded.redis import start_redis

    data_dir.mkdir(parents=True, exist_ok=True)
    urls: dict[str, str] = {}
    if not environment.get("FROSTDESK_DATABASE_URL"):
        server = ending.enter_context(start_postgres(data_dir / "postgres"))
        urls["FROSTDESK_DATABASE_URL"] = server.url
    if not environment.get("FROSTDESK_REDIS_URL"):
        urls["FROSTDESK_REDIS_URL"] = ending.enter_context(start_redis(data_dir / "redis")).url
    return urls


async def _start(
    command: list[str], environment: Mapping[str, str], *, quiet: bool
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "frostdesk",
        *command,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL if quiet else None,
        # A Ctrl-C is ours to pass on, in the right order.
        start_new_session=True,
    )


async def _ready(stack: Stack, places: list[tuple[str, int]]) -> None:
    """Wait until every host and port takes connections and the API says that it is ready."""
    import aiohttp

    ended = asyncio.create_task(stack.ended())
    try:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            while not ended.done():
                if all(map(_takes_connections, places)):
                    async with session.get(f"{stack.url}/ready") as answer:
                        if answer.ok:
                            return
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise FrostDeskError(f"FrostDesk was not ready within {READY_SECONDS:.0f} s.") from error
    finally:
        ended.cancel()
    raise FrostDeskError(f"The process `{ended.result()}` ended. What it printed says why.")


def _takes_connections(place: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(place, 1):
        return True
    return False


async def _stop(stack: Stack) -> None:
    """End every process: the service first, so that what it is at can end well."""
    service = [stack.processes.get(name) for name in SERVICE]
    await _end([process for process in service if process])
    await _end(list(stack.processes.values()))


async def _end(processes: list[asyncio.subprocess.Process]) -> None:
    """End them gently, and hard those that take too long."""
    running = [process for process in processes if process.returncode is None]
    for process in running:
        process.terminate()
    waiting = [asyncio.create_task(process.wait()) for process in running]
    if waiting:
        await asyncio.wait(waiting, timeout=STOP_SECONDS)
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.wait()
