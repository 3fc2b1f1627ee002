"""Sending through WhatsApp's API, against real servers on loopback."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from socket import SO_LINGER, SOL_SOCKET, socket
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from frostdesk.errors import FrostDeskError, GiveUpError, OutcomeUnknownError, TryAgainError
from frostdesk.whatsapp.client import Address, WhatsApp
from tests.support.servers import served, stop_accepting

TOKEN = "invented-token-123"
MIA = Address(wa_id="41790000001", user_id="CH.1")
ACCEPTED = {"messages": [{"id": "wamid.OUT1"}]}
LOST = [
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Len",
    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
    b"no protocol at all\r\n\r\n",
]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def whatsapp_at(url: str, *, seconds: float = 5) -> AsyncIterator[WhatsApp]:
    """A client of the API at this address."""
    async with aiohttp.ClientSession() as session:
        yield WhatsApp(session, api_url=url, token=TOKEN, timeout=seconds)


@asynccontextmanager
async def answered_by(handler: Handler, *, seconds: float = 5) -> AsyncIterator[WhatsApp]:
    """A client of a server that answers every request with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with (
        served(app) as server,
        whatsapp_at(str(server.make_url("/v23.0/")), seconds=seconds) as client,
    ):
        yield client


@asynccontextmanager
async def raw_server(*answers: bytes, reset: bool = False) -> AsyncIterator[str]:
    """The URL of a server that reads a request per answer and then drops the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b'"biz_opaque_callback_data":"r1"}')
            writer.write(answer)
            await writer.drain()
        if reset:
            sock: socket = writer.get_extra_info("socket")
            sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
        await stop_accepting(server.sockets)


def answering(
    status: int, document: Any = None, *, headers: dict[str, str] | None = None
) -> Handler:
    """A handler that always gives this answer."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(document, status=status, headers=headers)

    return answer


async def send(client: WhatsApp, to: Address = MIA, number: str = "106500000000001") -> str:
    """Send a text with this client."""
    return await client.send_text(
        phone_number_id=number, to=to, text="Gr\u00fcezi \U0001f600", callback_data="r1"
    )


async def failure(handler: Handler, *, seconds: float = 5) -> FrostDeskError:
    """The error of a send that this handler answers."""
    async with answered_by(handler, seconds=seconds) as client:
        with pytest.raises(FrostDeskError) as caught:
            await send(client)
    assert TOKEN not in repr(caught.value)
    return caught.value


async def requests_of(use: Callable[[WhatsApp], Awaitable[Any]]) -> list[tuple[str, str, Any]]:
    """Path, authorization and JSON of every request that `use` makes."""
    seen: list[tuple[str, str, Any]] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["Authorization"], await request.json()))
        return web.json_response(ACCEPTED)

    async with answered_by(note) as client:
        await use(client)
    return seen


async def test_a_text_is_one_request() -> None:
    """A text is one POST with everything that WhatsApp wants, the text to the letter."""
    ((path, authorization, payload),) = await requests_of(send)

    assert path == "/v23.0/106500000000001/messages"
    assert authorization == f"Bearer {TOKEN}"
    assert payload == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "41790000001",
        "type": "text",
        "text": {"preview_url": False, "body": "Gr\u00fcezi \U0001f600"},
        "biz_opaque_callback_data": "r1",
    }


async def test_the_id_is_the_answer() -> None:
    """A send returns the id that WhatsApp gave."""
    async with answered_by(answering(200, ACCEPTED)) as client:
        assert await send(client) == "wamid.OUT1"


async def test_without_a_phone_the_recipient_is_the_user_id() -> None:
    """Someone known only by the business-scoped id is written to in `recipient`, not in `to`."""
    to = Address(wa_id=None, user_id="CH.1")
    ((_, _, payload),) = await requests_of(lambda client: send(client, to))

    assert payload["recipient"] == "CH.1"
    assert "to" not in payload


