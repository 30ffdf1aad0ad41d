from __future__ import annotations

from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.checks import run_checks, static_checks, stops
from snakemake_executor_plugin_llmagent.config import REDACTED
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity
from tests.unit.support import SCRIPT, a_job, a_spec, a_trial, names

USES = "snakemake.input.data, snakemake.output.fit\n"


def found(source: str, wildcards: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    trial = a_trial(Path("/stage"), source=source, spec=a_spec(wildcards=wildcards), layout=None, execution=None)
    return run_checks(static_checks(), trial)


@pytest.mark.parametrize(
    "source",
    [
        SCRIPT,
        "data = snakemake.input[0]\nsnakemake.output[0]\n",
        "for path in snakemake.input:\n    print(path, snakemake.output['fit'])\n",
        f"text = 'from __future__ import annotations'\n# from __future__ import x\n{USES}",
        f"title = '$m_{{\\gamma\\gamma}}$'\n{USES}",
        USES.replace("\n", "\r\n"),
    ],
)
def test_sound_scripts(source: str) -> None:
    assert found(source) == ()


@pytest.mark.parametrize(
    ("source", "check", "message"),
    [
        (f"x = (\n{USES}", "script.syntax", "in line 1: `x = (`"),
        (f"{USES}def f():\nreturn 1\n", "script.syntax", "in line 3"),
        (f"{USES}x = 1\0", "script.syntax", "null bytes"),
        (f"{USES}x = '\ud800'\n", "script.syntax", "UTF-8"),
        (USES + "-" * 100_000 + "1\n", "script.syntax", "nested too deeply"),
        (f"{USES}print 'hello'\n", "script.syntax", "print"),
        (f"{USES}x = '\x1b[2J\n", "script.syntax", "\\x1b"),
        (f"from __future__ import annotations\n{USES}", "script.future_import", "Leave out"),
        (f'"""Fits."""\nfrom __future__ import annotations\n{USES}', "script.future_import", "Leave out"),
        (f"client('{REDACTED}')\n{USES}", "script.key", "leave it out"),
    ],
)
def test_scripts_that_cannot_run(source: str, check: str, message: str) -> None:
    findings = found(source)
    assert names(findings) == [check]
    assert message in findings[0].message
    assert stops(findings)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("open('data.txt'), open('results/fit.txt', 'w')", "`snakemake.input`, `snakemake.output`"),
        ("open('data.txt'), snakemake.output.fit", "`snakemake.input`"),
        ("snakemake.input.data, open('results/fit.txt', 'w')", "`snakemake.output`"),
        ("# snakemake.input, snakemake.output\n", "`snakemake.input`, `snakemake.output`"),
        ("x.snakemake.input, y.output\n", "`snakemake.input`, `snakemake.output`"),
    ],
)
def test_paths_that_are_written_into_the_script(source: str, missing: str) -> None:
    """With one job this is bad style; with wildcards the script would serve one job only."""
    for wildcards, severity in (((), Severity.WARNING), (("sample",), Severity.ERROR)):
        findings = found(source, wildcards)
        assert names(findings) == ["script.paths"]
        assert f"does not use {missing}." in findings[0].message
        assert findings[0].severity is severity


def test_a_rule_without_inputs_or_outputs_needs_none() -> None:
    spec = a_spec(wildcards=("seed",))
    without_input = a_trial(Path("/stage"), spec=spec, source="snakemake.output.fit", job=a_job(Path("/"), inputs=()))
    without_output = a_trial(Path("/stage"), spec=spec, source="snakemake.input.data", job=a_job(Path("/"), outputs=()))
    for trial in (without_input, without_output):
        assert run_checks(static_checks(), trial) == ()
