"""What a whole webhook says: facts, statuses, and what could not be attributed."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.errors import RefusedError
from frostdesk.events import (
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Sender,
    derive_id,
    message_id_for,
)
from frostdesk.whatsapp.webhook import InboundFact, StatusUpdate
from tests.whatsapp.webhooks import (
    NUMBER,
    PHONE,
    RECEIVED_AT,
    change,
    event_of,
    message,
    parse,
    read,
    webhook,
)

REPLY = UUID("7f3c0a52-1a0e-5f7b-8a51-0d6c1f2e3b4a")
SENT_AT = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


def status(**fields: Any) -> dict[str, Any]:
    """A delivery status of one of our messages."""
    given = {
        "id": "wamid.OUT1",
        "status": "delivered",
        "timestamp": "1800000000",
        "recipient_id": PHONE,
        "biz_opaque_callback_data": str(REPLY),
        **fields,
    }
    return {key: value for key, value in given.items() if value is not None}


def wamids(body: Any) -> list[str]:
    """The WhatsApp ids of a webhook's facts, in order."""
    return [fact.event.whatsapp_id for fact in parse(body).facts]


def test_a_message_is_a_fact() -> None:
    """A text message becomes MessageReceived, whose id follows from WhatsApp's."""
    assert read(message()).facts == (
        InboundFact(
            message_id_for("wamid.A1"),
            MessageReceived(
                whatsapp_id="wamid.A1",
                sender=Sender(phone_number_id=NUMBER, wa_id=PHONE),
                kind="text",
                text="A lesson on Saturday?",
                sent_at=SENT_AT,
            ),
        ),
    )


def test_everything_in_a_batch_is_read() -> None:
    """Several entries, changes and messages come out in their order."""
    one = webhook(change(message(id="1"), message(id="2")), change(message(id="3")))
    other = webhook(change(message(id="4")))

    assert wamids({**one, "entry": one["entry"] + other["entry"]}) == ["1", "2", "3", "4"]


def test_each_change_has_its_number() -> None:
    """The business number written to is that of the change which holds the message."""
    facts = parse(webhook(change(message()), change(message(), number="106500000000002"))).facts

    assert [f.event.sender.phone_number_id for f in facts] == [NUMBER, "106500000000002"]


def test_a_number_that_is_missing_costs_no_message() -> None:
    """A message whose change does not name the business number is kept, the number empty."""
    assert event_of(message(), metadata=None).sender.phone_number_id == ""


def test_statuses_stand_beside_messages() -> None:
    """Messages and statuses of one change are both read."""
    found = read(message(), statuses=[status()])

    assert len(found.facts) == 1
    assert found.statuses == (
        StatusUpdate(
            whatsapp_id="wamid.OUT1",
            reply_id=REPLY,
            status="delivered",
            at=SENT_AT,
            error=None,
        ),
    )


@pytest.mark.parametrize("data", [None, "", "campaign-7", 12, {"a": 1}])
def test_foreign_callback_data_names_no_reply(data: Any) -> None:
    """A status whose callback data is no UUID names no reply and is kept all the same."""
    (update,) = read(statuses=[status(biz_opaque_callback_data=data)]).statuses

    assert (update.whatsapp_id, update.reply_id) == ("wamid.OUT1", None)


def test_a_failure_says_why() -> None:
    """A failed status carries the first error in words."""
    errors = [{"code": 131047, "title": "Re-engagement message"}]
    (update,) = read(statuses=[status(status="failed", errors=errors)]).statuses

    assert (update.status, update.error) == ("failed", "131047: Re-engagement message")


def test_a_status_of_nothing_is_skipped() -> None:
    """A status without a message id or a state is told, and its neighbour is read."""
    found = read(statuses=[status(id=None), status(status=[]), "odd", status()])

    assert len(found.statuses) == 1
    assert found.skipped == tuple(
        f"status {n} of change 1 of entry 1 names no message or no state" for n in (1, 2, 3)
    )


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}, message(**{"from": None})])
def test_a_bad_message_costs_no_neighbour(odd: Any) -> None:
    """What cannot be attributed is told in words, and the messages around it are read."""
    found = read(message(id="1"), odd, message(id="2"))

    assert [f.event.whatsapp_id for f in found.facts] == ["1", "2"]
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith("message 2 of change 1 of entry 1 ")


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, {"changes": 3}, {"changes": [None, 5, {}]}])
def test_a_bad_entry_costs_no_neighbour(odd: Any) -> None:
    """An entry or change of any shape leaves the others readable."""
    good = webhook(change(message()))["entry"]

    found = parse({"object": "whatsapp_business_account", "entry": [odd, *good]})

    assert len(found.facts) == 1
    assert found.skipped


