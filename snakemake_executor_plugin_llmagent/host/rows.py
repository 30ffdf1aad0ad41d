"""What stands at the bottom of a terminal about a rule that is being authored, in as many columns as there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from snakemake_executor_plugin_llmagent.progress import Phase, Step, StepKind
from snakemake_executor_plugin_llmagent.protocols import Usage
from snakemake_executor_plugin_llmagent.text import columns, cut_columns, one_line

CHARACTERS_PER_TOKEN = 4
"""While a reply comes, nobody says how many tokens it has; of English and Python about this many make one."""
BEGINS = "looks at its inputs"
GAP = "  "


@dataclass
class Row:
    """What is known of one authoring.

    Attributes:
        rule: the name of the rule.
        started: when it began, by a clock that never jumps [s].
        spent: what it has cost so far and what it may cost, in words; empty if nobody knows.
        attempt, attempts: which attempt of how many; 0 before the first one.
        phase, model, detail: what is being done, by which model, and which check or on what.
        come: how much has come of the reply that is being written [characters].
        usage: of the replies that are there.
    """

    rule: str
    started: float
    spent: Callable[[], str]
    attempt: int = 0
    attempts: int = 0
    phase: Phase | None = None
    model: str = ""
    detail: str = ""
    come: int = 0
    usage: Usage = field(default_factory=Usage)

    def goes_on(self, step: Step) -> None:
        """Take note of a step."""
        self.attempt = step.attempt or self.attempt
        self.attempts = step.attempts or self.attempts
        if step.kind is StepKind.PHASE:
            self.phase, self.model, self.detail, self.come = step.phase, step.model, step.detail, 0

    def answered(self, usage: Usage) -> None:
        """Add what a reply has used."""
        sums = {name: value + getattr(self.usage, name) for name, value in vars(usage).items()}
        self.usage, self.come = Usage(**sums), 0


def in_columns(row: Row, now: float, width: int) -> str:
    """A row in at most so many columns: what matters least is left out first, and the time never."""
    name, doing = one_line(row.rule, 200), _doing(row)
    attempt = f"attempt {row.attempt} of {row.attempts}" if row.attempts else ""
    short = f"{row.attempt}/{row.attempts}" if row.attempts else ""
    model = f"{one_line(row.model, 60)} " if row.model else ""
    coming = f"~{_thousands(row.come // CHARACTERS_PER_TOKEN)} tokens" if row.come else ""
    used = row.usage.input_tokens + row.usage.output_tokens
    total = f"{_thousands(used)} tokens so far" if used else ""
    spent, time = one_line(row.spent(), 60), in_minutes(now - row.started)
    forms = (
        (name, attempt, model + doing, coming, total, spent, time),
        (name, attempt, model + doing, coming, spent, time),
        (name, attempt, doing, coming, spent, time),
        (name, short, doing, coming, spent, time),
        (name, short, doing, coming, time),
        (name, short, doing, time),
    )
    for form in forms:
        text = _joined(form)
        if columns(text) <= width:
            return text
    rest = _joined(("", *forms[-1][1:]))
    kept = width - columns(rest) - len(GAP)
    return f"{cut_columns(name, kept)}{GAP}{rest}" if kept >= 4 else cut_columns(_joined(forms[-1]), width)


def _joined(parts: Sequence[str]) -> str:
    return GAP.join(part for part in parts if part)


def _doing(row: Row) -> str:
    if row.phase is None:
        return BEGINS
    return f"{row.phase}: {one_line(row.detail, 40)}" if row.detail else str(row.phase)


def in_minutes(seconds: float) -> str:
    """A time in words: `0:07`, `12:40`, `1:02:03`."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _thousands(number: int) -> str:
    return f"{number:,}"
