"""Nothing secret and nothing personal is where it should not be: everything is searched for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from frostdesk.cli import cli
from frostdesk.store.database import Pool
from tests.support.bodies import text_message
from tests.support.desk import Desk, running_outside
from tests.support.programs import Programs
from tests.support.secrets import (
    APP_SECRET,
    DATABASE_PASSWORD,
    INSTRUCTOR_TOKEN,
    MODEL_KEY,
    VERIFY_TOKEN,
    WHATSAPP_TOKEN,
)
from tests.support.service import as_service

PLANTED = {
    "FROSTDESK_SUPABASE_URL": "https://desk.example",
    "FROSTDESK_SUPABASE_ANON_KEY": "an-anon-key",
    "FROSTDESK_SUPABASE_JWT_SECRET": "a-jwt-secret-of-thirty-two-characters",
}
SECRETS = (
    APP_SECRET,
    DATABASE_PASSWORD,
    INSTRUCTOR_TOKEN,
    MODEL_KEY,
    VERIFY_TOKEN,
    WHATSAPP_TOKEN,
    *(value for name, value in PLANTED.items() if not name.endswith("URL")),
)
PHONE, USER, NAME, TYPED = "41791234567", "CH.1234567890123", "Mirabella", "Xylophone"
PERSONAL = (PHONE, USER, NAME, TYPED, "put you down")

TALKATIVE = {"OPENAI_LOG": "debug", "PYTHONASYNCIODEBUG": "1"}
"""What makes libraries log all that they do."""

NOWHERE = f"postgresql://desk:{DATABASE_PASSWORD}@127.0.0.1:1/desk"


def found(text: str, hidden: tuple[str, ...]) -> list[str]:
    """Which of them are in the text."""
    return [one for one in hidden if one in text]


def command_lines() -> str:
    """What every process of this machine shows of itself to everybody."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return "\n".join(lines)


async def answers(desk: Desk) -> str:
    """What the service says to everybody, and to those whom it refuses."""
    said = []
    url, session = desk.api.url, desk.api.session
    wrong = {"Authorization": "Bearer wrong", "X-Hub-Signature-256": f"sha256={'0' * 64}"}
    for path in ("/metrics", "/ready", "/health", "/openapi.json", "/", "/inbound", "/nowhere"):
        async with session.get(url + path, headers=wrong) as answer:
            said.append(f"{answer.headers} {await answer.text()}")
    for path in ("/inbound", "/conversations/x/pause", "/calendar"):
        async with session.post(url + path, headers=wrong, data="{") as answer:
            assert answer.status >= 400
            said.append(f"{answer.headers} {await answer.text()}")
    said.append(str(await desk.api.webhook(b"{", 400)))
    said.append(str(await desk.api.get("/conversations/x", 404)))
    said.append(str(await desk.api.get("/bookings", 400, cursor="x")))
    return "\n".join(said)


async def test_the_service_tells_nothing(
    programs: Programs, environment: dict[str, str], pool: Pool
) -> None:
    """Through successes and failures, with libraries that log all they can: no trace of either."""
    api = await programs.serve(**PLANTED, **TALKATIVE)
    worker = programs.start("worker", **PLANTED, **TALKATIVE)
    async with running_outside(environment, pool) as desk:
        phone = desk.phone(PHONE)
        await phone.write(f"{TYPED} lesson on Saturday at 10 for two hours", name=NAME)
        (booking,) = await desk.has_events("BookingProposed")
        await phone.hears()
        await desk.api.post(f"/bookings/{booking['event_id']}/confirm")
        await phone.hears(2)
        for number, faults in enumerate(
            (["400"], ["garbage", "cut", "400"], ["500", "500", "500"]), 1
        ):
            await desk.model(faults=faults)
            await phone.write(f"{TYPED} {number}", name=NAME)
            await desk.has_events("ReplyFailed", number)
        await desk.whatsapp(faults=["code:131030:400"])
        await desk.deliver(text_message(TYPED, from_user_id=USER, **{"from": PHONE}))
        await desk.has_events("ReplyFailed", 4)
        said = await answers(desk)
        shown = command_lines()
    assert await api.terminate() == 0
    assert await worker.terminate() == 0
    assert found(said, (*SECRETS, *PERSONAL)) == []
    assert found(shown, SECRETS) == []
    assert "frostdesk serve" in shown
    for program in (api, worker):
        assert found(program.output(), (*SECRETS, *PERSONAL)) == []
    assert "openai._base_client" in worker.output()


