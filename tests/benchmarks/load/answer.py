"""Answering: from the moment a webhook is posted until the reply is at WhatsApp.

Fifty new customers a second write one message each, and one worker answers. The yardstick is the
round trips that no service could do without, one after the other, at the same pace and in the same
run: a webhook to a bare handler, the same prompt to the model, a text to WhatsApp.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from tests.benchmarks.load.figures import Figure, percentile, times
from tests.benchmarks.load.rig import Desk, bare_handler, running_desk
from tests.benchmarks.load.webhooks import Letter, letters, post
from tests.support.secrets import MODEL_KEY, PHONE_NUMBER_ID, WHATSAPP_TOKEN

A_SECOND = 50
CUSTOMERS = 250
ROUNDS = 2


async def measure() -> list[Figure]:
    """How soon a customer is answered, and whether anybody is not, or twice."""
    trips: list[float] = []
    wrote: dict[str, float] = {}
    async with running_desk() as (_, desk), bare_handler(desk.session) as (port, _):
        await desk.start_api()
        await desk.start_worker()
        await desk.warm_up()
        bare = await _bare_trips(desk, f"http://127.0.0.1:{port}")
        for _ in range(ROUNDS):
            trips += (await _paced(letters(CUSTOMERS), bare)).values()
            wrote |= await _paced_answers(desk)
        sends = await desk.outside.sends()
    answered: dict[str, list[float]] = {}
    for send in sends:
        at = datetime.fromisoformat(send["at"]).timestamp()
        answered.setdefault(send["message"]["to"], []).append(at)
    waits = [answered[who][0] - at for who, at in wrote.items() if who in answered]
    times_answered = Counter(len(answered.get(who, ())) for who in wrote)
    middle, late = (percentile(waits, s) / percentile(trips, s) for s in (0.5, 0.99))
    return [
        *times("webhook until the reply is at WhatsApp", waits),
        *times("the bare round trips", trips),
        Figure("reply, of the bare round trips, p50", middle, "x"),
        Figure("reply, of the bare round trips, p99", late, "x"),
        Figure("messages without a reply", times_answered.pop(0, 0), "", at_most=0),
        Figure(
            "messages with more than one reply",
            times_answered.total() - times_answered[1],
            "",
            at_most=0,
        ),
    ]


async def _paced_answers(desk: Desk) -> dict[str, float]:
    """Have customers write; gives when each did, in Unix seconds."""
    wrote: dict[str, float] = {}

    async def write(letter: Letter) -> None:
        wrote[letter.customer] = time.time()
        await post(desk.session, desk.url, letter)

    await _paced(letters(CUSTOMERS), write)
    await desk.is_settled()
    return wrote


async def _paced(
    sent: Sequence[Letter], send: Callable[[Letter], Awaitable[None]]
) -> dict[str, float]:
    """Send each at its time, however long the others take; gives how long each took."""
    took: dict[str, float] = {}
    begun = time.perf_counter()

    async def one(number: int, letter: Letter) -> None:
        await asyncio.sleep(begun + number / A_SECOND - time.perf_counter())
        started = time.perf_counter()
        await send(letter)
        took[letter.customer] = time.perf_counter() - started

    await asyncio.gather(*(one(number, letter) for number, letter in enumerate(sent)))
    return took


async def _bare_trips(desk: Desk, handler: str) -> Callable[[Letter], Awaitable[None]]:
    """Makes the round trips of one reply, with a prompt that the worker has used."""
    newest = (await _seen_by_model(desk))[-1]
    prompt = json.dumps(newest).encode()

    async def trips(letter: Letter) -> None:
        await post(desk.session, handler, letter)
        await _ask(desk, f"{desk.model_url}/v1/chat/completions", MODEL_KEY, prompt)
        text = {
            "messaging_product": "whatsapp",
            "to": letter.customer,
            "type": "text",
            "text": {"body": "Gladly! Which day and time suit you?"},
        }
        url = f"{desk.whatsapp_url}/v23.0/{PHONE_NUMBER_ID}/messages"
        await _ask(desk, url, WHATSAPP_TOKEN, json.dumps(text).encode())

    return trips


async def _seen_by_model(desk: Desk) -> list[object]:
    async with desk.session.get(f"{desk.model_url}/_control") as answer:
        newest: list[object] = (await answer.json())["newest"]
        return newest


async def _ask(desk: Desk, url: str, token: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with desk.session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
