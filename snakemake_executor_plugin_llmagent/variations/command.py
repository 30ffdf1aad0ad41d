"""The command `llmagent vary`."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.errors import AgentError, ConfigError, MissingDependency, NotApproved
from snakemake_executor_plugin_llmagent.spec import State
from snakemake_executor_plugin_llmagent.text import clean

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.variations.report import Report

VARY = "Run the script of a rule with the alternatives of its decisions, and show how far its results spread."
FOLDER = Path(".snakemake/llmagent/vary")
Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]

EXAMPLES = """\
examples:
  llmagent vary fit_myy                       one decision after the other
  llmagent vary fit_myy sample=ggh            on the job of this wildcard
  llmagent vary fit_myy --decision FIT_RANGE  of this decision alone
  llmagent vary fit_myy --all                 all combinations
"""


def add_vary(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    vary = add("vary", run, VARY)
    vary.add_argument("rule", metavar="RULE", help="an agent rule; `llmagent status` lists them")
    vary.add_argument(
        "wildcards", nargs="*", default=[], metavar="WILDCARD=VALUE",
        help="which job; by default the first whose inputs exist",
    )  # fmt: skip
    vary.add_argument(
        "--decision", nargs="+", action="extend", default=[], metavar="NAME",
        help="which decisions; by default all that the rule does not make itself",
    )  # fmt: skip
    vary.add_argument("--all", action="store_true", help="run all combinations, and not one change at a time")
    vary.add_argument("--output", type=Path, metavar="DIR", help=f"where files go; default: {FOLDER}/RULE")
    vary.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Vary a rule's decisions; returns the exit status."""
    from snakemake_executor_plugin_llmagent.host.frozen import not_runnable
    from snakemake_executor_plugin_llmagent.host.jobs import bench_of, job_of
    from snakemake_executor_plugin_llmagent.variations.plan import plan
    from snakemake_executor_plugin_llmagent.variations.report import Report
    from snakemake_executor_plugin_llmagent.variations.runs import run_all
    from snakemake_executor_plugin_llmagent.variations.words import in_words

    output = options.output.absolute() if options.output else None
    cancelled = threading.Event()
    place = job_of(
        options.rule, _wildcards(options.wildcards), snakefile=options.snakefile, directory=options.directory,
        config=options.config, configfiles=options.configfile,
    )  # fmt: skip
    with place as (agent, task):
        status = lock.status(agent.script, agent.spec.digest)
        if status.source is None or status.state not in (State.FROZEN, State.EDITED):
            raise NotApproved(not_runnable(agent, status))
        if agent.spec.blind is not None and not lock.opened(status):
            raise NotApproved(
                f"Rule {agent.name} is blinded: its variations would show its data. Unblind it first: "
                f"llmagent unblind {agent.name}"
            )
        made = plan(status.source, status.lock.decisions if status.lock else (), options.decision, combined=options.all)
        folder = (output or Path.cwd() / FOLDER / agent.name).absolute()
        with bench_of(agent, cancelled, _tell) as bench:
            nominal, others = run_all(bench, task, made, _tell)
        if nominal.problem:
            raise AgentError(f"The script of rule {agent.name} as it is {nominal.problem}")
        report = Report(agent.name, task.job.wildcards, options.all, made, nominal, others)
    files = _write(report, folder)
    if options.json:
        print(json.dumps({**report.as_json(), "files": list(map(str, files))}, indent=2, ensure_ascii=False))
    else:
        print(in_words(report))
        print("".join(f"\n{_near(path)}" for path in files).rstrip())
    return 0


def _wildcards(words: list[str]) -> Mapping[str, str]:
    wildcards = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ConfigError(f"A job is named by its wildcards, as WILDCARD=VALUE; {word!r} is not of this form.")
        wildcards[name] = value
    return wildcards


def _tell(text: str) -> None:
    print(f"llmagent: {clean(text)}", file=sys.stderr, flush=True)


def _near(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _write(report: Report, folder: Path) -> list[Path]:
    """The files of a report."""
    from snakemake_executor_plugin_llmagent.variations.plot import draw
    from snakemake_executor_plugin_llmagent.variations.words import as_csv, as_markdown

    if not report.others:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    table, text, picture = folder / "spread.csv", folder / "spread.md", folder / "spread.png"
    lock.write_atomically(table, as_csv(report))
    lock.write_atomically(text, as_markdown(report))
    files = [text, table]
    try:
        if any(one.nominal is not None for one in report.shown):
            draw(report, picture)
            files.append(picture)
    except MissingDependency as error:
        picture.unlink(missing_ok=True)  # one of an earlier run would not fit the table
        _tell(str(error))
    return files
