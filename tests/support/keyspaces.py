"""An empty key space of a Redis server, whoever else uses that server."""

from __future__ import annotations

from contextlib import suppress

import redis

DATABASES = range(16)
"""What a Redis has unless its configuration says otherwise."""


def empty_keyspace(server_url: str) -> str:
    """The URL of the first numbered database of that server that has no key.

    Raises:
        RuntimeError: every one of them is in use.
    """
    place, _, options = server_url.partition("?")
    kept = [option for option in options.split("&") if option and not option.startswith("db=")]
    for number in DATABASES:
        url = f"{place}?{'&'.join([*kept, f'db={number}'])}"
        with suppress(redis.ResponseError), redis.Redis.from_url(url) as client:
            if client.dbsize() == 0:
                return url
    raise RuntimeError("Every database of that Redis holds keys. Empty one, or name another Redis.")


def flush(url: str) -> None:
    """Remove every key of that key space."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()
