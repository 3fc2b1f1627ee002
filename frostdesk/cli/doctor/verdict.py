"""What one check says."""

from __future__ import annotations

from typing import Literal

import msgspec


class Verdict(msgspec.Struct, frozen=True):
    """What was looked at, how it is, what was seen, and what to do where it is not well."""

    check: str
    state: Literal["ok", "warning", "failed"]
    seen: str
    advice: str = ""
