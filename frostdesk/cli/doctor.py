"""`frostdesk doctor`: looks at everything the service needs, and says what to do about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast

import click
import msgspec

from frostdesk.cli.running import environment, json_option, print_json, run
from frostdesk.errors import ConfigurationError
from frostdesk.settings import SERVE, WORKER, Settings, read_settings

if TYPE_CHECKING:
    import asyncpg

PROBE_SECONDS = 10.0
OLDEST_POSTGRES = 15
OLDEST_REDIS = (6, 2)
SKEW_SECONDS = 30
APP_SECRET_LENGTH = 32
TABLES = ("events", "conversations", "identities", "messages", "bookings", "claims")
COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


class Verdict(msgspec.Struct, frozen=True):
    """What was looked at, how it is, what was seen, and what to do where it is not well."""

    check: str
    state: Literal["ok", "warning", "failed"]
    seen: str
    advice: str = ""


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Check configuration, database, schema, Redis, model and WhatsApp."""
    verdicts = run(_examine())
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


async def _examine() -> list[Verdict]:
    environ = environment()
    verdicts = [_configuration(environ)]
    # What is malformed has been said; the rest is looked at with what remains.
    settings = _usable(environ)
    verdicts += [_app_secret(settings), _instructions(settings)]
    probes: list[tuple[str, str, Callable[[Settings], Awaitable[list[Verdict]]]]] = [
        ("database", settings.database_url, _database),
        ("redis", settings.redis_url, _redis),
        ("model", settings.openai_api_key, _model),
        ("whatsapp", settings.whatsapp_token, _whatsapp),
    ]
    for name, configured, probe in probes:
        if not configured:
            verdicts.append(Verdict(name, "failed", "not looked at", "Configure it first."))
            continue
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                verdicts += await probe(settings)
        except TimeoutError:
            advice = "Is it running, and may this machine reach it?"
            verdicts.append(
                Verdict(name, "failed", f"no answer within {PROBE_SECONDS:.0f} s", advice)
            )
    return verdicts


def _configuration(environ: dict[str, str]) -> Verdict:
    try:
        read_settings(environ, required=tuple(dict.fromkeys(SERVE + WORKER)))
    except ConfigurationError as error:
        return Verdict("configuration", "failed", str(error), "Set these variables.")
    return Verdict("configuration", "ok", "every variable is there and well-formed")


def _usable(environ: dict[str, str]) -> Settings:
    """The settings without the variables that are malformed."""
    usable: dict[str, str] = {}
    for name, value in environ.items():
        try:
            read_settings({name: value}, required=())
        except ConfigurationError:
            continue
        usable[name] = value
    return read_settings(usable, required=())


def _app_secret(settings: Settings) -> Verdict:
    secret = settings.whatsapp_app_secret
    is_hex = len(secret) == APP_SECRET_LENGTH and all(c in "0123456789abcdef" for c in secret)
    if secret and not is_hex and "graph.facebook.com" in settings.whatsapp_api_url:
        advice = "Meta's are 32 hexadecimal digits: copy App settings → Basic → App secret."
        return Verdict("app secret", "warning", "does not look like one of Meta's", advice)
    return Verdict("app secret", "ok", "set" if secret else "not set")


def _instructions(settings: Settings) -> Verdict:
    from frostdesk.assistant.instructions import load_instructions

    try:
        load_instructions(settings.rules_file, settings.disclosure_file)
    except ConfigurationError as error:
        return Verdict("instructions", "failed", str(error), "Correct the file.")
    return Verdict("instructions", "ok", "the rules and the sentence about the AI are readable")


async def _database(settings: Settings) -> list[Verdict]:
    import asyncpg

    from frostdesk.store.database import connect

    try:
        connection = await connect(settings.database_url)
    except asyncpg.InvalidCatalogNameError:
        advice = "Create the database, or correct the name in FROSTDESK_DATABASE_URL."
        return [Verdict("database", "failed", "there is no such database", advice)]
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        advice = "Correct user and password in FROSTDESK_DATABASE_URL."
        return [Verdict("database", "failed", f"the login is refused: {error.sqlstate}", advice)]
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        advice = "Is it running? Are host and port in FROSTDESK_DATABASE_URL right?"
        return [Verdict("database", "failed", f"no connection ({type(error).__name__})", advice)]
    try:
        return [
            await _postgres_version(connection),
            await _clock(connection),
            await _schema(connection),
            await _rights(connection),
            await _realtime(connection),
        ]
    finally:
        await connection.close()


async def _postgres_version(connection: asyncpg.Connection[asyncpg.Record]) -> Verdict:
    number = int(await connection.fetchval("SHOW server_version_num")) // 10_000
    if number < OLDEST_POSTGRES:
        advice = f"Upgrade to PostgreSQL {OLDEST_POSTGRES} or newer."
        return Verdict("database", "failed", f"PostgreSQL {number} is too old", advice)
    return Verdict("database", "ok", f"PostgreSQL {number}")


async def _clock(connection: asyncpg.Connection[asyncpg.Record]) -> Verdict:
    there = await connection.fetchval("SELECT clock_timestamp()")
    skew = abs((datetime.now(UTC) - there).total_seconds())
    if skew > SKEW_SECONDS:
        advice = "Set both clocks by NTP: the 24-hour window and `tomorrow` depend on them."
        return Verdict("clock", "failed", f"{skew:.0f} s apart from the database's", advice)
    return Verdict("clock", "ok", "agrees with the database's")


