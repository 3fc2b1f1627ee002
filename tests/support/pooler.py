"""pgbouncer in front of the test server, in transaction mode, as hosted databases often have it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from frostdesk.embedded.account import let_through, server_account
from frostdesk.embedded.process import Program, run, wait_until
from tests.support.ports import free_port, listens

# Debian keeps it where only root looks.
PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")

CONFIGURATION = """
[databases]
* = host={host} port={port} auth_user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
pool_mode = transaction
auth_type = trust
auth_file = {folder}/users.txt
auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = $1
max_client_conn = 1000
default_pool_size = 20
ignore_startup_parameters = extra_float_digits
"""

_behind: dict[str, str] = {}
"""The server behind each pooler that runs."""


def direct(url: str) -> str:
    """The same database without the pooler that `url` leads through, if it does."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    if place not in _behind:
        return url
    server = urlsplit(_behind[place])
    login = parts.netloc.rpartition("@")[0]
    behind = f"{login}@{server.netloc.rpartition('@')[2]}"
    return parts._replace(netloc=behind, query=server.query).geturl()


@contextmanager
def running_pooler(server_url: str, folder: Path) -> Iterator[str]:
    """The URL of that server by way of a pooler of its own."""
    assert PROGRAM, "There is no pgbouncer: apt-get install pgbouncer."
    server, port = urlsplit(server_url), free_port()
    account = server_account(folder)
    if account:
        let_through(folder)
    (folder / "users.txt").write_text(f'"{server.username}" "{server.password or ""}"\n')
    (folder / "pgbouncer.ini").write_text(
        CONFIGURATION.format(
            host=parse_qs(server.query).get("host", [server.hostname])[0],
            port=server.port or 5432,
            user=server.username,
            listen_port=port,
            folder=folder,
        )
    )
    if account:
        for path in folder.iterdir():
            account.own(path)
    program = Program(
        name="pgbouncer",
        command=(PROGRAM, str(folder / "pgbouncer.ini")),
        log=folder / "log",
        account=account,
        stop_signals=(signal.SIGTERM,),
        home=folder,
    )
    place = f"127.0.0.1:{port}"
    with run(program) as process:
        wait_until(lambda: listens(port), server=process, program=program)
        _behind[place] = server_url
        yield server._replace(netloc=f"{server.username}@{place}", query="").geturl()
        del _behind[place]
