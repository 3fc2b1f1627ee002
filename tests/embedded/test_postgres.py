"""The embedded PostgreSQL: keeps its data, survives any end of its parent, says what is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import psutil
import pytest

from frostdesk.embedded.postgres import start_postgres
from frostdesk.errors import ConfigurationError, GiveUpError
from tests.support.databases import query
from tests.support.owners import owner_of

FAST = {"fsync": "off"}
OWNER = """
from pathlib import Path
from frostdesk.embedded.postgres import start_postgres
import sys, time
server = start_postgres(Path(sys.argv[1]), settings={"fsync": "off"})
print(server.url, flush=True)
time.sleep(600)
"""


def test_a_second_start_keeps_the_data_and_the_url(folder: Path) -> None:
    """What was stored is there after a stop and a start, under the same URL."""
    with start_postgres(folder, settings=FAST) as first:
        query(first.url, "CREATE TABLE lessons AS SELECT 42 AS price")
    with start_postgres(folder, settings=FAST) as second:
        assert query(second.url, "SELECT price FROM lessons")[0]["price"] == 42
        assert second.url == first.url


def test_it_is_what_the_service_needs(folder: Path) -> None:
    """It is durable, ready for logical decoding, UTF-8, and out of the network's reach."""
    with start_postgres(folder) as server:
        shown = {
            name: query(server.url, f"SHOW {name}")[0][0]
            for name in ("fsync", "synchronous_commit", "wal_level", "server_encoding")
        }
        listening = query(server.url, "SHOW listen_addresses")[0][0]

    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "wal_level": "logical",
        "server_encoding": "UTF8",
    }
    assert listening == ""


def test_the_older_version_starts_too(folder: Path) -> None:
    """PostgreSQL 16 can be asked for instead of 18."""
    with start_postgres(folder, version=16, settings=FAST) as server:
        assert query(server.url, "SHOW server_version_num")[0][0].startswith("16")


def test_stop_ends_the_server_and_may_be_repeated(folder: Path) -> None:
    """After stop nobody answers and no socket is left; a second stop does nothing."""
    server = start_postgres(folder, settings=FAST)
    sockets = Path(server.url.partition("?host=")[2])
    server.stop()
    server.stop()

    assert not sockets.exists()
    with pytest.raises(OSError, match="No such file"):
        query(server.url, "SELECT 1")


def test_it_ends_when_its_owner_is_killed(folder: Path) -> None:
    """A killed owner takes the server along, and the next start has all the data."""
    with owner_of(OWNER, folder) as owner:
        query(owner.url, "CREATE TABLE lessons AS SELECT 43 AS price")
        servers = owner.descendants("postgres")
        owner.kill()
        assert psutil.wait_procs(servers, timeout=10)[1] == []

    with start_postgres(folder, settings=FAST) as server:
        assert query(server.url, "SELECT price FROM lessons")[0]["price"] == 43


def test_a_server_left_behind_is_ended_first(folder: Path) -> None:
    """Where the owner was killed together with its guard, the next start ends the old server."""
    with owner_of(OWNER, folder) as owner:
        query(owner.url, "CREATE TABLE lessons AS SELECT 44 AS price")
        old = psutil.Process(server_pid(folder))
        owner.kill_guard()
        owner.kill()
        assert old.is_running()

        with start_postgres(folder, settings=FAST) as server:
            assert query(server.url, "SELECT price FROM lessons")[0]["price"] == 44
            assert not old.is_running()


def test_a_start_right_after_a_kill_succeeds(folder: Path) -> None:
    """A start need not wait until the server of a killed owner has gone."""
    with owner_of(OWNER, folder) as owner:
        owner.kill()
        with start_postgres(folder, settings=FAST) as server:
            assert query(server.url, "SELECT 1")[0][0] == 1


async def test_a_crashed_server_recovers(folder: Path) -> None:
    """After a crash of PostgreSQL what was committed is there, though a session was still busy."""
    server = start_postgres(folder, settings=FAST)
    session = await asyncpg.connect(server.url)
    await session.execute("CREATE TABLE lessons AS SELECT 45 AS price")
    busy = asyncio.create_task(session.execute("DO 'BEGIN LOOP END LOOP; END'"))
    await asyncio.sleep(0.1)
    os.kill(server_pid(folder), signal.SIGKILL)
    server.stop()

    with start_postgres(folder, settings=FAST) as server:
        session = await asyncpg.connect(server.url)
        assert await session.fetchval("SELECT price FROM lessons") == 45
        await session.close()
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await busy


def test_a_stale_process_number_does_no_harm(folder: Path) -> None:
    """A left-over pid file that names a process of somebody else stops neither us nor it."""
    start_postgres(folder, settings=FAST).stop()
    (folder / "cluster/postmaster.pid").write_text(f"{os.getpid()}\n{folder}/cluster\n")

    with start_postgres(folder, settings=FAST) as server:
        assert query(server.url, "SELECT 1")[0][0] == 1


def test_an_interrupted_first_start_is_begun_again(folder: Path) -> None:
    """Half a cluster is thrown away, not started."""
    unfinished = folder / "unfinished-x"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")

    with start_postgres(folder, settings=FAST):
        assert not unfinished.exists()


def test_any_folder_will_do(folder: Path) -> None:
    """Spaces, quotes, foreign letters and a long path in the folder's name change nothing."""
    with start_postgres(folder / "l'école de ski" / ("ä" * 60), settings=FAST) as server:
        assert query(server.url, "SELECT 1")[0][0] == 1


def test_the_environment_does_not_reach_the_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables meant for another PostgreSQL, or a locale that is missing, do not disturb."""
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
    server = start_postgres(folder, settings=FAST)
    monkeypatch.undo()
    with server:
        assert query(server.url, "SHOW port")[0][0] == "5432"


def test_data_of_another_version_is_refused(folder: Path) -> None:
    """The text names both versions and the folder, and how to keep the data or begin afresh."""
    (folder / "cluster").mkdir()
    (folder / "cluster/PG_VERSION").write_text("17\n")

    with pytest.raises(ConfigurationError) as refusal:
        start_postgres(folder)

    for word in ("PostgreSQL 17", "PostgreSQL 18", str(folder), "import", "begin afresh"):
        assert word in str(refusal.value)


def test_an_unknown_version_is_refused(folder: Path) -> None:
    """The text names the versions that there are."""
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 9 .* only 16 and 18"):
        start_postgres(folder, version=9)


def test_a_failed_start_shows_the_log_and_leaves_nothing(folder: Path) -> None:
    """The text has PostgreSQL's own words; a start with better settings then works."""
    with pytest.raises(GiveUpError, match=r"(?s)ended with status 1.*invalid value.*wal_buffers"):
        start_postgres(folder, settings={"fsync": "off", "wal_buffers": "nonsense"})

    start_postgres(folder, settings=FAST).stop()


def test_it_asks_for_no_password_but_lets_nobody_else_in(folder: Path) -> None:
    """The socket lies in a folder that only its owner may enter."""
    with start_postgres(folder, settings=FAST) as server:
        folder = Path(server.url.partition("?host=")[2])
        assert folder.stat().st_mode & 0o077 == 0
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            query(server.url.replace("/frostdesk?", "/nothing?"), "SELECT 1")


def server_pid(folder: Path) -> int:
    """The process number of the server that runs in `folder`."""
    return int((folder / "cluster/postmaster.pid").read_text().split()[0])