async def _schema(connection: asyncpg.Connection[asyncpg.Record]) -> Verdict:
    missing = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass('public.' || name) IS NULL",
        list(TABLES),
    )
    advice = "Run `frostdesk init-db`."
    if missing:
        names = ", ".join(row["name"] for row in missing)
        return Verdict("schema", "failed", f"tables are missing: {names}", advice)
    guards = await connection.fetchval(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.events'::regclass"
        " AND NOT tgisinternal AND tgenabled IN ('O', 'A')"
        " AND tgname IN ('events_take_turns', 'events_are_immutable')"
    )
    if guards != len(("events_take_turns", "events_are_immutable")):
        return Verdict("schema", "failed", "the guard of the events is off or missing", advice)
    return Verdict("schema", "ok", "all tables are there, the events are guarded")


async def _rights(connection: asyncpg.Connection[asyncpg.Record]) -> Verdict:
    lacking = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass('public.' || name)"
        " IS NOT NULL AND NOT has_table_privilege('public.' || name, 'SELECT, INSERT')",
        list(TABLES),
    )
    if lacking:
        names = ", ".join(row["name"] for row in lacking)
        advice = "Connect as the role that ran `frostdesk init-db`, or grant it the rights."
        return Verdict("rights", "failed", f"this login may not use {names}", advice)
    return Verdict("rights", "ok", "this login may read and append")


async def _realtime(connection: asyncpg.Connection[asyncpg.Record]) -> Verdict:
    published = await connection.fetchval(
        "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'supabase_realtime'"
        " AND schemaname = 'public' AND tablename IN ('conversations', 'messages', 'bookings')"
    )
    if published != len(("conversations", "messages", "bookings")):
        advice = "Run `frostdesk init-db`: it puts the three tables into supabase_realtime."
        return Verdict("realtime", "failed", "the publication is incomplete", advice)
    level = await connection.fetchval("SHOW wal_level")
    if level != "logical":
        advice = "Set wal_level = logical and restart PostgreSQL to have live updates."
        return Verdict("realtime", "warning", f"wal_level is {level}", advice)
    return Verdict("realtime", "ok", "the three tables are published")


async def _redis(settings: Settings) -> list[Verdict]:
    from redis.exceptions import AuthenticationError, RedisError

    from frostdesk.doorbell import connect_redis

    redis = connect_redis(settings.redis_url)
    try:
        info = await cast("Awaitable[dict[str, object]]", redis.info())
        await redis.set("frostdesk:doctor", b"1", px=1000)
    except AuthenticationError:
        advice = "Correct user and password in FROSTDESK_REDIS_URL."
        return [Verdict("redis", "failed", "the login is refused", advice)]
    except (RedisError, OSError) as error:
        advice = "Is it running and not full? Customers are answered later without it, not never."
        return [Verdict("redis", "failed", f"no use ({type(error).__name__})", advice)]
    finally:
        await redis.aclose()
    version = str(info["redis_version"])
    if tuple(map(int, version.split(".")[:2])) < OLDEST_REDIS:
        return [Verdict("redis", "failed", f"Redis {version} is too old", "Upgrade to 6.2.")]
    return [Verdict("redis", "ok", f"Redis {version}")]


async def _model(settings: Settings) -> list[Verdict]:
    base = (settings.openai_base_url or "https://api.openai.com/v1").rstrip("/")
    status, body = await _ask(f"{base}/models", settings.openai_api_key)
    if status in (401, 403):
        return [Verdict("model", "failed", "the key is refused", "Correct OPENAI_API_KEY.")]
    if status != 200:  # noqa: PLR2004  # HTTP's own number
        advice = "Is OPENAI_BASE_URL right, and may this machine reach it?"
        return [Verdict("model", "failed", f"no list of models ({body[:80]})", advice)]
    if f'"{settings.openai_model}"' not in body:
        advice = "Is FROSTDESK_OPENAI_MODEL spelt as the server spells it?"
        seen = f"the server does not list {settings.openai_model}"
        return [Verdict("model", "warning", seen, advice)]
    return [Verdict("model", "ok", f"{settings.openai_model} is there, the key is accepted")]


async def _whatsapp(settings: Settings) -> list[Verdict]:
    url = f"{settings.whatsapp_api_url}/{settings.whatsapp_phone_number_id}?fields=id"
    status, body = await _ask(url, settings.whatsapp_token)
    if status == 200:  # noqa: PLR2004  # HTTP's own number
        return [Verdict("whatsapp", "ok", "the token is accepted and the number is known")]
    if status == 401 or '"code":190' in body.replace(" ", ""):  # noqa: PLR2004
        advice = "Make a permanent token of a system user, and set FROSTDESK_WHATSAPP_TOKEN."
        return [Verdict("whatsapp", "failed", "the token is refused", advice)]
    if status in (400, 404):
        advice = (
            "Is FROSTDESK_WHATSAPP_PHONE_NUMBER_ID the id (not the phone number), and is the"
            " version in FROSTDESK_WHATSAPP_API_URL current?"
        )
        return [Verdict("whatsapp", "failed", "the number is not known", advice)]
    advice = "May this machine reach FROSTDESK_WHATSAPP_API_URL?"
    return [Verdict("whatsapp", "failed", f"no answer ({status or body[:80]})", advice)]


async def _ask(url: str, key: str) -> tuple[int, str]:
    """The status and the body of a GET; status 0 and the error's kind if there is no answer."""
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers={"Authorization": f"Bearer {key}"}) as answer,
        ):
            return answer.status, (await answer.read()).decode(errors="replace")
    except (aiohttp.ClientError, OSError) as error:
        return 0, type(error).__name__


COMMANDS = (doctor,)
