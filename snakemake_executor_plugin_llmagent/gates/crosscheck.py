"""The gate of a second script: another model writes it, without seeing the first, and their numbers have to agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from snakemake_executor_plugin_llmagent.authoring import Workshop, try_out
from snakemake_executor_plugin_llmagent.errors import ModelUnavailable
from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.gates.agreement import MOST_LISTED, Agreement, compare, in_words
from snakemake_executor_plugin_llmagent.gates.arbiter import arbitrate
from snakemake_executor_plugin_llmagent.gates.numbers import numbers_of
from snakemake_executor_plugin_llmagent.progress import Phase, Step
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity, Task, Trial
from snakemake_executor_plugin_llmagent.roles import Attempt, Coder
from snakemake_executor_plugin_llmagent.spec import Spec, digest_text
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trials import Evidence, Gate

NAME = "crosscheck"
ROLE = "crosscheck"
"""As whom the second model is asked, in sessions and recordings."""
TRIES = 2
DIFFERS, UNDONE, ONLY_ONE = f"{NAME}.differs", f"{NAME}.undone", f"{NAME}.only_one"


def crosschecked(shop: Workshop, bench: Bench, coder: Coder, tolerance: float | None) -> Workshop:
    """A workshop with a gate more, the last one: what it lets pass agrees with a script that a coder writes blind."""
    check = CrossCheck(bench, shop, coder, tolerance)
    return replace(shop, gates=(*shop.gates, check.gate()), last_word=check.last_word, second=coder)


@dataclass(frozen=True, kw_only=True)
class Second:
    """The second script.

    Attributes:
        source: its text; empty if there is none.
        numbers: what it came to.
        problem: why there is none, or why it has no numbers.
    """

    source: str = ""
    numbers: Mapping[str, float]
    problem: str = ""


class CrossCheck:
    """One cross-check, for the attempts of one authoring: the second script is written once."""

    def __init__(self, bench: Bench, shop: Workshop, coder: Coder, tolerance: float | None) -> None:
        """Prepare; nobody is asked yet.

        Args:
            bench: measures outputs.
            shop: in which the first script is written, with all gates that come before this one.
            coder: writes the second script.
            tolerance: see `agreement.compare`.
        """
        self._bench = bench
        # The second script passes what the first has to pass before its gates; a gate may keep what it knows of one.
        self._shop = replace(shop, coder=coder, gates=(), first=lambda _: None)
        self._coder = coder
        self._tolerance = tolerance
        self._second: Second | None = None
        self._last: Agreement | None = None

    def gate(self) -> Gate:
        """The gate."""
        return Gate(name=NAME, judge=self.judge)

    def judge(self, task: Task, trial: Trial) -> Evidence:
        """Compare a candidate's numbers with those of the second script."""
        if self._second is None:
            self._second = self._write(task, trial.spec)
        second, name = self._second, self._coder.model.name
        if second.problem:
            text = f"The cross-check was not done: {second.problem}"
            warning = Finding(check=UNDONE, message=text, severity=Severity.WARNING)
            return Evidence(findings=(warning,), results={"model": name, "done": False, "why": second.problem})
        assert trial.layout is not None
        numbers, _ = numbers_of(self._bench.worker, trial.job.outputs, trial.layout)
        found = self._last = compare(numbers, second.numbers, self._tolerance)
        self._shop.session.event(
            "crosscheck", compared=len(found.pairs), apart=len(found.apart), only_mine=list(found.mine),
            only_other=list(found.other), worst=[vars(pair) for pair in found.pairs[:MOST_LISTED]],
        )  # fmt: skip
        if not found.pairs:
            text = "The cross-check was not done: the outputs of the two scripts have no number of the same name."
            warning = Finding(check=UNDONE, message=text, severity=Severity.WARNING)
            results = {"model": name, "done": False, "why": "no numbers in common"}
            return Evidence(findings=(warning, *_only_one(found)), results=results)
        return Evidence(findings=(*_differs(found), *_only_one(found)), results=_results(name, found, second))

    def last_word(self, spec: Spec, task: Task, attempt: Attempt) -> str:
        """After the last attempt, if the two scripts still differ: which of them violates what, in a model's words."""
        differ = any(finding.check == DIFFERS for finding in attempt.findings)
        supervisor, first = self._shop.supervisor, attempt.draft.source
        if not differ or supervisor is None or first is None or self._second is None or self._last is None:
            return ""
        by = supervisor.model.name
        self._shop.tell(f"{by} compares the two scripts", Step(phase=Phase.CROSSCHECKS, model=by))
        brief, table = self._shop.context(spec, task), in_words(self._last.apart)
        try:
            said = arbitrate(supervisor.model, brief, first, self._second.source, table)
        except ModelUnavailable as error:
            said = f"(it could not be asked: {one_line(str(error))})"
        self._shop.session.event("arbitration", text=self._shop.session.keep(f"{NAME}/arbitration.md", said))
        return said

    def _write(self, task: Task, spec: Spec) -> Second:
        """Have the second script written and run, in a few tries."""
        shop, name = self._shop, self._coder.model.name
        brief = shop.context(spec, task)
        last: Attempt | None = None
        for number in range(1, TRIES + 1):
            said = f"cross-check: {name} writes a second script (try {number} of {TRIES})"
            shop.tell(said, Step(phase=Phase.CROSSCHECKS, model=name))
            try:
                draft = self._coder.write(brief, last)
            except ModelUnavailable as error:
                return self._noted(Second(numbers={}, problem=f"{name}: {one_line(str(error), 300)}"))
            last = try_out(shop, spec, task, draft, number)
            self._keep(last)
            try:
                if last.accepted and last.layout is not None and draft.source is not None:
                    numbers, _ = numbers_of(self._bench.worker, task.job.outputs, last.layout)
                    return self._noted(Second(source=draft.source, numbers=numbers))
            finally:
                if last.layout is not None:
                    shop.discard(last.layout.stage)
        assert last is not None
        errors = [one for one in last.findings if one.severity is Severity.ERROR]
        why = "; ".join(f"{one.check}: {one_line(one.message, 200)}" for one in errors[:3])
        return self._noted(Second(numbers={}, problem=f"{name} wrote no script that passes in {TRIES} tries ({why})"))

    def _keep(self, attempt: Attempt) -> None:
        session, folder = self._shop.session, f"{NAME}/try-{attempt.number}"
        source, execution = attempt.draft.source, attempt.execution
        session.event(
            "crosscheck try", number=attempt.number,
            script=session.keep(f"{folder}/script.py", source) if source else None,
            log=session.keep(f"{folder}/log.txt", execution.log) if execution else None,
            findings=[vars(finding) for finding in attempt.findings], decisions=list(attempt.draft.decisions),
        )  # fmt: skip

    def _noted(self, second: Second) -> Second:
        text = f"cross-check: {second.problem}" if second.problem else "cross-check: the second script ran"
        self._shop.tell(one_line(text, 300))
        return second


