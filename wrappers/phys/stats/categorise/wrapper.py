"""Find boundaries of a score that maximise the expected significance of all categories together."""

__author__ = "The snakemake-executor-plugin-llmagent developers"
__copyright__ = "Copyright 2026, the snakemake-executor-plugin-llmagent developers"
__license__ = "MIT"

import functools
import itertools
import math
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
    "score": "score",
    "weight": "weight",
    "mass": "m_yy",
    "range": None,
    "interpolation": "exponential",
    "scale": 1.0,
    "search": "greedy",
    "candidates": 1000,
    "min_gain": 0.05,
    "max_categories": 10,
    "min_background": 2.0,
    "max_background_error": 0.5,
    "tree": None,
    "output_tree": "events",
    "category": "category",
    "label": "Simulation",
}
KINDS = ("signal", "background", "data", "other")
S, SS, B, BB, NS, NB = range(6)
"""Sums of window events: signal, its variance, simulated background, its variance, and numbers of events."""
D, DM, DD, DDM, DDMM, ND = range(6, 12)
"""Sums of sideband events: w, w m, w^2, w^2 m, w^2 m^2, and their number; m from the middle of the window."""
SUMS = 12


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What is expected in the mass window, for any number of score intervals at once."""

    signal: np.ndarray
    signal_error: np.ndarray
    background: np.ndarray
    background_error: np.ndarray

    @property
    def q(self) -> np.ndarray:
        """Squared significance, `asimov(s, b) ** 2`; 0 where s or b is not positive."""
        return q_of(self.signal, self.background)


def q_of(signal: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return 2 ((s + b) ln(1 + s / b) - s): Cowan, Cranmer, Gross, Vitells, EPJ C 71 (2011) 1554, eq. 97, squared."""
    good = (signal > 0) & (background > 0)
    s, b = np.where(good, signal, 1.0), np.where(good, background, 1.0)
    # (s + b) ln(1 + s / b) - s cancels where s << b; the series s^2 / 2b - s^3 / 6b^2 is exact to 1e-9 of it there.
    value = np.where(s / b > 1e-4, 2 * ((s + b) * np.log1p(s / b) - s), s * s / b * (1 - s / (3 * b)))
    return np.where(good, value, 0.0)


# The background in the window from sidebands


