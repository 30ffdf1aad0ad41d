"""Describe ROOT and Parquet files: trees with their columns, histograms, and where files differ."""

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

import math

PARAMS = {"entries": 100_000, "tree": None, "urls": []}
NUMBERS = re.compile(r"((var|\d+) \* )*(bool|u?int\d+|float\d+)")
"""Types whose values are summarised."""

MOST_DIFFERENCES = 40
"""So many differences between files are listed for people; JSON has all."""

LEAF_LIST = re.compile(r"\w[\w.]*(\[.*\])?/\w(:.*)?")
"""Titles that only tell the type, such as `pt[npt]/F`."""


class Summary:
    """Range, mean and peculiarities of the values of a column, from chunks of it."""

    def __init__(self, kind: str) -> None:
        self.whole = "float" not in kind
        self.lists = " * " in kind
        self.values = self.finite = self.zeros = self.missing = self.events = self.empty = 0
        self.total = 0.0
        self.low: Any = None
        self.high: Any = None
        self.shortest: int | None = None
        self.longest: int | None = None

    def add(self, array: Any) -> None:
        """Take a chunk: one value or one list per event."""
        self.events += len(array)
        if not isinstance(array, np.ndarray):
            import awkward as ak

            if self.lists:
                self._lengths(ak.to_numpy(ak.fill_none(ak.num(array, axis=1), 0)))
            flat = ak.flatten(array, axis=None) if self.lists else array
            kept = ak.drop_none(flat)
            self.missing += len(flat) - len(kept)
            array = ak.to_numpy(kept)
        self._numbers(np.ravel(array))

    def _lengths(self, lengths: np.ndarray) -> None:
        if len(lengths):
            low, high = int(lengths.min()), int(lengths.max())
            self.shortest = low if self.shortest is None else min(low, self.shortest)
            self.longest = high if self.longest is None else max(high, self.longest)
            self.empty += int(np.count_nonzero(lengths == 0))

    def _numbers(self, values: np.ndarray) -> None:
        self.values += len(values)
        finite = values if self.whole else values[np.isfinite(values)]
        self.finite += len(finite)
        if len(finite):
            self.zeros += int(np.count_nonzero(finite == 0))
            self.total += float(np.sum(finite, dtype=np.float64))
            low, high = finite.min().item(), finite.max().item()
            self.low = low if self.low is None else min(low, self.low)
            self.high = high if self.high is None else max(high, self.high)

    def json(self) -> dict[str, Any]:
        """Return the summary as JSON."""
        result: dict[str, Any] = {
            "values": self.values,
            "min": self.low,
            "mean": self.total / self.finite if self.finite else None,
            "max": self.high,
            "zeros": self.zeros,
            "not_finite": self.values - self.finite,
            "missing": self.missing,
        }
        if self.lists:
            mean = self.values / self.events if self.events else None
            shape = {"min": self.shortest, "mean": mean, "max": self.longest, "empty": self.empty}
            result["per_event"] = shape
        return result


def main(snakemake: Any) -> None:
    """Run the job."""
    with logged(snakemake):
        params = parameters(snakemake, PARAMS)
        if not isinstance(params["entries"], int) or isinstance(params["entries"], bool) or params["entries"] < 0:
            raise WrongInput(
                f"params: entries={params['entries']!r} is not a number of events; 0 reads only the schema"
            )
        for path in map(str, snakemake.output):
            if not path.endswith((".json", ".md")):
                raise WrongInput(f"output: {path}: the description goes to .json or .md")
        urls = [params["urls"]] if isinstance(params["urls"], str) else list(params["urls"])
        paths = existing([*snakemake.input, *urls])
        if not paths:
            raise WrongInput("input: no files, and no params: urls")
        files = [described(path, params, snakemake.threads) for path in paths]
        result = {
            "files": files,
            "differences": differences(files),
            "provenance": provenance(snakemake, "phys/uproot/inspect", ["awkward", "numpy", "uproot"]),
        }
        for path in map(str, snakemake.output):
            if path.endswith(".json"):
                write_json(path, result)
            else:
                with replacing(path) as partial:
                    partial.write_text(markdown(result), encoding="utf-8")


