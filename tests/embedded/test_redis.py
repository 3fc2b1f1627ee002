"""The embedded Redis: empty at every start, gone with its owner, plain about what is missing."""

from __future__ import annotations

from pathlib import Path

import arq.connections
import psutil
import pytest
import redis

from frostdesk.embedded import redis as embedded
from frostdesk.embedded.redis import find_redis, start_redis
from frostdesk.errors import ConfigurationError
from tests.support.owners import owner_of

OWNER = """
from pathlib import Path
from frostdesk.embedded.redis import start_redis
import sys, time
server = start_redis(Path(sys.argv[1]))
print(server.url, flush=True)
time.sleep(600)
"""


def test_it_answers_until_it_is_stopped(folder: Path) -> None:
    """A client can write and read; after a stop nobody answers, and a second stop does nothing."""
    with start_redis(folder) as server, redis.Redis.from_url(server.url) as client:
        client.set("bell", "rung")
        assert client.get("bell") == b"rung"
    server.stop()

    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


async def test_arq_understands_the_url(folder: Path) -> None:
    """The URL leads arq to the same server as redis."""
    with start_redis(folder) as server:
        queue = await arq.connections.create_pool(
            arq.connections.RedisSettings.from_dsn(server.url)
        )
        assert await queue.ping()
        await queue.aclose()


def test_a_second_start_is_empty_under_the_same_url(folder: Path) -> None:
    """Nothing is kept, as nothing in it is the only copy."""
    with start_redis(folder) as first, redis.Redis.from_url(first.url) as client:
        client.set("bell", "rung")
    with start_redis(folder) as second, redis.Redis.from_url(second.url) as client:
        assert client.dbsize() == 0
        assert second.url == first.url


def test_it_is_new_enough_and_off_the_network(folder: Path) -> None:
    """It is a Redis 6.2 or newer that listens on no port."""
    with start_redis(folder) as server, redis.Redis.from_url(server.url) as client:
        version = str(client.info("server")["redis_version"]).split(".")
        assert tuple(map(int, version[:2])) >= (6, 2)
        assert client.config_get("port") == {"port": "0"}


def test_it_ends_when_its_owner_is_killed(folder: Path) -> None:
    """A killed owner takes the server along, and the next start finds nothing in its way."""
    with owner_of(OWNER, folder) as owner:
        servers = owner.descendants("-server")
        assert servers
        owner.kill()
        assert psutil.wait_procs(servers, timeout=10)[1] == []
    start_redis(folder).stop()


def test_a_server_left_behind_is_ended_first(folder: Path) -> None:
    """Where the owner was killed together with its guard, the next start ends the old server."""
    with owner_of(OWNER, folder) as owner:
        [old] = owner.descendants("-server")
        owner.kill_guard()
        owner.kill()
        assert old.is_running()

        with start_redis(folder) as server, redis.Redis.from_url(server.url) as client:
            assert client.ping()
            assert not old.is_running()


def test_any_folder_will_do(folder: Path) -> None:
    """Spaces, quotes, foreign letters and a long path in the folder's name change nothing."""
    odd = folder / 'l\'école "de" ski' / ("ä" * 60)
    with start_redis(odd) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()


def test_without_any_redis_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text says what is missing, and the two ways out."""
    monkeypatch.setattr(embedded, "PACKAGES", ())
    monkeypatch.setenv("PATH", str(folder))

    with pytest.raises(ConfigurationError, match=r"no Redis.*Install.*FROSTDESK_REDIS_URL"):
        find_redis()


def test_an_old_or_broken_redis_is_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on the PATH is used only if it runs and is new enough; else the text names it."""
    place(folder / "redis-server", 'echo "Redis server v=5.0.7 sha=00000000:0"')
    place(folder / "valkey-server", "exit 1")
    monkeypatch.setattr(embedded, "PACKAGES", ())
    monkeypatch.setenv("PATH", str(folder))

    with pytest.raises(ConfigurationError, match=r"redis-server is too old.*does not run"):
        find_redis()


def test_a_server_on_the_path_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis or Valkey that the machine has is preferred to the one of a package."""
    place(folder / "valkey-server", 'echo "Valkey server v=8.1.0 sha=00000000:0"')
    monkeypatch.setenv("PATH", str(folder))

    assert find_redis() == folder / "valkey-server"


def place(path: Path, script: str) -> None:
    """Put a program that runs one line of shell at `path`."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
