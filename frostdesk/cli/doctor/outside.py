"""The model and WhatsApp, asked for what costs nothing and tells nobody anything."""

from __future__ import annotations

from http import HTTPStatus

import aiohttp

from frostdesk.assistant.transport import proxy_for
from frostdesk.cli.doctor.verdict import Verdict
from frostdesk.settings import Settings


async def check_model(settings: Settings) -> list[Verdict]:
    """Whether the model's server takes our key and knows the model."""
    url = f"{settings.openai_base_url}/models"
    status, body = await _ask(url, settings.openai_api_key, proxy=proxy_for(url))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return [Verdict("model", "failed", "the key is refused", "Correct OPENAI_API_KEY.")]
    if status != HTTPStatus.OK:
        advice = "Is OPENAI_BASE_URL right, and may this machine reach it?"
        return [Verdict("model", "failed", f"no list of models ({status or body})", advice)]
    if f'"{settings.openai_model}"' not in body:
        advice = "Is FROSTDESK_OPENAI_MODEL spelt as the server spells it?"
        seen = f"the server does not list {settings.openai_model}"
        return [Verdict("model", "warning", seen, advice)]
    return [Verdict("model", "ok", f"{settings.openai_model} is there, the key is accepted")]


async def check_whatsapp(settings: Settings) -> list[Verdict]:
    """Whether WhatsApp takes our token and knows our number."""
    url = f"{settings.whatsapp_api_url}/{settings.whatsapp_phone_number_id}?fields=id"
    status, body = await _ask(url, settings.whatsapp_token)
    if status == HTTPStatus.OK:
        return [Verdict("whatsapp", "ok", "the token is accepted and the number is known")]
    if status == HTTPStatus.UNAUTHORIZED or '"code":190' in body.replace(" ", ""):
        advice = "Make a permanent token of a system user, and set FROSTDESK_WHATSAPP_TOKEN."
        return [Verdict("whatsapp", "failed", "the token is refused", advice)]
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
        advice = (
            "Is FROSTDESK_WHATSAPP_PHONE_NUMBER_ID the id (not the phone number), and is the"
            " version in FROSTDESK_WHATSAPP_API_URL current?"
        )
        return [Verdict("whatsapp", "failed", "the number is not known", advice)]
    advice = "May this machine reach FROSTDESK_WHATSAPP_API_URL?"
    return [Verdict("whatsapp", "failed", f"no answer ({status or body})", advice)]


async def _ask(url: str, key: str, *, proxy: str | None = None) -> tuple[int, str]:
    """The status and the body of a GET; status 0 and the error's kind if there is no answer.

    The worker follows no redirect either.
    """
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                url,
                headers={"Authorization": f"Bearer {key}"},
                proxy=proxy,
                allow_redirects=False,
            ) as answer,
        ):
            return answer.status, (await answer.read()).decode(errors="replace")
    except (aiohttp.ClientError, OSError) as error:
        return 0, type(error).__name__
