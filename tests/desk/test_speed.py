"""How soon the desk knows."""

from __future__ import annotations

from statistics import median

import asyncpg

from tests.desk.browser import Page
from tests.desk.scene import ANA, Customers

ROUNDS = 20

# When each text was first seen, in Unix milliseconds.
WATCH = """
() => {
  window.seen = {};
  const look = () => {
    for (const text of document.querySelectorAll(".bubble .text")) {
      window.seen[text.textContent] ??= performance.timeOrigin + performance.now();
    }
  };
  const what = { childList: true, subtree: true, characterData: true };
  new MutationObserver(look).observe(document.querySelector(".messages"), what);
}
"""

COMMITTED = """
SELECT data ->> 'text' AS text, extract(epoch FROM recorded_at)::float8 * 1000 AS at
  FROM events WHERE type = 'MessageReceived'
"""


async def test_a_message_is_on_the_page_a_moment_after_its_commit(
    desk: Page, customers: Customers, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    """From the event's own time to the bubble: less than 100 ms in the median."""
    await customers.write(ANA, "Ready?")
    await desk.click(".conversations a")
    await desk.sees(".bubble", "Ready?")
    await desk.apply(WATCH)
    for n in range(ROUNDS):
        await customers.write(ANA, f"Message {n}")
        await desk.sees(".bubble", f"Message {n}")
    seen = await desk.run("window.seen")
    committed = {row["text"]: row["at"] for row in await pool.fetch(COMMITTED)}
    waits = [seen[f"Message {n}"] - committed[f"Message {n}"] for n in range(ROUNDS)]
    assert median(waits) < 100
