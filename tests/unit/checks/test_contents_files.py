"""Small real files that tests of contents and contracts are made of, and what is read out of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents import names, results, sources
from snakemake_executor_plugin_llmagent.checks.contents.flows import cutflows
from snakemake_executor_plugin_llmagent.checks.contents.sentence import (
    blocks,
    braces,
    energies,
    named_keys,
    units,
    unweighted,
    windows,
)
from snakemake_executor_plugin_llmagent.checks.contents.tails import chi2_above, p_of, poisson_above, z_of

Check = Callable[[Case], Iterable[Found]]
N = 2000


def said(check: Check, case: Case) -> list[str]:
    """What a check finds: `error weights.all_one`, without repetition."""
    told = (f"{'warning' if one.warning else 'error'} {one.check}" for one in check(case))
    return list(dict.fromkeys(told))


def write(path: Path, held: Any) -> Path:
    """Write columns as parquet, npz or ROOT (histograms as tuples), anything as JSON, pixels as PNG; by the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table(held), path)
    elif path.suffix == ".npz":
        np.savez(path, **held)
    elif path.suffix == ".csv":
        rows = zip(*held.values(), strict=True)
        path.write_text("\n".join([",".join(held), *(",".join(map(str, row)) for row in rows)]) + "\n")
    elif path.suffix == ".root":
        _write_root(path, held)
    elif path.suffix == ".png":
        pytest.importorskip("PIL.Image").fromarray(held).save(path)
    else:
        path.write_text(json.dumps(held))
    return path


def _write_root(path: Path, held: Mapping[str, Any]) -> None:
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(path) as file:
        for name, one in held.items():
            if isinstance(one, tuple):
                file[name] = (
                    (np.asarray(one[0], float), np.asarray(one[1], float))
                    if len(one) == 2
                    else _with_errors(uproot, *one)
                )
            else:
                file.mktree(name, one)


def _with_errors(uproot: Any, values: Any, edges: Any, variances: Any) -> object:
    """A TH1D with sums of squared weights."""

    def flow(inside: Any) -> Any:
        return np.concatenate([[0.0], np.asarray(inside, float), [0.0]])

    identify: Any = uproot.writing.identify
    axis = identify.to_TAxis(
        fName="xaxis", fTitle="", fNbins=len(values), fXmin=edges[0], fXmax=edges[-1], fXbins=np.asarray(edges, float)
    )
    total = float(np.sum(values))
    return identify.to_TH1x(
        fName=None, fTitle="", data=flow(values), fEntries=total, fTsumw=total, fTsumw2=float(np.sum(variances)),
        fTsumwx=0.0, fTsumwx2=0.0, fSumw2=flow(variances), fXaxis=axis,
    )  # fmt: skip


def a_case(
    folder: Path, inputs: Mapping[str, Any] | None = None, outputs: Mapping[str, Any] | None = None, **more: Any
) -> Case:
    """A case with files: their names (`name:file.parquet` for a named one) and what they hold."""

    def parts(files: Mapping[str, Any] | None, side: str) -> tuple[Part, ...]:
        told = []
        for label, held in (files or {}).items():
            name, _, path = label.rpartition(":")
            place = held if isinstance(held, Path) else write(folder / side / path, held)
            told.append(Part(name=name or None, path=path, place=place))
        return tuple(told)

    return Case(
        text=more.pop("text", ""), source=more.pop("source", ""), inputs=parts(inputs, "in"),
        outputs=parts(outputs, "out"), **more,
    )  # fmt: skip


def weights(n: int = N, negative: float = 0.1) -> Any:
    """Weights of both signs that all differ."""
    rng = np.random.default_rng(1)
    return np.abs(rng.normal(2.0, 0.4, n)) * np.where(rng.random(n) < negative, -1.0, 1.0)


def events(n: int = N, **more: Any) -> dict[str, Any]:
    """A table of simulated events."""
    rng = np.random.default_rng(2)
    return {
        "event_number": (rng.permutation(10 * n)[:n] + 5_000_000_000).astype(np.uint64), "weight": weights(n),
        "m_yy": rng.uniform(100.0, 170.0, n), "pt_yy": rng.exponential(40.0, n), "n_jets": rng.poisson(1.0, n), **more,
    }  # fmt: skip


