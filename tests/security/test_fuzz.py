"""No input breaks a parser: seconds of what `tests.security.fuzz` does for minutes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostdesk.whatsapp.webhook import parse_webhook
from tests.security.targets import NOW, TARGETS, Target

EXAMPLES = 300
EDITS_MOST = 6


@st.composite
def mutated(draw: st.DrawFn, target: Target, words: list[bytes]) -> bytes:
    """A real sample with parts of it gone, repeated, or replaced by words of other samples."""
    data = draw(st.sampled_from(target.samples))
    for _ in range(draw(st.integers(1, EDITS_MOST))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 16)))
        new = draw(
            st.sampled_from(words)
            | st.binary(max_size=4)
            | st.integers(0, 9).map((data[start:end] or b"0").__mul__)
        )
        data = data[:start] + new + data[end:]
    return data[: target.longest]


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_it(name: str) -> None:
    """What is nearly right, and what is nothing of the kind, is read or refused."""
    target = TARGETS[name]
    words = sorted({w for s in target.samples for w in re.findall(rb"\w+|\W", s)})

    @settings(max_examples=EXAMPLES, database=None)
    @given(mutated(target, words) | st.binary(max_size=200))
    def feed(data: bytes) -> None:
        target.run(data)

    feed()


def test_the_samples_are_webhooks() -> None:
    """Mutation begins at what is understood: each sample, but the empty one, says something."""
    for sample in TARGETS["webhook"].samples[:-1]:
        said = parse_webhook(sample, received_at=NOW)
        assert said.facts or said.statuses
