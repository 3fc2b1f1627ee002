"""What both simulators share as servers: JSON, faults, pauses that end at shutdown, and `run`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from aiohttp import web

T = TypeVar("T")

MAX_BODY = 16 * 1024 * 1024
"""Bytes of the largest body that a simulator reads."""

CLOSING = web.AppKey("closing", asyncio.Event)


class Fault(msgspec.Struct, frozen=True):
    """A misbehaviour shown once, written as `kind` or `kind:argument`, such as `429:2`."""

    kind: str
    argument: str = ""

    @property
    def number(self) -> float:
        """The argument as a number; 0 where there is none."""
        return float(self.argument or 0)


def parse_fault(text: str, known: Collection[str]) -> Fault:
    """The fault that `text` names.

    `known` are the kinds that there are; one that needs an argument ends in a colon. Raises
    ValueError for other kinds, and for arguments that are missing or no numbers.
    """
    kind, _, argument = text.partition(":")
    needs_argument = f"{kind}:" in known
    if kind not in known and not needs_argument:
        raise ValueError(f"{text!r} is no fault here. Known are: {', '.join(sorted(known))}.")
    numbers = argument.split(":") if argument or needs_argument else []
    if not all(number.replace(".", "", 1).isdecimal() for number in numbers):
        raise ValueError(f"{text!r} needs a number after its colon, such as '{kind}:30'.")
    return Fault(kind, argument)


async def _set_closing(app: web.Application) -> None:
    app[CLOSING].set()


def new_app() -> web.Application:
    """An empty application, whose pauses end when it shuts down."""
    app = web.Application(client_max_size=MAX_BODY)
    app[CLOSING] = asyncio.Event()
    app.on_shutdown.append(_set_closing)
    return app


async def pause(request: web.Request, seconds: float) -> None:
    """Wait so many seconds, or until the server shuts down."""
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(request.app[CLOSING].wait(), seconds)


def is_gone(request: web.Request) -> bool:
    """Whether the other side has hung up."""
    return request.transport is None or request.transport.is_closing()


def drop_connection(request: web.Request) -> web.Response:
    """Break the connection before an answer. The response returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def answer_json(
    body: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A response that holds `body` as JSON."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _error_text(message: str) -> str:
    return msgspec.json.encode({"error": message}).decode()


def bad_request(message: str) -> web.HTTPBadRequest:
    """A refusal of a control request: 400 with `{"error": message}`."""
    return web.HTTPBadRequest(text=_error_text(message), content_type="application/json")


def not_found(message: str) -> web.HTTPNotFound:
    """An answer to a control request about something unknown: 404 with `{"error": message}`."""
    return web.HTTPNotFound(text=_error_text(message), content_type="application/json")


def overloaded(message: str) -> web.HTTPServiceUnavailable:
    """An answer to a control request that comes too fast: 503 with `{"error": message}`."""
    return web.HTTPServiceUnavailable(text=_error_text(message), content_type="application/json")


async def read_json(request: web.Request, kind: type[T]) -> T:
    """The body as `kind`. Raises HTTPBadRequest that says what is wrong with it."""
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise bad_request(f"The body cannot be used: {error}") from error


def run(app: web.Application, *, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM, then end within about a second."""
    web.run_app(app, host=host, port=port, print=None, access_log=None, shutdown_timeout=1.0)
