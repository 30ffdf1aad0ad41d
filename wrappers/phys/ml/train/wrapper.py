"""Train a classifier of signal and background events with k folds, and say how far it can be trusted."""

__author__ = "The snakemake-executor-plugin-llmagent developers"
__copyright__ = "Copyright 2026, the snakemake-executor-plugin-llmagent developers"
__license__ = "MIT"

import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# --- common: job (kept by wrappers/embed.py; edit wrappers/common/job.py) ---
# What every wrapper does around its work: log, errors, parameters, progress, provenance, whole files or none.

import contextlib
import difflib
import gc
import hashlib
import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Importing packages makes many objects that stay: looking through them for garbage takes a tenth of a short job's time.
gc.set_threshold(50_000, 20, 100)

VERSION = "0.1.0"
HASHED_BYTES = 64 * 1024 * 1024
"""Inputs up to this size are identified by their SHA-256 in the provenance; larger ones by their size alone."""


class WrongInput(Exception):
    """The person who wrote the rule can mend this: the message says which file or parameter, and what to do."""


@contextlib.contextmanager
def logged(snakemake: Any) -> Iterator[None]:
    """Send everything that is printed to the rule's log, and errors to the terminal too.

    Raises:
        SystemExit: with status 1 after a `WrongInput`, whose message is shown without a traceback.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    path = Path(snakemake.log[0]) if len(snakemake.log) else None
    message = ""
    try:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
        try:
            yield
        except WrongInput as error:
            message = f"Error: {error}\n"
        except Exception:
            message = traceback.format_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        if message and path:
            os.write(2, message.encode())
    finally:
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)
        gc.freeze()  # the job is done: nothing is worth a last look for garbage
    if message:
        sys.stderr.write(message)
        raise SystemExit(1)


def near(name: str, names: Iterable[str], *, most: int = 5) -> str:
    """Say which of `names` are like `name`: text for the end of an error message."""
    known = sorted(set(map(str, names)))
    lowered = {one.lower(): one for one in known}
    alike = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=most, cutoff=0.5)]
    if alike:
        return f"Did you mean {', '.join(alike)}?"
    shown = ", ".join(known[:20]) + (f", and {len(known) - 20} more" if len(known) > 20 else "")
    return f"There are: {shown}." if known else "There are none."


def parameters(snakemake: Any, defaults: Mapping[str, Any], *, required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the rule's params, completed by defaults.

    Args:
        snakemake: the object that Snakemake gives to a script.
        defaults: what params there are, and their values where the rule names none.
        required: params without a default.

    Raises:
        WrongInput: for an unknown, unnamed or missing param.
    """
    given = dict(snakemake.params.items())
    if len(snakemake.params) > sum(1 for _ in given):
        raise WrongInput('params: each needs a name, as in `params: cut="..."`')
    known = [*required, *defaults]
    for name in given:
        if name not in known:
            raise WrongInput(f"params: there is no {name!r}. {near(name, known)}")
    for name in required:
        if given.get(name) is None:
            raise WrongInput(f"params: {name!r} is missing")
    return {**defaults, **given}


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return the value of a param that is one of some words, or raise `WrongInput`."""
    if value not in options:
        raise WrongInput(f"params: {name}={value!r} is none of {', '.join(options)}. {near(str(value), options)}")
    return str(value)


def existing(paths: Iterable[Any]) -> list[str]:
    """Return paths as text after looking whether the local ones are files.

    Raises:
        WrongInput: naming the first file that is missing or empty, and files with similar names beside it.
    """
    texts = [str(path) for path in paths]
    for text in texts:
        if "://" in text:
            continue
        path = Path(text)
        if not path.is_file():
            beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            raise WrongInput(f"{text}: no such file. {near(path.name, beside)}")
        if path.stat().st_size == 0:
            raise WrongInput(f"{text}: the file is empty")
    return texts


def provenance(snakemake: Any, wrapper: str, packages: Sequence[str]) -> dict[str, Any]:
    """Describe how an output came about, without anything that differs from one run to the next.

    Args:
        snakemake: the object that Snakemake gives to a script.
        wrapper: the wrapper's place in the collection, such as `phys/uproot/skim`.
        packages: distributions whose versions matter.
    """
    return {
        "wrapper": wrapper,
        "version": VERSION,
        "inputs": [_identity(str(path)) for path in snakemake.input],
        "params": json.loads(json.dumps(dict(snakemake.params.items()), default=str, sort_keys=True)),
        "packages": {name: importlib.metadata.version(name) for name in sorted(packages)},
    }


def _identity(path: str) -> dict[str, Any]:
    if "://" in path or not Path(path).is_file():
        return {"file": path}
    size = Path(path).stat().st_size
    identity: dict[str, Any] = {"file": Path(path).name if Path(path).is_absolute() else path, "bytes": size}
    if size <= HASHED_BYTES:
        identity["sha256"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return identity


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[Path]:
    """Yield a hidden name beside `path` (same suffix) to write to; it becomes `path` if all goes well, else it goes."""
    final = Path(str(path))
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}.{final.name}")
    try:
        yield partial
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Any, value: Any) -> None:
    """Write JSON for people and programs: indented, in the order given, whole or not at all; NaN is an error."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


class Progress:
    """Lines in the log about how far long work has come, at most one every few seconds."""

    def __init__(self, what: str, total: int, unit: str = "events", *, every: float = 5.0) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = 0
        self.started = self.said = time.monotonic()

    def add(self, number: int) -> None:
        """Count `number` more; print a line if the last one is some seconds old."""
        self.done += number
        now = time.monotonic()
        if now - self.said >= self.every and self.done:
            self.said = now
            left = (now - self.started) * (self.total / self.done - 1)
            share = 100 * self.done / max(self.total, 1)
            print(
                f"{self.what}: {self.done:,} of {self.total:,} {self.unit} ({share:.0f} %), {left:.0f} s left",
                flush=True,
            )


# --- end of common ---

# --- common: tables (kept by wrappers/embed.py; edit wrappers/common/tables.py) ---
# Flat tables in Parquet, ROOT (TTree or RNTuple), npz or CSV files: their columns, and arrays of them in pieces.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


