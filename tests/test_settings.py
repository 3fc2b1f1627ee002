"""The environment, checked as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from frostdesk.errors import ConfigurationError
from frostdesk.settings import DATABASE, SERVE, VARIABLES, WORKER, read_settings

SECRET = "hush-42-hush"
GOOD = {
    "FROSTDESK_DATABASE_URL": f"postgresql://desk:{SECRET}@db.example:5432/desk",
    "FROSTDESK_REDIS_URL": f"redis://:{SECRET}@redis.example:6379/1",
    "FROSTDESK_HOST": "0.0.0.0",  # noqa: S104  # a value, and nothing listens
    "FROSTDESK_PORT": "8080",
    "FROSTDESK_WHATSAPP_APP_SECRET": SECRET,
    "FROSTDESK_WHATSAPP_VERIFY_TOKEN": SECRET,
    "FROSTDESK_WHATSAPP_TOKEN": SECRET,
    "FROSTDESK_WHATSAPP_PHONE_NUMBER_ID": "700100200300",
    "FROSTDESK_WHATSAPP_API_URL": "https://graph.example/v23.0/",
    "FROSTDESK_INSTRUCTOR_TOKEN": SECRET,
    "OPENAI_API_KEY": SECRET,
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "FROSTDESK_OPENAI_MODEL": "some-model",
    "FROSTDESK_TIMEZONE": "Pacific/Auckland",
}
MALFORMED = {
    "FROSTDESK_DATABASE_URL": ["mysql://x/y", "desk", "postgresql://", "postgresql://h:port/x"],
    "FROSTDESK_REDIS_URL": [
        "http://x",
        "redis://",
        "localhost:6379",
        "redis://h:x",
        "redis://h/desk",
        "redis://h/0?ssl_cert_reqs=none",
        "rediss://h/0?ssl_cert_reqs=perhaps",
        "redis://h?db=x",
        "redis://h?socket_timeout=x",
        "redis://h?protocol=9",
        "redis://h?foo=bar",
    ],
    "FROSTDESK_DIRECT_DATABASE_URL": ["https://x/y", "desk"],
    "FROSTDESK_HOST": ["a b", "\n"],
    "FROSTDESK_PORT": ["0", "65536", "-1", "http", "80.5", " "],
    "FROSTDESK_WHATSAPP_APP_SECRET": ["two words", "line\n", "\x07"],
    "FROSTDESK_WHATSAPP_VERIFY_TOKEN": ["two words"],
    "FROSTDESK_WHATSAPP_TOKEN": ["Bearer x", "x\r\nX-Evil: 1"],
    "FROSTDESK_WHATSAPP_PHONE_NUMBER_ID": ["+41 79"],
    "FROSTDESK_WHATSAPP_API_URL": [
        "graph.example",
        "ftp://x",
        "https://",
        "http://[::1",
        "http://a:b@c",
    ],
    "FROSTDESK_INSTRUCTOR_TOKEN": [" ", "a\tb"],
    "OPENAI_API_KEY": ["sk 1"],
    "OPENAI_BASE_URL": ["api.example/v1", "https://h:999999/v1"],
    "FROSTDESK_OPENAI_MODEL": ["a model"],
    "FROSTDESK_TIMEZONE": ["Mars/Base", "Europe", "../etc/passwd", "CET+99"],
    "FROSTDESK_CUSTOMER_CALLS_PER_MINUTE": ["0", "-1", "many", "1.5"],
    "FROSTDESK_MODEL_CALLS_PER_DAY": ["0", "-1", "many", "1e3"],
    "FROSTDESK_RULES_FILE": ["/nowhere/rules.md", "/"],
    "FROSTDESK_DISCLOSURE_FILE": ["/nowhere/disclosure.toml"],
    "FROSTDESK_SUPABASE_URL": ["abcdefgh.supabase.co"],
    "FROSTDESK_SUPABASE_ANON_KEY": ["two words"],
    "FROSTDESK_SUPABASE_JWT_SECRET": ["two words"],
}


def refused(environ: Mapping[str, str], *required: str) -> str:
    """The text with which an environment is refused."""
    with pytest.raises(ConfigurationError) as caught:
        read_settings(environ, required=required)
    return str(caught.value)


def test_a_complete_environment_is_read() -> None:
    """Every variable arrives in its setting."""
    settings = read_settings(GOOD, required=(*SERVE, *WORKER))
    assert settings.port == 8080
    assert settings.timezone == ZoneInfo("Pacific/Auckland")
    assert settings.whatsapp_api_url == "https://graph.example/v23.0"
    assert settings.openai_model == "some-model"


def test_the_defaults_are_those_of_the_interface() -> None:
    """With nothing set, the documented values hold; an empty variable is one that is not set."""
    for environ in ({}, dict.fromkeys(GOOD, "")):
        settings = read_settings(environ, required=())
        assert (settings.host, settings.port) == ("127.0.0.1", 3000)
        assert settings.timezone == ZoneInfo("Europe/Zurich")
        assert settings.whatsapp_api_url.startswith("https://graph.facebook.com/v")


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values]
)
def test_each_malformed_variable_is_named(name: str, value: str) -> None:
    """The message names the variable and what it expects, and no other."""
    text = refused(GOOD | {name: value})
    assert f"{name} is malformed: it expects" in text
    assert text.count("malformed") == 1
    assert "missing" not in text


@pytest.mark.parametrize("required", [DATABASE, SERVE, WORKER])
def test_all_that_is_missing_is_named_at_once(required: tuple[str, ...]) -> None:
    """One message names every missing variable, and nothing that is not needed."""
    text = refused({}, *required)
    named = {line.split()[0] for line in text.splitlines()[1:]}
    assert named == set(required)


def test_missing_and_malformed_are_named_together() -> None:
    """Whatever is wrong, it is one message."""
    wrong = {name: values[0] for name, values in MALFORMED.items() if name != "OPENAI_API_KEY"}
    text = refused(wrong, "OPENAI_API_KEY")
    assert text.count("malformed") == len(wrong)
    assert text.count("missing") == 1


def test_no_secret_is_in_the_message() -> None:
    """A value that is wrong is not repeated: it may be a secret in the wrong place."""
    wrong = dict.fromkeys(MALFORMED, f"{SECRET} {SECRET}")
    assert SECRET not in refused(wrong)
    assert SECRET not in refused(GOOD | {"FROSTDESK_PORT": SECRET})


def test_no_secret_is_in_the_representation() -> None:
    """Settings that end up in a log or a traceback show no secret."""
    settings = read_settings(GOOD, required=())
    assert SECRET not in f"{settings!r} {settings}"


def test_files_are_checked(tmp_path: Path) -> None:
    """A file that is there is taken."""
    rules = tmp_path / "rules.md"
    rules.write_text("Be kind.")
    environ = GOOD | {"FROSTDESK_RULES_FILE": str(rules)}
    assert read_settings(environ, required=()).rules_file == rules


def test_every_variable_is_tried_here() -> None:
    """No variable is without a malformed value in these tests."""
    assert {variable.name for variable in VARIABLES} <= set(MALFORMED)
