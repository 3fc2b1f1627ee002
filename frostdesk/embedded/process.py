"""A process that ends when we end, however we end.

A guard, a one-line shell that holds the other end of a pipe, sees us die even by SIGKILL and stops
the process. What outlives the guard too is found at the next start by the folder it works in.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from frostdesk.embedded.account import Account, as_user
from frostdesk.errors import GiveUpError

READY_SECONDS = 120.0
"""Time for a server to come up; PostgreSQL may have to recover from an unclean end first."""

STOP_SECONDS = 20.0
"""Time that a server has to heed one signal before the next, harder one."""

LOG_TAIL_LINES = 8

_GUARD = 'read -r _; kill -s "$1" "$2"'


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """How to run a server, as whom, where it logs, and the signals that end it, gentlest first.

    `home` is the folder that the server itself, and whatever it starts, goes to and works in: a
    server that was left behind is known by it.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    account: Account | None
    stop_signals: tuple[signal.Signals, ...]
    home: Path


class RunningServer:
    """A server at `url` that runs until `stop`, the end of a `with` block, or our own end.

    Keep it: a server that nothing refers to any longer ends as well.
    """

    def __init__(self, url: str, ending: ExitStack) -> None:
        self.url = url
        self._ending = ending

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and wait until it is gone; harmless when it is gone already."""
        self._ending.close()


@contextmanager
def run(program: Program) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server, in a session of its own, so that a terminal's Ctrl-C does not reach it."""
    with program.log.open("ab") as log:
        server = subprocess.Popen(  # noqa: S603  # a command of our own making
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=clean_environment(),
            start_new_session=True,
            **as_user(program.account),
        )
    try:
        with guarded(server.pid, program.stop_signals[0]):
            yield server
    finally:
        _end(server, (*program.stop_signals, signal.SIGKILL))


def clean_environment() -> dict[str, str]:
    """Our environment without what would change a server's settings or language unasked."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


@contextmanager
def guarded(pid: int, stop_signal: signal.Signals) -> Iterator[None]:
    """Have our child `pid` get this signal should we end within, by whatever means."""
    name = stop_signal.name.removeprefix("SIG")
    with subprocess.Popen(  # noqa: S603  # a command of our own making
        ("/bin/sh", "-c", _GUARD, "guard", name, str(pid)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    ) as guard:
        try:
            yield
        finally:
            guard.kill()  # before its pipe closes, which it would take for our end


def _end(server: subprocess.Popen[bytes], signals: Sequence[signal.Signals]) -> None:
    for number in signals:
        if server.poll() is not None:
            return
        server.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)


def end_left_behind(program: Program) -> None:
    """End the servers of this folder that an earlier owner left running.

    Raises:
        GiveUpError: one of them does not end.
    """
    import psutil  # noqa: PLC0415  # 15 ms that only an embedded server is worth

    found = psutil.process_iter(["name", "cwd"])
    known_by = {"name": Path(program.command[0]).name, "cwd": str(program.home)}
    left = [process for process in found if process.info == known_by]
    for number in (*program.stop_signals, signal.SIGKILL):
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, left = psutil.wait_procs(left, timeout=STOP_SECONDS)
        if not left:
            return
    raise GiveUpError(
        f"A {program.name} of an earlier run (process {left[0].pid}) does not end. "
        "End it yourself, then start again."
    )


def wait_until(
    ready: Callable[[], bool], *, server: subprocess.Popen[bytes], program: Program
) -> None:
    """Wait until `ready` says yes.

    Raises:
        GiveUpError: the server ended, or is not ready in time; the text has the end of its log.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if server.poll() is not None:
            raise GiveUpError(_failure(program, f"ended with status {server.returncode}"))
        if time.monotonic() > deadline:
            raise GiveUpError(_failure(program, f"was not ready within {READY_SECONDS:.0f} s"))
        time.sleep(0.01)


def _failure(program: Program, what: str) -> str:
    lines = program.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return f"{program.name} {what}. Its log, {program.log}, ends with:\n  " + "\n  ".join(lines)


def accepts_connections(path: Path) -> bool:
    """Whether a server listens on the socket at `path`."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(path))
        return True
    return False
