"""`/inbound`: WhatsApp's handshake and its webhooks. 200 means committed."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime

import structlog
from aiohttp import web

from frostdesk.api.keys import DOORBELL, POOL, SETTINGS, STORE
from frostdesk.api.metrics import METRICS
from frostdesk.api.requests import read_body
from frostdesk.deliveries import record_statuses
from frostdesk.doorbell import generate_reply_job
from frostdesk.errors import RefusedError, UnauthorizedError
from frostdesk.events import MessageReceived
from frostdesk.store.append import NewEvent
from frostdesk.whatsapp.signature import verify_signature
from frostdesk.whatsapp.webhook import InboundFact, StatusUpdate, parse_webhook

log = structlog.get_logger(__name__)

SKIPS_SHOWN = 5
"""Of so many parts the log tells why: a webhook can have hundreds of thousands."""


async def verify(request: web.Request) -> web.Response:
    """WhatsApp's handshake: whoever knows our verify token gets the challenge back.

    Meta, Graph API, webhooks, "Verification Requests".
    """
    given = request.query.get("hub.verify_token", "").encode(errors="replace")
    expected = request.app[SETTINGS].whatsapp_verify_token.encode(errors="replace")
    if request.query.get("hub.mode") != "subscribe" or "hub.challenge" not in request.query:
        raise RefusedError("This is not WhatsApp's handshake: hub.mode, hub.challenge are missing.")
    if not hmac.compare_digest(given, expected):
        raise UnauthorizedError("hub.verify_token is not the one that this desk expects.")
    return web.Response(text=request.query["hub.challenge"], content_type="text/plain")


async def receive(request: web.Request) -> web.Response:
    """Verify, understand, append; every consequence is a worker's reaction."""
    body = await read_body(request)
    app = request.app
    secret = app[SETTINGS].whatsapp_app_secret.encode()
    verify_signature(body, request.headers.get("X-Hub-Signature-256"), secret)
    webhook = parse_webhook(body, received_at=datetime.now(UTC))
    if webhook.skipped:
        app[METRICS].skipped.inc(len(webhook.skipped))
        log.warning(
            "parts of a webhook were not understood",
            parts=len(webhook.skipped),
            first=webhook.skipped[:SKIPS_SHOWN],
        )
    appending = [_append(app, fact) for fact in webhook.facts]
    if webhook.statuses:
        appending.append(_record(app, webhook.statuses))
    await _all(appending)
    return web.Response()


async def _all(appending: Sequence[Awaitable[None]]) -> None:
    """Wait until every part has ended, so that none fails another; raise the first failure."""
    if len(appending) == 1:  # as nearly always; a task would cost more than what it waits for
        await appending[0]
        return
    results = await asyncio.gather(*appending, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        raise failures[0]


async def _append(app: web.Application, fact: InboundFact) -> None:
    new = NewEvent(
        id=fact.id, event=fact.event, actor="customer", correlation_id=fact.id, causation_id=None
    )
    (appended,) = await app[STORE].append([new])
    shown = app[METRICS]
    (shown.accepted if appended.is_new else shown.duplicates).inc()
    event = fact.event
    if isinstance(event, MessageReceived) and event.answerable and appended.is_new:
        app[DOORBELL].ring(generate_reply_job(appended.conversation_id, appended.id, event.text))


async def _record(app: web.Application, statuses: Sequence[StatusUpdate]) -> None:
    await record_statuses(app[POOL], app[STORE], statuses)
