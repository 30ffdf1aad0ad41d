"""Draft, run, check, review, repeat: how a sentence becomes a script that may run for ever.

The order is fixed and cheap first. The supervisor is asked only about a candidate that passed everything a machine
can decide, and can never overrule it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from snakemake_executor_plugin_llmagent import briefs, checks, taxonomy
from snakemake_executor_plugin_llmagent.errors import AttemptsExhausted
from snakemake_executor_plugin_llmagent.progress import Phase, Step, StepKind, Tell
from snakemake_executor_plugin_llmagent.protocols import (
    Describe,
    Finding,
    Picture,
    RunAside,
    Sandbox,
    Task,
    Trial,
)
from snakemake_executor_plugin_llmagent.roles import Attempt, Coder, Draft, Supervisor
from snakemake_executor_plugin_llmagent.session import Session
from snakemake_executor_plugin_llmagent.spec import Kind, Spec
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trials import Ahead, First, Gate, OnSlices, Slice

MOST_ON_SLICES = 3
"""After so many attempts a script is tried on all entries at once: perhaps it is right, and fails on few of them."""
INSTRUCTIONS = """\
# Instructions of the supervisor

What the rule asks for comes first; what a reviewer says later comes before these instructions."""


class Supervision(StrEnum):
    """How much the supervisor does: reviews what passed; instructs and reads every attempt too; nothing."""

    REVIEW = "review"
    FULL = "full"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Everything that authoring needs, put together in `assembly`."""

    coder: Coder
    supervisor: Supervisor | None
    supervision: Supervision
    sandbox: Sandbox
    describe: Describe
    read_ahead: Callable[[Sequence[Path]], None]
    run_aside: RunAside
    gates: tuple[Gate, ...]
    context: Callable[[Spec, Task], str]
    show_outputs: Callable[[Trial], str]
    session: Session
    stages: Path
    discard: Callable[[Path], None]
    tell: Tell
    max_attempts: int
    first: First = lambda _: None
    desk: Callable[[Task, Path], AbstractContextManager[None]] = lambda *_: nullcontext()
    second: Coder | None = None
    last_word: Callable[[Spec, Task, Attempt], str] = lambda *_: ""
    pictures: Callable[[Trial], Sequence[Picture]] = lambda _: ()
    ask: Callable[[Attempt], Attempt] = lambda attempt: attempt


def author(
    shop: Workshop, spec: Spec, task: Task, start: Attempt | None = None, others: Sequence[Task] = ()
) -> Attempt:
    """Return the first attempt that passes every check and the review; its outputs lie in its stage.

    Args:
        shop: who writes, where it runs, who judges.
        spec: what is asked for.
        task: the job to try it on.
        start: an earlier script and what is wrong with it.
        others: jobs on which the script must pass too.

    Raises:
        AttemptsExhausted: none of the candidates was accepted.
    """
    brief = shop.context(spec, task)
    if shop.supervision is Supervision.FULL and shop.supervisor is not None:
        name = shop.supervisor.model.name
        shop.tell(f"{name} instructs the coder", Step(phase=Phase.INSTRUCTS, model=name))
        brief += f"\n\n{INSTRUCTIONS}\n\n{shop.supervisor.instruct(brief)}"
    last = shown = start
    for number in range(1, shop.max_attempts + 1):
        name, most = shop.coder.model.name, shop.max_attempts
        writes = Step(phase=Phase.WRITES, attempt=number, attempts=most, model=name)
        shop.tell(f"attempt {number} of {most}: {name} writes", writes)
        draft = shop.coder.write(brief, shown)
        last = judge(shop, spec, task, Attempt(number=number, draft=draft), _for_review(brief, shown), others)
        record(shop, last)
        if last.accepted:
            return last
        _discard(shop, last)
        shown = _to_show(last, shown)
    shop.session.event("exhausted", attempts=shop.max_attempts)
    said = "" if last is None else shop.last_word(spec, task, last)
    raise AttemptsExhausted(exhausted(spec, shop, last, said))


