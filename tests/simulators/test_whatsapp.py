"""The simulated WhatsApp over HTTP, with a service on loopback that takes its webhooks."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient, AiohttpServer

from frostdesk.simulators import outbox
from frostdesk.simulators.serving import CLOSING
from frostdesk.simulators.whatsapp import WhatsAppSettings, create_whatsapp_app
from tests.support import waiting

Client = TestClient[Any, Any]
SECRET = "app-secret"
ADA = "41790000001"
SENDS = "/v23.0/100/messages"
TOKEN = {"Authorization": "Bearer token"}


class Service:
    """The business's side: keeps the webhooks, and answers each with the next of `statuses`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []

    async def inbound(self, request: web.Request) -> web.Response:
        """`POST /inbound`."""
        body = await request.read()
        expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert request.headers["X-Hub-Signature-256"] == expected
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.bodies.append(body)
        return web.Response(status=status)

    def values(self) -> list[dict[str, Any]]:
        """The values of all changes so far."""
        decoded = [msgspec.json.decode(body) for body in self.bodies]
        return [c["value"] for d in decoded for e in d["entry"] for c in e["changes"]]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All `messages`, `statuses` or `contacts` so far."""
        return [item for value in self.values() for item in value.get(kind, [])]


@pytest.fixture
def service() -> Service:
    """A service that takes every webhook."""
    return Service()


@pytest.fixture
async def whatsapp(
    aiohttp_client: AiohttpClient, aiohttp_server: AiohttpServer, service: Service
) -> Client:
    """A simulated WhatsApp in front of that service."""
    app = web.Application()
    app.router.add_post("/inbound", service.inbound)
    server = await aiohttp_server(app)
    settings = WhatsAppSettings(
        app_secret=SECRET,
        token="token",
        webhook_url=str(server.make_url("/inbound")),
        phone_number_ids=("100", "200"),
        tick_after=0.01,
    )
    client = await aiohttp_client(create_whatsapp_app(settings))
    runner = client.server.runner
    assert runner
    assert runner.server
    # Whoever hangs up ends no handler where it is served by itself; aiohttp's tests have it so.
    runner.server.handler_cancellation = False
    return client


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""

    async def probe() -> bool:
        return holds()

    await waiting.until(probe)


async def until_chat(whatsapp: Client, key: str, ticks: list[str]) -> list[dict[str, Any]]:
    """The chat of a customer, once its messages have these ticks."""

    async def probe() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = await get(whatsapp, f"/_customers/{key}/messages")
        return items if [m["ticks"] for m in items] == ticks else []

    return await waiting.until(probe)


async def get(whatsapp: Client, path: str) -> Any:
    """The items that a list holds."""
    async with whatsapp.get(path) as response:
        assert response.status == 200
        return (await response.json())["items"]


async def post(whatsapp: Client, path: str, body: Any) -> Any:
    """The answer to a control request that is accepted."""
    async with whatsapp.post(path, json=body) as response:
        assert response.status in (200, 202), await response.text()
        return await response.json()


async def write(whatsapp: Client, key: str = ADA, **fields: Any) -> str:
    """Have a customer write. Returns the message's id."""
    answer = await post(whatsapp, f"/_customers/{key}/messages", {"text": "Hello", **fields})
    return str(answer["message_id"])


async def send(whatsapp: Client, **fields: Any) -> tuple[int, Any]:
    """Send a text to Ada, but for `fields`. Returns status and body."""
    body = {"messaging_product": "whatsapp", "type": "text", "text": {"body": "Hi"}, **fields}
    if "recipient" not in fields:
        body.setdefault("to", ADA)
    async with whatsapp.post(SENDS, json=body, headers=TOKEN) as response:
        return response.status, await response.json()


def end_pauses(whatsapp: Client) -> None:
    """Let nobody be stalled any longer, as when the server shuts down."""
    whatsapp.app[CLOSING].set()


async def test_a_customer_writes(whatsapp: Client, service: Service) -> None:
    """A message arrives as a signed webhook in WhatsApp's shape, with both identities."""
    began = int(time.time())
    message_id = await write(whatsapp, name="Ada", username="ada.skis")
    await until(lambda: bool(service.bodies))
    (value,) = service.values()
    (message,), (contact,) = value["messages"], value["contacts"]
    assert value["metadata"]["phone_number_id"] == "100"
    assert message["id"] == message_id
    assert message["from"] == contact["wa_id"] == ADA
    assert message["from_user_id"] == contact["user_id"]
    assert contact["profile"] == {"name": "Ada", "username": "ada.skis"}
    assert (message["type"], message["text"]) == ("text", {"body": "Hello"})
    assert began <= int(message["timestamp"]) <= time.time()


