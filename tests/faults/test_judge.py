"""The judge of the faults can tell: each thing that must not be is found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from frostdesk.events import SendRepeated
from frostdesk.store.append import NewEvent
from tests.factories import failed, generated, new, received, sent
from tests.faults.judge import (
    Findings,
    Log,
    check_answered,
    check_failures,
    check_received,
    check_sent,
)
from tests.faults.soak import growth


@pytest.fixture
def found() -> Findings:
    """Nothing so far."""
    return Findings(violations=[])


def log_of(*events: NewEvent) -> Log:
    """The log that holds these events."""
    rows: Iterator[dict[str, Any]] = (
        {
            "position": position,
            "id": event.id,
            "conversation_id": UUID(int=1),
            "type": type(event.event).__name__,
            "data": msgspec.json.encode(event.event).decode(),
        }
        for position, event in enumerate(events, 1)
    )
    return Log(rows, since=0)


def send_of(reply: NewEvent) -> dict[str, Any]:
    """A send of that reply, as the simulated WhatsApp lists it."""
    return {"message": {"biz_opaque_callback_data": str(reply.id)}}


def whatsapp_id(message: NewEvent) -> str:
    """WhatsApp's id of a received message."""
    return str(message.event.whatsapp_id)  # type: ignore[attr-defined]  # a MessageReceived


def test_all_is_well(found: Findings) -> None:
    """A message that was received, answered and sent once is no violation."""
    message = received()
    reply = generated(answers=(message.id,))
    log = log_of(message, reply, sent(reply))
    check_received(found, log, [whatsapp_id(message)])
    check_answered(found, log)
    check_failures(found, log, set())
    check_sent(found, log, [send_of(reply)])
    assert (found.violations, found.lost, found.twice) == ([], 0, 0)


def test_a_lost_message_is_found(found: Findings) -> None:
    """What was answered 200 and is not in the log is lost."""
    check_received(found, log_of(received()), ["wamid.another"])
    assert found.lost == 1
    assert "wamid.another" in found.violations[0]


def test_a_message_logged_twice_is_found(found: Findings) -> None:
    """One message is one event."""
    message = received()
    check_received(found, log_of(message, message), [whatsapp_id(message)])
    assert len(found.violations) == 1


@pytest.mark.parametrize("replies", [0, 2])
def test_no_reply_and_two_replies_are_found(found: Findings, replies: int) -> None:
    """A message is covered by exactly one reply."""
    message = received()
    log = log_of(message, *(generated(answers=(message.id,)) for _ in range(replies)))
    check_answered(found, log)
    assert len(found.violations) == 1


def test_a_failure_stands_in_for_a_reply_where_it_is_excused(found: Findings) -> None:
    """A ReplyFailed will do, and only at a stage at which something was broken."""
    message = received()
    log = log_of(message, failed(message.id, stage="model"))
    check_answered(found, log)
    check_failures(found, log, {"model"})
    assert found.violations == []
    check_failures(found, log, {"send"})
    assert len(found.violations) == 1


@pytest.mark.parametrize(
    ("sends", "repeats", "unknowable", "violations"),
    [(2, 0, True, 1), (2, 1, False, 1), (3, 1, True, 1), (2, 1, True, 0)],
)
def test_a_reply_sent_twice_is_found(
    found: Findings, sends: int, repeats: int, violations: int, *, unknowable: bool
) -> None:
    """It may be sent once more where nobody could know, if that is on record, and never again."""
    reply = generated()
    again = [new(SendRepeated(reply_id=reply.id, reason="no word")) for _ in range(repeats)]
    log = log_of(reply, *again, sent(reply))
    twice = check_sent(found, log, [send_of(reply)] * sends, unknowable=unknowable)
    assert twice == {str(reply.id)}
    assert len(found.violations) == violations


def test_a_record_without_a_send_is_found(found: Findings) -> None:
    """What the log calls sent, and nobody received, was lost on its way."""
    reply = generated()
    check_sent(found, log_of(reply, sent(reply)), [])
    assert len(found.violations) == 1


def test_a_send_without_a_record_is_found(found: Findings) -> None:
    """Nothing reaches a customer that is not in the log."""
    check_sent(found, log_of(), [send_of(generated())])
    assert len(found.violations) == 1


@pytest.mark.parametrize(
    ("series", "leaks"), [([100.0] * 40, False), ([100.0 + n for n in range(40)], True)]
)
def test_what_grows_all_the_time_is_a_leak(series: list[float], *, leaks: bool) -> None:
    """A process that holds ever more is found, one that stays as it is, is not."""
    assert bool(growth(series, "memory")) == leaks
