"""docs/upgrade.md: today's version takes the place of the one before, while customers write.

`previous.tar.xz` is that version as it was: the folders `frostdesk` and `projections`, and
`schema.sql`. Its processes are real. When a version is released, it takes the place of this one:
`git archive COMMIT frostdesk projections schema.sql | xz -9e > tests/operators/previous.tar.xz`.
"""

from __future__ import annotations

import asyncio
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from frostdesk.store.database import Pool, create_pool
from tests.factories import wamid
from tests.operators.pages import following
from tests.support.bodies import text_message, webhook
from tests.support.databases import new_database
from tests.support.desk import Api, Desk, running_outside
from tests.support.ports import free_port
from tests.support.programs import Programs
from tests.support.waiting import until

PREVIOUS = Path(__file__).with_name("previous.tar.xz")
CUSTOMERS = 20
"""So many that none of them writes faster than an honest customer may."""

SOME = 5
PAUSE_SECONDS = 0.1


class Load:
    """Customers who write all the time, to every API that runs; counts what each has accepted."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.apis = [Api(session, url)]
        self.accepted: Counter[str] = Counter()
        self.ids: list[str] = []

    async def run(self) -> None:
        """Write until cancelled; every webhook has to be accepted."""
        while True:
            for api in self.apis:
                message_id, customer = wamid(), f"4179000{len(self.ids) % CUSTOMERS:04}"
                await api.webhook(
                    webhook(text_message("Hello", id=message_id, **{"from": customer}))
                )
                self.ids.append(message_id)
                self.accepted[api.url] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def goes_on(self, url: str) -> None:
        """Wait until that API has accepted some more."""
        before = self.accepted[url]

        async def accepted() -> bool:
            return self.accepted[url] >= before + SOME

        await until(accepted, 30)


@asynccontextmanager
async def writing(load: Load) -> AsyncIterator[None]:
    """Customers write meanwhile; an answer that is not 200 is an error of the test."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(load.run())
        yield
        task.cancel()


@pytest.fixture
def previous(tmp_path: Path) -> dict[str, str]:
    """The variables with which the command line is the previous version's."""
    folder = tmp_path / "previous"
    with tarfile.open(PREVIOUS) as archive:
        archive.extractall(folder, filter="data")
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


@pytest.fixture
def database_url(postgres_server: str) -> Iterator[str]:
    """An empty database: the previous version makes its own schema."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture
async def desk(
    environment: dict[str, str], database_url: str, previous: dict[str, str], programs: Programs
) -> AsyncIterator[Desk]:
    """The previous version's schema, and the outside world; nothing runs yet."""
    done = await programs.run("init-db", **previous)
    assert done.returncode == 0, done
    async with create_pool(database_url) as pool, running_outside(environment, pool) as desk:
        yield desk


async def test_the_new_version_takes_over_under_load(
    desk: Desk, programs: Programs, previous: dict[str, str], tmp_path: Path
) -> None:
    """No webhook is refused, every message is answered once, and the tables follow from the log."""
    old_api = await programs.serve(**previous)
    old_worker = programs.start("worker", **previous)
    await old_worker.says("worker started")
    assert await _applied_number(desk.pool) is None
    port = str(free_port())
    variables = programs.environment | {
        "OLD_API": str(old_api.process.pid),
        "OLD_WORKER": str(old_worker.process.pid),
        "NEW_PORT": port,
    }
    load = Load(desk.api.session, old_api.url)
    with following("upgrade.md", tmp_path, variables) as page:
        async with writing(load):
            await load.goes_on(old_api.url)
            assert "init-db" in await page.passes("Before")
            await page.passes("The schema")
            assert await _applied_number(desk.pool) is not None
            await load.goes_on(old_api.url)
            await page.passes("The new processes")
            load.apis.append(Api(desk.api.session, f"http://127.0.0.1:{port}"))
            await load.goes_on(load.apis[1].url)
            await load.goes_on(old_api.url)
            del load.apis[0]
            await page.passes("The new processes")
            assert [await old_api.wait(), await old_worker.wait()] == [0, 0]
            await load.goes_on(load.apis[0].url)
        await desk.is_idle(60)
        await page.passes("Afterwards")
        await _everybody_is_answered_once(desk, load.ids)


async def _everybody_is_answered_once(desk: Desk, ids: list[str]) -> None:
    received = [event["whatsapp_id"] for event in await desk.events("MessageReceived")]
    assert Counter(received) == Counter(ids)
    unanswered = await desk.pool.fetchval(
        "SELECT count(*) FROM messages WHERE role = 'user' AND status <> 'answered'"
    )
    assert unanswered == 0
    sent = Counter(send["message"]["biz_opaque_callback_data"] for send in await desk.sends())
    assert set(sent.values()) == {1}
    assert len(sent) == len(await desk.events("ReplyGenerated"))


async def _applied_number(pool: Pool) -> str | None:
    number: str | None = await pool.fetchval(
        "SELECT obj_description('public.events'::regclass, 'pg_class')"
    )
    return number
