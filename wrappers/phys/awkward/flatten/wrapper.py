"""Events with lists of objects as a flat table: the first few objects of each kind in columns of their own, padded."""

__author__ = "The snakemake-executor-plugin-llmagent developers"
__copyright__ = "Copyright 2026, the snakemake-executor-plugin-llmagent developers"
__license__ = "MIT"

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

# --- common: operations (kept by wrappers/embed.py; edit wrappers/common/operations.py) ---
# What expressions compute with: operators and functions that work alike on NumPy and Awkward Arrays.

import ast
from collections.abc import Callable
from typing import Any

import numpy as np


def is_awkward(value: Any) -> bool:
    """Tell whether a value is an Awkward Array, without importing Awkward Array."""
    return type(value).__module__.startswith("awkward")


def depth(value: Any) -> int:
    """Return the number of axes, 0 for a plain number."""
    return int(getattr(value, "ndim", 0))


def is_boolean(value: Any) -> bool:
    """Tell whether the numbers of an array are booleans."""
    return bool(number_type(value) == np.bool_)


def number_type(value: Any) -> Any:
    """Return the NumPy dtype of an array's numbers; None where there is no one such type."""
    if not is_awkward(value):
        return np.asarray(value).dtype
    layout = value.layout
    while not hasattr(layout, "dtype"):
        if not hasattr(layout, "content"):
            return None
        layout = layout.content
    return layout.dtype


def as_lists(value: Any) -> Any:
    """Return arrays of a fixed number per event as lists per event, so that all combine alike with one per event."""
    if depth(value) < 2 or (is_awkward(value) and not _has_fixed_length(value.layout)):
        return value
    import awkward as ak

    return ak.from_regular(value if is_awkward(value) else ak.from_numpy(value), axis=None)


def same_lengths(left: Any, right: Any) -> bool:
    """Tell whether the lists of two arrays are of the same length in each event."""
    import awkward as ak

    return len(left) == len(right) and bool(ak.all(ak.num(left, axis=1) == ak.num(right, axis=1)))


def _has_fixed_length(layout: Any) -> bool:
    while layout is not None and not layout.is_regular:
        layout = getattr(layout, "content", None)
    return layout is not None


def as_numpy(value: Any) -> np.ndarray:
    """Return one value per event as NumPy, shape (n,); missing ones become NaN, or False for booleans."""
    if not is_awkward(value):
        return np.asarray(value)
    import awkward as ak

    missing = {np.dtype(bool): False}.get(number_type(value), np.nan)
    return np.asarray(ak.to_numpy(ak.fill_none(value, missing) if "?" in str(value.type) else value))


def as_signed(value: Any) -> Any:
    """Return whole numbers and booleans as int64: True + True is 2, and unsigned 0 - 1 is -1."""
    kind = number_type(value)
    if isinstance(value, bool | int | float) or kind is None or kind.kind not in "biu" or kind.itemsize == 8:
        return value
    if not is_awkward(value):
        return np.asarray(value).astype(np.int64)
    import awkward as ak

    return ak.values_astype(value, np.int64)


def _reduction(name: str, **options: Any) -> Callable[[Any], Any]:
    def reduce(value: Any) -> Any:
        import awkward as ak

        return getattr(ak, name)(value, axis=-1, **options)

    return reduce


def _number(value: Any) -> Any:
    import awkward as ak

    return ak.num(value, axis=-1)


def _where(condition: Any, left: Any, right: Any) -> Any:
    if not any(is_awkward(one) for one in (condition, left, right)):
        return np.where(condition, left, right)
    import awkward as ak

    return ak.where(condition, left, right)


def _clip(value: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(value, low), high)


def _delta_phi(left: Any, right: Any) -> Any:
    return np.remainder(left - right + np.pi, 2 * np.pi) - np.pi


REDUCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "num": (1, _number),
    "count": (1, _reduction("sum")),
    "sum": (1, _reduction("sum")),
    "any": (1, _reduction("any")),
    "all": (1, _reduction("all")),
    # The minimum of no numbers is +inf, the maximum -inf: `max(pt) > 25` is then False, `min(dr) > 0.4` True.
    "min": (1, _reduction("min", mask_identity=False)),
    "max": (1, _reduction("max", mask_identity=False)),
}
_ELEMENTWISE = (
    "sqrt exp expm1 log log10 log1p log2 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
    "floor ceil sign isnan isfinite"
)
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    **{name: (1, getattr(np, name)) for name in _ELEMENTWISE.split()},
    **{name: (2, getattr(np, name)) for name in ("arctan2", "hypot", "minimum", "maximum")},
    "abs": (1, np.absolute),
    "clip": (3, _clip),
    "delta_phi": (2, _delta_phi),
    "where": (3, _where),
    **REDUCTIONS,
}
"""Functions by name: how many arguments, and what computes them."""

