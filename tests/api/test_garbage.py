"""What requests leave behind for Python's search for cycles, which the API has come seldom."""

from __future__ import annotations

import gc

from tests.support.bodies import text_message, webhook
from tests.support.desk import Api

WEBHOOKS = 50


async def test_webhooks_leave_no_cycles(api: Api) -> None:
    """However many there are, taken, repeated or refused, there is no more garbage to be found."""
    await post_some(api)
    gc.collect()
    gc.disable()
    try:
        await post_some(api)
        assert gc.collect() < WEBHOOKS
    finally:
        gc.enable()


async def post_some(api: Api) -> None:
    """Webhooks as they come and as they must not come, through the whole of the API."""
    for _ in range(WEBHOOKS):
        body = webhook(text_message())
        await api.webhook(body)
        await api.webhook(body)
        await api.webhook({"object": "page"}, 400)