async def test_a_hidden_phone(whatsapp: Client, service: Service) -> None:
    """Who hides the number is known by the business-scoped id, and is reached through it."""
    await write(whatsapp, no_phone=True, user_id="CH.7")
    await until(lambda: bool(service.bodies))
    assert "from" not in service.all("messages")[0]
    assert "wa_id" not in service.all("contacts")[0]
    status, answer = await send(whatsapp, recipient="CH.7")
    assert status == 200
    assert answer["contacts"] == [{"input": "CH.7", "user_id": "CH.7"}]
    await until_chat(whatsapp, ADA, ["delivered", "read"])
    await until(lambda: len(service.all("statuses")) == 3)
    assert service.all("statuses")[0]["recipient_user_id"] == "CH.7"


async def test_a_send_is_delivered_and_read(whatsapp: Client, service: Service) -> None:
    """A send reaches the phone and reports sent, delivered and read, with its callback data."""
    await write(whatsapp)
    status, answer = await send(whatsapp, biz_opaque_callback_data="reply-1")
    assert status == 200
    assert answer["contacts"] == [{"input": ADA, "wa_id": ADA}]
    await until(lambda: len(service.all("statuses")) == 3)
    statuses = sorted(service.all("statuses"), key=lambda s: s["status"])
    assert [s["status"] for s in statuses] == ["delivered", "read", "sent"]
    assert {s["id"] for s in statuses} == {answer["messages"][0]["id"]}
    assert {s["biz_opaque_callback_data"] for s in statuses} == {"reply-1"}
    chat = await until_chat(whatsapp, ADA, ["delivered", "read"])
    assert [(m["by_customer"], m["text"]) for m in chat] == [(True, "Hello"), (False, "Hi")]
    assert (await get(whatsapp, "/_sends"))[0]["status"] == "read"


async def test_an_id_in_the_wrong_field(whatsapp: Client, service: Service) -> None:
    """A business-scoped id in `to` is accepted, and the text is silently dropped."""
    await write(whatsapp, no_phone=True, user_id="CH.7")
    assert (await send(whatsapp, to="CH.7"))[0] == 200
    await until_chat(whatsapp, ADA, ["delivered"])
    assert [s["status"] for s in await get(whatsapp, "/_sends")] == ["dropped"]
    assert not service.all("statuses")


async def test_the_window(whatsapp: Client, service: Service) -> None:
    """More than 24 hours after the customer's last message a send is accepted, and then fails."""
    await write(whatsapp, timestamp=int(time.time()) - 90_000)
    assert (await send(whatsapp))[0] == 200
    await until(lambda: bool(service.all("statuses")))
    (failed,) = service.all("statuses")
    assert failed["status"] == "failed"
    assert failed["errors"][0]["code"] == 131047
    assert len(await get(whatsapp, f"/_customers/{ADA}/messages")) == 1
    await write(whatsapp)
    assert (await send(whatsapp))[0] == 200
    await until_chat(whatsapp, ADA, ["delivered", "delivered", "read"])


async def test_edit_and_delete(whatsapp: Client, service: Service) -> None:
    """A customer's change and deletion reach the service and show on the phone."""
    message_id = await write(whatsapp)
    await post(whatsapp, f"/_customers/{ADA}/edit", {"message_id": message_id, "text": "Hey"})
    (shown,) = await get(whatsapp, f"/_customers/{ADA}/messages")
    assert (shown["text"], shown["edited"]) == ("Hey", True)
    await post(whatsapp, f"/_customers/{ADA}/delete", {"message_id": message_id})
    (shown,) = await get(whatsapp, f"/_customers/{ADA}/messages")
    assert (shown["text"], shown["deleted"]) == ("", True)
    await until(lambda: len(service.all("messages")) == 3)
    by_type = {m["type"]: m for m in service.all("messages")}
    new_text = {"type": "text", "text": {"body": "Hey"}}
    assert by_type["edit"]["edit"] == {"original_message_id": message_id, "message": new_text}
    assert by_type["revoke"]["revoke"] == {"original_message_id": message_id}