BINARY: dict[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Pow: np.power,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor,
}
COMPARISONS: dict[type, Callable[..., Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


# --- end of common ---

# --- common: events (kept by wrappers/embed.py; edit wrappers/common/events.py) ---
# Events with lists of objects in ROOT (TTree, RNTuple) or Parquet files: columns, and arrays in chunks.

import bisect
import contextlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np


CHUNK_SIZE = "32 MB"
"""About so much memory is taken by the columns of one chunk."""

MOST_ROWS = 250_000
"""Rows of Parquet files read at once, however narrow they are: what is computed of them may be much wider."""
MEMORY_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}

REMOTE_PACKAGES = {
    "root": ("fsspec_xrootd", "fsspec-xrootd"),
    "roots": ("fsspec_xrootd", "fsspec-xrootd"),
    "s3": ("s3fs", "s3fs"),
}


class Chunk(Mapping[str, Any]):
    """Arrays of some successive events by column name, each read when it is first asked for.

    Numbers per event are NumPy arrays of shape (entries,), lists are Awkward Arrays of length `entries`.
    """

    def __init__(self, names: Sequence[str], entries: int, read: Callable[[list[str]], dict[str, Any]]) -> None:
        self.entries = entries
        self._names, self._read, self._held = list(names), read, dict[str, Any]()

    def load(self, names: Iterable[str]) -> None:
        """Read several columns together, which is faster than one after the other."""
        missing = [name for name in dict.fromkeys(names) if name not in self._held]
        if missing:
            self._held.update(self._read(missing))

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        self.load([name])
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, kw_only=True)
class Events:
    """A Parquet file, or a tree of a ROOT file, with columns of one value or one list per event.

    Attributes:
        path: the file or URL.
        tree: the TTree or RNTuple, None for Parquet.
        kind: `TTree`, `RNTuple` or `Parquet`.
        columns: all columns, in the order of the file.
        types: types such as `float32`, `var * bool`, `4 * int32` by column, of the columns that were asked for.
        entries: number of events.
        nullable: columns of a Parquet file that may have missing values.
        counters: branches that hold the lengths of other columns' lists, by those columns.
    """

    path: str
    tree: str | None
    kind: str
    columns: tuple[str, ...]
    entries: int
    types: Mapping[str, str] = field(repr=False)
    nullable: frozenset[str] = frozenset()
    counters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What an error message calls these events."""
        return f"{self.path}: tree {self.tree}" if self.tree else self.path

    def check(self, wanted: Iterable[str]) -> None:
        """Raise `WrongInput` for the first wanted column that is not there or cannot be read."""
        known = set(self.columns)
        for column in wanted:
            if column not in known:
                raise WrongInput(f"{self.name}: no column {column!r}. {near(column, self.columns)}")
            if self.types.get(column, "").startswith("unreadable"):
                raise WrongInput(f"{self.name}: column {column!r} is {self.types[column]}")

    def chunks(
        self, wanted: Sequence[str], *, size: int | str = CHUNK_SIZE, threads: int = 1, stop: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the events in the order of the file, in chunks that read only the wanted columns.

        Args:
            wanted: columns.
            size: number of events per chunk, or their memory such as "100 MB".
            threads: how many threads decompress.
            stop: end after so many events; by default after all.

        Raises:
            WrongInput: for a missing column or an unreadable file.
        """
        self.check(wanted)
        step = check_size(size)
        reader = _parquet_chunks if self.kind == "Parquet" else _root_chunks
        end = self.entries if stop is None else stop
        with _readable(self.name):
            yield from reader(self, list(dict.fromkeys(wanted)), step, threads, end)


def open_events(
    path: str, tree: str | None = None, *, typed: Callable[[Sequence[str]], Iterable[str]] | None = None
) -> Events:
    """Open events without reading their columns.

    Args:
        path: a .root or .parquet file, or a URL of one (http, https, root, s3).
        tree: name of the TTree or RNTuple; may be left out where the file has only one.
        typed: chooses from all columns those whose types are wanted (finding types takes time in trees with
            thousands of branches); by default all.

    Raises:
        WrongInput: if it cannot be read, or the tree is missing or ambiguous.
    """
    suffix = PurePosixPath(urlsplit(path).path).suffix
    openers = {".root": _open_root, ".parquet": _open_parquet}
    if suffix not in openers:
        raise WrongInput(f"{path}: events are read from {' and '.join(openers)} files, not from {suffix!r}")
    check_remote(path)
    with _readable(path):
        return openers[suffix](path, tree, typed or (lambda names: names))


def open_all(
    paths: Sequence[str], tree: str | None = None, *, typed: Callable[[Sequence[str]], Iterable[str]] | None = None
) -> list[Events]:
    """Open several files and see that the typed columns have the same types in all.

    Raises:
        WrongInput: naming the first file that cannot be opened or differs.
    """
    files = [open_events(path, tree, typed=typed) for path in paths]
    for file in files[1:]:
        file.check(files[0].types)
        for column, kind in files[0].types.items():
            if file.types[column] != kind:
                raise WrongInput(
                    f"{file.name}: column {column!r} is {file.types[column]!r}, but {kind!r} in {files[0].path}"
                )
    return files


