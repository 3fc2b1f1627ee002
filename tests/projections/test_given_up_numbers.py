"""A phone that has been given up is not written to, however the log came in."""

from __future__ import annotations

import pytest

from frostdesk.events import Sender, conversation_id_for
from frostdesk.store.append import EventStore
from projections.rebuild import Connect
from tests.factories import ANA, received, sender
from tests.projections.test_rebuild import found

BEFORE = sender(user_id="CH.1")
MOVED = sender(None, user_id="CH.2", also=(ANA, "CH.1"))


@pytest.mark.parametrize("size", [1, 9], ids=["one by one", "at once"])
@pytest.mark.parametrize(
    ("said", "phone"),
    [
        ([BEFORE, MOVED], None),
        ([BEFORE, sender(None, user_id="CH.2", also=("CH.1",))], None),
        ([BEFORE, MOVED, sender(None, user_id="CH.2")], None),
        ([BEFORE, MOVED, sender("41790000009", user_id="CH.2")], "41790000009"),
        ([BEFORE, MOVED, BEFORE, MOVED], None),
        ([BEFORE, sender(None, user_id="CH.1")], ANA),
        ([BEFORE, sender(None, user_id=None, also=(ANA,))], ANA),
    ],
)
async def test_a_new_id_without_a_phone_ends_the_phone(
    store: EventStore, connect: Connect, said: list[Sender], phone: str | None, size: int
) -> None:
    """Until a later word names a phone again. Where a phone is only left unsaid, it stays."""
    events = [received(by=by) for by in said]
    stream = conversation_id_for(events[0].id)
    for first in range(0, len(events), size):
        await store.append(events[first : first + size], conversation_id=stream)

    async with connect() as connection:
        assert await connection.fetchval("SELECT wa_id FROM conversations") == phone
    assert await found(connect) == []
