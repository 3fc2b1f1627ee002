"""The instructor's files: what is shipped, what is wrong with a file, and when it is read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frostdesk.assistant.instructions import (
    LONGEST_RULES,
    InstructionFiles,
    load_instructions,
)
from frostdesk.dates import LANGUAGES
from frostdesk.errors import ConfigurationError


def put(file: Path, text: str) -> Path:
    """Write a file with a time of its own: two writes may fall into one tick of the clock."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(before + 1_000_000, before + 1_000_000))
    return file


def test_something_is_shipped() -> None:
    """Without files of the instructor's, there are rules with lengths, safety and no prices."""
    rules = load_instructions(None, None).rules

    for word in ("60 to 480 minutes", "112", "144", "ski patrol", "Name no price"):
        assert word in rules


def test_comments_are_for_people() -> None:
    """Comments in the rules do not reach the model."""
    assert "<!--" not in load_instructions(None, None).rules
    assert "FROSTDESK_RULES_FILE" not in load_instructions(None, None).rules


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_tells_of_the_ai(language: str) -> None:
    """Every language that is shipped has a sentence of its own that names the AI."""
    sentences = load_instructions(None, None).disclosure

    name = {"de": "KI-", "en": "AI ", "nl": "AI-"}.get(language, "IA ")
    assert name in sentences[language]


def test_another_language_is_told_in_english() -> None:
    """A language without a sentence gets the English one."""
    instructions = load_instructions(None, None)

    assert instructions.disclosure_in("ja") == instructions.disclosure["en"]


def test_own_files_count(tmp_path: Path) -> None:
    """The instructor's own words replace the shipped ones, language by language."""
    rules = put(tmp_path / "rules.md", "\ufeffOnly on Sundays.\n")
    disclosure = put(tmp_path / "disclosure.toml", 'de = " Hier schreibt eine KI. "\npl = "AI!"')

    instructions = load_instructions(rules, disclosure)

    assert instructions.rules == "Only on Sundays."
    assert instructions.disclosure_in("de") == "Hier schreibt eine KI."
    assert instructions.disclosure_in("pl") == "AI!"
    assert instructions.disclosure_in("en") == load_instructions(None, None).disclosure["en"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (" \n", "empty"),
        ("<!-- later -->", "empty"),
        ("x" * (LONGEST_RULES + 1), "characters"),
        (b"\xff\xfeR\x00", "UTF-8"),
    ],
)
def test_unusable_rules_are_named(tmp_path: Path, text: str | bytes, wrong: str) -> None:
    """A file of rules that cannot serve is named, with what is wrong."""
    file = tmp_path / "rules.md"
    file.write_bytes(text.encode() if isinstance(text, str) else text)

    with pytest.raises(ConfigurationError, match=wrong) as caught:
        load_instructions(file, None)

    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("en = ", "TOML"),
        ("en = 3", "no sentence"),
        ('en = " "', "no sentence"),
        ('german = "Hallo"', "no language"),
        ('EN = "Hello"', "no language"),
        (f'en = "{"x" * 1001}"', "longer than"),
    ],
)
def test_an_unusable_disclosure_is_named(tmp_path: Path, text: str, wrong: str) -> None:
    """A disclosure that cannot serve is named, with what is wrong."""
    file = put(tmp_path / "disclosure.toml", text)

    with pytest.raises(ConfigurationError, match=wrong) as caught:
        load_instructions(None, file)

    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(ConfigurationError, match=r"none\.md cannot be read: No such file"):
        load_instructions(tmp_path / "none.md", None)


def test_a_change_counts_at_once(tmp_path: Path) -> None:
    """A file that is edited is read again; one that is not, is not."""
    rules = put(tmp_path / "rules.md", "Mornings.")
    files = InstructionFiles(rules, None)
    before = files.current()

    assert files.current() is before
    put(rules, "Evenings.")
    assert files.current().rules == "Evenings."


@pytest.mark.parametrize("slip", ["", None])
def test_a_slip_silences_nobody(tmp_path: Path, slip: str | None) -> None:
    """While an edited file is unusable or gone, the last good words stay in force."""
    rules = put(tmp_path / "rules.md", "Mornings.")
    files = InstructionFiles(rules, None)

    if slip is None:
        rules.unlink()
    else:
        put(rules, slip)
    assert files.current().rules == "Mornings."
    put(rules, "Afternoons.")
    assert files.current().rules == "Afternoons."


def test_a_first_reading_must_succeed(tmp_path: Path) -> None:
    """A service does not start on files that it cannot use."""
    with pytest.raises(ConfigurationError):
        InstructionFiles(tmp_path / "none.md", None)
