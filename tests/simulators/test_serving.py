"""What both simulators share as servers."""

import asyncio
import signal
import sys

import aiohttp
import pytest

from frostdesk.simulators.serving import Fault, parse_fault
from tests.support.ports import free_port
from tests.support.waiting import until

PROGRAM = """
import sys
from frostdesk.simulators.model import ModelSettings, create_model_app
from frostdesk.simulators.serving import run
run(create_model_app(ModelSettings()), host="127.0.0.1", port=int(sys.argv[1]))
"""


async def answers(port: int) -> bool:
    """Whether a simulated model answers on this port."""
    try:
        async with aiohttp.request("GET", f"http://127.0.0.1:{port}/v1/models") as response:
            return response.status == 200
    except aiohttp.ClientConnectorError:
        return False


def test_parses_faults() -> None:
    """A fault is a kind that is known, with its argument if it needs one."""
    known = {"500", "429", "stall:"}
    assert parse_fault("500", known) == Fault("500")
    assert parse_fault("429:2", known) == Fault("429", "2")
    assert parse_fault("stall:0.5", known).number == 0.5
    for wrong in ("explode", "", "stall", "stall:", "stall:x", "stall:1:", "429:-1"):
        with pytest.raises(ValueError, match=r"."):
            parse_fault(wrong, known)


async def test_ends_on_a_signal() -> None:
    """A server that runs ends soon after SIGTERM, with exit status 0 and nothing to say."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", PROGRAM, str(port), stderr=asyncio.subprocess.PIPE
    )
    try:
        await until(lambda: answers(port))
    finally:
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
