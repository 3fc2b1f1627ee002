"""The limits of what the simulated WhatsApp remembers."""

from datetime import UTC, datetime

import pytest

from frostdesk.simulators import phones
from frostdesk.simulators.graph import TextMessage
from frostdesk.simulators.phones import ChatMessage, Introduction, Phones


def test_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limits the oldest customers and messages are forgotten."""
    monkeypatch.setattr(phones, "MAX_CUSTOMERS", 2)
    monkeypatch.setattr(phones, "MAX_OWN", 2)
    everyone = Phones()
    for number in ("1", "2", "3"):
        customer = everyone.introduce(number, Introduction())
        written = ChatMessage(id=number, by_customer=True, text="x", at=datetime.now(UTC))
        everyone.write(customer, written, phone_number_id="100")
    assert list(everyone.customers) == ["2", "3"]
    assert everyone.own("1") is None
    assert everyone.own("3") is not None


def test_a_shown_number_joins_a_hidden_one() -> None:
    """A customer who was known by the business-scoped id keeps it when the number shows."""
    everyone = Phones()
    everyone.introduce("417", Introduction(user_id="CH.7", no_phone=True))
    customer = everyone.introduce("417", Introduction())
    assert (customer.wa_id, customer.user_id) == ("417", "CH.7")


def test_the_same_phone_in_other_letters() -> None:
    """A number written with a plus and spaces reaches the same phone."""
    everyone = Phones()
    everyone.accept("100", TextMessage(to="+41 79 000-00-01", text="a"))
    everyone.accept("100", TextMessage(to="41790000001", text="b"))
    assert [m.text for m in everyone.customers["41790000001"].chat] == ["a", "b"]


def test_who_is_known_by_the_id_alone() -> None:
    """A stranger's business-scoped id makes a phone of its own, without a number."""
    everyone = Phones()
    everyone.accept("100", TextMessage(recipient="CH.9", text="a"))
    customer = everyone.customers["CH.9"]
    assert (customer.wa_id, customer.user_id) == (None, "CH.9")
