"""The service as tests run it: API and worker in the test's own process, on real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import msgspec

from frostdesk.api.app import connection_options, create_app
from frostdesk.settings import Settings, read_settings
from frostdesk.store.database import Pool
from frostdesk.whatsapp.signature import sign
from frostdesk.worker.main import run_worker
from tests.factories import ANA
from tests.support.pooler import direct
from tests.support.secrets import APP_SECRET, INSTRUCTOR_TOKEN, PHONE_NUMBER_ID
from tests.support.servers import served
from tests.support.service import as_service
from tests.support.waiting import until


class Phone:
    """One customer's end: writes, edits and deletes through the simulated WhatsApp."""

    def __init__(self, session: aiohttp.ClientSession, whatsapp: str, key: str = ANA) -> None:
        self._session = session
        self._whatsapp = whatsapp
        self._url = f"{whatsapp}/_customers/{key}"

    async def write(self, text: str, **more: Any) -> str:
        """Send a message; gives WhatsApp's id of it."""
        answer = await self._post("messages", {"text": text, "name": "Ana", **more})
        return str(answer["message_id"])

    async def edit(self, message_id: str, text: str) -> None:
        """Change a message."""
        await self._post("edit", {"message_id": message_id, "text": text})

    async def delete(self, message_id: str) -> None:
        """Take a message back."""
        await self._post("delete", {"message_id": message_id})

    async def heard(self) -> list[str]:
        """The texts that came from the desk, oldest first."""
        async with self._session.get(f"{self._url}/messages") as answer:
            chat = (await answer.json())["items"] if answer.ok else []
        return [m["text"] for m in chat if not m["by_customer"]]

    async def hears(self, count: int = 1, seconds: float = 15.0) -> list[str]:
        """Wait until so many texts have come; gives them all."""

        async def enough() -> list[str]:
            texts = await self.heard()
            return texts if len(texts) >= count else []

        return await until(enough, seconds)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(f"{self._url}/{path}", json=body) as answer:
            taken: dict[str, Any] = await answer.json()
            assert answer.status == 202, taken
            return taken


class Outside:
    """The simulated model and WhatsApp, told how to behave and asked what they have seen."""

    def __init__(self, session: aiohttp.ClientSession, model: str, whatsapp: str) -> None:
        self._session = session
        self._model = model
        self._whatsapp = whatsapp

    def phone(self, key: str = ANA) -> Phone:
        """The phone of that customer."""
        return Phone(self._session, self._whatsapp, key)

    async def model(self, **control: Any) -> None:
        """Tell the model how to behave."""
        await self._control(self._model, control)

    async def whatsapp(self, **control: Any) -> None:
        """Tell WhatsApp how to behave."""
        await self._control(self._whatsapp, control)

    async def model_calls(self) -> int:
        """How often the model has been called."""
        return int((await self._get(f"{self._model}/_control"))["requests"])

    async def model_is_called(self, times: int = 1, seconds: float = 10.0) -> None:
        """Wait until the model has been called so often, and is perhaps still thinking."""

        async def called() -> bool:
            return await self.model_calls() >= times

        await until(called, seconds)

    async def sends_that_failed(self, given: int) -> int:
        """How many of so many faults given to WhatsApp have been met by a send."""
        control = (await self._get(f"{self._whatsapp}/_control"))["control"]
        return given - len(control["faults"])

    async def prompts(self) -> list[list[dict[str, Any]]]:
        """The messages of the newest calls of the model."""
        newest = (await self._get(f"{self._model}/_control"))["newest"]
        return [request["messages"] for request in newest]

    async def sends(self) -> list[dict[str, Any]]:
        """Everything that WhatsApp took from the desk, oldest first."""
        sends: list[dict[str, Any]] = (await self._get(f"{self._whatsapp}/_sends"))["items"]
        return sends

    async def deliver(self, *messages: dict[str, Any]) -> None:
        """Have message objects delivered as they are, in one webhook."""
        url = f"{self._whatsapp}/_webhooks"
        async with self._session.post(url, data=json.dumps(messages)) as answer:
            assert answer.status == 202, await answer.text()

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._session.get(url) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def _control(self, url: str, control: dict[str, Any]) -> None:
        async with self._session.post(f"{url}/_control", json=control) as answer:
            assert answer.status == 200, await answer.text()


