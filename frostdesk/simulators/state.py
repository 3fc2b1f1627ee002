"""The simulated WhatsApp's state: how it is set up, how it behaves now, and what it remembers."""

from __future__ import annotations

from collections import deque

import msgspec
from aiohttp import web

from frostdesk.simulators.graph import ReadMark
from frostdesk.simulators.outbox import Counters, Outbox
from frostdesk.simulators.phones import Phones
from frostdesk.simulators.serving import Fault, parse_fault

FAULTS = frozenset(
    {
        "500",
        "503",
        "429",
        "code:",
        "fails:",
        "stall:",
        "cut",
        "accepted_then_cut",
        "accepted_then_stall:",
        "garbage",
    }
)
"""Faults of sends, one consumed by each text, in order: an HTTP status (`429:2` asks to wait 2 s),
`code:131056` (refused with Meta's code; `code:131056:400` with that status), `fails:131026`
(accepted, then a failed status with that code), `stall:30` (taken 30 s late, and not at all if the
sender has hung up by then), `cut` (the connection breaks, nothing was taken), `accepted_then_cut`
(it breaks, at once or with `accepted_then_cut:2` 2 s later, and the text was taken at once),
`accepted_then_stall:30` (taken at once, and the answer comes 30 s late), `garbage` (200 with a body
that is no JSON, nothing taken)."""

READ_MARKS = 1_000


class WhatsAppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is set up.

    `webhook_url` is the service's `/inbound`; the first of `phone_number_ids` is the number that
    customers write to unless they say otherwise. Times are in seconds: `tick_after` between two
    statuses of a send, `give_up_after` until a webhook that nobody takes is given up.
    """

    app_secret: str
    token: str
    webhook_url: str
    phone_number_ids: tuple[str, ...]
    tick_after: float = 0.05
    give_up_after: float = 600.0


class WhatsAppControl(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How it behaves now.

    `latency` delays the answer to sends, in seconds. Without `statuses` no status is reported;
    without `read` customers read nothing. `batch` items share a webhook, and each webhook comes
    twice with `duplicate_webhooks`.
    """

    latency: float = 0.0
    statuses: bool = True
    read: bool = True
    batch: int = 1
    duplicate_webhooks: bool = False
    faults: list[str] = []


class State:
    """What the server remembers."""

    def __init__(self, settings: WhatsAppSettings) -> None:
        self.settings = settings
        self.control = WhatsAppControl()
        self.phones = Phones()
        self.read_marks: deque[ReadMark] = deque(maxlen=READ_MARKS)
        self.outbox = Outbox(
            url=settings.webhook_url,
            app_secret=settings.app_secret,
            give_up_after=settings.give_up_after,
            batch=lambda: self.control.batch,
        )

    def behave(self, control: WhatsAppControl) -> None:
        """Behave like this from now on."""
        self.control = control
        self.outbox.duplicate = control.duplicate_webhooks

    def forgive(self) -> None:
        """Behave as after the start, and count from zero. Chats and sends stay."""
        self.behave(WhatsAppControl())
        self.outbox.counters = Counters()

    def next_fault(self) -> Fault | None:
        """The fault that the next text meets, which is used up by this."""
        faults = self.control.faults
        return parse_fault(faults.pop(0), FAULTS) if faults else None


STATE = web.AppKey("whatsapp_state", State)
