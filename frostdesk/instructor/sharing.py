"""The calendar's secret address: shared, found out, revoked.

What is shared stands in the desk's own stream. The address is derived from the event that shared
it and the instructor's token, so the log holds no secret, and a new token ends every old address.
"""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from frostdesk.events import INSTRUCTOR_ID, CalendarRevoked, CalendarShared, derive_id
from frostdesk.store.append import EventStore, NewEvent
from frostdesk.store.database import Pool

DESK_STREAM = derive_id("desk", INSTRUCTOR_ID)

LAST = """
SELECT id, type, version FROM events
 WHERE conversation_id = $1 AND type IN ('CalendarShared', 'CalendarRevoked')
 ORDER BY version DESC LIMIT 1
"""


async def share(pool: Pool, store: EventStore, *, token: str) -> str:
    """The secret of the calendar's address; a new one unless there is one already."""
    last = await pool.fetchrow(LAST, DESK_STREAM)
    if last is None or last["type"] != "CalendarShared":
        event_id = derive_id("calendar shared", DESK_STREAM, last["version"] if last else 0)
        new = NewEvent(id=event_id, event=CalendarShared(), actor="instructor")
        await store.append([new], conversation_id=DESK_STREAM)
        return _secret(event_id, token)
    return _secret(last["id"], token)


async def revoke(pool: Pool, store: EventStore) -> None:
    """End the calendar's address. Repeating it changes nothing."""
    last = await pool.fetchrow(LAST, DESK_STREAM)
    if last is not None and last["type"] == "CalendarShared":
        event_id = derive_id("calendar revoked", last["id"])
        new = NewEvent(
            id=event_id, event=CalendarRevoked(), actor="instructor", causation_id=last["id"]
        )
        await store.append([new], conversation_id=DESK_STREAM)


async def current_secret(pool: Pool, *, token: str) -> str | None:
    """The secret that is valid now, or None where the calendar is not shared."""
    last = await pool.fetchrow(LAST, DESK_STREAM)
    shared = last is not None and last["type"] == "CalendarShared"
    return _secret(last["id"], token) if last is not None and shared else None


def _secret(event_id: UUID, token: str) -> str:
    return hmac.digest(token.encode(), f"calendar:{event_id}".encode(), hashlib.sha256).hex()[:40]
