"""Which recording comes nearest to a request that none answers, and where the two part."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from snakemake_executor_plugin_llmagent.llm.exchange import trimmed
from snakemake_executor_plugin_llmagent.protocols import Message

_BEFORE = 30
_SHOWN = 120


def nearest(role: str, messages: Sequence[Message], candidates: Iterable[tuple[str, Sequence[Message]]]) -> int:
    """The index of the nearest candidate, which is a role and its messages.

    One of the same role is nearer than any other. Then shared lines and words count: that takes time in proportion to
    the lengths, where a true difference would take the product.
    """
    lines, words = _lines(messages), _words(messages)

    def closeness(candidate: tuple[str, Sequence[Message]]) -> tuple[bool, float]:
        likeness = _likeness(lines, _lines(candidate[1])) + _likeness(words, _words(candidate[1]))
        return candidate[0] == role, likeness

    scores = [closeness(candidate) for candidate in candidates]
    return scores.index(max(scores))


def first_difference(recorded: Sequence[Message], asked: Sequence[Message]) -> str:
    """Say where two conversations part, with both lines."""
    for number, (old, new) in enumerate(itertools.zip_longest(recorded, asked), start=1):
        if old is None:
            return f"message {number} ({new.role}), which is not recorded: {_beginning(new)}"
        if new is None:
            return f"message {number} ({old.role}), which is recorded and was not asked: {_beginning(old)}"
        if old.role != new.role:
            return f"message {number}, recorded as {old.role}'s and asked as {new.role}'s"
        if trimmed(old.content) != trimmed(new.content):
            return f"message {number} ({new.role}), {_first_line(trimmed(old.content), trimmed(new.content))}"
    return "nothing but the role"


def _first_line(recorded: str, asked: str) -> str:
    pairs = itertools.zip_longest(recorded.split("\n"), asked.split("\n"))
    number, (old, new) = next((n, pair) for n, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    letters = enumerate(itertools.zip_longest(old or "", new or ""))
    column = next((n for n, (left, right) in letters if left != right), 0)
    return f"line {number}:\n  recorded: {_shown(old, column)}\n  asked:    {_shown(new, column)}"


def _beginning(message: Message) -> str:
    return _shown(message.content.partition("\n")[0], 0)


def _shown(line: str | None, column: int) -> str:
    """A line, or the part of a long one around a column."""
    if line is None:
        return "(the message has ended)"
    start = max(column - _BEFORE, 0) if len(line) > _SHOWN else 0
    part = line[start : start + _SHOWN]
    return f"{'… ' if start else ''}{part!r}{' …' if start + _SHOWN < len(line) else ''}"


def _likeness(left: Counter[str], right: Counter[str]) -> float:
    """The shared part of two bags, from 0 to 1."""
    return 2 * (left & right).total() / max(left.total() + right.total(), 1)


def _lines(messages: Sequence[Message]) -> Counter[str]:
    return Counter(line.rstrip() for message in messages for line in message.content.split("\n"))


def _words(messages: Sequence[Message]) -> Counter[str]:
    return Counter(word for message in messages for word in message.content.split())
