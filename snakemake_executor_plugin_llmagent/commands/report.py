"""The command `llmagent report`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.commands.pages import eyes, workflow_of
from snakemake_executor_plugin_llmagent.commands.rules import Add
from snakemake_executor_plugin_llmagent.text import clean

REPORT = "Write one HTML page that shows how the scripts of agent rules came about, and what speaks for them."
OUTPUT = Path("llmagent-report.html")
EXAMPLES = """\
examples:
  llmagent report                          all agent rules, on one page
  llmagent report fit_myy -o fit.html      one of them
  llmagent report && xdg-open llmagent-report.html
"""


def add_report(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    report = add("report", run, REPORT)
    report.add_argument("rules", nargs="*", metavar="RULE", help="which agent rules; by default all")
    report.epilog = EXAMPLES
    report.add_argument(
        "-o", "--output", type=Path, default=OUTPUT, metavar="FILE", help=f"where the page goes; default: {OUTPUT}"
    )


def run(options: argparse.Namespace) -> int:
    """Write the page; returns the exit status."""
    from snakemake_executor_plugin_llmagent.report.build import build
    from snakemake_executor_plugin_llmagent.report.page import render

    output: Path = options.output.absolute()
    facts = workflow_of(options)
    with eyes(facts.workdir) as looking:
        page = build(facts, looking)
    text = render(page)
    lock.write_atomically(output, text)
    rules, size = facts.chosen, len(text.encode())
    if options.json:
        told = {"file": str(output), "bytes": size, "rules": list(rules), "attempts": page.attempts}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        what = f"{len(rules)} agent rule{'s' * (len(rules) != 1)}, {page.attempts} attempts, {size / 1e6:.1f} MB"
        print(clean(f"{options.output}: {what}. Open it in a browser; it needs nothing else."))
    return 0
