"""The story that `frostdesk demo` plays, through the same HTTP endpoints as in production."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from frostdesk.cli.stack import Stack, running_stack
from frostdesk.errors import FrostDeskError

if TYPE_CHECKING:
    import aiohttp

CUSTOMER = "41790000001"
STEP_SECONDS = 30.0


class StoryError(FrostDeskError):
    """A step of the story did not go as it should."""


async def tell() -> bool:
    """Play the story on throw-away servers and print it. Returns whether every step succeeded."""
    import aiohttp

    started = time.monotonic()
    given = {"FROSTDESK_PORT": str(_free_ports()), "FROSTDESK_TIMEZONE": "Europe/Zurich"}
    with tempfile.TemporaryDirectory(prefix="frostdesk-demo-") as folder:
        click.echo("Starting throw-away servers …")
        async with (
            running_stack(Path(folder), given, quiet=True) as stack,
            aiohttp.ClientSession() as session,
        ):
            try:
                await _play(stack, session)
            except StoryError as error:
                click.secho(f"✗ {error}", fg="red", err=True)
                return False
    click.secho(f"✓ The whole story in {time.monotonic() - started:.1f} s.", fg="green")
    return True


async def _play(stack: Stack, session: aiohttp.ClientSession) -> None:
    phone = _Phone(stack, session)
    await phone.write("Hello! Do you teach beginners?")
    await phone.hear("an answer")
    await phone.write("Great. Saturday at 10 for two hours, please.")
    await phone.hear("a proposed lesson", holding="10:00")
    booking = await _pending_booking(stack, session)
    await _instructor(stack, session, "POST", f"/bookings/{booking['id']}/confirm")
    _say("instructor", f"confirms {booking['date']} at {booking['time'][:5]}")
    await phone.hear("the confirmation", holding="confirmed")
    for command in (["rebuild"], ["rebuild", "--verify"]):
        _say("engineer", f"frostdesk {' '.join(command)}")
        await _command(stack, command)


class _Phone:
    """The customer's end of the conversation."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession) -> None:
        self._url = f"{stack.whatsapp_url}/_customers/{CUSTOMER}/messages"
        self._session = session
        self._heard = 0

    async def write(self, text: str) -> None:
        """Send a message to the instructor's number."""
        _say("customer", text)
        async with self._session.post(self._url, json={"name": "Ana", "text": text}) as answer:
            if not answer.ok:
                raise StoryError(f"The message was not taken: {answer.status}.")

    async def hear(self, what: str, *, holding: str = "") -> None:
        """Wait for the next message from the desk."""

        async def received() -> list[str]:
            async with self._session.get(self._url) as answer:
                chat = await answer.json()
            return [m["text"] for m in chat["items"] if not m["by_customer"]]

        texts = await _until(received, lambda texts: len(texts) > self._heard, what)
        self._heard += 1
        text = texts[self._heard - 1]
        _say("desk", text)
        if holding not in text:
            raise StoryError(f"The customer expected {what}, with {holding!r} in it.")


async def _pending_booking(stack: Stack, session: aiohttp.ClientSession) -> dict[str, Any]:
    async def pending() -> list[dict[str, Any]]:
        answer = await _instructor(stack, session, "GET", "/bookings?status=pending")
        items: list[dict[str, Any]] = answer["items"]
        return items

    (booking,) = await _until(pending, bool, "a booking that waits for a yes")
    return cast("dict[str, Any]", booking)


async def _instructor(
    stack: Stack, session: aiohttp.ClientSession, method: str, path: str
) -> dict[str, Any]:
    token = stack.environment["FROSTDESK_INSTRUCTOR_TOKEN"]
    headers = {"Authorization": f"Bearer {token}"}
    async with session.request(method, stack.url + path, headers=headers) as answer:
        body: dict[str, Any] = await answer.json()
        if not answer.ok:
            raise StoryError(f"{method} {path} was answered {answer.status}: {body}")
        return body


async def _command(stack: Stack, command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "frostdesk",
        *command,
        env={**os.environ, **stack.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    click.echo("             " + output.decode().strip().replace("\n", "\n             "))
    if process.returncode:
        raise StoryError(f"`frostdesk {' '.join(command)}` ended with {process.returncode}.")


async def _until(
    ask: Callable[[], Awaitable[Any]], enough: Callable[[Any], bool], what: str
) -> Any:
    end = time.monotonic() + STEP_SECONDS
    while time.monotonic() < end:
        if enough(found := await ask()):
            return found
        await asyncio.sleep(0.05)
    raise StoryError(f"Within {STEP_SECONDS:.0f} s there was not {what}.")


def _say(who: str, text: str) -> None:
    indented = text.replace("\n", "\n             ")
    click.echo(f"{click.style(f'{who:>10}', bold=True)} │ {indented}")


def _free_ports() -> int:
    """A port with two free ones after it. Another process may still take them: then we say so."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 65000 and all(_is_free(port + offset) for offset in (1, 2)):  # noqa: PLR2004
            return port
    raise StoryError("No three free ports in a row were found.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
