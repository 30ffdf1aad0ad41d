"""Classifiers with folds: who trained on which event, and scores from a model file that holds no code."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput, near

MODEL_FORMAT = "phys/ml/train model"
MODEL_VERSION = 1
METHODS = ("xgboost", "hist_gradient_boosting", "logistic", "tabpfn")
FOLD_RULES = ("hash", "modulo", "order")
EXACT = 2.0**53
"""Up to here, a float64 holds each integer."""


def event_identities(values: np.ndarray, what: str) -> np.ndarray:
    """Return event numbers as uint64, shape (n,).

    Args:
        values: integers, or floats that are integers.
        what: file and column, for errors.

    Raises:
        WrongInput: if a value is not an integer that its type holds exactly.
    """
    if values.dtype.kind == "f":
        wrong = ~np.isfinite(values) | (np.floor(values) != values) | (np.abs(values) > EXACT)
        if wrong.any():
            raise WrongInput(f"{what}: {values[wrong][0]!r} is no event number ({wrong.sum()} such rows)")
        values = values.astype(np.int64)
    return values.astype(np.int64).view(np.uint64) if values.dtype.kind != "u" else values.astype(np.uint64)


def mixed(identities: np.ndarray, salt: int = 0) -> np.ndarray:
    """Return well mixed uint64 of uint64, shape (n,): the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    z = identities + np.uint64(0x9E3779B97F4A7C15 * (salt + 1) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def folds_of(identities: np.ndarray, rule: str, folds: int) -> np.ndarray:
    """Return the fold of each event, shape (n,), 0 to `folds` - 1; model i does not train on the events of fold i."""
    keys = mixed(identities) if rule == "hash" else identities
    return np.asarray(keys % np.uint64(folds), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A trained model for each fold, as `ml/train` writes it."""

    document: dict[str, Any] = field(repr=False)
    scorers: Sequence[Any] = field(repr=False)

    @property
    def features(self) -> list[str]:
        """Names of the columns, in the order of the model."""
        return list(self.document["features"])

    @property
    def folds(self) -> int:
        """How many models there are."""
        return len(self.scorers)

    def scores(self, fold: int, values: np.ndarray) -> np.ndarray:
        """Return scores of the model that did not train on `fold`.

        Args:
            fold: 0 to `folds` - 1.
            values: features, float64 of shape (n, number of features).

        Returns:
            float64 of shape (n,), from 0 (background) to 1 (signal).
        """
        fill = self.document["models"][fold].get("fill")
        if fill is not None:
            values = np.where(np.isnan(values), np.asarray(fill), values)
        if not len(values):
            return np.empty(0)
        return np.asarray(self.scorers[fold](values), dtype=np.float64)

    def out_of_fold(self, folds: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the score of each event by the model that did not train on its fold; shapes (n,), (n, f) -> (n,)."""
        result = np.empty(len(values))
        for fold in range(self.folds):
            chosen = folds == fold
            result[chosen] = self.scores(fold, values[chosen])
        return result

    def check(self, values: np.ndarray, where: str) -> None:
        """Raise `WrongInput` if a feature is infinite, or NaN where the model was trained without."""
        for number, name in enumerate(self.features):
            column = values[:, number]
            if np.isinf(column).any():
                raise WrongInput(f"{where}: column {name!r} is infinite in {np.isinf(column).sum()} rows")
            if self.document["missing"] == "error" and np.isnan(column).any():
                number = np.isnan(column).sum()
                message = f"{where}: column {name!r} is NaN in {number} rows, and the model was trained without NaN"
                raise WrongInput(f'{message}; train it with params: missing="keep" or "median"')


def write_model(path: Path, document: dict[str, Any]) -> None:
    """Write a model as JSON, one line for each key and each fold: the head is for people, the rest for programs."""
    lines = []
    for key, value in document.items():
        if key == "models":
            text = "[\n" + ",\n".join(json.dumps(one, separators=(",", ":"), allow_nan=False) for one in value) + "\n]"
        else:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        lines.append(f"{json.dumps(key)}: {text}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_model(path: str, *, threads: int = 1, weights: str | None = None) -> Classifier:
    """Read a model that `ml/train` wrote.

    Args:
        path: the JSON file.
        threads: for the prediction.
        weights: the file with the network's weights; TabPFN only.

    Raises:
        WrongInput: if it is something else, or of a format that this version does not know.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongInput(f"{path}: no JSON, so not a model of phys/ml/train: {error}") from error
    if not isinstance(document, dict) or document.get("format") != MODEL_FORMAT:
        raise WrongInput(f"{path}: not a model of phys/ml/train (its key 'format' is not {MODEL_FORMAT!r})")
    if document.get("format_version") != MODEL_VERSION:
        version = document.get("format_version")
        raise WrongInput(
            f"{path}: format version {version} instead of {MODEL_VERSION}; train it again with this version"
        )
    if document["method"] not in METHODS:
        raise WrongInput(f"{path}: unknown method {document['method']!r}. {near(str(document['method']), METHODS)}")
    return classifier(document, threads=threads, weights=weights)


def classifier(document: dict[str, Any], *, threads: int = 1, weights: str | None = None) -> Classifier:
    """Return the model of a document as `write_model` takes it; arguments as for `read_model`."""
    makers = {"xgboost": _xgboost, "hist_gradient_boosting": _trees, "logistic": _logistic}
    if document["method"] == "tabpfn":
        scorers = [_tabpfn(one, document, threads, weights) for one in document["models"]]
    else:
        scorers = [makers[document["method"]](one, threads) for one in document["models"]]
    return Classifier(document=document, scorers=scorers)


def _xgboost(model: dict[str, Any], threads: int) -> Any:
    import xgboost

    text = json.dumps(model["booster"], separators=(",", ":")).encode()
    booster = xgboost.Booster(params={"nthread": threads}, model_file=bytearray(text))
    return lambda values: booster.predict(xgboost.DMatrix(values, nthread=threads))


def _logistic(model: dict[str, Any], _: int) -> Any:
    mean, scale, coefficients = (np.asarray(model[key]) for key in ("mean", "scale", "coefficients"))
    # A sum per event in a fixed order: a matrix product may round differently for another number of rows.
    return lambda values: _sigmoid(((values - mean) / scale * coefficients).sum(axis=1) + model["intercept"])


def _trees(model: dict[str, Any], _: int) -> Any:
    trees = [{key: np.asarray(column) for key, column in tree.items()} for tree in model["trees"]]

    def score(values: np.ndarray) -> np.ndarray:
        total = np.full(len(values), float(model["baseline"]))
        for tree in trees:
            total += _leaf_values(tree, values)
        return _sigmoid(total)

    return score


def _leaf_values(tree: dict[str, np.ndarray], values: np.ndarray) -> np.ndarray:
    at = np.zeros(len(values), dtype=np.int64)
    rows = np.flatnonzero(tree["left"][at] > 0)
    while len(rows):
        node = at[rows]
        value = values[rows, tree["feature"][node]]
        left = np.where(np.isnan(value), tree["missing_left"][node] == 1, value <= tree["threshold"][node])
        at[rows] = np.where(left, tree["left"][node], tree["right"][node])
        rows = rows[tree["left"][at[rows]] > 0]
    return np.asarray(tree["value"][at])


def _tabpfn(model: dict[str, Any], document: dict[str, Any], threads: int, weights: str | None) -> Any:
    import hashlib

    if weights is None:
        raise WrongInput("input: method tabpfn needs the file with the network's weights: tabpfn=...")
    with Path(weights).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != document["weights_sha256"]:
        raise WrongInput(f"{weights}: not the weights that the model was trained with (SHA-256 {found[:12]}…)")
    network = tabpfn_network(document["settings"], document["seed"], threads, weights)
    network.fit(np.asarray(model["context"], dtype=np.float32), np.asarray(model["labels"]))

    def score(values: np.ndarray) -> np.ndarray:
        pieces = [values[start : start + 20_000] for start in range(0, len(values), 20_000)]
        return np.concatenate([network.predict_proba(piece.astype(np.float32))[:, 1] for piece in pieces])

    return score


def tabpfn_network(settings: dict[str, Any], seed: int, threads: int, weights: str) -> Any:
    """Return an unfitted TabPFNClassifier on the CPU, or raise `WrongInput` where it is not installed."""
    try:
        import tabpfn
        import torch
    except ImportError as error:
        message = f"method tabpfn needs the packages tabpfn and torch, which this environment lacks ({error})"
        raise WrongInput(f"{message}; use method xgboost, or an environment that has them") from error
    torch.set_num_threads(threads)
    options = {"device": "cpu", "ignore_pretraining_limits": True, **settings}
    return tabpfn.TabPFNClassifier(model_path=weights, random_state=seed, **options)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))
