"""The desk beside Supabase, whose part a second server plays that speaks the same protocol."""

from __future__ import annotations

import time

import jwt

from tests.desk.browser import Browser
from tests.desk.scene import ANA, Customers, open_desk
from tests.support.ports import free_port
from tests.support.programs import Programs

SECRET = "a-shared-secret-of-at-least-32-bytes"


async def test_changes_come_from_supabase_to_who_is_signed_in_there(
    programs: Programs, browser: Browser, customers: Customers
) -> None:
    """With an access token of Supabase Auth the page connects to Supabase, and is live."""
    port = free_port()
    supabase = {
        "FROSTDESK_SUPABASE_URL": f"http://127.0.0.1:{port}",
        "FROSTDESK_SUPABASE_ANON_KEY": "an-anon-key",
        "FROSTDESK_SUPABASE_JWT_SECRET": SECRET,
    }
    api = await programs.serve(**supabase)
    there = await programs.serve(**supabase, FROSTDESK_PORT=str(port))
    claims = {
        "iss": f"http://127.0.0.1:{port}/auth/v1",
        "aud": "authenticated",
        "role": "authenticated",
        "exp": int(time.time()) + 600,
    }
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    desk = await open_desk(browser, api.url, token=token)
    await customers.write(ANA, "Hello")
    await desk.sees(".conversations a", "Ana")
    there.kill()
    await desk.sees(".state:not([data-state=live])")


async def test_the_instructors_own_token_is_live_without_supabase(
    programs: Programs, browser: Browser
) -> None:
    """Supabase would not know that token, so the page listens to the service itself."""
    api = await programs.serve(
        FROSTDESK_SUPABASE_URL=f"http://127.0.0.1:{free_port()}",
        FROSTDESK_SUPABASE_ANON_KEY="an-anon-key",
    )
    desk = await open_desk(browser, api.url)
    await desk.sees(".state[data-state=live]")
