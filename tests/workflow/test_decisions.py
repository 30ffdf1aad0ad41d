"""Decisions from the rule to the request, the lock and the spread of results, with real Snakemake and sandbox."""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.loopback import Asked, ScriptedModel
from tests.workflow.project import APPROVE, LLMAGENT, Project, fenced

SNAKEFILE = """
rule all:
    input: expand("fit_{sample}.json", sample=["a", "b"])

rule peak:
    input: data="{sample}.csv"
    output: fit="fit_{sample}.json"
    agent: "find the mean mass of the events in a range", decide={"scale": 1.5}
"""
SCRIPT = """
import json
import numpy as np

RANGE = (110, 140)  # GeV
BINS = 30
SCALE = 1.5

mass = np.loadtxt(snakemake.input.data, skiprows=1) * SCALE / 1.5
if BINS > 1000:
    raise ValueError(f"{BINS} bins are too many")
counts, edges = np.histogram(mass, bins=BINS, range=RANGE)
centres = (edges[1:] + edges[:-1]) / 2
mean = float((counts * centres).sum() / counts.sum())
spread = float(np.sqrt((counts * (centres - mean) ** 2).sum() / counts.sum()))
error = spread / counts.sum() ** 0.5
json.dump({"parameters": {"mean": {"value": mean, "error": float(error)}}}, open(snakemake.output.fit, "w"))
"""
DECISIONS = """\
```yaml
decisions:
  - name: RANGE
    value: [110, 140]
    unit: GeV
    alternatives: [[105, 145], [115, 135]]
  - name: BINS
    value: 30
    alternatives: [15, 5000]
  - name: METHOD
    value: mean of bin centres
    alternatives: [fit]
```

"""


def writes(asked: Asked) -> str:
    return APPROVE if asked.role == "supervisor" else DECISIONS + fenced(SCRIPT)


@pytest.fixture
def peak(project: Project) -> Project:
    import numpy as np

    project.snakefile(SNAKEFILE)
    random = np.random.default_rng(1)
    for sample, place in (("a", 125.0), ("b", 124.0)):
        mass = np.concatenate([random.normal(place, 2, 300), 100 + random.exponential(30, 700)])
        project.write(f"{sample}.csv", "m\n" + "\n".join(f"{value:.3f}" for value in mass) + "\n")
    return project


def by_hand(path: Path, low: float, high: float, bins: int) -> float:
    """The number that the script has to come to."""
    import numpy as np

    counts, edges = np.histogram(np.loadtxt(path, skiprows=1), bins=bins, range=(low, high))
    return float((counts * (edges[1:] + edges[:-1]) / 2).sum() / counts.sum())


def vary(project: Project, *arguments: str) -> Any:
    done = subprocess.run(
        (*LLMAGENT, "vary", "peak", "--json", *arguments), cwd=project.root, env=project.environment(),
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_from_the_rule_to_the_spread(peak: Project) -> None:
    with ScriptedModel(writes) as server:
        peak.uses(server)
        early = peak.llmagent("vary", "peak", "sample=a")
        assert early.returncode == 5 and "missing" in early.output
        done = peak.run()
        assert done, done.output
        for asked in server.requests:  # the coder's, and the reviewer's
            assert "The rule decides the following itself" in asked.text and "SCALE = 1.5" in asked.text
    lock = yaml.safe_load(peak.read("agents/peak.lock.yaml"))
    assert {"name": "SCALE", "value": 1.5, "reason": "the rule decides it", "pinned": True} in lock["decisions"]
    assert not any(entry.get("pinned") for entry in lock["decisions"] if entry["name"] != "SCALE")
    before = {name: peak.read(name) for name in ("agents/peak.py", "fit_a.json")}

    told = vary(peak)
    assert told["wildcards"] == {"sample": "a"}
    assert [run["label"] for run in told["runs"]] == [
        "nominal", "RANGE = (105, 145)", "RANGE = (115, 135)", "BINS = 15", "BINS = 5000",
    ]  # fmt: skip
    data = peak / "a.csv"
    wanted = [by_hand(data, *cuts) for cuts in ((110, 140, 30), (105, 145, 30), (115, 135, 30), (110, 140, 15))]
    (mean,) = [number for number in told["numbers"] if number["name"] == "parameters.mean.value"]
    assert mean["result"] and mean["nominal"] == pytest.approx(wanted[0], rel=1e-12)
    assert mean["values"][:3] == pytest.approx(wanted[1:], rel=1e-12) and mean["values"][3] is None
    assert mean["spread"] == pytest.approx(max(wanted) - min(wanted))
    assert mean["standard_deviation"] == pytest.approx(statistics.stdev(wanted))
    assert mean["differences"][0] == pytest.approx(wanted[1] - wanted[0])
    assert "5000 bins are too many" in told["runs"][4]["problem"]
    assert set(told["not_varied"]) == {"METHOD", "SCALE"}
    folder = peak / ".snakemake/llmagent/vary/peak"
    assert {path.name for path in folder.iterdir()} == {"spread.csv", "spread.md", "spread.png"}
    assert {name: peak.read(name) for name in before} == before, "nothing of the workflow changes"
    assert not list((peak / ".snakemake/llmagent/stages").iterdir())

    shown = peak.llmagent("vary", "peak", "sample=b", "--decision", "range", "bins", "--all", "--output", "spread")
    assert shown and "peak: 8 combinations of 2 decisions (sample=b)" in shown.output, shown.output
    assert "RANGE = (105, 145), BINS = 15" in shown.output
    assert f"{by_hand(peak / 'b.csv', 110, 140, 30):.2f}"[:6] in shown.output
    assert all(len(line) <= 80 for line in shown.output.splitlines() if not line.startswith("llmagent: "))
    assert (peak / "spread/spread.png").exists()

    for words, said in (
        (("place=a",), "has no wildcard 'place'"),
        (("a",), "WILDCARD=VALUE"),
        (("sample=c",), "c.csv"),
        (("--decision", "rang"), "Did you mean RANGE"),
    ):
        wrong = peak.llmagent("vary", "peak", *words)
        assert wrong.returncode == 2 and said in wrong.output, wrong.output

    peak.snakefile(SNAKEFILE.replace("1.5", "1.6"))
    assert peak.states() == {"peak": "stale"}
    peak.snakefile(SNAKEFILE.replace('"scale"', '"SCALE"'))
    assert peak.states() == {"peak": "frozen"}


def test_a_blinded_rule_is_not_varied(peak: Project) -> None:
    peak.snakefile(SNAKEFILE.replace('decide={"scale": 1.5}', 'blind={"m": (120, 130)}'))
    peak.write("agents/peak.py", SCRIPT)
    refused = peak.llmagent("vary", "peak")
    assert refused.returncode == 5 and "llmagent unblind peak" in refused.output, refused.output


def test_a_script_that_fails_as_it_is(peak: Project) -> None:
    peak.write("agents/peak.py", "raise ValueError('no luck')\n")
    done = peak.llmagent("vary", "peak")
    assert done.returncode == 1 and "failed: ValueError: no luck" in done.output, done.output
