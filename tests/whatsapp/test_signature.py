"""Signatures of webhooks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.errors import UnauthorizedError
from frostdesk.whatsapp.signature import sign, verify_signature

SECRET = b"an invented secret"


def test_a_signature_is_the_hmac_of_the_body() -> None:
    """The signature is HMAC-SHA256 in hexadecimal (RFC 4231, test case 2)."""
    signed = sign(b"what do ya want for nothing?", b"Jefe")

    assert signed == "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@given(st.binary(), st.binary())
def test_signed_bodies_are_accepted(body: bytes, secret: bytes) -> None:
    """What `sign` signs is accepted, in upper case too."""
    verify_signature(body, sign(body, secret), secret)
    verify_signature(body, sign(body, secret).upper(), secret)


@pytest.mark.parametrize("header", [None, ""])
def test_a_missing_signature_is_refused(header: str | None) -> None:
    """Without a header the body is refused with 401."""
    with pytest.raises(UnauthorizedError, match="is missing") as refused:
        verify_signature(b"{}", header, SECRET)

    assert refused.value.status == 401


@pytest.mark.parametrize(
    "header",
    [
        "sha256=",
        "sha256=zz",
        "sha256=" + "0" * 64,
        sign(b"{}", SECRET).removeprefix("sha256="),
        sign(b"{}", SECRET).replace("sha256", "sha1"),
        sign(b"{ }", SECRET),
        sign(b"{}", b"another secret"),
        sign(b"{}", SECRET)[:-1],
        "sha256=é\udcff\U0001f600",
    ],
)
def test_a_wrong_signature_is_refused(header: str) -> None:
    """A header that is not this body's signature under this secret is refused, whatever it is."""
    with pytest.raises(UnauthorizedError, match="does not sign this body"):
        verify_signature(b"{}", header, SECRET)


@given(st.text(min_size=1))
def test_any_header_is_refused_in_words(header: str) -> None:
    """No header makes the check fail in another way."""
    with pytest.raises(UnauthorizedError) as refused:
        verify_signature(b"{}", header, SECRET)

    assert sign(b"{}", SECRET) not in str(refused.value)
