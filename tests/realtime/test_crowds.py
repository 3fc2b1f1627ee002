"""Hundreds of sockets that never read, against a real process.

Ten thousand: `python tests/benchmarks/crowd.py`.
"""

from __future__ import annotations

import asyncio

import aiohttp

from tests.realtime.crowd import Crowd, look_beside
from tests.support.desk import Api
from tests.support.programs import Programs
from tests.support.secrets import INSTRUCTOR_TOKEN

CROWD = 500
GONE_SECONDS = 60.0


async def test_nobody_notices_a_crowd_that_never_reads(programs: Programs, api_port: int) -> None:
    """Each is refused or dropped in the protocol's words; others hear all in order, and come in."""
    service = await programs.serve()
    with (
        Crowd(CROWD, port=api_port, token=INSTRUCTOR_TOKEN) as known,
        Crowd(CROWD, port=api_port, token="not-the-token") as strangers,
    ):
        async with aiohttp.ClientSession() as session:
            seen = await look_beside(Api(session, service.url), known, strangers)
        ended = await asyncio.to_thread(known.endings, seconds=GONE_SECONDS)
        turned_away = await asyncio.to_thread(strangers.endings, seconds=GONE_SECONDS)
    assert seen.early == seen.wrote
    assert seen.late == seen.wrote[-len(seen.late) :]
    assert set(ended) <= {"close 1008", "close 1013"}
    assert set(turned_away) <= {"close 1008", "HTTP 503"}
