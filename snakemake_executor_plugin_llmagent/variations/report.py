"""What variations came to, gathered for every way to show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from snakemake_executor_plugin_llmagent.variations.plan import Plan, written_as_it_is
from snakemake_executor_plugin_llmagent.variations.runs import Run
from snakemake_executor_plugin_llmagent.variations.spread import Quantity, quantities

MOST_SHOWN = 8
"""So many numbers are shown to people; files have all."""


@dataclass(frozen=True)
class Report:
    """A rule's variations.

    Attributes:
        rule: its name.
        wildcards: of the job.
        combined: whether all combinations were run.
        plan: what was to be run.
        nominal, others: what it came to.
    """

    rule: str
    wildcards: Mapping[str, str]
    combined: bool
    plan: Plan
    nominal: Run
    others: Sequence[Run]

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """All numbers, results first."""
        return quantities(self.nominal, self.others)

    @cached_property
    def shown(self) -> tuple[Quantity, ...]:
        """The numbers that people look at: results, and what else changes if no result does."""
        changing = [one for one in self.quantities if one.changes and one.nominal is not None]
        results = [one for one in self.quantities if one.rank == 0]
        if any(one.changes for one in results):
            return tuple(results[:MOST_SHOWN])
        return tuple((changing or results)[:MOST_SHOWN])

    @property
    def unchanged(self) -> int:
        """How many numbers are the same in every run."""
        return sum(not one.changes for one in self.quantities)

    @property
    def failed(self) -> tuple[Run, ...]:
        """Runs without numbers."""
        return tuple(run for run in self.others if run.problem)

    def idle(self) -> tuple[str, ...]:
        """Decisions of which no alternative changes any number."""
        names = []
        for choice in self.plan.choices:
            name = choice.constant.name
            its = [i for i, run in enumerate(self.others) if set(run.variation.changes) == {name} and not run.problem]
            moved = any(one.values[i] != one.nominal for one in self.quantities for i in its)
            if its and not moved:
                names.append(name)
        return tuple(names)

    def title(self) -> str:
        """What was done, in one line."""
        job = ", ".join(f"{name}={value}" for name, value in self.wildcards.items())
        runs, decisions = len(self.others), len(self.plan.choices)
        what = "combination" if self.combined else "alternative"
        return (
            f"{self.rule}: {runs} {what}{'s' * (runs != 1)} of {decisions} decision{'s' * (decisions != 1)}"
            f"{'' if self.combined else ', one at a time'}{f' ({job})' if job else ''}"
        )

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "rule": self.rule,
            "wildcards": dict(self.wildcards),
            "combined": self.combined,
            "decisions": [
                {
                    "name": choice.constant.name, "value": written_as_it_is(choice.constant), "unit": choice.unit,
                    "alternatives": [*choice.alternatives, *(value for value, _ in choice.problems)],
                }
                for choice in self.plan.choices
            ],
            "not_varied": dict(self.plan.left),
            "runs": [
                {
                    "label": run.variation.label, "changes": dict(run.variation.changes), "problem": run.problem,
                    "unread": dict(run.unread), "seconds": run.seconds,
                }
                for run in (self.nominal, *self.others)
            ],
            "numbers": [
                {
                    "name": one.name, "result": one.rank == 0, "nominal": one.nominal, "error": one.error,
                    "values": list(one.values), "differences": [one.difference(value) for value in one.values],
                    "spread": one.spread, "standard_deviation": one.deviation,
                }
                for one in self.quantities
            ],
        }  # fmt: skip
