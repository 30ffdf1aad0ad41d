"""phys/ml/train: folds, weights, metrics and the guard, against computations by hand."""

from __future__ import annotations

import json
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.wrappers import kit

WRAPPER = "phys/ml/train"
FEATURES = ["x1", "x2", "x3"]
SMALL = {"n_estimators": 15, "max_depth": 2}
Columns = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    """The wrapper's functions."""
    return runpy.run_path(str(kit.WRAPPERS / WRAPPER / "wrapper.py"))


def sample(size: int, signal: bool, seed: int, *, negative: float = 0.0) -> Columns:
    """Events with two useful features and one without use; masses that no feature knows."""
    random = np.random.default_rng(seed)
    shift = 1.0 if signal else 0.0
    sign = np.where(random.uniform(size=size) < negative, -1.0, 1.0)
    return {
        "event_number": random.permutation(10 * size)[:size].astype(np.int64),
        "x1": random.normal(shift, 1, size),
        "x2": random.normal(-0.5 * shift, 1, size),
        "x3": random.normal(0, 1, size),
        "m_yy": random.uniform(105, 160, size),
        "weight": sign * random.uniform(0.5, 1.5, size),
    }


def write(path: Path, columns: Columns) -> Path:
    """Write a flat Parquet table."""
    pq.write_table(pa.table(columns), path)
    return path


