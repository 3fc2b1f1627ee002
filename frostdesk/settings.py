"""What the environment says, read once by the command line and checked as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import msgspec

from frostdesk.errors import ConfigurationError

GRAPH_API_URL = "https://graph.facebook.com/v23.0"
"""The current Graph API (Meta, Graph API changelog)."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an operator can set. Secrets are kept out of its representation."""

    database_url: str = ""
    direct_database_url: str = ""
    redis_url: str = ""
    host: str = "127.0.0.1"
    port: int = 3000
    whatsapp_app_secret: str = ""
    whatsapp_verify_token: str = ""
    whatsapp_token: str = ""
    whatsapp_phone_number_id: str = ""
    whatsapp_api_url: str = GRAPH_API_URL
    instructor_token: str = ""
    openai_api_key: str = ""
    openai_base_url: str = "https://api.openai.com/v1"
    openai_model: str = "gpt-5-mini"
    timezone: ZoneInfo = ZoneInfo("Europe/Zurich")
    customer_calls_per_minute: int = 240
    model_calls_per_day: int = 50_000
    rules_file: Path | None = None
    disclosure_file: Path | None = None
    supabase_url: str = ""
    supabase_anon_key: str = ""
    supabase_jwt_secret: str = ""

    def __repr__(self) -> str:
        """Addresses and secrets never reach a log."""
        return f"Settings(host={self.host!r}, port={self.port}, timezone={self.timezone.key!r})"


class Variable(msgspec.Struct, frozen=True):
    """One environment variable: the setting that it fills, what it expects, how it is read."""

    name: str
    setting: str
    expects: str
    read: Callable[[str], Any]


def _text(value: str) -> str:
    # Tokens travel in HTTP headers, which take ASCII only.
    if not (value.isascii() and value.isprintable()) or any(c.isspace() for c in value):
        raise ValueError
    return value


