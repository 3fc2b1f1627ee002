"""Liveness and readiness."""

from __future__ import annotations

import asyncio

from tests.support.databases import execute, name_of
from tests.support.desk import Api, api_settings, running_api
from tests.support.gates import gate_to
from tests.support.waiting import until


async def test_it_is_alive_and_ready(api: Api) -> None:
    """With both servers there, anyone may ask and is told so."""
    for path, status in (("/health", "ok"), ("/ready", "ready")):
        async with api.session.get(api.url + path) as answer:
            assert answer.status == 200
            assert (await answer.json())["status"] == status


async def test_without_postgresql_it_lives_but_is_not_ready(
    database_url: str, redis_url: str
) -> None:
    """PostgreSQL away is 503 for `/ready` and nothing for `/health`; its return is noticed."""
    async with (
        gate_to(database_url) as gate,
        running_api(api_settings(gate.url, redis_url)) as api,
    ):
        await gate.close()
        assert (await api.get("/health"))["status"] == "ok"
        async with api.session.get(f"{api.url}/ready") as answer:
            assert answer.status == 503
            body = await answer.json()
        assert body["status"] == "unavailable"
        assert body["redis"] == "ok"
        await gate.open()

        async def is_ready() -> bool:
            async with api.session.get(f"{api.url}/ready") as answer:
                return answer.status == 200

        await until(is_ready)


async def test_a_database_that_takes_nothing_is_told(
    direct_url: str, redis_url: str, postgres_server: str
) -> None:
    """It answers, so this is no 503; what is amiss with it stands in the answer."""
    set_aside = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$"
    await asyncio.to_thread(
        execute, direct_url, set_aside.format("default_transaction_read_only = on")
    )
    async with running_api(api_settings(direct_url, redis_url)) as api:
        assert await api.get("/ready") == {
            "status": "degraded",
            "postgresql": "takes no writes",
            "redis": "ok",
        }
    async with running_api(api_settings(postgres_server, redis_url)) as api:
        assert "init-db" in (await api.get("/ready"))["postgresql"]


async def test_a_database_that_refuses_us_is_told(direct_url: str, redis_url: str) -> None:
    """A database that there is not, as a password that is wrong, is 503 and no error of ours."""
    nowhere = direct_url.replace(name_of(direct_url), "not_there")
    async with (
        running_api(api_settings(nowhere, redis_url)) as api,
        api.session.get(f"{api.url}/ready") as answer,
    ):
        assert answer.status == 503
        assert "InvalidCatalogName" in (await answer.json())["postgresql"]


async def test_it_starts_while_both_servers_are_away(database_url: str, redis_url: str) -> None:
    """The API starts without PostgreSQL and Redis, and works once they are there."""
    async with gate_to(database_url) as postgresql, gate_to(redis_url) as redis:
        await postgresql.close()
        await redis.close()
        async with running_api(api_settings(postgresql.url, redis.url)) as api:
            assert (await api.get("/health"))["status"] == "ok"
            await postgresql.open()
            assert (await api.get("/ready"))["status"] == "degraded"
            assert await api.get("/bookings") == {"items": [], "cursor": None}