@dataclass(frozen=True, kw_only=True)
class Sidebands:
    """Interpolate from sidebands into the window; masses in GeV from the middle of the window."""

    pieces: tuple[tuple[float, float], ...]
    window: tuple[float, float]
    how: str
    scale: float

    def background(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return expected events in the window and their variance.

        Args:
            sums: of sideband events, shape (..., SUMS).
        """
        number, moment = sums[..., D], sums[..., DM]
        if self.how == "exponential":
            value, by_number, by_moment = self._exponential(number, moment)
        elif self.how == "linear":
            by_number, by_moment = (np.broadcast_to(one, number.shape) for one in self._linear())
            value = by_number * number + by_moment * moment
        else:
            value, by_number, by_moment = number, np.ones_like(number), np.zeros_like(number)
        variance = by_number**2 * sums[..., DD] + by_moment**2 * sums[..., DDMM]
        variance = variance + 2 * by_number * by_moment * sums[..., DDM]
        return self.scale * value, self.scale**2 * np.maximum(variance, 0.0)

    def _linear(self) -> tuple[float, float]:
        """Weights of number and moment: a + b m with the same integral and first moment as the sideband events."""
        integrals = [sum(high**n - low**n for low, high in self.pieces) / n for n in (1, 2, 3)]
        low, high = self.window
        target = np.array([high - low, (high**2 - low**2) / 2])
        matrix = np.array([[integrals[0], integrals[1]], [integrals[1], integrals[2]]])
        solved = np.linalg.solve(matrix.T, target)
        return float(solved[0]), float(solved[1])

    def _exponential(self, number: np.ndarray, moment: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return value and derivatives; the slope of greatest likelihood depends on the mean mass alone: a table."""
        means, ratios = _ratios(self.pieces, self.window)
        mean = np.clip(moment / np.where(number > 0, number, 1.0), means[0], means[-1])
        value = np.interp(mean, means, ratios)
        derivative = np.interp(mean, means, np.gradient(ratios, means))
        return number * value, value - mean * derivative, derivative


@functools.cache
def _ratios(pieces: tuple[tuple[float, float], ...], window: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean masses in the sidebands, ascending, and ratios of window to sidebands: slopes of -1 to 1 per GeV."""
    slopes = np.linspace(-1.0, 1.0, 8001)
    inside, _ = _integrals(slopes, (window,))
    outside, moment = _integrals(slopes, pieces)
    return moment / outside, inside / outside


def _integrals(slopes: np.ndarray, pieces: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return integrals of exp(slope m) and m exp(slope m) over intervals, shape of `slopes` each.

    Gauss-Legendre with 40 points in each interval: exact to rounding for slope times width below about 40.
    """
    points, weights = np.polynomial.legendre.leggauss(40)
    zeroth, first = np.zeros_like(slopes), np.zeros_like(slopes)
    for low, high in pieces:
        m = (high + low) / 2 + points * (high - low) / 2
        values = np.exp(slopes[:, None] * m) * weights * (high - low) / 2
        zeroth, first = zeroth + values.sum(axis=1), first + (values * m).sum(axis=1)
    return zeroth, first


# Sums of events in intervals of the score


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where the signal is expected and where data may be looked at, in GeV."""

    low: float
    high: float
    range: tuple[float, float] | None

    @property
    def middle(self) -> float:
        """Masses are counted from here, so that sums of m^2 lose no digits."""
        return (self.low + self.high) / 2


def read_pieces(kind: str, tables: Sequence[Table], window: Window, params: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """Yield score, weight and mass, (3, n): of signal and background in the window, of data in the sidebands only.

    Data in the window are dropped here, before anything is computed with them.

    Raises:
        WrongInput: for a score, weight or mass that is not finite.
    """
    names = [params["score"], *([params["weight"]] if params["weight"] else []), params["mass"]]
    for table in tables:
        for piece in table.pieces(names):
            mass = np.asarray(piece[params["mass"]], dtype=np.float64)
            if kind == "data":
                low, high = window.range or (-math.inf, math.inf)
                chosen = (mass >= low) & (mass <= high) & ~((mass >= window.low) & (mass <= window.high))
            else:
                chosen = (mass >= window.low) & (mass <= window.high) | np.isnan(mass)
            columns = {name: np.asarray(piece[name], dtype=np.float64)[chosen] for name in names}
            for name, column in columns.items():
                if not np.isfinite(column).all():
                    wrong = (~np.isfinite(column)).sum()
                    raise WrongInput(f"{table.name}: column {name!r} is not finite in {wrong} {kind} rows")
            weight = columns[params["weight"]] if params["weight"] else np.ones(int(chosen.sum()))
            yield np.stack([columns[params["score"]], weight, columns[params["mass"]] - window.middle])


def candidates(signal: np.ndarray, wanted: int | Sequence[float]) -> np.ndarray:
    """Return possible boundaries, ascending: those given, or quantiles of the signal's scores weighted by |w|."""
    if not isinstance(wanted, int):
        return np.unique(np.asarray(wanted, dtype=np.float64))
    score, weight = signal[0], np.abs(signal[1])
    if not weight.sum() > 0:
        return np.empty(0)
    order = np.argsort(score, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    places = np.searchsorted(share, np.arange(1, wanted + 1) / (wanted + 1))
    chosen = np.unique(np.round(score[order][np.minimum(places, len(score) - 1)], 6))
    return chosen[(chosen > score.min()) & (chosen <= score.max())]


def add_sums(sums: np.ndarray, kind: str, events: np.ndarray, edges: np.ndarray) -> None:
    """Add events, shape (3, n), to sums per interval of the score, shape (len(edges) + 1, SUMS)."""
    place = np.searchsorted(edges, events[0], side="right")
    w, m = events[1], events[2]
    columns: dict[int, np.ndarray | None] = {
        "signal": {S: w, SS: w * w, NS: None},
        "background": {B: w, BB: w * w, NB: None},
        "data": {D: w, DM: w * m, DD: w * w, DDM: w * w * m, DDMM: w * w * m * m, ND: None},
    }[kind]
    for column, values in columns.items():
        sums[:, column] += np.bincount(place, weights=values, minlength=len(sums))


def expected(sums: np.ndarray, sidebands: Sidebands | None) -> Expectation:
    """Return the expectation for sums of shape (..., SUMS)."""
    background, variance = sums[..., B], sums[..., BB]
    if sidebands:
        more, more_variance = sidebands.background(sums)
        background, variance = background + more, variance + more_variance
    return Expectation(
        signal=sums[..., S],
        signal_error=np.sqrt(sums[..., SS]),
        background=background,
        background_error=np.sqrt(variance),
    )


# Search


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Cumulative sums: the content of any interval of the score is one subtraction."""

    edges: np.ndarray
    below: np.ndarray
    """Sums below each edge, with 0 first and everything last, shape (len(edges) + 2, SUMS)."""
    sidebands: Sidebands | None
    min_background: float
    max_background_error: float

    def between(self, low: Any, high: Any) -> Expectation:
        """Return what is expected from place `low` to place `high`; 0 is the bottom and len(edges) + 1 the top."""
        return expected(self.below[high] - self.below[low], self.sidebands)

    def allowed(self, one: Expectation) -> np.ndarray:
        """Return where the background is large and certain enough for a category."""
        certain = one.background_error <= self.max_background_error * one.background
        return (one.background > 0) & (one.background >= self.min_background) & certain

    @property
    def top(self) -> int:
        """The place above all scores."""
        return len(self.edges) + 1


def q_total(scan: Scan, places: Sequence[int]) -> float:
    """Return the sum of squared significances of the categories between places."""
    ends = np.array([0, *places, scan.top])
    return float(scan.between(ends[:-1], ends[1:]).q.sum())


def best_split(scan: Scan, places: list[int]) -> list[int] | None:
    """Return places with the one more that raises the significance most, or None; of equals, the lowest."""
    ends = [0, *places, scan.top]
    best, found = -math.inf, None
    for low, high in itertools.pairwise(ends):
        middle = np.arange(low + 1, high)
        if not len(middle):
            continue
        under, over = scan.between(low, middle), scan.between(middle, high)
        gain = under.q + over.q - float(scan.between(low, high).q)
        gain = np.where(scan.allowed(under) & scan.allowed(over), gain, -math.inf)
        highest = float(gain.max())
        # Among equals the lowest boundary stays, so rounding must not decide.
        if math.isfinite(highest) and (found is None or highest > best + 1e-12 * abs(best)):
            best, found = highest, int(middle[np.argmax(gain)])
    return None if found is None else sorted([*places, found])


def best_partitions(scan: Scan, most: int) -> list[list[int]]:
    """Return the best places for 1, 2, ... `most` categories, by dynamic programming: squares of z add up."""
    size = scan.top + 1
    low, high = np.triu_indices(size, k=1)
    one = scan.between(low, high)
    table = np.full((size, size), -math.inf)
    table[low, high] = np.where(scan.allowed(one), one.q, -math.inf)
    best, before = table[0], []
    results: list[list[int]] = [[]]
    for _ in range(most - 1):
        sums = best[:, None] + table
        before.append(np.argmax(sums, axis=0))
        best = sums.max(axis=0)
        if not math.isfinite(best[-1]):
            break
        places, at = [], size - 1
        for previous in reversed(before):
            at = int(previous[at])
            places.append(at)
        results.append(sorted(places))
    return results


def search(scan: Scan, params: Mapping[str, Any]) -> tuple[list[int], list[dict[str, Any]]]:
    """Add boundaries until one more raises the significance by less than `min_gain`.

    Returns:
        places of the boundaries, and each step, the refused one too.
    """
    places: list[int] = []
    z = math.sqrt(q_total(scan, places))
    history: list[dict[str, Any]] = [{"categories": 1, "boundaries": [], "z_exp": z, "gain": None, "accepted": True}]
    best = best_partitions(scan, params["max_categories"]) if params["search"] == "optimal" else None
    for number in range(2, params["max_categories"] + 1):
        found = best_split(scan, places) if best is None else dict(enumerate(best, start=1)).get(number)
        if found is None:
            print(f"{number} categories: none has enough background on both sides")
            break
        new = math.sqrt(q_total(scan, found))
        gain = new / z - 1 if z > 0 else None
        accepted = gain is not None and gain > 0 and gain >= params["min_gain"]
        step = {"categories": number, "boundaries": [float(scan.edges[one - 1]) for one in found], "z_exp": new}
        history.append({**step, "gain": gain, "accepted": accepted})
        print(f"{number} categories: z_exp {new:.4f}, gain " + (f"{100 * gain:.2f} %" if gain is not None else "none"))
        if not accepted:
            break
        places, z = found, new
    return places, history


def summary(scan: Scan, places: Sequence[int], history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the result as JSON takes it."""
    ends = [0, *places, scan.top]
    rows = []
    edges = [None, *(float(scan.edges[one - 1]) for one in places), None]
    for number, (low, high) in enumerate(itertools.pairwise(ends)):
        one, sums = scan.between(low, high), scan.below[high] - scan.below[low]
        z, error = _z_error(one)
        rows.append(
            {
                "category": number,
                "lower": edges[number],
                "upper": edges[number + 1],
                "signal": float(one.signal),
                "signal_error": float(one.signal_error),
                "background": float(one.background),
                "background_error": float(one.background_error),
                "z_exp": z,
                "z_exp_error": error,
                "n_signal": int(sums[NS]),
                "n_background": int(sums[NB]),
                "n_sidebands": int(sums[ND]),
                "allowed": bool(scan.allowed(one)),
            }
        )
    total = math.sqrt(sum(row["z_exp"] ** 2 for row in rows))
    error = math.sqrt(sum((row["z_exp"] * row["z_exp_error"]) ** 2 for row in rows)) / total if total > 0 else 0.0
    return {
        "valid": total > 0 and all(row["allowed"] for row in rows),
        "z_exp": total,
        "z_exp_error": error,
        "z_exp_single": history[0]["z_exp"],
        "signal": sum(row["signal"] for row in rows),
        "background": sum(row["background"] for row in rows),
        "boundaries": edges[1:-1],
        "categories": rows,
        "history": history,
    }


def _z_error(one: Expectation) -> tuple[float, float]:
    """Return z and its error from the finite numbers of events, by the derivatives of q = z^2."""
    s, b = float(one.signal), float(one.background)
    z = math.sqrt(float(one.q))
    if not z > 0:
        return 0.0, 0.0
    by_signal, by_background = 2 * math.log1p(s / b), 2 * (math.log1p(s / b) - s / b)
    error = math.hypot(by_signal * float(one.signal_error), by_background * float(one.background_error))
    return z, error / (2 * z)


# Outputs


def write_tables(
    files: Mapping[str, Sequence[str]],
    outputs: Mapping[str, Sequence[str]],
    boundaries: Sequence[float],
    params: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> None:
    """Write tables again with the category of each event, int32, counted from 0 at the lowest scores."""
    for kind, paths in outputs.items():
        for source, path in zip(files[kind], paths, strict=True):
            table = open_table(source, params["tree"])
            kept = flat_columns(table)
            if params["category"] in kept:
                raise WrongInput(
                    f"{table.name}: there is a column {params['category']!r} already; params: category='...'"
                )
            types = {**column_types(table, kept), params["category"]: np.int32}
            with Sink(path, types, origin, params["output_tree"]) as sink:
                for piece in table.pieces(kept):
                    score = np.asarray(piece[params["score"]], dtype=np.float64)
                    if np.isnan(score).any():
                        raise WrongInput(
                            f"{table.name}: column {params['score']!r} is NaN in {np.isnan(score).sum()} rows"
                        )
                    place = np.searchsorted(np.asarray(boundaries), score, side="right")
                    sink.extend({**piece, params["category"]: place.astype(np.int32)})
            print(f"{path}: {table.entries:,} events with their category")


def plot(
    result: Mapping[str, Any], shapes: Mapping[str, np.ndarray], edges: np.ndarray, params: Mapping[str, Any]
) -> Any:
    """Draw scores with the boundaries, and the significance against the number of categories."""
    figure = new_figure(11, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    colours = {"signal": "#c8102e", "background": "#1f5fa8", "data": "#222222"}
    texts = {"signal": "signal, window", "background": "background, window", "data": "data, sidebands"}
    for kind, counts in shapes.items():
        if counts.sum() > 0:
            style = {"color": colours[kind], "label": texts[kind], "linewidth": 1.5}
            if kind == "signal":
                style |= {"fill": True, "alpha": 0.35}
            left.stairs(counts / counts.sum() / np.diff(edges), edges, **style)
    for number, boundary in enumerate(result["boundaries"]):
        text = "boundaries" if number == 0 else None
        left.axvline(boundary, color="0.25", linestyle="--", linewidth=1, label=text)
    left.set(
        xlim=(edges[0], edges[-1]), xlabel=params["score"].capitalize(), ylabel="Share of events per unit of score"
    )
    left.set_ylim(bottom=0, top=left.get_ylim()[1] * 1.15)
    if left.get_legend_handles_labels()[0]:
        left.legend(fontsize=9)
    left.set_title(params["label"], loc="left", fontweight="bold", fontsize=11)
    _plot_history(right, result)
    return figure


def _plot_history(axes: Any, result: Mapping[str, Any]) -> None:
    taken = [one for one in result["history"] if one["accepted"]]
    refused = [one for one in result["history"] if not one["accepted"]]
    axes.plot(
        [one["categories"] for one in taken], [one["z_exp"] for one in taken], "o-", color="#c8102e", label="taken"
    )
    if refused:
        x, y = [one["categories"] for one in refused], [one["z_exp"] for one in refused]
        axes.plot(x, y, "o", color="#c8102e", markerfacecolor="white", label="gain too small")
    last = result["history"][-1]["categories"]
    for one in result["history"][1:]:
        if one["gain"] is not None:
            # below the rising line
            place = {"xytext": (5, -7), "textcoords": "offset points", "ha": "left", "va": "top", "fontsize": 9}
            axes.annotate(f"{100 * one['gain']:+.1f} %", (one["categories"], one["z_exp"]), **place)
    axes.set(xlim=(0.5, last + 0.9), xticks=range(1, last + 1), xlabel="Number of categories")
    axes.set(ylabel="Expected significance (σ)")
    axes.set_ylim(bottom=0, top=max(one["z_exp"] for one in result["history"]) * 1.25 or 1)
    axes.tick_params(axis="x", which="minor", length=0)
    axes.legend(loc="lower right")
    axes.set_title(f"$Z$ = {result['z_exp']:.2f} ± {result['z_exp_error']:.2f}", loc="right", fontsize=11)


# The job


def check_params(params: dict[str, Any]) -> None:
    """Raise `WrongInput` for a param out of its range."""
    choice("interpolation", params["interpolation"], ("exponential", "linear", "scale"))
    choice("search", params["search"], ("greedy", "optimal"))
    _pair("window", params["window"])
    if params["range"] is not None:
        _pair("range", params["range"])
    for name, low in (("scale", 0.0), ("min_gain", 0.0), ("min_background", 0.0), ("max_background_error", 0.0)):
        value = params[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < math.inf:
            raise WrongInput(f"params: {name}={value!r} is not a number from {low:g}")
    if not params["scale"] > 0:
        raise WrongInput("params: scale is greater than 0")
    most = params["max_categories"]
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= 100:
        raise WrongInput(f"params: max_categories={most!r} is not an integer from 1 to 100")
    wanted = params["candidates"]
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        most = 5000 if params["search"] == "greedy" else 1500
        if not 1 <= wanted <= most:
            raise WrongInput(f"params: candidates={wanted} is not from 1 to {most}")
    elif not isinstance(wanted, list | tuple) or not wanted or not all(isinstance(one, int | float) for one in wanted):
        raise WrongInput("params: candidates is a number of possible boundaries, or the list of them")


def _pair(name: str, value: Any) -> None:
    good = isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(one, int | float) for one in value)
    if not good or not -math.inf < value[0] < value[1] < math.inf:
        raise WrongInput(f"params: {name}={value!r} is not [low, high] in GeV")


def _named(items: Any, kinds: Sequence[str], what: str) -> dict[str, list[str]]:
    given = {name: [value] if isinstance(value, str) else [str(one) for one in value] for name, value in items.items()}
    for name in given:
        if name not in kinds:
            raise WrongInput(f"{what}: there is no {name!r}. {near(name, kinds)}")
    return {name: paths for name, paths in given.items() if paths}


def check_files(snakemake: Any) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return input and output files by their names, after looking whether they go together."""
    files = _named(snakemake.input, KINDS, "input")
    outputs = _named(snakemake.output, ("result", "plot", *KINDS), "output")
    if "signal" not in files or not ("background" in files or "data" in files):
        raise WrongInput(
            "input: signal=... is needed, and background=... (simulation) or data=... (sidebands), or both"
        )
    files = {kind: existing(paths) for kind, paths in files.items()}
    if len(outputs.get("result", [])) != 1 or Path(outputs["result"][0]).suffix != ".json":
        raise WrongInput("output: result=... is one .json file")
    for kind in KINDS:
        if kind in outputs and len(outputs[kind]) != len(files.get(kind, [])):
            raise WrongInput(f"output: {kind} names {len(outputs[kind])} tables, input {len(files.get(kind, []))}")
        for path in outputs.get(kind, []):
            check_sink(path)
    for path in outputs.get("plot", []):
        check_figure(path)
    return files, outputs


def make_sidebands(files: Mapping[str, Any], params: Mapping[str, Any]) -> tuple[Window, Sidebands | None]:
    """Return window and interpolation.

    Raises:
        WrongInput: if the range of the data leaves no sideband on a side of the window.
    """
    low, high = map(float, params["window"])
    whole = tuple(map(float, params["range"])) if params["range"] else None
    window = Window(low=low, high=high, range=whole)  # type: ignore[arg-type]
    if "data" not in files:
        return window, None
    if whole is None:
        raise WrongInput(
            "params: range=[low, high] is missing: masses of the sidebands and the window together, in GeV"
        )
    if whole[0] >= low or high >= whole[1]:
        inside = f"window {params['window']} does not lie within range {params['range']}"
        raise WrongInput(f"params: {inside}, with sidebands beside it")
    middle = window.middle
    pieces = ((whole[0] - middle, low - middle), (high - middle, whole[1] - middle))
    return window, Sidebands(
        pieces=pieces,
        window=(low - middle, high - middle),
        how=params["interpolation"],
        scale=params["scale"],
    )


def make_scan(
    files: Mapping[str, Sequence[str]], window: Window, sidebands: Sidebands | None, params: Mapping[str, Any]
) -> tuple[Scan, dict[str, np.ndarray], np.ndarray]:
    """Read the tables once; return cumulative sums, histograms of the scores for the plot, and their edges."""
    opened = {kind: [open_table(path, params["tree"]) for path in files.get(kind, [])] for kind in KINDS}
    names = [params["score"], *([params["weight"]] if params["weight"] else [])]
    for kind, tables in opened.items():
        for table in tables:
            table.check([params["score"]] if kind == "other" else [*names, params["mass"]])
    pieces = list(read_pieces("signal", opened["signal"], window, params))
    signal = np.concatenate(pieces, axis=1) if pieces else np.empty((3, 0))
    edges = candidates(signal, params["candidates"])
    low, high = (signal[0].min(), signal[0].max()) if signal.size else (0.0, 1.0)
    low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high if high > low else low + 1)
    bins = np.linspace(low, high, 51)
    sums = np.zeros((len(edges) + 1, SUMS))
    shapes: dict[str, np.ndarray] = {}
    progress = Progress("summing", sum(table.entries for kind in ("background", "data") for table in opened[kind]))
    for kind in ("signal", "background", "data"):
        shapes[kind] = np.zeros(len(bins) - 1)
        for events in [signal] if kind == "signal" else read_pieces(kind, opened[kind], window, params):
            add_sums(sums, kind, events, edges)
            shapes[kind] += np.histogram(events[0], bins=bins, weights=events[1])[0]
            progress.add(0 if kind == "signal" else events.shape[1])
    if not sums[:, NS].sum():
        print("Warning: no signal event in the window: one category, z_exp = 0")
    scan = Scan(
        edges=edges,
        below=np.concatenate([np.zeros((1, SUMS)), np.cumsum(sums, axis=0)]),
        sidebands=sidebands,
        min_background=params["min_background"],
        max_background_error=params["max_background_error"],
    )
    return scan, shapes, bins


def main(snakemake: Any) -> None:
    """Find the boundaries, and write the result, the figure and the tables that the rule asks for."""
    with logged(snakemake):
        params = parameters(snakemake, DEFAULTS, required=("window",))
        check_params(params)
        files, outputs = check_files(snakemake)
        window, sidebands = make_sidebands(files, params)
        scan, shapes, bins = make_scan(files, window, sidebands, params)
        places, history = search(scan, params)
        result = summary(scan, places, history)
        origin = provenance(snakemake, "phys/stats/categorise", ["numpy"])
        method = {"search": params["search"], "candidates": len(scan.edges), "min_gain": params["min_gain"]}
        result |= {
            "window": list(params["window"]),
            "range": list(params["range"]) if params["range"] else None,
            "interpolation": params["interpolation"] if sidebands else None,
            "method": method,
        }
        for row in result["categories"]:
            if not row["allowed"]:
                share = f"{row['background']:.3g} ± {row['background_error']:.2g}"
                print(f"Warning: category {row['category']} expects {share} background events: too few to trust")
        print(f"{len(result['categories'])} categories, boundaries {result['boundaries']}")
        print(
            f"z_exp {result['z_exp']:.4f} ± {result['z_exp_error']:.4f} (without boundaries {history[0]['z_exp']:.4f})"
        )
        chosen = {kind: outputs[kind] for kind in KINDS if kind in outputs}
        write_tables(files, chosen, result["boundaries"], params, origin)
        for path in outputs.get("plot", []):
            save_figure(plot(result, shapes, bins, params), path, origin)
        write_json(outputs["result"][0], {**result, "provenance": origin})


if "snakemake" in globals():
    main(snakemake)