def _url(*schemes: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        url = urlsplit(value)
        has_place = url.hostname or url.path.strip("/") or "host=" in url.query
        _ = url.port  # raises ValueError if it is no number
        # Calls carry a token of their own, which cannot be had beside a password.
        has_login = url.scheme.startswith("http") and url.username is not None
        if url.scheme not in schemes or not has_place or has_login:
            raise ValueError
        return value.rstrip("/") if url.scheme.startswith("http") else value

    return read


_NUMBER, _SECONDS, _ANY, _FLAG = r"[0-9]+", r"[0-9]+(\.[0-9]+)?", ".*", "(?i:true|false|yes|no|1|0)"
_REDIS_OPTIONS = {
    "db": _NUMBER,
    "username": _ANY,
    "password": _ANY,
    "protocol": "[23]",
    "max_connections": "[1-9][0-9]*",
    "health_check_interval": _NUMBER,
    "socket_timeout": _SECONDS,
    "socket_connect_timeout": _SECONDS,
    "socket_keepalive": _FLAG,
    "retry_on_timeout": _FLAG,
}
_REDIS_TLS = {
    "ssl_cert_reqs": "none|optional|required",
    "ssl_ca_certs": _ANY,
    "ssl_certfile": _ANY,
    "ssl_keyfile": _ANY,
    "ssl_check_hostname": _FLAG,
}


def _redis_url(value: str) -> str:
    """redis-py tells of an option that it does not know, or not here, only when it connects."""
    url = urlsplit(_url("redis", "rediss", "unix")(value))
    known = _REDIS_OPTIONS | (_REDIS_TLS if url.scheme == "rediss" else {})
    given = parse_qsl(url.query, keep_blank_values=True)
    if not all(name in known and re.fullmatch(known[name], text) for name, text in given):
        raise ValueError
    if url.scheme != "unix" and not re.fullmatch("/?[0-9]*/?", url.path):
        raise ValueError
    return value


def _port(value: str) -> int:
    port = int(value)
    if not 0 < port < 65536:  # noqa: PLR2004  # the range of TCP
        raise ValueError
    return port


def _count(value: str) -> int:
    count = int(value)
    if count <= 0:
        raise ValueError
    return count


def _zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (OSError, KeyError) as error:
        raise ValueError from error


def _file(value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise ValueError
    return path


VARIABLES = (
    Variable(
        "FROSTDESK_DATABASE_URL",
        "database_url",
        "the URL of a PostgreSQL 15 or newer, such as postgresql://user:password@host:5432/name",
        _url("postgresql", "postgres"),
    ),
    Variable(
        "FROSTDESK_DIRECT_DATABASE_URL",
        "direct_database_url",
        "the URL of the same database without a pooler between, for live updates",
        _url("postgresql", "postgres"),
    ),
    Variable(
        "FROSTDESK_REDIS_URL",
        "redis_url",
        "the URL of a Redis 6.2 or newer, such as redis://host:6379/0, any options redis-py's",
        _redis_url,
    ),
    Variable("FROSTDESK_HOST", "host", "the address to listen on, such as 127.0.0.1", _text),
    Variable("FROSTDESK_PORT", "port", "a port from 1 to 65535", _port),
    Variable(
        "FROSTDESK_WHATSAPP_APP_SECRET",
        "whatsapp_app_secret",
        "the app secret of the Meta app that signs the webhooks",
        _text,
    ),
    Variable(
        "FROSTDESK_WHATSAPP_VERIFY_TOKEN",
        "whatsapp_verify_token",
        "the verify token that you gave Meta for the webhook",
        _text,
    ),
    Variable(
        "FROSTDESK_WHATSAPP_TOKEN",
        "whatsapp_token",
        "the access token of the WhatsApp Cloud API",
        _text,
    ),
    Variable(
        "FROSTDESK_WHATSAPP_PHONE_NUMBER_ID",
        "whatsapp_phone_number_id",
        "the id of the business number that replies leave from",
        _text,
    ),
    Variable(
        "FROSTDESK_WHATSAPP_API_URL",
        "whatsapp_api_url",
        f"the Graph API's base URL with its version, such as {GRAPH_API_URL}",
        _url("http", "https"),
    ),
    Variable(
        "FROSTDESK_INSTRUCTOR_TOKEN",
        "instructor_token",
        "a secret of your own choice, which the instructor signs in with",
        _text,
    ),
    Variable("OPENAI_API_KEY", "openai_api_key", "the key of the model's API", _text),
    Variable(
        "OPENAI_BASE_URL",
        "openai_base_url",
        "the base URL of a server that speaks chat completions",
        _url("http", "https"),
    ),
    Variable("FROSTDESK_OPENAI_MODEL", "openai_model", "the name of a model", _text),
    Variable("FROSTDESK_TIMEZONE", "timezone", "an IANA time zone, such as Europe/Zurich", _zone),
    Variable(
        "FROSTDESK_CUSTOMER_CALLS_PER_MINUTE",
        "customer_calls_per_minute",
        "how many model calls a minute one customer may cause, such as 240",
        _count,
    ),
    Variable(
        "FROSTDESK_MODEL_CALLS_PER_DAY",
        "model_calls_per_day",
        "how many model calls a day all customers together may cause, such as 50000",
        _count,
    ),
    Variable(
        "FROSTDESK_RULES_FILE",
        "rules_file",
        "a readable text file with the instructor's rules",
        _file,
    ),
    Variable(
        "FROSTDESK_DISCLOSURE_FILE",
        "disclosure_file",
        "a readable TOML file with the sentence that tells that an AI writes",
        _file,
    ),
    Variable(
        "FROSTDESK_SUPABASE_URL",
        "supabase_url",
        "the URL of a Supabase project, such as https://abcdefgh.supabase.co",
        _url("http", "https"),
    ),
    Variable(
        "FROSTDESK_SUPABASE_ANON_KEY",
        "supabase_anon_key",
        "the anon or publishable key of the Supabase project",
        _text,
    ),
    Variable(
        "FROSTDESK_SUPABASE_JWT_SECRET",
        "supabase_jwt_secret",
        "the legacy JWT secret of the Supabase project",
        _text,
    ),
)

DATABASE = ("FROSTDESK_DATABASE_URL",)
SERVE = (
    "FROSTDESK_DATABASE_URL",
    "FROSTDESK_REDIS_URL",
    "FROSTDESK_WHATSAPP_APP_SECRET",
    "FROSTDESK_WHATSAPP_VERIFY_TOKEN",
    "FROSTDESK_INSTRUCTOR_TOKEN",
)
WORKER = (
    "FROSTDESK_DATABASE_URL",
    "FROSTDESK_REDIS_URL",
    "FROSTDESK_WHATSAPP_TOKEN",
    "FROSTDESK_WHATSAPP_PHONE_NUMBER_ID",
    "OPENAI_API_KEY",
)


def read_settings(environ: Mapping[str, str], *, required: tuple[str, ...]) -> Settings:
    """The settings in `environ`.

    Raises:
        ConfigurationError: one message that names every variable that is malformed, or missing
            although `required`, and what it expects. Values are not repeated: they may be secret.
    """
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for variable in VARIABLES:
        value = environ.get(variable.name, "")
        if not value:
            if variable.name in required:
                wrong.append(f"{variable.name} is missing: it expects {variable.expects}")
            continue
        try:
            found[variable.setting] = variable.read(value)
        except ValueError:
            wrong.append(f"{variable.name} is malformed: it expects {variable.expects}")
    if wrong:
        raise ConfigurationError("The configuration is not usable.\n  " + "\n  ".join(wrong))
    return Settings(**found)
