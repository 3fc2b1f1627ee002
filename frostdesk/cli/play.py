"""Commands for trying it out: everything on one machine."""

from __future__ import annotations

COMMANDS = ()
