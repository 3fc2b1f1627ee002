"""A web page made of static files: read once, served with long caching and a strict policy.

Every address of a file but the page's own holds a hash of all the files, so a browser may keep
what it has for ever, and never mixes the files of two releases.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import msgspec
from aiohttp import ETag, web

VERSION = "__VERSION__"
"""Stands in index.html where the hash belongs."""

MODULES = "<!-- MODULES -->"
"""Stands in index.html where all modules are named, so that they load side by side."""

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}

FOREVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"


class StaticFile(msgspec.Struct, frozen=True):
    """A file as it is sent."""

    content_type: str
    body: bytes
    gzipped: bytes
    etag: str


class StaticPage:
    """The files of `folder`: index.html at `/`, the others under `/{name}/{version}/`.

    The page may load from its own host only, and connect to it and to `connect_to` (origins).
    """

    def __init__(self, folder: Path, name: str, *, connect_to: tuple[str, ...] = ()) -> None:
        contents = {f.name: f.read_bytes() for f in folder.iterdir() if f.suffix in TYPES}
        self.version = _hash(*(part for item in sorted(contents.items()) for part in item))
        index = contents["index.html"].decode().replace(MODULES, _preloads(name, contents))
        contents["index.html"] = index.replace(VERSION, self.version).encode()
        self._files = {file: _static_file(file, body) for file, body in contents.items()}
        self._name = name
        self._headers = _headers(connect_to)

    def routes(self) -> list[web.RouteDef]:
        """What to add to an application."""
        return [
            web.get("/", self._index),
            web.get(f"/{self._name}/{{version}}/{{file}}", self._file),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        return self._answer(request, self._files["index.html"], ASK_FIRST)

    async def _file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["file"])
        if file is None:
            raise web.HTTPNotFound
        # Another release may ask during an update: it gets the file, and nobody keeps it.
        is_ours = request.match_info["version"] == self.version
        return self._answer(request, file, FOREVER if is_ours else ASK_FIRST)

    def _answer(self, request: web.Request, file: StaticFile, caching: str) -> web.Response:
        headers = {**self._headers, "Cache-Control": caching, "Vary": "Accept-Encoding"}
        known = {etag.value for etag in request.if_none_match or ()}
        if known & {file.etag, "*"}:
            response = web.Response(status=304, headers=headers)
        else:
            zips = "gzip" in request.headers.get("Accept-Encoding", "")
            response = web.Response(
                body=file.gzipped if zips else file.body,
                headers=headers | ({"Content-Encoding": "gzip"} if zips else {}),
                content_type=file.content_type,
                charset="utf-8",
            )
        # Weak, as it names the same file whether compressed or not.
        response.etag = ETag(file.etag, is_weak=True)
        return response


def _hash(*parts: bytes | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
    return digest.hexdigest()[:16]


def _preloads(name: str, contents: dict[str, bytes]) -> str:
    files = sorted(file for file in contents if file.endswith(".js"))
    lines = (f'<link rel="modulepreload" href="/{name}/{VERSION}/{file}">' for file in files)
    return "\n    ".join(lines)


def _static_file(name: str, body: bytes) -> StaticFile:
    return StaticFile(
        content_type=TYPES[Path(name).suffix],
        body=body,
        gzipped=gzip.compress(body, mtime=0),
        etag=_hash(body),
    )


def _headers(connect_to: tuple[str, ...]) -> dict[str, str]:
    connect = " ".join(("'self'", *connect_to))
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"manifest-src 'self'; connect-src {connect}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
