"""`/openapi.json`: OpenAPI 3.1 of every route, from the types that requests and answers are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, get_origin

import msgspec
from aiohttp import web

from frostdesk.api.answers import Problem

if TYPE_CHECKING:
    from frostdesk.api.routes import Content, Parameter, Route

Json = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"
PROBLEM = "application/problem+json"

SECURITY = {
    "instructor": {
        "type": "http",
        "scheme": "bearer",
        "description": "FROSTDESK_INSTRUCTOR_TOKEN, or an access token of Supabase Auth.",
    },
    "whatsapp": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Hub-Signature-256",
        "description": "`sha256=` and the HMAC of the raw body, keyed with the app secret.",
    },
}

ABOUT = {
    "id": "The id of the one asked for: a UUID.",
    "secret": "The secret part of the calendar's address.",
    "version": "The version of the page.",
    "file": "The name of the file.",
}
"""What stands in paths."""

DOCUMENT = web.AppKey("openapi", bytes)


async def openapi(request: web.Request) -> web.Response:
    """This document."""
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


def document(routes: Iterable[Route]) -> Json:
    """The OpenAPI document of these routes."""
    routes = list(routes)
    types = [Problem, *filter(_is_struct, (c for route in routes for c in _contents(route)))]
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: Json = {}
    for route in routes:
        operation = _operation(route, schema_of)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FrostDesk",
            "version": version("frostdesk"),
            "description": "A front desk on WhatsApp for an independent ski instructor.",
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": SECURITY},
    }


def _contents(route: Route) -> Iterable[Content]:
    return (route.takes, *route.answers.values())


def _is_struct(content: Content) -> bool:
    kind = get_origin(content) or content
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _operation(route: Route, schema_of: Mapping[Any, Json]) -> Json:
    answers = {str(s): _answer(s, c, schema_of) for s, c in route.answers.items()}
    problems = {str(s): _problem(s, schema_of) for s in route.problems}
    operation: Json = {
        "summary": _summary(route),
        "operationId": _name(route),
        "parameters": [*_in_path(route.path), *map(_parameter, route.parameters)],
        "responses": dict(sorted((answers | problems).items())),
    }
    if route.takes is not None:
        content = _content(route.takes, schema_of)
        operation["requestBody"] = {"required": True, "content": content}
    if route.who != "anyone":
        operation["security"] = [{route.who: []}]
    return operation


def _summary(route: Route) -> str:
    """The first paragraph of the handler's docstring, unless the route says what it does itself."""
    text = route.about or (route.handler.__doc__ if route.handler else "") or ""
    return " ".join(text.split("\n\n")[0].split())


def _name(route: Route) -> str:
    """Such as `get_conversations_id_messages`: the same for as long as the path is."""
    words = re.findall(r"[a-z0-9]+", route.path.lower()) or ["page"]
    return "_".join((route.method.lower(), *words))


def _in_path(path: str) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": ABOUT[name],
            "schema": {"type": "string", **({"format": "uuid"} if name == "id" else {})},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }


def _answer(status: int, content: Content, schema_of: Mapping[Any, Json]) -> Json:
    answer: Json = {"description": HTTPStatus(status).phrase}
    if content is not None:
        answer["content"] = _content(content, schema_of)
    return answer


def _content(content: Content, schema_of: Mapping[Any, Json]) -> Json:
    """By media type: JSON for a type of ours, and any text for a media type."""
    if isinstance(content, str):
        return {content: {"schema": {"type": "string"}}}
    if isinstance(content, tuple):
        return {media: {"schema": {"type": "string"}} for media in content}
    schema = schema_of[content] if _is_struct(content) else {"type": "object"}
    return {"application/json": {"schema": schema}}


def _problem(status: int, schema_of: Mapping[Any, Json]) -> Json:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": schema_of[Problem]}},
    }