async def test_nobody_cannot_be_written_to() -> None:
    """Without any identity nothing is sent."""
    async with whatsapp_at("http://127.0.0.1:9") as client:
        with pytest.raises(GiveUpError, match="no phone number and no business-scoped id"):
            await send(client, Address(wa_id=None, user_id=None))


async def test_a_number_stays_within_its_place() -> None:
    """A business number from outside cannot lead the request to another path."""
    ((path, _, _),) = await requests_of(lambda client: send(client, number="../1?x=/#"))

    assert path == "/v23.0/../1?x=/#/messages"


async def test_a_message_is_marked_as_read() -> None:
    """A message is marked as read, with the sign that somebody is typing."""
    ((path, _, payload),) = await requests_of(
        lambda c: c.mark_read(phone_number_id="1065", whatsapp_id="wamid.A1")
    )

    assert path == "/v23.0/1065/messages"
    assert payload == {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.A1",
        "typing_indicator": {"type": "text"},
    }


async def test_a_read_mark_can_fail() -> None:
    """A read mark that WhatsApp refuses raises as a send does."""
    async with answered_by(answering(400, {"error": {"code": 100}})) as client:
        with pytest.raises(GiveUpError, match="400: error 100"):
            await client.mark_read(phone_number_id="1065", whatsapp_id="wamid.A1")


async def test_a_refused_connection_may_be_tried_again() -> None:
    """Where no connection came about, nothing was sent."""
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with whatsapp_at(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(TryAgainError, match="could not be reached"):
                await send(client)


class NoNames(AbstractResolver):
    """A machine without name service."""

    async def resolve(self, host: str, *_: Any, **__: Any) -> list[ResolveResult]:
        """Know nobody."""
        raise OSError(f"{host} is unknown")

    async def close(self) -> None:
        """Hold nothing."""


async def test_an_unknown_host_may_be_tried_again() -> None:
    """Where the name leads nowhere, nothing was sent."""
    connector = aiohttp.TCPConnector(resolver=NoNames())
    async with aiohttp.ClientSession(connector=connector) as session:
        client = WhatsApp(session, api_url="http://whatsapp.invalid", token=TOKEN)
        with pytest.raises(TryAgainError, match="could not be reached"):
            await send(client)


async def test_a_connection_that_does_not_open_may_be_tried_again() -> None:
    """A time-out before there was a connection: nothing was sent."""
    with socket() as silent:  # its queue takes the connection, nobody answers the handshake
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        async with whatsapp_at(url, seconds=2) as client:  # of which one is for the connection
            with pytest.raises(TryAgainError, match="could not be reached"):
                await send(client)


@pytest.mark.parametrize("answer", LOST)
async def test_a_lost_answer_leaves_the_outcome_unknown(answer: bytes) -> None:
    """A connection that ends before the whole answer came: the text may have been sent."""
    async with raw_server(answer) as url, whatsapp_at(url) as client:
        with pytest.raises(OutcomeUnknownError, match="after the request had left"):
            await send(client)


async def test_a_reset_leaves_the_outcome_unknown() -> None:
    """A connection reset after the request was read: the text may have been sent."""
    async with raw_server(b"", reset=True) as url, whatsapp_at(url) as client:
        with pytest.raises(OutcomeUnknownError):
            await send(client)


async def test_a_dropped_kept_connection_leaves_the_outcome_unknown() -> None:
    """A kept connection that is dropped on its second request is not sent to again unasked."""
    body = b'{"messages":[{"id":"wamid.OUT1"}]}'
    first = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with raw_server(first, b"") as url, whatsapp_at(url) as client:
        assert await send(client) == "wamid.OUT1"
        with pytest.raises(OutcomeUnknownError):
            await send(client)


async def test_a_late_answer_leaves_the_outcome_unknown() -> None:
    """A time-out after the request had left: the text may have been sent."""

    async def stall(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(60)
        return web.json_response(ACCEPTED)

    assert isinstance(await failure(stall, seconds=1), OutcomeUnknownError)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"messages": []}', b'{"messages": [{"id": ""}]}']
)
async def test_garbage_leaves_the_outcome_unknown(body: bytes) -> None:
    """A success without a message id: the text may have been sent."""

    async def garbage(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body)

    assert isinstance(await failure(garbage), OutcomeUnknownError)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