def judge(shop: Workshop, spec: Spec, task: Task, attempt: Attempt, brief: str, others: Sequence[Task] = ()) -> Attempt:
    """Try a candidate, look at what it did, and have it reviewed if nothing stands against it."""
    attempt = try_out(shop, spec, task, attempt.draft, attempt.number)
    try:
        if attempt.draft.source is not None and not checks.stops(attempt.findings):
            attempt = replace(attempt, findings=(*attempt.findings, *_elsewhere(shop, spec, others, attempt.draft)))
        attempt = _reviewed(shop, spec, task, attempt, brief)
        return shop.ask(attempt) if attempt.accepted else attempt
    except BaseException:
        _discard(shop, attempt)
        raise


def try_out(shop: Workshop, spec: Spec, task: Task, draft: Draft, number: int) -> Attempt:
    """Run a candidate once in an empty stage, and check what happened, cheap checks first.

    If inputs are large, it is run on their first entries before, and on all of them only if nothing was found there.
    """
    if draft.source is None:
        return Attempt(number=number, draft=draft, findings=draft.findings)
    trial = Trial(spec=spec, job=task.job, source=draft.source, decisions=draft.decisions)
    findings = (*draft.findings, *checks.run_checks(checks.static_checks(shop.describe), trial))
    attempt = Attempt(number=number, draft=draft, findings=findings)
    if checks.stops(findings):
        return attempt
    part = shop.first(task) if 0 < number < min(shop.max_attempts, MOST_ON_SLICES + 1) else None
    if part is not None:
        attempt, passed = _on_slice(shop, part, trial, attempt)
        if not passed:
            return attempt
    return _run(shop, task, trial, attempt)[0]


def _on_slice(shop: Workshop, part: Slice, trial: Trial, attempt: Attempt) -> tuple[Attempt, bool]:
    """An attempt with what was found on the first entries of large inputs, and whether it may see all entries."""
    shop.tell(f"the script is tried on {part.label}", Step(phase=Phase.RUNS, attempt=attempt.number))
    cut = replace(trial, job=part.task.job, slice=part.entries)
    small, lasting = _run(shop, part.task, cut, replace(attempt, evidence={"slices": {"first": part.label}}))

    def of_slice(findings: Sequence[Finding]) -> tuple[Finding, ...]:
        return tuple(replace(one, message=f"On {part.label}: {one.message}") for one in findings)

    new = small.findings[len(attempt.findings) :]
    if checks.stops(new):
        return replace(small, findings=(*attempt.findings, *of_slice(new))), False
    _discard(shop, small)
    return replace(attempt, findings=(*attempt.findings, *of_slice(lasting)), evidence=small.evidence), True


def _run(shop: Workshop, task: Task, trial: Trial, attempt: Attempt) -> tuple[Attempt, tuple[Finding, ...]]:
    """An attempt with its run and what was found then; also by itself what gates found that judge nothing but slices.

    On slices the rule's own checks are left out: they may ask for numbers that only all entries give.
    """
    findings = attempt.findings
    stage = shop.stages / f"{trial.spec.rule}-{uuid.uuid4().hex[:8]}"
    try:
        with ExitStack() as begun:
            begun.enter_context(shop.desk(task, stage))
            works = list(_begun(shop, task, trial, attempt, stage, begun))
            shop.tell("the script runs", Step(phase=Phase.RUNS, attempt=attempt.number))
            layout, execution = shop.sandbox.run(task, trial.source, stage)
            trial = replace(trial, layout=layout, execution=execution)
            attempt = replace(attempt, layout=layout, execution=execution)
            content = checks.content_checks(shop.describe)
            own = () if trial.slice else checks.own_checks(trial, shop.run_aside)
            for group in ((checks.run_check(),), checks.file_checks(), content, own):
                if not checks.stops(findings):
                    if group is content:
                        files = (item for item in task.job.outputs if item.kind is not Kind.DIRECTORY)
                        shop.read_ahead([layout.inside(item) for item in files])
                        for work in works:
                            work.ran(trial)
                    findings = (*findings, *checks.run_checks(group, trial))
            return _through_gates(shop, task, trial, replace(attempt, findings=findings))
    except BaseException:
        shop.discard(stage)
        raise