def some(table: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """Some rows of a table."""
    return {name: values[rows] for name, values in table.items()}


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weight", "mcWeight", "weight_up", "event_weights", "w", "Events/genWeight", "wgt"])
def test_names_of_weights(name: str) -> None:
    assert names.is_weight(name)


@pytest.mark.parametrize(
    "name", ["SumWeights", "sum_of_weights", "weighted", "n_weights", "width", "xsec", "weight_sum"]
)
def test_what_is_no_weight(name: str) -> None:
    assert not names.is_weight(name)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("photon_pt", {"momentum", "energy"}), ("MET", {"momentum", "energy"}), ("m_yy", {"mass", "energy"}),
        ("mass", {"mass", "energy"}), ("jet1_pt", {"momentum", "energy"}), ("photon_E", set()), ("met_phi", set()),
        ("pt1_over_m", set()), ("pt_cut", set()), ("n_pt", set()), ("max", set()), ("mu", set()),
        ("m_yy_entries", set()), ("mass_points", set()),
    ],
)  # fmt: skip
def test_names_of_energies(name: str, kinds: set[str]) -> None:
    told = {"momentum": names.is_momentum(name), "mass": names.is_mass(name), "energy": names.is_energy(name)}
    assert {kind for kind, yes in told.items() if yes} == kinds


def test_names_of_events() -> None:
    assert all(map(names.is_event, ("event_number", "eventNumber", "EventNumber", "event", "evt")))
    assert not any(map(names.is_event, ("n_events", "event_weight", "run_number", "number")))
    assert all(map(names.is_run, ("run", "runNumber", "run_number")))


def test_names_are_shown_harmlessly() -> None:
    assert names.shown("a\n`b`\x1b") == "`a `b`\\x1b`"


# --- sentences ------------------------------------------------------------------------------------------------------

LISTED = """\
Select events with 105 < m_yy < 160 GeV.

- `events`: a parquet file with `a`.
- `cutflow`: a JSON file `{"cutflow": [{"cut", "events", "yield"}, ...]}`, cumulative; `events` counts.
- `metrics`: a JSON file with `auc` (area under `x`), `n_signal`
  and `per_fold`. Not `this`.
"""


def test_sentences_are_taken_apart() -> None:
    assert [block.split()[0] for block in blocks(LISTED)] == ["Select", "-", "-", "-"]
    cutflow, metrics = list(blocks(LISTED))[2:]
    assert [one.keys for one in braces(cutflow)] == [("cutflow", "cut", "events", "yield")]
    assert named_keys(metrics) == ["auc", "n_signal", "per_fold"]
    assert named_keys(cutflow) == []
    assert next(braces('such as `{"a": "b", "c": ["d", {"e"}]}`')).keys == ("a", "c", "e")
    assert next(braces('such as `{"a": 1}`')).example


def test_energies_windows_and_units() -> None:
    text = "a mass of 125 GeV, 105 < m_yy < 160 GeV, pT > 25,000 MeV, 13 TeV, 100 to 140 GeV or [80,101] GeV"
    assert sorted(energies(text)) == [25.0, 80.0, 100.0, 101.0, 105.0, 125.0, 140.0, 160.0, 13000.0]
    assert windows(text) == {"m_yy": (105.0, 160.0)}
    assert units(text) == {"GeV", "MeV", "TeV"}
    assert energies("fit m_yy with DSCB+exp") == []


@pytest.mark.parametrize("text", ["all weights are 1", "unweighted", "ignore the event weights", "with unit weights"])
def test_sentences_that_want_no_weights(text: str) -> None:
    assert unweighted(text)
    assert not unweighted("sum the weights; data have weight 1; weights of both signs")


# --- results --------------------------------------------------------------------------------------------------------


