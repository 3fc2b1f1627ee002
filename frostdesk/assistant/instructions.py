"""What the instructor tells the assistant: rules for the model, and the sentence about the AI.

Both are files that may be edited while the service runs; defaults are shipped beside this module.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from frostdesk.errors import ConfigurationError

RULES_FILE = Path(__file__).with_name("rules.md")
DISCLOSURE_FILE = Path(__file__).with_name("disclosure.toml")

LONGEST_RULES = 40_000
"""Characters. Every call of the model pays for all of them."""

LONGEST_DISCLOSURE = 1_000
"""Characters: it shares one WhatsApp message with the first reply."""

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

_log = structlog.get_logger(__name__)


class Instructions(msgspec.Struct, frozen=True):
    """The instructor's rules (Markdown), and a sentence per language (ISO 639-1) about the AI."""

    rules: str
    disclosure: Mapping[str, str]

    def disclosure_in(self, language: str) -> str:
        """The sentence in this language, or in English where there is none."""
        return self.disclosure.get(language) or self.disclosure["en"]


def load_instructions(rules_file: Path | None, disclosure_file: Path | None) -> Instructions:
    """The instructions in these files; None is the file that is shipped.

    HTML comments in the rules are notes among people and left out.
    A language that the instructor's file leaves out keeps the shipped sentence.

    Raises:
        ConfigurationError: a file is missing, unreadable, empty, too long or not what it should
            be; the text names it and says what is wrong.
    """
    rules = _read_rules(rules_file or RULES_FILE)
    shipped = _read_disclosure(DISCLOSURE_FILE)
    own = _read_disclosure(disclosure_file) if disclosure_file else {}
    return Instructions(rules=rules, disclosure=shipped | own)


class InstructionFiles:
    """The instructions as the files say now, read again whenever a file has changed.

    Once they could be read, a slip in editing silences nobody: the last good ones stay in force,
    and the log says what is wrong.
    """

    def __init__(self, rules_file: Path | None, disclosure_file: Path | None) -> None:
        """Raises ConfigurationError as `load_instructions` does."""
        self._files = (rules_file, disclosure_file)
        self._stamps = self._look()
        self._current = load_instructions(*self._files)

    def current(self) -> Instructions:
        """The instructions in force: one `stat` a file, and no more while nothing has changed."""
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps = stamps
            self._reload()
        return self._current

    def _reload(self) -> None:
        try:
            self._current = load_instructions(*self._files)
        except ConfigurationError as error:
            _log.error("instructions_unusable", reason=str(error), in_force="the last good ones")
        else:
            _log.info("instructions_read_again")

    def _look(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(file) for file in self._files if file)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _read_rules(file: Path) -> str:
    text = _COMMENT.sub("", _read(file)).strip()
    if not text:
        raise ConfigurationError(f"The rules file {file} is empty. Write the rules into it.")
    if len(text) > LONGEST_RULES:
        raise ConfigurationError(
            f"The rules file {file} has {len(text)} characters, and {LONGEST_RULES} are the most"
            " that every call of the model should carry. Shorten it."
        )
    return text


def _read_disclosure(file: Path) -> dict[str, str]:
    try:
        found = tomllib.loads(_read(file))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The disclosure file {file} is no TOML: {error}.") from None
    for language, sentence in found.items():
        _check_sentence(file, language, sentence)
    return {language: sentence.strip() for language, sentence in found.items()}


def _check_sentence(file: Path, language: str, sentence: Any) -> None:
    if len(language) != 2 or not (language.isascii() and language.islower()):  # noqa: PLR2004 - letters of an ISO 639-1 code
        wrong = f"{language!r} is no language; write two small letters, such as en or de"
    elif not isinstance(sentence, str) or not sentence.strip():
        wrong = f"{language} is no sentence in quotes"
    elif len(sentence) > LONGEST_DISCLOSURE:
        wrong = f"{language} is longer than {LONGEST_DISCLOSURE} characters"
    else:
        return
    raise ConfigurationError(f"The disclosure file {file} is not usable: {wrong}.")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").replace("\0", "\ufffd")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is no UTF-8 text. Save it as UTF-8.") from None
