"""Who is the instructor: the one place where a token is judged."""

from __future__ import annotations

import asyncio
import hmac
import time

import aiohttp
import jwt
import structlog

from frostdesk.settings import Settings

ASYMMETRIC = ("ES256", "RS256", "EdDSA")
AUDIENCE = "authenticated"
FETCH_SECONDS = 5.0
FETCH_EVERY_SECONDS = 30.0
"""A token may name any key; however many do, the keys are fetched no more often than this."""

log = structlog.get_logger(__name__)


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

    def is_instructor(self, token: str) -> bool:
        """Whether `token` is valid now, compared in constant time. No token is nobody's."""
        expected = self._settings.instructor_token.encode(errors="replace")
        matches = hmac.compare_digest(token.encode(errors="replace"), expected)
        return (bool(expected) and matches) or self._is_signed_in(token)

    async def prepare(self, token: str) -> None:
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

    def _is_signed_in(self, token: str) -> bool:
        key, algorithms = self._key_for(token)
        if key is None:
            return False
        url = self._settings.supabase_url
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=AUDIENCE,
                issuer=f"{url}/auth/v1" if url else None,
                options={"require": ["exp", "aud", "role"]},
            )
        except jwt.PyJWTError:
            return False
        return bool(claims["role"] == "authenticated")

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
