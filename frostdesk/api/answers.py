"""Answers: JSON from typed structs, and RFC 9457 problems from errors."""

from __future__ import annotations

import itertools
import secrets
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from frostdesk.errors import FrostDeskError, RefusedError
from frostdesk.store.database import LOST

log = structlog.get_logger(__name__)

encode = msgspec.json.Encoder().encode

_PROCESS = secrets.token_hex(6) + "-"
_REQUESTS = itertools.count(1)


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457, Problem Details for HTTP APIs, section 3.1."""

    type: str
    title: str
    status: int
    detail: str


def json_answer(item: Any, *, status: int = 200) -> web.Response:
    """`item` as JSON."""
    return web.Response(body=encode(item), status=status, content_type="application/json")


def problem(status: int, title: str, detail: str) -> web.Response:
    """A problem as `application/problem+json`."""
    body = encode(Problem(type="about:blank", title=title, status=status, detail=detail))
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return web.Response(
        body=body, status=status, content_type="application/problem+json", headers=headers
    )


@web.middleware
async def errors_to_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with a problem, and bind what is logged meanwhile to the request."""
    # A connection's requests follow each other in one task: each replaces the id of the last.
    structlog.contextvars.bind_contextvars(request_id=f"{_PROCESS}{next(_REQUESTS):x}")
    try:
        return await handler(request)
    except RefusedError as error:
        return problem(error.status, error.title, str(error))
    except web.HTTPException as error:
        return _problem_of(error)
    except LOST as error:
        log.warning("postgresql is away", path=request.path, error=repr(error))
        detail = "The database cannot be reached just now; nothing is lost. Try again."
        return problem(503, "Database away", detail)
    except FrostDeskError as error:
        log.exception("request failed", path=request.path)
        return problem(500, "The request failed", str(error))
    except Exception:
        log.exception("request failed", path=request.path)
        return problem(500, "The request failed", "The reason is in the log of the service.")


def _problem_of(error: web.HTTPException) -> web.Response:
    """Refusals of aiohttp itself: unknown path, wrong method, body too large, and the like."""
    details = {
        404: "There is nothing at this path.",
        405: f"This path takes {error.headers.get('Allow', 'another method')}.",
        413: "The body is larger than a webhook can be.",
    }
    title = HTTPStatus(error.status).phrase
    answer = problem(error.status, title, details.get(error.status, error.reason))
    if "Allow" in error.headers:
        answer.headers["Allow"] = error.headers["Allow"]
    return answer
