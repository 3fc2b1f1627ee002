"""A browser, and a desk for it to look at: the real API and worker, with simulators around."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from tests.desk.browser import Browser, Page, chromium
from tests.desk.scene import Customers, open_desk
from tests.support.programs import Program, Programs


@pytest.fixture(scope="session")
def chromium_address() -> Iterator[str]:
    """Where the run's one browser is driven from."""
    with (
        # Its last writes may race with the removal of its profile.
        TemporaryDirectory(prefix="frostdesk-test-", ignore_cleanup_errors=True) as folder,
        chromium(Path(folder)) as address,
    ):
        yield address


@pytest.fixture
async def browser(chromium_address: str) -> AsyncIterator[Browser]:
    """The browser; the pages opened by this test are closed at its end, and none complained."""
    async with Browser.connected(chromium_address) as browser:
        yield browser
        complaints = [c for page in browser.pages.values() for c in page.complaints]
    assert complaints == []


@pytest.fixture
def service(request: pytest.FixtureRequest, programs: Programs) -> dict[str, Program]:
    """What of the service this test asks for, all started before any of it is waited for."""
    commands = {"api": "serve", "worker": "worker"}
    return {
        name: programs.start(command)
        for name, command in commands.items()
        if name in request.fixturenames
    }


@pytest.fixture
async def api(service: dict[str, Program]) -> Program:
    """The API, on this test's own port."""
    await service["api"].ready()
    return service["api"]


@pytest.fixture
async def worker(service: dict[str, Program], api: Program) -> Program:
    """A worker beside the API."""
    await service["worker"].says("worker started")
    assert api.process.poll() is None
    return service["worker"]


@pytest.fixture
async def customers(simulated_whatsapp: TestServer) -> AsyncIterator[Customers]:
    """The customers' phones, without their page."""
    async with TestClient[Request, Application](simulated_whatsapp) as client:
        yield Customers(client)


@pytest.fixture
async def desk(browser: Browser, api: Program) -> Page:
    """The desk on a wide screen, signed in."""
    return await open_desk(browser, api.url)
