"""The customers' phones: who there is, what each has written and received, how each send fares."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import deque
from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from frostdesk.simulators.graph import RE_ENGAGEMENT, TextMessage

MAX_CUSTOMERS = 10_000
MAX_CHAT = 500
MAX_SENDS = 10_000
MAX_OWN = 10_000

WINDOW = 24 * 3600
"""Seconds after a customer's message in which free-form replies are allowed (Meta, "Customer
service windows")."""


class ChatMessage(msgspec.Struct, kw_only=True):
    """A message as the phone shows it. `ticks` is sent, delivered or read; `at` is UTC."""

    id: str
    by_customer: bool
    text: str
    at: datetime
    ticks: str = "sent"
    edited: bool = False
    deleted: bool = False


class Customer(msgspec.Struct, kw_only=True):
    """A person with WhatsApp. `key` is what the control routes call them by.

    `wa_id` is absent for one who hides the number; then only `user_id` names them.
    `last_wrote` holds Unix seconds by business number.
    """

    key: str
    wa_id: str | None
    user_id: str
    name: str
    username: str | None = None
    chat: deque[ChatMessage] = msgspec.field(default_factory=lambda: deque(maxlen=MAX_CHAT))
    last_wrote: dict[str, int] = {}

    def is_reachable(self, phone_number_id: str, now: float) -> bool:
        """Whether the 24-hour window is open.

        It is open for one who never wrote here: their words came by a way that we do not see.
        """
        wrote = self.last_wrote.get(phone_number_id)
        return wrote is None or now - wrote <= WINDOW


class Send(msgspec.Struct, kw_only=True):
    """Something that was accepted. `status` is accepted, sent, delivered, read, failed or dropped.

    A send is dropped without a word when a business-scoped id stands in `to`.
    """

    id: str
    phone_number_id: str
    message: TextMessage
    at: datetime
    status: str = "accepted"
    error_code: int | None = None
    customer: str | None = None


class Introduction(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer shows of themselves when they write."""

    name: str | None = None
    user_id: str | None = None
    username: str | None = None
    no_phone: bool = False


def new_wamid() -> str:
    """A message id in WhatsApp's form."""
    return "wamid." + base64.b64encode(uuid4().bytes + uuid4().bytes[:5]).decode()


def scoped_id(key: str) -> str:
    """The business-scoped user id of the person called `key`: a country, a dot, 16 digits."""
    digest = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
    return f"CH.{digest % 10**16:016d}"


def _is_phone(key: str) -> bool:
    return re.fullmatch(r"\+?\d+", key) is not None


def _stranger(key: str) -> Customer:
    """Someone of whom only the phone number or the business-scoped id is known."""
    user_id = scoped_id(key) if _is_phone(key) else key
    return Customer(key=key, wa_id=None, user_id=user_id, name="Customer")


class Phones:
    """Everyone's phone, and the list of sends. The oldest are forgotten beyond the limits."""

    def __init__(self) -> None:
        self.customers: dict[str, Customer] = {}
        self.sends: deque[Send] = deque(maxlen=MAX_SENDS)
        self._own: dict[str, ChatMessage] = {}

    def introduce(self, key: str, shown: Introduction) -> Customer:
        """The customer called `key`, new or known, as they show themselves now."""
        customer = self.customers.get(key) or _stranger(key)
        customer.wa_id = key if _is_phone(key) and not shown.no_phone else None
        customer.user_id = shown.user_id or customer.user_id
        customer.name = shown.name or customer.name
        customer.username = shown.username or customer.username
        return self._keep(customer)

    def write(self, customer: Customer, message: ChatMessage, *, phone_number_id: str) -> None:
        """The customer wrote this to the business number."""
        written = int(message.at.timestamp())
        newest = max(written, customer.last_wrote.get(phone_number_id, written))
        customer.last_wrote = {**customer.last_wrote, phone_number_id: newest}
        customer.chat.append(message)
        self._own[message.id] = message
        if len(self._own) > MAX_OWN:
            del self._own[next(iter(self._own))]

    def own(self, message_id: str) -> ChatMessage | None:
        """A message that a customer wrote, if it is remembered."""
        return self._own.get(message_id)

    def accept(
        self, phone_number_id: str, message: TextMessage, *, error_code: int | None = None
    ) -> Send:
        """Take a message over and put it on the customer's phone, unless it is bound to fail."""
        now = datetime.now(UTC)
        send = Send(id=new_wamid(), phone_number_id=phone_number_id, message=message, at=now)
        self.sends.append(send)
        customer = self._addressee(message)
        if customer is None:
            send.status = "dropped"
            return send
        send.customer, send.error_code = customer.key, error_code
        if not customer.is_reachable(phone_number_id, now.timestamp()):
            send.error_code = RE_ENGAGEMENT
        if send.error_code is None:
            customer.chat.append(
                ChatMessage(id=send.id, by_customer=False, text=message.text, at=now)
            )
        return send

    def tick(self, send: Send, status: str) -> None:
        """The send has got so far; the phone shows it."""
        send.status = status
        customer = self.customers.get(send.customer or "")
        for message in reversed(customer.chat if customer else ()):
            if message.id == send.id:
                message.ticks = status
                return

    def _addressee(self, message: TextMessage) -> Customer | None:
        """Whom the message is for. `to` wins over `recipient`; an id that is no number, nobody."""
        if not message.to:
            return self._by_user_id(message.recipient)
        if re.search(r"[^\d\s()+-]", message.to):
            return None
        number = re.sub(r"\D", "", message.to)
        return self.customers.get(number) or self.introduce(number, Introduction())

    def _by_user_id(self, user_id: str) -> Customer:
        known = (c for c in self.customers.values() if c.user_id == user_id)
        return next(known, None) or self.introduce(user_id, Introduction())

    def _keep(self, customer: Customer) -> Customer:
        """Remember the customer as the newest; forget the oldest beyond the limit."""
        self.customers.pop(customer.key, None)
        self.customers[customer.key] = customer
        if len(self.customers) > MAX_CUSTOMERS:
            del self.customers[next(iter(self.customers))]
        return customer
