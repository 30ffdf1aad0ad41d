"""Twins of ROOT, Parquet and CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from tests.unit.blinding.support import CANARIES, EVENT, LEFT, MASS, NAME, masked, twin_of


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frame() -> pd.DataFrame:
    made = pd.DataFrame({"mass": MASS, "event": EVENT, "kind": pd.Categorical(NAME), "name": NAME})
    made.attrs["n_events"] = 31337
    return made


def test_parquet() -> None:
    frame().to_parquet("x.parquet")
    contents, told = twin_of(Path("x.parquet"))
    assert told["found"] == ["mass"]
    assert contents.sheets[0].columns["event"].values.tolist() == LEFT
    again = pd.read_parquet("written/twin-x.parquet")
    assert again["event"].tolist() == LEFT and list(again.index) == list(range(len(LEFT)))
    assert sorted(again["kind"].cat.categories) == ["a", "b", "f", "g"], "no category of a hidden row is left"
    assert again.attrs == {}
    schema, whole = pq.read_schema("written/twin-x.parquet"), pq.read_schema("x.parquet")
    assert schema.types == whole.types
    data = Path("written/twin-x.parquet").read_bytes()
    assert all(canary.encode() not in data for canary in CANARIES)


def test_what_a_parquet_file_says_of_itself() -> None:
    table = pa.table({"mass": MASS, "event": EVENT}).replace_schema_metadata(
        {"n_events": "8", "luminosity_fb": "139.5", "units": '{"mass": "GeV"}', "note": "three canary in 31337"}
    )
    pq.write_table(table, "x.parquet")
    _, told = twin_of(Path("x.parquet"))
    left = pq.read_schema("written/twin-x.parquet").metadata
    assert left[b"luminosity_fb"] == b"139.5" and left[b"units"] == b'{"mass": "GeV"}'
    assert left[b"n_events"].strip() == left[b"note"].strip() == b""
    assert sorted(told["notes"]) == ["the file's own text 'n_events' is blank", "the file's own text 'note' is blank"]
    assert b"31337" not in Path("written/twin-x.parquet").read_bytes()
    pq.write_table(pa.table({"mass": MASS}), "y.parquet")
    assert twin_of(Path("y.parquet"))[1]["notes"] == []


def test_columns_of_other_kinds_go_with_their_rows() -> None:
    rows = [{"pt": i, "tag": name} for i, name in enumerate(NAME)]
    table = pa.table({
        "mass": MASS, "records": rows, "lists": [[name] for name in NAME], "whole": [1, None, 3, 4, 5, 6, 7, 8],
        "day": pa.array(range(8), pa.date32()), "flag": [True, None] * 4, "price": pa.array(range(8), pa.decimal128(9)),
        "raw": [name.encode() for name in NAME],
    })  # fmt: skip
    pq.write_table(table, "x.parquet")
    twin_of(Path("x.parquet"))
    again = pq.read_table("written/twin-x.parquet")
    assert again.schema.equals(table.schema)
    assert again.to_pylist()[:2] == table.to_pylist()[:2] and again.num_rows == len(LEFT)
    assert again.column("whole").to_pylist() == [1, None, 6, 7, 8]


def test_a_row_goes_if_any_number_of_its_list_is_hidden() -> None:
    table = pa.table({"mass": [[100.0], [], [110.0, 125.0], [130.0, 131.0]], "n": [1, 0, 2, 2]})
    pq.write_table(table, "x.parquet")
    contents, _ = twin_of(Path("x.parquet"))
    assert contents.sheets[0].columns["n"].values.tolist() == [1, 0, 2]
    with uproot.recreate("x.root") as file:
        file["t"] = {"mass": ak.Array(table["mass"].to_pylist()), "n": table["n"].to_numpy()}
    contents, _ = twin_of(Path("x.root"))
    assert contents.sheets[0].columns["n"].values.tolist() == [1, 0, 2]


def test_csv_with_comments() -> None:
    Path("x.tsv").write_text("# 31337 events\n\n# of 2015\nmass\tn\n1.50\t1\n125.123456\t31337\n\t3\n31337\n")
    _, told = twin_of(Path("x.tsv"))
    assert Path("written/twin-x.tsv").read_text() == "#\n\n#\nmass\tn\n1.50\t1\n\t3\n"
    assert len(told["notes"]) == 2
    for text in ("", "# only\n", "mass,n\nabout 125,1\n"):
        Path("x.csv").write_text(text)
        assert masked(Path("x.csv"))[0]["problem"]


def test_csv() -> None:
    lines = [f"{m},{e},{n}" for m, e, n in zip(MASS, EVENT, NAME, strict=True)]
    Path("x.csv").write_text("\n".join(["mass [GeV],event,name", *lines]) + "\n")
    contents, _ = twin_of(Path("x.csv"))
    assert contents.sheets[0].columns["event"].values.tolist() == LEFT
    assert all(canary not in Path("written/twin-x.csv").read_text() for canary in CANARIES)


def write_root(path: str, **more: Any) -> None:
    with uproot.recreate(path) as file:
        file["events"] = {"mass": MASS, "event": EVENT}
        for name, value in more.items():
            file[name] = value


def test_root() -> None:
    mass = hist.Hist.new.Reg(12, 100, 160, name="mass", label="mass [GeV]").Weight().fill(MASS, weight=2.0)
    pt = hist.Hist.new.Reg(4, 0, 400, name="pt", label="pt [GeV]").Double().fill([50, 50, 150])
    write_root(
        "x.root", friend={"pt": np.arange(8.0)}, summary={"n_events": np.array([31337])}, h_mass=mass, h_pt=pt,
    )  # fmt: skip
    contents, told = twin_of(Path("x.root"))
    sheets = {sheet.name: sheet for sheet in contents.sheets}
    assert sheets["events"].columns["event"].values.tolist() == LEFT
    assert sheets["friend"].columns["pt"].values.tolist() == [0, 1, 5, 6, 7], "a friend loses the same rows"
    assert sheets["summary"].entries == 0
    histograms = {histogram.name: histogram for histogram in contents.histograms}
    expected = mass.values().copy()
    expected[4:6] = 0
    assert histograms["h_mass"].values.tolist() == expected.tolist()
    assert histograms["h_mass"].variances is not None
    assert histograms["h_mass"].variances[4:6].tolist() == [0, 0] and histograms["h_mass"].variances.sum() == 12
    assert not histograms["h_pt"].values.any()
    assert any("'h_pt' is empty" in note for note in told["notes"])
    assert any("'summary' has no rows" in note for note in told["notes"])
    with uproot.open("written/twin-x.root") as file:
        assert set(file.keys(cycle=False)) == {"events", "friend", "summary", "h_mass", "h_pt"}
        assert file["h_mass"].member("fTsumw") == expected.sum()


def test_rntuple() -> None:
    with uproot.recreate("x.root") as file:
        file.mkrntuple("events", {"mass": "float64", "event": "int64"}).extend({"mass": MASS, "event": EVENT})
    contents, _ = twin_of(Path("x.root"))
    assert contents.sheets[0].columns["event"].values.tolist() == LEFT


def test_the_only_histogram_of_a_file() -> None:
    with uproot.recreate("x.root") as file:
        file["h"] = np.histogram(MASS[np.isfinite(MASS)], bins=np.arange(100, 170, 5))
    contents, _ = twin_of(Path("x.root"))
    assert contents.histograms[0].values.tolist() == [1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    undeclared, _ = masked(Path("x.root"), declared=False)
    assert "it has histograms (h)" in undeclared["problem"]


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.root"])
def test_everything(name: str) -> None:
    if name == "x.root":
        lists = ak.Array([[1.0]] * 8)
        write_root(name, h=np.histogram([1, 2], bins=3), jagged={"lists": lists})
    else:
        getattr(frame(), "to_parquet" if name == "x.parquet" else "to_csv")(name)
    contents, _ = twin_of(Path(name), windows={}, everything=True)
    assert [sheet.entries for sheet in contents.sheets] == [0] * (2 if name == "x.root" else 1)
    assert "mass" in contents.sheets[0].columns
    assert not any(histogram.values.any() for histogram in contents.histograms)


def test_two_windows() -> None:
    pq.write_table(pa.table({"mass": [100.0, 125.0, 140.0, 150.0], "bdt": [0.9, 0.1, 0.95, 0.2]}), "x.parquet")
    contents, told = twin_of(Path("x.parquet"), windows={"mass": (120, 130), "BDT": (0.92, 2)})
    assert contents.sheets[0].columns["mass"].values.tolist() == [100, 150]
    assert told["found"] == ["BDT", "mass"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"m": [1.0]}, "no column and no axis named 'mass'"), ({"mass": ["1"]}, "does not hold plain numbers"),
        ({"mass": [{"a": 1.0}]}, "does not hold plain numbers"), ({"mass": [[[1.0]]]}, "does not hold plain numbers"),
    ],
)  # fmt: skip
def test_parquet_that_cannot_be_masked(table: dict[str, Any], words: str) -> None:
    pq.write_table(pa.table(table), "x.parquet")
    told, twin = masked(Path("x.parquet"))
    assert words in told["problem"] and not told["written"] and not twin.exists()


def test_files_that_cannot_be_masked() -> None:
    h2 = hist.Hist.new.Reg(2, 100, 160, name="mass").Reg(2, 0, 1, name="y").Double()
    write_root("h2.root", h2=h2)
    assert "only histograms of one axis" in masked(Path("h2.root"))[0]["problem"]
    write_root("note.root", note="31337 events")
    assert "objects into which we cannot look: 'note' (TObjString)" in masked(Path("note.root"))[0]["problem"]
    beyond = hist.Hist.new.Reg(2, 0, 50, label="pt").Double().fill([10, 125])
    write_root("beyond.root", pt=beyond)
    assert "'pt' counts what lies beyond its axis" in masked(Path("beyond.root"))[0]["problem"]
    Path("damaged.parquet").write_bytes(b"PAR1 125.123456 PAR1")
    assert masked(Path("damaged.parquet"))[0]["problem"] == "it cannot be read: ArrowInvalid"
    for name in ("x.txt", "x.h5", "x.png", "x.pkl"):
        Path(name).write_text("x")
        assert "nothing can be hidden" in masked(Path(name))[0]["problem"]


def test_files_that_nobody_called_data() -> None:
    frame().to_parquet("held.parquet")
    assert masked(Path("held.parquet"), declared=False)[0]["written"]
    pq.write_table(pa.table({"other": [1.0]}), "other.parquet")
    Path("empty").write_text("")
    for name in ("other.parquet", "empty"):
        told, twin = masked(Path(name), declared=False)
        assert told == {"written": False, "found": [], "notes": [], "problem": ""} and not twin.exists()
    pq.write_table(pa.table({"event": [{"mass": 125.0}]}), "nested.parquet")
    Path("blanks.csv").write_text("mass pt\n125 3\n")
    write_root("note.root", note="31337 events")
    for name in ("nested.parquet", "blanks.csv", "note.root"):
        assert "into which we cannot look" in masked(Path(name), declared=False)[0]["problem"]
    for name in ("x.txt", "x.png", "x.h5"):
        Path(name).write_text("x")
        assert "no format into which we can look" in masked(Path(name), declared=False)[0]["problem"]
