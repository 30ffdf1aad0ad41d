"""Bring events of ATLAS Open Data, GamGam collections of 2020 and 2025, into one schema: names, GeV, trigger, weights.

The layouts: the 2020 release (record 15006) has the tree `mini` in MeV, the 2025 beta release (records 93915 and 93922)
the tree `analysis` in GeV. Both lists of branches are those of the releases' documentation.
"""

import math
import uuid
from dataclasses import replace

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
# --- common: samples (kept by wrappers/embed.py; edit wrappers/common/samples.py) ---
# Samples of ATLAS Open Data: their luminosities, cross sections, processes, and the weight of a simulated event.

import re
from collections.abc import Iterable
from typing import Any


LUMINOSITY = {"2020": 10064.0, "2025": 36100.0}
"""Of all data of a release [1/pb], as the official analyses of 2020 and notebooks of 2025 have it (others: 36000)."""

PUBLISHED_2020 = {
    343981: (0.102, 55922617.6297),
    345041: (0.008518764, 3441426.13711),
    345318: (0.0019654512, 213799.958463),
    345319: (0.0017347836, 358401.082034),
    341081: (0.0000026433864, 485440.0),
}
"""Cross section times branching ratio [pb] and sum of weights by DSID, as published with the 2020 release."""

HIGGS_TO_DIPHOTON = 0.00227
"""The branching ratio that the cross sections of both releases contain."""

PROCESSES: dict[str, dict[str, list[list[int]]]] = {
    "2020": {
        "ggH": [[343981]],
        "VBF": [[345041]],
        "WH": [[345318]],
        "ZH": [[345319]],
        "ttH": [[341081]],
    },
    "2025": {
        "ggH": [[343981], [346797]],
        "VBF": [[346214], [506811]],
        "WH": [[345317, 345318], [500554]],
        "ZH": [[345319], [500553, 506813]],
        "ggZH": [[345061], [500555, 506814]],
        "ttH": [[346525], [346526], [346601]],
        "tWH": [[346486]],
        "tHjb": [[346602]],
        "diphoton": [list(range(302520, 302535))],
        "photon+jet": [list(range(423099, 423113))],
        "triphoton": [[700007]],
    },
}
"""DSIDs by release and process. The lists of a process are alternatives (other generators): one of them may be used."""


def luminosity(value: Any) -> float:
    """Return a luminosity in 1/pb from a number (1/pb) or text with a unit: "10.064 /fb", "36.1 fb-1", "10064 1/pb".

    Raises:
        WrongInput: if it is neither, or not above zero.
    """
    text = str(value).strip()
    parts = re.fullmatch(r"([0-9.eE+-]+?)\s*(?:(?:1?\s*/\s*)([pf])b|([pf])b\s*(?:\^?-1|⁻¹))?", text)
    try:
        number = float(parts[1]) if parts and not isinstance(value, bool) else 0.0
    except ValueError:
        number = 0.0
    if not parts or not 0 < number < float("inf"):
        raise WrongInput(f'params: luminosity={value!r} is neither a number in 1/pb nor text such as "10.064 /fb"')
    return number * (1000.0 if "f" in (parts[2], parts[3]) else 1.0)


def luminosity_weight(cross_section: float, sum_of_weights: float, luminosity_per_pb: float) -> float:
    """Return what an event of generator weight 1 stands for: L sigma / sum of the weights of all *generated* events.

    Dividing by the sum over selected events instead would take the acceptance for 1.

    Args:
        cross_section: of the sample, with branching ratio, filter efficiency and k-factor [pb].
        sum_of_weights: signed weights of all generated events, before any selection.
        luminosity_per_pb: integrated luminosity [1/pb].
    """
    return luminosity_per_pb * cross_section / sum_of_weights


def corrected_cross_section(release: str, dsid: int, cross_section: float) -> tuple[float, str]:
    """Return a cross section [pb] without the known error of the 2020 release, and a sentence if it was corrected.

    The published one of ttH (DSID 341081) contains the branching ratio twice, 2.643e-6 pb = 0.513 pb x 0.00227^2:
    yields would be 440 times too low.
    """
    wrong = PUBLISHED_2020[341081][0]
    if release != "2020" or dsid != 341081 or abs(cross_section / wrong - 1) > 1e-3:
        return cross_section, ""
    right = cross_section / HIGGS_TO_DIPHOTON
    return right, (
        f"ttH (DSID 341081): the published cross section, {cross_section:.4g} pb, contains the branching ratio "
        f"{HIGGS_TO_DIPHOTON} twice; {right:.4g} pb is used"
    )


def process_of(release: str, dsid: int) -> str | None:
    """Return the process of an official sample, such as ggH; None for others."""
    for process, alternatives in PROCESSES.get(release, {}).items():
        if any(dsid in alternative for alternative in alternatives):
            return process
    return None