def test_skipped_words_hold_nothing_personal() -> None:
    """The words about a skipped item hold nothing that the item said."""
    found = read({"text": {"body": "secret"}}, message(type="revoke", revoke={"x": "secret"}))

    assert len(found.skipped) == 2
    assert all("secret" not in words and PHONE not in words for words in found.skipped)


def test_other_fields_are_not_read() -> None:
    """Echoes, history and account news are no messages to this desk."""
    echo = {**change(message()), "field": "smb_message_echoes"}
    unnamed = {key: value for key, value in change(message()).items() if key != "field"}

    assert wamids(webhook(echo)) == []
    assert wamids(webhook({**echo, "field": ["messages"]})) == []
    assert wamids(webhook(unnamed)) == ["wamid.A1"]


def test_unknown_fields_are_ignored() -> None:
    """Fields that nobody knows yet change nothing."""
    plain = read(message())

    assert read(message(new={"deep": [1]}, referral=3), new=7) == plain


@pytest.mark.parametrize("timestamp", ["1800000000", 1800000000, 1800000000.0])
def test_times_are_seconds(timestamp: Any) -> None:
    """A timestamp is seconds since 1970, as text or as number."""
    assert event_of(message(timestamp=timestamp)).sent_at == SENT_AT


@pytest.mark.parametrize(
    "timestamp",
    [
        None,
        "",
        "yesterday",
        "nan",
        "inf",
        True,
        [],
        {},
        0,
        -1,
        "1230767999",
        1800000000000,
        1e300,
        2**63,
        str(int((RECEIVED_AT + timedelta(days=1)).timestamp()) + 1),
    ],
)
def test_impossible_times_are_the_time_of_receipt(timestamp: Any) -> None:
    """A time that is missing, malformed, before 2009 or a day ahead is replaced."""
    assert event_of(message(timestamp=timestamp)).sent_at == RECEIVED_AT


def test_a_huge_number_costs_no_neighbour() -> None:
    """A number that no machine holds is one message's affair."""
    body = json.dumps(webhook(change(message(id="1"), message(id="2", timestamp="HUGE"))))

    assert wamids(body.replace('"HUGE"', "1e999").encode()) == ["1", "2"]


def test_odd_characters_are_replaced_everywhere() -> None:
    """NUL and lone surrogates become U+FFFD in texts, names and ids alike."""
    contact = {"wa_id": "4\u00001", "profile": {"name": "M\ud800a"}}
    event = event_of(
        message(**{"from": "4\u00001"}, id="w\udc00", text={"body": "a\u0000\U0001f600"}),
        contacts=[contact],
    )

    assert event.whatsapp_id == "w\ufffd"
    assert (event.sender.wa_id, event.sender.name) == ("4\ufffd1", "M\ufffda")
    assert event.text == "a\ufffd\U0001f600"


def test_a_message_without_id_is_known_again() -> None:
    """A message without an id gets one from its content and sender: the same each time."""
    bare = message(id=None)
    (first,) = read(bare).facts
    (again,) = parse(webhook(change(dict(reversed(bare.items()))))).facts

    assert first == again
    assert first.event.whatsapp_id.startswith("unknown.")
    assert first.id == message_id_for(first.event.whatsapp_id)


@pytest.mark.parametrize("fields", [{"text": {"body": "No"}}, {"from": "41"}, {"timestamp": "1"}])
def test_other_messages_without_id_are_others(fields: dict[str, Any]) -> None:
    """Another text, sender or time makes another id."""
    assert read(message(id=None)).facts[0].id != read(message(id=None, **fields)).facts[0].id


def test_an_endless_id_is_replaced() -> None:
    """An id beyond 256 characters is treated as missing, and still tells messages apart."""
    ids = {event_of(message(id=letter * 300)).whatsapp_id for letter in "ab"}

    assert len(ids) == 2
    assert all(len(i) < 256 for i in ids)


def edit(**fields: Any) -> dict[str, Any]:
    """An edit of the message `wamid.A1`."""
    content = {"type": "text", "text": {"body": "On Sunday, I mean"}}
    given = {"original_message_id": "wamid.A1", "message": content, **fields}
    return message(id="wamid.E1", type="edit", text=None, edit=given)


