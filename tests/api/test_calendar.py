"""The lessons as a calendar feed at a secret address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aiohttp
from icalendar import Calendar

from frostdesk.api.calendar import render
from frostdesk.store.append import EventStore
from frostdesk.store.rows import NamedBooking
from tests.factories import AHEAD, lesson, proposed, received
from tests.support.desk import Api
from tests.support.secrets import INSTRUCTOR_TOKEN


def lesson_tomorrow(status: str, name: str = "Ana") -> NamedBooking:
    """A lesson tomorrow at this time."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    return NamedBooking(
        id=uuid4(),
        created_at=start - timedelta(days=2),
        starts_at=start,
        ends_at=start + timedelta(hours=2),
        status=status,
        name=name,
    )


async def read(url: str) -> tuple[int, bytes]:
    """What a phone gets at an address, without a token."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.read()


async def test_the_calendar_is_shared_read_and_revoked(api: Api) -> None:
    """The address is the same until it is revoked; then it leads nowhere, and a new one differs."""
    assert (await api.get("/calendar"))["url"] is None
    url = (await api.post("/calendar"))["url"]
    assert (await api.post("/calendar"))["url"] == url == (await api.get("/calendar"))["url"]
    status, body = await read(url)
    assert status == 200
    assert Calendar.from_ical(body)["PRODID"]
    async with api.session.delete(
        f"{api.url}/calendar", headers={"Authorization": f"Bearer {INSTRUCTOR_TOKEN}"}
    ) as answer:
        assert answer.status == 200
    assert (await read(url))[0] == 404
    assert (await api.post("/calendar"))["url"] != url


async def test_cancelled_lessons_vanish(api: Api, store: EventStore) -> None:
    """A lesson stands in the calendar from its proposal on, and no longer once it is cancelled."""
    (first,) = await store.append([received()])
    booking = proposed(lesson(AHEAD))
    await store.append([booking], conversation_id=first.conversation_id)
    url = (await api.post("/calendar"))["url"]
    assert str(booking.id).encode() in (await read(url))[1]
    await api.post(f"/bookings/{booking.id}/confirm")
    assert str(booking.id).encode() in (await read(url))[1]
    await api.post(f"/bookings/{booking.id}/cancel")
    assert str(booking.id).encode() not in (await read(url))[1]


async def test_a_guessed_address_leads_nowhere(api: Api) -> None:
    """Nothing is served at another secret, shared or not."""
    guess = f"{api.url}/calendar/{'0' * 40}.ics"
    assert (await read(guess))[0] == 404
    await api.post("/calendar")
    assert (await read(guess))[0] == 404


def test_a_lesson_becomes_an_event() -> None:
    """Confirmed lessons are confirmed, those that wait are tentative, times are instants."""
    lessons = [lesson_tomorrow("confirmed"), lesson_tomorrow("pending", "Bo\r\nATTENDEE:x")]
    calendar = Calendar.from_ical(render(lessons))
    events = calendar.walk("VEVENT")
    assert [str(event["STATUS"]) for event in events] == ["CONFIRMED", "TENTATIVE"]
    assert events[0].decoded("DTSTART") == lessons[0].starts_at
    assert events[0].decoded("DTEND") - events[0].decoded("DTSTART") == timedelta(hours=2)
    assert "ATTENDEE" not in events[1]
