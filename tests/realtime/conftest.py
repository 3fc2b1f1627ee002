"""The endpoint, served over real HTTP, and a process that appends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from tests.support.desk import Api, api_settings, running_api


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """The API on this test's database and Redis."""
    async with running_api(api_settings(database_url, redis_url)) as api:
        yield api


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    """Another process that appends to the same log."""
    async with EventStore(pool) as store:
        yield store
