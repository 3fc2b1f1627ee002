"""Redis, and whether a worker listens there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

from arq.connections import ArqRedis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from frostdesk.cli.doctor.verdict import Verdict
from frostdesk.doorbell import WORKER_NAME, connect_redis
from frostdesk.settings import Settings

OLDEST_REDIS = (6, 2)

WORKER_SECONDS = 8.0
"""How long a worker may need that has just been started, or whose Redis has."""

PAUSE_SECONDS = 0.2


async def check_redis(settings: Settings) -> list[Verdict]:
    """Verdicts on the doorbell, and on whether anybody hears it."""
    redis = connect_redis(settings.redis_url)
    try:
        info = await cast("Awaitable[dict[str, Any]]", redis.info())
        await redis.set("frostdesk:doctor", b"1", px=1000)
        await redis.register_script("return 1")()
        return [_server(info), await _worker(redis)]
    except AuthenticationError:
        advice = "Correct user and password in FROSTDESK_REDIS_URL."
        return [Verdict("redis", "failed", "the login is refused", advice)]
    except NoPermissionError as error:
        advice = "Let the login run every command on FrostDesk's keys, scripts included (+@all)."
        return [Verdict("redis", "failed", f"the login may not do all: {error}", advice)]
    except ResponseError as error:
        advice = (
            "Is its memory full (`maxmemory`), or is it a replica? Until it takes bells again,"
            " customers are answered by the sweep, some seconds later."
        )
        return [Verdict("redis", "failed", f"refuses to write: {error}", advice)]
    except (RedisError, OSError) as error:
        advice = (
            "Is it running, and is FROSTDESK_REDIS_URL right? Until it is, customers are answered"
            " by the sweep, some seconds later."
        )
        return [Verdict("redis", "failed", f"no use ({type(error).__name__})", advice)]
    finally:
        await redis.aclose()


def _server(info: dict[str, Any]) -> Verdict:
    version = str(info["redis_version"])
    if tuple(map(int, version.split(".")[:2])) < OLDEST_REDIS:
        return Verdict("redis", "failed", f"Redis {version} is too old", "Upgrade to 6.2.")
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory") and policy != "noeviction":
        seen = f"throws keys away when memory is short ({policy}), waiting jobs too"
        advice = "Set maxmemory-policy to noeviction, or give FrostDesk a Redis of its own."
        return Verdict("redis", "warning", seen, advice)
    return Verdict("redis", "ok", f"Redis {version}")


async def _worker(redis: ArqRedis) -> Verdict:
    try:
        async with asyncio.timeout(WORKER_SECONDS):
            while not await _is_connected(redis):  # noqa: ASYNC110  # Redis tells nobody by itself
                await asyncio.sleep(PAUSE_SECONDS)
    except ResponseError:
        return Verdict("worker", "ok", "this Redis does not say who is connected")
    except TimeoutError:
        advice = "Start `frostdesk worker`, with this FROSTDESK_REDIS_URL: nobody answers."
        return Verdict("worker", "failed", "none is connected to Redis", advice)
    return Verdict("worker", "ok", "at least one listens")


async def _is_connected(redis: ArqRedis) -> bool:
    clients = await cast("Awaitable[list[dict[str, str]]]", redis.client_list())
    return any(client.get("name") == WORKER_NAME for client in clients)
