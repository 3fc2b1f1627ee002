"""Commands for trying it out: everything on one machine, with nothing set up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
import msgspec

from frostdesk.cli.running import DATA_DIR, DEV_FILE, run, stop_event
from frostdesk.errors import FrostDeskError
from frostdesk.settings import read_settings

if TYPE_CHECKING:
    from frostdesk.cli.stack import Stack

KEPT = (
    "FROSTDESK_INSTRUCTOR_TOKEN",
    "FROSTDESK_WHATSAPP_APP_SECRET",
    "FROSTDESK_WHATSAPP_VERIFY_TOKEN",
)
"""Made-up secrets that stay the same from one `dev` to the next."""

BANNER = """
FrostDesk runs.

  The desk            {url}/
  Instructor token    {token}
{simulators}  Data                {data_dir}/

Open the desk and the customer's phone side by side. Or write as a customer from here:

  curl -X POST {whatsapp}/_customers/41790000001/messages -H 'Content-Type: application/json' \\
    -d '{{"name": "Ana", "text": "Hello! A lesson on Saturday at 10 for two hours?"}}'
  curl {whatsapp}/_customers/41790000001/messages

As the instructor, see what waits for a yes:

  curl -H 'Authorization: Bearer {token}' '{url}/bookings?status=pending'
  {program} bookings
  {program} confirm ID

Ctrl-C stops all of it.
"""

OWN_NUMBER = """
FrostDesk runs.

  The desk            {url}/
  Instructor token    {token}
{simulators}  Data                {data_dir}/

Your own WhatsApp number is used. Make {url}/inbound reachable for Meta over HTTPS.
As the instructor, see who has written:

  curl -H 'Authorization: Bearer {token}' {url}/conversations

Ctrl-C stops all of it.
"""


@click.command()
def dev() -> None:
    """Run everything on this machine; simulators stand in where no key is set."""
    given = _environment()
    run(_dev(given))


async def _dev(given: Mapping[str, str]) -> None:
    """Run until a signal, which may come while everything is still starting."""
    stopped = asyncio.create_task(stop_event().wait())
    click.echo("Starting PostgreSQL, Redis, the API and a worker …", err=True)
    running = asyncio.create_task(_run_until_one_ends(given))
    await asyncio.wait({stopped, running}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        click.echo("Stopping …", err=True)
        running.cancel()
    stopped.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _run_until_one_ends(given: Mapping[str, str]) -> None:
    from frostdesk.cli.stack import running_stack

    async with running_stack(DATA_DIR, given) as stack:
        _remember(stack)
        click.echo(_banner(stack))
        ended = await stack.ended()
    raise FrostDeskError(f"The process `{ended}` ended, so everything was stopped.")


def _environment() -> dict[str, str]:
    """The environment, with the secrets that an earlier `dev` has made up."""
    if not DEV_FILE.is_file():
        return _checked(os.environ)
    earlier = msgspec.json.decode(DEV_FILE.read_bytes(), type=dict[str, str])
    return {name: earlier[name] for name in KEPT if name in earlier} | _checked(os.environ)


def _checked(environ: Mapping[str, str]) -> dict[str, str]:
    """FrostDesk's own variables; one that is malformed stops here, before anything starts."""
    read_settings(environ, required=())
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(("FROSTDESK_", "OPENAI_")) and value
    }


def _remember(stack: Stack) -> None:
    """Let other commands in this folder find the desk. The file holds secrets: ours alone."""
    DEV_FILE.touch(mode=0o600)
    DEV_FILE.write_bytes(msgspec.json.encode(stack.environment))


def _banner(stack: Stack) -> str:
    lines = ""
    if stack.model_url:
        lines += f"  Simulated model     {stack.model_url}\n"
    if stack.whatsapp_url:
        lines += f"  A customer's phone  {stack.whatsapp_url}/\n"
    return (BANNER if stack.whatsapp_url else OWN_NUMBER).format(
        url=stack.url,
        token=stack.environment["FROSTDESK_INSTRUCTOR_TOKEN"],
        simulators=lines,
        whatsapp=stack.whatsapp_url,
        data_dir=DATA_DIR,
        program=_program(),
    )


def _program() -> str:
    """How this program was called, so that what is printed can be copied."""
    return sys.argv[0] if sys.argv[0].endswith("frostdesk") else "python -m frostdesk"


@click.command()
def demo() -> None:
    """Play a whole story on throw-away servers: message, answer, lesson, yes, rebuild."""
    from frostdesk.cli.story import tell

    if not run(tell()):
        sys.exit(1)


@click.command("simulate-model", hidden=True)
@click.option("--port", type=int, required=True)
def simulate_model(port: int) -> None:
    """A model that knows one thing: how to arrange a lesson. Speaks chat completions."""
    from frostdesk.simulators.model import ModelSettings, create_model_app
    from frostdesk.simulators.serving import run as serve

    settings = read_settings(os.environ, required=("OPENAI_API_KEY",))
    app = create_model_app(
        ModelSettings(api_key=settings.openai_api_key, model=settings.openai_model)
    )
    serve(app, host="127.0.0.1", port=port)


@click.command("simulate-whatsapp", hidden=True)
@click.option("--port", type=int, required=True)
def simulate_whatsapp(port: int) -> None:
    """A WhatsApp with customers that are played through its own control routes."""
    from frostdesk.simulators.serving import run as serve
    from frostdesk.simulators.whatsapp import WhatsAppSettings, create_whatsapp_app

    settings = read_settings(
        os.environ,
        required=(
            "FROSTDESK_WHATSAPP_TOKEN",
            "FROSTDESK_WHATSAPP_APP_SECRET",
            "FROSTDESK_WHATSAPP_PHONE_NUMBER_ID",
        ),
    )
    app = create_whatsapp_app(
        WhatsAppSettings(
            app_secret=settings.whatsapp_app_secret,
            token=settings.whatsapp_token,
            webhook_url=f"http://{settings.host}:{settings.port}/inbound",
            phone_number_ids=(settings.whatsapp_phone_number_id,),
        )
    )
    serve(app, host="127.0.0.1", port=port)


COMMANDS = (dev, demo, simulate_model, simulate_whatsapp)
