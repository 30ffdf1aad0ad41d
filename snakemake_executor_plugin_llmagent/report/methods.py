"""What an analysis note has to say of scripts that models wrote: which, by whom, checked how, approved by whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from snakemake_executor_plugin_llmagent.lock import Lock
from snakemake_executor_plugin_llmagent.report import evidence
from snakemake_executor_plugin_llmagent.report.document import Block, Code, Paragraph, Run, Table, listed
from snakemake_executor_plugin_llmagent.report.evidence import Verdict
from snakemake_executor_plugin_llmagent.report.facts import AgentFacts, WorkflowFacts
from snakemake_executor_plugin_llmagent.report.views import decisions, moment
from snakemake_executor_plugin_llmagent.text import one_line

PLUGIN = "snakemake-executor-plugin-llmagent"
WROTE, REVIEWED, SECOND = "coder", "supervisor", "crosscheck"
"""Roles of models in locks."""
DIGITS = 12
"""How much of a script's digest is told."""

Agents = Sequence[tuple[str, AgentFacts]]
"""Agent rules by name."""


def methods(facts: WorkflowFacts) -> tuple[Block, ...]:
    """The paragraphs and tables for a note; of each rule only what its lock and its state prove."""
    agents = [(rule.name, rule.agent) for rule in facts.rules if rule.agent is not None and rule.name in facts.chosen]
    proven = [(name, agent) for name, agent in agents if _by_a_model(agent)]
    if not proven:
        return (Paragraph((*_opening(facts, agents, proven), *_others(agents))),)
    texts = (
        [*_opening(facts, agents, proven), *_models(proven), *_others(agents)],
        [*_checks(proven), *_probes(proven), *_crosschecks(proven), *_reviews(proven)],
        [*_approvals(proven), *_blinding(proven), *_decisions(proven)],
    )
    tables = (_table(proven), *_open(proven))
    return (*(Paragraph(tuple(runs)) for runs in texts if runs), *tables)


def as_json(facts: WorkflowFacts) -> list[dict[str, Any]]:
    """What is known of each rule, for programs."""
    found = []
    for rule in facts.rules:
        agent = rule.agent
        if agent is None or rule.name not in facts.chosen:
            continue
        lock = agent.lock
        found.append(
            {
                "rule": rule.name,
                "spec": agent.spec.text,
                "state": agent.state,
                "script": agent.script,
                "script_digest": lock.script_digest if lock else None,
                "models": {role: dict(names) for role, names in lock.models.items()} if lock else {},
                "created": lock.created if lock else None,
                "attempts": lock.attempts if lock else None,
                "approval": vars(lock.approval) if lock and lock.approval else None,
                "checks": dict(lock.checks) if lock else {},
                "evidence": dict(lock.evidence) if lock else {},
                "blind": dict(lock.blind) if lock else {},
                "review": dict(lock.review) if lock and lock.review else None,
                "decisions": [dict(each) for each in lock.decisions] if lock else [],
            }
        )
    return found


def _by_a_model(agent: AgentFacts) -> bool:
    """Whether a script lies there, and it is on record that a model wrote it."""
    return agent.lock is not None and agent.source is not None and bool(agent.lock.models.get(WROTE))


def _lock(agent: AgentFacts) -> Lock:
    assert agent.lock is not None
    return agent.lock


def _names(names: Iterable[str]) -> list[Run]:
    return listed([Code(name) for name in names])


def _who(names: Sequence[str], proven: Agents) -> list[Run]:
    """Some of the rules, or `all of them`."""
    return ["all of them"] if len(names) == len(proven) > 1 else _names(names)


def _opening(facts: WorkflowFacts, agents: Agents, proven: Agents) -> Iterator[Run]:
    version = facts.versions.get(PLUGIN, "")
    if not agents:
        yield "No rule of the workflow has its program written by a language model."
        return
    rules = f"the {len(facts.rules)} rules of the workflow" if len(facts.rules) > 1 else "the one rule of the workflow"
    if not proven:
        yield f"Of {rules}, {len(agents)} {_are(agents, 'is', 'are')} to have a program written by a language model, "
        yield "but no program with a record lies there yet. "
        return
    yield f"Of {rules}, {len(proven)} {_are(proven, 'runs', 'run')} a program that a language model wrote from a "
    yield "description in words: "
    yield from _names(name for name, _ in proven)
    yield f" (table of programs). The programs were written with {PLUGIN} {version}".rstrip()
    yield ". Each is a script of its own, kept with a record that holds its digest; the workflow runs the scripts as "
    yield "they are, and no model takes part in a run. "


