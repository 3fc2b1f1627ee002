"""How soon the desk shows what was committed.

    python tests/benchmarks/desk.py

A customer's messages come to everything that `frostdesk dev` starts, and a conversation is open in
headless Chromium. Printed: from the event's own time, which lies a little before its commit, to the
bubble on the page, and to a bare socket that hears the same change; and an empty round trip over
HTTP, all in the same run. The times of both processes are of one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import asyncpg
import click

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from frostdesk.cli.stack import running_stack  # noqa: E402  # found by the line above
from tests.desk.browser import Browser, chromium  # noqa: E402
from tests.desk.scene import open_desk  # noqa: E402
from tests.realtime.crowd import WRITTEN  # noqa: E402
from tests.realtime.sockets import connected  # noqa: E402
from tests.support.bodies import text_message, webhook  # noqa: E402
from tests.support.desk import Api  # noqa: E402
from tests.support.environments import dev_environment  # noqa: E402

PAUSE_SECONDS = 0.15

# When each text was first seen, in Unix seconds.
WATCH = """
() => {
  window.seen = {};
  const look = () => {
    for (const text of document.querySelectorAll(".bubble .text")) {
      window.seen[text.textContent] ??= (performance.timeOrigin + performance.now()) / 1000;
    }
  };
  const what = { childList: true, subtree: true, characterData: true };
  new MutationObserver(look).observe(document.querySelector(".messages"), what);
}
"""

COMMITTED = """
SELECT data ->> 'text' AS text, extract(epoch FROM recorded_at)::float8 AS at
  FROM events WHERE type = 'MessageReceived'
"""

Moments = dict[str, float]


async def measure(folder: Path, devtools: str, *, port: int, messages: int) -> None:
    """Print how long each way takes."""
    async with (
        running_stack(folder, dev_environment(port), quiet=True) as stack,
        aiohttp.ClientSession() as session,
        Browser.connected(devtools) as browser,
    ):
        api = Api(session, stack.url)
        await api.webhook(webhook(text_message("Ready?")))
        page = await open_desk(browser, stack.url)
        await page.click(".conversations a")
        await page.sees(".bubble", "Ready?")
        await page.apply(WATCH)
        texts = [f"Message {n}" for n in range(messages)]
        heard = await _write(api, texts)
        await page.sees(".bubble", texts[-1])
        seen = await page.run("window.seen")
        committed = await _committed(stack.environment["FROSTDESK_DATABASE_URL"])
        trips = [await _round_trip(api) for _ in texts]
    _report(texts, committed=committed, seen=seen, heard=heard, trips=trips)


async def _write(api: Api, texts: list[str]) -> Moments:
    """Have the customer write; gives when a bare socket heard of each text."""
    heard: Moments = {}
    async with connected(api) as client:
        await client.subscribe(WRITTEN)
        for text in texts:
            await api.webhook(webhook(text_message(text)))
            heard[(await client.change())["record"]["content"]] = time.time()
            await asyncio.sleep(PAUSE_SECONDS)
    return heard


async def _committed(database_url: str) -> Moments:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(COMMITTED)
    await connection.close()
    return {row["text"]: row["at"] for row in rows}


async def _round_trip(api: Api) -> float:
    begun = time.perf_counter()
    async with api.session.get(f"{api.url}/health") as answer:
        await answer.read()
    return time.perf_counter() - begun


def _report(
    texts: list[str], *, committed: Moments, seen: Moments, heard: Moments, trips: list[float]
) -> None:
    page = [seen[text] - committed[text] for text in texts]
    wire = [heard[text] - committed[text] for text in texts]
    limit = _at(wire, 0.5)
    for what, waits in (
        ("HTTP round trip", trips),
        ("event to bare socket", wire),
        ("event to page", page),
    ):
        middle, late = _at(waits, 0.5), _at(waits, 0.95)
        click.echo(
            f"{what:<22} median {middle * 1000:6.1f} ms   95 % {late * 1000:6.1f} ms"
            f"   {middle / limit:5.2f} x the bare socket"
        )


def _at(waits: list[float], share: float) -> float:
    return sorted(waits)[int(len(waits) * share)]


def main() -> None:
    """Measure, on servers and in a browser that are thrown away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--port", type=int, default=13_000, help="the two after it are used too")
    asked = parser.parse_args()
    with (
        TemporaryDirectory(prefix="frostdesk-desk-", ignore_cleanup_errors=True) as folder,
        chromium(Path(folder) / "chromium") as devtools,
    ):
        place = Path(folder) / "data"
        asyncio.run(measure(place, devtools, port=asked.port, messages=asked.messages))


if __name__ == "__main__":
    main()
