"""What a message says, in words: its own text, or in brackets what arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frostdesk.whatsapp.body import at, first_at, list_at, parse_json, text_at

TEXT_LIMIT = 65_536
"""The longest text that is kept, in characters."""

UNANSWERED = frozenset({"reaction", "system"})
"""The kinds that call for no answer."""

_KIND_LIMIT = 64
_ERROR_LIMIT = 500
_UNKNOWN = "unknown"
_DASH = " \N{EN DASH} "


def kind_of(message: Any) -> str:
    """WhatsApp's type of a message object; where it is missing, the content that is there."""
    kind = text_at(message, "type")[:_KIND_LIMIT]
    return kind or next((k for k in _READERS if at(message, k) is not None), _UNKNOWN)


def text_of(message: Any, kind: str) -> str:
    """The words of a message object of this kind, never empty, at most 65,536 characters."""
    if kind in _READERS:
        return _READERS[kind](at(message, kind))[:TEXT_LIMIT]
    return "[unknown message]" if kind == _UNKNOWN else f"[unknown type: {kind}]"


def error_of(item: Any) -> str | None:
    """What the first of an item's `errors` says, such as `131047: Re-engagement message`."""
    error = first_at(item, "errors")
    details = text_at(at(error, "error_data"), "details")
    words = text_at(error, "title") or text_at(error, "message")
    return _joined(": ", text_at(error, "code"), words, details)[:_ERROR_LIMIT] or None


def _text(content: Any) -> str:
    return text_at(content, "body") or "[empty message]"


def _button(content: Any) -> str:
    return text_at(content, "text") or text_at(content, "payload") or "[button]"


def _interactive(content: Any) -> str:
    button = at(content, "button_reply")
    choice = at(content, "list_reply")
    return (
        _joined(_DASH, text_at(button, "title"))
        or _joined(_DASH, text_at(choice, "title"), text_at(choice, "description"))
        or _form(at(content, "nfm_reply"))
        or _labelled("interactive", text_at(content, "type"))
    )


def _form(reply: Any) -> str:
    """A filled-in form. For WhatsApp's own forms (Flows) the body is always the word "Sent"."""
    body = text_at(reply, "body")
    return body if body not in {"", "Sent"} else _answers(text_at(reply, "response_json")) or body


def _answers(response_json: str) -> str:
    try:
        answers = parse_json(response_json.encode())
    except (ValueError, RecursionError):
        return ""
    names = answers.keys() - {"flow_token"} if isinstance(answers, dict) else set()
    pairs = ((name, text_at(answers, name)) for name in sorted(names))
    return ", ".join(f"{name}: {answer}" for name, answer in pairs if answer)


def _captioned(label: str) -> Callable[[Any], str]:
    return lambda content: _labelled(label, text_at(content, "caption"))


def _audio(content: Any) -> str:
    return "[voice message]" if at(content, "voice") is True else "[audio]"


def _document(content: Any) -> str:
    return _labelled(
        "document", _joined(_DASH, text_at(content, "filename"), text_at(content, "caption"))
    )


def _location(content: Any) -> str:
    keys = ("name", "address", "latitude", "longitude")
    return _labelled("location", _joined(", ", *(text_at(content, key) for key in keys)))


def _contacts(content: Any) -> str:
    cards = content if isinstance(content, list) else []
    return _labelled("contacts", _joined(", ", *map(_card_name, cards)))


def _card_name(card: Any) -> str:
    name = at(card, "name")
    given = _joined(" ", text_at(name, "first_name"), text_at(name, "last_name"))
    return text_at(name, "formatted_name") or given


def _reaction(content: Any) -> str:
    emoji = text_at(content, "emoji")
    return f"[reaction] {emoji}" if emoji else "[reaction removed]"


def _order(content: Any) -> str:
    count = len(list_at(content, "product_items"))
    items = f"{count} item" if count == 1 else f"{count} items"
    return _labelled("order", _joined(", ", items, text_at(content, "text")))


def _system(content: Any) -> str:
    return _labelled("system", text_at(content, "body") or text_at(content, "type"))


def _unsupported(content: Any) -> str:
    return _labelled("unsupported message", text_at(content, "type"))


def _labelled(label: str, words: str) -> str:
    return f"[{label}] {words}" if words else f"[{label}]"


def _joined(separator: str, *parts: str) -> str:
    return separator.join(part for part in parts if part)


_READERS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "button": _button,
    "interactive": _interactive,
    "image": _captioned("image"),
    "video": _captioned("video"),
    "document": _document,
    "audio": _audio,
    "sticker": _captioned("sticker"),
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "order": _order,
    "system": _system,
    "unsupported": _unsupported,
}