def test_results_are_found_anywhere(tmp_path: Path) -> None:
    fit = {"valid": True, "parameters": {"mu": {"value": 1.0, "error": 0.1, "limits": [0, None]}}}
    listed = {"fmin": 1, "parameters": [{"name": "a", "value": 2, "error": None, "fixed": True}]}
    document = {
        "deep": [{"fits": {"one": fit}}], "provenance": {"fit": fit},
        "hs3": {"parameters": [{"name": "a", "value": 1}]},
        "other": listed,
    }  # fmt: skip
    found = results.fits(a_case(tmp_path, outputs={"fit.json": document}))
    assert {(one.place.label(), one.valid, one.parameters[0].name, one.parameters[0].fixed) for one in found} == {
        ("`deep[0].fits.one` of `fit.json`", True, "mu", False), ("`other` of `fit.json`", None, "a", True),
    }  # fmt: skip


@pytest.mark.parametrize(
    "held",
    [
        [
            {"cut": "all", "events": 10, "yield": 5.0, "error": 1.0},
            {"cut": "a", "events": 4, "yield": 2.0, "error": 0.5},
        ],
        {"all": {"n": 10, "yield": 5.0}, "a": {"n": 4, "yield": 2.0}},
        {"cuts": ["all", "a"], "events": [10, 4], "sumw": [5.0, 2.0]},
        {"VBF": [{"name": "all", "count": 10}, {"name": "a", "count": 4}]},
        {"all": 10, "a": 4},
    ],
)
def test_cut_flows_of_all_shapes(tmp_path: Path, held: Any) -> None:
    (flow,) = cutflows(a_case(tmp_path, outputs={"out.json": {"cutflow": held}}))
    assert flow.names == ("all", "a")
    assert flow.events is not None and flow.events.tolist() == [10, 4]
    assert flow.yields is None or flow.yields.tolist() == [5, 2]


def test_a_cut_flow_as_a_table(tmp_path: Path) -> None:
    held = {"cut": ["all", "a"], "events": [10, 4]}
    (flow,) = cutflows(a_case(tmp_path, outputs={"cutflow.csv": held, "samples.csv": held}))
    assert (flow.label, flow.names) == ("`cutflow.csv`", ("all", "a"))


def test_documents_without_end_are_looked_at_in_part(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    wide = [{"a": {"b": 1}}] * 40_000
    assert len(list(results.places(a_case(tmp_path, outputs={"deep.json": deep})))) == results.DEEPEST
    assert len(list(results.places(a_case(tmp_path, outputs={"wide.json": wide})))) <= results.MOST_PLACES


# --- inputs ---------------------------------------------------------------------------------------------------------


def test_inputs_are_weighted_if_all_of_them_are(tmp_path: Path) -> None:
    data = {**events(), "weight": np.ones(N)}
    assert sources.weighted(a_case(tmp_path, {"a.parquet": events(), "b.npz": events(), "c.json": {"x": 1}}))
    assert not sources.weighted(a_case(tmp_path, {"a.parquet": events(), "data.parquet": data}))
    assert not sources.weighted(a_case(tmp_path, {"c.json": {"x": 1}}))


def test_only_as_much_of_a_file_is_read_as_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakemake_executor_plugin_llmagent.checks.case.SMALL", 0)
    monkeypatch.setattr("snakemake_executor_plugin_llmagent.checks.case.GLANCE", 10)
    (part,) = a_case(tmp_path, {"a.parquet": events()}).inputs
    assert (len(part.first_rows[0].columns["weight"].values), part.first_rows[0].entries) == (10, N)
    assert len(part.tables[0].columns["weight"].values) == N
    assert a_case(tmp_path, {"gone.parquet": tmp_path / "gone.parquet"}).inputs[0].glance is None


# --- tails ----------------------------------------------------------------------------------------------------------


def test_tails_against_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for z in (-2.0, 0.0, 1.3, 5.0, 8.0):
        assert p_of(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)
        assert z_of(p_of(z)) == pytest.approx(z, abs=1e-6)
    for chi2, ndf in ((0.1, 1), (3.0, 2), (12.5, 7), (80.0, 50), (900.0, 1001)):
        assert chi2_above(chi2, ndf) == pytest.approx(stats.chi2.sf(chi2, ndf), rel=1e-8)
    for n, mean in ((0, 3.0), (5, 3.0), (3, 5.0), (40, 12.5), (1000, 1100.0), (500_000, 499_000.0)):
        assert poisson_above(n, mean) == pytest.approx(stats.poisson.sf(n - 1, mean), rel=1e-3)
