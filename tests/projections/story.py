"""A few customers' conversations with confirmed lessons, appended as the service does."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count
from uuid import UUID

from frostdesk.events import Lesson, Sender
from frostdesk.store.append import EventStore
from tests.factories import confirmed, edited, generated, lesson, proposed, received, sender, sent

CUSTOMERS = 3

_days = count(1)


def customer(number: int) -> Sender:
    """Who customer `number` is."""
    return sender(f"4179000{number:04}")


def free_slot() -> Lesson:
    """A lesson on a day that no other has."""
    return lesson(date(2027, 1, 1) + timedelta(days=next(_days)))


async def tell(store: EventStore) -> list[UUID]:
    """Each customer asks, is answered and gets a lesson; gives the conversations."""
    return [await _one(store, customer(number)) for number in range(CUSTOMERS)]


async def _one(store: EventStore, by: Sender) -> UUID:
    message = received(by=by)
    (placed,) = await store.append([message])
    reply = generated(answers=(message.id,))
    booking = proposed(free_slot(), reply_id=reply.id)
    stream = placed.conversation_id
    await store.append([edited(message, "Or Sunday?", by=by)])
    await store.append([reply, booking], conversation_id=stream)
    await store.append([sent(reply), confirmed(booking)], conversation_id=stream)
    return stream
