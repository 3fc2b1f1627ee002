"""The document of the API, and the API held against it by generated requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
import requests
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from frostdesk.api.app import create_app
from frostdesk.realtime.server import PATH as REALTIME
from frostdesk.settings import Settings
from frostdesk.store.append import EventStore
from frostdesk.whatsapp.signature import sign
from tests.factories import failed, generated, proposed, received
from tests.support.desk import Api
from tests.support.secrets import APP_SECRET, INSTRUCTOR_TOKEN

EXAMPLES = 12
"""Requests of each operation, for each caller and kind of data: all of it takes seconds."""

HELD_AGAINST = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


async def read_document(api: Api) -> dict[str, Any]:
    """The document, as anybody gets it."""
    async with api.session.get(f"{api.url}/openapi.json") as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        found: dict[str, Any] = await answer.json()
        return found


def routed() -> Iterator[tuple[str, str]]:
    """Every method and path of the router; HEAD goes without saying where there is GET."""
    for route in create_app(Settings()).router.routes():
        assert isinstance(route.resource, web.Resource)
        if route.method != "HEAD":
            yield route.method.lower(), route.resource.canonical


async def test_it_describes_every_route_and_no_other(api: Api) -> None:
    """Each route of the router stands in the document, and each of the document is served."""
    paths = (await read_document(api))["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == set(
        routed()
    )


async def test_everything_in_it_is_explained(api: Api) -> None:
    """Each operation says what it does, under a name of its own, and each parameter what it is."""
    paths = (await read_document(api))["paths"]
    operations = [op for methods in paths.values() for op in methods.values()]
    assert all(op["summary"] for op in operations)
    assert len({op["operationId"] for op in operations}) == len(operations)
    assert all(p["description"] for op in operations for p in op["parameters"])


async def test_the_instructors_routes_are_marked(api: Api, subtests: pytest.Subtests) -> None:
    """What the document says needs the token is 401 without it, and nothing else is."""
    document = await read_document(api)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            guarded = operation.get("security") == [{"instructor": []}]
            url = api.url + path.replace("{id}", str(UUID(int=1)))
            if path in (REALTIME, "/inbound"):
                continue
            with subtests.test(path=path, method=method):
                async with api.session.request(method, url) as answer:
                    assert (answer.status == 401) == guarded


class Signed(requests.auth.AuthBase):
    """Signs a request as WhatsApp does."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the signature of the body."""
        body: Any = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        request.headers["X-Hub-Signature-256"] = sign(raw, APP_SECRET.encode())
        return request


class Bearer(requests.auth.AuthBase):
    """Shows the instructor's token."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token."""
        request.headers["Authorization"] = f"Bearer {INSTRUCTOR_TOKEN}"
        return request


class Nobody(requests.auth.AuthBase):
    """Shows nothing."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Take away what was generated."""
        request.headers.pop("Authorization", None)
        return request


@pytest.fixture
async def there(store: EventStore) -> dict[str, list[UUID]]:
    """What there is: a conversation in which a reply was not sent, and a proposed lesson."""
    asked = received()
    (appended,) = await store.append([asked])
    reply, booking = generated(answers=(asked.id,)), proposed()
    unsent = failed(reply_id=reply.id, stage="send")
    await store.append([reply, booking, unsent], conversation_id=appended.conversation_id)
    return {"conversations": [appended.conversation_id], "bookings": [booking.id]}


@pytest.mark.parametrize("caller", [Nobody, Bearer, Signed], ids=["nobody", "instructor", "signed"])
async def test_every_answer_is_one_of_the_document(
    api: Api, there: dict[str, list[UUID]], caller: Callable[[], requests.auth.AuthBase]
) -> None:
    """Whatever is sent, by whomever: no 5xx, no status, media type or body but the documented.

    It is no wall of refusals either: the instructor succeeds with every operation, nobody with any.
    """
    schema = schemathesis.openapi.from_dict(await read_document(api))
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        only_signed = operation.label == "POST /inbound"
        if (caller is Signed) == only_signed or caller is Nobody:
            known = _known(operation.path, there)
            statuses = await asyncio.to_thread(_attack, operation, api.url, caller(), known)
            if operation.definition.raw.get("security") == [{"instructor": []}]:
                succeeded = any(status < 300 for status in statuses)
                assert succeeded == (caller is Bearer), operation.label


def _known(path: str, there: dict[str, list[UUID]]) -> list[dict[str, str] | None]:
    """Path parameters to try: any, and those of something that is there."""
    ids = there.get(path.split("/")[1], []) if "{id}" in path else []
    return [None, *({"id": str(i)} for i in ids)]


def _attack(
    operation: Any, url: str, auth: requests.auth.AuthBase, known: list[dict[str, str] | None]
) -> set[int]:
    statuses: set[int] = set()
    with requests.Session() as session:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for parameters in known:
                _attack_with(
                    operation.as_strategy(generation_mode=mode, path_parameters=parameters),
                    lambda case: statuses.add(
                        case.call_and_validate(
                            base_url=url, session=session, auth=auth, checks=HELD_AGAINST
                        ).status_code
                    ),
                )
    return statuses


def _attack_with(cases: Any, send: Callable[[Case[Any]], object]) -> None:
    @settings(
        max_examples=EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def attack(case: Case[Any]) -> None:
        send(case)

    with suppress(Unsatisfiable):  # where nothing is taken, nothing can be given wrongly
        attack()