def check_size(size: Any) -> int | str:
    """Return a number of events, or a memory size in bytes such as `100000000 B`; raise `WrongInput` if neither."""
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?i?b)\s*", str(size).lower())
    number = float(parts[1]) * MEMORY_UNITS.get(parts[2], 0) if parts else 0
    if number < 1:
        raise WrongInput(f'params: step_size={size!r} is neither a number of events nor a memory size such as "100 MB"')
    return f"{number:.0f} B"


def check_remote(path: str) -> None:
    """Raise `WrongInput` if a package is missing that URLs of this kind need."""
    scheme = path.partition("://")[0] if "://" in path else ""
    module, package = REMOTE_PACKAGES.get(scheme, ("", ""))
    if module and importlib.util.find_spec(module) is None:
        raise WrongInput(f"{path}: {scheme}:// URLs need the package {package}: add it to the environment")
    if scheme.startswith("http") and not _is_root(path) and importlib.util.find_spec("aiohttp") is None:
        raise WrongInput(f"{path}: Parquet files by {scheme}:// need the package aiohttp: add it to the environment")


def open_uproot(path: str) -> Any:
    """Open a ROOT file or URL; http(s) is read without further packages."""
    import uproot

    if path.startswith(("http://", "https://")) and importlib.util.find_spec("aiohttp") is None:
        return uproot.open(path, handler=uproot.source.http.HTTPSource, array_cache=None)
    if "://" in path:
        return uproot.open(path, array_cache=None)
    # Fewer calls per basket than through fsspec, which is the default.
    return uproot.open(path, array_cache=None, handler=uproot.MemmapSource)


def tree_names(file: Any) -> list[str]:
    """Return the names of the TTrees and RNTuples in an open ROOT file."""
    classes = file.classnames(cycle=False)
    return [name for name, kind in classes.items() if kind in ("TTree", "TNtuple", "TNtupleD") or "RNTuple" in kind]


