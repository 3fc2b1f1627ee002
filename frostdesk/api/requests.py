"""What a request asks for, checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from aiohttp import web

from frostdesk.api.keys import BODIES, GATE
from frostdesk.errors import NotFoundError, RefusedError, TooSlowError, UnauthorizedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LIMIT_DEFAULT = 50
LIMIT_MOST = 200
POSITION_MOST = 2**63 - 1


def for_instructor(handler: Handler) -> Handler:
    """The handler, for those who hold the instructor's token only."""

    async def checked(request: web.Request) -> web.StreamResponse:
        if not await request.app[GATE].valid_until(bearer(request)):
            raise UnauthorizedError(
                "This needs the header `Authorization: Bearer <the instructor's token>`."
            )
        return await handler(request)

    return checked


def bearer(request: web.Request) -> str:
    """The token that a request carries, or an empty text."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def read_body(request: web.Request) -> bytes:
    """The whole body.

    Raises:
        RefusedError: it broke off, or is not packed as its header `Content-Encoding` says.
        TooSlowError: it did not come in time.
        HTTPRequestEntityTooLarge: it is too large, packed or unpacked.
    """
    try:
        return await request.app[BODIES].read(request)
    except TimeoutError as error:
        raise TooSlowError("The body did not come in time: send it again, and at once.") from error
    except (web.RequestPayloadError, OSError) as error:
        raise RefusedError("The body could not be read to its end: send it whole.") from error


def path_id(request: web.Request, what: str) -> UUID:
    """The id in the path.

    Raises:
        NotFoundError: it is no UUID, so nothing has it.
    """
    text = request.match_info["id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFoundError(f"There is no {what} {text[:80]!r}: an id is a UUID.") from error


def query_id(request: web.Request, name: str) -> UUID | None:
    """A UUID in the query, or None if it is absent.

    Raises:
        RefusedError: it is no UUID.
    """
    text = request.query.get(name)
    try:
        return UUID(text) if text is not None else None
    except ValueError as error:
        raise RefusedError(f"`{name}` has to be a UUID.") from error


def query_int(request: web.Request, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number in the query.

    Raises:
        RefusedError: it is none, or out of bounds.
    """
    text = request.query.get(name)
    if text is None:
        return default
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not (is_number and least <= int(text) <= most):
        raise RefusedError(f"`{name}` has to be a whole number from {least} to {most}.")
    return int(text)


def query_limit(request: web.Request) -> int:
    """How many items the answer may hold.

    Raises:
        RefusedError: it is not from 1 to 200.
    """
    return query_int(request, "limit", default=LIMIT_DEFAULT, least=1, most=LIMIT_MOST)
