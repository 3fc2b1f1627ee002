"""Sending through WhatsApp's Cloud API. One call is one HTTP request; errors say what is known.

Sources: Meta, Cloud API, "Messages", "Typing indicators" and "Error codes".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from frostdesk.errors import GiveUpError, OutcomeUnknownError, TryAgainError
from frostdesk.retry import retry_after
from frostdesk.whatsapp.body import at, first_at, identity_at, text_at

_RATE_LIMITS = frozenset({4, 80007, 130429, 131048, 131056})
_OUTSIDE_THE_WINDOW = frozenset({470, 131047})
_SUCCESS = range(200, 300)
_PASSING = frozenset({408, 429, *range(500, 600)})
_MESSAGE_LIMIT = 500  # characters of an error of Meta's that are passed on


class Address(msgspec.Struct, frozen=True):
    """Where a message goes, to the letter: a phone (`wa_id`), or a business-scoped `user_id`."""

    wa_id: str | None
    user_id: str | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """WhatsApp's answer: its status, the object in its body (None if none) and `Retry-After`."""

    status: int
    document: Any
    after: float | None


class WhatsApp:
    """The Cloud API below `api_url`, called with `token`. `timeout` is in seconds a request."""

    def __init__(
        self, session: aiohttp.ClientSession, *, api_url: str, token: str, timeout: float = 20
    ) -> None:
        self._session = session
        self._api_url = api_url.rstrip("/")
        self._token = token
        # The connection gets its own, shorter limit: what never connected was certainly not sent.
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=timeout / 2)

    async def send_text(
        self, *, phone_number_id: str, to: Address, text: str, callback_data: str
    ) -> str:
        """Send `text` from a business number; returns the id that WhatsApp gave (`wamid.…`).

        `callback_data` comes back as `biz_opaque_callback_data` in every status of the message.

        Raises:
            TryAgainError: it was not sent, and may be if tried again.
            OutcomeUnknownError: it may have been sent or not.
            GiveUpError: it was not sent, and will not be in this way.
        """
        payload = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **_recipient(to),
            "type": "text",
            "text": {"preview_url": False, "body": text},
            "biz_opaque_callback_data": callback_data,
        }
        document = await self._post(phone_number_id, payload)
        whatsapp_id = identity_at(first_at(document, "messages"), "id")
        if whatsapp_id is None:
            raise OutcomeUnknownError("WhatsApp accepted the request but gave no message id.")
        return whatsapp_id

    async def mark_read(self, *, phone_number_id: str, whatsapp_id: str) -> None:
        """Mark a customer's message as read, and show that an answer is coming.

        Raises:
            TryAgainError, OutcomeUnknownError, GiveUpError: as `send_text`.
        """
        payload: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": whatsapp_id,
            "typing_indicator": {"type": "text"},
        }
        await self._post(phone_number_id, payload)

    async def _post(self, phone_number_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        answer = await self._request(phone_number_id, payload)
        _raise_for(answer, self._token)
        if not isinstance(answer.document, dict):
            raise OutcomeUnknownError("WhatsApp accepted the request but answered no JSON object.")
        return answer.document

    async def _request(self, phone_number_id: str, payload: dict[str, Any]) -> Answer:
        try:
            async with self._session.post(
                f"{self._api_url}/{quote(phone_number_id, safe='')}/messages",
                data=msgspec.json.encode(payload),
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Content-Type": "application/json",
                },
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return await _read(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TryAgainError(f"WhatsApp could not be reached ({_kind(error)}).") from error
        except aiohttp.InvalidURL as error:
            raise GiveUpError("FROSTDESK_WHATSAPP_API_URL is no address to post to.") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OutcomeUnknownError(
                f"No answer from WhatsApp after the request had left ({_kind(error)})."
            ) from error


def _recipient(to: Address) -> dict[str, str]:
    """A business-scoped id goes into `recipient`: in `to` WhatsApp drops it without a word."""
    if to.wa_id:
        return {"to": to.wa_id}
    if to.user_id:
        return {"recipient": to.user_id}
    raise GiveUpError("There is no phone number and no business-scoped id to send to.")


async def _read(response: aiohttp.ClientResponse) -> Answer:
    """The whole answer. Where the body breaks off, an error's status still says enough."""
    try:
        body = await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        if response.ok:
            raise
        body = b""
    return Answer(
        status=response.status,
        document=_json(body),
        after=retry_after(response.headers.get("Retry-After")),
    )


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _raise_for(answer: Answer, token: str) -> None:
    """Turn an answer that is no success into the error that says what happens next."""
    error = at(answer.document, "error")
    code = _code(error)
    if answer.status in _SUCCESS and code not in _RATE_LIMITS:
        return
    words = f"WhatsApp answered {answer.status}{_words(error, code)}".replace(token, "…")
    if answer.status in _PASSING or code in _RATE_LIMITS:
        raise TryAgainError(words, after=answer.after)
    if code in _OUTSIDE_THE_WINDOW:
        words = f"{words} (outside the 24-hour window: the customer has to write first)"
    raise GiveUpError(words, code=code)


def _code(error: Any) -> int | None:
    try:
        return int(text_at(error, "code"))
    except ValueError:
        return None


def _words(error: Any, code: int | None) -> str:
    details = text_at(at(error, "error_data"), "details")
    parts = (f"error {code}" if code is not None else "", text_at(error, "message"), details)
    return "".join(f": {part}" for part in parts if part)[:_MESSAGE_LIMIT]


def _kind(error: Exception) -> str:
    return type(error).__name__
