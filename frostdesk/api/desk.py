"""The instructor's reads and commands."""

from __future__ import annotations

import msgspec
from aiohttp import web

from frostdesk.api.answers import json_answer
from frostdesk.api.keys import DOORBELL, GATE, POOL, STORE
from frostdesk.api.requests import POSITION_MOST, bearer, path_id, query_id, query_int, query_limit
from frostdesk.bookings import Command
from frostdesk.errors import RefusedError
from frostdesk.events import EVENT_TYPES
from frostdesk.instructor.commands import decide_booking, retry
from frostdesk.store import reading
from frostdesk.store.rows import Page

STATUSES = ("pending", "confirmed", "cancelled")


async def conversations(request: web.Request) -> web.Response:
    """Conversations, newest first."""
    page = await reading.list_conversations(
        request.app[POOL], limit=query_limit(request), cursor=request.query.get("cursor")
    )
    return json_answer(page)


async def conversation(request: web.Request) -> web.Response:
    """One conversation."""
    conversation_id = path_id(request, "conversation")
    return json_answer(await reading.get_conversation(request.app[POOL], conversation_id))


async def messages(request: web.Request) -> web.Response:
    """The messages of one conversation, newest first."""
    page = await reading.list_messages(
        request.app[POOL],
        path_id(request, "conversation"),
        limit=query_limit(request),
        cursor=request.query.get("cursor"),
    )
    return json_answer(page)


async def bookings(request: web.Request) -> web.Response:
    """Bookings, newest first."""
    status = request.query.get("status")
    if status is not None and status not in STATUSES:
        raise RefusedError(f"`status` has to be one of {', '.join(STATUSES)}.")
    page = await reading.list_bookings(
        request.app[POOL],
        limit=query_limit(request),
        status=status,
        cursor=request.query.get("cursor"),
    )
    return json_answer(page)


async def booking(request: web.Request) -> web.Response:
    """One booking."""
    return json_answer(await reading.get_booking(request.app[POOL], path_id(request, "booking")))


async def confirm(request: web.Request) -> web.Response:
    """Confirm a booking; answers it as it now stands."""
    return await _decide(request, "confirm")


async def cancel(request: web.Request) -> web.Response:
    """Cancel a booking; answers it as it now stands."""
    return await _decide(request, "cancel")


async def _decide(request: web.Request, command: Command) -> web.Response:
    booking_id = path_id(request, "booking")
    app = request.app
    decided, jobs = await decide_booking(app[POOL], app[STORE], booking_id, command)
    app[DOORBELL].ring(*jobs)
    return json_answer(decided)


async def retry_failed(request: web.Request) -> web.Response:
    """Process again what failed in a conversation; answers the conversation, 202."""
    conversation_id = path_id(request, "conversation")
    app = request.app
    app[DOORBELL].ring(*await retry(app[POOL], app[STORE], conversation_id))
    return json_answer(await reading.get_conversation(app[POOL], conversation_id), status=202)


class RealtimeToken(msgspec.Struct, frozen=True):
    """What the page shows Supabase Realtime, for so many seconds; None where there is nothing."""

    token: str | None = None
    seconds: int = 0


async def realtime_token(request: web.Request) -> web.Response:
    """The access token with which the page listens to Supabase Realtime."""
    found = await request.app[GATE].supabase_token(bearer(request))
    return json_answer(RealtimeToken(found.token, found.seconds) if found else RealtimeToken())


async def events(request: web.Request) -> web.Response:
    """The log beyond `after`, in order; the cursor is the next `after`."""
    limit = query_limit(request)
    event_type = request.query.get("type")
    if event_type is not None and event_type not in EVENT_TYPES:
        raise RefusedError(f"`type` has to be one of {', '.join(EVENT_TYPES)}.")
    found = await reading.list_events(
        request.app[POOL],
        after=query_int(request, "after", default=0, least=0, most=POSITION_MOST),
        limit=limit + 1,
        conversation_id=query_id(request, "conversation"),
        event_type=event_type,
    )
    items = found[:limit]
    more = len(found) > limit
    return json_answer(Page(items, str(items[-1].position) if more else None))
