"""From a workflow to its page: sessions are read, outputs looked at, totals made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce

from snakemake_executor_plugin_llmagent.report import charts, graph
from snakemake_executor_plugin_llmagent.report.charts import Chart, Lane, Part, Step
from snakemake_executor_plugin_llmagent.report.facts import RuleFacts, WorkflowFacts
from snakemake_executor_plugin_llmagent.report.outputs import Eyes, gallery
from snakemake_executor_plugin_llmagent.report.sessions import sessions_of
from snakemake_executor_plugin_llmagent.report.usage import Usage
from snakemake_executor_plugin_llmagent.report.views import RuleView, StoryView, anchor, rule_view

MOST_DRAWN = 150
"""Workflows with more rules are listed, not drawn."""


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    """A rule in the list of all rules.

    Attributes:
        facts: what is known of it.
        anchor: its section, if it has one.
        state: of an agent rule.
    """

    facts: RuleFacts
    anchor: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything on the page.

    Attributes:
        facts: the workflow.
        rules: sections, in the order of the workflow.
        rows: the list of all rules.
        drawing: how those with jobs depend on each other; None if they are too many, or unknown.
        usage: totals.
        attempts: how many were told.
        states: state → number of agent rules.
        timeline: sessions in their time.
        tried, tokens, cost: plots; None if there is nothing to plot.
        problem: why outputs were not looked at.
    """

    facts: WorkflowFacts
    rules: tuple[RuleView, ...]
    rows: tuple[RuleRow, ...]
    drawing: graph.Drawing | None
    usage: Usage
    attempts: int
    states: tuple[tuple[str, int], ...]
    timeline: tuple[Chart, ...]
    tried: Chart | None
    tokens: Chart | None
    cost: Chart | None
    problem: str

    def row(self, name: str) -> RuleRow:
        """The rule of a name."""
        return next(row for row in self.rows if row.facts.name == name)

    @property
    def idle(self) -> tuple[str, ...]:
        """Rules that are not drawn because they have no jobs."""
        return () if self.drawing is None else tuple(row.facts.name for row in self.rows if not row.facts.jobs)


def build(facts: WorkflowFacts, eyes: Eyes) -> Page:
    """A workflow's page."""
    chosen = [(rule, rule.agent) for rule in facts.rules if rule.agent is not None and rule.name in facts.chosen]
    with ThreadPoolExecutor(1) as aside:  # a process of its own looks at the outputs
        looking = aside.submit(gallery, {rule.name: rule.made for rule, _ in chosen}, eyes)
        told = [rule_view(rule, agent, sessions_of(agent.sessions)) for rule, agent in chosen]
        seen = looking.result()
    views = tuple(
        replace(view, outputs=seen.shown[view.facts.name], outputs_left=seen.left[view.facts.name]) for view in told
    )
    lanes = [_lane(view, story) for view in views for story in reversed(view.stories)]
    used = [view for view in views if view.usage.calls]
    needs = {rule.name: rule.needs for rule in facts.rules if rule.jobs}
    return Page(
        facts=facts, rules=views, rows=tuple(map(_row, facts.rules)),
        drawing=graph.draw(needs) if not facts.problem and len(needs) <= MOST_DRAWN else None,
        usage=reduce(Usage.__add__, (view.usage for view in views), Usage()),
        attempts=sum(view.attempts for view in views),
        states=tuple(Counter(agent.state for _, agent in chosen).items()),
        timeline=charts.timeline(lanes), tried=_tried([lane for lane in lanes if lane.steps]),
        tokens=_tokens(used), cost=_cost([view for view in used if view.usage.priced]), problem=seen.problem,
    )  # fmt: skip


def _row(rule: RuleFacts) -> RuleRow:
    state = rule.agent.state if rule.agent else ""
    return RuleRow(facts=rule, anchor=anchor("rule", rule.name) if rule.agent else "", state=state)


def _lane(view: RuleView, story: StoryView) -> Lane:
    steps = tuple(
        Step(
            each.kind,
            f"{view.facts.name}, attempt {each.told.number}: {each.verdict}",
            each.told.begun,
            each.told.ended,
        )
        for each in story.attempts
    )
    return Lane(view.facts.name, steps, story.story.begun, story.story.ended)


def _tried(lanes: Sequence[Lane]) -> Chart | None:
    if not lanes:
        return None
    count = sum(len(lane.steps) for lane in lanes)
    good = sum(step.kind == "accepted" for lane in lanes for step in lane.steps)
    about = f"A square for each of {count} attempts, in order; {good} were accepted. Sessions stand apart."
    return charts.attempts("Attempts of each rule", about, lanes)


def _tokens(views: Sequence[RuleView]) -> Chart | None:
    if not views:
        return None
    rows = [
        (
            view.facts.name,
            (
                Part(view.usage.input, "read", f"{view.facts.name}: {view.usage.input:,} tokens read"),
                Part(view.usage.output, "written", f"{view.facts.name}: {view.usage.output:,} tokens written"),
            ),
        )
        for view in views
    ]
    most = max(views, key=lambda view: view.usage.input + view.usage.output)
    about = f"Tokens read and written by models for each rule; most for {most.facts.name}."
    return charts.bars("Tokens of each rule", about, rows, "")


def _cost(views: Sequence[RuleView]) -> Chart | None:
    if not views:
        return None
    rows = [
        (view.facts.name, (Part(view.usage.usd, "cost", f"{view.facts.name}: ${view.usage.usd:.4f}"),))
        for view in views
    ]
    total = sum(view.usage.usd for view in views)
    return charts.bars(
        "Cost of each rule", f"What calls cost whose price was recorded, ${total:.2f} in all.", rows, "$"
    )
