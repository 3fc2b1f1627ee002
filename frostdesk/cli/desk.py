"""The instructor's desk in a terminal."""

from __future__ import annotations

COMMANDS = ()
