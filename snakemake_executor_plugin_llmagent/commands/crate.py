"""What `llmagent export --format ro-crate` tells: rules with scripts, the workflow and its run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.export.authorings import Authored
from snakemake_executor_plugin_llmagent.export.crate import write_crate
from snakemake_executor_plugin_llmagent.export.run import Run, RunFile, Workflow
from snakemake_executor_plugin_llmagent.session import read_session

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.declared import AgentRule
    from snakemake_executor_plugin_llmagent.host.traced import Traced, TracedFile

MEGABYTE = 1_000_000
BLINDED = "the rule that takes or makes it is blinded"
NO_RUN = "No run of the workflow is in the crate: nothing that its default target asks for is there and up to date."


def export_crate(options: argparse.Namespace) -> tuple[Path, list[str]]:
    """Write the crate that the options ask for; returns where it is and what it does not tell.

    Raises:
        ConfigError: there is no such workflow or rule, nothing to tell, or something lies in the crate's place.
    """
    from snakemake_executor_plugin_llmagent.host.project import named
    from snakemake_executor_plugin_llmagent.host.traced import traced

    output: Path = options.output or Path("llmagent-crate")
    place = output.absolute()
    found = traced(
        snakefile=options.snakefile, directory=options.directory, config=options.config, configfiles=options.configfile
    )
    chosen = found.agents if options.rule is None else (named(found.agents, options.rule),)
    authored, problems = _authored(chosen, found.workdir)
    if not authored:
        raise ConfigError("No agent rule has a script with a lock; there is nothing to put into a crate.")
    run = _run(found, options.run_by or "") if options.rule is None else None
    if options.rule is None:
        problems += [*found.made.left, *([] if run else [NO_RUN])]
    workflow = Workflow(
        snakefile=found.snakefile, included=found.included, snakemake=metadata.version("snakemake"), run=run,
        largest=options.copy_up_to * MEGABYTE,
    )  # fmt: skip
    write_crate(place, authored, workflow, found.workdir)
    return output, problems


def _authored(rules: Sequence[AgentRule], root: Path) -> tuple[list[Authored], list[str]]:
    """The rules that have a script with a lock, and what is not known of them and the others."""
    authored: list[Authored] = []
    problems: list[str] = []
    for rule in rules:
        status = lock.status(rule.script, rule.spec.digest)
        if status.source is None or status.lock is None:
            problems.append(f"Rule {rule.name} is left out: {status.reason}.")
            continue
        place = root / status.lock.session.get("path", "") if status.lock.session.get("path") else None
        story = read_session(place) if place is not None and place.is_dir() else None
        problems += list(story.problems) if story else [f"The session of rule {rule.name} is not here any more."]
        authored.append(Authored(rule=rule.name, spec=rule.spec, script=rule.script, lock=status.lock, story=story))
    return authored, problems


# --- the run ----------------------------------------------------------------------------------------------------------


def _run(found: Traced, person: str) -> Run | None:
    """What is known of the workflow's run; None if there is nothing that it made."""
    made = found.made
    if not made.results:
        return None
    closed = frozenset(rule.name for rule in found.agents if _is_closed(rule))
    return Run(
        about=f"The default target asks for {made.asked} files; {len(made.results)} of them were made, in one run of "
        "Snakemake or several.",
        inputs=tuple(_file(file, found.workdir, closed, "No rule of the workflow makes it.") for file in made.inputs),
        results=tuple(_file(file, found.workdir, closed, _about(file)) for file in made.results),
        start=_time(made.start), end=_time(made.end), person=person,
    )  # fmt: skip


def _is_closed(rule: AgentRule) -> bool:
    """Whether the data of a rule are blinded still."""
    return rule.spec.blind is not None and not lock.opened(lock.status(rule.script, rule.spec.digest))


def _about(file: TracedFile) -> str:
    rules = ", ".join(dict.fromkeys(slot.rule for slot in file.slots))
    twins = ", from twins of data that are blinded" if file.twins else ""
    return f"Made by rule {rules}{twins}."


def _file(file: TracedFile, workdir: Path, closed: frozenset[str], about: str) -> RunFile:
    hidden = not file.twins and any(slot.rule in closed for slot in file.slots)
    slots = tuple(f"{slot.rule}.{slot.name}" if slot.name else slot.rule for slot in file.slots)
    return RunFile(
        path=file.path, place=workdir / file.path, about=about, slots=slots, withheld=BLINDED if hidden else ""
    )


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
