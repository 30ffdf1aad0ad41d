"""phys/ml/apply: each event gets the score of the model that did not train on it; files, chunks and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.wrappers import kit

WRAPPER = "phys/ml/apply"
FEATURES = ["x1", "x2"]
Columns = dict[str, np.ndarray]


def sample(size: int, signal: bool, seed: int) -> Columns:
    """Events with two features."""
    random = np.random.default_rng(seed)
    return {
        "event_number": random.permutation(3 * size)[:size].astype(np.int64),
        "x1": random.normal(1.0 if signal else 0.0, 1, size),
        "x2": random.normal(0, 1, size),
        "n_jets": random.integers(0, 5, size).astype(np.int32),
        "pass_trigger": random.uniform(size=size) < 0.5,
        "weight": random.uniform(0.5, 1.5, size),
    }


def write(path: Path, columns: Columns) -> Path:
    """Write a flat Parquet table."""
    pq.write_table(pa.table(columns), path)
    return path


def logistic(document: dict[str, Any], fold: int, columns: Columns) -> np.ndarray:
    """Scores of one fold's model, from the numbers in the file."""
    model = document["models"][fold]
    total = np.full(len(columns["x1"]), model["intercept"])
    for number, name in enumerate(FEATURES):
        total += (columns[name] - model["mean"][number]) / model["scale"][number] * model["coefficients"][number]
    return np.asarray(1 / (1 + np.exp(-total)))


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, dict[str, Any], Path, Path]:
    """A logistic model of three folds by modulo, its document, and its training tables."""
    signal = write(tmp_path / "signal.parquet", sample(300, True, 1))
    background = write(tmp_path / "background.parquet", sample(400, False, 2))
    path = tmp_path / "model.json"
    train(tmp_path, path, signal, background, fold_rule="modulo")
    return path, json.loads(path.read_text()), signal, background


def train(tmp_path: Path, path: Path, signal: Path, background: Path, **params: Any) -> None:
    """Train a small model."""
    kit.call(
        "phys/ml/train",
        tmp_path,
        input={"signal": signal, "background": background},
        output={"model": path, "metrics": tmp_path / "metrics.json"},
        params={"features": FEATURES, "method": "logistic", "folds": 3, **params},
    )


def apply(tmp_path: Path, model: Path, tables: Any, name: str = "out.parquet", **params: Any) -> Path:
    """Run the wrapper and return its output."""
    output = tmp_path / name
    kit.call(WRAPPER, tmp_path, input={"model": model, "table": tables}, output=[output], params=params)
    return output