def overlapping(release: str, dsids: Iterable[int]) -> list[str]:
    """Return a sentence for each process that several generators among the DSIDs have: added up, it counts twice."""
    present = set(dsids)
    problems = []
    for process, alternatives in PROCESSES.get(release, {}).items():
        given = [sorted(present & set(alternative)) for alternative in alternatives if present & set(alternative)]
        if len(given) > 1:
            names = " and ".join("+".join(map(str, one)) for one in given)
            problems.append(f"{process}: DSIDs {names} are the same process from different generators")
    return problems


def remarks(release: str, dsids: Iterable[int]) -> list[str]:
    """Return what is to be known about some samples, and cannot be corrected."""
    if release == "2020" and 345318 in set(dsids):
        return ["WH (DSID 345318): the 2020 release has W+H only; W-H is missing, which is about 40 % of WH"]
    return []


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

WRAPPER = "phys/opendata/normalise"
TREES = {"2020": "mini", "2025": "analysis"}
MARKS = {"2020": ("photon_E", "photon_ptcone30"), "2025": ("photon_e", "photon_ptcone20")}
"""Branches that only one release has."""
SURVEYED_EVENTS = 200_000
"""How many events are looked through at once for their samples: a few numbers of each."""
FIRST_OWN_DSID = 900_000
"""Samples with such numbers are none of ATLAS: no luminosity can be assumed for them."""
CRACK = (1.37, 1.52)
"""|eta| between barrel and end-caps of the calorimeter, where photons are vetoed."""
OFFICIAL_DATA = re.compile(r"(^|_)data(_[A-D]\.|1[56]_period)")
OFFICIAL_SIMULATION = re.compile(r"(^|_)mc_\d{6}\.")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the common schema.

    Attributes:
        name: of the column.
        branches: what it is made of, by release.
        kind: NumPy type of its numbers.
        unit: `GeV` for what is in MeV in the 2020 release, else empty.
        optional: whether it may be missing without being an error.
    """

    name: str
    branches: Mapping[str, str]
    kind: str = "float32"
    unit: str = ""
    optional: bool = False


def column(name: str, old: str, new: str | None = None, **options: Any) -> Column:
    """Describe a column by its branch in 2020 and in 2025; an empty name says that the release has none."""
    branches = {"2020": old, "2025": old if new is None else new}
    return Column(name=name, branches={release: branch for release, branch in branches.items() if branch}, **options)


IDENTITY = (
    column("run_number", "runNumber", kind="uint32"),
    column("event_number", "eventNumber", kind="uint64"),
    column("channel_number", "channelNumber", kind="uint32", optional=True),
)
TRIGGER = column("trigger_photon", "trigP", kind="bool", optional=True)
OBJECTS = {
    "photon": (
        column("photon_pt", "photon_pt", unit="GeV"),
        column("photon_eta", "photon_eta"),
        column("photon_phi", "photon_phi"),
        column("photon_e", "photon_E", "photon_e", unit="GeV"),
        column("photon_is_tight", "photon_isTightID", kind="bool"),
        column("photon_track_isolation", "photon_ptcone30", "photon_ptcone20", unit="GeV"),
        column("photon_calo_isolation", "photon_etcone20", "photon_topoetcone40", unit="GeV"),
        column("photon_converted", "photon_convType", "", kind="bool", optional=True),
        column("photon_in_crack", "photon_eta", kind="bool"),
    ),
    "jet": (
        column("jet_pt", "jet_pt", unit="GeV"),
        column("jet_eta", "jet_eta"),
        column("jet_phi", "jet_phi"),
        column("jet_e", "jet_E", "jet_e", unit="GeV"),
        column("jet_pass_jvt", "jet_jvt", kind="bool", optional=True),
    ),
    "lepton": (
        column("lepton_pt", "lep_pt", unit="GeV"),
        column("lepton_eta", "lep_eta"),
        column("lepton_phi", "lep_phi"),
        column("lepton_e", "lep_E", "lep_e", unit="GeV"),
        column("lepton_charge", "lep_charge", kind="int32", optional=True),
        column("lepton_type", "lep_type", kind="int32", optional=True),
    ),
    "met": (
        column("met", "met_et", "met", unit="GeV"),
        column("met_phi", "met_phi"),
    ),
}
PER_EVENT = ("met",)

SCALE_FACTORS = {
    "2020": ("scaleFactor_PHOTON", "scaleFactor_PhotonTRIGGER", "scaleFactor_PILEUP"),
    "2025": ("ScaleFactor_PHOTON", "ScaleFactor_PILEUP"),
}
"""Factors of the official weights beside mcWeight. 2025 has none for the trigger, its PHOTON is for loose photons."""
CROSS_SECTION = {"2020": ("XSection",), "2025": ("xsec", "filteff", "kfac")}
"""Their product is the cross section [pb] with branching ratio, filter efficiency and k-factor."""
SUM_OF_WEIGHTS = {"2020": "SumWeights", "2025": "sum_of_weights"}

DEFAULTS: dict[str, Any] = {
    "luminosity": None,
    "kind": None,
    "release": None,
    "tree": None,
    "objects": None,
    "scale_factors": None,
    "cross_section": None,
    "sum_of_weights": None,
    "correct_cross_sections": True,
    "alternatives": "error",
    "step_size": CHUNK_SIZE,
}


@dataclass(kw_only=True)
class Sample:
    """One simulated sample, and what was found of it in the files."""

    dsid: int
    process: str | None
    published: float
    cross_section: float
    sum_of_weights: float
    n_events: int = 0
    generated: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    negative: int = 0

    def add(self, generator: np.ndarray, weight: np.ndarray) -> None:
        """Count events by their generator weights and their weights to the luminosity, shape (n,) each."""
        self.n_events += len(weight)
        self.generated += float(generator.sum(dtype=np.float64))
        self.total += float(weight.sum())
        self.squares += float(np.square(weight).sum())
        self.negative += int((weight < 0).sum())

    def summary(self, luminosity_per_pb: float) -> dict[str, Any]:
        """Describe the sample for the JSON."""
        return {
            "channel_number": self.dsid,
            "process": self.process,
            "cross_section_pb": self.cross_section,
            "published_cross_section_pb": self.published,
            "sum_of_weights": self.sum_of_weights,
            "produced": luminosity_per_pb * self.cross_section,
            "fraction_in_files": self.generated / self.sum_of_weights,
            "n_events": self.n_events,
            "yield": self.total,
            "yield_error": math.sqrt(self.squares),
            "negative_weight_fraction": self.negative / max(self.n_events, 1),
        }


@dataclass(kw_only=True)
class Job:
    """What is known before the work: the files, how to read and weight them, and what was noticed."""

    files: list[Events]
    release: str
    kind: str | None
    columns: list[Column]
    settings: dict[str, Any]
    samples: dict[int, Sample] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, text: str, *, warning: bool = False) -> None:
        """Say something once in the log, and keep it for the summary."""
        known = self.warnings if warning else self.notes
        if text not in known:
            known.append(text)
            print(f"{'Warning' if warning else 'Note'}: {text}", flush=True)

    @property
    def weighted(self) -> bool:
        """Whether weights are computed."""
        return self.kind == "simulation"

    @property
    def factors(self) -> list[str]:
        """Branches whose product is the weight of an event, before the normalisation of its sample."""
        return ["mcWeight", *self.settings["scale_factors"]] if self.weighted else []

    @property
    def constants(self) -> list[str]:
        """Branches that have one value for all events of a sample."""
        if not self.weighted:
            return []
        names = [] if self.settings["cross_section"] else list(CROSS_SECTION[self.release])
        return names + ([] if self.settings["sum_of_weights"] else [SUM_OF_WEIGHTS[self.release]])

    @property
    def branches(self) -> list[str]:
        """The branches that columns and weights are made of."""
        return list(dict.fromkeys([*(one.branches[self.release] for one in self.columns), *self.factors]))


def opened(paths: list[str], settings: Mapping[str, Any]) -> tuple[list[Events], str]:
    """Open the files, and find out which release they are of."""
    if len({str(Path(path).resolve()) if "://" not in path else path for path in paths}) < len(paths):
        raise WrongInput("input: the same file is named twice, its events would count twice")
    files = [open_events(path, chosen_tree(path, settings), typed=lambda _: []) for path in paths]
    if settings["release"] is not None:
        return files, str(settings["release"])
    found: dict[str, str] = {}
    for file in files:
        fitting = [release for release, marks in MARKS.items() if set(marks) <= set(file.columns)]
        if len(fitting) != 1:
            marks = "; ".join(f"{release}: {', '.join(names)}" for release, names in MARKS.items())
            raise WrongInput(
                f"{file.name}: has the branches of {' and '.join(fitting) or 'neither'} release ({marks}). "
                f"params: release=... settles it. {near(MARKS['2025'][1], file.columns)}"
            )
        found[fitting[0]] = file.path
    if len(found) > 1:
        raise WrongInput(f"input: files of several releases ({found}): normalise each by a rule of its own")
    return files, next(iter(found))


def chosen_tree(path: str, settings: Mapping[str, Any]) -> str | None:
    """Return the tree to read: the one asked for, that of a release if there are several, else the only one."""
    if settings["tree"] is not None or not path.endswith(".root"):
        return None if settings["tree"] is None else str(settings["tree"])
    try:
        with open_uproot(path) as file:
            names = tree_names(file)
    except Exception:
        return None
    known = [name for name in TREES.values() if name in names]
    return known[0] if len(names) > 1 and len(known) == 1 else None


def chosen_columns(file: Events, release: str, objects: list[str] | None) -> tuple[list[Column], list[str]]:
    """Return the columns that a file can fill, and the names of the objects that are left out.

    Raises:
        WrongInput: for a branch that is missing and needed.
    """
    columns = [one for one in (*IDENTITY, TRIGGER) if has(file, one, release)]
    absent = []
    for name in objects if objects is not None else OBJECTS:
        mine = [one for one in OBJECTS[name] if release in one.branches]
        if objects is None and name != "photon" and mine[0].branches[release] not in file.columns:
            absent.append(name)
            continue
        columns += [one for one in mine if has(file, one, release)]
    return columns, absent


def has(file: Events, one: Column, release: str) -> bool:
    """Tell whether a column can be filled; a missing one that is not optional is an error."""
    branch = one.branches[release]
    required = not one.optional or (one is TRIGGER and release == "2020")
    if required and branch not in file.columns:
        raise WrongInput(f"{file.name}: no branch {branch!r} (release {release}). {near(branch, file.columns)}")
    return branch in file.columns


def first_event(file: Events, names: Sequence[str]) -> dict[str, float]:
    """Read numbers of the first event, of those branches that are there."""
    present = [name for name in names if name in file.columns]
    for chunk in file.chunks(present, size=1) if file.entries and present else ():
        return {name: float(chunk[name][0]) for name in present}
    return {}


def kind_of(file: Events, release: str) -> str | None:
    """Tell data from simulation; None for a file without events whose name tells nothing.

    The names of the official files decide. Otherwise simulation has a sum of weights, which in (pseudo-)data is zero or
    missing.
    """
    name = file.path.rsplit("/", 1)[-1]
    if OFFICIAL_DATA.search(name) or OFFICIAL_SIMULATION.search(name):
        return "data" if OFFICIAL_DATA.search(name) else "simulation"
    if not file.entries:
        return None
    total = SUM_OF_WEIGHTS[release]
    values = first_event(file, [total, CROSS_SECTION[release][0]])
    if values.get(total, 0.0) == 0.0:
        return "data"
    if math.isfinite(values[total]) and values.get(CROSS_SECTION[release][0], 0.0) > 0:
        return "simulation"
    raise WrongInput(f"{file.name}: is this data or simulation? {values} fits neither. params: kind=... settles it")


def prepared(snakemake: Any) -> Job:
    """Look at params and files, and decide how they are read.

    Raises:
        WrongInput: if something is missing or does not fit together.
    """
    settings = checked(snakemake)
    files, release = opened(existing(snakemake.input), settings)
    columns, absent = chosen_columns(files[0], release, settings["objects"])
    for file in files[1:]:
        for one in columns:
            has(file, replace(one, optional=False), release)
    kinds = {file.path: settings["kind"] or kind_of(file, release) for file in files}
    if {"data", "simulation"} <= set(kinds.values()):
        raise WrongInput(f"input: data and simulation together ({kinds}): normalise each by a rule of its own")
    kind = next((one for one in kinds.values() if one), None)
    if settings["scale_factors"] is None:
        settings["scale_factors"] = list(SCALE_FACTORS[release])
    job = Job(files=files, release=release, kind=kind, columns=columns, settings=settings)
    entries = sum(file.entries for file in files)
    print(f"Release {release}, {kind or 'no events'}: {entries:,} events in {len(files)} file(s)")
    if absent:
        job.note(f"no branches of: {', '.join(absent)}. Their columns are left out")
    for file in files:
        for branch in (*job.factors, *job.constants):
            if branch not in file.columns:
                raise WrongInput(f"{file.name}: no branch {branch!r}, of the weight. {near(branch, file.columns)}")
    if job.weighted:
        prepare_weights(job)
    elif settings["luminosity"] is not None:
        settings["luminosity"] = luminosity(settings["luminosity"])
    return job


def prepare_weights(job: Job) -> None:
    """Take up all samples in the files, look whether they may stand beside each other, and settle the luminosity."""
    for file in job.files:
        names = [name for name in ("channelNumber", *job.constants) if name in file.columns]
        for chunk in file.chunks(names, size=SURVEYED_EVENTS) if names else ():
            chunk.load(names)
            numbers = channel_numbers(chunk, chunk.entries)
            for dsid in np.unique(numbers):
                survey(job, file, int(dsid), chunk, numbers == dsid)
    if len(job.samples) > 1 and (job.settings["cross_section"] or job.settings["sum_of_weights"]):
        raise WrongInput("params: cross_section and sum_of_weights are of one sample; the input has several")
    check_alternatives(job, job.samples)
    for remark in remarks(job.release, job.samples):
        job.note(remark)
    if job.settings["luminosity"] is not None:
        job.settings["luminosity"] = luminosity(job.settings["luminosity"])
        return
    own = [dsid for dsid in job.samples if not 0 < dsid < FIRST_OWN_DSID]
    if own:
        raise WrongInput(f'params: luminosity="... /fb" is needed: sample {own[0]} is none of ATLAS Open Data')
    job.settings["luminosity"] = LUMINOSITY[job.release]
    job.note(
        f"luminosity {LUMINOSITY[job.release]:g} /pb, that of all data of the release {job.release}; "
        "params: luminosity=... sets another"
    )


def check_alternatives(job: Job, dsids: Iterable[int]) -> None:
    """Raise `WrongInput`, or warn if asked to, when a process would count twice."""
    for problem in overlapping(job.release, dsids):
        if job.settings["alternatives"] == "error":
            raise WrongInput(
                f'input: {problem}. Added up they count twice: take one, or set params: alternatives="warn"'
            )
        job.note(problem, warning=True)


def checked(snakemake: Any) -> dict[str, Any]:
    """Return the params after looking at each."""
    settings = parameters(snakemake, DEFAULTS)
    if settings["kind"] is not None:
        choice("kind", settings["kind"], ["data", "simulation"])
    if settings["release"] is not None:
        settings["release"] = choice("release", str(settings["release"]), list(TREES))
    choice("alternatives", settings["alternatives"], ["error", "warn"])
    if settings["objects"] is not None:
        given = [settings["objects"]] if isinstance(settings["objects"], str) else list(settings["objects"])
        settings["objects"] = [choice("objects", name, list(OBJECTS)) for name in given]
    if settings["scale_factors"] is not None:
        given = settings["scale_factors"]
        settings["scale_factors"] = [given] if isinstance(given, str) else [str(one) for one in given]
    for name in ("cross_section", "sum_of_weights"):
        value = settings[name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
            raise WrongInput(f"params: {name}={value!r} is not a number above zero")
    if not isinstance(settings["correct_cross_sections"], bool):
        value = settings["correct_cross_sections"]
        raise WrongInput(f"params: correct_cross_sections={value!r} is neither True nor False")
    if settings["luminosity"] is not None:
        luminosity(settings["luminosity"])
    settings["step_size"] = check_size(settings["step_size"])
    if not len(snakemake.input):
        raise WrongInput("input: name one or more files")
    return settings


def weights(job: Job, file: Events, chunk: Mapping[str, Any], entries: int) -> np.ndarray:
    """Return the weights of some events, shape (entries,): 1 for data, to the luminosity for simulation.

    Raises:
        WrongInput: if a weight is no number.
    """
    if not job.weighted:
        return np.ones(entries)
    generator = np.asarray(chunk["mcWeight"], dtype=np.float64)
    weight = generator.copy()
    for name in job.settings["scale_factors"]:
        weight *= np.asarray(chunk[name], dtype=np.float64)
    if not np.isfinite(weight).all():
        bad = int((~np.isfinite(weight)).sum())
        raise WrongInput(f"{file.name}: the weights of {bad:,} events are no numbers (NaN or infinite)")
    numbers = channel_numbers(chunk, entries)
    for dsid in np.unique(numbers):
        mine, sample = numbers == dsid, job.samples[int(dsid)]
        weight[mine] *= luminosity_weight(sample.cross_section, sample.sum_of_weights, job.settings["luminosity"])
        sample.add(generator[mine], weight[mine])
    return weight


def channel_numbers(chunk: Mapping[str, Any], entries: int) -> np.ndarray:
    """Return the number of the sample of each event, 0 where there is none."""
    return np.asarray(chunk["channelNumber"]) if "channelNumber" in chunk else np.zeros(entries, dtype=np.uint32)


def normalisation(job: Job, chunk: Mapping[str, Any], events: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return cross section [pb] and sum of weights of some events, as the file or the params say, shape (n,) each."""
    settings = job.settings
    cross_section = np.ones(1) * (settings["cross_section"] or 1.0)
    for name in () if settings["cross_section"] else CROSS_SECTION[job.release]:
        cross_section = cross_section * np.asarray(chunk[name], dtype=np.float64)[events]
    total = settings["sum_of_weights"]
    sums = np.ones(1) * total if total else np.asarray(chunk[SUM_OF_WEIGHTS[job.release]], dtype=np.float64)[events]
    return cross_section, sums


