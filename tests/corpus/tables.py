"""What became of the corpus, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.corpus.judge import Court, Verdict
from tests.corpus.problems import Mutant, first_of_their_kind, load, mutants, unusual

RIGHT, UNUSUAL, MUTANT = "right", "unusual", "mutant"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One script and what became of it.

    Attributes:
        task, script: which.
        role: `right`, `unusual` or `mutant`.
        kind: of the error.
        rejected: whether it is sent back before a review.
        caught_by: names of the findings.
        text: the first finding in its words.
        reason: why it is known to escape.
        seconds: how long it took [s].
    """

    task: str
    script: str
    role: str
    kind: str = ""
    rejected: bool
    caught_by: str
    text: str = ""
    reason: str = ""
    seconds: float = 0.0

    @property
    def wrong(self) -> bool:
        """Whether it was judged wrongly."""
        return self.rejected != (self.role == MUTANT)

    @property
    def plain(self) -> dict[str, Any]:
        """In values that JSON can hold."""
        return asdict(self)


def right_rows(court: Court, task: str) -> list[Row]:
    """The right scripts of a task, judged."""
    problem = load(task)
    rows = [_row(task, "right", RIGHT, court.judge(problem, problem.right))]
    return rows + [_row(task, one.file, UNUSUAL, court.judge(one.problem, one.script)) for one in unusual(task)]


def mutant_rows(court: Court, task: str, *, few: bool = False) -> list[Row]:
    """The wrong scripts of a task, judged; `few`: those of a kind that no task before has."""
    problem = load(task)
    return [
        _row(task, mutant.name, MUTANT, court.judge(problem, mutant.script(problem.right)), mutant)
        for mutant in (first_of_their_kind(task) if few else mutants(task))
    ]


def _row(task: str, script: str, role: str, verdict: Verdict, mutant: Mutant | None = None) -> Row:
    shown = (*verdict.errors, *verdict.findings)[:1]
    return Row(
        task=task, script=script, role=role, kind="" if mutant is None else mutant.kind, rejected=verdict.rejected,
        caught_by=verdict.caught_by, text=shown[0].message if shown else "",
        reason="" if mutant is None else mutant.escapes, seconds=round(verdict.seconds, 2),
    )  # fmt: skip


def markdown(rows: Iterable[Row]) -> str:
    """The whole report."""
    rows = list(rows)
    wrong, right = [row for row in rows if row.role == MUTANT], [row for row in rows if row.role != MUTANT]
    caught = [row for row in wrong if row.rejected]
    parts = ["# Wrong-but-running scripts before any review", ""]
    if wrong:
        parts.append(f"{len(caught)} of {len(wrong)} wrong scripts rejected ({len(caught) / len(wrong):.1%}).")
    if right:
        parts.append(f"{sum(not row.rejected for row in right)} of {len(right)} right scripts passed.")
    parts += ["", *_kinds(wrong)] if wrong else []
    escaped = [row for row in wrong if not row.rejected]
    if escaped:
        lines = [
            [row.task, row.script, row.kind, row.caught_by, row.reason or "not known to escape"] for row in escaped
        ]
        parts += ["", "## Escaped", "", *_table(("task", "script", "error", "caught by", "what would catch it"), lines)]
    stopped = [row for row in right if row.rejected]
    if stopped:
        lines = [[row.task, row.script, row.caught_by, row.text] for row in stopped]
        parts += ["", "## Right scripts that are stopped", "", *_table(("task", "script", "by", "in words"), lines)]
    warned = [row for row in right if not row.rejected and row.caught_by != "nothing"]
    if warned:
        lines = [[row.task, row.script, row.caught_by, row.text] for row in warned]
        parts += ["", "## Right scripts with warnings", "", *_table(("task", "script", "by", "in words"), lines)]
    if wrong:
        lines = [[row.task, row.script, row.kind, row.caught_by, f"{row.seconds:.1f}"] for row in wrong]
        parts += ["", "## All", "", *_table(("task", "script", "error", "caught by", "s"), lines)]
    return "\n".join(parts) + "\n"


def _kinds(rows: Sequence[Row]) -> list[str]:
    """Error kind x caught by."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        by = row.caught_by if row.rejected else "**escaped**"
        counts.setdefault(row.kind, Counter())[by] += 1
    lines = [
        [kind, f"{sum(n for by, n in found.items() if by != '**escaped**')}/{sum(found.values())}", _listed(found)]
        for kind, found in sorted(counts.items())
    ]
    return ["## Error x caught by", "", *_table(("error", "caught", "by"), lines)]


def _listed(found: Counter[str]) -> str:
    return "; ".join(f"{by} ({n})" if n > 1 else by for by, n in found.most_common())


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    def row(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [row(head), "|" + "---|" * len(head), *map(row, lines)]