def described(path: str, params: dict[str, Any], threads: int) -> dict[str, Any]:
    """Return the description of a file."""
    print(f"{path}", flush=True)
    size = Path(path).stat().st_size if "://" not in path else None
    result: dict[str, Any] = {"file": path, "bytes": size, "trees": [], "histograms": [], "others": []}
    if not _is_root(path):
        result["trees"].append(described_events(open_events(path), {}, params["entries"], threads))
        return result
    check_remote(path)
    try:
        file = open_uproot(path)
    except Exception as error:
        raise WrongInput(f"{path}: cannot be read: {type(error).__name__}: {error}") from error
    with file:
        trees = tree_names(file)
        wanted = trees if params["tree"] is None else [str(params["tree"])]
        if wanted != trees and wanted[0] not in trees:
            raise WrongInput(f"{path}: no tree {wanted[0]!r}. {near(wanted[0], trees)}")
        for name in wanted:
            facts = branch_facts(file[name])
            result["trees"].append(described_events(open_events(path, name), facts, params["entries"], threads))
        for name, kind in file.classnames(cycle=False).items():
            if kind.startswith(("TH1", "TH2", "TH3", "TProfile")):
                result["histograms"].append(described_histogram(name, kind, file[name]))
            elif name not in trees:
                result["others"].append({"name": name, "class": kind})
    return result


def branch_facts(tree: Any) -> dict[str, dict[str, Any]]:
    """Return titles and sizes of the branches of a TTree by column; nothing for an RNTuple."""
    facts = {}
    for name, leaf in _leaves(tree).items():
        if not isinstance(leaf, str):
            title = "" if leaf.title == leaf.name or LEAF_LIST.fullmatch(leaf.title) else leaf.title
            sizes = {"bytes": int(leaf.uncompressed_bytes), "compressed_bytes": int(leaf.compressed_bytes)}
            facts[name] = {"title": title, **sizes}
    return facts


def described_events(
    events: Events, facts: Mapping[str, Mapping[str, Any]], entries: int, threads: int
) -> dict[str, Any]:
    """Return the description of a tree or a Parquet file, with a summary of the first `entries` events."""
    wanted = [name for name, kind in events.types.items() if NUMBERS.fullmatch(kind)]
    summaries = {name: Summary(events.types[name]) for name in wanted}
    stop = min(entries, events.entries)
    if stop and wanted:
        progress = Progress(f"{events.name}", stop)
        for chunk in events.chunks(wanted, threads=threads, stop=stop):
            chunk.load(wanted)
            for name, summary in summaries.items():
                summary.add(chunk[name])
            progress.add(chunk.entries)
    columns = [
        {"name": name, "type": events.types[name], **facts.get(name, {})}
        | (summaries[name].json() if name in summaries and stop else {})
        for name in events.columns
    ]
    return {
        "name": events.tree,
        "kind": events.kind,
        "entries": events.entries,
        "summarised": stop,
        "columns": columns,
    }


def described_histogram(name: str, kind: str, histogram: Any) -> dict[str, Any]:
    """Return the description of a histogram; its sum leaves out underflow and overflow, and says how much they are."""
    axes = [described_axis(axis) for axis in histogram.axes]
    result = {"name": name, "kind": kind, "title": histogram.title, "axes": axes}
    result["entries"] = float(histogram.member("fEntries"))
    if kind.startswith("TProfile"):
        return result
    inside = np.asarray(histogram.values(flow=False), dtype=np.float64)
    everything = np.asarray(histogram.values(flow=True), dtype=np.float64)
    variances = histogram.variances(flow=False)
    result["sum"] = number(inside.sum())
    result["error"] = number(math.sqrt(np.sum(inside if variances is None else variances)))
    result["weighted"] = bool(histogram.weighted)
    result["outside"] = number(everything.sum() - inside.sum())
    result["negative_bins"] = int(np.count_nonzero(inside < 0))
    if inside.ndim == 1:
        result["underflow"], result["overflow"] = number(everything[0]), number(everything[-1])
    return result