ROWS_PER_PIECE = 500_000


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file (or a tree of one) with columns of equal length."""

    path: str
    tree: str | None
    columns: tuple[str, ...]
    entries: int
    held: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What an error message calls this table."""
        return f"{self.path}: tree {self.tree}" if self.tree else self.path

    def check(self, wanted: Sequence[str]) -> None:
        """Raise `WrongInput` for the first wanted column that is not there."""
        for column in wanted:
            if column not in self.columns:
                raise WrongInput(f"{self.name}: no column {column!r}. {near(column, self.columns)}")

    def pieces(self, wanted: Sequence[str], *, rows: int = ROWS_PER_PIECE) -> Iterator[dict[str, np.ndarray]]:
        """Yield arrays of at most `rows` entries, shape (n,) each, in the order of the file.

        Raises:
            WrongInput: for a column that is missing or not one number (or bool) per row.
        """
        self.check(wanted)
        for piece in _reader(self.path)(self, list(wanted), rows):
            for column, array in piece.items():
                if array.ndim != 1 or array.dtype.kind not in "biuf":
                    raise WrongInput(f"{self.name}: column {column!r} is not one number per row ({array.dtype})")
            yield piece

    def read(self, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Return whole columns, shape (entries,) each."""
        pieces = list(self.pieces(wanted))
        if not pieces:
            return {column: np.empty(0) for column in wanted}
        return {column: np.concatenate([piece[column] for piece in pieces]) for column in wanted}


def open_table(path: str, tree: str | None = None) -> Table:
    """Open a table without reading its columns.

    Args:
        path: a file ending in .parquet, .root, .npz or .csv.
        tree: name of the TTree or RNTuple; may be left out where the file has only one.

    Raises:
        WrongInput: if it cannot be read, the tree is missing or ambiguous, or columns differ in length.
    """
    opener = _OPENERS.get(Path(path).suffix)
    if opener is None:
        raise WrongInput(f"{path}: tables are read from {', '.join(_OPENERS)} files, not from {Path(path).suffix!r}")
    try:
        return opener(path, tree)
    except WrongInput:
        raise
    except Exception as error:
        raise WrongInput(f"{path}: cannot be read: {type(error).__name__}: {error}") from error


def _open_parquet(path: str, _: str | None) -> Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return Table(path=path, tree=None, columns=tuple(file.schema_arrow.names), entries=file.metadata.num_rows)


def _open_root(path: str, tree: str | None) -> Table:
    import uproot

    with uproot.open(path) as file:
        classes = file.classnames(cycle=False)
        trees = [name for name, kind in classes.items() if kind == "TTree" or "RNTuple" in kind]
        if tree is None and len(trees) != 1:
            raise WrongInput(f"{path}: which tree? params: tree=... There are: {', '.join(trees) or 'none'}")
        chosen = trees[0] if tree is None else tree
        if chosen not in trees:
            raise WrongInput(f"{path}: no tree {chosen!r}. {near(chosen, trees)}")
        return Table(path=path, tree=chosen, columns=tuple(file[chosen].keys()), entries=file[chosen].num_entries)


def _open_npz(path: str, _: str | None) -> Table:
    with np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    return _held(path, held)


def _open_csv(path: str, _: str | None) -> Table:
    held = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8", deletechars="")
    return _held(path, {name: np.atleast_1d(held[name]) for name in held.dtype.names or ()})


def _held(path: str, held: dict[str, np.ndarray]) -> Table:
    lengths = {name: len(array) for name, array in held.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        raise WrongInput(f"{path}: columns differ in length: {lengths}")
    return Table(path=path, tree=None, columns=tuple(held), entries=next(iter(lengths.values()), 0), held=held)


def _reader(path: str) -> Any:
    return {".parquet": _read_parquet, ".root": _read_root}.get(Path(path).suffix, _read_held)


def _read_parquet(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table.path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            yield {name: batch.column(name).to_numpy(zero_copy_only=False) for name in wanted}


def _read_root(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    import uproot

    with uproot.open(table.path) as file:
        for piece in file[table.tree].iterate(wanted, library="np", step_size=rows):
            yield {name: np.asarray(piece[name]) for name in wanted}


def _read_held(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, table.entries, rows):
        yield {name: table.held[name][start : start + rows] for name in wanted}


_OPENERS = {".parquet": _open_parquet, ".root": _open_root, ".npz": _open_npz, ".csv": _open_csv}


# --- end of common ---

# --- common: classifier (kept by wrappers/embed.py; edit wrappers/common/classifier.py) ---
# Classifiers with folds: who trained on which event, and scores from a model file that holds no code.

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


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


# --- end of common ---

# --- common: figures (kept by wrappers/embed.py; edit wrappers/common/figures.py) ---
# Save figures: the same bytes for the same figure, with provenance, whole or not at all.

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


FIGURES = (".png", ".pdf", ".svg")


def check_figure(path: Any) -> None:
    """Raise `WrongInput` unless figures are written to files with this suffix."""
    if Path(str(path)).suffix not in FIGURES:
        raise WrongInput(
            f"{path}: figures are written to {', '.join(FIGURES)} files, not to {Path(str(path)).suffix!r}"
        )


def new_figure(width: float, height: float) -> Any:
    """Return an empty matplotlib figure of this size in inches, without pyplot and so without a display."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update(
        {
            "svg.hashsalt": "phys",
            "font.size": 11,
            "axes.labelsize": 12,
            "legend.frameon": False,
            "xtick.direction": "in",
            "ytick.direction": "in",
            "xtick.top": True,
            "ytick.right": True,
            "xtick.minor.visible": True,
            "ytick.minor.visible": True,
            # in the corner, the labels of both axes do not touch
            "xtick.major.pad": 6,
            "ytick.major.pad": 6,
            "mathtext.fontset": "dejavusans",
        }
    )
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Any, provenance: Mapping[str, Any]) -> None:
    """Write a matplotlib figure to a .png, .pdf or .svg file."""
    text = json.dumps(provenance, sort_keys=True)
    suffix = Path(str(path)).suffix
    metadata: dict[str, Any] = {
        ".png": {"provenance": text},
        ".pdf": {"Subject": text, "CreationDate": None},
        ".svg": {"Description": text, "Date": None},
    }[suffix]
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150, metadata=metadata)


# --- end of common ---

DEFAULTS: dict[str, Any] = {
    "method": "xgboost",
    "weight": "weight",
    "tree": None,
    "folds": 5,
    "fold_by": "event_number",
    "fold_rule": "hash",
    "balance": "equal",
    "negative_weights": "absolute",
    "missing": "error",
    "guard": None,
    "max_correlation": 0.5,
    "max_single_auc": 0.999,
    "leakage": "refuse",
    "early_stopping": None,
    "validation": 0.2,
    "settings": {},
    "seed": 42,
    "label": "Simulation",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "xgboost": {"n_estimators": 300, "max_depth": 4, "learning_rate": 0.1, "tree_method": "hist"},
    "hist_gradient_boosting": {"max_iter": 200, "max_depth": 4, "learning_rate": 0.1},
    "logistic": {"C": 1.0, "max_iter": 1000},
    "tabpfn": {"max_events": 5000},
}
"""What each method does where the rule says nothing."""
XGBOOST_SETTINGS = (
    *("n_estimators", "max_depth", "learning_rate", "tree_method", "min_child_weight", "gamma", "subsample"),
    *("colsample_bytree", "colsample_bylevel", "colsample_bynode", "reg_alpha", "reg_lambda", "max_bin", "max_leaves"),
    *("grow_policy", "max_delta_step", "monotone_constraints", "interaction_constraints"),
)
CLASSES = ("background", "signal")
SIGNAL_COLOUR, BACKGROUND_COLOUR = "#c8102e", "#1f5fa8"
PERMUTED_EVENTS = 20_000
FIGURE_NAMES = ("roc", "scores", "features", "correlation")


