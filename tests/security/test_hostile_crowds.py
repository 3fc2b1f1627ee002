"""Many hostile clients at once: memory stays bounded, and WhatsApp is served meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from frostdesk.api.bodies import ALL_BYTES
from frostdesk.api.connections import WAITING_MOST
from tests.security.hostile import MEGABYTE, Watch, crowd, head, many_files, say
from tests.support.programs import Programs
from tests.support.waiting import until

IDLE = 10_000


@pytest.fixture
async def watch(programs: Programs) -> AsyncIterator[Watch]:
    """The API as a process, which has taken some webhooks."""
    api = await programs.serve()
    watch = Watch(api)
    await watch.webhooks(20)
    watch = Watch(api)
    with many_files():
        yield watch
    await watch.webhooks()
    assert await api.terminate() == 0
    assert "Traceback" not in api.output()


async def test_ten_thousand_idle_connections(watch: Watch) -> None:
    """They are held as far as there is room for them; then those that came first are let go."""
    async with crowd(watch.port) as idle:
        for _ in range(20):
            await idle.grow(IDLE // 20)
            await watch.webhooks(1)

        async def fewer() -> bool:
            return watch.files() <= WAITING_MOST + 100

        await until(fewer, 60)
        await watch.webhooks()
        assert idle.standing() > WAITING_MOST // 2
    watch.tell(f"{IDLE} idle connections")
    assert watch.grown() < 300


async def test_heads_that_never_end(watch: Watch) -> None:
    """Heads as large as heads may be, in thousands, then a byte now and then."""
    field = b"X-Filling: " + b"x" * 8000 + b"\r\n"
    async with crowd(watch.port) as slow:
        for _ in range(3):
            await slow.grow(500, b"POST /inbound HTTP/1.1\r\nHost: desk\r\n", field * 20)
            await slow.dribble(b"X-More: ")
            await watch.webhooks(2)
            await asyncio.sleep(0.5)
    watch.tell("1500 heads of 160 kB without an end")
    assert watch.grown() < 900


async def test_bodies_that_never_end(watch: Watch) -> None:
    """Bodies that are almost there, in hundreds: the oldest make room for the newest."""
    almost = head(f"Content-Length: {3 * MEGABYTE}") + b"x" * (3 * MEGABYTE - 1000)
    async with crowd(watch.port) as slow:
        for _ in range(10):
            await slow.grow(30, almost)
            await slow.dribble(b"x")
            await watch.webhooks(2)
    watch.tell("300 bodies of 3 MB without an end")
    assert watch.grown() < 3 * ALL_BYTES / MEGABYTE


async def test_compressed_bombs(watch: Watch) -> None:
    """What unpacks to a hundred times its size is refused, however many come at once."""
    nothing = bytes(100 * MEGABYTE)
    for encoding, bomb in (("gzip", gzip.compress(nothing)), ("deflate", zlib.compress(nothing))):
        above = head(f"Content-Encoding: {encoding}", f"Content-Length: {len(bomb)}")
        answers = await asyncio.gather(*(say(watch.port, above, bomb) for _ in range(30)))
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 413"}
        await watch.webhooks()
    watch.tell("60 bombs of 100 MB")
    assert watch.grown() < 300


async def test_chunks_without_end(watch: Watch) -> None:
    """Chunked bodies that go on for ever, or whose chunks are never finished, are cut off."""
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    above = head("Transfer-Encoding: chunked")
    (answer,) = await asyncio.gather(say(watch.port, above, *[chunk] * 2000))
    assert answer.startswith(b"HTTP/1.1 413")
    async with crowd(watch.port) as slow:
        await slow.grow(300, above, b"FFFFFFF\r\n" + b"x" * MEGABYTE)
        await slow.grow(300, above, b"1;" + b"x" * MEGABYTE)
        await slow.grow(100, above, b"0\r\n" + (b"X-Trailer: " + b"x" * 4000 + b"\r\n") * 200)
        await watch.webhooks()
    watch.tell("chunks without end")
    assert watch.grown() < 900


async def test_answers_that_nobody_reads(watch: Watch) -> None:
    """Who asks again and again and never reads is asked to wait, and costs little."""
    ask = head(target="/openapi.json", method="GET") * 200
    async with crowd(watch.port) as deaf:
        for _ in range(5):
            await deaf.grow(20, ask)
            await watch.webhooks(2)
    watch.tell("100 clients that never read")
    assert watch.grown() < 300