def train(
    tmp_path: Path, signal: list[Path], background: list[Path], *, extra: tuple[str, ...] = (), **params: Any
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Run the wrapper; return model, metrics and log."""
    output = {"model": tmp_path / "out" / "model.json", "metrics": tmp_path / "out" / "metrics.json"}
    output |= {name: tmp_path / "out" / f"{name}.png" for name in extra}
    given = {"features": FEATURES, "folds": 2, **params}
    if given.get("method", "xgboost") == "xgboost":
        given.setdefault("settings", SMALL)
    log = kit.call(WRAPPER, tmp_path, input={"signal": signal, "background": background}, output=output, params=given)
    return json.loads(output["model"].read_text()), json.loads(output["metrics"].read_text()), log


@pytest.fixture
def tables(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    """A signal table with negative weights and a background table."""
    signal = write(tmp_path / "signal.parquet", sample(600, True, 1, negative=0.1))
    return [signal], [write(tmp_path / "background.parquet", sample(800, False, 2))]


def pair_auc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The area by its definition: all pairs."""
    s, b = labels == 1, labels == 0
    wins = (scores[s][:, None] > scores[b]) + 0.5 * (scores[s][:, None] == scores[b])
    pairs = weights[s][:, None] * weights[b]
    return float((wins * pairs).sum() / pairs.sum())


def split_mix(numbers: np.ndarray) -> list[int]:
    """SplitMix64 with Python's integers."""
    mask, result = 2**64 - 1, []
    for number in numbers.tolist():
        z = (number + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        result.append(z ^ (z >> 31))
    return result


def test_snakefile(tmp_path: Path) -> None:
    """The examples run; yields and the area agree with the tables and with xgboost by hand."""
    xgboost = pytest.importorskip("xgboost")
    folder = kit.run_snakefile(WRAPPER, tmp_path, cores=1)
    metrics = json.loads((folder / "results/metrics.json").read_text())
    model = json.loads((folder / "results/model.json").read_text())
    parts = [pq.read_table(folder / f"data/{name}.parquet") for name in ("signal", "background_1", "background_2")]
    weights = [part["weight"].to_numpy() for part in parts]
    assert metrics["yields"]["signal"]["yield"] == pytest.approx(weights[0].sum(), rel=1e-12)
    assert metrics["yields"]["background"]["yield_error"] == pytest.approx(
        np.sqrt((np.concatenate(weights[1:]) ** 2).sum()), rel=1e-12
    )
    values = np.concatenate([np.column_stack([part[name].to_numpy() for name in model["features"]]) for part in parts])
    numbers = np.concatenate([part["event_number"].to_numpy() for part in parts])
    folds = np.array([one % 3 for one in split_mix(numbers)])
    scores = np.empty(len(folds))
    for fold, one in enumerate(model["models"]):
        booster = xgboost.Booster(model_file=bytearray(json.dumps(one["booster"]).encode()))
        scores[folds == fold] = booster.predict(xgboost.DMatrix(values[folds == fold]))
    labels = np.repeat([1, 0, 0], [len(part) for part in parts])
    assert metrics["auc"]["value"] == pytest.approx(pair_auc(scores, labels, np.concatenate(weights)), abs=1e-9)
    assert metrics["auc"]["value"] > 0.65
    for name in ("roc", "scores", "features", "correlation"):
        assert (folder / f"results/{name}.png").read_bytes()[:4] == b"\x89PNG"
    logistic = json.loads((folder / "results/logistic.json").read_text())
    assert len(logistic["models"]) == 2


def test_area_and_its_error(module: dict[str, Any]) -> None:
    """The area is that of all pairs, also with ties and negative weights; its error that of repeated experiments."""
    random = np.random.default_rng(5)
    labels = np.repeat([1, 0], [150, 250])
    scores = np.round(random.normal(labels * 0.8, 1), 1)
    weights = random.uniform(0.5, 1.5, 400) * np.where(random.uniform(size=400) < 0.1, -1, 1)
    found = module["auc"](scores, labels, weights)
    assert found["value"] == pytest.approx(pair_auc(scores, labels, weights), abs=1e-12)
    values, errors = [], []
    for _ in range(300):
        one = module["auc"](random.normal(labels * 0.8, 1), labels, np.abs(weights))
        values.append(one["value"])
        errors.append(one["error"])
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    assert module["auc"](scores, labels, -np.abs(weights)) == {"value": None, "error": None}


def test_kolmogorov_agrees_with_scipy(module: dict[str, Any]) -> None:
    """With weights of 1, distance and asymptotic p-value are scipy's."""
    from scipy.stats import ks_2samp

    random = np.random.default_rng(6)
    one, other = random.normal(size=300), random.normal(0.15, 1, 500)
    found = module["kolmogorov"](one, other, (np.ones(300), np.ones(500)))
    reference = ks_2samp(one, other)
    assert found["ks"] == pytest.approx(reference.statistic, abs=1e-12)
    assert found["p"] == pytest.approx(reference.pvalue, abs=0.02)


def test_dependence_sees_what_a_correlation_does_not(module: dict[str, Any]) -> None:
    """A parabola of the mass has no linear correlation, and is found; noise is not."""
    random = np.random.default_rng(8)
    mass = random.uniform(105, 145, 4000)
    parabola = module["dependence"](mass - 125, (mass - 125) ** 2, np.ones(4000))
    assert abs(parabola["pearson"]) < 0.1
    assert parabola["ratio"] > 0.9
    noise = module["dependence"](random.normal(size=4000), mass, np.ones(4000))
    assert max(map(abs, noise.values())) < 0.1


def test_folds_by_hash(module: dict[str, Any]) -> None:
    """Folds follow SplitMix64 of the event number, whatever its type; about equal even if all numbers are even."""
    numbers = np.arange(0, 20_000, 2)
    expected = [one % 5 for one in split_mix(numbers)]
    for kind in (np.int64, np.uint64, np.int32, np.float64):
        identities = module["event_identities"](numbers.astype(kind), "test")
        assert module["folds_of"](identities, "hash", 5).tolist() == expected
    assert np.bincount(expected).min() > 1850
    with pytest.raises(Exception, match="no event number"):
        module["event_identities"](np.array([1.0, 2.5]), "test")


def test_order_of_files_rows_and_threads_does_not_matter(tmp_path: Path) -> None:
    """Two files in another order and shuffled rows: the same models and metrics; the same bytes when run again."""
    signal = sample(500, True, 1)
    background = sample(600, False, 2)
    half = {name: column[:300] for name, column in background.items()}, {n: c[300:] for n, c in background.items()}
    shuffle = np.random.default_rng(3).permutation(500)
    one = write(tmp_path / "s.parquet", signal)
    other = write(tmp_path / "t.parquet", {name: column[shuffle] for name, column in signal.items()})
    first, second = write(tmp_path / "b1.parquet", half[0]), write(tmp_path / "b2.parquet", half[1])
    settings = {**SMALL, "subsample": 0.7}
    model, metrics, _ = train(tmp_path, [one], [first, second], settings=settings)
    before = (tmp_path / "out/model.json").read_bytes()
    again, _, _ = train(tmp_path, [one], [first, second], settings=settings)
    assert (tmp_path / "out/model.json").read_bytes() == before
    reordered, metrics_too, _ = train(tmp_path, [other], [second, first], settings=settings)
    assert again["models"] == reordered["models"] == model["models"]
    assert reordered["sha256"] == model["sha256"]
    metrics.pop("provenance")
    metrics_too.pop("provenance")
    assert metrics == metrics_too


def test_model_does_not_train_on_its_fold(tmp_path: Path) -> None:
    """Labels that are pure noise: training events look separated, events of the fold do not."""
    signal = write(tmp_path / "s.parquet", sample(300, False, 1))
    background = write(tmp_path / "b.parquet", sample(300, False, 2))
    _, metrics, _ = train(tmp_path, [signal], [background], settings={"n_estimators": 100, "max_depth": 6})
    assert metrics["auc"]["value"] == pytest.approx(0.5, abs=4 * metrics["auc"]["error"])
    assert all(one["auc_train"]["value"] > 0.95 for one in metrics["folds"])
    assert all(one["overtraining"]["signal"]["p"] < 1e-3 for one in metrics["folds"])


@pytest.mark.parametrize("policy", ["absolute", "drop", "error", "keep"])
def test_negative_weights(tmp_path: Path, tables: tuple[list[Path], list[Path]], policy: str) -> None:
    """Each policy does what its name says, and the log tells it."""
    signal, background = tables
    if policy == "error":
        with pytest.raises(kit.WrapperFailed, match="have a negative weight"):
            train(tmp_path, signal, background, negative_weights=policy)
        return
    method = "logistic" if policy == "keep" else "xgboost"
    model, metrics, log = train(tmp_path, signal, background, negative_weights=policy, method=method)
    weights = pq.read_table(signal[0])["weight"].to_numpy()
    negative = weights < 0
    assert metrics["yields"]["signal"]["negative_events"] == negative.sum()
    assert metrics["yields"]["signal"]["yield"] == pytest.approx(weights.sum(), rel=1e-12)
    assert f"{negative.sum()} of 600 events have a negative weight" in log
    if policy == "drop":
        kept = pq.read_table(signal[0]).filter(pa.array(~negative))
        pq.write_table(kept, tmp_path / "kept.parquet")
        without, _, _ = train(tmp_path, [tmp_path / "kept.parquet"], background)
        assert without["models"] == model["models"]
    if policy == "absolute":
        table = pq.read_table(signal[0])
        place = table.column_names.index("weight")
        pq.write_table(table.set_column(place, "weight", pa.array(np.abs(weights))), tmp_path / "abs.parquet")
        absolute, _, _ = train(tmp_path, [tmp_path / "abs.parquet"], background)
        assert (
            absolute["models"][0]["booster"]["learner"]["learner_model_param"]
            == (model["models"][0]["booster"]["learner"]["learner_model_param"])
        )


def test_balance(tmp_path: Path, tables: tuple[list[Path], list[Path]]) -> None:
    """Equal balance starts from 1/2; without it, from the ratio of the tables."""
    signal, background = tables
    starts = {}
    for balance in ("equal", "none"):
        model, _, _ = train(tmp_path, signal, background, balance=balance)
        text = model["models"][0]["booster"]["learner"]["learner_model_param"]["base_score"]
        starts[balance] = float(text.strip("[]"))
    assert starts["equal"] == pytest.approx(0.5, abs=1e-4)
    assert starts["none"] == pytest.approx(600 / 1400, abs=0.03)


LEAKS = [
    ({"leak": lambda c, s: c["m_yy"] * 2 + 1}, "depends on 'm_yy'"),
    ({"leak": lambda c, s: (c["m_yy"] - 132.5) ** 2}, "depends on 'm_yy'"),
    ({"leak": lambda c, s: c["weight"] * 3}, "copy of the weights"),
    ({"leak": lambda c, s: c["event_number"] + 0.5}, "copy of the event numbers"),
    ({"leak": lambda c, s: np.full(len(c["x1"]), 4.0)}, "is constant"),
    ({"leak": lambda c, s: c["x1"] * 0.01 + (5 if s else 0)}, "it is the label"),
    ({"leak": lambda c, s: np.where(s, c["x1"], np.nan)}, "it is the label"),
]


@pytest.mark.parametrize(("columns", "message"), LEAKS)
def test_leakage_is_refused_or_told(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    """A feature that gives the answer away ends the job with its name, or is told of in the metrics."""
    paths = []
    for signal in (True, False):
        events = sample(400, signal, 3 + signal)
        events |= {name: make(events, signal) for name, make in columns.items()}
        paths.append([write(tmp_path / f"{signal}.parquet", events)])
    options: dict[str, Any] = {"features": ["x1", "leak"], "guard": "m_yy", "missing": "keep"}
    with pytest.raises(kit.WrapperFailed, match=message) as failed:
        train(tmp_path, paths[0], paths[1], **options)
    assert "'leak'" in str(failed.value)
    assert "Traceback" not in str(failed.value)
    assert not (tmp_path / "out/model.json").exists()
    _, metrics, log = train(tmp_path, paths[0], paths[1], leakage="warn", **options)
    assert any(message in one for one in metrics["warnings"])
    assert "Warning: leakage" in log


def test_features_that_know_the_mass_together(tmp_path: Path) -> None:
    """Each of two features says little of the mass, their difference all: the score is refused."""
    paths = []
    for signal in (True, False):
        events = sample(1500, signal, 3 + signal)
        mass = events["m_yy"] if not signal else np.random.default_rng(9).normal(150, 3, 1500)
        noise = np.random.default_rng(10 + signal).normal(0, 60, 1500)
        events |= {"m_yy": mass, "x1": noise, "x2": noise + mass}
        paths.append([write(tmp_path / f"{signal}.parquet", events)])
    with pytest.raises(kit.WrapperFailed, match=r"the score \(the features together\) depends on 'm_yy'"):
        train(tmp_path, paths[0], paths[1], features=["x1", "x2"], guard="m_yy", method="logistic")


@pytest.mark.parametrize("method", ["hist_gradient_boosting", "logistic"])
def test_scikit_learn_methods(tmp_path: Path, tables: tuple[list[Path], list[Path]], method: str) -> None:
    """The JSON predicts what scikit-learn, trained by hand on the other fold, predicts."""
    signal, background = tables
    settings = {"max_iter": 12, "max_depth": 3} if method != "logistic" else {}
    model, _, _ = train(tmp_path, signal, background, method=method, settings=settings, fold_rule="modulo")
    tables_read = [pq.read_table(path).to_pydict() for path in (*signal, *background)]
    columns = {name: np.concatenate([np.array(one[name]) for one in tables_read]) for name in tables_read[0]}
    labels = np.repeat([1, 0], [600, 800])
    values = np.column_stack([columns[name] for name in FEATURES])
    outside = columns["event_number"] % 2 == 1
    weights = np.abs(columns["weight"]) * outside
    weights = weights / np.array([weights[labels == label].sum() for label in (0, 1)])[labels]
    weights = weights / weights[outside].mean()
    reference: Any
    if method == "logistic":
        size = weights[outside]
        mean = np.average(values[outside], axis=0, weights=size)
        values = (values - mean) / np.sqrt(np.average((values[outside] - mean) ** 2, axis=0, weights=size))
        reference = pytest.importorskip("sklearn.linear_model").LogisticRegression(max_iter=1000, tol=1e-8)
        tolerance = 1e-3
    else:
        ensemble = pytest.importorskip("sklearn.ensemble")
        reference = ensemble.HistGradientBoostingClassifier(**settings, random_state=42, early_stopping=False)
        tolerance = 1e-9
    reference.fit(values[outside], labels[outside], sample_weight=weights[outside])
    output = tmp_path / "scored.parquet"
    kit.call(
        "phys/ml/apply",
        tmp_path,
        input={"model": tmp_path / "out/model.json", "table": [*signal, *background]},
        output=[output],
    )
    inside = ~outside
    scored = pq.read_table(output)["score"].to_numpy()
    expected = reference.predict_proba(values)[:, 1]
    assert scored[inside] == pytest.approx(expected[inside], abs=tolerance)
    assert scored[outside] != pytest.approx(expected[outside], abs=1e-3)
    assert model["method"] == method


def test_missing_values(tmp_path: Path) -> None:
    """NaN is an error unless the rule says what to do; the median is that of the training events."""
    paths = []
    for signal in (True, False):
        events = sample(400, signal, 3 + signal)
        events["x1"][::7] = np.nan
        paths.append([write(tmp_path / f"{signal}.parquet", events)])
    with pytest.raises(kit.WrapperFailed, match="column 'x1' is NaN in 58 of 400 rows"):
        train(tmp_path, *paths)
    for method in ("xgboost", "hist_gradient_boosting"):
        _, metrics, _ = train(tmp_path, *paths, missing="keep", method=method)
        assert metrics["auc"]["value"] > 0.6
    model, _, _ = train(tmp_path, *paths, missing="median", method="logistic", fold_rule="modulo")
    read = [pq.read_table(path[0]) for path in paths]
    numbers = np.concatenate([one["event_number"].to_numpy() for one in read])
    x1 = np.concatenate([one["x1"].to_numpy() for one in read])
    assert model["models"][0]["fill"][0] == pytest.approx(np.nanmedian(x1[numbers % 2 == 1]), rel=1e-12)


def test_early_stopping(tmp_path: Path, tables: tuple[list[Path], list[Path]]) -> None:
    """Training ends early, for both kinds of trees."""
    for method, name in (("xgboost", "n_estimators"), ("hist_gradient_boosting", "max_iter")):
        settings = {name: 400, "max_depth": 6, "learning_rate": 0.5}
        _, metrics, _ = train(tmp_path, *tables, method=method, early_stopping=5, settings=settings)
        assert all(0 < one["rounds"] < 50 for one in metrics["folds"])


def test_importances(tmp_path: Path, tables: tuple[list[Path], list[Path]]) -> None:
    """The useful features are worth more than the useless one."""
    _, metrics, _ = train(tmp_path, *tables, extra=("roc",))
    worth = {name: one["auc_loss"] for name, one in metrics["importances"].items()}
    assert worth["x1"] > worth["x2"] > worth["x3"]
    assert worth["x1"] > 0.08
    assert sum(one["gain"] for one in metrics["importances"].values()) == pytest.approx(1)
    assert b"provenance" in (tmp_path / "out/roc.png").read_bytes()


def test_tabpfn_needs_its_packages_and_weights(
    tmp_path: Path, tables: tuple[list[Path], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them an error says so; with them, the events that the network sees are stored and none is its own."""
    with pytest.raises(kit.WrapperFailed, match="needs the file with the network's weights"):
        train(tmp_path, *tables, method="tabpfn")
    weights = tmp_path / "network.ckpt"
    weights.write_bytes(b"weights")
    inputs = {"signal": tables[0], "background": tables[1], "tabpfn": weights}
    output = {"model": tmp_path / "model.json", "metrics": tmp_path / "metrics.json"}
    params = {"features": FEATURES, "method": "tabpfn", "folds": 2, "settings": {"max_events": 100}}
    monkeypatch.setitem(sys.modules, "tabpfn", None)
    with pytest.raises(kit.WrapperFailed, match="needs the packages tabpfn and torch"):
        kit.call(WRAPPER, tmp_path, input=inputs, output=output, params=params)

    class Network:
        """Scores by the first feature."""

        def __init__(self, **options: Any) -> None:
            assert options["model_path"] == str(weights)

        def fit(self, values: np.ndarray, labels: np.ndarray) -> None:
            assert len(values) == len(labels) == 100

        def predict_proba(self, values: np.ndarray) -> np.ndarray:
            score = 1 / (1 + np.exp(-values[:, 0]))
            return np.column_stack([1 - score, score])

    torch = types.ModuleType("torch")
    torch.set_num_threads = lambda number: None  # type: ignore[attr-defined]
    tabpfn = types.ModuleType("tabpfn")
    tabpfn.TabPFNClassifier = Network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "tabpfn", tabpfn)
    from importlib import metadata

    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0" if name in ("torch", "tabpfn") else version(name))
    kit.call(WRAPPER, tmp_path, input=inputs, output=output, params=params)
    model = json.loads(output["model"].read_text())
    own = sample(600, True, 1)["x1"]
    seen = {round(row[0], 5) for row in model["models"][0]["context"]}
    assert len(seen) == 100
    assert len(seen & {round(float(np.float32(one)), 5) for one in own}) == pytest.approx(50, abs=20)
    scored = tmp_path / "scored.parquet"
    kit.call(
        "phys/ml/apply",
        tmp_path,
        input={"model": output["model"], "tabpfn": weights, "table": tables[0]},
        output=[scored],
    )
    assert pq.read_table(scored)["score"].to_numpy() == pytest.approx(1 / (1 + np.exp(-own)), abs=1e-6)


MISTAKES = [
    ({"features": []}, "features is a list"),
    ({"features": ["x1", "x1"]}, "twice"),
    ({"features": ["x1", "X2"]}, "no column 'X2'. Did you mean x2"),
    ({"method": "xgbost"}, "Did you mean xgboost"),
    ({"fold": 3}, "there is no 'fold'. Did you mean fold"),
    ({"folds": 1}, "not an integer from 2"),
    ({"fold_by": "eventNumber"}, "no column 'eventNumber'. Did you mean event_number"),
    ({"settings": {"depth": 3}}, "xgboost has no 'depth' here. Did you mean max_depth"),
    ({"negative_weights": "keep"}, "does not go with method 'xgboost'"),
    ({"missing": "keep", "method": "logistic", "settings": {}}, "does not go with method 'logistic'"),
    ({"early_stopping": 5, "method": "logistic", "settings": {}}, "does not stop early"),
    ({"weight": "x1"}, "have a negative weight"),
    ({"folds": 100, "fold_rule": "modulo", "fold_by": "same"}, "has no background events"),
]


@pytest.mark.parametrize(("params", "message"), MISTAKES)
def test_mistakes(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    """A person's mistake ends with a sentence, without a traceback and without outputs."""
    paths = []
    for signal in (True, False):
        events = {**sample(60, signal, 1), "same": np.full(60, 7)}
        paths.append([write(tmp_path / f"{signal}.parquet", events)])
    given = {"negative_weights": "error", **params}
    with pytest.raises(kit.WrapperFailed) as failed:
        train(tmp_path, *paths, **given)
    assert message in str(failed.value)
    assert "Traceback" not in str(failed.value)
    assert not list((tmp_path / "out").glob("*"))


def test_wrong_files(tmp_path: Path) -> None:
    """The same file twice, an empty table, infinite values: errors that name the file."""
    one = write(tmp_path / "one.parquet", sample(50, True, 1))
    empty = write(tmp_path / "empty.parquet", {n: c[:0] for n, c in sample(50, True, 1).items()})
    infinite = sample(50, False, 2)
    infinite["x2"][3] = np.inf
    bad = write(tmp_path / "bad.parquet", infinite)
    for background, message in (
        (one, "is signal and background"),
        (empty, "no events"),
        (bad, "'x2' is infinite in 1"),
    ):
        with pytest.raises(kit.WrapperFailed, match=message):
            train(tmp_path, [one], [background])