async def test_read_marks(whatsapp: Client) -> None:
    """A read mark with a typing indicator is kept, and the customer sees the ticks."""
    message_id = await write(whatsapp)
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}
    body = {**mark, "typing_indicator": {"type": "text"}}
    async with whatsapp.post(SENDS, json=body, headers=TOKEN) as response:
        assert await response.json() == {"success": True}
    await until_chat(whatsapp, ADA, ["read"])
    assert await get(whatsapp, "/_read_marks") == [{"message_id": message_id, "typing": True}]


async def test_webhooks_are_tried_again(whatsapp: Client, service: Service) -> None:
    """A webhook that is not answered 200 comes again until it is, letter for letter."""
    service.statuses = [500, 401, 503]
    await write(whatsapp)
    await until(lambda: bool(service.bodies))
    async with whatsapp.get("/_control") as response:
        counters = (await response.json())["webhooks"]
    assert counters["retried"] == 3


async def test_webhooks_as_given(whatsapp: Client, service: Service) -> None:
    """Raw message objects arrive in one body and unchanged, even those that nobody understands."""
    raw = rb'[{"from":"41790000002","id":"wamid.x","timestamp":"1800000000","type":"text",'
    raw += rb'"text":{"body":"\ud800"}},{"id":7},null]'
    headers = {"Content-Type": "application/json"}
    async with whatsapp.post("/_webhooks", data=raw, headers=headers) as response:
        assert response.status == 202
    await until(lambda: bool(service.bodies))
    assert raw in service.bodies.pop()
    good = {"from": ADA, "id": "wamid.y", "timestamp": "1800000000", "type": "location"}
    await post(whatsapp, "/_webhooks?phone_number_id=200", [good])
    await until(lambda: bool(service.bodies))
    assert service.values()[0]["metadata"]["phone_number_id"] == "200"
    (shown,) = await get(whatsapp, f"/_customers/{ADA}/messages")
    assert shown["text"] == "[location]"