class Api:
    """The service over HTTP, as WhatsApp and the instructor use it."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, path: str, status: int = 200, /, **query: Any) -> dict[str, Any]:
        """The instructor reads. Asserts the status and the kind of answer that belongs to it."""
        return await self._ask("GET", path, status, params=query)

    async def post(self, path: str, status: int = 200) -> dict[str, Any]:
        """The instructor orders."""
        return await self._ask("POST", path, status)

    async def webhook(self, body: Any, status: int = 200, **headers: str) -> dict[str, Any]:
        """Deliver a webhook as WhatsApp does: signed. `body` is bytes, or written as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = {"X-Hub-Signature-256": sign(raw, APP_SECRET.encode())}
        return await self._ask("POST", "/inbound", status, data=raw, headers=signature | headers)

    async def _ask(
        self, method: str, path: str, status: int, *, headers: Mapping[str, str] = {}, **more: Any
    ) -> dict[str, Any]:
        token = {"Authorization": f"Bearer {INSTRUCTOR_TOKEN}"} | dict(headers)
        async with self.session.request(method, self.url + path, headers=token, **more) as answer:
            raw = await answer.read()
            assert answer.status == status, (answer.status, raw[:500])
            if not raw:
                return {}
            body: dict[str, Any] = json.loads(raw)
            if status >= 400:
                assert_problem(body, status, answer.content_type)
            return body


def assert_problem(body: Mapping[str, Any], status: int, content_type: str) -> None:
    """The answer is a problem of RFC 9457 that says something."""
    assert content_type == "application/problem+json"
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert len(body["detail"]) > 10


class Desk(Outside):
    """API, worker and the outside world, all running."""

    def __init__(
        self, session: aiohttp.ClientSession, environment: Mapping[str, str], pool: Pool
    ) -> None:
        model = environment["OPENAI_BASE_URL"].removesuffix("/v1")
        whatsapp = environment["FROSTDESK_WHATSAPP_API_URL"].removesuffix("/v23.0")
        super().__init__(session, model, whatsapp)
        self.pool = pool
        self.redis_url = environment["FROSTDESK_REDIS_URL"]
        self.api = Api(session, f"http://127.0.0.1:{environment['FROSTDESK_PORT']}")

    async def events(self, *types: str) -> list[dict[str, Any]]:
        """The data of the events of these types, in order, each with its `type` and `event_id`."""
        rows = await self.pool.fetch(
            "SELECT id, type, data FROM events"
            " WHERE type = ANY ($1) OR $1 = '{}' ORDER BY position",
            list(types),
        )
        return [
            {**json.loads(r["data"]), "type": r["type"], "event_id": str(r["id"])} for r in rows
        ]

    async def has_events(self, event_type: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until there are so many events of a type; gives them."""

        async def enough() -> list[dict[str, Any]]:
            found = await self.events(event_type)
            return found if len(found) >= count else []

        return await until(enough, 15)

    async def conversation_id(self) -> UUID:
        """The one conversation that there is."""
        found: UUID = await self.pool.fetchval("SELECT id FROM conversations")
        return found

    async def has_rows(self, sql: str, count: int = 1) -> list[asyncpg.Record]:
        """Wait until a query gives so many rows; gives them."""

        async def enough() -> list[asyncpg.Record]:
            rows = await self.pool.fetch(sql)
            return rows if len(rows) >= count else []

        return await until(enough, 15)

    async def is_idle(self, seconds: float = 15.0) -> None:
        """Wait until nothing is left to do and nobody is at it."""

        async def idle() -> bool:
            unfinished = await self.pool.fetchval(
                "SELECT count(*) FROM messages WHERE status IN ('waiting', 'pending')"
            )
            claims = await self.pool.fetchval("SELECT count(*) FROM claims")
            return (unfinished, claims) == (0, 0)

        await until(idle, seconds)


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The settings of a complete environment."""
    return read_settings(environment, required=())


def api_settings(database_url: str, redis_url: str) -> Settings:
    """What the API needs, without the outside world."""
    return Settings(
        database_url=database_url,
        direct_database_url=direct(database_url),
        redis_url=redis_url,
        whatsapp_app_secret=APP_SECRET,
        whatsapp_verify_token="a-verify-token",
        whatsapp_phone_number_id=PHONE_NUMBER_ID,
        instructor_token=INSTRUCTOR_TOKEN,
    )


def _least_privileged(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, database_url=as_service(settings.database_url))


@asynccontextmanager
async def running_api(settings: Settings, *, port: int | None = None) -> AsyncIterator[Api]:
    """The API, served on a free port or on that one."""
    app = create_app(_least_privileged(settings))
    async with (
        served(app, port=port, **connection_options()) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Api(session, str(server.make_url("")).rstrip("/"))


@asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """A worker that is asked to end afterwards, and does."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(_least_privileged(settings), stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


@asynccontextmanager
async def running_outside(environment: Mapping[str, str], pool: Pool) -> AsyncIterator[Desk]:
    """The outside world and a view into the database; the service is started by the test."""
    async with aiohttp.ClientSession() as session:
        yield Desk(session, environment, pool)