async def test_a_service_without_its_servers_tells_nothing(programs: Programs, pool: Pool) -> None:
    """What cannot be reached is named without the password that it would be reached by."""
    away = {
        "FROSTDESK_DATABASE_URL": NOWHERE,
        "FROSTDESK_REDIS_URL": f"redis://:{MODEL_KEY}@127.0.0.1:1",
    }
    api = await programs.serve(**away)
    worker = programs.start("worker", **away)
    await worker.says("away")
    async with running_outside(programs.environment, pool) as desk:
        said = [await desk.api.webhook(b"{}", 400), await desk.api.get("/conversations", 503)]
    await api.terminate()
    await worker.terminate()
    assert found(f"{said}{api.output()}{worker.output()}", SECRETS) == []


def _doctors() -> Iterator[dict[str, str]]:
    yield {}
    yield {"FROSTDESK_DATABASE_URL": NOWHERE}
    yield {"FROSTDESK_REDIS_URL": f"redis://:{MODEL_KEY}@127.0.0.1:1"}
    yield {"OPENAI_BASE_URL": f"http://{MODEL_KEY}@127.0.0.1:1/v1"}
    yield {"FROSTDESK_WHATSAPP_API_URL": f"http://{WHATSAPP_TOKEN}@127.0.0.1:1"}
    yield {"FROSTDESK_PORT": APP_SECRET, "FROSTDESK_TIMEZONE": APP_SECRET}


async def test_doctor_and_refused_starts_tell_nothing(programs: Programs) -> None:
    """Whatever is wrong is told without repeating a value, on a terminal and as JSON."""
    url = as_service(programs.environment["FROSTDESK_DATABASE_URL"])
    given = PLANTED | {"FROSTDESK_DATABASE_URL": url}
    runs = [programs.run("doctor", **(given | wrong)) for wrong in _doctors()]
    runs += [programs.run("doctor", "--json", **given)]
    malformed = {
        "FROSTDESK_DATABASE_URL": f"postgres//desk:{DATABASE_PASSWORD}@desk/desk",
        "FROSTDESK_REDIS_URL": f"http://:{MODEL_KEY}@127.0.0.1",
        "FROSTDESK_INSTRUCTOR_TOKEN": f"{INSTRUCTOR_TOKEN} and more",
        "FROSTDESK_WHATSAPP_TOKEN": f"{WHATSAPP_TOKEN}\n",
        "FROSTDESK_WHATSAPP_APP_SECRET": f"{APP_SECRET} é",
    }
    runs += [programs.run(command, **malformed) for command in ("serve", "worker", "init-db")]
    runs += [programs.run("init-db", FROSTDESK_DATABASE_URL=NOWHERE)]
    ended = await asyncio.gather(*runs)
    assert all(done.stdout + done.stderr for done in ended)
    assert [found(done.stdout + done.stderr, SECRETS) for done in ended] == [[]] * len(ended)
    assert not any("Traceback" in done.stderr for done in ended)


def test_help_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command shows a variable's value as its default."""
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FROSTDESK_INSTRUCTOR_TOKEN", INSTRUCTOR_TOKEN)
    monkeypatch.setenv("FROSTDESK_DATABASE_URL", NOWHERE)
    for name, command in cli.commands.items():
        text = command.get_help(click.Context(command, info_name=name))
        assert found(text, SECRETS) == []