def survey(job: Job, file: Events, dsid: int, chunk: Mapping[str, Any], events: np.ndarray) -> None:
    """Take up a sample, and see that all its events have one cross section and one sum of weights."""
    cross_section, sums = normalisation(job, chunk, events)
    if dsid not in job.samples:
        job.samples[dsid] = new_sample(job, file, dsid, float(cross_section[0]), float(sums[0]))
    sample = job.samples[dsid]
    for what, values, first in (
        ("cross section", cross_section, sample.published),
        ("sum of weights", sums, sample.sum_of_weights),
    ):
        differing = ~np.isclose(values, first, rtol=1e-5, atol=0)
        if differing.any():
            raise WrongInput(
                f"{file.name}: the events of sample {dsid} differ in their {what} "
                f"({first:g} and {values[differing][0]:g}): these are several samples under one number"
            )


def new_sample(job: Job, file: Events, dsid: int, published: float, total: float) -> Sample:
    """Take up a sample with its cross section [pb], corrected where it is known to be wrong, and sum of weights."""
    if not (math.isfinite(total) and total > 0):
        raise WrongInput(
            f'{file.name}: sample {dsid} has the sum of weights {total:g}. Is it data? params: kind="data", '
            "or sum_of_weights=... (of all generated events)"
        )
    if not (math.isfinite(published) and published > 0):
        raise WrongInput(
            f"{file.name}: sample {dsid} has the cross section {published:g} pb. params: cross_section=..."
        )
    used, correction = published, ""
    if job.settings["correct_cross_sections"] and job.settings["cross_section"] is None:
        used, correction = corrected_cross_section(job.release, dsid, published)
    if correction:
        job.note(correction)
    known = PUBLISHED_2020.get(dsid) if job.release == "2020" else None
    if known and abs(total / known[1] - 1) > 1e-3:
        job.note(f"sample {dsid}: the sum of weights is {total:g}, published is {known[1]:g}", warning=True)
    process = process_of(job.release, dsid)
    return Sample(dsid=dsid, process=process, published=published, cross_section=used, sum_of_weights=total)


