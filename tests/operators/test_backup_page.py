"""docs/backup.md, followed to the letter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from frostdesk.store.database import Pool
from tests.operators.pages import following
from tests.support.databases import new_database, query
from tests.support.desk import running_outside
from tests.support.ports import free_port
from tests.support.programs import Programs


@pytest.fixture
def new_url(postgres_server: str) -> Iterator[str]:
    """An empty database."""
    with new_database(postgres_server) as url:
        yield url


async def test_a_backup_is_taken_tried_and_restored(
    environment: dict[str, str], programs: Programs, pool: Pool, new_url: str, tmp_path: Path
) -> None:
    """What was said stands in the restored database and is served from it."""
    await programs.serve()
    await programs.start("worker").says("worker started")
    variables = environment | {"NEW_DATABASE_URL": new_url}
    async with running_outside(environment, pool) as desk:
        await desk.phone().write("A lesson on Saturday at 10 for two hours, please")
        await desk.phone().hears()
        await desk.has_events("ReplySent")
        await desk.is_idle()
        conversation = str(await desk.conversation_id())
        with following("backup.md", tmp_path, variables) as page:
            await page.passes("Take a backup")
            first = (tmp_path / "backup.jsonl").read_text()
            await desk.phone("41790000002").write("Hello, here is Ben")
            await desk.phone("41790000002").hears()
            await desk.has_events("ReplySent", 2)
            await desk.is_idle()
            programs.end_all()
            await page.passes("Take a backup")
            whole = (tmp_path / "backup.jsonl").read_text()
            assert whole.startswith(first)
            assert len(whole.splitlines()) == await pool.fetchval("SELECT count(*) FROM events")

            await page.passes("Try it")
            restored = {"FROSTDESK_DATABASE_URL": new_url, "FROSTDESK_DIRECT_DATABASE_URL": ""}
            await page.passes("Restore", CONVERSATION=conversation, **restored)
            port = str(free_port())
            assert "ready" in await page.passes("Restore", FROSTDESK_PORT=port, **restored)
    before = await pool.fetch("SELECT id FROM messages ORDER BY id")
    everything = "SELECT id, content FROM messages ORDER BY id"
    after = await asyncio.to_thread(query, new_url, everything)
    assert [row["id"] for row in after] == [row["id"] for row in before]
    assert "Ben" in str(after)
    assert "Saturday" not in str(after)
