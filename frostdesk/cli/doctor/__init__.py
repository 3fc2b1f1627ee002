"""`frostdesk doctor`: looks at everything the service needs, and says what to do about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

import click

from frostdesk.cli.doctor.configuration import check_configuration, usable_settings
from frostdesk.cli.doctor.verdict import Verdict
from frostdesk.cli.running import environment, json_option, print_json, run
from frostdesk.settings import Settings

PROBE_SECONDS = 10.0
COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Check configuration, database, schema, Redis, model, WhatsApp, and whether work is done."""
    verdicts = run(examine(environment()))
    if as_json:
        print_json(verdicts)
    else:
        for verdict in verdicts:
            state = click.style(f"{verdict.state:<8}", fg=COLOURS[verdict.state])
            click.echo(f"{state} {verdict.check:<14} {verdict.seen}")
            if verdict.advice:
                click.echo(f"{'':<23} → {verdict.advice}")
    if any(verdict.state == "failed" for verdict in verdicts):
        sys.exit(1)


async def examine(environ: Mapping[str, str]) -> list[Verdict]:
    """Every verdict on a service that is configured by `environ`. Nothing is changed by it."""
    # They bring drivers and HTTP with them, which no other command should wait for.
    from frostdesk.cli.doctor.database import check_database
    from frostdesk.cli.doctor.live_updates import check_live_updates
    from frostdesk.cli.doctor.outside import check_model, check_whatsapp
    from frostdesk.cli.doctor.redis import check_redis

    # What is malformed is said; the rest is looked at with what remains.
    settings = usable_settings(environ)
    probes: list[tuple[str, str, Callable[[Settings], Awaitable[list[Verdict]]]]] = [
        ("database", settings.database_url, check_database),
        ("live updates", settings.database_url, check_live_updates),
        ("redis", settings.redis_url, check_redis),
        ("model", settings.openai_api_key, check_model),
        ("whatsapp", settings.whatsapp_token, check_whatsapp),
    ]
    verdicts = check_configuration(environ, settings)
    for name, configured, probe in probes:
        if not configured:
            verdicts.append(Verdict(name, "failed", "not looked at", "Configure it first."))
            continue
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                verdicts += await probe(settings)
        except TimeoutError:
            advice = "Is it running, and may this machine reach it?"
            seen = f"no answer within {PROBE_SECONDS:.0f} s"
            verdicts.append(Verdict(name, "failed", seen, advice))
    return verdicts


COMMANDS = (doctor,)
