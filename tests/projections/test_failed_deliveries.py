"""A reply that could not be delivered says so until it is sent anew, however the log came in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from frostdesk.events import (
    DeliveryUpdated,
    Event,
    ReplyFailed,
    ReplyPartSent,
    ReplySent,
    RetryRequested,
    SendRepeated,
    SendUncertain,
    derive_id,
)
from frostdesk.store.append import EventStore
from projections.rebuild import Connect
from tests.factories import generated, new, received
from tests.projections.test_rebuild import found

REPLY = generated()
FIRST = ReplyPartSent(reply_id=REPLY.id, part=1, parts=2, whatsapp_id="wamid.1")
TOLD = DeliveryUpdated(
    reply_id=REPLY.id, whatsapp_id="wamid.1", status="failed", at=datetime.now(UTC)
)
FAILED = ReplyFailed(stage="delivery", reason="131026", attempts=1, reply_id=REPLY.id)
ASKED = RetryRequested(failed_id=derive_id("test", "failure"), reply_id=REPLY.id)
CUT = SendUncertain(reply_id=REPLY.id, reason="cut off")
AGAIN = SendRepeated(reply_id=REPLY.id, reason="no word")


def sent(*whatsapp_ids: str) -> ReplySent:
    """WhatsApp has all of the reply, by these ids."""
    return ReplySent(reply_id=REPLY.id, whatsapp_ids=whatsapp_ids)


@pytest.mark.parametrize("size", [1, 3, 99], ids=["one by one", "by threes", "at once"])
@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([TOLD, FAILED, sent("wamid.1")], "failed"),
        ([FIRST, TOLD, FAILED, sent("wamid.1", "wamid.2")], "failed"),
        ([FIRST, TOLD, FAILED, sent("wamid.1", "wamid.2"), sent("wamid.1")], "failed"),
        ([FIRST, TOLD, FAILED, CUT, AGAIN], "failed"),
        ([FIRST, TOLD, FAILED, CUT, sent("wamid.1", "wamid.2")], "failed"),
        ([sent("wamid.1"), TOLD, FAILED], "failed"),
        ([sent("wamid.1"), TOLD, FAILED, ASKED], "pending"),
        ([sent("wamid.1"), TOLD, FAILED, ASKED, CUT], "unsettled"),
        ([sent("wamid.1"), TOLD, FAILED, ASKED, sent("wamid.2")], "sent"),
        ([TOLD, FAILED, sent("wamid.2")], "sent"),
        ([TOLD, FAILED, sent("wamid.2"), sent("wamid.1")], "sent"),
        ([CUT, FAILED, sent("wamid.2")], "sent"),
    ],
)
async def test_a_send_does_not_hide_that_its_delivery_failed(
    store: EventStore, connect: Connect, steps: list[Event], status: str, size: int
) -> None:
    """What it says and since when stays too. It goes by a new request, or by a send that came."""
    (begun,) = await store.append([received()])
    events = [REPLY, *(new(step) for step in steps)]
    for first in range(0, len(events), size):
        batch = events[first : first + size]
        await store.append(batch, conversation_id=begun.conversation_id)

    async with connect() as connection:
        row = await connection.fetchrow(
            "SELECT status, error, (SELECT recorded_at FROM events WHERE type = 'ReplyFailed')"
            " = step_at AS since FROM messages WHERE role = 'assistant'"
        )
    failed = status == "failed"
    assert row is not None
    assert tuple(row) == (status, "131026" if failed else None, failed)
    assert await found(connect) == []