def branch_types(tree: Any, chosen: Iterable[str] | None = None) -> dict[str, str]:
    """Return types by column, of all columns of an open TTree or RNTuple, or of the chosen ones."""
    branches = _leaves(tree)
    return {name: _type(tree, branches[name]) for name in (branches if chosen is None else chosen)}


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Say which file is meant when its content cannot be read."""
    try:
        yield
    except WrongInput:
        raise
    except Exception as error:
        raise WrongInput(f"{name}: cannot be read: {type(error).__name__}: {error}") from error


def _is_root(path: str) -> bool:
    return PurePosixPath(urlsplit(path).path).suffix == ".root"


def _open_root(path: str, tree: str | None, typed: Callable[[Sequence[str]], Iterable[str]]) -> Events:
    with open_uproot(path) as file:
        trees = tree_names(file)
        if not trees:
            raise WrongInput(f"{path}: there is no TTree or RNTuple in this file")
        if tree is None and len(trees) > 1:
            raise WrongInput(f"{path}: which tree? params: tree=... There are: {', '.join(trees)}")
        chosen = trees[0] if tree is None else tree
        if chosen not in trees:
            raise WrongInput(f"{path}: no tree {chosen!r}. {near(chosen, trees)}")
        source = file[chosen]
        columns = tuple(_leaves(source))
        types = branch_types(source, [name for name in typed(columns) if name in columns])
        kind = "TTree" if hasattr(source, "branches") else "RNTuple"
        entries = int(source.num_entries)
        counters = {column: leaf.count_branch.name for column, leaf in _leaves(source).items() if _is_counted(leaf)}
    return Events(path=path, tree=chosen, kind=kind, columns=columns, entries=entries, types=types, counters=counters)


def _leaves(tree: Any) -> dict[str, Any]:
    """Return what holds data in a tree, by name: branches without branches, or the fields of an RNTuple."""
    if not hasattr(tree, "branches"):
        return {name: name for name in tree.keys(recursive=False) if not name.startswith("_")}
    leaves: dict[str, Any] = {}
    for full, branch in tree.iteritems(recursive=True, full_paths=True):
        if not branch.branches:
            leaves[full if branch.name in leaves else branch.name] = branch
    return leaves


def _is_counted(leaf: Any) -> bool:
    return getattr(leaf, "count_branch", None) is not None


def _type(tree: Any, leaf: Any) -> str:
    try:
        if isinstance(leaf, str):
            form = tree.to_akform(filter_name=lambda name: name == leaf or name.startswith(leaf + "."))[0]
            return str(form.content(leaf).type)
        return str(leaf.interpretation.awkward_form(tree.file).type)
    except Exception as error:
        kind = getattr(leaf, "typename", None) or type(error).__name__
        return f"unreadable ({kind})"


def _root_chunks(events: Events, wanted: list[str], step: int | str, threads: int, end: int) -> Iterator[Chunk]:
    import uproot

    executor = uproot.ThreadPoolExecutor(threads) if threads > 1 else None
    try:
        with open_uproot(events.path) as file:
            tree = file[events.tree]
            for start, stop in _ranges(tree, wanted, step, end):

                def read(names: list[str], start: int = start, stop: int = stop) -> dict[str, Any]:
                    options = {
                        "entry_start": start,
                        "entry_stop": stop,
                        "decompression_executor": executor,
                        "array_cache": None,
                    }
                    with _readable(events.name):
                        arrays = tree.arrays(names, library="ak", how=dict, **options)
                    return {name: _plain(arrays[name]) for name in names}

                yield Chunk(wanted, stop - start, read)
    finally:
        if executor is not None:
            executor.shutdown()


def _ranges(tree: Any, wanted: list[str], step: int | str, end: int) -> list[tuple[int, int]]:
    """Divide the entries where baskets or clusters end: a part of one is read as slowly as all of it.

    Baskets of a TTree may end at different entries in each branch, or be larger than a step: then it is cut as asked.
    """
    entries = min(int(tree.num_entries), end)
    if isinstance(step, str):
        step = tree.num_entries_for(step, expressions=wanted) if wanted and entries else entries
    step = max(int(step), 1)
    if hasattr(tree, "branches"):
        return list(_between_baskets(tree, wanted, step, entries))
    ranges: list[tuple[int, int]] = []
    for cluster in tree.cluster_summaries:
        start = cluster.num_first_entry
        stop = min(start + cluster.num_entries, entries)
        if ranges and stop - ranges[-1][0] <= step:
            ranges[-1] = (ranges[-1][0], stop)
        elif stop > start:
            ranges.append((start, stop))
    return ranges


def _between_baskets(tree: Any, wanted: list[str], step: int, entries: int) -> Iterator[tuple[int, int]]:
    ends = sorted(tree.common_entry_offsets(filter_name=wanted)) if wanted else []
    start = 0
    while start < entries:
        place = bisect.bisect_right(ends, start + step) - 1
        stop = ends[place] if place >= 0 and ends[place] > start else start + step
        yield start, min(stop, entries)
        start = stop


def _plain(array: Any) -> Any:
    """Return an Awkward Array with one number per event as NumPy, without a copy; others as they are."""
    import awkward as ak

    layout = array.layout
    return (
        layout.to_backend_array()
        if isinstance(layout, ak.contents.NumpyArray) and layout.purelist_depth == 1
        else array
    )


def _open_parquet(path: str, _: str | None, typed: Callable[[Sequence[str]], Iterable[str]]) -> Events:
    import pyarrow.parquet as pq

    with _stream(path) as source, pq.ParquetFile(source) as file:
        schema = file.schema_arrow
        columns = tuple(schema.names)
        types = {name: _arrow_type(schema.field(name).type) for name in typed(columns) if name in columns}
        nullable = frozenset(one.name for one in schema if _may_miss(one))
        entries = file.metadata.num_rows
    return Events(
        path=path, tree=None, kind="Parquet", columns=columns, entries=entries, types=types, nullable=nullable
    )


def _stream(path: str) -> Any:
    if "://" not in path:
        return open(path, "rb")  # noqa: PTH123 (whoever asked closes it)
    import fsspec

    return fsspec.open(path, "rb").open()


def _may_miss(column: Any) -> bool:
    inner = getattr(column.type, "value_field", None)
    return bool(column.nullable) or (inner is not None and _may_miss(inner))


def _arrow_type(kind: Any) -> str:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} * {_arrow_type(kind.value_type)}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"var * {_arrow_type(kind.value_type)}"
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return str(np.dtype(kind.to_pandas_dtype()))
    return "string" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def _parquet_chunks(events: Events, wanted: list[str], step: int | str, threads: int, end: int) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(max(threads, 1))
    with _stream(events.path) as source, pq.ParquetFile(source) as file:
        rows = step if isinstance(step, int) else _rows(file.metadata, wanted, step)
        for batch in file.iter_batches(batch_size=rows, columns=wanted, use_threads=threads > 1):
            batch = batch.slice(0, end)

            def read(names: list[str], batch: Any = batch) -> dict[str, Any]:
                return {name: _from_arrow(batch.column(name)) for name in names}

            yield Chunk(wanted, batch.num_rows, read)
            end -= batch.num_rows
            if end <= 0:
                return


def _rows(metadata: Any, wanted: list[str], step: str) -> int:
    """Return how many rows of the wanted columns take about so much memory."""
    total = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            if column.path_in_schema.partition(".")[0] in wanted:
                total += column.total_uncompressed_size
    bytes_per_row = max(total / max(metadata.num_rows, 1), 1)
    return min(max(int(float(step.split()[0]) / bytes_per_row), 1), MOST_ROWS)


def _from_arrow(array: Any) -> Any:
    import awkward as ak

    def without_options(layout: Any) -> Any:
        if isinstance(layout, ak.contents.UnmaskedArray):
            return without_options(layout.content)
        return layout.copy(content=without_options(layout.content)) if layout.is_list else layout

    return _plain(ak.Array(without_options(ak.from_arrow(array, highlevel=False))))


# --- end of common ---

# --- common: lists (kept by wrappers/embed.py; edit wrappers/common/lists.py) ---
# Lists per event as flat NumPy arrays with the length of each list, and the order of their entries.

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def unpacked(arrays: Mapping[str, Any], names: Iterable[str], *, of: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the lengths of lists, shape (events,), and their entries one after another, shape (all entries,).

    Args:
        arrays: columns by name.
        names: columns that have one list per event, all of the same length in an event.
        of: the input, for error messages.

    Raises:
        WrongInput: if a column is no list of numbers, has missing values, or if lengths differ.
    """
    import awkward as ak

    lengths: np.ndarray | None = None
    flat: dict[str, np.ndarray] = {}
    of_first = ""
    for name in names:
        column = as_lists(arrays[name])
        if depth(column) != 2:
            what = "one value per event" if depth(column) < 2 else "a list of lists per event"
            raise WrongInput(f"{of}: {name!r} is {what}, where one list of numbers per event is needed")
        own = np.asarray(ak.num(column))
        if lengths is None:
            lengths, of_first = own, name
        elif not np.array_equal(own, lengths):
            event = int(np.flatnonzero(own != lengths)[0])
            raise WrongInput(
                f"{of}: {name!r} has {own[event]} entries where {of_first!r} has {lengths[event]}: "
                "they are not of the same objects"
            )
        flat[name] = _numbers(ak.flatten(column), name, of)
    return (np.empty(0, dtype=np.int64) if lengths is None else lengths), flat