@dataclass(frozen=True, kw_only=True)
class Events:
    """All events of both classes, in an order that does not depend on the order of files or rows."""

    values: np.ndarray
    """Features, (n, number of features)."""
    labels: np.ndarray
    """1 for signal and 0 for background, (n,)."""
    weights: np.ndarray
    """As they stand in the tables, signed, (n,)."""
    identities: np.ndarray
    """Event numbers as uint64, (n,)."""
    guard: np.ndarray | None
    """What must not be learned, such as the mass in GeV, (n,)."""

    def where(self, chosen: np.ndarray) -> "Events":
        """Return some of the events."""
        guard = None if self.guard is None else self.guard[chosen]
        columns = (self.values, self.labels, self.weights, self.identities)
        values, labels, weights, identities = (column[chosen] for column in columns)
        return Events(values=values, labels=labels, weights=weights, identities=identities, guard=guard)


def check_params(params: dict[str, Any]) -> None:
    """Raise `WrongInput` for a param out of its range."""
    choice("method", params["method"], METHODS)
    choice("fold_rule", params["fold_rule"], FOLD_RULES)
    choice("balance", params["balance"], ("equal", "none"))
    choice("negative_weights", params["negative_weights"], ("absolute", "drop", "error", "keep"))
    choice("missing", params["missing"], ("error", "keep", "median"))
    choice("leakage", params["leakage"], ("refuse", "warn"))
    features = params["features"]
    if not isinstance(features, list | tuple) or not features or not all(isinstance(one, str) for one in features):
        raise WrongInput("params: features is a list of column names, as in features=['pt1', 'pt2']")
    twice = sorted({name for name in features if list(features).count(name) > 1})
    if twice:
        raise WrongInput(f"params: features names {', '.join(twice)} twice")
    _integer(params, "folds", 2, 100)
    _integer(params, "seed", 0, 2**31 - 1)
    if params["early_stopping"] is not None:
        _integer(params, "early_stopping", 1, 10_000)
    for name, low, high in (("max_correlation", 0, 1), ("max_single_auc", 0.5, 1), ("validation", 0.01, 0.5)):
        value = params[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise WrongInput(f"params: {name}={value!r} is not a number from {low} to {high}")
    _check_combinations(params)


def _integer(params: Mapping[str, Any], name: str, low: int, high: int) -> None:
    value = params[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise WrongInput(f"params: {name}={value!r} is not an integer from {low} to {high}")


def _check_combinations(params: Mapping[str, Any]) -> None:
    method = params["method"]
    if params["negative_weights"] == "keep" and method != "logistic":
        reason = (
            "its trees need sums of weights that are not negative" if method != "tabpfn" else "it samples by weight"
        )
        raise WrongInput(f"params: negative_weights='keep' does not go with method {method!r}: {reason}")
    if params["missing"] == "keep" and method == "logistic":
        raise WrongInput("params: missing='keep' does not go with method 'logistic'; use 'median'")
    if params["early_stopping"] is not None and method in ("logistic", "tabpfn"):
        raise WrongInput(f"params: method {method!r} does not stop early; leave early_stopping out")
    if params["fold_rule"] != "order" and not params["fold_by"]:
        raise WrongInput("params: fold_by names the column of event numbers; without one, use fold_rule='order'")
    if not isinstance(params["settings"], Mapping):
        raise WrongInput("params: settings is a dictionary, as in settings={'max_depth': 3}")
    known = _known_settings(method)
    for name in params["settings"]:
        if known and name not in known:
            raise WrongInput(f"params: settings: {method} has no {name!r} here. {near(name, known)}")


def _known_settings(method: str) -> tuple[str, ...]:
    if method == "xgboost":
        return XGBOOST_SETTINGS
    if method == "logistic":
        return ("C", "max_iter", "tol", "fit_intercept")
    if method == "hist_gradient_boosting":
        names = ("max_iter", "max_depth", "learning_rate", "max_leaf_nodes", "min_samples_leaf", "l2_regularization")
        return (*names, "max_features", "max_bins", "monotonic_cst", "interaction_cst")
    return ()


def read_events(files: Mapping[str, Sequence[str]], params: Mapping[str, Any]) -> Events:
    """Read the events of both classes.

    Args:
        files: tables of "signal" and of "background".
        params: of the rule.

    Raises:
        WrongInput: for missing columns, wrong values, or a class without events.
    """
    ordered = params["fold_rule"] == "order"
    extra = [params["weight"], params["guard"], None if ordered else params["fold_by"]]
    wanted = list(dict.fromkeys([*params["features"], *(name for name in extra if name)]))
    tables = {kind: [open_table(path, params["tree"]) for path in paths] for kind, paths in files.items()}
    for table in (one for several in tables.values() for one in several):
        table.check(wanted)
    parts: list[Events] = []
    for label, kind in enumerate(CLASSES):
        for table in tables[kind]:
            parts.append(_part(table, table.read(wanted), label, params))
        number = sum(table.entries for table in tables[kind])
        if not number:
            raise WrongInput(f"{', '.join(files[kind])}: no events, so there is no {kind} to train with")
        print(f"{kind}: {number:,} events from {len(tables[kind])} file(s)")
    names = ("values", "labels", "weights", "identities")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    guard = np.concatenate([part.guard for part in parts if part.guard is not None]) if params["guard"] else None
    events = Events(**joined, guard=guard)
    return events.where(np.lexsort([events.weights, *events.values.T[::-1], events.identities, events.labels]))


def _part(table: Table, columns: Mapping[str, np.ndarray], label: int, params: Mapping[str, Any]) -> Events:
    size = table.entries
    weights = np.asarray(columns[params["weight"]], dtype=np.float64) if params["weight"] else np.ones(size)
    if not np.isfinite(weights).all():
        raise WrongInput(
            f"{table.name}: column {params['weight']!r} is not finite in {(~np.isfinite(weights)).sum()} rows"
        )
    if params["fold_rule"] == "order":
        identities = np.arange(size, dtype=np.uint64)
    else:
        identities = event_identities(columns[params["fold_by"]], f"{table.name}: column {params['fold_by']!r}")
    values = np.column_stack([np.asarray(columns[name], dtype=np.float64) for name in params["features"]])
    for number, name in enumerate(params["features"]):
        nan, infinite = np.isnan(values[:, number]).sum(), np.isinf(values[:, number]).sum()
        if infinite:
            raise WrongInput(f"{table.name}: column {name!r} is infinite in {infinite} of {size} rows")
        if nan and params["missing"] == "error":
            hint = 'params: missing="keep" (trees only) or "median" accepts that'
            raise WrongInput(f"{table.name}: column {name!r} is NaN in {nan} of {size} rows; {hint}")
    guard = np.asarray(columns[params["guard"]], dtype=np.float64) if params["guard"] else None
    if guard is not None and not np.isfinite(guard).all():
        raise WrongInput(
            f"{table.name}: column {params['guard']!r} is not finite in {(~np.isfinite(guard)).sum()} rows"
        )
    labels = np.full(size, label, dtype=np.int64)
    return Events(values=values, labels=labels, weights=weights, identities=identities, guard=guard)


# What is measured


def auc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, float | None]:
    """Return the area under the ROC curve with its statistical error; all arguments have shape (n,).

    The area is the weighted share of pairs (signal, background) in which the signal has the higher score, ties half.
    Error: DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837, with weights. Signed weights are allowed.
    """
    total = [float(weights[labels == label].sum()) for label in (0, 1)]
    if min(total) <= 0:
        return {"value": None, "error": None}
    _, place = np.unique(np.where(np.isnan(scores), -np.inf, scores), return_inverse=True)
    sums = [np.bincount(place, weights=weights * (labels == label), minlength=place.max() + 1) for label in (0, 1)]
    below = (np.cumsum(sums[0]) - sums[0] / 2) / total[0]
    above = 1 - (np.cumsum(sums[1]) - sums[1] / 2) / total[1]
    value = float((sums[1] * below).sum() / total[1])
    component = np.where(labels == 1, (below[place] - value) / total[1], (above[place] - value) / total[0])
    return {"value": value, "error": float(np.sqrt((weights**2 * component**2).sum()))}


def roc_curve(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return efficiencies of background and signal above each score, from (0, 0) to (1, 1), the highest score first."""
    values, place = np.unique(scores, return_inverse=True)
    curves = []
    for label in (0, 1):
        sums = np.bincount(place, weights=weights * (labels == label), minlength=len(values))[::-1]
        curves.append(np.concatenate([[0.0], np.cumsum(sums) / sums.sum()]))
    return curves[0], curves[1]


def kolmogorov(one: np.ndarray, other: np.ndarray, weights: Sequence[np.ndarray]) -> dict[str, float | None]:
    """Return the greatest distance of two weighted cumulative distributions and its asymptotic p-value.

    Sizes are the effective ones, (sum w)^2 / sum w^2. The p-value is None where a sum of weights is not positive.
    """
    if min(weights[0].sum(), weights[1].sum()) <= 0:
        return {"ks": None, "p": None}
    from scipy.stats import kstwobign

    values, place = np.unique(np.concatenate([one, other]), return_inverse=True)
    places = (place[: len(one)], place[len(one) :])
    sums = [np.bincount(p, weights=w, minlength=len(values)) for p, w in zip(places, weights, strict=True)]
    distance = float(np.abs(np.cumsum(sums[0]) / sums[0].sum() - np.cumsum(sums[1]) / sums[1].sum()).max())
    sizes = [w.sum() ** 2 / (w**2).sum() for w in weights]
    scale = math.sqrt(sizes[0] * sizes[1] / (sizes[0] + sizes[1]))
    return {"ks": distance, "p": float(kstwobign.sf(distance * scale))}


def pearson(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> float:
    """Return the correlation coefficient of two columns, 0 if one is constant; events with NaN are left out."""
    good = ~(np.isnan(one) | np.isnan(other))
    one, other, weights = one[good], other[good], weights[good]
    if not weights.sum() > 0:
        return 0.0
    x, y = one - np.average(one, weights=weights), other - np.average(other, weights=weights)
    spread = math.sqrt(float((weights * x * x).sum()) * float((weights * y * y).sum()))
    return float((weights * x * y).sum()) / spread if spread > 0 else 0.0


def dependence(one: np.ndarray, guard: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Return how much a column tells of the guarded one: linear, monotonic, and any dependence of its mean.

    Returns:
        `pearson` and `spearman` coefficients, and `ratio`: the larger of the correlation ratios of the guard in
        quantiles of the column, and of the column in quantiles of the guard.
    """
    from scipy.stats import rankdata

    good = ~np.isnan(one)
    one, guard, weights = one[good], guard[good], np.abs(weights[good])
    if len(one) < 3:
        return {"pearson": 0.0, "spearman": 0.0, "ratio": 0.0}
    return {
        "pearson": pearson(one, guard, weights),
        "spearman": pearson(rankdata(one), rankdata(guard), weights),
        "ratio": max(_correlation_ratio(one, guard), _correlation_ratio(guard, one)),
    }


def _correlation_ratio(given: np.ndarray, values: np.ndarray) -> float:
    """Return sqrt(var E[values|given] / var values) in 20 quantiles, corrected as by Kelley, PNAS 21 (1935) 554."""
    edges = np.unique(np.quantile(given, np.linspace(0, 1, 21)[1:-1]))
    place = np.searchsorted(edges, given, side="right")
    counts = np.bincount(place)
    groups = int((counts > 0).sum())
    means = np.bincount(place, weights=values) / np.maximum(counts, 1)
    spread = float(((values - values.mean()) ** 2).sum())
    if not spread > 0 or len(values) <= groups:
        return 0.0
    share = float((counts * (means - values.mean()) ** 2).sum()) / spread
    return math.sqrt(max(1 - (1 - share) * (len(values) - 1) / (len(values) - groups), 0.0))


def yields(weights: np.ndarray) -> dict[str, Any]:
    """Return events and signed yield of a class, and how much of it has negative weight."""
    negative = weights < 0
    share = float(np.abs(weights[negative]).sum() / np.abs(weights).sum()) if np.abs(weights).sum() > 0 else 0.0
    return {
        "n_events": len(weights),
        "yield": float(weights.sum()),
        "yield_error": float(np.sqrt((weights**2).sum())),
        "negative_events": int(negative.sum()),
        "negative_fraction": share,
    }


# What must not be learned


def leaks(events: Events, params: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Look for features that give the answer away.

    Returns:
        a sentence about each such feature, and what was measured of every feature.
    """
    background = events.labels == 0
    found: list[str] = []
    measured: dict[str, Any] = {}
    special = {"weight": params["weight"], "guard": params["guard"], "event number": params["fold_by"]}
    balanced = _balanced(events.labels, np.abs(events.weights))
    for number, name in enumerate(params["features"]):
        column = events.values[:, number]
        facts: dict[str, Any] = {"auc": auc(column, events.labels, balanced)["value"]}
        found += [f"{name!r} is the {role} column" for role, special_name in special.items() if name == special_name]
        if len(np.unique(column[~np.isnan(column)])) <= 1:
            found.append(f"{name!r} is constant")
        if facts["auc"] is not None and max(facts["auc"], 1 - facts["auc"]) > params["max_single_auc"]:
            found.append(f"{name!r} alone separates signal and background (AUC {facts['auc']:.4f}): it is the label")
        copies = {"weights": events.weights, "event numbers": events.identities.astype(np.float64)}
        for what, values in copies.items():
            if name not in special.values() and abs(pearson(column, values, np.ones(len(column)))) > 0.99999:
                found.append(f"{name!r} is a copy of the {what}")
        if events.guard is not None:
            guarded = dependence(column[background], events.guard[background], events.weights[background])
            facts["guard"] = guarded
            found += _guard_findings(repr(name), guarded, params)
        measured[name] = facts
    return found, measured


def _guard_findings(what: str, guarded: Mapping[str, float], params: Mapping[str, Any]) -> list[str]:
    worst = max(guarded, key=lambda key: abs(guarded[key]))
    if abs(guarded[worst]) <= params["max_correlation"]:
        return []
    value = f"{worst} {guarded[worst]:.2f}, allowed {params['max_correlation']}"
    return [f"{what} depends on {params['guard']!r} in the background ({value})"]


def judge(found: Sequence[str], params: Mapping[str, Any]) -> None:
    """Raise `WrongInput` with the findings, or print them, as the param `leakage` says."""
    if found and params["leakage"] == "refuse":
        hint = "Leave these features out, or accept them with params: leakage='warn'"
        raise WrongInput(f"leakage: {'; '.join(found)}. {hint}")
    for sentence in found:
        print(f"Warning: leakage: {sentence}")


# Training


def _balanced(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    sums = np.array([weights[labels == label].sum() for label in (0, 1)])
    return weights / np.where(sums > 0, sums, 1)[labels]


def training_weights(events: Events, params: Mapping[str, Any]) -> np.ndarray:
    """Return the weights to train with, shape (n,), by the policy for negative ones; their mean is 1.

    Raises:
        WrongInput: if a class has no positive weight left.
    """
    weights = events.weights
    if params["negative_weights"] == "absolute":
        weights = np.abs(weights)
    elif params["negative_weights"] == "drop":
        weights = np.maximum(weights, 0)
    for label, kind in enumerate(CLASSES):
        if not weights[events.labels == label].sum() > 0:
            raise WrongInput(f"{kind}: the sum of weights is not positive in one of the training samples")
    if params["balance"] == "equal":
        weights = _balanced(events.labels, weights)
    return np.asarray(weights / weights[weights != 0].mean())


def tell_negative(events: Events, params: Mapping[str, Any]) -> None:
    """Print what is done with negative weights, or raise `WrongInput` where they are not accepted."""
    does = {
        "absolute": "trained with |w|",
        "drop": "left out of the training",
        "keep": "trained with their sign",
        "error": "not accepted",
    }[params["negative_weights"]]
    for label, kind in enumerate(CLASSES):
        facts = yields(events.weights[events.labels == label])
        if not facts["negative_events"]:
            continue
        text = f"{kind}: {facts['negative_events']:,} of {facts['n_events']:,} events have a negative weight"
        text += f" ({100 * facts['negative_fraction']:.2f} % of the sum of |w|)"
        if params["negative_weights"] == "error":
            raise WrongInput(f"{text}; params: negative_weights='absolute' or 'drop' says how to train with them")
        print(f"{text}: {does} (params: negative_weights); yields, AUC and KS use their sign")


def train_fold(events: Events, params: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """Train with these events, and return the model as JSON takes it."""
    weights = training_weights(events, params)
    used = weights != 0
    events, weights = events.where(used), weights[used]
    model: dict[str, Any] = {}
    values = events.values
    if params["missing"] == "median":
        fill = np.array(
            [np.median(column[~np.isnan(column)]) if (~np.isnan(column)).any() else 0.0 for column in values.T]
        )
        values = np.where(np.isnan(values), fill, values)
        model["fill"] = fill.tolist()
    # Apart from the folds: other bits of the same event number, so an event stays on its side in each fold.
    share = mixed(events.identities, salt=1).astype(np.float64) / 2.0**64
    held = share < params["validation"] if params["early_stopping"] else np.zeros(len(values), dtype=bool)
    if params["early_stopping"] and any(not held[events.labels == label].any() for label in (0, 1)):
        raise WrongInput("params: too few events for early_stopping: none is left for its validation")
    trainer = {"xgboost": _train_xgboost, "hist_gradient_boosting": _train_trees, "logistic": _train_logistic}
    settings = {**SETTINGS[params["method"]], **params["settings"]}
    if params["method"] == "tabpfn":
        return {**model, **_train_tabpfn(values, events.labels, weights, settings, params["seed"])}
    return {**model, **trainer[params["method"]](values, events.labels, weights, held, settings, params, threads)}


def _train_xgboost(
    values: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    held: np.ndarray,
    settings: dict[str, Any],
    params: Mapping[str, Any],
    threads: int,
) -> dict[str, Any]:
    import xgboost

    def matrix(chosen: np.ndarray) -> Any:
        return xgboost.DMatrix(values[chosen], labels[chosen], weight=weights[chosen], nthread=threads)

    settings = dict(settings)
    rounds = settings.pop("n_estimators")
    options = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "nthread": threads,
        "seed": params["seed"],
        **settings,
    }
    extra: dict[str, Any] = {}
    if params["early_stopping"]:
        stop = xgboost.callback.EarlyStopping(rounds=params["early_stopping"], save_best=True)
        extra = {"evals": [(matrix(held), "validation")], "callbacks": [stop], "verbose_eval": False}
    booster = xgboost.train(options, matrix(~held), rounds, **extra)
    gains = booster.get_score(importance_type="total_gain")
    return {
        "rounds": booster.num_boosted_rounds(),
        "gain": [float(gains.get(f"f{number}", 0.0)) for number in range(values.shape[1])],
        "booster": json.loads(bytes(booster.save_raw("json"))),
    }


def _train_trees(
    values: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    held: np.ndarray,
    settings: dict[str, Any],
    params: Mapping[str, Any],
    threads: int,
) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    stop = params["early_stopping"]
    options = {"n_iter_no_change": stop} if stop else {}
    model = HistGradientBoostingClassifier(
        random_state=params["seed"], early_stopping=bool(stop), **settings, **options
    )
    validation = {"X_val": values[held], "y_val": labels[held], "sample_weight_val": weights[held]} if stop else {}
    with threadpool_limits(limits=threads):
        model.fit(values[~held], labels[~held], sample_weight=weights[~held], **validation)
        expected = model.predict_proba(values[:1000])[:, 1]
    # scikit-learn offers pickle only; its trees are a small table each, so they go into the JSON as they are.
    trees = [_tree(several[0].nodes) for several in model._predictors]
    gain = np.zeros(values.shape[1])
    for several in model._predictors:
        inner = several[0].nodes[several[0].nodes["is_leaf"] == 0]
        np.add.at(gain, inner["feature_idx"], inner["gain"])
    result = {
        "rounds": len(trees),
        "gain": gain.tolist(),
        "baseline": float(np.ravel(model._baseline_prediction)[0]),
        "trees": trees,
    }
    if not np.allclose(expected, _trees(result, threads)(values[:1000]), rtol=1e-9, atol=1e-12):
        raise RuntimeError("the trees of this version of scikit-learn are stored in another way; use method='xgboost'")
    return result


def _tree(nodes: np.ndarray) -> dict[str, list[Any]]:
    inner = nodes["is_leaf"] == 0
    return {
        "feature": np.where(inner, nodes["feature_idx"], 0).tolist(),
        "threshold": np.where(inner, np.clip(nodes["num_threshold"], -1e308, 1e308), 0).tolist(),
        "missing_left": np.where(inner, nodes["missing_go_to_left"], 0).tolist(),
        "left": np.where(inner, nodes["left"], 0).tolist(),
        "right": np.where(inner, nodes["right"], 0).tolist(),
        "value": np.where(inner, 0, nodes["value"]).tolist(),
    }


def _train_logistic(
    values: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    _: np.ndarray,
    settings: dict[str, Any],
    _params: Mapping[str, Any],
    threads: int,
) -> dict[str, Any]:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    size = np.abs(weights)
    mean = np.average(values, axis=0, weights=size)
    scale = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=size))
    scale[scale == 0] = 1.0
    model = LogisticRegression(**settings)
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(limits=threads):
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit((values - mean) / scale, labels, sample_weight=weights)
    for warning in caught:
        print(f"Warning: {warning.category.__name__}: {warning.message}")
    if not np.isfinite(model.coef_).all():
        raise WrongInput("the logistic regression has no finite solution; negative_weights='absolute' avoids that")
    coefficients = [float(one) for one in model.coef_[0]]
    return {
        "rounds": int(model.n_iter_[0]),
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "coefficients": coefficients,
        "intercept": float(np.ravel(model.intercept_)[0]),
    }


def _train_tabpfn(
    values: np.ndarray, labels: np.ndarray, weights: np.ndarray, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Choose the events that the network sees: it takes no weights, so they are drawn in proportion to them."""
    random = np.random.default_rng(seed)
    most = min(int(settings["max_events"]), len(values))
    size = np.abs(weights)
    chosen = np.sort(random.choice(len(values), size=most, replace=False, p=size / size.sum()))
    if len(np.unique(labels[chosen])) < 2:
        raise WrongInput(f"params: settings: max_events={most} leaves only one class to train with")
    return {
        "rounds": most,
        "context": values[chosen].astype(np.float32).astype(np.float64).tolist(),
        "labels": labels[chosen].tolist(),
    }


def describe(params: Mapping[str, Any], models: list[dict[str, Any]], weights_file: str | None) -> dict[str, Any]:
    """Return the document of the model: what `ml/apply` needs, and what a reader wants to know, before the numbers."""
    settings = {**SETTINGS[params["method"]], **params["settings"]}
    settings.pop("max_events", None)
    by = None if params["fold_rule"] == "order" else params["fold_by"]
    document: dict[str, Any] = {
        "format": MODEL_FORMAT,
        "format_version": MODEL_VERSION,
        "method": params["method"],
        "features": list(params["features"]),
        "missing": params["missing"],
        "folds": {"number": params["folds"], "rule": params["fold_rule"], "by": by},
        "settings": settings,
        "seed": params["seed"],
    }
    if weights_file:
        with Path(weights_file).open("rb") as file:
            document["weights_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    text = json.dumps(models, sort_keys=True, separators=(",", ":"))
    document["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return {**document, "models": models}


def fold_samples(events: Events, folds: np.ndarray, params: Mapping[str, Any]) -> Iterator[tuple[int, Events]]:
    """Yield each fold and the events to train its model with.

    Raises:
        WrongInput: if a fold has no event of a class to test with.
    """
    for fold in range(params["folds"]):
        for label, kind in enumerate(CLASSES):
            inside, outside = (folds == fold) & (events.labels == label), (folds != fold) & (events.labels == label)
            if not inside.any() or not outside.any():
                hint = (
                    f"are the numbers in {params['fold_by']!r} all different? Else use fewer folds, or fold_rule='hash'"
                )
                raise WrongInput(f"fold {fold} has {'no' if not inside.any() else 'all'} {kind} events; {hint}")
    for fold in range(params["folds"]):
        yield fold, events.where(folds != fold)


def fold_metrics(
    model: Classifier, events: Events, folds: np.ndarray, scores: np.ndarray
) -> tuple[list[Any], np.ndarray]:
    """Return metrics of each fold, and scores of events by the first model that trained on them."""
    results = []
    seen = np.full(len(scores), np.nan)
    for fold in range(model.folds):
        test = folds == fold
        trained = np.full(len(scores), np.nan)
        trained[~test] = model.scores(fold, events.values[~test])
        seen = np.where(np.isnan(seen), trained, seen)
        overtraining = {}
        for label, kind in enumerate(CLASSES):
            one, other = test & (events.labels == label), ~test & (events.labels == label)
            overtraining[kind] = kolmogorov(scores[one], trained[other], (events.weights[one], events.weights[other]))
        results.append(
            {
                "fold": fold,
                "n_train": int((~test).sum()),
                "n_test": int(test.sum()),
                "rounds": model.document["models"][fold]["rounds"],
                "auc": auc(scores[test], events.labels[test], events.weights[test]),
                "auc_train": auc(trained[~test], events.labels[~test], events.weights[~test]),
                "overtraining": overtraining,
            }
        )
    return results, seen


def importances(model: Classifier, events: Events, folds: np.ndarray, seed: int) -> dict[str, Any]:
    """Return what each feature is worth: loss of out-of-fold AUC when its values are shuffled among events.

    At most 20,000 events are used, three times; the error is that of the mean. Trees also tell the share of their gain.
    """
    random = np.random.default_rng(seed)
    if len(folds) > PERMUTED_EVENTS:
        chosen = np.sort(random.choice(len(folds), PERMUTED_EVENTS, replace=False))
        events, folds = events.where(chosen), folds[chosen]
    balanced = _balanced(events.labels, np.abs(events.weights))

    def measured(values: np.ndarray) -> float:
        return float(auc(model.out_of_fold(folds, values), events.labels, balanced)["value"] or 0.5)

    whole = measured(events.values)
    gains = np.array([one["gain"] for one in model.document["models"] if "gain" in one])
    shares = gains.sum(axis=0) / gains.sum() if gains.size and gains.sum() > 0 else None
    result: dict[str, Any] = {}
    for number, name in enumerate(model.features):
        losses = []
        for _ in range(3):
            values = events.values.copy()
            values[:, number] = random.permutation(values[:, number])
            losses.append(whole - measured(values))
        result[name] = {
            "auc_loss": float(np.mean(losses)),
            "auc_loss_error": float(np.std(losses, ddof=1) / np.sqrt(3)),
        }
        if shares is not None:
            result[name]["gain"] = float(shares[number])
    return result


# Plots


def _say(axes: Any, label: str, text: str = "") -> None:
    axes.set_title(label, loc="left", fontweight="bold", fontsize=11)
    if text:
        axes.set_title(text, loc="right", fontsize=10)


def _density(axes: Any, values: np.ndarray, weights: np.ndarray, edges: np.ndarray, **style: Any) -> None:
    counts = np.histogram(values, bins=edges, weights=weights)[0]
    total = weights.sum() if len(weights) else 0.0
    if total > 0:
        axes.stairs(counts / total / np.diff(edges), edges, **style)


def plot_roc(events: Events, folds: np.ndarray, scores: np.ndarray, metrics: Mapping[str, Any], label: str) -> Any:
    """Draw the ROC curve of out-of-fold scores, and thinly those of the folds."""
    figure = new_figure(6, 5.4)
    axes = figure.subplots()
    for fold in range(len(metrics["folds"])):
        test = folds == fold
        background, signal = roc_curve(scores[test], events.labels[test], events.weights[test])
        axes.plot(signal, 1 - background, color="0.65", linewidth=0.8, label="single folds" if fold == 0 else None)
    background, signal = roc_curve(scores, events.labels, events.weights)
    area = metrics["auc"]
    text = f"all, AUC = {area['value']:.4f} ± {area['error']:.4f}" if area["value"] is not None else "all"
    axes.plot(signal, 1 - background, color=SIGNAL_COLOUR, linewidth=1.8, label=text)
    axes.plot([0, 1], [1, 0], color="0.4", linestyle=":", linewidth=1, label="chance")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Signal efficiency", ylabel="Background rejection (1 − efficiency)")
    axes.legend(loc="lower left", title="events not trained on", alignment="left")
    _say(axes, label, metrics["method"])
    return figure


def plot_scores(events: Events, scores: np.ndarray, seen: np.ndarray, metrics: Mapping[str, Any], label: str) -> Any:
    """Draw the scores of both classes: filled for events that the model did not see, points for its training events."""
    figure = new_figure(6.4, 5.2)
    axes = figure.subplots()
    edges = np.linspace(0, 1, 41)
    centres = (edges[1:] + edges[:-1]) / 2
    for kind, colour in (("background", BACKGROUND_COLOUR), ("signal", SIGNAL_COLOUR)):
        chosen = events.labels == CLASSES.index(kind)
        weights = events.weights[chosen]
        _density(
            axes, scores[chosen], weights, edges, color=colour, alpha=0.3, fill=True, label=f"{kind}, not trained on"
        )
        total = weights.sum()
        if total > 0:
            counts = np.histogram(seen[chosen], bins=edges, weights=weights)[0]
            errors = np.sqrt(np.histogram(seen[chosen], bins=edges, weights=weights**2)[0])
            widths = np.diff(edges)
            style = {"fmt": "o", "markersize": 3, "linewidth": 1, "color": colour, "label": f"{kind}, trained on"}
            axes.errorbar(centres, counts / total / widths, errors / total / widths, **style)
    axes.set(xlim=(0, 1), xlabel="Score", ylabel="Share of events per unit of score")
    axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.25)
    axes.legend(ncols=2, fontsize=9)
    _say(axes, label, metrics["method"])
    return figure


def plot_features(events: Events, names: Sequence[str], label: str) -> Any:
    """Draw each feature for signal and background, normalised to the same area, from the 0.5 to the 99.5 % quantile."""
    columns = min(4, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(3.1 * columns, 2.6 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(names):
            axes.set_axis_off()
            continue
        good = ~np.isnan(events.values[:, place])
        column = events.values[good, place]
        low, high = np.quantile(column, [0.005, 0.995]) if len(column) else (0.0, 1.0)
        edges = np.linspace(low, high if high > low else low + 1, 41)
        for kind, style in (
            ("background", {"color": BACKGROUND_COLOUR, "alpha": 0.3, "fill": True}),
            ("signal", {"color": SIGNAL_COLOUR, "linewidth": 1.4}),
        ):
            chosen = events.labels[good] == CLASSES.index(kind)
            _density(axes, column[chosen], events.weights[good][chosen], edges, label=kind, **style)
        axes.set(xlabel=names[place], yticks=[], xlim=(edges[0], edges[-1]))
        if place % columns == 0:
            axes.set_ylabel("Share of events")
        axes.set_ylim(bottom=0)
    handles, texts = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside upper right", ncols=2)
    figure.suptitle(label, x=0.02, ha="left", fontweight="bold", fontsize=11)
    return figure


def plot_correlation(events: Events, names: Sequence[str], guard: str | None, scores: np.ndarray, label: str) -> Any:
    """Draw the linear correlation of features, guarded column and score, for each class."""
    columns = [*events.values.T, *([events.guard] if events.guard is not None else []), scores]
    texts = [*names, *([guard] if guard else []), "score"]
    size = len(texts)
    figure = new_figure(2 * (0.42 * size + 2.2), 0.42 * size + 1.8)
    for axes, kind in zip(figure.subplots(1, 2), CLASSES, strict=True):
        chosen = events.labels == CLASSES.index(kind)
        weights = np.abs(events.weights[chosen])
        matrix = np.array([[pearson(one[chosen], other[chosen], weights) for other in columns] for one in columns])
        image = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r")
        axes.set_xticks(range(size), texts, rotation=90, fontsize=9)
        axes.set_yticks(range(size), texts, fontsize=9)
        axes.tick_params(which="both", length=0)
        axes.minorticks_off()
        for row in range(size):
            for column in range(size):
                value = matrix[row, column]
                shade = "white" if abs(value) > 0.6 else "black"
                text = f"{round(100 * value)}".replace("-", "−")
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=shade)
        _say(axes, label, kind)
    figure.colorbar(image, ax=figure.axes, shrink=0.8, label="Linear correlation (numbers in %)")
    return figure


# The job


def _outputs(snakemake: Any) -> dict[str, str]:
    outputs = {name: str(path) for name, path in snakemake.output.items()}
    for name in outputs:
        if name not in ("model", "metrics", *FIGURE_NAMES):
            raise WrongInput(f"output: there is no {name!r}. {near(name, ('model', 'metrics', *FIGURE_NAMES))}")
    for name in ("model", "metrics"):
        if name not in outputs:
            raise WrongInput(f"output: {name}=... is missing")
        if Path(outputs[name]).suffix != ".json":
            raise WrongInput(f"{outputs[name]}: output {name} is a .json file")
    for name in FIGURE_NAMES:
        if name in outputs:
            check_figure(outputs[name])
    return outputs


def _inputs(snakemake: Any, method: str) -> tuple[dict[str, list[str]], str | None]:
    given = dict(snakemake.input.items())
    for name in given:
        if name not in ("signal", "background", "tabpfn"):
            raise WrongInput(f"input: there is no {name!r}. {near(name, ('signal', 'background', 'tabpfn'))}")
    files = {}
    for kind in CLASSES:
        if not given.get(kind):
            raise WrongInput(f"input: {kind}=... is missing: one or several tables")
        files[kind] = existing([given[kind]] if isinstance(given[kind], str) else given[kind])
    both = sorted(
        {os.path.realpath(one) for one in files["signal"]} & {os.path.realpath(one) for one in files["background"]}
    )
    if both:
        raise WrongInput(f"{both[0]}: the same file is signal and background")
    if method != "tabpfn":
        return files, None
    if "tabpfn" not in given:
        raise WrongInput("input: method tabpfn needs the file with the network's weights: tabpfn=...")
    return files, existing([given["tabpfn"]])[0]


def _score_guard(
    events: Events, scores: np.ndarray, params: Mapping[str, Any]
) -> tuple[list[str], dict[str, float] | None]:
    if events.guard is None:
        print("No params: guard=..., so nothing was said about features that know the mass")
        return [], None
    background = events.labels == 0
    guarded = dependence(scores[background], events.guard[background], events.weights[background])
    return _guard_findings("the score (the features together)", guarded, params), guarded


def _metrics(
    model: Classifier, events: Events, folds: np.ndarray, scores: np.ndarray, params: Mapping[str, Any]
) -> tuple[dict[str, Any], np.ndarray]:
    per_fold, seen = fold_metrics(model, events, folds, scores)
    whole = auc(scores, events.labels, events.weights)
    result = {
        "method": params["method"],
        "auc": whole,
        "folds": per_fold,
        "yields": {kind: yields(events.weights[events.labels == label]) for label, kind in enumerate(CLASSES)},
        "importances": importances(model, events, folds, params["seed"]),
    }
    return result, seen


def _train_all(
    events: Events, folds: np.ndarray, params: Mapping[str, Any], threads: int, weights_file: str | None
) -> Classifier:
    progress = Progress("training", params["folds"], "folds", every=0)
    models = []
    for _, sample in fold_samples(events, folds, params):
        models.append(train_fold(sample, params, threads))
        progress.add(1)
    return classifier(describe(params, models, weights_file), threads=threads, weights=weights_file)


def main(snakemake: Any) -> None:
    """Train, measure, and write the model, the metrics and the figures that the rule asks for."""
    with logged(snakemake):
        params = parameters(snakemake, DEFAULTS, required=("features",))
        check_params(params)
        outputs = _outputs(snakemake)
        files, weights_file = _inputs(snakemake, params["method"])
        if weights_file:
            tabpfn_network({}, params["seed"], snakemake.threads, weights_file)
        events = read_events(files, params)
        tell_negative(events, params)
        found, measured = leaks(events, params)
        judge(found, params)
        folds = folds_of(events.identities, params["fold_rule"], params["folds"])
        model = _train_all(events, folds, params, snakemake.threads, weights_file)
        scores = model.out_of_fold(folds, events.values)
        score_found, guarded = _score_guard(events, scores, params)
        judge(score_found, params)
        metrics, seen = _metrics(model, events, folds, scores, params)
        metrics["features"] = measured
        metrics["guard"] = {"column": params["guard"], "score": guarded} if guarded else None
        metrics["warnings"] = [*found, *score_found]
        area = metrics["auc"]
        if area["value"] is not None:
            print(f"AUC of events that their model did not see: {area['value']:.4f} ± {area['error']:.4f}")
        origin = provenance(snakemake, "phys/ml/train", _packages(params["method"]))
        _write(outputs, model, {**metrics, "provenance": origin}, origin)
        _draw(outputs, events, folds, scores, seen, metrics, params, origin)


def _packages(method: str) -> list[str]:
    names = {"logistic": ["scikit-learn"], "hist_gradient_boosting": ["scikit-learn"], "tabpfn": ["tabpfn", "torch"]}
    if method != "xgboost":
        return ["numpy", *names[method]]
    installed = {one.metadata["Name"] for one in importlib.metadata.distributions()}
    return ["numpy", *(name for name in ("xgboost", "xgboost-cpu", "py-xgboost") if name in installed)]


def _write(outputs: Mapping[str, str], model: Classifier, metrics: dict[str, Any], origin: dict[str, Any]) -> None:
    document = dict(model.document)
    models = document.pop("models")
    with replacing(outputs["model"]) as partial:
        write_model(partial, {**document, "provenance": origin, "models": models})
    write_json(outputs["metrics"], metrics)


def _draw(
    outputs: Mapping[str, str],
    events: Events,
    folds: np.ndarray,
    scores: np.ndarray,
    seen: np.ndarray,
    metrics: Mapping[str, Any],
    params: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> None:
    label, names = params["label"], params["features"]
    drawings = {
        "roc": lambda: plot_roc(events, folds, scores, metrics, label),
        "scores": lambda: plot_scores(events, scores, seen, metrics, label),
        "features": lambda: plot_features(events, names, label),
        "correlation": lambda: plot_correlation(events, names, params["guard"], scores, label),
    }
    for name, draw in drawings.items():
        if name in outputs:
            save_figure(draw(), outputs[name], origin)


if "snakemake" in globals():
    main(snakemake)
