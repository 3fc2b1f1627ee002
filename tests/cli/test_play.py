"""`frostdesk dev` and `frostdesk demo`, as somebody tries them who has set up nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.waiting import until

COMMAND = (sys.executable, "-m", "frostdesk")
OURS = ("FROSTDESK_", "OPENAI_")
PORTS = 3


def three_ports() -> int:
    """The first of three free ports in a row."""
    while True:
        first = free_port()
        with suppress(OSError):
            for port in range(first, first + PORTS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first


def nothing_set(**variables: str) -> dict[str, str]:
    """The environment of somebody who has configured nothing."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(OURS) or n.endswith("TEST_RUN")}
    return kept | variables


class Dev:
    """A running `frostdesk dev` in a folder of its own."""

    def __init__(self, folder: Path, port: int, **variables: str) -> None:
        self.folder = folder
        self.environment = nothing_set(FROSTDESK_PORT=str(port), **variables)
        self._log = folder / "dev.log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                (*COMMAND, "dev"),
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """All that it has printed."""
        return self._log.read_text()

    async def ready(self) -> None:
        """Wait until it says how to stop it."""

        async def said() -> bool:
            assert self.process.poll() is None, self.output()
            return "Ctrl-C" in self.output()

        await until(said, 40)

    async def ctrl_c(self) -> int:
        """Press Ctrl-C; gives the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return await asyncio.to_thread(self.process.wait, 30)

    async def shell(self, line: str) -> str:
        """What a line prints that is typed in another terminal, in the same folder."""
        done = await asyncio.to_thread(
            subprocess.run,
            ("sh", "-ec", line),
            cwd=self.folder,
            env=nothing_set(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    def printed(self, start: str) -> list[str]:
        """The printed commands that begin like this, continued lines joined."""
        joined = self.output().replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip().startswith(start)]

    def end(self) -> None:
        """End it in any case."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """A fresh start."""
    dev = Dev(tmp_path, three_ports())
    yield dev
    dev.end()


async def test_everything_on_one_machine(dev: Dev, tmp_path: Path) -> None:
    """What is printed works as printed; a second one is refused; Ctrl-C ends all; data stays."""
    await dev.ready()
    write, read, pending = dev.printed("curl")
    await dev.shell(write)

    async def answered() -> bool:
        return "10:00" in await dev.shell(read)

    await until(answered, 20)
    assert '"pending"' in await dev.shell(pending)
    (line,) = (await dev.shell("python -m frostdesk bookings")).splitlines()
    booking_id = line.split()[0]
    assert "confirmed" in await dev.shell(f"python -m frostdesk confirm {booking_id}")

    second = await asyncio.to_thread(
        subprocess.run,
        (*COMMAND, "dev"),
        cwd=tmp_path,
        env=dev.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 2
    assert "Port" in second.stderr
    assert "FROSTDESK_PORT" in second.stderr
    assert "Traceback" not in second.stderr

    assert await dev.ctrl_c() == 0
    assert "Traceback" not in dev.output()
    again = Dev(tmp_path, three_ports())
    try:
        await again.ready()
        assert "confirmed" in await again.shell("python -m frostdesk bookings")
        assert await again.ctrl_c() == 0
    finally:
        again.end()


async def test_a_model_and_an_address_of_ones_own_beside_a_simulated_whatsapp(
    tmp_path: Path,
) -> None:
    """With a key for the model and a host to listen on, everything else stands in as before."""
    port = three_ports()
    dev = Dev(
        tmp_path,
        port,
        FROSTDESK_HOST="127.0.0.2",
        OPENAI_API_KEY="sk-test",
        OPENAI_BASE_URL=f"http://127.0.0.1:{port + 1}/v1",
    )
    try:
        await dev.ready()
        assert f"http://127.0.0.2:{port}" in dev.output()
        assert "Simulated model" not in dev.output()
        assert f"http://127.0.0.1:{port + 2}" in dev.output()
        assert await dev.ctrl_c() == 0
    finally:
        dev.end()


async def test_what_was_killed_starts_again(dev: Dev, tmp_path: Path) -> None:
    """Killed hard, it leaves nothing behind that stands in the way of the next one."""
    await dev.ready()
    port = int(dev.environment["FROSTDESK_PORT"])
    dev.process.kill()
    dev.process.wait()

    async def free() -> bool:
        for offset in range(PORTS):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with suppress(OSError):
                    probe.bind(("127.0.0.1", port + offset))
                    continue
            return False
        return True

    await until(free, 30)
    again = Dev(tmp_path, port)
    try:
        await again.ready()
        assert await again.ctrl_c() == 0
    finally:
        again.end()


async def test_the_last_port_leaves_no_room(tmp_path: Path) -> None:
    """The simulators take the two ports after the API's."""
    dev = Dev(tmp_path, 65_535)
    assert await asyncio.to_thread(dev.process.wait, 20) == 2
    assert "FROSTDESK_PORT" in dev.output()
    assert "Traceback" not in dev.output()


async def test_ctrl_c_while_it_starts(dev: Dev) -> None:
    """Nobody has to wait until it is ready to have it stop."""

    async def starting() -> bool:
        return "Starting" in dev.output()

    await until(starting)
    assert await dev.ctrl_c() == 0
    assert "FrostDesk runs" not in dev.output()
    assert "Traceback" not in dev.output()


async def test_the_demo_tells_the_whole_story(tmp_path: Path) -> None:
    """It ends with 0, having shown customer, desk, instructor and a rebuild."""
    done = await asyncio.to_thread(
        subprocess.run,
        (*COMMAND, "demo"),
        cwd=tmp_path,
        env=nothing_set(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("customer", "desk", "instructor", "confirmed", "rebuild", "--verify"):
        assert part in done.stdout
    assert re.search(r"\b10:00\b", done.stdout)
    assert not (tmp_path / ".frostdesk").exists()
