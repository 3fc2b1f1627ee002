"""A complete configuration for FrostDesk's commands, and nothing of whoever runs the tests."""

from __future__ import annotations

import os

from tests.support.leftovers import MARK
from tests.support.secrets import (
    APP_SECRET,
    INSTRUCTOR_TOKEN,
    MODEL_KEY,
    PHONE_NUMBER_ID,
    VERIFY_TOKEN,
    WHATSAPP_TOKEN,
)

OURS = ("FROSTDESK_", "OPENAI_")


def complete_environment(
    *, database_url: str, redis_url: str, port: int, model_url: str, whatsapp_url: str
) -> dict[str, str]:
    """Our environment, with every variable that `serve` and `worker` need set to these servers."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    if mark := os.environ.get(MARK):
        outer[MARK] = mark
    return outer | {
        "FROSTDESK_DATABASE_URL": database_url,
        "FROSTDESK_REDIS_URL": redis_url,
        "FROSTDESK_PORT": str(port),
        "FROSTDESK_WHATSAPP_APP_SECRET": APP_SECRET,
        "FROSTDESK_WHATSAPP_VERIFY_TOKEN": VERIFY_TOKEN,
        "FROSTDESK_WHATSAPP_TOKEN": WHATSAPP_TOKEN,
        "FROSTDESK_WHATSAPP_PHONE_NUMBER_ID": PHONE_NUMBER_ID,
        "FROSTDESK_WHATSAPP_API_URL": whatsapp_url,
        "FROSTDESK_INSTRUCTOR_TOKEN": INSTRUCTOR_TOKEN,
        "OPENAI_API_KEY": MODEL_KEY,
        "OPENAI_BASE_URL": model_url,
    }


def dev_environment(port: int) -> dict[str, str]:
    """Our environment, with what a benchmark has to know of a `frostdesk dev` on that port."""
    return os.environ | {
        "FROSTDESK_PORT": str(port),
        "FROSTDESK_INSTRUCTOR_TOKEN": INSTRUCTOR_TOKEN,
        "FROSTDESK_WHATSAPP_APP_SECRET": APP_SECRET,
    }
