"""`phys/uproot/inspect`: schema, summaries and histograms against NumPy, and where files differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from tests.wrappers import kit

WRAPPER = "phys/uproot/inspect"
COLUMNS: dict[str, Any] = {
    "met": np.array([1.0, np.nan, 0.0, np.inf, 5.0]),
    "event": np.array([2**63 + 1, 3, 2, 1, 5], np.uint64),
    "ok": np.array([True, False, True, True, True]),
    "pt": ak.values_astype(ak.Array([[3.0, 1.5], [], [np.nan], [0.0, 2.0, 4.0], []]), np.float32),
}


def inspect(tmp_path: Path, inputs: list[Path], *, threads: int = 1, **params: Any) -> tuple[dict[str, Any], str]:
    output = [tmp_path / "out.json", tmp_path / "out.md"]
    kit.call(WRAPPER, tmp_path, input=inputs, output=output, params=params, threads=threads)
    result = json.loads(output[0].read_text(encoding="utf-8"))
    return result, output[1].read_text(encoding="utf-8")


def root(path: Path, *trees: str, kind: str = "mktree", columns: dict[str, Any] = COLUMNS) -> Path:
    with uproot.recreate(path) as file:
        for tree in trees:
            getattr(file, kind)(tree, columns)
    return path


def columns_of(tree: dict[str, Any]) -> dict[str, Any]:
    return {column["name"]: column for column in tree["columns"]}


def test_snakefile(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    result = json.loads((folder / "results" / "files.json").read_text(encoding="utf-8"))
    with uproot.open(folder / "data" / "first.root") as file:
        events, mass = file["events"].arrays(), file["mass"].values()
    first = result["files"][0]
    columns = columns_of(first["trees"][0])
    assert columns["photon_pt"]["max"] == float(ak.max(events.photon_pt))
    assert columns["photon_pt"]["mean"] == pytest.approx(float(ak.mean(events.photon_pt)), rel=1e-5)
    assert columns["photon_pt"]["per_event"]["empty"] == int(ak.sum(ak.num(events.photon_pt) == 0))
    assert columns["met"]["not_finite"] == 5
    assert first["histograms"][0]["sum"] == mass.sum()
    assert result["differences"] == ["data/second.root: tree events: column met is float64, in data/first.root float32"]
    schema = (folder / "results" / "schema.md").read_text(encoding="utf-8")
    assert "| `photon_pt` | `var * float32` |" in schema
    assert "not finite" not in schema
    assert "**5 not finite**" in (folder / "results" / "files.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["mktree", "mkrntuple", "parquet"])
def test_summaries(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        path = tmp_path / "in.parquet"
        ak.to_parquet(ak.zip(COLUMNS, depth_limit=1), path, extensionarray=False)
    else:
        path = root(tmp_path / "in.root", "events", kind=kind)
    result, text = inspect(tmp_path, [path], threads=2)
    (tree,) = result["files"][0]["trees"]
    assert (tree["entries"], tree["summarised"]) == (5, 5)
    columns = columns_of(tree)
    assert {name: columns[name]["type"] for name in COLUMNS} == {
        "met": "float64",
        "event": "uint64",
        "ok": "bool",
        "pt": "var * float32",
    }
    assert [columns["met"][key] for key in ("values", "min", "mean", "max", "zeros", "not_finite")] == [
        5,
        0,
        2,
        5,
        1,
        2,
    ]
    assert columns["event"]["max"] == 2**63 + 1
    assert columns["ok"]["mean"] == 0.8
    assert columns["pt"]["per_event"] == {"min": 0, "mean": 1.2, "max": 3, "empty": 2}
    assert [columns["pt"][key] for key in ("values", "mean", "zeros", "not_finite")] == [6, 2.1, 1, 1]
    assert "**2 not finite**" in text
    assert "2 events with none" in text


def test_only_the_first_events(tmp_path: Path) -> None:
    for kind in ("mktree", "mkrntuple"):
        path = root(tmp_path / f"{kind}.root", "events", kind=kind)
        result, text = inspect(tmp_path, [path], entries=3)
        tree = result["files"][0]["trees"][0]
        assert (tree["entries"], tree["summarised"]) == (5, 3)
        assert columns_of(tree)["pt"]["values"] == 3
        assert "the first 3 events" in text


def test_missing_values_strings_and_nested_lists(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    columns = {"x": [1.0, None], "s": ["a", "b"], "pt": [[1.0, None], None], "deep": [[[1.0], []], [[2.0, 4.0]]]}
    ak.to_parquet(ak.Array(columns), path, extensionarray=False)
    result, text = inspect(tmp_path, [path])
    described = columns_of(result["files"][0]["trees"][0])
    assert (described["x"]["missing"], described["x"]["mean"]) == (1, 1)
    assert described["s"]["type"] == "string"
    assert "mean" not in described["s"]
    assert described["pt"]["max"] == 1
    assert described["deep"]["max"] == 4
    assert "**1 missing**" in text


def test_histograms(tmp_path: Path) -> None:
    values = np.array([101.0, 104.0, 104.5, 111.0, 150.0])
    with uproot.recreate(tmp_path / "h.root") as file:
        file["one"] = np.histogram(values, bins=5, range=(100, 110))
        file["two"] = np.histogram2d(values, values, bins=(2, 3), range=((100, 112), (100, 160)))
        file["note"] = "text"
    result, text = inspect(tmp_path, [tmp_path / "h.root"])
    one, two = result["files"][0]["histograms"]
    assert one["axes"] == [{"bins": 5, "low": 100.0, "high": 110.0, "regular": True, "title": ""}]
    assert (one["sum"], two["sum"]) == (3.0, 4.0)
    assert one["error"] == pytest.approx(3**0.5)
    assert [axis["bins"] for axis in two["axes"]] == [2, 3]
    assert result["files"][0]["others"] == [{"name": "note", "class": "TObjString"}]
    assert "5 bins 100–110" in text


@pytest.mark.skipif(not kit.SHARED_DATA.is_dir(), reason="the shared data are not on this machine")
def test_published_histograms_and_rntuple(tmp_path: Path) -> None:
    data = kit.SHARED_DATA / "atlas_hyy_10fb_hists" / "data.root"
    (ntuple,) = (kit.SHARED_DATA / "rntuple").glob("*.root")
    result, text = inspect(tmp_path, [data, ntuple])
    spectrum = result["files"][0]["histograms"][0]
    assert (spectrum["sum"], spectrum["axes"][0]["bins"]) == (76394.0, 30)
    tree = result["files"][1]["trees"][0]
    assert (tree["kind"], tree["entries"]) == ("RNTuple", 1000)
    assert "Diphoton invariant mass" in text


def test_differences(tmp_path: Path) -> None:
    first = root(tmp_path / "a.root", "events", "extra")
    changed = {name: array for name, array in COLUMNS.items() if name != "ok"} | {
        "met": np.ones(5, np.float32),
        "new": np.ones(5),
    }
    second = root(tmp_path / "b.root", "events", columns=changed)
    result, text = inspect(tmp_path, [first, second, first])
    assert result["differences"] == [
        f"{second}: tree events: no column ok",
        f"{second}: tree events: has column new, {first} has not",
        f"{second}: tree events: column met is float32, in {first} float64",
        f"{second}: no tree extra",
    ]
    assert "no column ok" in text
    result, text = inspect(tmp_path, [first, first])
    assert result["differences"] == []
    assert "None: all hold the same" in text


def test_the_same_to_the_byte(tmp_path: Path) -> None:
    path = root(tmp_path / "in.root", "events")
    assert inspect(tmp_path, [path]) == inspect(tmp_path, [path], threads=2)


@pytest.mark.parametrize(
    ("message", "params", "output"),
    [
        ("no tree 'event'. Did you mean events?", {"tree": "event"}, "out.json"),
        ("entries=-1 is not a number of events", {"entries": -1}, "out.json"),
        ("there is no 'entry'. Did you mean entries", {"entry": 3}, "out.json"),
        ("the description goes to .json or .md", {}, "out.txt"),
    ],
)
def test_errors(tmp_path: Path, message: str, params: dict[str, Any], output: str) -> None:
    path = root(tmp_path / "in.root", "events")
    with pytest.raises(kit.WrapperFailed) as caught:
        kit.call(WRAPPER, tmp_path, input=[path], output=[tmp_path / output], params=params)
    assert message in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_broken_file(tmp_path: Path) -> None:
    (tmp_path / "in.root").write_bytes(b"no ROOT file" * 50)
    with pytest.raises(kit.WrapperFailed, match="cannot be read"):
        inspect(tmp_path, [tmp_path / "in.root"])
