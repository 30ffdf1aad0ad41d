"""Give the events of tables the score of a classifier that `phys/ml/train` trained."""

__author__ = "The snakemake-executor-plugin-llmagent developers"
__copyright__ = "Copyright 2026, the snakemake-executor-plugin-llmagent developers"
__license__ = "MIT"

from collections.abc import Mapping, Sequence
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

# --- common: sink (kept by wrappers/embed.py; edit wrappers/common/sink.py) ---
# Write a flat table piece by piece, with its provenance, to Parquet or ROOT.

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


SINKS = (".parquet", ".root")


class Sink:
    """A flat table that grows; as a context manager, the file is there after the block, whole, or not at all.

    A table without rows is written too, with its columns: `types` says which.
    """

    def __init__(
        self, path: Any, types: Mapping[str, Any], provenance: Mapping[str, Any], tree: str = "events"
    ) -> None:
        """Take a path ending in .parquet or .root, and the NumPy type of each column.

        Raises:
            WrongInput: for another suffix.
        """
        self.path, self.tree = str(path), tree
        self.types = {name: np.dtype(kind) for name, kind in types.items()}
        self.provenance = json.dumps(provenance, sort_keys=True)
        check_sink(path)

    def __enter__(self) -> "Sink":
        """Open the file under a hidden name."""
        self._replacing = replacing(self.path)
        partial = self._replacing.__enter__()
        try:
            self._open_parquet(partial) if self.path.endswith(".parquet") else self._open_root(partial)
        except BaseException as error:
            self._replacing.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _open_parquet(self, partial: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fields = [pa.field(name, pa.from_numpy_dtype(kind)) for name, kind in self.types.items()]
        schema = pa.schema(fields, metadata={"provenance": self.provenance})
        writer = pq.ParquetWriter(partial, schema, compression="zstd")
        self._close = writer.close
        self._extend = lambda columns: writer.write_table(pa.table(columns, schema=schema))

    def _open_root(self, partial: Path) -> None:
        import uproot

        file = uproot.recreate(partial, uuid_function=lambda: uuid.UUID(int=0))
        file["provenance"] = self.provenance
        tree = file.mktree(self.tree, self.types)
        self._close = file.close
        self._extend = tree.extend

    def __exit__(self, *error: Any) -> None:
        """Close the file, and give it its name if all went well."""
        try:
            self._close()
        except BaseException as closing:
            self._replacing.__exit__(type(closing), closing, closing.__traceback__)
            raise
        self._replacing.__exit__(*error)

    def extend(self, columns: Mapping[str, np.ndarray]) -> None:
        """Append rows: an array of shape (n,) for each column."""
        if len(next(iter(columns.values()), ())):
            self._extend({name: np.asarray(columns[name], dtype=kind) for name, kind in self.types.items()})


def check_sink(path: Any) -> None:
    """Raise `WrongInput` unless tables are written to files with this suffix."""
    if Path(str(path)).suffix not in SINKS:
        raise WrongInput(
            f"{path}: tables are written to {' and '.join(SINKS)} files, not to {Path(str(path)).suffix!r}"
        )


def column_types(table: Any, wanted: list[str]) -> dict[str, np.dtype[Any]]:
    """Return the NumPy type of columns of a `Table`, from its first rows.

    Raises:
        WrongInput: for a column that is missing or not one number per row.
    """
    for piece in table.pieces(wanted, rows=1):
        return {name: piece[name].dtype for name in wanted}
    return {name: np.dtype(np.float64) for name in wanted}


def flat_columns(table: Any) -> list[str]:
    """Return the columns of a `Table` that are one number per row, in its order."""
    flat = []
    for name in table.columns:
        for piece in _first(table, name):
            if piece.ndim == 1 and piece.dtype.kind in "biuf":
                flat.append(name)
    return flat if table.entries else list(table.columns)


def _first(table: Any, name: str) -> list[np.ndarray]:
    try:
        return [next(iter(table.pieces([name], rows=1)))[name]]
    except (WrongInput, StopIteration):
        return []


# --- end of common ---

DEFAULTS: dict[str, Any] = {
    "keep": None,
    "score": "score",
    "scoring": "fold",
    "tree": None,
    "output_tree": "events",
    "rows": ROWS_PER_PIECE,
}


def check_params(params: Mapping[str, Any]) -> None:
    """Raise `WrongInput` for a param out of its range."""
    choice("scoring", params["scoring"], ("fold", "mean"))
    keep = params["keep"]
    if keep is not None and (not isinstance(keep, list | tuple) or not all(isinstance(one, str) for one in keep)):
        raise WrongInput("params: keep is a list of column names, as in keep=['m_yy', 'weight']")
    if isinstance(params["rows"], bool) or not isinstance(params["rows"], int) or params["rows"] < 1:
        raise WrongInput(f"params: rows={params['rows']!r} is not a positive integer")


def _files(snakemake: Any) -> tuple[str, list[str], str | None]:
    given = dict(snakemake.input.items())
    for name in given:
        if name not in ("model", "table", "tabpfn"):
            raise WrongInput(f"input: there is no {name!r}. {near(name, ('model', 'table', 'tabpfn'))}")
    named = {path for value in given.values() for path in ([value] if isinstance(value, str) else value)}
    if not given.get("model"):
        raise WrongInput("input: model=... is missing: the model that phys/ml/train wrote")
    tables = given.get("table", [str(path) for path in snakemake.input if str(path) not in named])
    tables = [tables] if isinstance(tables, str) else [str(path) for path in tables]
    if not tables:
        raise WrongInput("input: table=... is missing: one or several tables with the features of the model")
    if len(snakemake.output) != 1:
        raise WrongInput(f"output: one table, not {len(snakemake.output)}")
    check_sink(snakemake.output[0])
    model, *tables = existing([given["model"], *tables])
    return model, tables, existing([given["tabpfn"]])[0] if given.get("tabpfn") else None


def check_scoring(model: Classifier, tables: Sequence[Table], params: Mapping[str, Any]) -> None:
    """Raise `WrongInput` where an event would get a score from a model that trained on it.

    With `scoring="mean"` no event may be a training event: files of the training are known by their SHA-256. With folds
    by the order of events, the events must be those files, as only there the order says who trained on what.
    """
    trained = {_mark(one): one["file"] for one in model.document["provenance"]["inputs"]}
    for table in tables:
        known = trained.get(_mark(_identity(table.path)))
        if params["scoring"] == "mean" and known:
            message = (
                f"{table.path}: the model was trained with this file ({known}), so the mean over its folds is biased"
            )
            raise WrongInput(f"{message}; use params: scoring='fold'")
        if params["scoring"] == "fold" and model.document["folds"]["rule"] == "order" and not known:
            message = f"{table.path}: the model was not trained with this file, and its folds go by the order of events"
            raise WrongInput(f"{message} (fold_rule='order'); use params: scoring='mean'")


def _mark(identity: Mapping[str, Any]) -> Any:
    # Files too large for a hash are known by their size alone: better one refusal too many than a biased score.
    return identity.get("sha256", identity.get("bytes", identity["file"]))


def check_columns(model: Classifier, tables: Sequence[Table], params: Mapping[str, Any]) -> list[str]:
    """Return the columns to keep.

    Raises:
        WrongInput: if a table lacks a column, or has one with the name of the score already.
    """
    if params["keep"] is None:
        kept = [name for name in flat_columns(tables[0]) if all(name in table.columns for table in tables)]
    else:
        kept = list(dict.fromkeys(params["keep"]))
    if params["score"] in kept:
        raise WrongInput(
            f"{tables[0].name}: there is a column {params['score']!r} already; params: score='another name'"
        )
    by = [model.document["folds"]["by"]] if _needs_number(model, params) else []
    for table in tables:
        table.check([*model.features, *by, *kept])
    return kept


def _needs_number(model: Classifier, params: Mapping[str, Any]) -> bool:
    return bool(params["scoring"] == "fold" and model.document["folds"]["rule"] != "order")


def score_piece(
    model: Classifier, piece: Mapping[str, np.ndarray], first: int, where: str, params: Mapping[str, Any]
) -> np.ndarray:
    """Return the scores of some rows, shape (n,).

    Args:
        model: the classifier.
        piece: columns of these rows.
        first: the number of the first of them in its table.
        where: file, for errors.
        params: of the rule.
    """
    values = np.column_stack([np.asarray(piece[name], dtype=np.float64) for name in model.features])
    model.check(values, where)
    if params["scoring"] == "mean":
        return np.asarray(np.mean([model.scores(fold, values) for fold in range(model.folds)], axis=0))
    by = model.document["folds"]["by"]
    if _needs_number(model, params):
        identities = event_identities(piece[by], f"{where}: column {by!r}")
    else:
        identities = np.arange(first, first + len(values), dtype=np.uint64)
    return model.out_of_fold(folds_of(identities, model.document["folds"]["rule"], model.folds), values)


def main(snakemake: Any) -> None:
    """Score the tables and write one table with their kept columns and the score."""
    with logged(snakemake):
        params = parameters(snakemake, DEFAULTS)
        check_params(params)
        model_path, paths, weights = _files(snakemake)
        model = read_model(model_path, threads=snakemake.threads, weights=weights)
        tables = [open_table(path, params["tree"]) for path in paths]
        kept = check_columns(model, tables, params)
        check_scoring(model, tables, params)
        by = [model.document["folds"]["by"]] if _needs_number(model, params) else []
        wanted = list(dict.fromkeys([*kept, *model.features, *by]))
        types = _common_types(tables, kept)
        origin = provenance(snakemake, "phys/ml/apply", ["numpy"])
        progress = Progress("scoring", sum(table.entries for table in tables))
        low, high, total = np.inf, -np.inf, 0.0
        with Sink(snakemake.output[0], {**types, params["score"]: np.float64}, origin, params["output_tree"]) as sink:
            for table in tables:
                first = 0
                for piece in table.pieces(wanted, rows=params["rows"]):
                    scores = score_piece(model, piece, first, table.name, params)
                    sink.extend({**{name: piece[name] for name in kept}, params["score"]: scores})
                    first += len(scores)
                    progress.add(len(scores))
                    if len(scores):
                        low, high, total = min(low, scores.min()), max(high, scores.max()), total + scores.sum()
        how = "each by the model of its fold" if params["scoring"] == "fold" else f"mean of {model.folds} models"
        print(f"{progress.done:,} events scored, {how}")
        if progress.done:
            print(f"score from {low:.4f} to {high:.4f}, mean {total / progress.done:.4f}")


def _common_types(tables: Sequence[Table], kept: list[str]) -> dict[str, Any]:
    filled = [table for table in tables if table.entries] or list(tables[:1])
    types = [column_types(table, kept) for table in filled]
    return {name: np.result_type(*(one[name] for one in types)) for name in kept}


if "snakemake" in globals():
    main(snakemake)
