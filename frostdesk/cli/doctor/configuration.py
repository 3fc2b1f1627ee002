"""What the variables say by themselves, and what this machine allows."""

from __future__ import annotations

import resource
from collections.abc import Mapping

from frostdesk.cli.doctor.verdict import Verdict
from frostdesk.errors import ConfigurationError
from frostdesk.settings import SERVE, WORKER, Settings, read_settings

APP_SECRET_LENGTH = 32
SHORTEST_TOKEN = 16
FEWEST_FILES = 1024
"""What systems give a process unless told otherwise; each socket that is open takes one."""


def check_configuration(environ: Mapping[str, str], settings: Settings) -> list[Verdict]:
    """Verdicts that need no server."""
    return [
        _variables(environ),
        _app_secret(settings),
        _instructor_token(settings),
        _supabase(settings),
        _instructions(settings),
        _files(),
    ]


def usable_settings(environ: Mapping[str, str]) -> Settings:
    """The settings without the variables that are malformed."""
    usable: dict[str, str] = {}
    for name, value in environ.items():
        try:
            read_settings({name: value}, required=())
        except ConfigurationError:
            continue
        usable[name] = value
    return read_settings(usable, required=())


def _variables(environ: Mapping[str, str]) -> Verdict:
    try:
        read_settings(environ, required=tuple(dict.fromkeys(SERVE + WORKER)))
    except ConfigurationError as error:
        return Verdict("configuration", "failed", str(error), "Set these variables.")
    return Verdict("configuration", "ok", "every variable is there and well-formed")


def _app_secret(settings: Settings) -> Verdict:
    secret = settings.whatsapp_app_secret
    is_hex = len(secret) == APP_SECRET_LENGTH and all(c in "0123456789abcdef" for c in secret)
    if secret and not is_hex and "graph.facebook.com" in settings.whatsapp_api_url:
        advice = "Meta's are 32 hexadecimal digits: copy App settings → Basic → App secret."
        return Verdict("app secret", "warning", "does not look like one of Meta's", advice)
    return Verdict("app secret", "ok", "set" if secret else "not set")


def _instructor_token(settings: Settings) -> Verdict:
    token = settings.instructor_token
    advice = (
        "Choose FROSTDESK_INSTRUCTOR_TOKEN anew, for this alone: "
        """python3 -c "import secrets; print(secrets.token_urlsafe(24))"."""
    )
    elsewhere = (
        settings.whatsapp_verify_token,
        settings.whatsapp_app_secret,
        settings.whatsapp_token,
        settings.openai_api_key,
    )
    if token and token in elsewhere:
        seen = "is used as another secret as well, which others know"
        return Verdict("token", "failed", f"the instructor's {seen}", advice)
    if token and len(token) < SHORTEST_TOKEN:
        seen = f"the instructor's has fewer than {SHORTEST_TOKEN} characters, and can be guessed"
        return Verdict("token", "failed", seen, advice)
    return Verdict("token", "ok", "the instructor's is set" if token else "not set")


def _supabase(settings: Settings) -> Verdict:
    pair = {
        "FROSTDESK_SUPABASE_URL": settings.supabase_url,
        "FROSTDESK_SUPABASE_ANON_KEY": settings.supabase_anon_key,
    }
    missing = [name for name, value in pair.items() if not value]
    if len(missing) == len(pair) and not settings.supabase_jwt_secret:
        return Verdict("supabase", "ok", "not used: live updates are FrostDesk's own")
    if missing:
        advice = "Set it too, or take the other FROSTDESK_SUPABASE_… away."
        return Verdict("supabase", "failed", f"{' and '.join(missing)} is missing", advice)
    return Verdict("supabase", "ok", "the page listens to Supabase Realtime")


def _instructions(settings: Settings) -> Verdict:
    from frostdesk.assistant.instructions import load_instructions

    try:
        load_instructions(settings.rules_file, settings.disclosure_file)
    except ConfigurationError as error:
        return Verdict("instructions", "failed", str(error), "Correct the file.")
    return Verdict("instructions", "ok", "the rules and the sentence about the AI are readable")


def _files() -> Verdict:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < FEWEST_FILES:
        advice = f"Raise it to {FEWEST_FILES} or more: `ulimit -n`, LimitNOFILE= of systemd."
        return Verdict("open files", "warning", f"a process may have {limit} only", advice)
    return Verdict("open files", "ok", f"a process may have {limit}")
