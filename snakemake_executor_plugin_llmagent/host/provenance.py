"""In Snakemake's own report: who wrote the script that made a result, below the caption of the result.

A result's category may be a function, which Snakemake calls when it makes a report and never else. For results of agent
rules it is one of ours: it gives the category that the rule gives, and writes the caption, which is read after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.blinding.words import in_words
from snakemake_executor_plugin_llmagent.errors import AgentError
from snakemake_executor_plugin_llmagent.lock import Status
from snakemake_executor_plugin_llmagent.spec import State
from snakemake_executor_plugin_llmagent.text import one_line

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.declared import AgentRule

FLAG = "report"
FOLDER = "llmagent-captions"
LIMIT = 300
"""Longest name that a caption takes over [characters]."""


@dataclass(frozen=True)
class Category:
    """The category of a result, by which its caption is written.

    Attributes:
        given: the category as the rule gives it: a text, a function or None.
        caption: the caption that the rule gives; None if it gives none.
        place: where the caption with the provenance goes.
        workflow, agent: whose result it is.
    """

    given: Any
    caption: Any
    place: Path
    workflow: Any
    agent: AgentRule

    def __call__(self, wildcards: Any, **known: Any) -> Any:
        """Write the caption; returns the category."""
        from snakemake.common import get_input_function_aux_params

        own = "" if self.caption is None else self.workflow.sourcecache.open(self.caption).read().rstrip()
        self.place.parent.mkdir(parents=True, exist_ok=True)
        self.place.write_text(f"{own}\n\n{provenance(self.agent)}\n".lstrip(), encoding="utf-8")
        if not callable(self.given):
            return self.given
        return self.given(wildcards, **get_input_function_aux_params(self.given, known))


def with_provenance(workflow: Any, agent: AgentRule, outputs: Any) -> Any:
    """Outputs of an agent rule, of which those for reports tell in their captions who wrote the script."""
    basedir = workflow.current_basedir
    if not outputs or not basedir.is_local:
        return outputs  # Snakemake looks for the captions of a remote Snakefile beside it, and nowhere else
    folder = Path(workflow.sourcecache.runtime_cache_path) / FOLDER
    count = 0

    def told(entry: Any) -> Any:
        nonlocal count
        if type(entry) in (list, tuple):
            return type(entry)(map(told, entry))
        flags = getattr(entry, "flags", {})
        if FLAG not in flags:
            return entry
        count += 1
        place = folder / f"{agent.name}-{count}.rst"
        copied = entry.new_from(entry)  # rules that inherit share the entry
        copied.flags = {**flags, FLAG: _told(workflow, agent, flags[FLAG], place)}
        return copied

    named = {name: told(entry) for name, entry in outputs.kwpaths.items()}
    return outputs._replace(paths=tuple(map(told, outputs.paths)), kwpaths=named)


def _told(workflow: Any, agent: AgentRule, report: Any, place: Path) -> Any:
    known = report.category
    if isinstance(known, Category):  # of the rule that this one inherits from
        category = replace(known, place=place, agent=agent)
    else:
        caption = None if report.caption is None else workflow.current_basedir.join(report.caption)
        category = Category(known, caption, place, workflow, agent)
    return report._replace(caption=str(place), category=category)


# --- words ------------------------------------------------------------------------------------------------------------


def provenance(agent: AgentRule) -> str:
    """Who wrote the script of a rule, in reStructuredText; names of models and persons are texts and nothing else."""
    try:
        status = lock.status(agent.script, agent.spec.digest)
    except AgentError as error:
        return f"The record of the script of agent rule {_literal(agent.name)} cannot be read: {_literal(str(error))}"
    lines = list(_script(agent, status))
    if agent.spec.blind is not None:
        hidden = _literal(in_words(agent.spec.blind))
        seen = "were opened to it" if lock.opened(status) else "are closed to it: it runs on twins of them"
        lines.append(f"The rule is blinded ({hidden}); the data {seen}.")
    return " ".join(lines)


def _script(agent: AgentRule, status: Status) -> list[str]:
    rule = _literal(agent.name)
    if status.source is None:
        return [f"Agent rule {rule} has no script at present."]
    if status.lock is None:
        return [f"The script of agent rule {rule} was written by hand: it has no lock."]
    found = status.lock
    writer = found.models.get("coder", {})
    model = _literal(str(writer.get("reported") or writer.get("asked") or ""))
    lines = [f"The script of agent rule {rule} was written by {model or 'hand'} ({_literal(found.created[:10])})."]
    given = found.approval
    if given is None:
        lines.append("Nobody has approved it.")
    elif given.by == "person":
        lines.append(f"It was approved by {_literal(given.name or 'a person')} on {_literal(given.time[:10])}.")
    else:
        review = " and a review by a model" if found.review else ""
        lines.append(f"It was approved by its checks{review}, without a person, on {_literal(given.time[:10])}.")
    if status.state is not State.FROZEN:
        lines.append(f"It is {status.state}: {_literal(status.reason)}.")
    lines.append(
        f"Script: SHA\\-256 {found.script_digest[:12]}; session: {_literal(str(found.session.get('path', '?')))}."
    )
    return lines


def _literal(text: str) -> str:
    """A text in which neither reStructuredText nor Jinja2 finds markup."""
    return re.sub(r"([^\w\s])", r"\\\1", one_line(text, LIMIT)).replace("_", "\\_")