def _numbers(values: Any, name: str, of: str) -> np.ndarray:
    import awkward as ak

    try:
        array = np.asarray(ak.to_numpy(values, allow_missing=False))
    except ValueError:
        raise WrongInput(f"{of}: {name!r} has missing values inside its lists") from None
    if array.dtype.kind not in "biuf":
        raise WrongInput(f"{of}: {name!r} is not a list of numbers ({array.dtype})")
    return array


def starts(lengths: np.ndarray) -> np.ndarray:
    """Return where the list of each event begins among all entries, and last where all end: shape (events + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def descending(values: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
    """Return the places of all entries such that in each event they fall; equal ones keep their order, NaN come last.

    Args:
        values: entries one after another, shape (all entries,).
        lengths: of the lists, shape (events,).

    Returns:
        Indices into `values`, event by event, or None if they lie in this order already.
    """
    if len(values) < 2:
        return None
    offsets = starts(lengths)
    falls = values[1:] <= values[:-1]
    borders = offsets[1:-1]
    falls[borders[(borders > 0) & (borders < len(values))] - 1] = True
    if falls.all():
        return None
    event = np.repeat(np.arange(len(lengths)), lengths)
    order: np.ndarray = np.lexsort((-values.astype(np.float64), event))
    return order


# --- end of common ---

# --- common: flat (kept by wrappers/embed.py; edit wrappers/common/flat.py) ---
# Flat columns written piece by piece to Parquet, ROOT, npz or npy files, whole or not at all.

import contextlib
import json
import shutil
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


ROWS_PER_GROUP = 250_000
"""Pieces are gathered until they have so many rows: few, large row groups or baskets, at a constant memory."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
Columns = Mapping[str, np.ndarray]
Write = Callable[[Columns], None]


@contextlib.contextmanager
def flat_writer(path: Any, provenance: Mapping[str, Any], *, tree: str = "events") -> Iterator[Write]:
    """Yield a function that adds rows to a new file; the file appears when the block ends without an error.

    The function takes columns by name, shape (n,) each, of the same names and types every time. It must be called at
    least once; n may be 0. In memory there are at most about `ROWS_PER_GROUP` rows more than one piece has.

    Args:
        path: ends in .parquet, .root (a TTree), .npz (an array per column) or .npy (one array, a column per column).
        provenance: is stored in the file (not in .npy, which has no place for it).
        tree: name of the TTree.

    Raises:
        WrongInput: for another suffix.
    """
    writer = flat_format(path)
    with replacing(path) as partial, contextlib.ExitStack() as stack:
        text = json.dumps(provenance, ensure_ascii=False)
        write = stack.enter_context(writer(partial, text, tree))
        waiting: list[Columns] = []

        def flush() -> None:
            write({name: np.concatenate([piece[name] for piece in waiting]) for name in waiting[0]})
            waiting.clear()

        def add(piece: Columns) -> None:
            waiting.append(piece)
            if sum(len(next(iter(one.values()))) for one in waiting) >= ROWS_PER_GROUP:
                flush()

        yield add
        if waiting:
            flush()


def flat_format(path: Any) -> Any:
    """Return what writes a file of this suffix.

    Raises:
        WrongInput: if nothing does.
    """
    suffix = Path(str(path)).suffix
    if suffix not in _WRITERS:
        raise WrongInput(f"{path}: flat columns are written to {', '.join(_WRITERS)} files, not to {suffix!r}")
    return _WRITERS[suffix]


@contextlib.contextmanager
def _to_parquet(path: Path, provenance: str, _: str) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def write(piece: Columns) -> None:
            table = pa.Table.from_arrays([_arrow(array) for array in piece.values()], names=list(piece))
            table = table.replace_schema_metadata({"provenance": provenance})
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(path, table.schema, compression="zstd")))
            writers[0].write_table(table)

        yield write


def _arrow(array: np.ndarray) -> Any:
    """Return an array for Arrow without a copy; Arrow's own way would import pandas first."""
    import pyarrow as pa

    if array.dtype == bool:
        bits = np.packbits(array, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(array), [None, pa.py_buffer(bits)])
    kind = pa.from_numpy_dtype(array.dtype)
    return pa.Array.from_buffers(kind, len(array), [None, pa.py_buffer(np.ascontiguousarray(array))])


