"""Random logs: every type of event, about few customers, messages, replies and lessons.

Nothing in them has to make sense. Changes come before what they change, steps before their message,
decisions before their proposal, and everything may be about another customer's things.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid5

import msgspec
from hypothesis import strategies as st

from frostdesk.events import NAMESPACE

BEGINS = "MessageReceived"

Draw: TypeAlias = Callable[[st.SearchStrategy[Any]], Any]

few = st.integers(0, 2)


class RandomEvent(msgspec.Struct, frozen=True):
    """An event as it is stored, but for position and version."""

    id: UUID
    conversation_id: UUID
    type: str
    data: dict[str, Any]


def _id(kind: str, number: int) -> str:
    return str(uuid5(NAMESPACE, f"{kind} {number}"))


messages = few.map(lambda number: _id("message", number))
replies = few.map(lambda number: _id("reply", number))
bookings = few.map(lambda number: _id("booking", number))
decisions = few.map(lambda number: _id("decision", number))
answers = st.lists(messages, max_size=2, unique=True)
times = st.sampled_from(
    ["2027-01-15T10:00:00Z", "2027-01-15T10:00:00.500000Z", "2027-01-15T11:00:00+01:00"]
)
whatsapp_ids = st.sampled_from(["wamid.8", "wamid.9"])
texts = st.sampled_from(["Hello", "Saturday?", "Gladly"])


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of `values`, or nothing."""
    return st.none() | values


senders = st.fixed_dictionaries(
    {"phone_number_id": st.sampled_from(["700", "701"])},
    optional={
        "wa_id": st.sampled_from(["411", "412"]),
        "user_id": st.sampled_from(["CH.1", "CH.2"]),
        "name": texts,
        "username": texts,
        "also": st.lists(st.sampled_from(["410", "411"]), max_size=1),
    },
)


def _lesson(number: int) -> dict[str, Any]:
    """A lesson's slot; the first two overlap."""
    starts = datetime(2027, 2, 1, 9, tzinfo=UTC) + timedelta(minutes=(0, 30, 600)[number])
    return {
        "date": f"{starts:%Y-%m-%d}",
        "time": f"{starts:%H:%M:%S}",
        "duration": 60,
        "timezone": "UTC",
        "starts_at": starts.isoformat(),
        "ends_at": (starts + timedelta(hours=1)).isoformat(),
    }


said = {"sender": senders, "kind": st.sampled_from(["text", "image"]), "text": texts}
change = {"message_id": messages, "original_whatsapp_id": st.just("wamid.1"), "sent_at": times}
written = {"text": texts, "answers": answers, "disclosure": st.booleans()}
told = {"about": maybe(decisions), "booking_id": maybe(bookings)}

DATA: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "MessageReceived": {
        **said,
        "whatsapp_id": st.just("wamid.0"),
        "sent_at": times,
        "answerable": st.booleans(),
    },
    "MessageEdited": {**said, **change},
    "MessageDeleted": {"sender": senders, **change},
    "ReplyGenerated": {**written, **told},
    "ReplyPartSent": {"reply_id": replies},
    "ReplySent": {
        "reply_id": replies,
        "whatsapp_ids": st.lists(whatsapp_ids, max_size=2),
    },
    "SendUncertain": {"reply_id": replies, "reason": texts},
    "SendRepeated": {"reply_id": replies, "reason": texts},
    "ReplyFailed": {"reply_id": maybe(replies), "answers": answers, "reason": texts},
    "RetryRequested": {"reply_id": maybe(replies), "answers": answers},
    "DeliveryUpdated": {
        "reply_id": replies,
        "whatsapp_id": whatsapp_ids,
        "at": times,
        "status": st.sampled_from(["sent", "delivered", "read", "failed"]),
    },
    "BookingProposed": {"lesson": few.map(_lesson)},
    "BookingConfirmed": {"booking_id": bookings},
    "BookingCancelled": {"booking_id": bookings},
    "CustomerForgotten": {"messages": answers},
    "InstructorWrote": {"text": texts, "answers": answers},
    "HandedOver": {"reason": texts, "reply_id": replies},
    "AssistantPaused": {},
    "AssistantResumed": {"answers": answers},
    "AutomationStopped": {"message_id": messages, "reply_id": replies},
    "AutomationResumed": {"message_id": messages},
    "AnswerWithheld": {"answers": answers, "reason": texts, **told},
    "AnswerDeferred": {"answers": answers, "until": times},
    "CalendarShared": {},
    "CalendarRevoked": {},
    "SomethingOfTheFuture": {"text": texts},
}
"""What the data of each type may hold. The last is a type that no projection knows."""

OWN_IDS = {
    "MessageReceived": messages,
    "ReplyGenerated": replies,
    "InstructorWrote": replies,
    "BookingProposed": bookings,
    "BookingConfirmed": decisions,
    "BookingCancelled": decisions,
}
"""Types whose events others name by their id; it may come twice, as a repeated append does."""


@st.composite
def random_event(draw: Draw, kind: str | None = None, customer: int | None = None) -> RandomEvent:
    """An event of any type, or of one, about any customer, or about one."""
    kind = kind or draw(st.sampled_from(sorted(DATA)))
    number = draw(few) if customer is None else customer
    own = draw(OWN_IDS[kind]) if kind in OWN_IDS else None
    data = draw(st.fixed_dictionaries(DATA[kind]))
    return RandomEvent(
        UUID(own) if own else draw(st.uuids()),
        UUID(_id("conversation", number)),
        kind,
        {name: value for name, value in data.items() if value is not None},
    )


@st.composite
def random_log(draw: Draw) -> list[list[RandomEvent]]:
    """Batches of events. Each customer's first event is a message: so a conversation begins."""
    greetings = [
        msgspec.structs.replace(
            draw(random_event(BEGINS, customer)), id=UUID(_id("greeting", customer))
        )
        for customer in range(3)
    ]
    return [
        greetings,
        *draw(st.lists(st.lists(random_event(), min_size=1, max_size=6), max_size=8)),
    ]


def as_rows(events: list[RandomEvent]) -> list[tuple[UUID, UUID, str, str]]:
    """The arguments of an INSERT."""
    return [(e.id, e.conversation_id, e.type, json.dumps(e.data)) for e in events]
