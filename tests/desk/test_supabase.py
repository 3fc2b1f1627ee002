"""The desk beside Supabase, whose part a second server plays that speaks the same protocol."""

from __future__ import annotations

import asyncio
import time

import jwt
import pytest

from frostdesk import auth
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from tests.desk.browser import Browser
from tests.desk.scene import ANA, Customers, open_desk
from tests.factories import received
from tests.support.desk import running_api, settings_of
from tests.support.ports import free_port
from tests.support.programs import Programs
from tests.support.secrets import INSTRUCTOR_TOKEN

SECRET = "a-shared-secret-of-at-least-32-bytes"

# Every state of the connection from here on, other than live.
NOTE_STATES = """
() => {
  window.states = [];
  const state = document.querySelector(".state");
  new MutationObserver(() => {
    if (state.dataset.state !== "live") window.states.push(state.dataset.state);
  }).observe(state, { attributes: true });
}
"""


def supabase_at(port: int) -> dict[str, str]:
    """What the service has to know of a Supabase on that port."""
    return {
        "FROSTDESK_SUPABASE_URL": f"http://127.0.0.1:{port}",
        "FROSTDESK_SUPABASE_ANON_KEY": "an-anon-key",
        "FROSTDESK_SUPABASE_JWT_SECRET": SECRET,
    }


def access_token(port: int, *, seconds: int = 600) -> str:
    """What Supabase Auth there gives to somebody who signs in."""
    claims = {
        "iss": f"http://127.0.0.1:{port}/auth/v1",
        "aud": "authenticated",
        "role": "authenticated",
        "exp": int(time.time()) + seconds,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


@pytest.mark.parametrize("signs_in_with", ["an access token", "the instructor's token"])
async def test_changes_come_from_supabase(
    programs: Programs, browser: Browser, customers: Customers, signs_in_with: str
) -> None:
    """Whichever token the page was given, it connects to Supabase, which knows only its own."""
    port = free_port()
    api = await programs.serve(**supabase_at(port))
    there = await programs.serve(
        **supabase_at(port),
        FROSTDESK_PORT=str(port),
        FROSTDESK_INSTRUCTOR_TOKEN="nobody-knows-this-one",
    )
    is_own = signs_in_with == "the instructor's token"
    token = INSTRUCTOR_TOKEN if is_own else access_token(port)
    desk = await open_desk(browser, api.url, token=token)
    await customers.write(ANA, "Hello")
    await desk.sees(".conversations a", "Ana")
    there.kill()
    await desk.sees(".state:not([data-state=live])")


async def test_the_pages_access_to_supabase_is_renewed(
    programs: Programs, browser: Browser, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows a new token before the old one ends, so it stays live and misses nothing."""
    # Renewed after 5 s: a machine that stands still for less than the other 5 s changes nothing.
    monkeypatch.setattr(auth, "TOKEN_SECONDS", 10)
    port = free_port()
    await programs.serve(**supabase_at(port), FROSTDESK_PORT=str(port))
    settings = settings_of(programs.environment | supabase_at(port))
    async with running_api(settings) as api, EventStore(pool) as store:
        desk = await open_desk(browser, api.url)
        await desk.apply(NOTE_STATES)
        await asyncio.sleep(11)
        await store.append([received("Still there?")])
        await desk.sees(".conversations a", "Still there?")
        assert await desk.run("window.states") == []
        await desk.close()


async def test_who_is_signed_in_at_supabase_is_signed_out_when_that_ends(
    programs: Programs, browser: Browser
) -> None:
    """An access token that has run out opens nothing more, and the page says so by itself."""
    port = free_port()
    api = await programs.serve(**supabase_at(port))
    await programs.serve(**supabase_at(port), FROSTDESK_PORT=str(port))
    desk = await open_desk(browser, api.url, token=access_token(port, seconds=8))
    await desk.sees("#token")
    await desk.sees(".error", "no longer")


async def test_without_its_secret_the_instructors_own_token_listens_to_the_service(
    programs: Programs, browser: Browser
) -> None:
    """Supabase does not know that token, and the service cannot sign one that it knows."""
    api = await programs.serve(
        FROSTDESK_SUPABASE_URL=f"http://127.0.0.1:{free_port()}",
        FROSTDESK_SUPABASE_ANON_KEY="an-anon-key",
    )
    desk = await open_desk(browser, api.url)
    await desk.sees(".state[data-state=live]")