@contextlib.contextmanager
def _to_root(path: Path, provenance: str, tree: str) -> Iterator[Write]:
    import uproot

    # The contents do not differ from run to run; the dates inside a ROOT file still do.
    with uproot.recreate(path, uuid_function=lambda: uuid.UUID(int=0)) as file:
        file["provenance"] = provenance
        trees: list[Any] = []

        def write(piece: Columns) -> None:
            if not trees:
                # An assignment would write an RNTuple, which older programs cannot read.
                trees.append(file.mktree(tree, {name: array.dtype for name, array in piece.items()}))
            if len(next(iter(piece.values()))):
                trees[0].extend(dict(piece))

        yield write


@contextlib.contextmanager
def _to_npz(path: Path, provenance: str, _: str) -> Iterator[Write]:
    types: dict[str, np.dtype[Any]] = {}
    rows = [0]
    with tempfile.TemporaryDirectory(prefix=".columns-", dir=path.parent) as folder:

        def write(piece: Columns) -> None:
            for number, (name, array) in enumerate(piece.items()):
                types[name] = array.dtype
                with Path(folder, str(number)).open("ab") as column:
                    np.ascontiguousarray(array).tofile(column)
            rows[0] += len(next(iter(piece.values())))

        yield write
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for number, (name, dtype) in enumerate(types.items()):
                member = zipfile.ZipInfo(f"{name}.npy", date_time=ZIP_DATE)
                with archive.open(member, "w", force_zip64=True) as to:
                    _copy(Path(folder, str(number)), to, dtype, (rows[0],))
            with archive.open(zipfile.ZipInfo("provenance.npy", date_time=ZIP_DATE), "w") as to:
                np.lib.format.write_array(to, np.array(provenance), allow_pickle=False)


@contextlib.contextmanager
def _to_npy(path: Path, _: str, __: str) -> Iterator[Write]:
    shape, types = [0, 0], [np.dtype(np.float64)]
    with tempfile.TemporaryDirectory(prefix=".rows-", dir=path.parent) as folder:
        name = Path(folder, "rows")

        def write(piece: Columns) -> None:
            matrix = np.stack(list(piece.values()), axis=1)
            types[0], shape[1] = matrix.dtype, matrix.shape[1]
            shape[0] += matrix.shape[0]
            with name.open("ab") as rows:
                matrix.tofile(rows)

        yield write
        with path.open("wb") as to:
            _copy(name, to, types[0], tuple(shape))


