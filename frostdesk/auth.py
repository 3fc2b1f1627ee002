"""Who is the instructor: the one place where a token is judged."""

from __future__ import annotations

import asyncio
import hmac
import time
from math import inf

import aiohttp
import jwt
import msgspec
import structlog

from frostdesk.settings import Settings

ASYMMETRIC = ("ES256", "RS256", "EdDSA")
AUDIENCE = "authenticated"
TOKEN_SECONDS = 600
FETCH_SECONDS = 5.0
FETCH_EVERY_SECONDS = 30.0
"""A token may name any key; however many do, the keys are fetched no more often than this."""

log = structlog.get_logger(__name__)


class AccessToken(msgspec.Struct, frozen=True):
    """An access token of Supabase Auth, and for how many seconds it is still valid."""

    token: str
    seconds: int


class Gate:
    """Judges tokens: the instructor's own, or an access token of Supabase Auth.

    Supabase signs with a key of its JWKS or, in older projects, with a shared secret (Supabase
    documentation, "JWT Signing Keys"). Every signed-in user of the project is the instructor.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -FETCH_EVERY_SECONDS
        self._fetching = asyncio.Lock()

    async def valid_until(self, token: str) -> float:
        """Until when (Unix seconds) `token` is the instructor's; 0 if it is not valid now.

        The instructor's own is for ever. No token is nobody's.
        """
        if self._is_own(token):
            return inf
        await self._prepare(token)
        return self._signed_in_until(token)

    async def supabase_token(self, token: str) -> AccessToken | None:
        """What Supabase takes from whoever has signed in with this valid token; None if nothing.

        An access token is what it is. For the instructor's own, which Supabase does not know, one
        is signed with the project's legacy secret, if that is known.
        """
        if not self._is_own(token):
            left = await self.valid_until(token) - time.time()
            return AccessToken(token, max(0, int(left)))
        secret = self._settings.supabase_jwt_secret
        if not secret:
            return None
        claims = {
            "iss": self._issuer or "frostdesk",
            "aud": AUDIENCE,
            "role": AUDIENCE,
            "exp": int(time.time()) + TOKEN_SECONDS,
        }
        return AccessToken(jwt.encode(claims, secret, algorithm="HS256"), TOKEN_SECONDS)

    def _is_own(self, token: str) -> bool:
        """Compared in constant time."""
        expected = self._settings.instructor_token.encode(errors="replace")
        matches = hmac.compare_digest(token.encode(errors="replace"), expected)
        return bool(expected) and matches

    async def _prepare(self, token: str) -> None:
        """Fetch Supabase's keys, if the token names one that is not known and it is time to."""
        key_id = _key_id(token)
        if not self._settings.supabase_url or key_id is None or key_id in self._keys:
            return
        async with self._fetching:
            if key_id not in self._keys and self._may_fetch():
                self._fetched_at = time.monotonic()
                await self._fetch()

    def _may_fetch(self) -> bool:
        return time.monotonic() - self._fetched_at >= FETCH_EVERY_SECONDS

    async def _fetch(self) -> None:
        url = f"{self._settings.supabase_url}/auth/v1/.well-known/jwks.json"
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url) as answer,
            ):
                answer.raise_for_status()
                found = jwt.PyJWKSet.from_dict(await answer.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            log.warning("supabase's keys cannot be read", error=repr(error))
            return
        self._keys = {key.key_id: key for key in found.keys if key.key_id}

    @property
    def _issuer(self) -> str | None:
        url = self._settings.supabase_url
        return f"{url}/auth/v1" if url else None

    def _signed_in_until(self, token: str) -> float:
        key, algorithms = self._key_for(token)
        if key is None:
            return 0.0
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=AUDIENCE,
                issuer=self._issuer,
                options={"require": ["exp", "aud", "role"]},
            )
        except jwt.PyJWTError:
            return 0.0
        return float(claims["exp"]) if claims["role"] == AUDIENCE else 0.0

    def _key_for(self, token: str) -> tuple[jwt.PyJWK | str | None, list[str]]:
        """The key that a token has to be signed with: of the JWKS if it names one of those."""
        key = self._keys.get(_key_id(token) or "")
        if key is not None:
            return key, list(ASYMMETRIC)
        secret = self._settings.supabase_jwt_secret
        return (secret, ["HS256"]) if secret and token.count(".") == 2 else (None, [])  # noqa: PLR2004


def _key_id(token: str) -> str | None:
    """The key that a token names, or None if it names none or is no JWT."""
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError):
        return None
    return key_id if isinstance(key_id, str) else None
