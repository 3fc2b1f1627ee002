"""The API as a program."""

from __future__ import annotations

import subprocess
import sys


def test_it_holds_nothing_that_only_workers_need() -> None:
    """It makes no words, so it does not pay for the model's client and for names of days."""
    heavy = {"openai", "babel"}
    code = f"import sys, frostdesk.api.app; sys.exit(bool({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