def described_axis(axis: Any) -> dict[str, Any]:
    """Return bins, range, label and kind of an axis of a histogram."""
    edges = np.asarray(axis.edges(), dtype=np.float64)
    widths = np.diff(edges)
    regular = bool(np.allclose(widths, widths[0]))
    title = str(axis.all_members.get("fTitle", ""))
    return {"bins": len(widths), "low": float(edges[0]), "high": float(edges[-1]), "regular": regular, "title": title}


def number(value: Any) -> float | None:
    """Return a number as JSON can hold it: None if it is not finite."""
    return float(value) if math.isfinite(value) else None


def differences(files: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say in what the trees and histograms of later files differ from those of the first one."""
    result: list[str] = []
    for file in files[1:]:
        first, other = contents(files[0]), contents(file)
        for name, kind in first.items():
            if name not in other:
                result.append(f"{file['file']}: no {name}")
            elif not isinstance(kind, dict):
                if other[name] != kind:
                    result.append(f"{file['file']}: {name} is {other[name]}, in {files[0]['file']} {kind}")
            else:
                result += column_differences(file["file"], files[0]["file"], name, other[name], kind)
        result += [f"{file['file']}: has {name}, {files[0]['file']} has not" for name in other if name not in first]
    return result


def column_differences(
    file: str, first: str, tree: str, other: Mapping[str, str], kinds: Mapping[str, str]
) -> list[str]:
    """Say in what the columns of a tree differ from those of the same tree in the first file."""
    result = [f"{file}: {tree}: no column {name}" for name in kinds if name not in other]
    result += [f"{file}: {tree}: has column {name}, {first} has not" for name in other if name not in kinds]
    result += [
        f"{file}: {tree}: column {name} is {other[name]}, in {first} {kind}"
        for name, kind in kinds.items()
        if other.get(name, kind) != kind
    ]
    return result


def contents(file: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file holds: types of the columns by tree, and kinds of histograms."""
    found: dict[str, Any] = {}
    for tree in file["trees"]:
        name = f"tree {tree['name']}" if tree["name"] else "columns as in Parquet"
        found[name] = {column["name"]: column["type"] for column in tree["columns"]}
    for histogram in file["histograms"]:
        axes = " × ".join(f"{axis['bins']} bins {axis['low']:g}–{axis['high']:g}" for axis in histogram["axes"])
        found[f"histogram {histogram['name']}"] = f"{histogram['kind']}, {axes}"
    return found


def markdown(result: Mapping[str, Any]) -> str:
    """Return the description for people."""
    files, differing = result["files"], result["differences"]
    lines = ["# What the files hold", ""]
    if len(files) > 1:
        lines += [*overview(files), "", "## Differences between the files", ""]
        lines += [f"- {escaped(one)}" for one in differing[:MOST_DIFFERENCES]]
        if len(differing) > MOST_DIFFERENCES:
            lines.append(f"- and {len(differing) - MOST_DIFFERENCES} more")
        if not differing:
            lines.append("None: all hold the same trees, columns, types and histograms.")
        lines.append("")
    for file in files:
        size = f" · {human(file['bytes'])}" if file["bytes"] is not None else ""
        lines += [f"## {code(file['file'])}{size}", ""]
        for tree in file["trees"]:
            lines += tree_lines(tree)
        if file["histograms"]:
            lines += ["### Histograms", "", *histogram_lines(file["histograms"]), ""]
        if file["others"]:
            listed = ", ".join(f"{code(one['name'])} ({one['class']})" for one in file["others"])
            lines += [f"Also in the file: {listed}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def overview(files: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of what is in all files."""
    lines = ["| file | holds | kind | events | columns |", "|:--|:--|:--|--:|--:|"]
    for file in files:
        name = code(file["file"])
        for tree in file["trees"]:
            holds = f"tree {code(tree['name'])}" if tree["name"] else "columns"
            lines.append(f"| {name} | {holds} | {tree['kind']} | {tree['entries']:,} | {len(tree['columns'])} |")
        if file["histograms"] or not file["trees"]:
            lines.append(f"| {name} | {len(file['histograms'])} histograms | | | |")
    return lines


def tree_lines(tree: Mapping[str, Any]) -> list[str]:
    """Return a heading and a table of the columns of a tree."""
    name = f"Tree {code(tree['name'])}" if tree["name"] else "Columns"
    lines = [f"### {name} · {tree['kind']} · {tree['entries']:,} events · {len(tree['columns'])} columns", ""]
    some = tree["summarised"]
    if not some:
        rows = [[code(one["name"]), code(one["type"]), escaped(one.get("title", ""))] for one in tree["columns"]]
        return [*lines, "| column | type | title |", "|:--|:--|:--|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    first = "all" if some == tree["entries"] else f"the first {some:,}"
    lines += [f"Summary of {first} events. “Per event” is the shortest, mean and longest list.", ""]
    lines += ["| column | type | per event | min | mean | max | zeros | to note |", "|:--|:--|:--|--:|--:|--:|--:|:--|"]
    return [*lines, *(f"| {' | '.join(column_cells(one))} |" for one in tree["columns"]), ""]


def column_cells(column: Mapping[str, Any]) -> list[str]:
    """Return the cells of a column's row."""
    name, kind, title = code(column["name"]), code(column["type"]), escaped(column.get("title", ""))
    if "values" not in column:
        return [name, kind, "", "", "", "", "", title]
    shape = column.get("per_event")
    lists = f"{shape['min']} / {shape['mean']:.3g} / {shape['max']}" if shape and shape["mean"] is not None else ""
    zeros = f"{100 * column['zeros'] / column['values']:.3g} %" if column["zeros"] else ""
    notes = [title] if title else []
    if column["not_finite"]:
        notes.append(f"**{column['not_finite']:,} not finite**")
    if column["missing"]:
        notes.append(f"**{column['missing']:,} missing**")
    if shape and shape["empty"]:
        notes.append(f"{shape['empty']:,} events with none")
    if column["min"] is not None and column["min"] == column["max"] and column["values"] > 1:
        notes.append("always the same")
    numbers = [shown(column[key]) for key in ("min", "mean", "max")]
    return [name, kind, lists, *numbers, zeros, "; ".join(notes)]


def histogram_lines(histograms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of histograms."""
    lines = [
        "| histogram | kind | axes | entries | sum | error | outside | title |",
        "|:--|:--|:--|--:|--:|--:|--:|:--|",
    ]
    for one in histograms:
        axes = " × ".join(
            f"{axis['bins']} bins {axis['low']:g}–{axis['high']:g}" + (f" {axis['title']}" if axis["title"] else "")
            for axis in one["axes"]
        )
        numbers = [shown(one.get(key)) for key in ("entries", "sum", "error", "outside")]
        cells = [code(one["name"]), one["kind"], escaped(axes), *numbers, escaped(one["title"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def shown(value: Any) -> str:
    """Return a number for people: whole ones whole, others with five digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e9):
        return f"{int(value)}"
    return f"{value:.5g}"


def human(size: int) -> str:
    """Return a size with a unit."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is in a cell of a table."""
    return re.sub(r"([|*`<])", r"\\\1", " ".join(str(text).split()))


def code(text: str) -> str:
    """Return a name as Markdown shows code in a cell of a table."""
    return f"`{' '.join(str(text).split())}`".replace("|", "\\|")


if "snakemake" in globals():
    main(snakemake)
