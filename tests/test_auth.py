"""Who is the instructor."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_aiohttp import AiohttpServer

from frostdesk.auth import Gate
from frostdesk.settings import Settings

SETTINGS = Settings(instructor_token="a-token")
SECRET = "a-legacy-secret-of-the-project-0123456789"
KEY = ec.generate_private_key(ec.SECP256R1())


def claims(**more: Any) -> dict[str, Any]:
    """What an access token of a signed-in user says."""
    now = int(time.time())
    return {"aud": "authenticated", "role": "authenticated", "exp": now + 60, "sub": "x"} | more


async def test_the_token_is_known() -> None:
    """Whoever holds the token is the instructor."""
    assert await Gate(SETTINGS).valid_until("a-token")


@pytest.mark.parametrize("token", ["", "a-token ", "A-token", "a-toke", "\udcff", "a.b.c"])
async def test_anything_else_is_not(token: str) -> None:
    """The token counts to the letter."""
    assert not await Gate(SETTINGS).valid_until(token)


async def test_where_no_token_is_set_nobody_is_the_instructor() -> None:
    """An empty token opens nothing, not even where none is configured."""
    assert not await Gate(Settings()).valid_until("")


async def test_a_signed_in_user_is_the_instructor() -> None:
    """An access token that is signed with the project's legacy secret counts."""
    gate = Gate(Settings(instructor_token="a-token", supabase_jwt_secret=SECRET))
    assert await gate.valid_until(jwt.encode(claims(), SECRET, algorithm="HS256"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": int(time.time()) - 60},
        {"aud": "somebody-else"},
        {"role": "anon"},
        {"role": "service_role"},
    ],
)
async def test_a_token_for_something_else_is_refused(wrong: dict[str, Any]) -> None:
    """Expired, for another audience, or of another role: nobody's."""
    gate = Gate(Settings(supabase_jwt_secret=SECRET))
    assert not await gate.valid_until(jwt.encode(claims(**wrong), SECRET, algorithm="HS256"))


async def test_a_forged_token_is_refused() -> None:
    """Signed with another secret, or not at all."""
    gate = Gate(Settings(supabase_jwt_secret=SECRET))
    other = SECRET[::-1]
    assert not await gate.valid_until(jwt.encode(claims(), other, algorithm="HS256"))
    unsigned = jwt.encode(claims(), "", algorithm="none")
    assert not await gate.valid_until(unsigned)


async def test_keys_of_the_project_are_fetched_and_kept(aiohttp_server: AiohttpServer) -> None:
    """A token signed with a key of the JWKS counts; unknown keys do not make it fetched again."""
    fetched = 0
    jwk = jwt.get_algorithm_by_name("ES256").to_jwk(KEY.public_key(), as_dict=True)

    async def jwks(_: web.Request) -> web.Response:
        nonlocal fetched
        fetched += 1
        return web.json_response({"keys": [{**jwk, "kid": "one", "alg": "ES256", "use": "sig"}]})

    app = web.Application()
    app.router.add_get("/auth/v1/.well-known/jwks.json", jwks)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    gate = Gate(Settings(supabase_url=url))
    issued = claims(iss=f"{url}/auth/v1")
    good = jwt.encode(issued, KEY, algorithm="ES256", headers={"kid": "one"})
    elsewhere = jwt.encode(
        claims(iss="https://elsewhere.invalid/auth/v1"),
        KEY,
        algorithm="ES256",
        headers={"kid": "one"},
    )
    unknown = jwt.encode(issued, KEY, algorithm="ES256", headers={"kid": "two"})
    tokens = (good, elsewhere, unknown, unknown)
    assert [await gate.valid_until(t) for t in tokens] == [issued["exp"], 0, 0, 0]
    assert fetched == 1


async def test_keys_that_cannot_be_fetched_let_nobody_in(aiohttp_server: AiohttpServer) -> None:
    """While Supabase is away its tokens are refused, and the instructor's own still counts."""
    url = str((await aiohttp_server(web.Application())).make_url("")).rstrip("/")
    gate = Gate(Settings(instructor_token="a-token", supabase_url=url))
    token = jwt.encode(claims(), KEY, algorithm="ES256", headers={"kid": "one"})
    assert not await gate.valid_until(token)
    assert await gate.valid_until("a-token")


async def test_the_instructors_token_is_exchanged_for_one_that_supabase_knows() -> None:
    """Signed with the project's secret, for a signed-in user, for minutes; nothing without it."""
    url = "https://abc.example"
    gate = Gate(Settings(instructor_token="a", supabase_url=url, supabase_jwt_secret=SECRET))
    found = await gate.supabase_token("a")
    assert found
    audience, issuer = "authenticated", f"{url}/auth/v1"
    claims = jwt.decode(found.token, SECRET, ["HS256"], audience=audience, issuer=issuer)
    assert claims["role"] == "authenticated"
    assert await gate.valid_until(found.token) == claims["exp"]
    assert 0 < claims["exp"] - time.time() <= found.seconds <= 3600
    assert await Gate(SETTINGS).supabase_token("a-token") is None


async def test_an_access_token_stays_what_it_is() -> None:
    """Nobody's time is made longer."""
    gate = Gate(Settings(instructor_token="a-token", supabase_jwt_secret=SECRET))
    token = jwt.encode(claims(), SECRET, algorithm="HS256")
    found = await gate.supabase_token(token)
    assert found
    assert found.token == token
    assert found.seconds <= 60