async def test_batches_and_duplicates(
    whatsapp: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items can be made to share a webhook, across business numbers, and to come twice."""
    monkeypatch.setattr(outbox, "BATCH_WAIT", 60)
    await post(whatsapp, "/_control", {"batch": 3, "duplicate_webhooks": True})
    for number in ("100", "200", "100"):
        await write(whatsapp, phone_number_id=number)
    await until(lambda: len(service.bodies) == 2)
    assert service.bodies[0] == service.bodies[1]
    assert sorted(len(v["messages"]) for v in service.values()[:2]) == [1, 2]


async def test_quiet_statuses(whatsapp: Client, service: Service) -> None:
    """Without statuses the phone still shows the text, and the service hears nothing of it."""
    await post(whatsapp, "/_control", {"statuses": False, "read": False})
    await write(whatsapp)
    await send(whatsapp)
    await until_chat(whatsapp, ADA, ["delivered", "delivered"])
    assert not service.all("statuses")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("500", 500, 131000),
        ("503", 503, 131016),
        ("429:2", 429, 130429),
        ("code:131056", 429, 131056),
        ("code:131056:400", 400, 131056),
        ("code:131047", 400, 131047),
        ("code:190", 401, 190),
    ],
)
async def test_refusing_faults(whatsapp: Client, fault: str, status: int, code: int) -> None:
    """A refusal comes with Meta's status and code, once, and nothing was taken."""
    await post(whatsapp, "/_control", {"faults": [fault]})
    answered, body = await send(whatsapp)
    assert (answered, body["error"]["code"]) == (status, code)
    assert not await get(whatsapp, "/_sends")
    assert (await send(whatsapp))[0] == 200


async def test_asks_to_wait(whatsapp: Client) -> None:
    """`429:2` asks to wait two seconds."""
    await post(whatsapp, "/_control", {"faults": ["429:2"]})
    body = {"messaging_product": "whatsapp", "to": ADA, "text": {"body": "Hi"}}
    async with whatsapp.post(SENDS, json=body, headers=TOKEN) as response:
        assert response.headers["Retry-After"] == "2"


@pytest.mark.parametrize(("fault", "taken"), [("cut", 0), ("accepted_then_cut", 1)])
async def test_cut_connections(whatsapp: Client, service: Service, fault: str, taken: int) -> None:
    """A connection may break before the text is taken, or after; only then statuses follow."""
    await post(whatsapp, "/_control", {"faults": [fault]})
    with pytest.raises(aiohttp.ClientConnectionError):
        await send(whatsapp, biz_opaque_callback_data="reply-1")
    assert len(await get(whatsapp, "/_sends")) == taken
    await until(lambda: len(service.all("statuses")) == 3 * taken)


@pytest.mark.parametrize("fault", ["accepted_then_stall:60", "accepted_then_cut:60"])
async def test_taken_and_answered_late(whatsapp: Client, service: Service, fault: str) -> None:
    """A text may be taken, and its statuses come, long before its sender hears of it."""
    await post(whatsapp, "/_control", {"faults": [fault]})
    sending = asyncio.create_task(send(whatsapp))
    await until(lambda: len(service.all("statuses")) == 3)
    assert not sending.done()
    end_pauses(whatsapp)
    await asyncio.gather(sending, return_exceptions=True)
    assert len(await get(whatsapp, "/_sends")) == 1


async def test_a_stall_ends(whatsapp: Client) -> None:
    """A text is taken and answered once so many seconds are over."""
    await post(whatsapp, "/_control", {"faults": ["stall:0.1", "accepted_then_stall:0.1"]})
    for number in (1, 2):
        began = time.monotonic()
        assert (await send(whatsapp))[0] == 200
        assert time.monotonic() - began >= 0.1
        assert len(await get(whatsapp, "/_sends")) == number


async def test_garbage_and_late_failure(whatsapp: Client, service: Service) -> None:
    """Garbage is no JSON and takes nothing; a send may be accepted and fail later."""
    await post(whatsapp, "/_control", {"faults": ["garbage", "fails:131026"]})
    with pytest.raises(aiohttp.ContentTypeError):
        await send(whatsapp)
    assert not await get(whatsapp, "/_sends")
    assert (await send(whatsapp))[0] == 200
    await until(lambda: bool(service.all("statuses")))
    assert service.all("statuses")[0]["errors"][0]["code"] == 131026


async def test_an_abandoned_stall_takes_nothing(whatsapp: Client) -> None:
    """A sender that hangs up during a stall has sent nothing."""
    await post(whatsapp, "/_control", {"faults": ["stall:60"]})
    sending = asyncio.create_task(send(whatsapp))

    async def stalls() -> bool:
        async with whatsapp.get("/_control") as response:
            return not (await response.json())["control"]["faults"]

    await waiting.until(stalls)
    sending.cancel()
    await asyncio.wait([sending])
    await get(whatsapp, "/_sends")  # by the answer, the server knows as well who has hung up
    end_pauses(whatsapp)
    assert not await get(whatsapp, "/_sends")


async def test_checks_token_and_number(whatsapp: Client) -> None:
    """A wrong token is 401 with code 190; an unknown number is refused; the right one is shown."""
    cases: list[tuple[str, dict[str, str], int, int | None]] = [
        ("/v23.0/100", {"Authorization": "Bearer other"}, 401, 190),
        ("/v23.0/100", {}, 401, 190),
        ("/v23.0/999", TOKEN, 400, 100),
        ("/v23.0/200", TOKEN, 200, None),
    ]
    for path, headers, status, code in cases:
        async with whatsapp.get(path, headers=headers) as response:
            assert response.status == status
            assert (await response.json()).get("error", {}).get("code") == code


async def test_bad_control_requests(whatsapp: Client) -> None:
    """What cannot be done is refused with a text that says why."""
    await write(whatsapp)
    cases: list[tuple[str, Any, int]] = [
        ("/_control", {"faults": ["explode"]}, 400),
        ("/_control", {"faults": ["code"]}, 400),
        ("/_control", {"speed": 1}, 400),
        (f"/_customers/{ADA}/messages", {}, 400),
        (f"/_customers/{ADA}/messages", {"text": "x", "phone_number_id": "999"}, 400),
        (f"/_customers/{ADA}/messages", {"text": "x", "timestamp": 10**15}, 400),
        (f"/_customers/{ADA}/edit", {"message_id": "wamid.none", "text": "x"}, 404),
        ("/_customers/41790000009/delete", {"message_id": "wamid.none"}, 404),
        ("/_webhooks", {"not": "a list"}, 400),
    ]
    for path, body, status in cases:
        async with whatsapp.post(path, json=body) as response:
            assert response.status == status, path
            assert (await response.json())["error"]


async def test_reset(whatsapp: Client) -> None:
    """A reset forgives everything, and forgets nobody."""
    await post(whatsapp, "/_control", {"faults": ["500"], "batch": 5})
    assert (await whatsapp.delete("/_control")).status == 204
    await write(whatsapp)
    assert (await send(whatsapp))[0] == 200
    assert [c["key"] for c in await get(whatsapp, "/_customers")] == [ADA]