def _begun(shop: Workshop, task: Task, trial: Trial, attempt: Attempt, stage: Path, end: ExitStack) -> Iterator[Ahead]:
    """What gates do for a trial that is still to come; it is ended with `end`."""
    for gate in shop.gates:
        work = gate.ahead(task, trial, stage) if _judges(gate, trial, attempt) else None
        if work is not None:
            end.callback(work.end)
            yield work


def _through_gates(shop: Workshop, task: Task, trial: Trial, attempt: Attempt) -> tuple[Attempt, tuple[Finding, ...]]:
    """An attempt with what the gates came to, as far as it got; job number 0 is another job of a repaired script."""
    lasting: tuple[Finding, ...] = ()
    for gate in shop.gates:
        if checks.stops(attempt.findings):
            break
        if _judges(gate, trial, attempt):
            checked = Step(phase=Phase.CHECKS, attempt=attempt.number, detail=gate.name)
            shop.tell(f"checks: {gate.name}", checked)
            evidence = gate.judge(task, trial)
            attempt = replace(
                attempt,
                findings=(*attempt.findings, *evidence.findings),
                evidence={**attempt.evidence, gate.name: evidence.results},
            )
            lasting = (*lasting, *evidence.findings) if gate.on_slices is OnSlices.ONLY else lasting
    return attempt, lasting


def _judges(gate: Gate, trial: Trial, attempt: Attempt) -> bool:
    """Whether a gate has a say in a trial."""
    if trial.slice and gate.on_slices is OnSlices.NEVER:
        return False
    if gate.on_slices is OnSlices.ONLY and gate.name in attempt.evidence:
        return False  # it has judged the slice
    return bool(attempt.number) or gate.everywhere


def _elsewhere(shop: Workshop, spec: Spec, others: Sequence[Task], draft: Draft) -> tuple[Finding, ...]:
    """What goes wrong with a candidate on other jobs of the rule."""
    findings: list[Finding] = []
    draft = replace(draft, findings=())
    for task in others:
        attempt = try_out(shop, spec, task, draft, number=0)
        _discard(shop, attempt)
        values = ", ".join(f"{name}={value}" for name, value in task.job.wildcards.items()) or "another job"
        for finding in attempt.findings:
            findings.append(replace(finding, message=f"With {values}, where the last script worked: {finding.message}"))
        if checks.stops(findings):
            break
    return tuple(findings)


def _reviewed(shop: Workshop, spec: Spec, task: Task, attempt: Attempt, brief: str) -> Attempt:
    """An attempt with its review, if the supervisor has a say in it."""
    source, passed = attempt.draft.source, not checks.stops(attempt.findings)
    if source is None or shop.supervisor is None or shop.supervision is Supervision.NONE:
        return attempt
    if not passed and shop.supervision is not Supervision.FULL:
        return attempt
    trial = Trial(
        spec=spec, job=task.job, source=source, decisions=attempt.draft.decisions, layout=attempt.layout,
        execution=attempt.execution,
    )  # fmt: skip
    name = shop.supervisor.model.name
    shop.tell(f"{name} reviews", Step(phase=Phase.REVIEWS, attempt=attempt.number, model=name))
    outputs = shop.show_outputs(trial)
    review, readable = shop.supervisor.review(
        trial, attempt.findings, outputs, brief, evidence=attempt.evidence, pictures=shop.pictures(trial)
    )
    if readable:
        cited = briefs.cites(review.comments, trial, attempt.evidence)
        evidence = attempt.evidence if cited else {**attempt.evidence, "review": {"cites": "no evidence"}}
        return replace(attempt, review=review, evidence=evidence)
    text = f"The reviewer's reply could not be read, twice: {review.comments}"
    return replace(attempt, findings=(*attempt.findings, Finding(check="review.malformed", message=text)))


