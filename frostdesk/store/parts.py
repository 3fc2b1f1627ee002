"""Which parts of a reply WhatsApp has, as the log tells it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

# Of the message `m`. What failed counts as failed from when the instructor has asked for it anew:
# until then nothing more is tried, and the parts after it are still those that go out.
SENT_PARTS = """
SELECT coalesce(json_agg(json_build_object(
           'number', number, 'whatsapp_id', whatsapp_id,
           'given_up', EXISTS (
               SELECT FROM events f
                WHERE f.conversation_id = m.conversation_id AND f.type = 'DeliveryUpdated'
                  AND f.data ->> 'status' = 'failed' AND f.data ->> 'whatsapp_id' = part.whatsapp_id
                  AND f.version < (SELECT max(version) FROM events
                                    WHERE conversation_id = m.conversation_id
                                      AND type = 'RetryRequested'
                                      AND data ->> 'reply_id' = m.id::text)))
           ORDER BY version), '[]')
  FROM (SELECT version, given.*
          FROM events
         CROSS JOIN LATERAL (
             SELECT (data ->> 'part')::int, data ->> 'whatsapp_id' WHERE type = 'ReplyPartSent'
             UNION ALL
             SELECT place, id
               FROM jsonb_array_elements_text(data -> 'whatsapp_ids')
                    WITH ORDINALITY AS e (id, place)
         ) AS given (number, whatsapp_id)
         WHERE conversation_id = m.conversation_id AND type IN ('ReplyPartSent', 'ReplySent')
           AND data ->> 'reply_id' = m.id::text) AS part
"""


class SentPart(msgspec.Struct, frozen=True):
    """A part of a reply, counted from 1, that WhatsApp took by an id.

    `given_up` if it could not be delivered, and has been asked for anew since.
    """

    number: int
    whatsapp_id: str
    given_up: bool = False


def taken(sent: Iterable[SentPart]) -> dict[int, str]:
    """The parts that need not be sent, by their numbers, each with WhatsApp's last id of it."""
    return {part.number: part.whatsapp_id for part in sent if not part.given_up}
