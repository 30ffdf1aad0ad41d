"""Probes and slices from the Snakefile to the lock, with real Snakemake, sandbox and files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
import yaml

from snakemake_executor_plugin_llmagent.probes.usual import TOO_LONG
from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team

EVENTS = 2000
RIGHT = """
import json
import uproot
events = uproot.open(snakemake.input.data)["events"].arrays(library="np")
mass, weight = events["m_yy"], events["weight"].astype(float)
if len(mass) == 0:
    raise ValueError(f"{snakemake.input.data} has no events")
window = (mass > snakemake.params.low) & (mass < snakemake.params.high)
print("seen", len(mass))
result = {"n_events": int(window.sum()), "yield": float(weight[window].sum()),
          "yield_error": float((weight[window] ** 2).sum() ** 0.5)}
with open(snakemake.output.result, "w") as file:
    json.dump(result, file)
"""
UNWEIGHTED = RIGHT.replace(
    '"yield": float(weight[window].sum())', '"yield": snakemake.params.expected * float(window.mean())'
).replace(
    "(weight[window] ** 2).sum() ** 0.5",
    "snakemake.params.expected * (window.mean() / len(mass)) ** 0.5 + 0.0 * float(weight[window].sum())",
)
INVENTED = """
import json
import uproot
from scipy.stats import norm
tree = uproot.open(snakemake.input.data)["events"]
branches = tree.keys()
assert "m_yy" in branches and "weight" in branches
low, high, total = snakemake.params.low, snakemake.params.high, snakemake.params.expected
share = float(norm.cdf(high, 125.0, 10.0) - norm.cdf(low, 125.0, 10.0))
print("branches", branches)
result = {"n_events": round(total * share), "yield": total * share, "yield_error": 0.03 * total * share}
with open(snakemake.output.result, "w") as file:
    json.dump(result, file)
"""
SNAKEFILE = """
rule count:
    input: data="data.root"
    output: result="result.json"
    params: low=120.0, high=130.0, expected=1800.0
    agent: "the weighted yield between low and high", OPTIONS
"""


@pytest.fixture
def sample(project: Project) -> Project:
    generator = np.random.default_rng(1)
    columns = {
        "m_yy": generator.normal(125.0, 10.0, EVENTS),
        "weight": generator.uniform(0.5, 1.5, EVENTS).astype("f4"),
    }
    with uproot.recreate(project / "data.root") as file:
        file.mktree("events", {name: values.dtype for name, values in columns.items()})
        file["events"].extend(columns)
    return project


def asks(project: Project, options: str) -> None:
    project.snakefile(SNAKEFILE.replace(", OPTIONS", f", {options}" if options else ""))


def found(project: Project, rule: str = "count") -> list[list[str]]:
    """The errors of each attempt."""
    return [
        [finding["check"] for finding in event["findings"] if finding["severity"] == "error"]
        for event in project.events(rule)
        if event["event"] == "attempt"
    ]


def evidence(project: Project, rule: str = "count") -> dict[str, Any]:
    locked: dict[str, Any] = yaml.safe_load(project.read(f"agents/{rule}.lock.yaml"))
    kept: dict[str, Any] = locked["evidence"]
    return kept


def test_a_script_that_ignores_weights_is_caught(sample: Project) -> None:
    asks(sample, "probes=[scale_weights(2), half_events(), empty_input]")
    with ScriptedModel(team(UNWEIGHTED, RIGHT)) as server:
        sample.uses(server)
        done = sample.run()
        assert done, done.output
        second = [asked for asked in server.requests if asked.role == "coder"][1]
    assert found(sample) == [["probe.scale_weights"], []]
    assert "With all weights (`weight`) doubled, `yield` stays" in second.text
    assert "the weights are not used" in second.text
    passed = dict.fromkeys(("scale_weights(2)", "half_events", "empty_input"), "passed")
    shown = evidence(sample)["probes"]
    assert {name: shown[name] for name in passed} == passed
    last = [event for event in sample.events("count") if event["event"] == "attempt"][-1]
    assert last["evidence"]["probes"] == shown


def test_invented_numbers_are_caught_without_being_asked_for(sample: Project) -> None:
    asks(sample, "")
    with ScriptedModel(team(INVENTED, RIGHT)) as server:
        sample.uses(server)
        done = sample.run()
        assert done, done.output
        second = [asked for asked in server.requests if asked.role == "coder"][1]
    first, second_try = found(sample)
    assert first[0] == "probe.half_events" and set(first) <= {"probe.half_events", "probe.scale_weights"}
    assert second_try == []
    assert "With 1,000 of 2,000 events, not one of the 3 numbers in the outputs changes" in second.text
    shown = evidence(sample)["probes"]
    assert shown["half_events"] == "passed"
    # These are made only if there is time for them, which a busy machine may not have.
    assert set(shown) >= {"half_events", "scale_weights", "drop_branch"}
    assert {shown["scale_weights"], shown["drop_branch"]} <= {"passed", f"not applied: {TOO_LONG}"}
    assert sample.json("result.json")["n_events"] > 0


def test_a_rule_may_want_none(sample: Project) -> None:
    asks(sample, "probes=[]")
    with ScriptedModel(team(INVENTED)) as server:
        sample.uses(server)
        done = sample.run()
    assert done, done.output
    assert "probes" not in evidence(sample)


def test_numbers_that_differ_from_run_to_run_are_caught(sample: Project) -> None:
    asks(sample, "probes=[], checks=[stable_seed]")
    # Texts have another hash in every process.
    toys = RIGHT.replace('"n_events"', '"bin": hash("m_yy") % 100_003, "n_events"')
    with ScriptedModel(team(toys, RIGHT)) as server:
        sample.uses(server)
        done = sample.run()
    assert done, done.output
    assert found(sample) == [["probe.stable_seed"], []]
    assert evidence(sample)["probes"] == {"stable_seed": "passed"}


def test_a_response_that_makes_no_sense_is_refused_before_a_model_is_asked(sample: Project) -> None:
    asks(sample, 'probes=[half_events(response="fails_clearly")]')
    with ScriptedModel(team(RIGHT)) as server:
        sample.uses(server)
        done = sample.run()
        assert not done and server.requests == []
    assert "demands the response 'fails_clearly', but it can be moves, scales, invariant" in done.output


# --- slices ---------------------------------------------------------------------------------------------------------

MANY = 300_000
SUM = """
import json
import pyarrow.parquet as pq
table = pq.read_table(snakemake.input[0])
print("seen", len(table))
x = table["x"].to_numpy()
with open(snakemake.output[0], "w") as file:
    json.dump({"n_events": len(x), "total": float(x.sum())}, file)