def _copy(name: Path, to: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Write a .npy file whose numbers lie in the file `name`."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(to, header)
    with name.open("rb") as numbers:
        shutil.copyfileobj(numbers, to, 1 << 20)


_WRITERS: dict[str, Any] = {".parquet": _to_parquet, ".root": _to_root, ".npz": _to_npz, ".npy": _to_npy}


# --- end of common ---

DEFAULTS: dict[str, Any] = {
    "layout": None,
    "columns": {},
    "keep": [],
    "names": None,
    "rename": {},
    "sort": "pt",
    "fill": float("nan"),
    "scale": {},
    "dtype": "float32",
    "tree": None,
    "step_size": CHUNK_SIZE,
}
LAYOUTS: dict[str, dict[str, Any]] = {
    # What is known of the arrays in arXiv:2512.07785, from events as phys/opendata/normalise writes them. Its columns
    # SumWeights and XSection are missing here because they are in `weight` already.
    "paper": {
        "columns": {
            **dict.fromkeys(("photon_pt", "photon_eta", "photon_phi"), 2),
            **dict.fromkeys(("lepton_pt", "lepton_eta", "lepton_phi"), 2),
            **dict.fromkeys(("jet_pt", "jet_eta", "jet_phi"), 6),
            "photon_is_tight": 2,
        },
        "keep": ["met", "met_phi", "weight"],
        "names": "<collection><number>_<variable>",
        "rename": {"photon": "ph", "lepton": "lep", "met": "met_pt", "is_tight": "isTightID"},
        "last": ("photon_is_tight",),
    }
}
"""Params by the name of a layout; `last` are columns that stand after those kept."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A column of lists, and what becomes of it.

    Attributes:
        column: its name.
        collection: the kind of object, of which all columns are sorted alike.
        outputs: names of the output columns, of the first object, the second, and so on.
        fill: where an event has fewer objects.
        scale: factor.
    """

    column: str
    collection: str
    outputs: tuple[str, ...]
    fill: float
    scale: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the rule asks for, checked against the input.

    Attributes:
        parts: columns of lists.
        keep: columns with one number per event, and their names and factors in the output.
        order: all output columns.
        sort: by collection, the column whose falling values order the objects.
        dtype: of the columns made from lists, and of all in a .npy file.
    """

    parts: tuple[Part, ...]
    keep: Mapping[str, tuple[str, float]]
    order: tuple[str, ...]
    sort: Mapping[str, str]
    dtype: np.dtype[Any]

    @property
    def reads(self) -> list[str]:
        """All columns of the input that are needed."""
        return list(dict.fromkeys([*(part.column for part in self.parts), *self.sort.values(), *self.keep]))


def plan_of(given: Mapping[str, Any], file: Events) -> Plan:
    """Check all params against the first input.

    Raises:
        WrongInput: for the first that is wrong.
    """
    given = _with_layout(given)
    _check_types(given)
    file.check([*given["columns"], *given["keep"]])
    if not given["columns"] and not given["keep"]:
        raise WrongInput("params: name columns of lists in columns, and columns of one number per event in keep")
    template = str(given["names"] or "<column><number>")
    parts = tuple(_part(column, number, template, given) for column, number in given["columns"].items())
    keep = {
        column: (str(given["rename"].get(column, column)), float(given["scale"].get(column, 1.0)))
        for column in given["keep"]
    }
    order = _order(parts, [name for name, _ in keep.values()], given.get("last", ()))
    twice = sorted({name for name in order if order.count(name) > 1})
    if twice:
        raise WrongInput(f"params: two output columns are called {twice[0]!r}: use names or rename")
    for name in [*given["scale"], *(given["fill"] if isinstance(given["fill"], Mapping) else ())]:
        if name not in [*given["columns"], *given["keep"]]:
            known = [*given["columns"], *given["keep"]]
            raise WrongInput(f"params: scale or fill: {name!r} is not written. {near(name, known)}")
    sort = _sort(given["sort"], parts, file)
    return Plan(parts=parts, keep=keep, order=tuple(order), sort=sort, dtype=np.dtype(given["dtype"]))


def _with_layout(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["layout"] is None:
        return dict(given)
    layout = LAYOUTS[choice("layout", given["layout"], tuple(LAYOUTS))]
    merged = {**given, **layout, "rename": {**layout["rename"], **given["rename"]}}
    merged["columns"] = {**layout["columns"], **given["columns"]}
    merged["keep"] = list(dict.fromkeys([*layout["keep"], *given["keep"]]))
    merged["names"] = given["names"] or layout["names"]
    return merged


def _check_types(given: Mapping[str, Any]) -> None:
    choice("dtype", given["dtype"], ("float32", "float64"))
    for name in ("columns", "rename", "scale"):
        if not isinstance(given[name], Mapping):
            raise WrongInput(f'params: {name} is a mapping such as {{"photon_pt": 2}}, not {given[name]!r}')
    if isinstance(given["keep"], str):
        raise WrongInput(f"params: keep is a list of columns, not {given['keep']!r}")
    for column, number in given["columns"].items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise WrongInput(f"params: columns: {column!r} needs a number of objects, 1 or more, not {number!r}")
    fills = given["fill"].values() if isinstance(given["fill"], Mapping) else [given["fill"]]
    for kind, values in (("fill", fills), ("scale", given["scale"].values())):
        for value in values:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise WrongInput(f"params: {kind}: {value!r} is not a number")


def _part(column: str, number: int, template: str, given: Mapping[str, Any]) -> Part:
    collection, _, variable = column.partition("_")
    rename = given["rename"]
    words = {
        "column": rename.get(column, column),
        "collection": rename.get(collection, collection),
        "variable": rename.get(variable, variable),
    }
    for word in re.findall(r"<(.*?)>", template):
        if word not in (*words, "number"):
            raise WrongInput(f"params: names={template!r}: there is no <{word}>. {near(word, (*words, 'number'))}")
    text = re.sub(r"<(column|collection|variable)>", lambda match: str(words[match[1]]), template)
    outputs = tuple(text.replace("<number>", str(place)) for place in range(1, number + 1))
    fill = given["fill"].get(column, float("nan")) if isinstance(given["fill"], Mapping) else given["fill"]
    scale = float(given["scale"].get(column, 1.0))
    return Part(column=column, collection=collection, outputs=outputs, fill=float(fill), scale=scale)


def _order(parts: Sequence[Part], kept: Sequence[str], last: Sequence[str]) -> list[str]:
    """Return all output columns: object by object (pT, η, φ of the first, then of the second), then those kept."""
    order: list[str] = []
    for held in (False, True):
        chosen = [part for part in parts if (part.column in last) == held]
        for collection in dict.fromkeys(part.collection for part in chosen):
            own = [part for part in chosen if part.collection == collection]
            for place in range(max(len(part.outputs) for part in own)):
                order += [part.outputs[place] for part in own if place < len(part.outputs)]
        if not held:
            order += kept
    return order


def _sort(variable: Any, parts: Sequence[Part], file: Events) -> dict[str, str]:
    if variable is None:
        return {}
    sort = {part.collection: f"{part.collection}_{variable}" for part in parts}
    for collection, column in sort.items():
        if column not in file.columns:
            raise WrongInput(
                f"{file.name}: no column {column!r} to sort {collection} by (params: sort; None keeps the order). "
                f"{near(column, file.columns)}"
            )
    return sort


def padded(values: np.ndarray, lengths: np.ndarray, number: int, fill: float, dtype: Any) -> np.ndarray:
    """Return the first `number` entries of each list, shape (events, number), filled up where a list is shorter."""
    result = np.full((len(lengths), number), fill, dtype=dtype)
    place = np.arange(len(values)) - np.repeat(starts(lengths)[:-1], lengths)
    taken = place < number
    event = np.repeat(np.arange(len(lengths)), lengths)
    result[event[taken], place[taken]] = values[taken]
    return result


def rows_of(plan: Plan, chunk: Chunk, of: str, lost: dict[str, int]) -> dict[str, np.ndarray]:
    """Return the output's columns for a chunk, shape (events,) each.

    Args:
        plan: what to do.
        chunk: some events.
        of: the input, for error messages.
        lost: is told by collection in how many events there are more objects than columns.
    """
    chunk.load(plan.reads)
    rows: dict[str, np.ndarray] = {}
    for collection in dict.fromkeys(part.collection for part in plan.parts):
        parts = [part for part in plan.parts if part.collection == collection]
        sort = [plan.sort[collection]] if collection in plan.sort else []
        lengths, flat = unpacked(chunk, dict.fromkeys([*(part.column for part in parts), *sort]), of=of)
        order = descending(flat[sort[0]], lengths) if sort else None
        for part in parts:
            values = flat[part.column] if order is None else flat[part.column][order]
            if part.scale != 1.0:
                values = values.astype(np.float64) * part.scale
            block = padded(values, lengths, len(part.outputs), part.fill, plan.dtype)
            rows |= dict(zip(part.outputs, np.ascontiguousarray(block.T), strict=True))
        most = max(len(part.outputs) for part in parts)
        lost[collection] = lost.get(collection, 0) + int((lengths > most).sum())
    for column, (name, scale) in plan.keep.items():
        if depth(chunk[column]) != 1:
            raise WrongInput(f"{of}: keep: {column!r} is not one number per event: give it a number in columns")
        values = as_numpy(chunk[column])
        rows[name] = values if scale == 1.0 else values.astype(np.float64) * scale
    return {name: rows[name] for name in plan.order}


def as_one_type(rows: Mapping[str, np.ndarray], dtype: np.dtype[Any]) -> dict[str, np.ndarray]:
    """Return all columns as one type, for a .npy file.

    Raises:
        WrongInput: if whole numbers would change, as event numbers do in float32.
    """
    result = {}
    for name, values in rows.items():
        result[name] = values.astype(dtype)
        whole = values.dtype.kind in "iu" and len(values) > 0
        if whole and max(int(values.max()), -int(values.min())) > 2 ** (np.finfo(dtype).nmant + 1):
            raise WrongInput(f"params: dtype={str(dtype)!r} cannot hold {name!r} exactly: leave it out of keep")
    return result


def outputs_of(snakemake: Any) -> tuple[str, str | None]:
    """Return the paths of the table and of the list of columns, which is the output named `columns`."""
    named = dict(snakemake.output.items())
    listing = named.get("columns")
    tables = [str(path) for path in snakemake.output if str(path) != str(listing)]
    if len(tables) != 1:
        raise WrongInput(f"output: one table is written, and one more output may be called columns; not {len(tables)}")
    if listing is not None and Path(str(listing)).suffix != ".json":
        raise WrongInput(f"{listing}: the list of columns is a .json file")
    flat_format(tables[0])
    if tables[0].endswith(".npy") and listing is None:
        raise WrongInput(f'{tables[0]}: a .npy file does not say what its columns are: add an output columns="….json"')
    return tables[0], listing


def run(snakemake: Any) -> None:
    """Do the job of a rule."""
    given = parameters(snakemake, DEFAULTS)
    table, listing = outputs_of(snakemake)
    check_size(given["step_size"])
    paths = existing(snakemake.input)
    if not paths:
        raise WrongInput("input: no file of events")
    files = [open_events(path, given["tree"], typed=lambda _: ()) for path in paths]
    plan = plan_of(given, files[0])
    for file in files[1:]:
        file.check(plan.reads)
    about = provenance(snakemake, "phys/awkward/flatten", ("awkward", "numpy", "uproot"))
    total = sum(file.entries for file in files)
    progress = Progress("flatten", total)
    lost: dict[str, int] = {}
    with flat_writer(table, about) as write:
        for file in files:
            for chunk in file.chunks(plan.reads, size=given["step_size"], threads=snakemake.threads):
                rows = rows_of(plan, chunk, file.name, lost)
                write(as_one_type(rows, plan.dtype) if table.endswith(".npy") else rows)
                progress.add(chunk.entries)
        if not total:
            write({name: np.empty(0, dtype=plan.dtype) for name in plan.order})
    print(f"{total:,} events in {len(plan.order)} columns: {', '.join(plan.order)}")
    for collection, events in lost.items():
        if events:
            print(f"{collection}: {events:,} events ({events / total:.1%}) have more of them than there are columns")
    if listing:
        write_json(listing, {"columns": list(plan.order), "n_events": total, "provenance": about})


def main(snakemake: Any) -> None:
    """Run with everything printed to the rule's log."""
    with logged(snakemake):
        run(snakemake)


if "snakemake" in globals():
    main(snakemake)
