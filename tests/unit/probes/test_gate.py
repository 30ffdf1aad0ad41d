"""The gate of probes on scripts that are right, and on scripts that only look so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.asked import probes_of
from snakemake_executor_plugin_llmagent.host.names import PROBE, Named
from snakemake_executor_plugin_llmagent.probes import usual
from snakemake_executor_plugin_llmagent.probes.catalogue import PROBES
from snakemake_executor_plugin_llmagent.protocols import Item, Severity
from snakemake_executor_plugin_llmagent.spec import Call
from snakemake_executor_plugin_llmagent.trials import Evidence, Slice, StandIn
from tests.unit.probes.support import READ, RIGHT, START, Place, call, events
from tests.unit.support import names


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    # So that no probe is left out for want of time: the machine may be busy.
    monkeypatch.setattr(usual, "LEAST", 60.0)
    events(tmp_path / "in.parquet")
    return Place(tmp_path)


def severities(evidence: Evidence) -> dict[str, Severity]:
    return {finding.check: finding.severity for finding in evidence.findings}


# --- the usual probes -----------------------------------------------------------------------------------------------


def test_a_right_script_passes_the_usual_probes_on_few_events(place: Place) -> None:
    evidence = place.judge(RIGHT)
    assert evidence.findings == ()
    assert evidence.results == {"half_events": "passed", "scale_weights": "passed", "drop_branch": "passed"}
    assert place.asked == ["alter"], "numbers in short JSON need no process of their own"
    assert len(place.ran) == 2, "the trial, and all probes together"
    assert not list(place.root.glob("bench-*"))


def test_numbers_that_do_not_come_from_the_events_are_an_error(place: Place) -> None:
    evidence = place.judge(READ + "write(n_events=4000, **{'yield': 3998.2})")
    assert severities(evidence)["probe.half_events"] is Severity.ERROR
    message = evidence.findings[0].message
    assert "With 1,000 of 4,000 events, not one of the 2 numbers in the outputs changes" in message
    assert "`n_events` stays 4000" in message and "whichever they are" in message
    assert evidence.results["half_events"] == message


@pytest.mark.parametrize(
    "script",
    [
        READ + "write(columns=table.num_columns, first_mass=bool(mass[0] > 0))",  # nothing that counts events
        READ + "write(n_runs=0, **{'yield': 0.0})",  # a selection that leaves nothing
    ],
)
def test_a_script_that_may_be_right_is_warned_at_most(place: Place, script: str) -> None:
    evidence = place.judge(script)
    assert all(severity is Severity.WARNING for severity in severities(evidence).values())
    assert "nothing has to change" in evidence.findings[0].message


def test_a_largest_value_is_looked_for_among_other_events_too(place: Place) -> None:
    evidence = place.judge(READ + "write(n_first=int(table['run'].to_numpy().min()) + 7)")
    assert evidence.results["half_events"] == "passed"


def test_a_script_that_needs_more_events_is_not_judged(place: Place) -> None:
    script = READ + "assert len(mass) > 3000, 'too few events for a fit'\nwrite(n_events=4000)"
    evidence = place.judge(script)
    assert evidence.findings == ()
    assert "not judged: with 1,000 of 4,000 events, it failed with" in str(evidence.results["half_events"])
    assert "too few events" in str(evidence.results["half_events"])


def test_other_inputs_or_outputs_that_are_not_seen_through_make_it_a_warning(place: Place) -> None:
    (place.root / "config.json").write_text('{"expected": 102.3}')
    place.inputs = (*place.inputs, Item(name="config", path="config.json"))
    script = READ + "write(expected=json.load(open(snakemake.input.config))['expected'], n_used=len(weight) // 99999)"
    assert severities(place.judge(script))["probe.half_events"] is Severity.WARNING


def test_an_output_that_holds_no_numbers_counts_by_its_bytes(place: Place) -> None:
    place.outputs = (*place.outputs, Item(name="model", path="model.pkl"))
    trained = READ + "open(snakemake.output.model, 'wb').write(mass.tobytes())\nwrite(n_trees=100)"
    assert severities(place.judge(trained))["probe.half_events"] is Severity.WARNING


def test_an_output_whose_numbers_stay_is_noticed(place: Place) -> None:
    place.outputs = (*place.outputs, Item(name="limits", path="limits.json"))
    script = RIGHT + "\njson.dump({'observed': 3.2, 'expected': 4.1}, open(snakemake.output.limits, 'w'))"
    evidence = place.judge(script)
    assert severities(evidence) == {"probe.half_events": Severity.WARNING}
    assert "no number in `limits.json` changes" in evidence.findings[0].message


def test_weights_without_effect_are_a_warning(place: Place) -> None:
    evidence = place.judge(READ + "write(n_events=len(mass), mean=float(mass.mean()))")
    assert severities(evidence) == {"probe.scale_weights": Severity.WARNING}
    message = evidence.findings[0].message
    assert "With the weights (`weight`) of every second event doubled in all 4,000 events, nothing" in message
    assert "the weights have no effect" in message and "nothing has to change" in message


def test_weights_without_effect_are_an_error_where_the_sentence_speaks_of_them(place: Place) -> None:
    script = READ + "write(n_events=len(mass), mean=float(mass.mean()))"
    evidence = place.judge(script, text="the weighted mean of m_yy")
    assert severities(evidence) == {"probe.scale_weights": Severity.ERROR}
    named = place.judge(script, text="the weighted mean of m_yy", probes=(call("half_events"),))
    assert severities(named) == {"probe.scale_weights": Severity.ERROR}, "also beside probes that a rule names"


LISTED = START + "mass, run, weight = (table[name].to_numpy() for name in ('m_yy', 'run', 'weight'))\n"
RUNS = "the sum of weights, and the mean m_yy, of events with run > 3"


@pytest.mark.parametrize(
    ("use", "caught"),
    [
        ("mass > 0", True),
        ("run > 3", False),
        ("run >= 0", False),  # nothing is cut away here, but with other values something would be
        ("(mass > 0) | bool(1 / (run[0] != 12345))", True),
    ],
)
def test_a_column_without_effect_is_an_error_if_it_is_asked_for(place: Place, use: str, caught: bool) -> None:
    script = LISTED + f"cut = {use}\nwrite(**{{'yield': float(weight[cut].sum()), 'mean': float(mass[cut].mean())}})"
    evidence = place.judge(script, text=RUNS)
    assert severities(evidence) == ({"probe.permute_column": Severity.ERROR} if caught else {})
    if caught:
        assert "With other values of `run` in all 4,000 events, nothing in the outputs changes" in (
            evidence.findings[0].message
        )
    others = place.judge(script, text="the sum of weights, and the mean m_yy")
    assert others.findings == (), "nobody asks for it"


def test_a_sign_without_effect_is_an_error(place: Place) -> None:
    path = place.root / "in.parquet"
    table = pq.read_table(path)
    signs = np.where(np.arange(len(table)) % 7, 1.0, -1.0)
    pq.write_table(table.set_column(1, "weight", pa.array(table["weight"].to_numpy() * signs)), path)
    text = "the sum of weights"
    script = READ + "write(**{'yield': float(abs(weight).sum())})"
    assert severities(place.judge(script, text=text)) == {"probe.turned_weights": Severity.ERROR}
    assert place.judge(script, text="the sum of the absolute weights").findings[0].severity is not Severity.ERROR
    assert place.judge(RIGHT, text=text).findings == ()


@pytest.mark.parametrize(
    ("use", "params", "caught"),
    [
        ("118.0", {"lowest": 118.0}, True),
        ("snakemake.params.lowest", {"lowest": 118.0}, False),
        ("snakemake.params.lowest", {"lowest": -1e6}, False),  # nothing is cut away here
        ("118.0", {"lowest": 118.0, "seed": 3, "max_events": 10_000, "title": "m"}, True),
        ("118.0", {"seed": 3, "max_events": 10_000, "title": "m", "logarithmic": True}, False),
    ],
)
def test_a_parameter_without_effect_is_an_error_if_it_is_asked_for(
    place: Place, use: str, params: dict[str, Any], caught: bool
) -> None:
    place.params = params
    written = ", lowest=snakemake.params.lowest" if "lowest" in params else ""
    script = READ + f"cut = mass > {use}\nwrite(n_events=int(cut.sum()), s=float(weight[cut].sum()){written})"
    evidence = place.judge(script, text="count events with m_yy > params.lowest")
    assert severities(evidence) == ({"probe.double_param": Severity.ERROR} if caught else {})
    if caught:
        assert evidence.findings[0].message.startswith(
            "With params.lowest doubled, halved, 0, ten times as large or negative"
        )
        elsewhere = place.judge(script, text="count events")
        assert severities(elsewhere) == {"probe.double_param": Severity.WARNING}


def test_a_background_that_does_not_come_from_the_events_is_an_error(place: Place) -> None:
    script = READ + "write(observed=int((abs(mass - 125) < 5).sum()), background=1163.0, z_obs=float(len(mass)) ** 0.5)"
    evidence = place.judge(script, probes=(call("half_events"),))
    assert severities(evidence) == {"probe.half_events": Severity.ERROR}
    assert "`background` stays 1163 although what was observed changes" in evidence.findings[0].message


def test_a_limit_that_does_not_come_from_the_data_is_an_error(place: Place) -> None:
    events(place.root / "mc.parquet")
    place.inputs = (Item(name="data", path="in.parquet"), Item(name="mc", path="mc.parquet"))
    script = READ + (
        "expected = float(pq.read_table(snakemake.input.mc)['weight'].to_numpy().sum())\n"
        "write(observed=LIMIT, expected={'0': expected / 3}, counts={'observed': len(mass), 'background': expected})"
    )
    evidence = place.judge(script.replace("LIMIT", "expected / 2"))
    assert severities(evidence)["probe.half_of_data"] is Severity.ERROR
    assert "`observed` stays" in next(f.message for f in evidence.findings if f.check == "probe.half_of_data")
    assert "probe.half_of_data" not in severities(place.judge(script.replace("LIMIT", "len(mass) / expected")))


@pytest.mark.parametrize(("low", "high", "caught"), [(110, 125, True), (100, 118, False)])
def test_events_in_the_window_do_not_change_a_background_from_sidebands(
    place: Place, low: int, high: int, caught: bool
) -> None:
    script = READ + (
        "inside = int(((mass > 122) & (mass < 128)).sum())\n"
        f"beside = int(((mass >= {low}) & (mass < {high})).sum())\n"
        "write(observed=inside, background=beside / 3, z_obs=(inside - beside / 3) / 10)"
    )
    evidence = place.judge(script, text="count events with 122 < m_yy < 128, the background from a sideband")
    assert ("probe.inject_signal" in severities(evidence)) is caught
    if caught:
        assert severities(evidence)["probe.inject_signal"] is Severity.ERROR


def test_what_would_take_too_long_is_not_begun(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual, "LEAST", 0.0)
    monkeypatch.setattr(usual, "SHARE", 0.0)
    results = place.judge(RIGHT).results
    assert results["half_events"] == "passed", "this one always is"
    assert results["scale_weights"] == "not applied: it would have taken longer than half of the trial"


def test_a_script_that_leaves_files_open_is_compared_all_the_same(place: Place) -> None:
    script = READ + "file = open(snakemake.output.fit, 'w')\njson.dump({'n_events': len(mass)}, file)\nn = weight.sum()"
    assert place.judge(script).results["half_events"] == "passed"


def test_weights_that_the_script_never_names_are_left_alone(place: Place) -> None:
    script = READ.replace(', table["weight"].to_numpy().astype(float)', ", 1") + "write(n_events=len(mass))"
    results = place.judge(script).results
    assert results["scale_weights"] == "not applied: no input has a column of weights that the script names"


def test_a_missing_branch_that_is_hidden_is_a_warning(place: Place) -> None:
    hidden = START + (
        "mass = table['m_yy'].to_numpy()\n"
        "weight = table['weight'].to_numpy() if 'weight' in table.column_names else mass * 0 + 1\n"
        "write(n_events=len(mass), **{'yield': float(weight.sum())})"
    )
    evidence = place.judge(hidden)
    assert severities(evidence) == {"probe.drop_branch": Severity.WARNING}
    assert "With `weight` taken out, the script goes on as if nothing were missing" in evidence.findings[0].message


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("in.txt", "125.0\n" * 100, "no input has a table of events"),
        ("in.yaml", "mass: 125\n", "no input has a table of events"),
        ("in.json", json.dumps({"range": [105, 160]}), "no input has a table of events"),
        ("in.json", json.dumps({"bin_edges": list(range(101)), "counts": [5] * 100}), "no input has a table of events"),
        ("in.csv", "bin_low,bin_high,n\n" + "1,2,3\n" * 80, "no input has a table of events"),
        ("in.csv", "sample,xsec\nggH,48.6\nVBF,3.8\n", "no input has a table of events"),
    ],
)
def test_settings_spectra_and_models_are_left_alone(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text)
    place = Place(tmp_path, inputs=(Item(name="data", path=name),))
    evidence = place.judge("import json\njson.dump({'n_events': 1}, open(snakemake.output.fit, 'w'))")
    assert evidence.findings == () and evidence.results == {"half_events": f"not applied: {why}"}
    assert len(place.ran) == 1


def test_none_are_made_where_the_rule_wants_none(place: Place) -> None:
    evidence = place.judge(READ + "write(n_events=1)", probes=())
    assert evidence == Evidence() and place.asked == []


def test_they_are_begun_while_other_checks_are_made(place: Place) -> None:
    gate, trial = place.gate(), place.trial(RIGHT)
    assert trial.layout is not None
    begun = gate.ahead(place.task(), trial, trial.layout.stage)
    assert begun is not None
    begun.ran(trial)
    assert gate.judge(place.task(), trial).results["half_events"] == "passed"
    begun.end()
    assert len(place.ran) == 2 and not list(place.root.glob("bench-*"))
    begun = gate.ahead(place.task(), trial, trial.layout.stage)  # and are of no use if another check fails first
    assert begun is not None
    begun.ran(trial)
    begun.end()
    assert gate.judge(place.task(), trial).results["half_events"] == "passed", "they are made anew"
    begun = gate.ahead(place.task(), trial, trial.layout.stage)  # or if the trial fails
    assert begun is not None
    begun.end()
    assert not list(place.root.glob("bench-*"))


# --- probes that a rule names ---------------------------------------------------------------------------------------

ALL = (
    call("scale_weights", factor=3), call("half_events"), call("shuffle_events"), call("empty_input"),
    call("drop_branch"), call("rename_input"), call("inject_signal", mass=125, n=200),
)  # fmt: skip


def test_a_right_script_passes_all(place: Place) -> None:
    evidence = place.judge(RIGHT, probes=ALL, contracts=(Call(name="stable_seed"),))
    assert evidence.findings == ()
    assert evidence.results == {**{one.name: "passed" for one in ALL}, "stable_seed": "passed"}


def test_the_contract_of_seeds_also_holds_beside_the_usual_probes(place: Place) -> None:
    seeds = (Call(name="stable_seed"), Call(name="fit_valid"))
    assert place.judge(RIGHT, contracts=seeds).results["stable_seed"] == "passed"
    random = RIGHT.replace("n_events=len(mass)", "n_events=len(mass), toy=__import__('random').random()")
    evidence = place.judge(random, contracts=seeds)
    assert names(evidence.findings) == ["probe.stable_seed"]
    assert "With the same inputs again, `toy` goes from" in evidence.findings[0].message
    assert "Set the seeds" in evidence.findings[0].message


@pytest.mark.parametrize(
    ("probe", "script", "message"),
    [
        (
            call("scale_weights"), READ + "write(**{'yield': 0.98 * len(mass)})",
            "With all weights (`weight`) doubled, `yield` stays 3920: the weights are not used",
        ),
        (
            call("scale_weights"), READ + "write(n_events=float(weight.sum()))",
            "numbers of events must not depend on weights",
        ),
        (
            call("scale_weights"), READ + "y = float(weight.sum())\nwrite(**{'yield': y, 'yield_error': y**0.5})",
            "an error of weights is sqrt(sum of squared weights)",
        ),
        (
            call("scale_weights"), READ + "write(mean=float(mass.mean()))",
            "none of the 1 numbers in the outputs follows",
        ),
        (call("half_events"), READ + "write(n_events=4000)", "They do not come from the events"),
        (
            call("shuffle_events"), READ + "write(first=float(mass[0]))",
            "With the events in another order, `first` goes",
        ),
        (
            call("empty_input"), START + "write(mean=sum(table['m_yy'].to_pylist()) / len(table))",
            "which does not say that the input is empty",
        ),
        (
            call("empty_input"), START + "write(n_events=4000)",
            "the result still has numbers (`n_events` stays 4000)",
        ),
        (
            call("drop_branch", name="weight"),
            START + "if 'weight' not in table.column_names:\n    raise SystemExit('something is missing')\nwrite(n=1)",
            "something is missing', which does not name it",
        ),
        (call("drop_branch", name="run"), RIGHT, "nothing changes: the script does not use it"),
        (
            call("rename_input"), READ + "write(n_letters=len(snakemake.input.data.split('/')[-1]))",
            "With other names of the input files, `n_letters` goes from 10 to 11",
        ),
        (
            call("inject_signal", mass=125, n=500), READ + "write(n_events=len(mass), signal=-float(len(mass)))",
            "nothing that measures a signal goes up",
        ),
        (
            call("inject_signal", mass=125, n=500), READ + "write(n_events=4000)",
            "500 events added around `m_yy` = 125, not one of the 1 numbers",
        ),
    ],
)  # fmt: skip
def test_what_a_script_gets_wrong_is_told(place: Place, probe: Call, script: str, message: str) -> None:
    evidence = place.judge(script, probes=(probe,))
    assert [finding.severity for finding in evidence.findings] == [Severity.ERROR], evidence
    assert message in evidence.findings[0].message
    assert evidence.findings[0].check == f"probe.{probe.name}"
    assert str(evidence.results[probe.label]) in evidence.findings[0].message


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        (call("scale_weights", column="nothing"), "no input has a column of weights `nothing`"),
        (call("drop_branch", name="nothing"), "no input has a column `nothing`"),
        (call("inject_signal", mass=125, n=10, column="nothing"), "name one with `column`"),
        (call("half_events", inputs="nothing"), "no input has a table of events"),
        (call("rename_input", inputs=["nothing"]), "there is no such input"),
    ],
)
def test_what_cannot_be_applied_says_so_and_stops_nobody(place: Place, probe: Call, why: str) -> None:
    evidence = place.judge(RIGHT, probes=(probe,))
    assert evidence.findings == ()
    assert str(evidence.results[probe.label]).startswith("not applied: ")
    assert why in str(evidence.results[probe.label])


def test_a_script_that_cannot_read_copies_is_not_blamed(place: Place) -> None:
    picky = READ + (
        "import os\n"
        "if 'bench' in os.path.realpath(snakemake.input.data):\n    raise OSError('the file is not as I know it')\n"
        "write(n_events=len(mass))"
    )
    evidence = place.judge(picky, probes=(call("half_events"), call("drop_branch", name="run")))
    assert evidence.findings == ()
    for label in ("half_events", "drop_branch"):
        assert "not applied: with unaltered copies of its inputs, it failed with" in str(evidence.results[label])


def test_a_script_that_never_gives_the_same_numbers_is_told_so(place: Place) -> None:
    script = READ + "write(toy=__import__('random').random())"
    evidence = place.judge(script, probes=(call("shuffle_events"),))
    assert "With the same events again, `toy` goes from" in evidence.findings[0].message


def test_an_order_that_moves_the_last_digits_is_no_fault(place: Place) -> None:
    """Sums and fits depend on the order a little: to the declared tolerance, and relative to the error of a fit."""
    first = "float(mass[0])"
    near = READ + f"write(mu={{'value': 0.001 + 1e-9 * {first}, 'error': 1.0}}, total=1.0 + 1e-9 * {first})"
    assert place.judge(near, probes=(call("shuffle_events"),)).results == {"shuffle_events": "passed"}
    strict = place.judge(near, probes=(call("shuffle_events", tolerance=1e-12),))
    assert names(strict.findings) == ["probe.shuffle_events"]
    far = near.replace("1e-9", "1e-4")
    assert names(place.judge(far, probes=(call("shuffle_events"),)).findings) == ["probe.shuffle_events"]
    loose = place.judge(far, probes=(call("shuffle_events", tolerance=0.1),))
    assert loose.results == {"shuffle_events": "passed"}


def test_other_columns_are_taken_out_until_one_is_missed(place: Place) -> None:
    script = START + "LABEL = 'weight'\nwrite(total=sum(table['run'].to_pylist()))"
    evidence = place.judge(script, probes=(call("drop_branch"),))
    assert evidence.findings == () and evidence.results == {"drop_branch": "passed"}
    assert len(place.ran) == 4


def test_a_script_that_misses_no_column_is_not_judged(place: Place) -> None:
    script = START + "NAMES = ('weight', 'm_yy')\nwrite(total=1)"
    evidence = place.judge(script, probes=(call("drop_branch"),))
    assert evidence.results == {"drop_branch": "not applied: the script misses none of the columns that it names"}


def test_responses_can_be_chosen(place: Place) -> None:
    probes = (
        call("half_events", response="scales"), call("scale_weights", factor=2, response="moves"),
        call("drop_branch", name="run", response="invariant"),
    )  # fmt: skip
    assert set(place.judge(RIGHT, probes=probes).results.values()) == {"passed"}


def test_responses_that_make_no_sense_are_refused_when_the_rule_is_read() -> None:
    probe = Named(PROBE, PROBES["scale_weights"])
    with pytest.raises(ConfigError, match="'fails_clearly', but it can be scales, moves, invariant"):
        probes_of("rule fit: ", [probe(response="fails_clearly")])
    with pytest.raises(ConfigError, match="Did you mean 'moves'"):
        probes_of("rule fit: ", [probe(response="move")])
    assert probes_of("rule fit: ", [probe(response="moves"), probe]) is not None


def test_inputs_can_be_chosen(place: Place) -> None:
    events(place.root / "data.parquet", rows=500)
    place.inputs = (Item(name="signal", path="in.parquet"), Item(name="data", path="data.parquet"))
    script = (
        RIGHT.replace("input.data", "input.signal")
        + "\nassert abs(pq.read_table(snakemake.input.data)['weight'][0].as_py() - 1.4) < 1"
    )
    evidence = place.judge(script, probes=(call("scale_weights", inputs="signal"),))
    assert evidence.results == {"scale_weights": "passed"}
    assert [path for path, real in place.ran[-1].items() if "bench" in str(real)] == ["in.parquet"]


def test_what_an_input_kept_is_said(place: Place) -> None:
    import h5py

    with h5py.File(place.root / "more.h5", "w") as file:
        file["x"] = [1.0]
    place.inputs = (*place.inputs, Item(name="more", path="more.h5"))
    evidence = place.judge(RIGHT, probes=(call("half_events"),))
    assert str(evidence.results["half_events"]).startswith("passed, but `more.h5` was not altered: more.h5: files of")


def test_after_a_failure_slow_scripts_are_not_run_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakemake_executor_plugin_llmagent.probes.named.SHORT_SECONDS", 0.0)
    evidence = place.judge(READ + "write(n_events=4000)", probes=(call("half_events"), call("shuffle_events")))
    assert evidence.results["shuffle_events"] == "not run, because another probe failed"
    assert len(place.ran) == 4, "the trial, the usual probes, the probe and its control"


def test_large_inputs_are_probed_on_their_first_entries(place: Place) -> None:
    small = events(place.root / "small.parquet", rows=100)

    def first(task: Any) -> Slice:
        return Slice(task=StandIn(task, {"in.parquet": small}), entries=100, label="the first")

    place.first = first
    evidence = place.judge(RIGHT, probes=(call("scale_weights"),))
    assert evidence.results == {"scale_weights": "passed"}
    assert [real["in.parquet"].name for real in place.ran if "in.parquet" in real] == [
        "in.parquet", "small.parquet", "0-0-small.parquet",
    ]  # fmt: skip
    needs_many = RIGHT + "\nassert len(mass) > 1000"
    assert place.judge(needs_many, probes=(call("scale_weights"),)).results == {"scale_weights": "passed"}
