"""The page's live updates: tried as the API has them, by following the stream for a moment."""

from __future__ import annotations

import asyncpg

from frostdesk.cli.doctor.verdict import Verdict
from frostdesk.errors import TryAgainError
from frostdesk.realtime.hub import why
from frostdesk.realtime.replication import open_stream
from frostdesk.settings import Settings


async def check_live_updates(settings: Settings) -> list[Verdict]:
    """Whether changes can be followed. Without them the page looks every few seconds."""
    if settings.supabase_url:
        return [Verdict("live updates", "ok", "left to Supabase Realtime")]
    try:
        async with open_stream(settings.direct_database_url or settings.database_url):
            return [Verdict("live updates", "ok", "changes can be followed")]
    except (
        OSError,
        EOFError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        TryAgainError,
    ) as error:
        return [Verdict("live updates", "warning", "the page refreshes only", why(error))]
