"""`/metrics` for Prometheus: what this process has seen, what the log says, how things stand.

Open to whoever reaches it, as scrapers expect: there are only numbers in it, of no one customer.
"""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime

import asyncpg
from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    generate_latest,
)

from frostdesk.api.keys import POOL, REDIS
from frostdesk.api.requests import Handler
from frostdesk.doorbell import QUEUE, REDIS_AWAY
from frostdesk.errors import RefusedError
from frostdesk.metrics import LogMetrics
from frostdesk.store.database import LOST, Pool

SCRAPE_SECONDS = 8.0
"""Below the ten seconds that Prometheus waits unless told otherwise."""

REDIS_SECONDS = 2.0

# Partial indexes hold just these rows. The lock is that of projections/rebuild.py, as pg_locks
# shows a key of 64 bits.
STATE = """
SELECT (SELECT count(*) FROM messages WHERE status = 'waiting') AS waiting_messages,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
          FROM messages WHERE status = 'waiting') AS oldest_waiting_seconds,
       (SELECT count(*) FROM messages WHERE status IN ('pending', 'unsettled', 'repeated'))
           AS unsent_replies,
       (SELECT count(*) FROM bookings WHERE decision_id IS DISTINCT FROM announced_id)
           AS unannounced_decisions,
       (SELECT count(*) FROM messages WHERE status = 'failed') AS failed_messages,
       (SELECT count(*) FROM claims WHERE until > clock_timestamp()) AS claimed_conversations,
       (SELECT count(*) FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND (classid, objid) = (1, 312485422)
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
           AS rebuilds_running
"""

HELP = {
    "waiting_messages": "Customers' messages that have no answer yet.",
    "oldest_waiting_seconds": "Age of the oldest message that has no answer yet.",
    "unsent_replies": "Replies that WhatsApp is not known to have taken.",
    "unannounced_decisions": "Confirmations and cancellations not yet told to the customer.",
    "failed_messages": "Messages that wait for the instructor's retry.",
    "claimed_conversations": "Conversations that workers are at, or that wait for their pace.",
    "rebuilds_running": "Rebuilds of the tables that are under way.",
    "queued_jobs": "Jobs in Redis, those being done included.",
    "postgresql_up": "Whether PostgreSQL answered this scrape, and had the tables.",
    "redis_up": "Whether Redis answered this scrape.",
}

IN_POSTGRESQL = HELP.keys() - {"queued_jobs", "postgresql_up", "redis_up"}

REASONS = {400: "malformed", 401: "signature", 408: "too slow", 413: "too large", 415: "encoding"}


class Metrics:
    """The numbers of one API process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        facts = Counter(
            "frostdesk_inbound_messages",
            "Messages, edits and deletions in webhooks, by whether they were new.",
            ["outcome"],
            registry=self.registry,
        )
        self.accepted = facts.labels("accepted")
        self.duplicates = facts.labels("duplicate")
        self.skipped = Counter(
            "frostdesk_inbound_skipped",
            "Parts of webhooks that were not understood.",
            registry=self.registry,
        )
        self._rejected = Counter(
            "frostdesk_inbound_rejected",
            "Webhooks that were not taken, by reason.",
            ["reason"],
            registry=self.registry,
        )
        for reason in (*REASONS.values(), "failed"):
            self._rejected.labels(reason)
        self._pool = Gauge(
            "frostdesk_pool_connections",
            "This process's connections to PostgreSQL, and how many it may have.",
            ["state"],
            registry=self.registry,
        )
        self._state = {
            name: Gauge(f"frostdesk_{name}", text, registry=self.registry)
            for name, text in HELP.items()
        }
        self._log = LogMetrics(self.registry, since=datetime.now(UTC))

    def reject(self, status: int) -> None:
        """Count a webhook that was answered with this status."""
        self._rejected.labels(REASONS.get(status, "failed")).inc()

    def show_pool(self, pool: Pool) -> None:
        """Set how the pool of connections is used."""
        idle = pool.get_idle_size()
        self._pool.labels("idle").set(idle)
        self._pool.labels("busy").set(pool.get_size() - idle)
        self._pool.labels("most").set(pool.get_max_size())

    def show(self, **state: float) -> None:
        """Set how things stand now."""
        for name, value in state.items():
            self._state[name].set(value)

    async def read_database(self, pool: Pool) -> None:
        """Set what PostgreSQL knows; where it is away, or refuses, nothing is known."""
        unknown = dict.fromkeys(IN_POSTGRESQL, math.nan)
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                row = await pool.fetchrow(STATE)
                await self._log.read(pool)
        except (*LOST, asyncpg.PostgresError):
            self.show(postgresql_up=0, **unknown)
        else:
            self.show(postgresql_up=1, **dict(row or unknown))


METRICS = web.AppKey("metrics", Metrics)


def counting_rejections(handler: Handler) -> Handler:
    """The handler of webhooks, with those counted that it does not take."""

    async def counted(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (RefusedError, web.HTTPException) as error:
            request.app[METRICS].reject(error.status)
            raise
        except Exception:
            request.app[METRICS].reject(500)
            raise

    return counted


async def metrics(request: web.Request) -> web.Response:
    """Every number, in Prometheus's text format."""
    app = request.app
    shown = app[METRICS]
    shown.show_pool(app[POOL])
    await asyncio.gather(shown.read_database(app[POOL]), _read_redis(request))
    return web.Response(
        body=generate_latest(shown.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


async def _read_redis(request: web.Request) -> None:
    shown = request.app[METRICS]
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            jobs = await request.app[REDIS].zcard(QUEUE)
    except REDIS_AWAY:
        shown.show(redis_up=0, queued_jobs=math.nan)
    else:
        shown.show(redis_up=1, queued_jobs=jobs)
