"""Make a HEPData submission from histograms, cut flows, fit results, limits and plots."""

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

# --- common: histograms (kept by wrappers/embed.py; edit wrappers/common/histograms.py) ---
# Histograms as UHI JSON or ROOT objects: reading, writing, and taking one spectrum out of their categories.

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


NOMINAL = "nominal"
"""The category of an axis `systematic` that is no variation; it stands first."""
CATEGORY_AXES = ("process", "systematic")


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """One binned observable of one process: sums of weights and of squared weights, without and with the flow bins.

    Attributes:
        observable: name of the axis.
        label: the axis label with its unit, for plots.
        unit: unit of the edges, may be empty.
        edges: shape (n + 1,), in `unit`.
        values: sums of weights, shape (n,).
        variances: sums of squared weights, shape (n,).
        underflow: sum of weights and of squared weights below the first edge.
        overflow: the same from the last edge on.
    """

    observable: str
    label: str
    unit: str
    edges: np.ndarray
    values: np.ndarray
    variances: np.ndarray
    underflow: tuple[float, float]
    overflow: tuple[float, float]


def read_histograms(path: str, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """Read `hist.Hist` objects by name from a UHI JSON or a ROOT file.

    A JSON file holds one UHI histogram, a mapping of names to them, or `{"histograms": {name: histogram}, ...}`. In a
    ROOT file every TH1, TH2 and TH3 is read; names hold the folder.

    Args:
        path: a file ending in .json or .root.
        wanted: names to read; without any, all.

    Raises:
        WrongInput: if the file cannot be read, holds no histograms, or lacks a wanted one.
    """
    readers = {".json": _json_histograms, ".root": _root_histograms}
    reader = readers.get(Path(path).suffix)
    if reader is None:
        raise WrongInput(
            f"{path}: histograms are read from .json (UHI) and .root files, not from {Path(path).suffix!r}"
        )
    try:
        found = reader(path)
        for name in wanted:
            if name not in found:
                raise WrongInput(f"{path}: no histogram {name!r}. {near(name, found)}")
        if not found:
            raise WrongInput(f"{path}: there is no histogram in it (UHI JSON or TH1, TH2)")
        return {name: found[name]() for name in wanted or found}
    except WrongInput:
        raise
    except Exception as error:
        raise WrongInput(f"{path}: no readable histograms: {type(error).__name__}: {error}") from error


def _json_histograms(path: str) -> dict[str, Any]:
    import hist

    document = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        return {}
    if "uhi_schema" in document:
        name = document.get("metadata", {}).get("name") or Path(path).stem
        return {name: lambda: hist.Hist(document)}
    held = document.get("histograms", document)
    known = {name: one for name, one in held.items() if isinstance(one, dict) and "uhi_schema" in one}
    return {name: lambda one=one: hist.Hist(one) for name, one in known.items()}


def _root_histograms(path: str) -> dict[str, Any]:
    import uproot

    with uproot.open(path) as file:
        names = [name for name, kind in file.classnames(cycle=False).items() if kind.startswith(("TH1", "TH2", "TH3"))]
        objects = {name: file[name] for name in names}
    return {name: one.to_hist for name, one in objects.items()}


def read_metadata(path: str) -> dict[str, Any]:
    """Return what stands beside the histograms in a file of `write_histograms` (provenance, yields); else nothing."""
    if Path(path).suffix != ".json":
        return {}
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    held = isinstance(document, dict) and "uhi_schema" not in document and isinstance(document.get("histograms"), dict)
    return {key: value for key, value in document.items() if key != "histograms"} if held else {}


def uhi(histogram: Any) -> dict[str, Any]:
    """Return a histogram as the object of UHI's JSON schema, of plain Python values."""
    from uhi.io.json import default

    value: dict[str, Any] = json.loads(json.dumps(histogram, default=default))
    return value


def write_histograms(path: Any, histograms: Mapping[str, Any], provenance: Mapping[str, Any], **more: Any) -> None:
    """Write `{"provenance": ..., more..., "histograms": {name: UHI}}`; a `.uhi.json` file holds the histograms alone.

    The second kind is what `uhi validate` and `uhi add` read; the provenance is text in each histogram's metadata.
    """
    objects = {name: uhi(histogram) for name, histogram in histograms.items()}
    if str(path).endswith(".uhi.json"):
        said = json.dumps(provenance, sort_keys=True)
        plain = {
            name: {**one, "metadata": {**one.get("metadata", {}), "provenance": said}} for name, one in objects.items()
        }
        write_rows(path, plain)
    else:
        write_rows(path, {"provenance": provenance, **more, "histograms": objects})


def write_rows(path: Any, value: Any) -> None:
    """Write JSON with each list of numbers or words on one line; whole or not at all; NaN is an error."""
    with replacing(path) as partial:
        partial.write_text(_rows(value, "") + "\n", encoding="utf-8")


def _rows(value: Any, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, Mapping) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {_rows(one, inner)}" for key, one in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        return "[\n" + ",\n".join(inner + _rows(one, inner) for one in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def categories(histogram: Any, axis: str) -> list[str]:
    """Return the words on an axis such as `process` or `systematic`; none if there is no such axis."""
    return list(histogram.axes[axis]) if axis in histogram.axes.name else []


def variables(histogram: Any) -> list[Any]:
    """Return the axes that are observables, in their order."""
    return [axis for axis in histogram.axes if axis.name not in CATEGORY_AXES]


def spectrum(histogram: Any, *, process: str | None = None, systematic: str = NOMINAL) -> Spectrum:
    """Return one process (or the sum of all) at one variation of a histogram with one observable.

    A histogram without an axis `systematic` is its own nominal.

    Raises:
        WrongInput: if there is no such process or variation, or the histogram has more than one observable.
    """
    name = histogram.name or "the histogram"
    axes = variables(histogram)
    if len(axes) != 1:
        raise WrongInput(
            f"{name}: a histogram with one observable is needed; its axes are {', '.join(histogram.axes.name)}"
        )
    cells = _cells(histogram)
    for axis, chosen in (("process", process), ("systematic", systematic)):
        words = categories(histogram, axis)
        if chosen is not None and chosen not in words and (words or axis == "process" or chosen != NOMINAL):
            raise WrongInput(f"{name}: no {axis} {chosen!r}. {near(chosen, words)}")
    # from the last axis to the first, so that the places of the others stay
    for place in reversed(range(len(histogram.axes))):
        axis = histogram.axes[place].name
        if axis == "process" and process is None:
            cells = cells.sum(axis=place + 1)
        elif axis in CATEGORY_AXES:
            chosen = process if axis == "process" else systematic
            cells = cells.take(categories(histogram, axis).index(str(chosen)), axis=place + 1)
    traits = axes[0].traits
    under = cells[:, 0] if traits.underflow else np.zeros(2)
    over = cells[:, -1] if traits.overflow else np.zeros(2)
    inner = cells[:, int(traits.underflow) : cells.shape[1] - int(traits.overflow)]
    return Spectrum(
        observable=axes[0].name,
        label=axes[0].label,
        unit=axis_unit(axes[0]),
        edges=np.asarray(axes[0].edges, dtype=float),
        values=inner[0],
        variances=inner[1],
        underflow=(float(under[0]), float(under[1])),
        overflow=(float(over[0]), float(over[1])),
    )


def _cells(histogram: Any) -> np.ndarray:
    """Sums of weights and of squared weights with flow bins, shape (2, ...); a count is its own variance."""
    view = histogram.view(flow=True)
    pair = [view["value"], view["variance"]] if view.dtype.names else [view, view]
    return np.stack(pair).astype(float)


def axis_unit(axis: Any) -> str:
    """Return the unit of an axis: what `hist/fill` noted, else what stands in brackets at the end of the label."""
    known = getattr(axis, "unit", None)
    if known is not None:
        return str(known)
    label = str(axis.label).strip()
    return label[label.rindex("[") + 1 : -1] if label.endswith("]") and "[" in label else ""


def variation_pairs(systematics: Iterable[str]) -> dict[str, list[str]]:
    """Group variations by their name without `_up` and `_down`."""
    groups: dict[str, list[str]] = {}
    for name in sorted(systematics):
        groups.setdefault(re.sub(r"_?(up|down|dn)$", "", name, flags=re.IGNORECASE) or name, []).append(name)
    return groups


def garwood(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper errors of Poisson counts, shape (n,) each: the central 68.27 % interval.

    F. Garwood, Biometrika 28 (1936) 437; its ends are quantiles of the chi-square distribution.
    """
    from scipy.special import gammaincinv, ndtr

    tail = float(ndtr(-1.0))
    low = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), tail), 0.0)
    return counts - low, gammaincinv(counts + 1.0, 1 - tail) - counts


def count_errors(values: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper errors: Garwood's for counts, sqrt(sum w^2) on both sides for weighted entries."""
    if np.all(values >= 0) and np.allclose(values, variances, rtol=1e-9, atol=0):
        return garwood(values)
    error = np.sqrt(variances)
    return error, error


# --- end of common ---
import gzip
import io
import itertools
import re
import shutil
import tarfile
import tempfile
from dataclasses import field

REQUIRED = ["abstract", "reactions", "observables", "cmenergies"]
DEFAULTS = {
    "phrases": [],
    "qualifiers": {},
    "tables": {},
    "histograms": None,
    "processes": None,
    "data": "data",
    "location": "Table of this analysis",
    "digits": 5,
}
TABLE_KEYS = ("name", "description", "location", "reactions", "observables", "phrases", "image", "observable", "unit")
LONGEST_NAME = 64


@dataclass(frozen=True, kw_only=True)
class Column:
    """A variable of a table.

    Attributes:
        name: header of the column.
        unit: of its numbers, may be empty.
        values: numbers, words or (low, high) edges, one a row.
        errors: label and (down, up) for each source, as signed shifts of shape (n,).
        qualifiers: name and value.
    """

    name: str
    unit: str = ""
    values: Sequence[Any]
    errors: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    qualifiers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table: what its rows are, and its numbers."""

    key: str
    description: str
    rows: Sequence[Column]
    columns: Sequence[Column]


def main(snakemake: Any) -> None:
    """Write the submission of a rule."""
    with logged(snakemake):
        given = parameters(snakemake, DEFAULTS, required=REQUIRED)
        archives, folders = check_outputs(snakemake)
        check_words(given)
        if not len(snakemake.input):
            raise WrongInput("input: name results (.json) and plots (.png)")
        paths = existing(snakemake.input)
        check_base_names(paths)
        images = [path for path in paths if Path(path).suffix == ".png"]
        results = [path for path in paths if Path(path).suffix == ".json"]
        attached = [path for path in paths if path not in images and path not in results]
        sheets = []
        for path in results:
            found = read_sheets(path, given)
            sheets += found
            if not found:
                attached.append(path)
                print(f"{path}: no histogram, cut flow, fit, limit or significance in it: attached as it is")
        if not sheets:
            raise WrongInput("input: none of the .json files holds a histogram, cut flow, fit, limit or significance")
        check_tables(given, sheets, images)
        about = provenance(snakemake, "phys/hepdata/export", ["hepdata_lib", "hepdata-validator", "numpy"])
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "submission"
            build(folder, given, sheets, images, attached, about)
            validate(folder)
            for path in archives:
                pack(folder, path)
            for path in folders:
                place_folder(folder, path)


def check_outputs(snakemake: Any) -> tuple[list[str], list[str]]:
    """Return the archives (.tar.gz) and the folders (no suffix) to write."""
    archives = [str(path) for path in snakemake.output if str(path).endswith((".tar.gz", ".tgz"))]
    folders = [str(path) for path in snakemake.output if str(path) not in archives]
    for path in folders:
        if Path(path).suffix:
            raise WrongInput(f"output: {path}: a submission is a .tar.gz file, or a directory(...) without a suffix")
    if not archives and not folders:
        raise WrongInput("output: name a .tar.gz file or a directory")
    return archives, folders


def check_words(given: Mapping[str, Any]) -> None:
    """Check that the required words are there and of the right kind."""
    if not str(given["abstract"]).strip():
        raise WrongInput("params: abstract is empty: HEPData shows it at the top of the record")
    for name in ("reactions", "observables", "cmenergies", "phrases"):
        if not isinstance(given[name], list | tuple) or (name != "phrases" and not given[name]):
            raise WrongInput(f"params: {name}: a list is needed, such as {EXAMPLES[name]}")
    for name in ("qualifiers", "tables"):
        if not isinstance(given[name], Mapping):
            raise WrongInput(f"params: {name}: a mapping is needed")
    for key, one in given["tables"].items():
        for word in one:
            if word not in TABLE_KEYS:
                raise WrongInput(f"params: tables: {key}: there is no {word!r}. {near(word, TABLE_KEYS)}")


EXAMPLES = {
    "reactions": '["P P --> HIGGS < GAMMA GAMMA > X"]',
    "observables": '["N"], as in https://hepdata-submission.readthedocs.io/en/latest/keywords/observables.html',
    "cmenergies": "[13000.0] (GeV)",
    "phrases": '["Higgs", "Diphoton"]',
}


def check_base_names(paths: Sequence[str]) -> None:
    """Raise `WrongInput` if two files would have the same name in the submission."""
    names: dict[str, str] = {}
    for path in paths:
        other = names.setdefault(Path(path).name, path)
        if other != path and Path(path).suffix != ".json":
            raise WrongInput(f"{other} and {path} would have the same name in the submission")


def check_tables(given: Mapping[str, Any], sheets: Sequence[Sheet], images: Sequence[str]) -> None:
    """Check that the param `tables` names tables and images that are there, and that names can be told apart."""
    keys = [sheet.key for sheet in sheets]
    for key, one in given["tables"].items():
        if key not in keys:
            raise WrongInput(f"params: tables: there is no table {key!r}. {near(key, keys)}")
        known = [Path(path).name for path in images]
        if one.get("image") and Path(one["image"]).name not in known:
            raise WrongInput(
                f"params: tables: {key}: no image {one['image']!r} in the input. {near(one['image'], known)}"
            )
    names = [table_name(given, sheet) for sheet in sheets]
    for name in names:
        if len(name) > LONGEST_NAME:
            raise WrongInput(f"params: tables: the name {name!r} has more than {LONGEST_NAME} letters")
    files = [file_name(name) for name in names]
    for name in files:
        if files.count(name) > 1:
            raise WrongInput(
                f"two tables have the name {name!r}: name them apart, params: tables={{key: {{'name': ...}}}}"
            )


def table_name(given: Mapping[str, Any], sheet: Sheet) -> str:
    """Return the name of a table: the rule's, or its key."""
    return str(given["tables"].get(sheet.key, {}).get("name", sheet.key))


def file_name(name: str) -> str:
    """Return what a table's file is called, without its suffix."""
    return re.sub(r"[^a-z0-9_.-]+", "_", name.lower())


def read_sheets(path: str, given: Mapping[str, Any]) -> list[Sheet]:
    """Return the tables that a result has in it: histograms, cut flow, fit, limits or significance."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongInput(f"{path}: not JSON: {error}") from None
    if not isinstance(document, dict):
        return []
    stem = Path(path).name.split(".")[0]
    sheets = []
    held = document.get("histograms", document)
    if "uhi_schema" in document or any(isinstance(one, dict) and "uhi_schema" in one for one in held.values()):
        sheets += histogram_sheets(path, given)
    for key, reader in READERS.items():
        if key in document:
            try:
                sheets += reader(stem, document)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                raise WrongInput(f"{path}: {key}: {type(error).__name__}: {error}") from error
    return sheets


def histogram_sheets(path: str, given: Mapping[str, Any]) -> list[Sheet]:
    """Return a table for each histogram (or those of the param `histograms`), with a column for each process."""
    sheets = []
    found = read_histograms(path)
    wanted = found if given["histograms"] is None else [name for name in given["histograms"] if name in found]
    for name in wanted:
        histogram = found[name]
        axes = variables(histogram)
        places = list(np.ndindex(*(len(axis) for axis in axes)))
        rows = [
            Column(
                name=plain(str(axis.label or axis.name)),
                unit=axis_unit(axis),
                values=[tuple(map(float, axis[place[dimension]])) for place in places],
            )
            for dimension, axis in enumerate(axes)
        ]
        processes: list[Any] = categories(histogram, "process") or [None]
        if given["processes"] is not None:
            for process in given["processes"]:
                if process not in processes:
                    raise WrongInput(f"params: processes: {name}: no {process!r}. {near(process, map(str, processes))}")
            processes = list(given["processes"])
        columns = [process_column(histogram, process, given) for process in processes]
        said = " and ".join(row.name for row in rows)
        sheets.append(Sheet(key=name, description=f"Distribution of {said}.", rows=rows, columns=columns))
    return sheets


def process_column(histogram: Any, process: str | None, given: Mapping[str, Any]) -> Column:
    """Return the contents of one process, with statistical and systematic errors."""
    systematics = categories(histogram, "systematic") or [NOMINAL]

    def contents(systematic: str) -> tuple[np.ndarray, np.ndarray]:
        chosen = histogram
        for axis, word in (("process", process), ("systematic", systematic)):
            if word is not None and axis in histogram.axes.name:
                chosen = chosen[{axis: word}]
        variances = chosen.variances()
        values = chosen.values()
        return values.ravel(), (values if variances is None else variances).ravel()

    values, variances = contents(NOMINAL)
    is_data = process is not None and process in ([given["data"]] if isinstance(given["data"], str) else given["data"])
    down, up = count_errors(values, variances) if is_data else (np.sqrt(variances), np.sqrt(variances))
    errors = {"stat": (-down, up)}
    for source, names in variation_pairs([one for one in systematics if one != NOMINAL]).items():
        shifts = [contents(one)[0] - values for one in names]
        if any(np.any(shift) for shift in shifts):
            errors[f"sys,{source}"] = ordered(names, shifts)
    return Column(
        name="Events",
        values=values.tolist(),
        errors=errors,
        qualifiers={"PROCESS": process} if process is not None else {},
    )


def ordered(names: Sequence[str], shifts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the shifts of the down and the up variation; one without a partner has zero on the other side."""
    down, up = np.zeros_like(shifts[0]), np.zeros_like(shifts[0])
    for name, shift in zip(names, shifts, strict=True):
        if name.lower().endswith(("down", "dn")):
            down = shift
        else:
            up = shift
    return down, up


def plain(label: str) -> str:
    """Return a label without its unit in brackets."""
    return re.sub(r"\s*\[[^\]]*\]\s*$", "", label)


def cutflow_sheets(stem: str, document: Mapping[str, Any]) -> list[Sheet]:
    """Return the table of a cut flow."""
    flow = document["cutflow"]
    errors = np.array([one.get("error") or 0 for one in flow], dtype=float)
    columns = [Column(name="Events", values=[one["events"] for one in flow])]
    if any("yield" in one for one in flow):
        yields = [one["yield"] for one in flow]
        columns.append(Column(name="Yield", values=yields, errors={"stat": (-errors, errors)}))
    cuts = Column(name="Cut", values=[str(one["cut"]) for one in flow])
    return [
        Sheet(key=stem, description="Cut flow: events and weighted yields, cumulative.", rows=[cuts], columns=columns)
    ]


def fit_sheets(stem: str, document: Mapping[str, Any]) -> list[Sheet]:
    """Return the tables of a fit: parameters, their covariance and correlation, and the spectra."""
    parameters = document["parameters"]
    names = list(parameters)
    errors = np.array([one.get("error") or 0 for one in parameters.values()], dtype=float)
    values = Column(
        name="Value", values=[one["value"] for one in parameters.values()], errors={"fit": (-errors, errors)}
    )
    rows = [Column(name="Parameter", values=names)]
    valid = "" if document.get("valid", True) else " The fit is not valid."
    said = f"Parameters of the fit; an error of zero means fixed.{valid}"
    sheets = [Sheet(key=f"{stem} parameters", description=said, rows=rows, columns=[values])]
    matrices = {name: document[name.lower()] for name in ("Covariance", "Correlation") if document.get(name.lower())}
    if matrices:
        first = [one for one in names for _ in names]
        axes = [Column(name="Parameter 1", values=first), Column(name="Parameter 2", values=names * len(names))]
        columns = [
            Column(name=name, values=[matrix[i][j] for i in range(len(names)) for j in range(len(names))])
            for name, matrix in matrices.items()
        ]
        said = f"{' and '.join(matrices)} of the parameters."
        sheets.append(Sheet(key=f"{stem} covariance", description=said, rows=axes, columns=columns))
    return sheets + [spectrum_sheet(stem, one) for one in document.get("spectra", [])]


def spectrum_sheet(stem: str, one: Mapping[str, Any]) -> Sheet:
    """Return the table of one spectrum: data, the fitted total and its components."""
    edges, counts = one["edges"], np.array(one["counts"], dtype=float)
    down, up = count_errors(counts, np.array(one.get("variances") or counts, dtype=float))
    columns = [
        Column(name="Events", values=one["counts"], errors={"stat": (-down, up)}, qualifiers={"PROCESS": "data"})
    ]
    fitted = {"fitted total": one["total"], **(one.get("components") or {})}
    columns += [Column(name="Events", values=part, qualifiers={"PROCESS": name}) for name, part in fitted.items()]
    row = Column(name=one["observable"], unit=one.get("unit") or "", values=list(itertools.pairwise(edges)))
    key = f"{stem} {one['category']}" if one.get("category") else f"{stem} spectrum"
    return Sheet(key=key, description=f"Spectrum of {one['observable']} and the fit.", rows=[row], columns=columns)


def limit_sheets(stem: str, document: Mapping[str, Any]) -> list[Sheet]:
    """Return the table of an upper limit: observed, and expected with its bands."""
    expected = document["expected"]
    if not isinstance(expected, Mapping):
        return []
    order = sorted(expected, key=float)
    names = {"0": "Expected"} | {one: f"Expected {float(one):+g} sigma" for one in order if float(one)}
    rows = [("Observed", document["observed"])] if document.get("observed") is not None else []
    rows += [(names.get(one, "Expected"), expected[one]) for one in order]
    level = document.get("cl") or 0.95
    unit = "" if level > 1 else f"{100 * level:g}% CL "
    parameter = document.get("parameter") or document.get("poi") or "signal strength"
    column = Column(name=f"{unit}upper limit on {parameter}", values=[one for _, one in rows])
    row = Column(name="Limit", values=[name for name, _ in rows])
    return [Sheet(key=stem, description="Upper limits.", rows=[row], columns=[column])]


def significance_sheets(stem: str, document: Mapping[str, Any]) -> list[Sheet]:
    """Return the table of a significance."""
    named = {
        "z_obs": "Observed significance",
        "z_exp": "Expected significance",
        "p0": "p-value of the background alone",
    }
    rows = [(name, document[key]) for key, name in named.items() if document.get(key) is not None]
    column = Column(name="Value", values=[one for _, one in rows])
    row = Column(name="Quantity", values=[name for name, _ in rows])
    return [Sheet(key=stem, description="Significance of the signal.", rows=[row], columns=[column])]


READERS = {
    "cutflow": cutflow_sheets,
    "parameters": fit_sheets,
    "expected": limit_sheets,
    "z_obs": significance_sheets,
}


def build(
    folder: Path,
    given: Mapping[str, Any],
    sheets: Sequence[Sheet],
    images: Sequence[str],
    attached: Sequence[str],
    about: Mapping[str, Any],
) -> None:
    """Write the files of the submission."""
    from hepdata_lib import Submission

    submission = Submission()
    submission.comment = " ".join(str(given["abstract"]).split())
    folder.mkdir()
    more = folder.parent / "provenance.json"
    write_rows(more, about)
    for path in attached:
        submission.add_additional_resource(f"{Path(path).name}", str(Path(path).resolve()), copy_file=True)
    submission.add_additional_resource("How these tables were made", str(more), copy_file=True)
    chosen = {Path(one["image"]).name for one in given["tables"].values() if one.get("image")}
    loose = [path for path in images if Path(path).name not in chosen]
    for place, sheet in enumerate(sheets):
        wanted = given["tables"].get(sheet.key, {}).get("image")
        mine = [path for path in images if wanted and Path(path).name == Path(wanted).name]
        submission.add_table(table(folder, given, sheet, mine + (loose if place == 0 else [])))
    # hepdata_lib leaves an archive in the working directory, which is not the rule's business
    with contextlib.chdir(folder.parent):
        submission.create_files(str(folder), validate=False)
    for name in [table_name(given, sheet) for sheet in sheets]:
        print(f"table {name}")


def table(folder: Path, given: Mapping[str, Any], sheet: Sheet, images: Sequence[str]) -> Any:
    """Return a table of hepdata_lib, its images written beside it."""
    from hepdata_lib import Table, Variable

    chosen = given["tables"].get(sheet.key, {})
    name = table_name(given, sheet)
    # hepdata_lib names the file after the table; what cannot stand in a file name goes
    made = Table(name if file_name(name) == name.lower().replace(" ", "_") else file_name(name))
    made.description = str(chosen.get("description", sheet.description))
    made.location = str(chosen.get("location", given["location"]))
    made.keywords["reactions"] = list(chosen.get("reactions", given["reactions"]))
    made.keywords["observables"] = list(chosen.get("observables", given["observables"]))
    made.keywords["cmenergies"] = [float(one) for one in given["cmenergies"]]
    phrases = [*given["phrases"], *chosen.get("phrases", [])]
    if phrases:
        made.keywords["phrases"] = phrases
    for row in sheet.rows:
        binned = bool(row.values) and isinstance(row.values[0], tuple)
        made.add_variable(Variable(row.name, is_independent=True, is_binned=binned, units=row.unit, values=row.values))
    for column in sheet.columns:
        made.add_variable(dependent(given, column, chosen))
    for path in images:
        for file, said in ((Path(path), "Image file"), (thumbnail(path, folder.parent), "Thumbnail image file")):
            made.add_additional_resource(said, str(file.resolve()), copy_file=True)
    return made


def dependent(given: Mapping[str, Any], column: Column, chosen: Mapping[str, Any]) -> Any:
    """Return a dependent variable with its errors and qualifiers; what is missing or no number is a dash."""
    from hepdata_lib import Uncertainty, Variable

    values = ["-" if one is None or not np.isfinite(one) else float(one) for one in column.values]
    counts = all(isinstance(one, int) for one in column.values)
    made = Variable(
        str(chosen.get("observable", column.name)),
        is_independent=False,
        is_binned=False,
        units=str(chosen.get("unit", column.unit)),
        values=[int(one) for one in column.values] if counts else values,
        zero_uncertainties_warning=False,
    )
    made.digits = 15 if counts else int(given["digits"])
    for energy in given["cmenergies"]:
        made.add_qualifier("SQRT(S)", float(energy), "GeV")
    for name, value in {**given["qualifiers"], **column.qualifiers}.items():
        made.add_qualifier(str(name), value)
    for label, (down, up) in column.errors.items():
        symmetric = bool(np.allclose(-down, up, rtol=1e-12, atol=0))
        error = Uncertainty(label, is_symmetric=symmetric)
        error.values = up.tolist() if symmetric else list(zip(down.tolist(), up.tolist(), strict=True))
        made.add_uncertainty(error)
    return made


def thumbnail(path: str, folder: Path) -> Path:
    """Write a small copy of an image, as HEPData shows in lists (hepdata_lib would need ImageMagick)."""
    from PIL import Image

    small = folder / f"thumb_{Path(path).name}"
    with Image.open(path) as image:
        copy = image.convert("RGB")
        copy.thumbnail((240, 240))
        copy.save(small)
    return small


def validate(folder: Path) -> None:
    """Check the submission as HEPData does on upload, without network.

    Raises:
        RuntimeError: with the validator's messages.
    """
    from hepdata_validator.full_submission_validator import FullSubmissionValidator

    validator = FullSubmissionValidator()
    if not validator.validate(directory=str(folder)):
        said = {name: [str(one) for one in found] for name, found in validator.get_messages().items()}
        raise RuntimeError(f"HEPData's validator refuses the submission: {json.dumps(said, indent=2)}")
    print("valid by hepdata-validator")


def pack(folder: Path, path: str) -> None:
    """Write an archive of flat files, the same bytes for the same files."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(folder.iterdir()):
            member = tarfile.TarInfo(file.name)
            member.size, member.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                archive.addfile(member, content)
    with replacing(path) as partial:
        partial.write_bytes(gzip.compress(held.getvalue(), mtime=0))


def place_folder(folder: Path, path: str) -> None:
    """Copy the submission to a folder of the rule, whole or not at all."""
    final = Path(path)
    partial = final.with_name(f".{os.getpid()}.{final.name}")
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(folder, partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.replace(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


if "snakemake" in globals():
    main(snakemake)
