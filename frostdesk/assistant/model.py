"""The model behind its API: one call in, one answer or one error of ours out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from frostdesk.assistant.completion import Completion, read_completion
from frostdesk.errors import FrostDeskError, GiveUpError, TryAgainError
from frostdesk.retry import retry_after

if TYPE_CHECKING:
    from openai import APIStatusError

Message = dict[str, Any]
"""One message of a chat, or one tool, as the API writes it."""

_OVERLOADED = (408, 429)
_SERVER_ERROR = 500

_MOVED = (301, 302, 303, 307, 308)
_ADVICE = {
    **dict.fromkeys(_MOVED, "Check OPENAI_BASE_URL: it sends elsewhere, which is not followed."),
    401: "Check OPENAI_API_KEY.",
    403: "Check that the key in OPENAI_API_KEY may use this model.",
    404: "Check FROSTDESK_OPENAI_MODEL and OPENAI_BASE_URL.",
}
_TOOLS = re.compile(r"\b(tools?|tool_choice|functions|function call\w*)\b", re.IGNORECASE)
_QUOTA_ADVICE = "The account has no credit left; add some, then process the message again."


class ToolsRefusedError(GiveUpError):
    """The model's server takes no tools; the same messages without them may well be answered."""


class Model:
    """A model at any server that speaks chat completions.

    One `complete` is one HTTP request: attempts are the caller's. Making one imports `openai`,
    which costs some 430 ms and 50 MB: a process without a Model does not pay.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        api_key: str,
        base_url: str,
        name: str,
        timeout: float = 60.0,
    ) -> None:
        """`timeout` is in seconds and bounds a whole call."""
        # See the class: only who calls a model pays for these.
        import openai  # noqa: PLC0415

        from frostdesk.assistant.transport import Straight, proxy_for  # noqa: PLC0415

        self.name = name
        self._timeout = timeout
        self._openai = openai
        base_url = base_url.rstrip("/")
        self._url = f"{base_url}/chat/completions"
        self._server = urlsplit(base_url).hostname or "its address"
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=None,
            max_retries=0,
            http_client=Straight(session, proxy=proxy_for(base_url)),
        )

    def __repr__(self) -> str:
        """The key never reaches a log."""
        return f"Model(name={self.name!r})"

    async def complete(
        self, messages: list[Message], *, tools: list[Message] | None = None
    ) -> Completion:
        """The model's answer to `messages`.

        No error repeats the key, the messages or the words of the server, which may quote both.

        Raises:
            TryAgainError: time-out, lost connection, 408, 429, 5xx, or an answer that cannot be
                read; `after` is how long the server asked to wait, in seconds.
            ToolsRefusedError: the server takes no tools.
            GiveUpError: any other refusal, such as that of the key.
        """
        body: dict[str, Any] = {"model": self.name, "messages": messages}
        if tools:
            body |= {"tools": tools, "tool_choice": "auto"}
        return read_completion(await self._post(body))

    async def _post(self, body: dict[str, Any]) -> bytes:
        """The answer as it came. The typed `create` would cost several times the CPU."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._client.post(
                    self._url, cast_to=bytes, content=msgspec.json.encode(body)
                )
        except TimeoutError:
            raise TryAgainError(
                f"The model's server at {self._server} has not answered in {self._timeout:g} s."
            ) from None
        except self._openai.APIStatusError as error:
            raise _refusal(error, server=self._server, with_tools="tools" in body) from None
        except (self._openai.OpenAIError, aiohttp.ClientError, OSError, ValueError) as error:
            raise TryAgainError(
                f"The connection to the model's server at {self._server} failed or was lost"
                f" ({_kind(error)}). If this stays, check OPENAI_BASE_URL and the network."
            ) from None


def _refusal(error: APIStatusError, *, server: str, with_tools: bool) -> FrostDeskError:
    """What an error status means for us.

    429 with the code `insufficient_quota` is no rate limit but an empty account (OpenAI's guide
    to error codes), which waiting does not fill.
    """
    status = error.status_code
    text = f"The model's server at {server} answered {status}{_machine_words(error)}."
    if with_tools and _is_about_tools(error):
        return ToolsRefusedError(f"{text} It seems to take no tools.")
    if "insufficient_quota" in (error.code, error.type):
        return GiveUpError(f"{text} {_QUOTA_ADVICE}")
    if status in _OVERLOADED or status >= _SERVER_ERROR:
        return TryAgainError(text, after=_wait(error.response.headers))
    return GiveUpError(f"{text} {_ADVICE.get(status, 'Trying again would not help.')}")


def _machine_words(error: APIStatusError) -> str:
    """The error's code, type and parameter, where they are identifiers and no prose."""
    said = (str(word) for word in (error.code, error.type, error.param))
    plain = [word for word in dict.fromkeys(said) if re.fullmatch(r"[a-z][a-z0-9_.]{0,63}", word)]
    return f" ({', '.join(plain)})" if plain else ""


def _is_about_tools(error: APIStatusError) -> bool:
    """Servers differ in status and words; all that say so name the tools or functions.

    Ollama answers 400 "… does not support tools", vLLM 400 '"auto" tool choice requires …', and
    llama.cpp 500 "tools param requires …" (their sources).
    """
    about = _TOOLS.search(error.message)
    return about is not None and error.status_code in (400, 404, 422, 500, 501)


def _wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server asked to wait. `retry-after-ms` is OpenAI's own, and finer."""
    milliseconds = retry_after(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    return retry_after(headers.get("retry-after"))


def _kind(error: Exception) -> str:
    return type(error.__cause__ or error).__name__
