"""What models used: tokens, and money as far as it was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from snakemake_executor_plugin_llmagent.lock import Lock
from snakemake_executor_plugin_llmagent.report.sessions import Call, Story, usd_of


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What some calls used.

    Attributes:
        calls: how many.
        tokens: kind → number.
        usd: what those cost whose price was recorded [US dollars].
        priced: how many those are.
    """

    calls: int = 0
    tokens: Mapping[str, int] = field(default_factory=dict)
    usd: float = 0.0
    priced: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls, tokens=Counter(self.tokens) + Counter(other.tokens),
            usd=self.usd + other.usd, priced=self.priced + other.priced,
        )  # fmt: skip

    @property
    def input(self) -> int:
        """Tokens that were read."""
        return self.tokens.get("input_tokens", 0)

    @property
    def output(self) -> int:
        """Tokens that were written."""
        return self.tokens.get("output_tokens", 0)


def of_calls(calls: Iterable[Call]) -> Usage:
    """What calls used; answers of earlier sessions count there."""
    each = (
        Usage(calls=1, tokens=call.tokens, usd=call.usd or 0.0, priced=int(call.usd is not None))
        for call in calls
        if not call.reused
    )
    return reduce(Usage.__add__, each, Usage())


def of_lock(lock: Lock) -> Usage:
    """What the session of a lock used."""
    usd = usd_of(vars(lock))  # locks of versions that know prices have the entry `cost`
    calls = lock.usage.get("calls", 0)
    tokens = {name: number for name, number in lock.usage.items() if name != "calls"}
    return Usage(calls=calls, tokens=tokens, usd=usd or 0.0, priced=calls if usd is not None else 0)


def of_rule(stories: Iterable[Story], lock: Lock | None) -> Usage:
    """What all sessions of a rule used; that of the lock counts by the lock if it is not kept here."""
    stories = tuple(stories)
    used = reduce(Usage.__add__, (of_calls(story.calls) for story in stories), Usage())
    if lock is None or any(lock.session.get("digest") in story.digests for story in stories):
        return used
    return used + of_lock(lock)