def converted(one: Column, release: str, values: np.ndarray, others: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the numbers of a column from those of its branch, shape (n,) each.

    Args:
        one: the column.
        release: which layout.
        values: the branch.
        others: the object's columns that are done already.
    """
    if one.name == "photon_in_crack":
        size = np.abs(values.astype(np.float64))
        return (size >= CRACK[0]) & (size <= CRACK[1])
    if one.name == "jet_pass_jvt" and values.dtype != np.bool_:
        # The official 2020 analyses; the branch is a discriminant there, in 2025 it says whether the jet passed.
        forward_or_hard = (others["jet_pt"] >= 60.0) | (np.abs(others["jet_eta"]) >= 2.4)
        return np.asarray(forward_or_hard | (values >= 0.59))
    if one.name == "event_number" and values.dtype == np.int32:
        return np.asarray(values.astype(np.uint32), dtype=np.uint64)  # those from 2^31 on are stored as negative
    if one.kind == "bool":
        return np.asarray(values != 0)
    if one.unit == "GeV" and release == "2020":
        return np.asarray(values / 1000.0, dtype=one.kind)
    return np.asarray(values, dtype=one.kind)


def normalised(job: Job, file: Events, chunk: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns of some events: numbers per event, and by object the lengths and the numbers of its lists."""
    entries, release = chunk.entries, job.release
    flat: dict[str, np.ndarray] = {}
    lists: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = {}
    chosen = {one.name for one in job.columns}
    for one in job.columns:
        if one in IDENTITY or one is TRIGGER:
            flat[one.name] = converted(one, release, np.asarray(chunk[one.branches[release]]), flat)
    flat.setdefault("channel_number", np.zeros(entries, dtype=np.uint32))
    flat["weight"] = weights(job, file, chunk, entries)
    # The official selection of 2020 asks for the diphoton trigger; trigP of 2025 is the single-photon trigger, and the
    # official selection does not ask for it.
    flat["pass_trigger"] = flat["trigger_photon"] if release == "2020" else np.ones(entries, dtype=bool)
    for name, columns in OBJECTS.items():
        mine = [one for one in columns if one.name in chosen]
        if name in PER_EVENT:
            flat.update(
                {one.name: converted(one, release, np.asarray(chunk[one.branches[release]]), {}) for one in mine}
            )
        elif mine:
            lists[name] = unpacked(file, chunk, mine, release)
    return {name: flat[name] for name in flat_types(job)}, lists


def unpacked(file: Events, chunk: Any, columns: list[Column], release: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return lengths, shape (events,), and numbers one after another of the columns of one object."""
    import awkward as ak

    lengths: np.ndarray | None = None
    numbers: dict[str, np.ndarray] = {}
    for one in columns:
        branch = one.branches[release]
        if not hasattr(chunk[branch], "ndim") or chunk[branch].ndim != 2:
            raise WrongInput(f"{file.name}: branch {branch!r} is not a list per event")
        own = np.asarray(ak.num(chunk[branch]))
        if lengths is not None and not np.array_equal(own, lengths):
            raise WrongInput(
                f"{file.name}: {branch!r} and {columns[0].branches[release]!r} have lists of other lengths"
            )
        lengths = own
        numbers[one.name] = converted(one, release, np.asarray(ak.to_numpy(ak.flatten(chunk[branch]))), numbers)
    assert lengths is not None
    return lengths, numbers


def flat_types(job: Job) -> dict[str, str]:
    """Return the columns with one number per event, in the order of the output, with their types."""
    chosen = {one.name for one in job.columns}
    types = {one.name: one.kind for one in IDENTITY}
    types |= {"weight": "float64", "pass_trigger": "bool"}
    types |= {TRIGGER.name: TRIGGER.kind} if TRIGGER.name in chosen else {}
    return types | {one.name: one.kind for name in PER_EVENT for one in OBJECTS[name] if one.name in chosen}


def list_types(job: Job) -> dict[str, dict[str, str]]:
    """Return the columns with one list per event by object, with the types of their numbers."""
    chosen = {one.name for one in job.columns}
    types = {
        name: {one.name: one.kind for one in columns if one.name in chosen}
        for name, columns in OBJECTS.items()
        if name not in PER_EVENT
    }
    return {name: mine for name, mine in types.items() if mine}


class ParquetOutput:
    """Events in a Parquet file: lists are list columns, units stand in the metadata of the columns."""

    def __init__(self, path: Path, job: Job, origin: str) -> None:
        """Start the file; `origin` is its provenance."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        def number(kind: str) -> Any:
            return pa.from_numpy_dtype(np.dtype(kind))

        units = {one.name: {"unit": one.unit} if one.unit else None for one in job.columns}
        types = {name: number(kind) for name, kind in flat_types(job).items()}
        for mine in list_types(job).values():
            types |= {name: pa.list_(pa.field("element", number(kind), nullable=False)) for name, kind in mine.items()}
        fields = [pa.field(name, kind, nullable=False, metadata=units.get(name)) for name, kind in types.items()]
        self.schema = pa.schema(fields, metadata={"provenance": origin})
        self.writer = pq.ParquetWriter(path, self.schema, compression="zstd")
        self.empty = True

    def extend(self, flat: Mapping[str, np.ndarray], lists: Mapping[str, Any]) -> None:
        """Append events."""
        import pyarrow as pa

        columns = {name: pa.array(values) for name, values in flat.items()}
        for lengths, numbers in lists.values():
            offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
            for name, values in numbers.items():
                kind = self.schema.field(name).type
                columns[name] = pa.ListArray.from_arrays(offsets, pa.array(values), type=kind)
        self.writer.write_table(pa.table([columns[name] for name in self.schema.names], schema=self.schema))
        self.empty = False

    def close(self) -> None:
        """End the file; one without events has an empty row group, which some readers need."""
        if self.empty:
            self.writer.write_table(self.schema.empty_table())
        self.writer.close()


class RootOutput:
    """Events in a TTree `events`: the lists of an object share a counter (`nphoton`)."""

    def __init__(self, path: Path, job: Job, origin: str) -> None:
        """Start the file; `origin` is its provenance."""
        import awkward as ak
        import uproot

        types: dict[str, Any] = dict(flat_types(job))
        for name, mine in list_types(job).items():
            fields = ", ".join(f"{column.removeprefix(name + '_')}: {kind}" for column, kind in mine.items())
            types[name] = ak.types.from_datashape(f"var * {{{fields}}}", highlevel=False)
        self.file = uproot.recreate(path, uuid_function=lambda: uuid.UUID(int=0))
        self.file["provenance"] = origin
        self.tree = self.file.mktree("events", types)

    def extend(self, flat: Mapping[str, np.ndarray], lists: Mapping[str, Any]) -> None:
        """Append events."""
        import awkward as ak

        columns: dict[str, Any] = dict(flat)
        for name, (lengths, numbers) in lists.items():
            records = ak.zip({column.removeprefix(name + "_"): values for column, values in numbers.items()})
            columns[name] = ak.unflatten(records, lengths)
        self.tree.extend(columns)

    def close(self) -> None:
        """End the file."""
        self.file.close()


OUTPUTS: dict[str, Any] = {".parquet": ParquetOutput, ".root": RootOutput}


def places(snakemake: Any) -> tuple[Path, Path | None]:
    """Return where the events and the optional summary go."""
    named = dict(snakemake.output.items())
    if unknown := sorted(set(named) - {"events", "summary"}):
        raise WrongInput(f"output: there is no {unknown[0]!r}. {near(unknown[0], ['events', 'summary'])}")
    if len(snakemake.output) - len(named) + ("events" in named) != 1:
        raise WrongInput("output: name one file of events (and, if wanted, summary=... for JSON)")
    events = Path(str(named.get("events", snakemake.output[0])))
    if events.suffix not in OUTPUTS:
        raise WrongInput(f"{events}: events are written to {' and '.join(OUTPUTS)} files, not to {events.suffix!r}")
    return events, Path(str(named["summary"])) if "summary" in named else None


def convert(job: Job, path: Path, origin: dict[str, Any], threads: int) -> dict[str, Any]:
    """Write the normalised events; return the summary."""
    progress = Progress("normalise", sum(file.entries for file in job.files))
    with replacing(path) as partial:
        output = OUTPUTS[path.suffix](partial, job, json.dumps({**origin, **described(job)}, sort_keys=True))
        try:
            for file in job.files:
                for chunk in file.chunks(job.branches, size=job.settings["step_size"], threads=threads):
                    chunk.load(job.branches)
                    flat, lists = normalised(job, file, chunk)
                    if not progress.done:
                        check_units(job, file, lists)
                    output.extend(flat, lists)
                    progress.add(chunk.entries)
        finally:
            output.close()
    check_fractions(job)
    return summarised(job, progress.done)


def check_units(job: Job, file: Events, lists: Mapping[str, Any]) -> None:
    """Warn if the momenta of photons cannot be in GeV."""
    values = lists["photon"][1]["photon_pt"] if "photon" in lists else np.empty(0)
    if len(values) and not 5 < float(np.median(values)) < 5000:
        median = float(np.median(values))
        text = f"{file.path}: half of the photons have photon_pt below {median:g} GeV. Is the release right?"
        job.note(text, warning=True)


def check_fractions(job: Job) -> None:
    """Warn if there is more weight in the files than was generated: the sum of weights is not that of the sample."""
    for sample in job.samples.values():
        fraction = sample.generated / sample.sum_of_weights
        if fraction > 1.001:
            job.note(
                f"sample {sample.dsid}: the weights in the files sum up to {fraction:.3f} of the sum of weights of all "
                "generated events. Is it the sum of a part only, or are events there twice?",
                warning=True,
            )


def described(job: Job) -> dict[str, Any]:
    """Return what the provenance says beside the usual."""
    value: dict[str, Any] = {"release": job.release, "kind": job.kind, "notes": job.notes, "warnings": job.warnings}
    if job.weighted:
        value["luminosity_per_pb"] = job.settings["luminosity"]
        value["weight"] = job.factors
    return value


def summarised(job: Job, count: int) -> dict[str, Any]:
    """Return the JSON summary without provenance."""
    samples = sorted(job.samples.values(), key=lambda sample: sample.dsid)
    lists = {name: f"list of {kind}" for mine in list_types(job).values() for name, kind in mine.items()}
    total = sum(sample.total for sample in samples) if job.weighted else float(count)
    squares = sum(sample.squares for sample in samples) if job.weighted else float(count)
    return {
        "kind": job.kind,
        "release": job.release,
        "luminosity_per_pb": job.settings["luminosity"],
        "n_events": count,
        "yield": total,
        "yield_error": math.sqrt(squares),
        "negative_weight_fraction": sum(sample.negative for sample in samples) / max(count, 1),
        "samples": [sample.summary(job.settings["luminosity"]) for sample in samples],
        "columns": {**flat_types(job), **lists},
        "notes": job.notes,
        "warnings": job.warnings,
    }


def main(snakemake: Any) -> None:
    """Normalise the events of one or more files."""
    with logged(snakemake):
        events, summary_path = places(snakemake)
        job = prepared(snakemake)
        origin = provenance(snakemake, WRAPPER, ["awkward", "numpy", "pyarrow", "uproot"])
        summary = convert(job, events, origin, int(snakemake.threads))
        for sample in summary["samples"]:
            print(
                f"Sample {sample['channel_number']} ({sample['process'] or 'no official sample'}): "
                f"{sample['cross_section_pb']:.5g} pb, sum of weights {sample['sum_of_weights']:.8g}, "
                f"{sample['n_events']:,} events, {sample['negative_weight_fraction']:.2%} of them of negative weight, "
                f"expected {sample['yield']:.5g} +- {sample['yield_error']:.2g}"
            )
        print(f"{events}: {summary['n_events']:,} events, yield {summary['yield']:.6g} +- {summary['yield_error']:.3g}")
        if summary_path:
            write_json(summary_path, {**summary, "provenance": {**origin, **described(job)}})


if "snakemake" in globals():
    main(snakemake)
