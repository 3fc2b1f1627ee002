"""Who wrote a message: the identities that WhatsApp gives, kept to the letter.

Since 2026 a customer has a phone number, a business-scoped id, or both (Meta, "Business-scoped
user IDs"). Everything that one message says about a person is put together here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from frostdesk.events import Sender
from frostdesk.whatsapp.body import at, identity_at, list_at, name_at

_OLD = ("wa_id", "customer", "previous_user_id")


def sender_of(message: Any, value: Any) -> Sender | None:
    """Who sent `message`, one of the messages of a change's `value`; None if nobody is named."""
    phone, user = identity_at(message, "from"), identity_at(message, "from_user_id")
    contact = _contact_of(phone, user, list_at(value, "contacts"))
    profile = at(contact, "profile")
    sender = Sender(
        phone_number_id=business_number(value),
        wa_id=phone or identity_at(contact, "wa_id"),
        user_id=user or identity_at(contact, "user_id"),
        name=name_at(profile, "name"),
        username=name_at(profile, "username") or name_at(contact, "username"),
    )
    system = at(message, "system")
    if isinstance(system, dict):
        sender = _moved(sender, system)
    return sender if sender.identities else None


def business_number(value: Any) -> str:
    """The id of the business number that a change is about; empty where it does not say."""
    return identity_at(at(value, "metadata"), "phone_number_id") or ""


def _contact_of(phone: str | None, user: str | None, contacts: list[Any]) -> Any:
    """The contact that names the sender, or the only one if it contradicts nothing."""
    for contact in contacts:
        if _same(phone, identity_at(contact, "wa_id")) or _same(
            user, identity_at(contact, "user_id")
        ):
            return contact
    if len(contacts) != 1 or _contradicts(contacts[0], phone, user):
        return None
    return contacts[0]


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and one == other


def _contradicts(contact: Any, phone: str | None, user: str | None) -> bool:
    wa_id, user_id = identity_at(contact, "wa_id"), identity_at(contact, "user_id")
    return bool((phone and wa_id and phone != wa_id) or (user and user_id and user != user_id))


def _moved(sender: Sender, system: dict[str, Any]) -> Sender:
    """The sender after a system message about a new number or a new business-scoped id.

    `wa_id` (`new_wa_id` before version 12) and `user_id` are the new ones, `previous_user_id` and
    `customer` old ones (Meta, "System messages webhook reference"). A new number always brings a
    new business-scoped id, so an old identity is one to know the customer by, not to write to.
    """
    phone = identity_at(system, "new_wa_id") or identity_at(system, "wa_id")
    user = identity_at(system, "user_id")
    old = (*sender.identities, *(identity_at(system, k) for k in _OLD))
    if not phone and not user:
        phone, user = sender.wa_id, sender.user_id
    also = tuple(dict.fromkeys(i for i in old if i and i not in {phone, user}))
    return msgspec.structs.replace(sender, wa_id=phone, user_id=user, also=also)
