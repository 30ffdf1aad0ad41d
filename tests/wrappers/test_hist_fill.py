"""`phys/hist/fill`: histograms against NumPy's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uhi.schema
import uproot

from tests.wrappers.kit import WrapperFailed, call, run_snakefile

PLACE = "phys/hist/fill"
M = {"m": {"bins": [2, 0, 2]}}


def table(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table({name: np.asarray(one) for name, one in columns.items()}), path)
    return path


def filled(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text())
    uhi.schema.validate(document["histograms"])
    return {name: hist.Hist(one) for name, one in document["histograms"].items()}


def counts(values: np.ndarray, weights: np.ndarray, edges: Any) -> tuple[np.ndarray, np.ndarray]:
    """Sums of weights and squared weights with underflow and overflow, by NumPy alone."""
    flow = np.concatenate([[-np.inf], edges, [np.inf]])
    place = np.searchsorted(flow, values, side="right") - 1
    sums = [np.array([one[place == bin].sum() for bin in range(len(flow) - 1)]) for one in (weights, weights**2)]
    return sums[0], sums[1]


def test_snakefile(tmp_path: Path) -> None:
    folder = run_snakefile(PLACE, tmp_path) / "results"
    read = filled(folder / "histograms.json")
    signal = {name: np.array(one) for name, one in pq.read_table(folder / "signal.parquet").to_pydict().items()}
    background = uproot.open(folder / "background.root")["events"].arrays(library="np")
    edges = np.linspace(105, 160, 56)

    def expected(events: dict[str, np.ndarray], mass: str, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        passed = (events[mass] > 105) & (events[mass] < 160)
        return counts(events[mass][passed], weight[passed], edges)

    both = {"signal": signal, "background": background}
    cases = [
        ("signal", "nominal", "m_yy", signal["weight"]),
        ("signal", "pileup_up", "m_yy", signal["weight"] * signal["pileup_up"]),
        ("signal", "scale_up", "m_yy_up", signal["weight"]),
        ("signal", "scale_down", "m_yy_down", signal["weight"]),
        ("signal", "norm_up", "m_yy", signal["weight"]),
        ("background", "norm_up", "m_yy", background["weight"] * 1.1),
        ("background", "scale_up", "m_yy", background["weight"]),
    ]
    for process, systematic, mass, weight in cases:
        view = read["m_yy"][{"process": process, "systematic": systematic}].view(flow=True)
        values, variances = expected(both[process], mass, weight)
        np.testing.assert_allclose(view["value"], values, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(view["variance"], variances, rtol=1e-12)
    assert next(iter(read["m_yy"].axes["systematic"])) == "nominal"
    data = pq.read_table(folder / "data.parquet").to_pydict()
    seen = np.histogram(data["m_yy"], edges)[0]
    for systematic in read["m_yy"].axes["systematic"]:
        assert read["m_yy"][{"process": "data", "systematic": systematic}].values().tolist() == seen.tolist()

    flat = background["m_yy"] < 160
    planar = np.histogram2d(
        background["m_yy"][flat],
        background["pt_yy"][flat],
        [np.linspace(105, 160, 12), [0, 30, 60, 200]],
        weights=background["weight"][flat],
    )[0]
    np.testing.assert_allclose(read["pt_vs_m"][:, :, "background", "nominal"].values(), planar, rtol=1e-12)

    yields = json.loads((folder / "yields.json").read_text())["yields"]
    assert yields == json.loads((folder / "histograms.json").read_text())["yields"]
    assert yields["data"]["n_events"] == yields["data"]["yield"] == np.sum(np.array(data["m_yy"]) < 160)
    assert yields["background"]["yield"] == pytest.approx(background["weight"][flat].sum(), rel=1e-12)
    assert yields["background"]["yield_error"] == pytest.approx(
        np.sqrt((background["weight"][flat] ** 2).sum()), rel=1e-12
    )

    with uproot.open(folder / "histograms.root") as file:
        names = file.keys(cycle=False)
        assert (
            "m_yy_data_nominal" in names
            and "m_yy_data_pileup_up" not in names
            and "m_yy_background_scale_up" not in names
        )
        stored = file["m_yy_signal_scale_up"]
        np.testing.assert_array_equal(stored.values(flow=True), read["m_yy"][:, "signal", "scale_up"].values(flow=True))
        np.testing.assert_array_equal(
            stored.variances(flow=True), read["m_yy"][:, "signal", "scale_up"].variances(flow=True)
        )
        assert file["pt_vs_m_data_nominal"].classname == "TH2D" and stored.axis().all_members["fTitle"].endswith(
            "[GeV]"
        )
        assert json.loads(str(file["provenance"]))["wrapper"] == PLACE

    hs3 = {one["name"]: one for one in json.loads((folder / "hs3.json").read_text())["data"]}
    assert hs3["m_yy_data_nominal"] == {
        "name": "m_yy_data_nominal",
        "type": "binned",
        "axes": [{"name": "m_yy", "min": 105.0, "max": 160.0, "nbins": 55}],
        "contents": seen.tolist(),
    }
    np.testing.assert_allclose(hs3["pt_vs_m_background_nominal"]["contents"], planar.ravel(), rtol=1e-12)
    assert hs3["pt_vs_m_background_nominal"]["axes"][1] == {"name": "pt_yy", "edges": [0, 30, 60, 200]}
    sigma = hs3["m_yy_signal_nominal"]["uncertainty"]["sigma"]
    np.testing.assert_allclose(sigma, np.sqrt(expected(signal, "m_yy", signal["weight"])[1][1:-1]), rtol=1e-12)

    (region,) = uhi.schema.load(folder / "region.uhi.json").values()
    uhi.schema.validate_histogram(region)
    total = hist.Hist(region).values()[:, 0, 0]
    assert [axis["categories"] for axis in region["axes"][1:]] == [["simulation"], ["nominal"]]
    parts = [
        np.histogram(one["m_yy"][one["pt_yy"] > 60], 20, (105, 145), weights=one["weight"][one["pt_yy"] > 60])[0]
        for one in (background, signal)
    ]
    np.testing.assert_allclose(total, sum(parts), rtol=1e-12)


def test_the_bytes_depend_neither_on_threads_nor_on_the_run(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    files = [
        table(tmp_path / f"{i}.parquet", m=random.uniform(0, 2, 1000), w=random.normal(size=1000)) for i in range(5)
    ]
    texts = []
    for threads in (1, 3):
        path = tmp_path / f"{threads}.json"
        call(PLACE, tmp_path, input=files, output=[path], params={"histograms": M, "weight": "w"}, threads=threads)
        texts.append(path.read_bytes())
    assert texts[0] == texts[1] and str(tmp_path).encode() not in texts[0]


def test_pieces_give_what_the_whole_gives(tmp_path: Path) -> None:
    """More rows than one piece has: the seam loses and doubles nothing."""
    n = 1_100_000
    path = table(tmp_path / "t.parquet", m=np.arange(n) % 2 + 0.5)
    call(PLACE, tmp_path, input=[path], output=[tmp_path / "h.json"], params={"histograms": M})
    assert filled(tmp_path / "h.json")["m"][:, "events", "nominal"].values().tolist() == [n / 2, n / 2]


def test_nan_is_in_no_bin_but_counted_and_told(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", m=[0.5, np.nan, np.nan, np.inf, -np.inf, 1.5], keep=[1, 1, 0, 1, 1, 1])
    log = call(
        PLACE, tmp_path, input=[path], output=[tmp_path / "h.json"], params={"histograms": M, "cut": "keep == 1"}
    )
    assert filled(tmp_path / "h.json")["m"].values(flow=True).ravel().tolist() == [1, 1, 1, 1]
    document = json.loads((tmp_path / "h.json").read_text())
    assert document["not_a_number"] == {"m": {"events": 1}} and document["yields"]["events"]["n_events"] == 5
    assert "m: 1 events of events have NaN as variable" in log


def test_negative_weights_keep_their_sign_and_their_error(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", m=[0.5, 0.5, 1.5], w=[2.0, -3.0, -1.0])
    call(PLACE, tmp_path, input=[path], output=[tmp_path / "h.json"], params={"histograms": M, "weight": "w"})
    read = filled(tmp_path / "h.json")["m"][:, "events", "nominal"]
    assert read.values().tolist() == [-1, -1] and read.variances().tolist() == [13, 1]
    document = json.loads((tmp_path / "h.json").read_text())
    assert document["yields"]["events"] == {
        "n_read": 3,
        "n_events": 3,
        "yield": -2,
        "yield_error": pytest.approx(14**0.5),
    }


@pytest.mark.parametrize("masses", [[], [5.0]])
def test_an_empty_selection_gives_empty_histograms(tmp_path: Path, masses: list[float]) -> None:
    path = table(tmp_path / "t.parquet", m=np.array(masses, dtype=float))
    outputs = {"a": tmp_path / "h.json", "b": tmp_path / "h.root", "hs3": tmp_path / "hs3.json"}
    log = call(PLACE, tmp_path, input=[path], output=outputs, params={"histograms": M, "cut": "m < 2"})
    assert filled(tmp_path / "h.json")["m"].sum(flow=True).value == 0 and "no event of events passes" in log
    with uproot.open(tmp_path / "h.root") as file:
        assert file["m_events_nominal"].values().tolist() == [0, 0]


def test_a_varied_column_holds_in_cut_variable_and_weight(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", m=[0.4, 0.9])
    params = {
        "histograms": {"m": {"bins": [2, 0, 2], "cut": "m < 1.5"}},
        "cut": "m > 0.5",
        "weight": "m",
        "systematics": {"twice": {"columns": {"m": "2 * m"}}},
    }
    call(PLACE, tmp_path, input=[path], output=[tmp_path / "h.json"], params=params)
    read = filled(tmp_path / "h.json")["m"]
    assert read[:, "events", "nominal"].values().tolist() == [0.9, 0]
    assert read[:, "events", "twice"].values().tolist() == [0.8, 0]


def test_data_have_weight_one_unless_the_rule_says_otherwise(tmp_path: Path) -> None:
    files = {
        "data": table(tmp_path / "d.parquet", m=[0.5], w=[7.0]),
        "mc": table(tmp_path / "m.parquet", m=[0.5], w=[7.0]),
    }
    for data, expected in ((None, 1), ([], 7)):
        call(
            PLACE,
            tmp_path,
            input=files,
            output=[tmp_path / "h.json"],
            params={"histograms": M, "weight": "w", "data": data},
        )
        assert filled(tmp_path / "h.json")["m"][0, "data", 0].value == expected


def test_several_files_of_a_process_and_processes_by_a_list(tmp_path: Path) -> None:
    files = [table(tmp_path / f"{i}.parquet", m=[0.5] * (i + 1)) for i in range(3)]
    params = {"histograms": M, "process": ["a", "b", "a"]}
    call(PLACE, tmp_path, input=files, output=[tmp_path / "h.json"], params=params)
    read = filled(tmp_path / "h.json")["m"]
    assert list(read.axes["process"]) == ["a", "b"] and read[0, :, 0].values().tolist() == [4, 2]
    call(PLACE, tmp_path, input={"x": files[:2], "y": files[2]}, output=[tmp_path / "h.json"], params={"histograms": M})
    assert filled(tmp_path / "h.json")["m"][0, :, 0].values().tolist() == [3, 3]


GOOD: dict[str, Any] = {"histograms": M}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "params: 'histograms' is missing"),
    ({"histograms": {}}, "params: histograms="),
    ({"histograms": {"m": {"bin": [2, 0, 2]}}}, "histograms: m: there is no 'bin'. Did you mean bins?"),
    ({"histograms": {"m": {}}}, "give bins=[number, low, high] or edges"),
    ({"histograms": {"m": {"bins": [2, 2, 0]}}}, "bins=[number, low, high], such as"),
    ({"histograms": {"m": {"bins": [0.0, 1.0, 2.0]}}}, "bins=[number, low, high], such as"),
    ({"histograms": {"m": {"edges": [0, 2, 1]}}}, "edges must be finite and rise"),
    ({"histograms": {"m": {"edges": [0, float("inf")]}}}, "edges must be finite and rise"),
    ({"histograms": {"a b": {"variable": "m", "bins": [2, 0, 2]}}}, "a name has letters"),
    ({"histograms": {"mass": {"bins": [2, 0, 2]}}}, "no column 'mass'"),
    ({"histograms": {"m": {"variable": "1 + 1", "bins": [2, 0, 2]}}}, "has no column in it"),
    ({"histograms": {"m": {"axes": [M["m"], M["m"]]}}}, "both axes have the variable 'm'"),
    ({"histograms": {"m": {"axes": []}}}, "one or two axes"),
    ({**GOOD, "weigth": "w"}, "there is no 'weigth'. Did you mean weight?"),
    ({**GOOD, "weight": "ww"}, "no column 'ww'. Did you mean w?"),
    ({**GOOD, "weight": "__import__('os')"}, "params: weight"),
    ({**GOOD, "cut": "m +"}, "params: cut"),
    ({**GOOD, "data": ["dta"]}, "there is no process 'dta'"),
    ({**GOOD, "systematics": ["up"]}, "a weight for each name"),
    ({**GOOD, "systematics": {"nominal": "w"}}, "and is not 'nominal'"),
    ({**GOOD, "systematics": {"up": {"columns": {"mm": "m"}}}}, "no column 'mm'"),
    ({**GOOD, "systematics": {"up": "w_up"}}, "no column 'w_up'"),
    ({**GOOD, "systematics": {"up": {"processes": ["x"], "weight": "w"}}}, "there is no process 'x'"),
    ({**GOOD, "systematics": {"up": {"processes": ["events"]}}}, "name a weight or columns"),
    ({**GOOD, "process": ["a", "b"]}, "names 2 processes for 1 unnamed"),
    ({**GOOD, "weight": "w / (m - 0.5)"}, "is NaN or infinite for 1 events that pass the cut"),
]


@pytest.mark.parametrize(("params", "message"), WRONG)
def test_wrong_params_are_told_without_a_traceback(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    path = table(tmp_path / "t.parquet", m=[0.5], w=[1.0])
    with pytest.raises(WrapperFailed) as caught:
        call(PLACE, tmp_path, input=[path], output=[tmp_path / "h.json"], params=params)
    assert message in str(caught.value) and "Traceback" not in str(caught.value)
    assert not (tmp_path / "h.json").exists()


def test_a_column_that_only_a_variation_needs_is_told_with_a_remedy(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", m=[0.5], w=[1.0])
    with pytest.raises(WrapperFailed, match=r"processes=\[...\]"):
        call(
            PLACE, tmp_path, input=[path], output=[tmp_path / "h.json"], params={**GOOD, "systematics": {"up": "w_up"}}
        )


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["none.parquet"], ["h.json"], "none.parquet: no such file. Did you mean one.parquet?"),
        ([], ["h.json"], "there are no files"),
        (["one.parquet"], [], "name a .json or .root file"),
        (["one.parquet"], ["h.txt"], "h.txt: histograms are written to .json (UHI) and .root"),
        (["one.parquet"], {"hs3": "h.root"}, "h.root: histograms are written"),
    ],
)
def test_wrong_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: Any, outputs: Any, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "one.parquet", m=[0.5])
    with pytest.raises(WrapperFailed) as caught:
        call(PLACE, tmp_path, input=inputs, output=outputs, params=GOOD)
    assert message in str(caught.value)