"""
CRASH = SUM + 'raise ValueError(f"{x.max()} is too small")\n'
SUM_SNAKEFILE = """
rule total:
    input: "in.parquet"
    output: "out.json"
    agent: "the sum of column x", OPTIONS
"""


@pytest.fixture
def many(project: Project) -> Project:
    pq.write_table(pa.table({"x": np.random.default_rng(1).random(MANY)}), project / "in.parquet")
    project.snakefile(SUM_SNAKEFILE.replace(", OPTIONS", ""))
    return project


def seen(project: Project) -> list[int]:
    """How many entries the last run of each attempt saw."""
    attempts = [event for event in project.events("total") if event["event"] == "attempt"]
    folder = max((project / ".snakemake/llmagent/sessions/total").iterdir())
    return [int((folder / event["log"]).read_text().partition("seen ")[2].split()[0]) for event in attempts]


def test_a_script_that_fails_has_seen_a_fraction_of_a_large_input(many: Project) -> None:
    with ScriptedModel(team(CRASH, SUM)) as server:
        many.uses(server)
        done = many.run()
        assert done, done.output
        second = [asked for asked in server.requests if asked.role == "coder"][1]
    assert seen(many) == [50_000, MANY]
    label = "the first 50,000 of 300,000 entries of `in.parquet`"
    assert f"On {label}: The script ended with exit status 1: ValueError" in second.text
    assert f"the script is tried on {label}" in done.output
    assert many.json("out.json")["n_events"] == MANY
    kept = evidence(many, "total")
    assert kept["slices"] == {"first": label}
    assert kept["probes"]["half_events"] == "passed"
    assert not list((many / ".snakemake/llmagent/stages").iterdir())


def test_the_size_of_a_slice_can_be_chosen(many: Project) -> None:
    with ScriptedModel(team(CRASH, SUM)) as server:
        many.uses(server)
        done = many.run("--llmagent-slice", "1000")
    assert done, done.output
    assert seen(many) == [1000, MANY]
    assert evidence(many, "total")["slices"] == {"first": "the first 1,000 of 300,000 entries of `in.parquet`"}


def test_a_rule_may_want_no_slices(many: Project) -> None:
    many.snakefile(SUM_SNAKEFILE.replace("OPTIONS", "slice=0"))
    with ScriptedModel(team(CRASH, SUM)) as server:
        many.uses(server)
        done = many.run("--llmagent-slice", "1000")
    assert done, done.output
    assert seen(many) == [MANY, MANY] and "slices" not in evidence(many, "total")
