"""Who wrote: phone, business-scoped id, name, and what belongs to one person."""

from __future__ import annotations

from typing import Any

import pytest

from frostdesk.events import Sender
from tests.whatsapp.webhooks import NUMBER, PHONE, USER, event_of, message

MIA = {"profile": {"name": "Mia", "username": "mia.ski"}, "wa_id": PHONE, "user_id": USER}
LEO = {"profile": {"name": "Leo"}, "wa_id": "41790000002", "user_id": "CH.2"}


def sender(*contacts: Any, **fields: Any) -> Sender:
    """The sender of one message with these fields, beside these contacts."""
    found = event_of(message(**fields), contacts=list(contacts)).sender
    assert isinstance(found, Sender)
    return found


def test_message_and_contact_are_put_together() -> None:
    """Phone and id come from the message or its contact, name and username from the contact."""
    expected = Sender(
        phone_number_id=NUMBER, wa_id=PHONE, user_id=USER, name="Mia", username="mia.ski"
    )

    assert sender(MIA) == expected
    assert sender(MIA, from_user_id=USER) == expected
    assert sender(MIA, **{"from": None}, from_user_id=USER) == expected


def test_a_phone_is_not_needed() -> None:
    """A customer may be known by the business-scoped id alone."""
    contact = {"profile": {"name": "Mia"}, "user_id": USER}

    found = sender(contact, **{"from": None}, from_user_id=USER)

    assert found.identities == (USER,)


def test_the_contact_is_chosen_by_identity() -> None:
    """Of several contacts, the one with the message's phone or id is its sender."""
    assert sender(LEO, MIA).name == "Mia"
    assert sender(LEO, MIA, **{"from": None}, from_user_id="CH.2").name == "Leo"


def test_the_only_contact_names_who_is_not_named() -> None:
    """A message without any sender is from the change's only contact."""
    assert sender(MIA, **{"from": None}).identities == (PHONE, USER)


def test_the_only_contact_completes_a_phone() -> None:
    """An only contact that has just the other identity belongs to the message."""
    assert sender({"user_id": USER}).identities == (PHONE, USER)


def test_a_stranger_is_not_the_sender() -> None:
    """An only contact with another phone, or another id, says nothing about the sender."""
    assert sender(LEO).identities == (PHONE,)
    assert sender(LEO, **{"from": None}, from_user_id=USER).identities == (USER,)


def test_a_username_beside_the_profile_counts() -> None:
    """A username is taken from the profile, else from the contact itself."""
    assert sender({"wa_id": PHONE, "username": "mia.ski"}).username == "mia.ski"


def test_identities_are_not_normalised() -> None:
    """A number reaches the event exactly as WhatsApp wrote it."""
    assert sender(**{"from": "+52 1 555-0100"}).wa_id == "+52 1 555-0100"


def test_numbers_are_read_as_digits() -> None:
    """Identities sent as JSON numbers are the same as those sent as text."""
    found = sender({**MIA, "wa_id": int(PHONE)}, **{"from": int(PHONE)})

    assert (found.wa_id, found.name) == (PHONE, "Mia")


@pytest.mark.parametrize("odd", [None, "Mia", 7, [1], {"profile": "Mia", "wa_id": {}}])
def test_odd_contacts_cost_nothing(odd: Any) -> None:
    """A contact of any shape leaves the message with its own identities."""
    assert sender(odd).identities == (PHONE,)
    assert event_of(message(), contacts=odd).sender.wa_id == PHONE


def test_a_new_number_keeps_the_old_one() -> None:
    """After a changed number the new identities are written to, and the old ones still known."""
    system = {
        "type": "user_changed_number",
        "wa_id": "41790000009",
        "user_id": "CH.9",
        "previous_user_id": USER,
    }

    found = sender(type="system", system=system)

    assert (found.wa_id, found.user_id) == ("41790000009", "CH.9")
    assert set(found.also) == {PHONE, USER}


def test_a_new_number_in_the_older_field_counts() -> None:
    """The new number may come as `new_wa_id`, the old one as `customer`."""
    system = {"type": "customer_changed_number", "new_wa_id": "41790000009", "customer": PHONE}

    found = sender(**{"from": None}, type="system", system=system)

    assert (found.wa_id, found.also) == ("41790000009", (PHONE,))


def test_a_new_user_id_needs_no_phone() -> None:
    """A changed business-scoped id joins the new one to the old one."""
    system = {"type": "user_changed_user_id", "user_id": "CH.9", "previous_user_id": USER}

    found = sender(**{"from": None}, type="system", system=system)

    assert found.identities == ("CH.9", USER)


def test_a_number_given_up_is_not_written_to() -> None:
    """A changed business-scoped id means a new number, so the old phone is only remembered."""
    system = {"type": "user_changed_user_id", "user_id": "CH.9"}

    found = sender(type="system", system=system)

    assert (found.wa_id, found.user_id, found.also) == (None, "CH.9", (PHONE,))


def test_other_system_messages_move_nobody() -> None:
    """A system message without new identities leaves the sender as it was."""
    found = sender(MIA, type="system", system={"type": "user_identity_changed", "customer": PHONE})

    assert (found.wa_id, found.user_id, found.also) == (PHONE, USER, ())
