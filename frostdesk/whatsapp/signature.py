"""The signature of a webhook: HMAC-SHA256 of the raw body under the app's secret.

Source: Meta, "Webhooks: validating payloads" (header `X-Hub-Signature-256: sha256=<hex>`).
"""

from __future__ import annotations

import hmac

from frostdesk.errors import UnauthorizedError


def sign(body: bytes, secret: bytes) -> str:
    """The header's value for `body`: `sha256=` and 64 lowercase hexadecimal digits."""
    return f"sha256={hmac.digest(secret, body, 'sha256').hex()}"


def verify_signature(body: bytes, header: str | None, secret: bytes) -> None:
    """Accept the body if `header` is its signature, in a time that does not depend on either.

    Raises:
        UnauthorizedError: the header is missing or is not this body's signature.
    """
    if not header:
        raise UnauthorizedError(
            "The header X-Hub-Signature-256 is missing: sign the body with the app's secret."
        )
    # compare_digest refuses text beyond ASCII; what is no ASCII cannot be a signature either.
    claimed = header.lower().encode("ascii", "replace")
    if not hmac.compare_digest(claimed, sign(body, secret).encode()):
        raise UnauthorizedError(
            "The header X-Hub-Signature-256 does not sign this body: check that "
            "FROSTDESK_WHATSAPP_APP_SECRET is the secret of the app that sends the webhook, "
            "and that nothing between changes the body."
        )
