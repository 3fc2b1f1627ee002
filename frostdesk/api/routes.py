"""Every route: what it takes, what it answers, who may ask. The router and the document read this.

What a route answers is a msgspec type (as JSON), a media type, or nothing; what goes wrong is a
problem, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from aiohttp import web

from frostdesk.api import calendar, desk, health, inbound, metrics, openapi, takeover
from frostdesk.api.requests import LIMIT_DEFAULT, LIMIT_MOST, POSITION_MOST, Handler, for_instructor
from frostdesk.desk.pages import DeskConfig
from frostdesk.events import EVENT_TYPES
from frostdesk.realtime.frames import VERSIONS
from frostdesk.store.rows import Booking, Conversation, LoggedEvent, Message, Page

Content: TypeAlias = Any
"""A type that is answered as JSON, one or several media types, or None for an empty body."""

Schema: TypeAlias = Mapping[str, Any]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """Something besides the path and the body that a request may carry."""

    name: str
    schema: Schema
    about: str
    place: Literal["query", "header"] = "query"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.

    `answers` are those without errors, by status; `problems` the statuses of errors. Without a
    `handler` the path is served by another part of the service; `about` then says what it does.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    answers: Mapping[int, Content]
    handler: Handler | None = None
    about: str = ""
    problems: tuple[int, ...] = ()
    who: Literal["anyone", "instructor", "whatsapp"] = "anyone"
    parameters: tuple[Parameter, ...] = ()
    takes: Content = None
    head: bool = True


def _schema(of: Any) -> Schema:
    return MappingProxyType(msgspec.json.schema(of))


def _one_of(*words: str) -> Schema:
    return MappingProxyType({"type": "string", "enum": list(words)})


LIMIT = Parameter(
    name="limit",
    schema=_schema(Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MOST)]),
    about=f"How many items at most; {LIMIT_DEFAULT} unless given.",
)
PAGED = (
    LIMIT,
    Parameter(name="cursor", schema=_schema(str), about="The cursor of the page before."),
)
STATUS = Parameter(
    name="status", schema=_one_of(*desk.STATUSES), about="Only bookings that stand so."
)
OF_THE_LOG = (
    LIMIT,
    Parameter(
        name="after",
        schema=_schema(Annotated[int, msgspec.Meta(ge=0, le=POSITION_MOST)]),
        about="Only events beyond this position.",
    ),
    Parameter(name="conversation", schema=_schema(UUID), about="Only events of this one."),
    Parameter(name="type", schema=_one_of(*EVENT_TYPES), about="Only events of this type."),
)
HANDSHAKE = tuple(
    Parameter(name=f"hub.{name}", schema=_schema(str), about="As Meta sends it.")
    for name in ("mode", "challenge", "verify_token")
)
KEY = Parameter(
    name="Idempotency-Key",
    schema=_schema(str),
    about="Repeating the request with the same key writes nothing more.",
    place="header",
)
VERSION = Parameter(name="vsn", schema=_one_of(*VERSIONS), about="The version of the protocol.")

READ = (401, 500, 503)
"""What any question of the instructor's may meet."""


def _read(path: str, handler: Handler, answer: Content, **more: Any) -> Route:
    problems = (*READ, *more.pop("problems", ()))
    return Route(
        method="GET",
        path=path,
        handler=handler,
        answers={200: answer},
        who="instructor",
        problems=problems,
        **more,
    )


def _order(path: str, handler: Handler, answer: Content, status: int = 200, **more: Any) -> Route:
    problems = (*READ, *more.pop("problems", ()))
    return Route(
        method=more.pop("method", "POST"),
        path=path,
        handler=handler,
        answers={status: answer},
        who="instructor",
        problems=problems,
        **more,
    )