def test_an_edit_names_the_message_it_changes() -> None:
    """An edit becomes MessageEdited of the original message, with an id of its own."""
    (fact,) = read(edit()).facts

    assert fact == InboundFact(
        derive_id("edit", "wamid.E1"),
        MessageEdited(
            message_id=message_id_for("wamid.A1"),
            whatsapp_id="wamid.E1",
            original_whatsapp_id="wamid.A1",
            sender=Sender(phone_number_id=NUMBER, wa_id=PHONE),
            kind="text",
            text="On Sunday, I mean",
            sent_at=SENT_AT,
        ),
    )


def test_an_edited_caption_reads_as_any_other() -> None:
    """The content of an edit follows the rules of every message."""
    assert (
        event_of(edit(message={"type": "image", "image": {"caption": "New"}})).text == "[image] New"
    )


@pytest.mark.parametrize("content", [None, 7, {}])
def test_an_edit_of_nothing_is_kept(content: Any) -> None:
    """An edit whose new content is missing still tells that the old one is gone."""
    assert event_of(edit(message=content)).text == "[unknown message]"


def test_an_edit_of_no_message_keeps_its_words() -> None:
    """An edit that does not say what it changes is a message of its own."""
    event = event_of(edit(original_message_id=None))

    assert isinstance(event, MessageReceived)
    assert event.text == "On Sunday, I mean"


def test_a_deletion_names_the_message_it_takes_back() -> None:
    """A revoke becomes MessageDeleted of the original message, with an id of its own."""
    revoke = {"original_message_id": "wamid.A1"}
    (fact,) = read(message(id="wamid.D1", type="revoke", text=None, revoke=revoke)).facts

    assert fact == InboundFact(
        derive_id("delete", "wamid.D1"),
        MessageDeleted(
            message_id=message_id_for("wamid.A1"),
            whatsapp_id="wamid.D1",
            original_whatsapp_id="wamid.A1",
            sender=Sender(phone_number_id=NUMBER, wa_id=PHONE),
            sent_at=SENT_AT,
        ),
    )


def test_the_same_webhook_gives_the_same_facts() -> None:
    """Read again, alone or in another batch, a message has the same id."""
    batch = parse(webhook(change(message(id="1"), edit(), message(id=None))))
    later = parse(webhook(change(edit()), change(message(id=None)), change(message(id="1"))))

    assert batch == parse(webhook(change(message(id="1"), edit(), message(id=None))))
    assert {fact.id for fact in batch.facts} == {fact.id for fact in later.facts}


WORDS = st.sampled_from([
    *("object", "entry", "changes", "field", "value", "metadata", "phone_number_id", "contacts"),
    *("messages", "statuses", "from", "from_user_id", "id", "timestamp", "type", "text", "body"),
    *("wa_id", "user_id", "profile", "name", "edit", "revoke", "original_message_id", "message"),
    *("interactive", "nfm_reply", "response_json", "system", "errors", "order", "status", "image"),
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=10,
)


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Whatever bytes arrive, they are read or refused, and nothing else happens."""
    with suppress(RefusedError):
        parse(body)


@given(ANYTHING)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Whatever JSON arrives, it is read or refused, and nothing else happens."""
    with suppress(RefusedError):
        parse(value)


@given(st.lists(ANYTHING, max_size=4))
def test_any_messages_leave_their_neighbour(odd: list[Any]) -> None:
    """Whatever stands beside a message, in whatever place, the message is read."""
    body = json.dumps(webhook(change(*odd, message(), contacts=odd, statuses=odd), *odd))
    sane = body.replace("NaN", "null").replace("-Infinity", "0").replace("Infinity", "0")

    found = parse(sane.encode())

    assert message_id_for("wamid.A1") in {fact.id for fact in found.facts}
    assert found == parse(sane.encode())


@given(st.dictionaries(WORDS, ANYTHING, max_size=4), st.dictionaries(WORDS, ANYTHING, max_size=4))
def test_any_message_can_be_stored(fields: dict[str, Any], inner: dict[str, Any]) -> None:
    """Whatever a message holds, its fact has a text, an id and a sender that fit the log."""
    body = json.dumps(webhook(change(message(**{**fields, "from": PHONE, "text": inner}))))

    for fact in parse(body.replace("NaN", "0").replace("Infinity", "0").encode()).facts:
        assert fact.event.sender.identities
        assert 0 < len(fact.event.whatsapp_id) <= 256
        assert getattr(fact.event, "text", "deleted")
