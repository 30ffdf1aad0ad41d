"""What tests of the checks of syntax trees share: candidates in a few lines, and inputs that are described in words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from snakemake_executor_plugin_llmagent.checks import run_checks
from snakemake_executor_plugin_llmagent.checks.static import tree_checks
from snakemake_executor_plugin_llmagent.protocols import (
    Column,
    Describe,
    FileDescription,
    Finding,
    Item,
    Severity,
    Table,
    Trial,
)
from snakemake_executor_plugin_llmagent.spec import Document
from tests.unit.support import a_job, a_spec, a_trial

IMPORTS = """\
import json
import random
from pathlib import Path

import awkward as ak
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import uproot
from iminuit import Minuit
from scipy.optimize import curve_fit, minimize
from scipy.stats import chi2, norm

"""
LINES = IMPORTS.count("\n")


def trial(
    source: str,
    text: str = "fit the mass",
    *,
    inputs: Sequence[str] = ("data.root",),
    outputs: Sequence[str] = ("fit.json", "plot.png"),
    context: str = "",
    decisions: Sequence[Mapping[str, object]] = (),
    params: Mapping[str, object] | None = None,
    decide: Mapping[str, object] | None = None,
) -> Trial:
    """A candidate that was not run; imports stand in front of its source."""
    spec = a_spec(
        text=text, params=tuple(params or ()), decide=decide or {},
        context=(Document(label="notes.md", path=Path("/notes.md"), text=context),) if context else (),
    )  # fmt: skip
    job = a_job(
        Path("/project"), inputs=tuple(Item(name=None, path=path) for path in inputs),
        outputs=tuple(Item(name=None, path=path) for path in outputs), params=params or {},
    )  # fmt: skip
    return a_trial(
        Path("/stage"), spec=spec, job=job, source=IMPORTS + textwrap.dedent(source), decisions=tuple(decisions),
        layout=None, execution=None,
    )  # fmt: skip


UNUSED = frozenset({"script.unused_column", "script.unused_param", "script.unused_constant"})
"""What is told of all that reaches no output: of most pieces of scripts in tests, which end before they write."""


def found(candidate: Trial, describe: Describe | None = None) -> tuple[Finding, ...]:
    """What the checks of the syntax tree say of a piece of a script, but for what it leaves unused."""
    return tuple(each for each in run_checks(tree_checks(describe), candidate) if each.check not in UNUSED)


def unused(candidate: Trial) -> tuple[Finding, ...]:
    """What a whole script leaves unused."""
    return tuple(each for each in run_checks(tree_checks(None), candidate) if each.check in UNUSED)


def told(findings: Sequence[Finding]) -> set[tuple[str, str]]:
    """Names and severities of findings."""
    return {(finding.check, str(finding.severity)) for finding in findings}


def error(check: str) -> set[tuple[str, str]]:
    """What is told if one check stops a candidate and no other says anything."""
    return {(check, str(Severity.ERROR))}


def warning(check: str) -> set[tuple[str, str]]:
    """What is told if one check warns and no other says anything."""
    return {(check, str(Severity.WARNING))}


def holding(*names: str, form: str = "root", table: str = "events", note: str | None = None) -> Describe:
    """Inputs that all hold a table with these columns."""
    columns = tuple(Column(name=name, type="float32") for name in names)

    def describe(path: Path) -> FileDescription:
        return FileDescription(
            path=path, format=form, size_bytes=1,
            tables=(Table(name=table, kind="TTree", entries=10, columns=columns, note=note),),
        )  # fmt: skip

    return describe
