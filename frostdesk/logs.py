"""Logs: readable on a terminal, one JSON document a line elsewhere, always on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog


def configure_logs(*, level: int = logging.INFO) -> None:
    """Set up structlog, and quieten libraries that would log what customers wrote."""
    readable = sys.stderr.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without the values of variables: customers' words and secrets are among them.
            *([] if readable else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    # arq names the arguments of every job, texts of customers included.
    logging.getLogger("arq").setLevel(logging.ERROR)
    # What goes wrong in a handler is logged by us; what remains is what strangers send.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


def _json(record: Any, **_: Any) -> str:
    return msgspec.json.encode(record, enc_hook=repr).decode()
