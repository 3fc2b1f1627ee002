"""The lessons as a calendar feed at a secret address, for phones to subscribe to."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import web

from frostdesk.api.answers import json_answer
from frostdesk.api.keys import POOL, SETTINGS, STORE
from frostdesk.errors import NotFoundError
from frostdesk.instructor import sharing
from frostdesk.store.reading import lessons_between
from frostdesk.store.rows import NamedBooking

PAST = timedelta(days=60)
AHEAD = timedelta(days=400)


class CalendarAddress(msgspec.Struct, frozen=True):
    """Where phones subscribe, or None where the calendar is not shared."""

    url: str | None


async def address(request: web.Request) -> web.Response:
    """The calendar's address."""
    token = request.app[SETTINGS].instructor_token
    secret = await sharing.current_secret(request.app[POOL], token=token)
    return json_answer(CalendarAddress(_url(request, secret) if secret else None))


async def share(request: web.Request) -> web.Response:
    """Share the calendar; answers its address."""
    token = request.app[SETTINGS].instructor_token
    secret = await sharing.share(request.app[POOL], request.app[STORE], token=token)
    return json_answer(CalendarAddress(_url(request, secret)))


async def revoke(request: web.Request) -> web.Response:
    """End the calendar's address."""
    await sharing.revoke(request.app[POOL], request.app[STORE])
    return json_answer(CalendarAddress(None))


async def feed(request: web.Request) -> web.Response:
    """The lessons in iCalendar's format (RFC 5545), for whoever knows the address."""
    pool = request.app[POOL]
    valid = await sharing.current_secret(pool, token=request.app[SETTINGS].instructor_token)
    given = request.match_info["secret"].encode(errors="replace")
    if valid is None or not hmac.compare_digest(valid.encode(), given):
        raise NotFoundError("There is no calendar at this address, or not any longer.")
    now = datetime.now(UTC)
    lessons = await lessons_between(pool, now - PAST, now + AHEAD)
    return web.Response(body=render(lessons), content_type="text/calendar", charset="utf-8")


def render(lessons: list[NamedBooking]) -> bytes:
    """A calendar with an event for each lesson; one that waits for a yes is tentative."""
    from icalendar import Calendar, Event  # noqa: PLC0415  # 20 MB that few processes need

    calendar = Calendar()
    calendar.add("prodid", "-//FrostDesk//lessons//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", "Ski lessons")
    for lesson in lessons:
        event = Event()
        event.add("uid", f"{lesson.id}@frostdesk")
        event.add("dtstamp", lesson.created_at)
        event.add("dtstart", lesson.starts_at.astimezone(UTC))
        event.add("dtend", lesson.ends_at.astimezone(UTC))
        waits = lesson.status == "pending"
        event.add("summary", f"Ski lesson: {lesson.name or 'customer'}{' (?)' if waits else ''}")
        event.add("status", "TENTATIVE" if waits else "CONFIRMED")
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _url(request: web.Request, secret: str) -> str:
    return str(request.url.origin().with_path(f"/calendar/{secret}.ics"))