ROUTES = (
    Route(method="GET", path="/health", handler=health.health, answers={200: health.Liveness}),
    Route(
        method="GET",
        path="/ready",
        handler=health.ready,
        answers={200: health.Readiness, 503: health.Readiness},
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=metrics.metrics,
        answers={200: "text/plain"},
        problems=(500,),
    ),
    Route(
        method="GET", path="/openapi.json", handler=openapi.openapi, answers={200: dict[str, Any]}
    ),
    Route(
        method="GET",
        path="/inbound",
        handler=inbound.verify,
        answers={200: "text/plain"},
        problems=(400, 401),
        parameters=HANDSHAKE,
        head=False,
    ),
    Route(
        method="POST",
        path="/inbound",
        handler=metrics.counting_rejections(inbound.receive),
        about="Take a webhook; 200 once every message in it is committed.",
        answers={200: None},
        problems=(400, 401, 408, 413, 415, 500, 503),
        who="whatsapp",
        takes=dict[str, Any],
    ),
    _read(
        "/conversations", desk.conversations, Page[Conversation], parameters=PAGED, problems=(400,)
    ),
    _read("/conversations/{id}", desk.conversation, Conversation, problems=(404,)),
    _read(
        "/conversations/{id}/messages",
        desk.messages,
        Page[Message],
        parameters=PAGED,
        problems=(400, 404),
    ),
    _order(
        "/conversations/{id}/messages",
        takeover.write,
        Message,
        201,
        takes=takeover.Words,
        parameters=(KEY,),
        problems=(400, 404, 408, 409, 413, 415),
    ),
    _order("/conversations/{id}/pause", takeover.pause, Conversation, problems=(404, 409)),
    _order("/conversations/{id}/resume", takeover.resume, Conversation, problems=(404, 409)),
    _order("/conversations/{id}/retry", desk.retry_failed, Conversation, 202, problems=(404, 409)),
    _read("/bookings", desk.bookings, Page[Booking], parameters=(STATUS, *PAGED), problems=(400,)),
    _read("/bookings/{id}", desk.booking, Booking, problems=(404,)),
    _order("/bookings/{id}/confirm", desk.confirm, Booking, problems=(404, 409)),
    _order("/bookings/{id}/cancel", desk.cancel, Booking, problems=(404, 409)),
    _read("/calendar", calendar.address, calendar.CalendarAddress),
    _order("/calendar", calendar.share, calendar.CalendarAddress),
    _order("/calendar", calendar.revoke, calendar.CalendarAddress, method="DELETE"),
    Route(
        method="GET",
        path="/calendar/{secret}.ics",
        handler=calendar.feed,
        answers={200: "text/calendar"},
        problems=(404, 500, 503),
    ),
    _read("/desk/token", desk.realtime_token, desk.RealtimeToken),
    _read("/events", desk.events, Page[LoggedEvent], parameters=OF_THE_LOG, problems=(400,)),
)

ELSEWHERE = (
    Route(
        method="GET",
        path="/",
        about="The instructor's desk, a web page.",
        answers={200: "text/html", 304: None},
    ),
    Route(
        method="GET",
        path="/desk/config.json",
        about="What the page has to know before anybody signs in.",
        answers={200: DeskConfig},
    ),
    Route(
        method="GET",
        path="/desk/{version}/{file}",
        about="A file of the page.",
        answers={
            200: ("text/css", "text/javascript", "image/svg+xml", "application/manifest+json"),
            304: None,
        },
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/realtime/v1/websocket",
        about="A WebSocket that speaks Supabase Realtime's protocol: the rows as they change.",
        answers={101: None},
        problems=(400, 503),
        parameters=(
            VERSION,
            Parameter(name="apikey", schema=_schema(str), about="The instructor's token."),
        ),
        head=False,
    ),
)
"""What other parts of the service serve at the same address."""


def table() -> list[web.RouteDef]:
    """The routes for the router, those of the instructor behind the check of the token."""
    return [_definition(route) for route in ROUTES]


def _definition(route: Route) -> web.RouteDef:
    assert route.handler is not None  # noqa: S101  # ROUTES are those that have one
    handler = for_instructor(route.handler) if route.who == "instructor" else route.handler
    if route.method == "GET":
        return web.get(route.path, handler, allow_head=route.head)
    return web.route(route.method, route.path, handler)