def _differs(found: Agreement) -> tuple[Finding, ...]:
    if not found.apart:
        return ()
    worst = found.apart[0]
    text = (
        f"A second script, which another model wrote without seeing yours, comes to other numbers: "
        f"`{one_line(worst.name, 80)}` is {worst.mine:.8g} in yours and {worst.other:.8g} there; of {len(found.pairs)} "
        f"numbers that both have, {len(found.apart)} differ. Either script may be wrong. Go through what the rule asks "
        "for and what the inputs hold, find the step that explains the difference, and mend your script if the mistake "
        "is there. Never adjust numbers so that they agree.\n\n" + in_words(found.apart)
    )
    return (Finding(check=DIFFERS, message=text),)


def _only_one(found: Agreement) -> tuple[Finding, ...]:
    if not found.mine and not found.other:
        return ()
    parts = [
        f"{who} {_listed(names)}" for who, names in (("only yours:", found.mine), ("only there:", found.other)) if names
    ]
    text = f"Numbers that only one of the two scripts has were not compared; {'; '.join(parts)}."
    return (Finding(check=ONLY_ONE, message=text, severity=Severity.WARNING),)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(one_line(name, 60) for name in names[:MOST_LISTED])
    return shown + (f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else "")


def _results(model: str, found: Agreement, second: Second) -> dict[str, object]:
    worst = found.pairs[0]
    return {
        "model": model,
        "done": True,
        "compared": len(found.pairs),
        "differ": len(found.apart),
        "largest": {
            "number": worst.name, "mine": worst.mine, "other": worst.other, "difference": worst.apart,
            "allowed": worst.allowed,
        },
        "not_compared": len(found.mine) + len(found.other),
        "script_digest": digest_text(second.source),
    }  # fmt: skip
