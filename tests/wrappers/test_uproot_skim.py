"""`phys/uproot/skim`: events, columns and cut flows against NumPy; what is refused, and with which words."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from tests.wrappers import kit

WRAPPER = "phys/uproot/skim"


def sample(number: int, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    photons = random.integers(0, 5, number)
    total = int(photons.sum())
    return {
        "event_number": random.integers(2**62, 2**63, number).astype(np.uint64) * np.uint64(2) + np.uint64(1),
        "pass_trigger": random.random(number) < 0.7,
        "weight": random.normal(0.4, 0.7, number),
        "photon_pt": ak.unflatten((15 + random.exponential(30, total)).astype(np.float32), photons),
        "photon_is_tight": ak.unflatten(random.random(total) < 0.8, photons),
        "grid": np.arange(3 * number, dtype=np.float32).reshape(number, 3),
        "met": random.exponential(20, number).astype(np.float32),
    }


def write(path: Path, columns: dict[str, Any], *, kind: str = "ttree", tree: str = "events") -> Path:
    if kind == "parquet":
        ak.to_parquet(ak.zip(columns, depth_limit=1), path, extensionarray=False, row_group_size=70)
        return path
    with uproot.recreate(path) as file:
        half = len(columns["weight"]) // 2
        writer = (file.mktree if kind == "ttree" else file.mkrntuple)(tree, {n: a[:half] for n, a in columns.items()})
        writer.extend({name: array[half:] for name, array in columns.items()})
    return path


def read(path: Path, tree: str = "events") -> ak.Array:
    if path.suffix == ".parquet":
        return ak.from_parquet(path)
    with uproot.open(path) as file:
        return file[tree].arrays()


def skim(tmp_path: Path, inputs: list[Path], out: str = "out.parquet", *, threads: int = 1, **params: Any) -> Any:
    """Run the wrapper; return its events and its cut flow."""
    output = [tmp_path / out, tmp_path / "cutflow.json", tmp_path / "cutflow.md"]
    kit.call(WRAPPER, tmp_path, input=inputs, output=output, params=params, threads=threads)
    events = read(tmp_path / out, params.get("output_tree") or params.get("tree") or "events")
    return events, json.loads((tmp_path / "cutflow.json").read_text(encoding="utf-8"))


def failure(tmp_path: Path, inputs: list[Path], out: str = "out.parquet", **params: Any) -> str:
    with pytest.raises(kit.WrapperFailed) as caught:
        skim(tmp_path, inputs, out, **params)
    assert "Traceback" not in str(caught.value)
    assert not (tmp_path / out).exists()
    assert not list(tmp_path.glob(".*"))
    return str(caught.value)


def test_snakefile(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    a, b = (read(folder / "data" / name) for name in ("a.root", "b.root"))
    flow = [(0, 0.0, 0.0)] * 4
    numbers: list[int] = []
    for event in [*a.tolist(), *b.tolist()]:
        photons = zip(event["photon_is_tight"], event["photon_pt"], event["photon_eta"], strict=True)
        good = [pt for tight, pt, eta in photons if tight and pt > 25 and abs(eta) < 2.37]
        steps = [True, event["pass_trigger"], len(good) >= 2, len(good) >= 2 and good[0] > 35]
        for step, (events, total, square) in enumerate(flow):
            if all(steps[: step + 1]):
                flow[step] = (events + 1, total + event["weight"], square + event["weight"] ** 2)
        if all(steps):
            numbers.append(event["event_number"])
    skimmed = read(folder / "results" / "diphoton.parquet")
    assert skimmed.event_number.tolist() == numbers
    assert skimmed.fields == ["event_number", "weight", "photon_pt", "photon_eta", "photon_is_tight", "lead_pt"]
    report = json.loads((folder / "results" / "cutflow.json").read_text(encoding="utf-8"))
    assert [row["cut"] for row in report["cutflow"]] == ["all", "trigger", "two good photons", "leading photon"]
    for row, (events, total, square) in zip(report["cutflow"], flow, strict=True):
        assert row["events"] == events
        assert row["yield"] == pytest.approx(total, rel=1e-12)
        assert row["error"] == pytest.approx(square**0.5, rel=1e-12)
    assert "| trigger |" in (folder / "results" / "cutflow.md").read_text(encoding="utf-8")
    tight = read(folder / "results" / "tight.root", "selected")
    source = read(folder / "data" / "rntuple.root").tolist()
    expected = [e for e in source if e["photon_pt"] and e["photon_pt"][0] > 35 and all(e["photon_is_tight"])]
    assert tight.event_number.tolist() == [event["event_number"] for event in expected]
    slim = read(folder / "results" / "slim.root")
    assert "met" not in slim.fields
    assert slim.photon_pt.tolist() == a.photon_pt.tolist()


@pytest.mark.parametrize("source", ["ttree", "rntuple", "parquet"])
@pytest.mark.parametrize("target", ["ttree", "rntuple", "parquet"])
def test_every_format_to_every_format(tmp_path: Path, source: str, target: str) -> None:
    columns = sample(300)
    if source != "ttree":
        del columns["grid"]
    path = write(tmp_path / ("in.parquet" if source == "parquet" else "in.root"), columns, kind=source)
    out = "out.parquet" if target == "parquet" else "out.root"
    params: dict[str, Any] = {"format": target} if target != "parquet" else {}
    events, report = skim(tmp_path, [path], out, cut="met > 10", define={"n": "num(photon_pt)"}, step_size=90, **params)
    passed = columns["met"] > 10
    assert set(columns) | {"n"} <= set(events.fields)
    for name, array in columns.items():
        assert events[name].tolist() == array[passed].tolist(), name
    assert events.n.tolist() == ak.num(columns["photon_pt"])[passed].tolist()
    assert events.event_number.layout.dtype == np.uint64
    assert "bool" in str(events.photon_is_tight.type)
    assert report["n_events"] == int(passed.sum())


def test_chunks_files_and_threads_change_nothing(tmp_path: Path) -> None:
    columns = sample(400)
    whole = write(tmp_path / "whole.root", columns)
    parts = [
        write(tmp_path / f"{name}.root", {key: array[cut] for key, array in columns.items()})
        for name, cut in (("z", slice(0, 150)), ("a", slice(150, 400)))
    ]
    params: dict[str, Any] = {
        "cut": {"two": "num(photon_pt) >= 2", "hard": "photon_pt[:, 1] > 30"},
        "weight": "weight * 2",
    }
    one, flow_one = skim(tmp_path, [whole], **params)
    many, flow_many = skim(tmp_path, parts, step_size=37, threads=2, **params)
    assert many.tolist() == one.tolist()
    for first, second in zip(flow_one["cutflow"], flow_many["cutflow"], strict=True):
        assert second.pop("cut") == first.pop("cut")
        assert second == pytest.approx(first, rel=1e-12)


def test_parquet_is_the_same_to_the_byte_and_tells_its_origin(tmp_path: Path) -> None:
    path = write(tmp_path / "in.root", sample(200))
    kept = []
    for _ in range(2):
        skim(tmp_path, [path], cut="pass_trigger")
        kept.append((tmp_path / "out.parquet").read_bytes())
    assert kept[0] == kept[1]
    origin = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"provenance"])
    assert origin["wrapper"] == WRAPPER
    assert origin["params"] == {"cut": "pass_trigger"}
    skim(tmp_path, [path], "out.root", cut="pass_trigger")
    with uproot.open(tmp_path / "out.root") as file:
        assert json.loads(str(file["provenance"])) == origin


def test_no_event_passes(tmp_path: Path) -> None:
    path = write(tmp_path / "in.root", sample(50))
    for out, kind in (("e.parquet", "ttree"), ("t.root", "ttree"), ("r.root", "rntuple")):
        events, report = skim(tmp_path, [path], out, cut="met < 0", define={"first": "photon_pt[:, 0]"}, format=kind)
        assert len(events) == 0
        assert {"photon_pt", "event_number", "first"} <= set(events.fields)
        assert report["cutflow"][-1] == {"cut": "met < 0", "events": 0, "yield": 0.0, "error": 0.0}
        assert "is empty" in (tmp_path / "log.txt").read_text(encoding="utf-8")


def test_input_without_events(tmp_path: Path) -> None:
    columns = {name: array[:0] for name, array in sample(10).items()}
    with uproot.recreate(tmp_path / "none.root") as file:
        file.mktree("events", {"weight": "float64", "photon_pt": "var * float32"})
    write(tmp_path / "none.parquet", {name: columns[name] for name in ("weight", "photon_pt")}, kind="parquet")
    for name in ("none.root", "none.parquet"):
        events, report = skim(tmp_path, [tmp_path / name], cut="sum(photon_pt) > 3")
        assert len(events) == 0
        assert report["n_events"] == 0


def test_signed_weights_and_skim_of_a_skim(tmp_path: Path) -> None:
    columns = sample(300)
    path = write(tmp_path / "in.root", columns)
    _, report = skim(tmp_path, [path], "first.root", cut="met > 5", weight="weight")
    assert (columns["weight"] < 0).any()
    assert report["cutflow"][0]["yield"] == pytest.approx(columns["weight"].sum(), rel=1e-12)
    events, report = skim(tmp_path, [tmp_path / "first.root"], "second.root", cut="met > 10", weight="weight")
    passed = columns["weight"][columns["met"] > 10]
    assert report["yield"] == pytest.approx(passed.sum(), rel=1e-12)
    assert report["yield_error"] == pytest.approx(np.sqrt((passed**2).sum()), rel=1e-12)
    with uproot.open(tmp_path / "second.root") as file:
        names = file["events"].keys()
    assert sorted(names) == sorted([*columns, "nphoton_pt", "nphoton_is_tight"])
    assert events.nphoton_pt.tolist() == ak.num(events.photon_pt).tolist()


def test_a_column_named_like_a_counter_keeps_its_values(tmp_path: Path) -> None:
    columns = sample(20) | {"nphoton_pt": np.arange(20)}
    del columns["grid"]
    path = write(tmp_path / "in.parquet", columns, kind="parquet")
    events, _ = skim(tmp_path, [path], "out.root")
    assert events.nphoton_pt.tolist() == list(range(20))
    assert events.photon_pt.tolist() == columns["photon_pt"].tolist()


def test_columns_that_a_tree_cannot_hold(tmp_path: Path) -> None:
    columns = {
        "weight": np.ones(4),
        "label": ak.Array(["a", "b", "c", "d"]),
        "deep": ak.Array([[[1.0], []], [], [[2.0]], []]),
    }
    path = write(tmp_path / "in.root", columns, kind="rntuple")
    events, _ = skim(tmp_path, [path], "out.root")
    assert events.fields == ["weight"]
    assert "column deep is left out" in (tmp_path / "log.txt").read_text(encoding="utf-8")
    message = failure(tmp_path, [path], "bad.root", keep=["weight", "deep"])
    assert "'deep' is var * var * float64" in message
    for out in ("out.parquet", "out.root"):
        events, _ = skim(tmp_path, [path], out, keep=["label", "deep"], cut="weight > 0", format="rntuple")
        assert events.deep.tolist() == columns["deep"].tolist()
        assert events.label.tolist() == ["a", "b", "c", "d"]


def test_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    ak.to_parquet(
        ak.Array({"weight": [1.0, None, 3.0, 4.0], "ok": [True, None, True, False]}), path, extensionarray=False
    )
    events, _ = skim(tmp_path, [path], "kept.parquet", cut="ok", keep="weight")
    assert events.weight.tolist() == [1.0, 3.0]
    assert "has missing values" in failure(tmp_path, [path], "out.root", keep="weight")
    assert "weight of event 1" in failure(tmp_path, [path], weight="weight")


def test_keep(tmp_path: Path) -> None:
    path = write(tmp_path / "in.root", sample(10))
    events, _ = skim(
        tmp_path, [path], keep=["photon_*", "double", "!*tight"], define={"double": "met + met", "unused": "met"}
    )
    assert events.fields == ["photon_pt", "double"]
    assert "no column matches 'jet_*'" in failure(tmp_path, [path], "x.parquet", keep=["jet_*"])
    assert "Did you mean photon_pt" in failure(tmp_path, [path], "x.parquet", keep=["photon_pT"])


def test_errors_before_work(tmp_path: Path) -> None:
    good = write(tmp_path / "good.root", sample(10))
    other = write(tmp_path / "other.root", sample(10), tree="event")
    changed = write(tmp_path / "changed.root", sample(10) | {"met": np.ones(10)})
    (tmp_path / "broken.root").write_bytes(b"no ROOT file" * 30)
    short = {name: array for name, array in sample(10).items() if name != "weight"}
    with uproot.recreate(tmp_path / "short.root") as file:
        file.mktree("events", short)

    def wrong(*words: str, inputs: list[Path] | None = None, out: str = "bad.parquet", **params: Any) -> None:
        message = failure(tmp_path, inputs or [good], out, **params)
        for word in words:
            assert word in message, message

    wrong("other.root: no tree 'events'", "Did you mean event?", inputs=[good, good, other], tree="events")
    wrong("changed.root", "'met' is 'float64', but 'float32' in", inputs=[good, changed])
    wrong("short.root", "no column 'weight'", inputs=[good, tmp_path / "short.root"])
    wrong("broken.root: cannot be read", inputs=[tmp_path / "broken.root"])
    wrong("missing.root: no such file", inputs=[tmp_path / "missing.root"])
    wrong("no column 'photon_ptt'. Did you mean photon_pt", "^^^^^^^^^^", cut="sum(photon_ptt > 3) > 1")
    wrong("a list per event", cut="photon_pt > 25")
    wrong("not a condition", cut="met")
    wrong("params: cut: hard", "too few entries", cut={"hard": "photon_pt[:, 0] > 35"})
    wrong("has a column 'met' already", define={"met": "met * 2"})
    wrong("no column 'second'", define={"first": "second", "second": "met"})
    wrong("there is no 'cuts'. Did you mean cut", cuts="met > 3")
    wrong("step_size='many'", step_size="many")
    wrong("compression='zstd-99'", compression="zstd-99")
    wrong("compression='zlib'", compression="zlib")
    wrong("format='tree' is none of", out="bad.root", format="tree")
    wrong("define is a mapping", define="met * 2")
    wrong("root:// URLs need the package fsspec-xrootd", urls="root://server//file.root")
    with pytest.raises(kit.WrapperFailed, match=re.escape("events go to .root or .parquet")):
        kit.call(WRAPPER, tmp_path, input=[good], output=[tmp_path / "out.csv"])
    with pytest.raises(kit.WrapperFailed, match="file is needed for the events"):
        kit.call(WRAPPER, tmp_path, input=[good], output=[tmp_path / "out.json"])


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves the ranges of a file that are asked for, as servers of large files do."""

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        if "," in self.headers["Range"]:
            self.send_error(416)
            return
        first, last = (int(one) for one in self.headers["Range"].removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Ranges, directory=tmp_path)) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listener.server_address[1]}"
        listener.shutdown()
        thread.join()


def test_url(tmp_path: Path, server: str) -> None:
    columns = sample(60)
    path = write(tmp_path / "in.root", columns)
    events, report = skim(tmp_path, [path], urls=[f"{server}/in.root"], keep=["event_number"])
    assert events.event_number.tolist() == 2 * columns["event_number"].tolist()
    assert report["n_events"] == 120