def test_snakefile(tmp_path: Path) -> None:
    """The examples run; scores are those that xgboost gives by hand, and the area is that of the training's metrics."""
    xgboost = pytest.importorskip("xgboost")
    import uproot

    folder = kit.run_snakefile(WRAPPER, tmp_path, cores=1)
    model = json.loads((folder / "results/model.json").read_text())
    signal = pq.read_table(folder / "results/signal.parquet")
    assert signal.column_names == ["event_number", "weight", "m_yy", "score"]
    source = pq.read_table(folder / "data/signal.parquet")
    matrix = xgboost.DMatrix(np.column_stack([source[name].to_numpy() for name in model["features"]]))
    boosters = [xgboost.Booster(model_file=bytearray(json.dumps(one["booster"]).encode())) for one in model["models"]]
    scores = np.stack([one.predict(matrix) for one in boosters])
    mask = 2**64 - 1
    for row, number in enumerate(source["event_number"].to_pylist()[:300]):
        z = (number + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        assert signal["score"][row].as_py() == scores[(z ^ (z >> 31)) % 3, row]
    with uproot.open(folder / "results/background.root") as file:
        background = file["events"].arrays(["score", "weight"], library="np")
    s, b = signal["score"].to_numpy(), background["score"]
    pairs = signal["weight"].to_numpy()[:, None] * background["weight"]
    area = (((s[:, None] > b) + 0.5 * (s[:, None] == b)) * pairs).sum() / pairs.sum()
    metrics = json.loads((folder / "results/metrics.json").read_text())
    assert metrics["auc"]["value"] == pytest.approx(area, abs=1e-9)


def test_each_event_by_its_fold(tmp_path: Path, trained: tuple[Path, dict[str, Any], Path, Path]) -> None:
    """The fold's model scores, for training tables and others alike; `mean` averages, on others only."""
    model, document, signal, _ = trained
    other = sample(200, False, 9)
    columns = {"signal": sample(300, True, 1), "other": other}
    paths = {"signal": signal, "other": write(tmp_path / "other.parquet", other)}
    for name, path in paths.items():
        scores = np.stack([logistic(document, fold, columns[name]) for fold in range(3)])
        expected = scores[columns[name]["event_number"] % 3, np.arange(scores.shape[1])]
        found = pq.read_table(apply(tmp_path, model, path))["score"].to_numpy()
        assert found == pytest.approx(expected, abs=1e-12)
        assert np.ptp(scores, axis=0).max() > 1e-3
    found = pq.read_table(apply(tmp_path, model, paths["other"], scoring="mean"))["score"].to_numpy()
    assert found == pytest.approx(scores.mean(axis=0), abs=1e-12)
    with pytest.raises(kit.WrapperFailed, match="was trained with this file"):
        apply(tmp_path, model, signal, scoring="mean")


def test_chunks_formats_and_columns(tmp_path: Path, trained: tuple[Path, dict[str, Any], Path, Path]) -> None:
    """Any chunk size and both formats give the same rows, with the types of the input and its provenance."""
    import uproot

    model, _, signal, background = trained
    whole = apply(tmp_path, model, [signal, background], "whole.parquet")
    before = whole.read_bytes()
    assert apply(tmp_path, model, [signal, background], "whole.parquet").read_bytes() == before
    pieces = pq.read_table(apply(tmp_path, model, [signal, background], "pieces.parquet", rows=37))
    table = pq.read_table(whole)
    assert pieces.equals(table)
    assert table.column_names == [*sample(1, True, 1), "score"]
    assert (table.schema.field("n_jets").type, table.schema.field("pass_trigger").type) == (pa.int32(), pa.bool_())
    assert table["event_number"].to_pylist() == [
        *pq.read_table(signal)["event_number"].to_pylist(),
        *pq.read_table(background)["event_number"].to_pylist(),
    ]
    assert json.loads(table.schema.metadata[b"provenance"])["wrapper"] == WRAPPER
    root = apply(tmp_path, model, [signal, background], "o.root", rows=100, output_tree="t", keep=["weight", "n_jets"])
    with uproot.open(root) as file:
        read = file["t"].arrays(library="np")
        assert json.loads(file["provenance"])["wrapper"] == WRAPPER
    assert list(read) == ["weight", "n_jets", "score"]
    assert read["score"].tolist() == table["score"].to_pylist()


def test_reads_root_and_csv(tmp_path: Path, trained: tuple[Path, dict[str, Any], Path, Path]) -> None:
    """ROOT, npz and CSV tables give the scores of Parquet."""
    import uproot

    model, _, signal, _ = trained
    columns = sample(300, True, 1)
    expected = pq.read_table(apply(tmp_path, model, signal, keep=[]))["score"].to_pylist()
    with uproot.recreate(tmp_path / "t.root") as file:
        file.mktree("events", {name: column.dtype for name, column in columns.items()}).extend(columns)
    np.savez(tmp_path / "t.npz", **columns)  # type: ignore[arg-type]
    names = ["event_number", "x1", "x2"]
    rows = zip(*(columns[name].tolist() for name in names), strict=True)
    lines = [",".join(names), *(",".join(map(repr, row)) for row in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    for name in ("t.root", "t.npz", "t.csv"):
        assert pq.read_table(apply(tmp_path, model, tmp_path / name, keep=[]))["score"].to_pylist() == expected


def test_folds_by_order(tmp_path: Path) -> None:
    """With folds by order, a training file is scored by the rows' places; other files only by the mean."""
    signal = write(tmp_path / "s.parquet", sample(300, True, 1))
    background = write(tmp_path / "b.parquet", sample(300, False, 2))
    other = write(tmp_path / "o.parquet", sample(50, False, 3))
    model = tmp_path / "model.json"
    train(tmp_path, model, signal, background, fold_rule="order", fold_by=None)
    document = json.loads(model.read_text())
    scores = np.stack([logistic(document, fold, sample(300, False, 2)) for fold in range(3)])
    found = pq.read_table(apply(tmp_path, model, [signal, background], rows=70))["score"].to_numpy()[300:]
    assert found == pytest.approx(scores[np.arange(300) % 3, np.arange(300)], abs=1e-12)
    with pytest.raises(kit.WrapperFailed, match="not trained with this file"):
        apply(tmp_path, model, other)
    assert len(pq.read_table(apply(tmp_path, model, other, scoring="mean"))) == 50


def test_threads_do_not_matter(tmp_path: Path) -> None:
    """xgboost scores with one thread and with two are equal, in any chunks."""
    signal = write(tmp_path / "s.parquet", sample(300, True, 1))
    background = write(tmp_path / "b.parquet", sample(300, False, 2))
    model = tmp_path / "model.json"
    train(tmp_path, model, signal, background, method="xgboost", settings={"n_estimators": 10})
    results = []
    for threads, rows in ((1, 1000), (2, 41)):
        output = tmp_path / f"{threads}.parquet"
        inputs = {"model": model, "table": signal}
        kit.call(WRAPPER, tmp_path, input=inputs, output=[output], params={"rows": rows}, threads=threads)
        results.append(pq.read_table(output)["score"].to_pylist())
    assert results[0] == results[1]


def test_empty_table(tmp_path: Path, trained: tuple[Path, dict[str, Any], Path, Path]) -> None:
    """No events: a table with all columns and no rows, in both formats; beside a filled one it changes nothing."""
    import uproot

    model, _, signal, _ = trained
    empty = write(tmp_path / "e.parquet", {name: column[:0] for name, column in sample(5, True, 1).items()})
    table = pq.read_table(apply(tmp_path, model, empty))
    assert (len(table), table.column_names) == (0, [*sample(1, True, 1), "score"])
    with uproot.open(apply(tmp_path, model, empty, "o.root")) as file:
        assert file["events"].num_entries == 0
    assert pq.read_table(apply(tmp_path, model, [empty, signal])).equals(pq.read_table(apply(tmp_path, model, signal)))


def test_mistakes(tmp_path: Path, trained: tuple[Path, dict[str, Any], Path, Path]) -> None:
    """A person's mistake ends with a sentence, without a traceback and without an output."""
    model, document, signal, _ = trained
    good = sample(20, True, 4)
    renamed = {("X1" if name == "x1" else name): column for name, column in good.items()}
    tables = {
        "renamed": renamed,
        "nan": {**good, "x2": np.where(np.arange(20) == 3, np.nan, good["x2"])},
        "infinite": {**good, "x2": np.where(np.arange(20) == 3, np.inf, good["x2"])},
        "fraction": {**good, "event_number": good["event_number"] + 0.5},
        "scored": {**good, "score": good["x1"]},
    }
    paths = {name: write(tmp_path / f"{name}.parquet", columns) for name, columns in tables.items()}
    old, foreign = tmp_path / "old.json", tmp_path / "foreign.json"
    old.write_text(json.dumps({**document, "format_version": 99}))
    foreign.write_text("{}")
    cases: list[tuple[Path, Path, dict[str, Any], str]] = [
        (model, paths["renamed"], {}, "no column 'x1'. Did you mean X1"),
        (model, paths["nan"], {}, "column 'x2' is NaN in 1 rows"),
        (model, paths["infinite"], {}, "column 'x2' is infinite in 1 rows"),
        (model, paths["fraction"], {}, "is no event number"),
        (model, paths["scored"], {}, "there is a column 'score' already"),
        (model, signal, {"keep": ["wieght"]}, "Did you mean weight"),
        (model, signal, {"scoring": "folds"}, "Did you mean fold"),
        (model, signal, {"rows": 0}, "not a positive integer"),
        (old, signal, {}, "format version 99 instead of 1"),
        (foreign, signal, {}, "not a model of phys/ml/train"),
        (signal.with_suffix(".parquett"), signal, {}, "no such file. Did you mean signal.parquet"),
    ]
    for path, table, params, message in cases:
        with pytest.raises(kit.WrapperFailed) as failed:
            apply(tmp_path, path, table, "never.parquet", **params)
        assert message in str(failed.value)
        assert "Traceback" not in str(failed.value)
        assert not list(tmp_path.glob("*never*"))
    with pytest.raises(kit.WrapperFailed, match=r"not to '\.csv'"):
        apply(tmp_path, model, signal, "out.csv")