def _for_review(brief: str, before: Attempt | None) -> str:
    """What a reviewer is told of a rule: also what a review of the last script asked for."""
    if before is None or before.review is None or before.review.approved:
        return brief
    return f"{brief}\n\n# What a review of the script before this one asked for\n\n{before.review.comments}"


def _to_show(last: Attempt, before: Attempt | None) -> Attempt:
    """The attempt that the coder is shown next; after a reply without a script, the last script is not forgotten."""
    if last.draft.source is not None or before is None or before.draft.source is None:
        return last
    return replace(before, findings=(*last.findings, *before.findings))


def record(shop: Workshop, attempt: Attempt) -> None:
    """Write an attempt into the session and say how it went."""
    folder = f"attempt-{attempt.number}"
    execution = attempt.execution
    revised = attempt.review is not None and not attempt.review.approved
    kind = taxonomy.classify(attempt.findings, execution.log if execution else "", revised=revised)
    shop.session.event(
        "attempt",
        number=attempt.number,
        accepted=attempt.accepted,
        script=shop.session.keep(f"{folder}/script.py", attempt.draft.source) if attempt.draft.source else None,
        log=shop.session.keep(f"{folder}/log.txt", execution.log) if execution else None,
        ending=execution.ending if execution else None,
        returncode=execution.returncode if execution else None,
        seconds=round(execution.seconds, 3) if execution else None,
        findings=[vars(finding) for finding in attempt.findings],
        review=vars(attempt.review) if attempt.review else None,
        decisions=list(attempt.draft.decisions),
        evidence={name: dict(results) for name, results in attempt.evidence.items()},
        **{"class": None if kind is None else vars(kind)},
    )
    _tell_how_it_went(shop, attempt)


def _tell_how_it_went(shop: Workshop, attempt: Attempt) -> None:
    said = f"attempt {attempt.number}"
    for finding in attempt.findings:
        step = Step(kind=StepKind.FINDING, attempt=attempt.number, findings=(finding,))
        shop.tell(f"{said}: {finding.severity}: {finding.check}: {one_line(finding.message, 300)}", step)
    if attempt.review is not None and not attempt.review.approved:
        step = Step(kind=StepKind.REVIEW, attempt=attempt.number, detail=attempt.review.comments)
        shop.tell(f"{said}: the reviewer asks for changes: {one_line(attempt.review.comments, 300)}", step)
    elif attempt.accepted:
        shop.tell(f"{said}: accepted", Step(kind=StepKind.ACCEPTED, attempt=attempt.number))


def _discard(shop: Workshop, attempt: Attempt) -> None:
    if attempt.layout is not None:
        shop.discard(attempt.layout.stage)


def exhausted(spec: Spec, shop: Workshop, last: Attempt | None, said: str = "") -> str:
    """Why a rule has no script, in words for the person who wrote the sentence."""
    lines = [f"No script for rule {spec.rule} was accepted in {shop.max_attempts} attempts. The last one:"]
    if last is not None:
        lines += [f"  - {finding.check}: {one_line(finding.message, 500)}" for finding in last.findings]
        if last.review is not None and not last.review.approved:
            lines.append(f"  - review: {one_line(last.review.comments, 500)}")
    if said:
        lines.append(f"The supervisor compared the two scripts (A is the last one):\n{said}")
    lines.append(f"Everything that was written, run and found lies in\n  {shop.session.directory}")
    lines.append("Say in the sentence what was misunderstood, choose another model, or raise --llmagent-max-attempts.")
    return "\n".join(lines)
