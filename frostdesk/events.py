"""The vocabulary: every fact that FrostDesk records, and how each one's id is derived.

A stream is a conversation. An event is one immutable fact in it. Its `data` column is the struct
below as JSON; its id follows from what caused it, so appending the same fact twice is harmless.
"""

from __future__ import annotations

from datetime import date, datetime, time
from hashlib import sha1
from typing import ClassVar
from uuid import UUID

import msgspec

NAMESPACE = UUID("6f1d1c1e-3c0b-5a7e-9d55-0a6b6f2f7a10")

_NAMESPACE_BYTES = NAMESPACE.bytes

INSTRUCTOR_ID = 1
"""The one instructor of this desk."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact in one conversation. Later facts may follow it; nothing changes it.

    `schema_version` numbers the shapes that its data has had; `frostdesk.upcasting` reads old ones.
    """

    schema_version: ClassVar[int] = 1


class Sender(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who wrote, as WhatsApp said it, to the letter.

    `phone_number_id` is the business number that was written to. At least one of `wa_id` (phone)
    and `user_id` (business-scoped id) is known; a customer is an identity within one number.
    `also` holds further identities of the same person, such as a number that has been given up.
    """

    phone_number_id: str
    wa_id: str | None = None
    user_id: str | None = None
    name: str | None = None
    username: str | None = None
    also: tuple[str, ...] = ()

    @property
    def identities(self) -> tuple[str, ...]:
        """Every identity of this person, the phone first."""
        return tuple(filter(None, (self.wa_id, self.user_id, *self.also)))


class MessageReceived(Event, frozen=True, kw_only=True):
    """A customer wrote to us. The event's id is also the id of the message.

    `kind` is WhatsApp's message type, `text` what the message says or what arrived, `sent_at` when
    WhatsApp took it (UTC). `answerable` is false for what calls for no answer, such as a reaction.
    """

    whatsapp_id: str
    sender: Sender
    kind: str
    text: str
    sent_at: datetime
    answerable: bool = True


class MessageEdited(Event, frozen=True, kw_only=True):
    """A customer changed a message. `message_id` is the row, known or still to come."""

    message_id: UUID
    whatsapp_id: str
    original_whatsapp_id: str
    sender: Sender
    kind: str
    text: str
    sent_at: datetime


class MessageDeleted(Event, frozen=True, kw_only=True):
    """A customer took a message back. Its text is shown to nobody from here on."""

    message_id: UUID
    whatsapp_id: str
    original_whatsapp_id: str
    sender: Sender
    sent_at: datetime


class ReplyGenerated(Event, frozen=True, kw_only=True):
    """A text for the customer is ready. The event's id is also the id of the message.

    `answers` are the messages that it covers, all up to `through_version` of the stream; `about`
    is the booking decision that it announces. Where code wrote it alone, `model` is absent.
    `calls` counts the requests to the model that it took, those for dropped answers included.
    """

    text: str
    answers: tuple[UUID, ...] = ()
    through_version: int = 0
    about: UUID | None = None
    booking_id: UUID | None = None
    disclosure: bool = False
    language: str = "en"
    model: str | None = None
    prompt_hash: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    seconds: float = 0.0


class ReplyPartSent(Event, frozen=True, kw_only=True):
    """WhatsApp took one part of a reply that is too long for one message. Parts count from 1."""

    reply_id: UUID
    part: int
    parts: int
    whatsapp_id: str


class ReplySent(Event, frozen=True, kw_only=True):
    """WhatsApp took the whole reply. `whatsapp_ids` are the ids it gave, one a part.

    `seconds` is how long it took to hand over what was left of it, tries and waits included;
    absent where a status told of it.
    """

    reply_id: UUID
    whatsapp_ids: tuple[str, ...]
    seconds: float = 0.0


class SendUncertain(Event, frozen=True, kw_only=True):
    """A send left us and no answer came back: the customer may or may not have the reply."""

    reply_id: UUID
    reason: str


class SendRepeated(Event, frozen=True, kw_only=True):
    """A reply whose outcome stayed unknown goes out once more, and never again after that."""

    reply_id: UUID
    reason: str


class ReplyFailed(Event, frozen=True, kw_only=True):
    """Nothing more is tried until a person asks for it.

    `stage` is `model` (no reply could be made for `answers`), `send` or `delivery` (`reply_id`
    could not be brought to the customer), `worker` (workers died over it) or `limit` (the day's
    budget of model calls is spent). `attempts` counts, for `model`, the requests to the model that
    it took, those for dropped answers included.
    """

    stage: str
    reason: str
    attempts: int
    answers: tuple[UUID, ...] = ()
    reply_id: UUID | None = None


class RetryRequested(Event, frozen=True, kw_only=True):
    """The instructor asked to process again what the failure `failed_id` had left undone."""

    failed_id: UUID
    answers: tuple[UUID, ...] = ()
    reply_id: UUID | None = None


class DeliveryUpdated(Event, frozen=True, kw_only=True):
    """WhatsApp told how a reply fares: `sent`, `delivered`, `read` or `failed`, at a time (UTC)."""

    reply_id: UUID
    whatsapp_id: str
    status: str
    at: datetime
    error: str | None = None


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson's slot: wall-clock date and time in `timezone`, and the same as instants in UTC.

    `duration` is in minutes; `ends_at` is that long after `starts_at`.
    """

    date: date
    time: time
    duration: int
    timezone: str
    starts_at: datetime
    ends_at: datetime

    def overlaps(self, other: Lesson) -> bool:
        """Whether the two share a moment; lessons that only touch do not."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


class BookingProposed(Event, frozen=True, kw_only=True):
    """A lesson waits for the instructor's word. The event's id is also the booking's id."""

    lesson: Lesson
    reply_id: UUID
    instructor_id: int = INSTRUCTOR_ID


class BookingConfirmed(Event, frozen=True, kw_only=True):
    """The instructor will give the lesson."""

    booking_id: UUID
    lesson: Lesson


class BookingCancelled(Event, frozen=True, kw_only=True):
    """The lesson will not take place."""

    booking_id: UUID
    lesson: Lesson


class CustomerForgotten(Event, frozen=True, kw_only=True):
    """Texts, names and identities have been erased from all events before this one.

    The stream ends here, but for decisions about its lessons. `messages` are all that it had:
    nothing more is to be done about any of them.
    """

    messages: tuple[UUID, ...] = ()


class InstructorWrote(Event, frozen=True, kw_only=True):
    """The instructor wrote to the customer. The event's id is also the id of the message.

    `answers` are the customer's messages that had no answer until then.
    """

    text: str
    answers: tuple[UUID, ...] = ()


class HandedOver(Event, frozen=True, kw_only=True):
    """The customer needs a person: stands first on the desk until the instructor writes."""

    reason: str
    reply_id: UUID


class AssistantPaused(Event, frozen=True, kw_only=True):
    """The instructor answers here alone from now on."""


class AssistantResumed(Event, frozen=True, kw_only=True):
    """The assistant answers again, beginning with `answers`, which were withheld meanwhile."""

    answers: tuple[UUID, ...] = ()


class AutomationStopped(Event, frozen=True, kw_only=True):
    """The customer wants no automatic messages. `message_id` says so, `reply_id` confirms it."""

    message_id: UUID
    reply_id: UUID


class AutomationResumed(Event, frozen=True, kw_only=True):
    """The customer asked by `message_id` for automatic messages again."""

    message_id: UUID


class AnswerWithheld(Event, frozen=True, kw_only=True):
    """No automatic message goes out for `answers`, or about the decision `about` of a booking.

    `reason` is `paused` or `stopped`.
    """

    reason: str
    answers: tuple[UUID, ...] = ()
    about: UUID | None = None
    booking_id: UUID | None = None


class AnswerDeferred(Event, frozen=True, kw_only=True):
    """The customer writes faster than the model may be called: `answers` and more wait a little.

    `until` (UTC) is when the pace allows the next answer. It then comes by itself.
    """

    until: datetime
    answers: tuple[UUID, ...]


class CalendarShared(Event, frozen=True, kw_only=True):
    """The lessons can be subscribed to at an address that follows from this event's id.

    It stands in the desk's own stream, as its revocation does.
    """


class CalendarRevoked(Event, frozen=True, kw_only=True):
    """The calendar's last address leads nowhere any longer."""


FrostDeskEvent = (
    MessageReceived
    | MessageEdited
    | MessageDeleted
    | ReplyGenerated
    | ReplyPartSent
    | ReplySent
    | SendUncertain
    | SendRepeated
    | ReplyFailed
    | RetryRequested
    | DeliveryUpdated
    | BookingProposed
    | BookingConfirmed
    | BookingCancelled
    | CustomerForgotten
    | InstructorWrote
    | HandedOver
    | AssistantPaused
    | AssistantResumed
    | AutomationStopped
    | AutomationResumed
    | AnswerWithheld
    | AnswerDeferred
    | CalendarShared
    | CalendarRevoked
)

EVENT_TYPES: dict[str, type[Event]] = {t.__name__: t for t in FrostDeskEvent.__args__}

CUSTOMER_WORDS = ("MessageReceived", "MessageEdited", "MessageDeleted", "CustomerForgotten")
"""The events that make an answer stale: the customer's own words, and their erasure."""


def derive_id(what: str, *cause: UUID | str | int) -> UUID:
    """The id of the event `what` that `cause` leads to: the same whenever it is asked for."""
    name = ":".join((what, *map(str, cause)))
    # What uuid.uuid5(NAMESPACE, name) makes, in half its time.
    digest = sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def conversation_id_for(first_event_id: UUID) -> UUID:
    """The id of the conversation that begins with this event.

    It comes of no number: from an id that did, whoever tries all numbers finds the customer's, and
    ids stay when a customer is forgotten.
    """
    return derive_id("conversation", first_event_id)


def message_id_for(whatsapp_id: str) -> UUID:
    """The id of a customer's message, and of the event that says it came."""
    return derive_id("message", whatsapp_id)
