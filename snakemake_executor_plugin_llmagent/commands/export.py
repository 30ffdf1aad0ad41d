"""The command `llmagent export`: what happened, in the formats of others."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.commands.rules import Add, rules_of
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.session import Story, read_session
from snakemake_executor_plugin_llmagent.text import clean

FORMATS = ("inspect", "ro-crate")
SESSIONS = Path(".snakemake/llmagent/sessions")


EXAMPLES = """\
examples:
  llmagent export fit_myy --format inspect -o fit.json   for Inspect's viewer
  llmagent export --format ro-crate -o crate             a folder to archive
"""


def add_export(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    export = add("export", run, "Write down how scripts came about, for other programs.")
    export.add_argument("rule", nargs="?", metavar="RULE", help="the rule; needed for `inspect`, by default all")
    export.add_argument(
        "--format", choices=FORMATS, required=True,
        help="`inspect`: the sessions of a rule as a log of Inspect; `ro-crate`: the workflow, its run, scripts, locks "
        "and sessions as a Workflow Run RO-Crate",
    )  # fmt: skip
    export.add_argument(
        "--copy-up-to", type=int, default=100, metavar="MB",
        help="how large a file that the run took or made may be to be copied into a crate; default: 100",
    )  # fmt: skip
    export.add_argument("--run-by", metavar="NAME", help="who ran the workflow; Snakemake keeps no record of that")
    export.add_argument("-o", "--output", type=Path, metavar="PATH", help="the file, or the new folder of a crate")
    export.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Export; returns the exit status."""
    from snakemake_executor_plugin_llmagent.commands.crate import export_crate

    made, told = _inspect(options) if options.format == "inspect" else export_crate(options)
    if options.json:
        print(json.dumps({"format": options.format, "output": str(made), "problems": told}, indent=2))
        return 0
    for problem in told:
        print(clean(problem))
    print(f"Written: {made}")
    return 0


def _inspect(options: argparse.Namespace) -> tuple[Path, list[str]]:
    from snakemake_executor_plugin_llmagent.export.evallog import eval_log
    from snakemake_executor_plugin_llmagent.host.project import named

    if options.rule is None:
        raise ConfigError("Which rule? A log of Inspect has the sessions of one: llmagent export RULE --format inspect")
    rule = named(rules_of(options), options.rule)
    folder = (options.directory or Path()) / SESSIONS / rule.spec.rule
    stories, problems = _stories(folder)
    if not stories:
        raise ConfigError(f"No session of rule {rule.name} lies in {folder}: its script was not written here.")
    output = options.output or Path(f"{rule.name}.inspect.json")
    log = eval_log(rule.name, stories)
    lock.write_atomically(output, json.dumps(log, indent=2, ensure_ascii=False))
    return output, problems


def _stories(folder: Path) -> tuple[Sequence[Story], list[str]]:
    """The sessions in a folder, in the order of time, and what is wrong with them."""
    found = [read_session(file) for file in sorted(folder.glob("*/events.jsonl"))]
    problems = [problem for story in found for problem in story.problems]
    return [story for story in found if story.events], problems
