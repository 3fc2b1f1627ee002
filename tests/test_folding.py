"""Letters made alike."""

from __future__ import annotations

from frostdesk.folding import fold


def test_folds() -> None:
    """Case, accents and full-width digits make no difference."""
    assert fold("À \uff11\uff10 Uhr, für DREISSIG") == "a 10 uhr, fur dreissig"
