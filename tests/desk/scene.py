"""What the browser tests have in common: customers who write, and a desk that is signed in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.desk.browser import Browser, Page
from tests.support.secrets import INSTRUCTOR_TOKEN

ANA = ("41790000001", "Ana Bianchi")
JONAS = ("41790000002", "Jonas Keller")

Client = TestClient[web.Request, web.Application]


class Customers:
    """Customers who write through the simulated WhatsApp's control routes."""

    def __init__(self, whatsapp: Client) -> None:
        self._whatsapp = whatsapp

    async def write(self, customer: tuple[str, str], text: str) -> None:
        """The customer (number and name) writes a text."""
        key, name = customer
        body = {"name": name, "text": text}
        async with self._whatsapp.post(f"/_customers/{key}/messages", json=body) as answer:
            assert answer.status == 202

    async def write_all(self, texts: list[tuple[str, str]]) -> None:
        """As many messages in one webhook, each a number and a text."""
        now = int(datetime.now(UTC).timestamp())
        messages: list[dict[str, Any]] = [
            {
                "id": f"wamid.{n}.{number}",
                "from": number,
                "timestamp": str(now),
                "type": "text",
                "text": {"body": text},
            }
            for n, (number, text) in enumerate(texts)
        ]
        async with self._whatsapp.post("/_webhooks", json=messages) as answer:
            assert answer.status == 202

    async def confuse(self, model: TestServer, *faults: str) -> None:
        """Have the simulated model answer its next requests with these faults."""
        session = self._whatsapp.session
        async with session.post(model.make_url("/_control"), json={"faults": faults}) as answer:
            assert answer.status == 200

    async def received(self, customer: tuple[str, str]) -> list[str]:
        """The texts that the customer got."""
        async with self._whatsapp.get(f"/_customers/{customer[0]}/messages") as answer:
            return [m["text"] for m in (await answer.json())["items"] if not m["by_customer"]]


async def open_desk(
    browser: Browser,
    url: str,
    *,
    token: str = INSTRUCTOR_TOKEN,
    width: int = 1360,
    height: int = 860,
) -> Page:
    """Open the desk at `url`, sign in as the instructor does, and wait until it is live."""
    page = await browser.open(url, width=width, height=height)
    await page.prefer(scheme="light")
    await page.type("#token", token)
    await page.press("Enter")
    await page.sees(".bar .state[data-state=live]")
    return page
