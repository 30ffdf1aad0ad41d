"""What scripted models write: one script per rule, and one that suits nearly every rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.loopback import Asked
from tests.workflow.project import APPROVE, fenced

_RULE = re.compile(r"What the rule '(\w+)' asks for")

WITNESS = """
import json
from pathlib import Path


def text(path):
    path = Path(path)
    return {member.name: member.read_text() for member in sorted(path.iterdir())} if path.is_dir() else path.read_text()


def named(files):
    return [[name, str(value)] for name, value in files._allitems()]


seen = {
    "rule": snakemake.rule,
    "input": named(snakemake.input),
    "output": named(snakemake.output),
    "params": [[name, repr(value)] for name, value in snakemake.params._allitems()],
    "wildcards": named(snakemake.wildcards),
    "log": named(snakemake.log),
    "threads": snakemake.threads,
    "resources": {name: snakemake.resources[name] for name in ("runtime", "odd") if name in snakemake.resources.keys()},
    "config": snakemake.config,
    "contents": [text(path) for path in snakemake.input],
}
for path in map(Path, snakemake.output):
    if path.suffix == ".done":
        continue
    if not path.suffix:
        path.mkdir(exist_ok=True)
        path = path / "seen.json"
    path.write_text(json.dumps(seen, indent=1, default=str) + "\\n")
for path in snakemake.log:
    Path(path).write_text("seen\\n")
"""
"""Writes what it saw of its job into every output; a name without suffix is a directory, `.done` is not written."""


def rule_of(asked: Asked) -> str:
    """The rule that a request is about."""
    found = _RULE.search(asked.text)
    return found[1] if found else ""


def by_rule(scripts: Mapping[str, str] | None = None, default: str = WITNESS) -> Callable[[Asked], str]:
    """A model that writes each rule's own script, and approves everything."""
    known = dict(scripts or {})

    def answer(asked: Asked) -> str:
        return APPROVE if asked.role == "supervisor" else fenced(known.get(rule_of(asked), default))

    return answer
