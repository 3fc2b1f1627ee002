"""The whole service in the test's own process, between a simulated model and WhatsApp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestServer
from pytest_aiohttp import AiohttpServer

from frostdesk.simulators.state import WhatsAppSettings
from frostdesk.simulators.whatsapp import create_whatsapp_app
from frostdesk.store.database import Pool
from frostdesk.worker import steps, sweep
from tests.support.desk import (
    Desk,
    running_api,
    running_outside,
    running_worker,
    settings_of,
)
from tests.support.gates import Gate, gate_to
from tests.support.secrets import APP_SECRET, PHONE_NUMBER_ID, SECOND_NUMBER_ID, WHATSAPP_TOKEN


@pytest.fixture
async def simulated_whatsapp(aiohttp_server: AiohttpServer, api_port: int) -> TestServer:
    """A WhatsApp with two business numbers."""
    settings = WhatsAppSettings(
        app_secret=APP_SECRET,
        token=WHATSAPP_TOKEN,
        webhook_url=f"http://127.0.0.1:{api_port}/inbound",
        phone_number_ids=(PHONE_NUMBER_ID, SECOND_NUMBER_ID),
        tick_after=0.02,
    )
    return await aiohttp_server(create_whatsapp_app(settings))


@pytest.fixture
async def outside(environment: dict[str, str], pool: Pool, api_port: int) -> AsyncIterator[Desk]:
    """The API and the outside world; no worker yet."""
    async with (
        running_api(settings_of(environment), port=api_port),
        running_outside(environment, pool) as desk,
    ):
        yield desk


@pytest.fixture
async def to_model(environment: dict[str, str]) -> AsyncIterator[Gate]:
    """The worker's way to the model: an answer that is held there takes as long as a test likes."""
    async with gate_to(environment["OPENAI_BASE_URL"]) as gate:
        yield gate


@pytest.fixture
async def to_whatsapp(environment: dict[str, str]) -> AsyncIterator[Gate]:
    """The worker's way to WhatsApp."""
    async with gate_to(environment["FROSTDESK_WHATSAPP_API_URL"]) as gate:
        yield gate


@pytest.fixture
def gated(environment: dict[str, str], to_model: Gate, to_whatsapp: Gate) -> dict[str, str]:
    """The configuration of a worker that goes by those ways."""
    ways = {"OPENAI_BASE_URL": to_model.url, "FROSTDESK_WHATSAPP_API_URL": to_whatsapp.url}
    return environment | ways


@pytest.fixture
async def desk(outside: Desk, gated: dict[str, str]) -> AsyncIterator[Desk]:
    """Everything, one worker included."""
    async with running_worker(settings_of(gated)):
        yield outside


@pytest.fixture
def quick_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps follow one another closely, so that no test waits for seconds."""
    monkeypatch.setattr(sweep, "BEAT_SECONDS", 0.1)


@pytest.fixture
def quick_settling(monkeypatch: pytest.MonkeyPatch, quick_sweep: None) -> None:
    """A send of unknown outcome waits a moment only, in place of 20 s."""
    del quick_sweep
    for module in (steps, sweep):
        monkeypatch.setattr(module, "SETTLE", timedelta(seconds=0.5))


@pytest.fixture
def whatsapp_url(simulated_whatsapp: TestServer) -> str:
    """Where the simulated WhatsApp listens."""
    return str(simulated_whatsapp.make_url("")).rstrip("/")
