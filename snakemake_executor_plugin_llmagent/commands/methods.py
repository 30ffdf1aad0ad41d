"""The command `llmagent methods`."""

from __future__ import annotations

import argparse
import json

from snakemake_executor_plugin_llmagent.commands.pages import workflow_of
from snakemake_executor_plugin_llmagent.commands.rules import Add

METHODS = "Print paragraphs and tables for an analysis note: what models wrote, how it was checked, who approved it."

EXAMPLES = """\
examples:
  llmagent methods > methods.md            paragraphs and tables, as Markdown
  llmagent methods --format latex fit_myy  one rule, as LaTeX
  llmagent methods --json                  the facts, for programs
"""


def add_methods(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    methods = add("methods", run, METHODS)
    methods.add_argument("rules", nargs="*", metavar="RULE", help="which agent rules; by default all")
    methods.epilog = EXAMPLES
    methods.add_argument("--format", choices=("markdown", "latex"), default="markdown", help="default: markdown")


def run(options: argparse.Namespace) -> int:
    """Print the paragraphs; returns the exit status."""
    from snakemake_executor_plugin_llmagent.report.latex import latex
    from snakemake_executor_plugin_llmagent.report.markdown import markdown
    from snakemake_executor_plugin_llmagent.report.methods import as_json, methods

    facts = workflow_of(options)
    if options.json:
        print(json.dumps({"rules": as_json(facts)}, indent=2))
    else:
        write = latex if options.format == "latex" else markdown
        print(write(methods(facts)), end="")
    return 0