def _are(items: Sequence[Any], one: str, more: str) -> str:
    return one if len(items) == 1 else more


def _models(proven: Agents) -> Iterator[Run]:
    writers = _by_model(proven, WROTE)
    if writers:
        yield "By the names that their providers reported, the models that wrote them are "
        yield from listed([[model, " (", *_who(names, proven), ")"] for model, names in writers.items()])
        days = sorted({_lock(agent).created[:10] for _, agent in proven})
        yield (
            f". The records date from {days[0]}"
            if len(days) == 1
            else f". The records date from {days[0]} to {days[-1]}"
        )
        yield ". "


def _by_model(proven: Agents, role: str) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, agent in proven:
        names = _lock(agent).models.get(role)
        if names:
            found[str(names.get("reported") or names.get("asked") or "an unknown model")].append(name)
    return found


def _others(agents: Agents) -> Iterator[Run]:
    """What does not hold for rules that are not frozen."""
    said = {
        "edited": "was changed by hand after its record was made, so that what is said below of checks, reviews and "
        "decisions holds for the program before the change",
        "stale": "was written for an earlier description of the step",
        "awaiting": "has not been approved by anybody yet",
        "missing": "does not exist yet",
        "broken": "has a record that cannot be read",
    }
    for state, text in said.items():
        names = [
            name for name, agent in agents if agent.state == state and not (state == "edited" and agent.lock is None)
        ]
        for name in names:
            yield "The program of "
            yield Code(name)
            yield f" {text}. "
    for name, agent in agents:
        if agent.source is not None and agent.state != "broken" and not _by_a_model(agent):
            yield "The program of "
            yield Code(name)
            yield " was put there by hand: no model is on record. "


# --- checks ---------------------------------------------------------------------------------------------------------


def _results(agent: AgentFacts, gate: str) -> Iterator[evidence.Row]:
    results = _lock(agent).evidence.get(gate)
    if isinstance(results, Mapping):
        yield from (evidence.row(str(name), result, Verdict.WARNING) for name, result in results.items())


def _checks(proven: Agents) -> Iterator[Run]:
    checked = [(name, agent) for name, agent in proven if _lock(agent).checks]
    if not checked:
        return
    free = [name for name, agent in proven if _lock(agent).sandbox.get("backend") in (None, "", "none")]
    yield "Before it was accepted, each program ran on the declared inputs"
    yield ", in a sandbox" if not free else ""
    yield ", and had to pass automatic checks of its text, of its run, of what it read and wrote, and of the contents "
    yield "of its outputs. "
    if free:
        yield "No sandbox is on record for "
        yield from _who(free, proven)
        yield ". "
    warned = [name for name, agent in checked if any(text != "passed" for text in _lock(agent).checks.values())]
    if warned:
        yield "Remarks, which stopped no program, were made on "
        yield from _who(warned, proven)
        yield ". "
    missing = [name for name, agent in proven if not _lock(agent).checks]
    if missing:
        yield "No checks are on record for "
        yield from _who(missing, proven)
        yield ". "
    passed = _grouped((name, row) for name, agent in proven for row in _results(agent, "contents"))
    own: defaultdict[str, list[str]] = defaultdict(list)
    for name, agent in proven:
        for check in _lock(agent).checks:
            if check.startswith("check."):
                own[check.removeprefix("check.")].append(name)
    asked = {**passed, **own}
    if asked:
        yield "Conditions on results that the analysts asked for were fulfilled: "
        yield from listed([[Code(label), " (", *_who(names, proven), ")"] for label, names in asked.items()])
        yield ". "