async def test_an_overload_may_be_tried_again(status: int) -> None:
    """Time-outs, overloads and faults of WhatsApp's side may pass."""
    error = await failure(answering(status, {"error": {"code": 131000, "message": "Broken"}}))

    assert isinstance(error, TryAgainError)
    assert str(error) == f"WhatsApp answered {status}: error 131000: Broken"
    assert error.after is None


async def test_a_broken_off_fault_is_still_a_fault() -> None:
    """A 503 whose body breaks off says enough."""
    cut = b"HTTP/1.1 503 Busy\r\nRetry-After: 4\r\nContent-Length: 50\r\n\r\n{"
    async with raw_server(cut) as url, whatsapp_at(url) as client:
        with pytest.raises(TryAgainError) as caught:
            await send(client)

    assert caught.value.after == 4


async def test_retry_after_is_passed_on() -> None:
    """The wait that WhatsApp asks for is in the error, from seconds or from a date."""
    error = await failure(answering(429, headers={"Retry-After": "7"}))
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=90)
    date = format_datetime(moment, usegmt=True)
    before = datetime.now(UTC)
    dated = await failure(answering(503, headers={"Retry-After": date}))
    after = datetime.now(UTC)

    assert isinstance(error, TryAgainError)
    assert isinstance(dated, TryAgainError)
    assert error.after == 7
    assert dated.after is not None
    assert moment - after <= timedelta(seconds=dated.after) <= moment - before


@pytest.mark.parametrize("code", [4, 80007, 130429, 131048, 131056])
@pytest.mark.parametrize("status", [200, 400, 403])
async def test_rate_limits_may_be_tried_again(code: int, status: int) -> None:
    """Meta's rate limits pass, whatever the HTTP status beside them."""
    assert isinstance(await failure(answering(status, {"error": {"code": code}})), TryAgainError)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404])
async def test_other_refusals_are_final(status: int) -> None:
    """Any other answer than a success needs a person, and says what Meta says."""
    document = {
        "error": {"code": 190, "message": "Bad token", "error_data": {"details": "It expired"}}
    }
    error = await failure(answering(status, document, headers={"Location": "/elsewhere"}))

    assert isinstance(error, GiveUpError)
    assert str(error) == f"WhatsApp answered {status}: error 190: Bad token: It expired"
    assert error.code == 190


@pytest.mark.parametrize("code", [470, 131047])
async def test_the_closed_window_is_named(code: int) -> None:
    """Outside the 24-hour window the error says so."""
    error = await failure(answering(400, {"error": {"code": code, "message": "Re-engagement"}}))

    assert isinstance(error, GiveUpError)
    assert "outside the 24-hour window" in str(error)
    assert error.code == code


@pytest.mark.parametrize("document", [None, [], {"error": "no"}, {"error": {"code": "x"}}])
async def test_a_refusal_without_words_is_final(document: Any) -> None:
    """A refusal whose body says nothing usable is final and has no code."""
    error = await failure(answering(400, document))

    assert isinstance(error, GiveUpError)
    assert (str(error), error.code) == ("WhatsApp answered 400", None)


async def test_the_token_is_never_repeated() -> None:
    """A token that comes back in an answer is left out of the error, as it is of any repr."""
    error = await failure(answering(401, {"error": {"code": 190, "message": f"Bad {TOKEN}"}}))

    assert str(error) == "WhatsApp answered 401: error 190: Bad …"
    async with whatsapp_at("http://127.0.0.1:9") as client:
        assert TOKEN not in repr(client)


async def test_an_address_that_is_none_is_named() -> None:
    """An API address that cannot be posted to is a matter of configuration."""
    async with whatsapp_at("nothing") as client:
        with pytest.raises(GiveUpError, match="FROSTDESK_WHATSAPP_API_URL"):
            await send(client)
