"""FrostDesk's own commands, started as a user starts them, and ended with the test."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.support.service import COMMANDS, as_service
from tests.support.waiting import until

COMMAND = (sys.executable, "-m", "frostdesk")

START_SECONDS = 60.0
END_SECONDS = 20.0
RUN_SECONDS = 120.0


class Program:
    """One running command, in a process group of its own."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> None:
        self.url = f"http://127.0.0.1:{environment.get('FROSTDESK_PORT', '3000')}"
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                (*COMMAND, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def output(self) -> str:
        """All that it has written so far, standard error included."""
        return self._log.read_text(errors="replace")

    async def ready(self) -> None:
        """Wait until it answers `GET /health`."""
        async with aiohttp.ClientSession() as session:
            await until(lambda: self._is_healthy(session), START_SECONDS)

    async def says(self, text: str, seconds: float = START_SECONDS) -> None:
        """Wait until that text is in its output."""
        await until(lambda: self._has_said(text), seconds)

    async def terminate(self) -> int:
        """Ask it to end, as an operator does; gives its exit status."""
        self.process.terminate()
        return await self.wait()

    async def interrupt(self) -> int:
        """Press Ctrl-C, which reaches the whole group; gives its exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return await self.wait()

    def kill(self) -> None:
        """End the whole group without warning, and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(END_SECONDS)

    async def wait(self, seconds: float = END_SECONDS) -> int:
        """Wait until it has ended by itself; gives its exit status."""
        return await asyncio.to_thread(self.process.wait, seconds)

    async def _is_healthy(self, session: aiohttp.ClientSession) -> bool:
        self._must_run()
        with suppress(aiohttp.ClientError):
            async with session.get(f"{self.url}/health") as response:
                return response.status == 200
        return False

    async def _has_said(self, text: str) -> bool:
        said = text in self.output()
        if not said:
            self._must_run()
        return said

    def _must_run(self) -> None:
        if (status := self.process.poll()) is not None:
            raise AssertionError(f"it ended with status {status}:\n{self.output()}")


class Programs:
    """Starts commands with one environment, and ends whatever a test leaves running."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self._folder = folder
        self._started: list[Program] = []

    def start(self, *arguments: str, **variables: str) -> Program:
        """Start `frostdesk …`; `variables` are set on top of the environment.

        What serves enters the database as the service, other commands as its owner.
        """
        log = self._folder / f"{len(self._started)}-{arguments[0]}.log"
        environment = self.environment | variables
        if arguments[0] in COMMANDS and (url := environment.get("FROSTDESK_DATABASE_URL")):
            environment["FROSTDESK_DATABASE_URL"] = as_service(url)
        program = Program(arguments, environment, log)
        self._started.append(program)
        return program

    async def serve(self, **variables: str) -> Program:
        """Start the API on the environment's port, or another, and wait until it answers."""
        program = self.start("serve", **variables)
        await program.ready()
        return program

    async def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; gives its status, output and error output."""
        return await asyncio.to_thread(
            subprocess.run,
            (*COMMAND, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment | variables,
            timeout=RUN_SECONDS,
        )

    def end_all(self) -> None:
        """Kill what still runs."""
        for program in self._started:
            program.kill()