def _grouped(rows: Iterable[tuple[str, evidence.Row]]) -> Mapping[str, list[str]]:
    """Result that was passed → the rules that passed it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, row in rows:
        if row.verdict is Verdict.PASSED:
            found[row.name].append(name)
    return found


def _probes(proven: Agents) -> Iterator[Run]:
    passed = _grouped((name, row) for name, agent in proven for row in _results(agent, "probes"))
    if passed:
        yield "Programs were run again on altered inputs, and their results responded as they must: "
        yield from listed([[Code(probe), " (", *_who(names, proven), ")"] for probe, names in passed.items()])
        yield ". "
    without = [
        name for name, agent in proven if not any(r.verdict is Verdict.PASSED for r in _results(agent, "probes"))
    ]
    if without:
        yield "No test on altered inputs is on record as passed for "
        yield from _who(without, proven)
        yield ". "


def _crosschecks(proven: Agents) -> Iterator[Run]:
    done = False
    for name, agent in proven:
        results = _lock(agent).evidence.get("crosscheck")
        if isinstance(results, Mapping) and results.get("done"):
            done = True
            model = _lock(agent).models.get(SECOND, {}).get("reported") or results.get("model", "another model")
            yield "The numbers of "
            yield Code(name)
            yield f" were compared with those of a second program, written independently by {model}: of "
            yield f"{results.get('compared')} numbers {results.get('differ') or 'none'} differ beyond the tolerance. "
    if not done:
        yield "No program was compared with a second, independent one. "


def _reviews(proven: Agents) -> Iterator[Run]:
    reviewed = [(name, agent) for name, agent in proven if _lock(agent).review]
    if reviewed:
        yield "A model reviewed what had passed: "
        models = _by_model(reviewed, REVIEWED)
        yield from listed([[model, " (", *_who(names, proven), ")"] for model, names in models.items()])
        yield ". "
    left = [name for name, agent in proven if not _lock(agent).review]
    if left:
        yield "No review by a model is on record for "
        yield from _who(left, proven)
        yield ". "


# --- persons --------------------------------------------------------------------------------------------------------


def _approvals(proven: Agents) -> Iterator[Run]:
    alone = [name for name, agent in proven if (given := _lock(agent).approval) and given.by != "person"]
    if alone:
        yield "Approved by their checks and reviews, without the name of a person: "
        yield from _who(alone, proven)
        yield ". "
    for name, agent in proven:
        given = _lock(agent).approval
        if given is not None and given.by == "person":
            yield Code(name)
            yield f" was approved by {given.name or 'a person without a name'}, {moment(given.time)}. "


def _blinding(proven: Agents) -> Iterator[Run]:
    for name, agent in proven:
        if not agent.blind:
            continue
        yield "While the program of "
        yield Code(name)
        yield f" was written, data were hidden from it and from the models. Now: {agent.blind}. "


def _decisions(proven: Agents) -> Iterator[Run]:
    every = [each for _, agent in proven for each in decisions(_lock(agent).decisions)]
    pinned = sum(each.pinned for each in every)
    if every:
        left = len(every) - pinned
        yield f"The descriptions left {left} decision{'s' * (left != 1)} to the models, which the table of decisions "
        yield "lists with the alternatives that the models named"
        yield f"; {pinned} more {'was' if pinned == 1 else 'were'} made by the analysts. " if pinned else ". "
    else:
        yield "No decisions that the descriptions left open are on record. "


# --- tables ---------------------------------------------------------------------------------------------------------


def _table(proven: Agents) -> Table:
    rows = []
    for name, agent in proven:
        lock = _lock(agent)
        given = lock.approval
        who = "nobody yet" if given is None else (given.name or "a person") if given.by == "person" else "checks"
        writer = lock.models.get(WROTE, {})
        model = str(writer.get("reported") or writer.get("asked") or "")
        rows.append(
            (
                Code(name), one_line(agent.spec.text, 160), model, lock.created[:10], str(lock.attempts or ""), who,
                Code(lock.script_digest[:DIGITS]),
            )
        )  # fmt: skip
    titles = ("rule", "description", "model", "date", "attempts", "approved by", "SHA-256 of the script")
    return Table(
        "Programs that language models wrote.", "llmagent-programs", titles, tuple(rows),
        (0.13, 0.25, 0.13, 0.09, 0.08, 0.09, 0.13),
    )  # fmt: skip


def _open(proven: Agents) -> Iterator[Table]:
    rows: list[tuple[Run, ...]] = []
    for name, agent in proven:
        for each in decisions(_lock(agent).decisions):
            value = f"{one_line(each.value, 120)} {each.unit}".rstrip()
            others = "made by the analysts" if each.pinned else one_line("; ".join(each.alternatives), 200)
            rows.append((Code(name), Code(each.name), value, others))
    if rows:
        titles = ("rule", "decision", "value", "alternatives")
        caption = "Decisions that the descriptions left open."
        yield Table(caption, "llmagent-decisions", titles, tuple(rows), (0.14, 0.23, 0.30, 0.27))
