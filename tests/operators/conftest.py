"""A service as the README tells to set it up: its own login, and a worker that listens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.support.databases import execute
from tests.support.desk import running_worker, settings_of
from tests.support.pooler import direct


def entered_as(login: str, url: str) -> str:
    """The same database, entered by another login."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.fixture(scope="session")
def service_login(postgres_server: str, template: str) -> Iterator[str]:
    """A login that can serve, and follow changes."""
    del template  # which has made the role
    login = f"frostdesk_test_{uuid4().hex}"
    server = direct(postgres_server)
    execute(server, f"CREATE ROLE {login} LOGIN REPLICATION IN ROLE frostdesk_service")
    yield login
    execute(server, f"DROP ROLE {login}")


@pytest.fixture
def healthy(environment: dict[str, str], direct_url: str, service_login: str) -> dict[str, str]:
    """A configuration with which there is nothing to say."""
    return environment | {
        "FROSTDESK_DATABASE_URL": entered_as(service_login, direct_url),
        "FROSTDESK_DIRECT_DATABASE_URL": "",
    }


@pytest.fixture
async def listening(healthy: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    """The same, with a worker at work."""
    async with running_worker(settings_of(healthy)):
        yield healthy
