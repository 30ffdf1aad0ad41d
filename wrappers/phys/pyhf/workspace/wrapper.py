"""HistFactory workspace (pyhf JSON) from histograms of processes and their systematic variations."""

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

WRAPPER = "phys/pyhf/workspace"
DEFAULTS: dict[str, Any] = {
    "poi": "mu",
    "norm_factors": {},
    "systematics": {},
    "data": "data",
    "mc_stat": True,
    "mc_stat_threshold": 0.0,
    "negative_bins": "error",
    "empty_bins": "error",
    "missing": "error",
    "variation_names": ["{name}_up", "{name}_down"],
    "measurement": "measurement",
}
SYSTEMATIC_KEYS = {
    "norm": ("type", "samples", "channels", "up", "down", "variation"),
    "shape": ("type", "samples", "channels", "variation", "normalise", "split"),
    "lumi": ("type", "samples", "channels", "error"),
}


@dataclass(frozen=True, kw_only=True)
class Template:
    """One sample in one channel: expected events per bin and their statistical variances, shape (bins,) each."""

    values: np.ndarray
    variances: np.ndarray

    @property
    def total(self) -> float:
        """Expected events in all bins."""
        return float(self.values.sum())


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the histograms of one channel come from, and what is done to their bins."""

    channel: str
    histogram: str
    variation: str
    rebin: int
    range: tuple[float, float] | None
    flow: str


class Histograms:
    """All histograms of the input files, and the templates cut out of them.

    Two layouts are known: one histogram with axes variable x `process` x `systematic` (UHI JSON of hist/fill), of which
    several files may each hold some processes; and one TH1 per process and variation, whose name is a pattern with
    `{process}` and `{systematic}`.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.held = [(path, name, one) for path in paths for name, one in read_histograms(path).items()]
        self.axes: dict[str, Spectrum] = {}
        self.edges: dict[str, np.ndarray] = {}
        self.lost: dict[tuple[str, str], float] = {}

    def find(self, source: Source, process: str, systematic: str) -> Spectrum | None:
        """Return the spectrum of one process; None if the process is there, but not this variation of it.

        Raises:
            WrongInput: if the histogram or the process is missing, or there are two of them.
        """
        if "{process}" in source.histogram:
            return self._by_pattern(source, process, systematic)
        same = [(path, one) for path, name, one in self.held if name == source.histogram]
        if not same:
            names = [name for _, name, _ in self.held]
            raise WrongInput(
                f"channel {source.channel!r}: no histogram {source.histogram!r}. {near(source.histogram, names)}"
            )
        having = [(path, one) for path, one in same if process in categories(one, "process")]
        if not having:
            known = [word for _, one in same for word in categories(one, "process")]
            where = ", ".join(path for path, _ in same)
            raise WrongInput(
                f"{where}: histogram {source.histogram!r} has no process {process!r}. {near(process, known)}"
            )
        if len(having) > 1:
            both = ", ".join(path for path, _ in having)
            raise WrongInput(f"histogram {source.histogram!r}: process {process!r} is in several files: {both}")
        histogram = having[0][1]
        words = categories(histogram, "systematic")
        if systematic != NOMINAL and systematic not in words:
            return None
        if words and systematic not in words:
            raise WrongInput(
                f"{having[0][0]}: histogram {source.histogram!r} has no systematic {systematic!r}. "
                f"{near(systematic, words)}"
            )
        return spectrum(histogram, process=process, systematic=systematic)

    def _by_pattern(self, source: Source, process: str, systematic: str) -> Spectrum | None:
        pattern = source.histogram if systematic == NOMINAL else source.variation
        wanted = pattern.format(process=process, systematic=systematic)
        found = [(path, one) for path, name, one in self.held if name == wanted]
        if len(found) > 1:
            raise WrongInput(f"histogram {wanted!r} is in several files: {', '.join(path for path, _ in found)}")
        if not found and systematic == NOMINAL:
            names = [name for _, name, _ in self.held]
            raise WrongInput(f"channel {source.channel!r}: no histogram {wanted!r}. {near(wanted, names)}")
        return spectrum(found[0][1]) if found else None

    def template(
        self, source: Source, processes: Sequence[str], systematic: str, scale: float = 1.0
    ) -> Template | None:
        """Sum the spectra of some processes in the channel's binning; None if the variation is missing for all.

        A process without this variation (none stored, or nothing filled in it) counts with its nominal, if another
        process of the sample has it.
        """
        spectra = [self._varied(source, process, systematic) for process in processes]
        if systematic != NOMINAL and all(one is None for one in spectra):
            return None
        whole = [one or self.find(source, process, NOMINAL) for one, process in zip(spectra, processes, strict=True)]
        parts = [self._binned(source, process, one) for process, one in zip(processes, whole, strict=True) if one]
        values = scale * np.sum([part.values for part in parts], axis=0)
        return Template(values=values, variances=scale**2 * np.sum([part.variances for part in parts], axis=0))

    def _varied(self, source: Source, process: str, systematic: str) -> Spectrum | None:
        found = self.find(source, process, systematic)
        if found is None or systematic == NOMINAL or found.values.any():
            return found
        nominal = self.find(source, process, NOMINAL)
        # In a dense histogram a category that was never filled is full of zeros: that is a missing variation.
        return None if nominal is not None and nominal.values.any() else found

    def _binned(self, source: Source, process: str, found: Spectrum) -> Template:
        values, variances, edges = found.values.copy(), found.variances.copy(), found.edges
        where = f"channel {source.channel!r}, process {process!r}"
        if not (np.isfinite(values).all() and np.isfinite(variances).all()):
            raise WrongInput(f"{where}: there are bins that are NaN or infinite")
        first, last = 0, len(values)
        if source.range is not None:
            first, last = (_edge(edges, limit, where) for limit in source.range)
        below = found.underflow + np.array([values[:first].sum(), variances[:first].sum()])
        above = found.overflow + np.array([values[last:].sum(), variances[last:].sum()])
        values, variances, edges = values[first:last], variances[first:last], edges[first : last + 1]
        if source.flow == "add":
            values[0], variances[0] = values[0] + below[0], variances[0] + below[1]
            values[-1], variances[-1] = values[-1] + above[0], variances[-1] + above[1]
        elif below[0] or above[0]:
            self.lost[(source.channel, process)] = float(below[0] + above[0])
        if len(values) % source.rebin:
            raise WrongInput(f"{where}: {len(values)} bins cannot be merged by {source.rebin}")
        shape = (-1, source.rebin)
        edges = edges[:: source.rebin]
        known = self.edges.setdefault(source.channel, edges)
        if known.shape != edges.shape or not np.allclose(known, edges):
            raise WrongInput(f"{where}: its bins differ from those of the other processes: {edges} and {known}")
        self.axes.setdefault(source.channel, found)
        return Template(values=values.reshape(shape).sum(axis=1), variances=variances.reshape(shape).sum(axis=1))


def _edge(edges: np.ndarray, limit: float, where: str) -> int:
    place = int(np.argmin(np.abs(edges - limit)))
    if not np.isclose(edges[place], limit, rtol=1e-9, atol=1e-9 * float(np.ptp(edges))):
        raise WrongInput(f"{where}: range limit {limit} is no bin edge; the nearest one is {edges[place]}")
    return place


def _bins(places: np.ndarray) -> str:
    return ", ".join(str(place + 1) for place in places)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise WrongInput(f"params: {name} must be a mapping of names, not {value!r}")
    return dict(value)


def _keys(where: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise WrongInput(f"params: {where}: there is no {key!r}. {near(key, known)}")


def _words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value]


def _chosen(where: str, given: Any, known: Sequence[str]) -> list[str]:
    """Return a list of names out of the known ones; all of them if none is given."""
    if given is None:
        return list(known)
    for name in _words(given):
        if name not in known:
            raise WrongInput(f"params: {where}: there is no {name!r}. {near(name, known)}")
    return _words(given)


def channel_sources(params: Mapping[str, Any]) -> dict[str, Source]:
    """Return where each channel's histograms are, from the param `channels`."""
    sources = {}
    for channel, given in _mapping("channels", params["channels"]).items():
        where = f"channels: {channel}"
        said = {"histogram": given} if isinstance(given, str) else _mapping(where, given)
        _keys(where, said, ("histogram", "variation", "rebin", "range", "flow"))
        name = said.get("histogram", channel)
        rebin, limits = said.get("rebin", 1), said.get("range")
        if not isinstance(rebin, int) or rebin < 1:
            raise WrongInput(f"params: {where}: rebin={rebin!r} must be a whole number of bins to merge")
        if limits is not None and not (len(limits) == 2 and limits[0] < limits[1]):
            raise WrongInput(f"params: {where}: range={limits!r} must be two rising numbers")
        sources[channel] = Source(
            channel=channel,
            histogram=name,
            variation=said.get("variation", name + "_{systematic}"),
            rebin=rebin,
            range=tuple(limits) if limits is not None else None,
            flow=choice(f"{where}: flow", said.get("flow", "drop"), ["drop", "add"]),
        )
    if not sources:
        raise WrongInput("params: channels is empty")
    return sources


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample: the processes it is the sum of, the channels it stands in, and a factor."""

    name: str
    processes: list[str]
    channels: list[str]
    scale: float


def sample_list(params: Mapping[str, Any], channels: Sequence[str]) -> list[Sample]:
    """Return the samples of the param `samples`."""
    samples = []
    for name, given in _mapping("samples", params["samples"]).items():
        where = f"samples: {name}"
        said = {"process": given} if isinstance(given, str | list | tuple) else _mapping(where, given)
        _keys(where, said, ("process", "channels", "scale"))
        samples.append(
            Sample(
                name=name,
                processes=_words(said.get("process", name)),
                channels=_chosen(f"{where}: channels", said.get("channels"), channels),
                scale=float(said.get("scale", 1.0)),
            )
        )
    if not samples:
        raise WrongInput("params: samples is empty")
    return samples


def check_modifiers(params: Mapping[str, Any], channels: Sequence[str], samples: Sequence[str]) -> None:
    """Raise `WrongInput` for what is wrong in `norm_factors`, `systematics`, `poi` and `mc_stat`."""
    factors, systematics = (
        _mapping("norm_factors", params["norm_factors"]),
        _mapping("systematics", params["systematics"]),
    )
    for name, said in factors.items():
        _keys(f"norm_factors: {name}", _mapping(name, said), ("samples", "channels", "initial", "bounds", "fixed"))
        if said.get("samples") is None:
            raise WrongInput(f"params: norm_factors: {name}: samples is missing")
    if params["poi"] not in factors:
        example = f'norm_factors={{"{params["poi"]}": {{"samples": ["{samples[0]}"]}}}}'
        raise WrongInput(
            f"params: the parameter of interest {params['poi']!r} is no norm factor; say for instance {example}"
        )
    for name, said in systematics.items():
        where = f"systematics: {name}"
        kind = choice(f"{where}: type", _mapping(where, said).get("type"), list(SYSTEMATIC_KEYS))
        _keys(where, said, SYSTEMATIC_KEYS[kind])
        if name in factors:
            raise WrongInput(f"params: {where}: a norm factor has this name")
        if kind == "lumi" and name != "lumi":
            raise WrongInput(f"params: {where}: HistFactory demands that the luminosity's parameter is named 'lumi'")
        if kind == "lumi" and not 0 < said.get("error", 0) < 1:
            raise WrongInput(f"params: {where}: error must be a relative error, between 0 and 1")
        if kind == "norm" and "variation" not in said and not {"up", "down"} <= said.keys():
            raise WrongInput(f"params: {where}: needs `up` and `down` (factors such as 1.05 and 0.95), or `variation`")
        if kind == "norm" and any(said.get(side, 1.0) <= 0 for side in ("up", "down")):
            raise WrongInput(f"params: {where}: up and down are factors on the yield and must be above 0")
    for name, said in {**factors, **systematics}.items():
        _chosen(f"{name}: samples", said.get("samples"), samples)
        _chosen(f"{name}: channels", said.get("channels"), channels)
    if not isinstance(params["mc_stat"], bool):
        _chosen("mc_stat", params["mc_stat"], samples)


class Builder:
    """Puts the workspace together; `notes` tells what was decided on the way."""

    def __init__(self, params: Mapping[str, Any], histograms: Histograms, sources: Mapping[str, Source]) -> None:
        self.params, self.histograms, self.sources = params, histograms, sources
        self.notes: list[str] = []
        self.effects: list[dict[str, Any]] = []

    def note(self, text: str) -> None:
        """Keep a line for the report and print it."""
        self.notes.append(text)
        print(text)

    def nominal(self, source: Source, sample: Sample) -> Template:
        """Return the template of a sample, its negative bins treated as the param `negative_bins` says."""
        found = self.histograms.template(source, sample.processes, NOMINAL, sample.scale)
        assert found is not None
        where = f"channel {source.channel!r}, sample {sample.name!r}"
        if not found.values.any():
            self.note(f"{where}: all bins are empty")
        return Template(values=self._not_negative(found.values, where), variances=found.variances)

    def _not_negative(self, values: np.ndarray, where: str) -> np.ndarray:
        bad = np.flatnonzero(values < 0)
        if not len(bad) or self.params["negative_bins"] == "keep":
            return values
        said = f"{where}: negative in bins {_bins(bad)}: {', '.join(f'{one:.3g}' for one in values[bad])}"
        if self.params["negative_bins"] == "error":
            raise WrongInput(
                f"{said}. A sum of weights can be negative by chance, an expectation cannot: merge bins (channels: "
                "rebin), merge processes into one sample, or set negative_bins='zero' (the integral changes) or 'keep'"
            )
        self.note(f"{said}: set to 0; the integral rises from {values.sum():.6g} to {values.clip(0).sum():.6g}")
        return values.clip(0)

    def variations(
        self, source: Source, sample: Sample, name: str, nominal: Template
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the up and down templates of a variation, shape (bins,) each; None if it may be missing."""
        pair = []
        words = [pattern.format(name=name) for pattern in self.params["variation_names"]]
        for word in words:
            found = self.histograms.template(source, sample.processes, word, sample.scale)
            pair.append(None if found is None else found.values)
        where = f"channel {source.channel!r}, sample {sample.name!r}, systematic {name!r}"
        up, down = pair
        if up is None or down is None:
            absent = " and ".join(word for word, one in zip(words, pair, strict=True) if one is None)
            policy = self.params["missing"]
            alone = down if up is None else up
            if policy == "mirror" and alone is not None:
                self.note(f"{where}: {absent} is missing: the other side is mirrored at the nominal")
                up, down = (2 * nominal.values - alone, alone) if up is None else (alone, 2 * nominal.values - alone)
            elif policy == "skip":
                self.note(f"{where}: {absent} is missing: this sample does not vary")
                return None
            else:
                raise WrongInput(
                    f"{where}: no variation {absent}. Name the samples that have it (systematics: samples), or set "
                    "missing='skip' (they do not vary) or 'mirror' (a single side is mirrored)"
                )
        assert up is not None and down is not None
        return tuple(self._clipped(one, f"{where}, {word}") for one, word in zip((up, down), words, strict=True))  # type: ignore[return-value]

    def _clipped(self, values: np.ndarray, where: str) -> np.ndarray:
        """Variations below 0 would give the interpolation negative rates: they end at 0 whatever `negative_bins` is."""
        bad = np.flatnonzero(values < 0)
        if len(bad) and self.params["negative_bins"] != "keep":
            self.note(f"{where}: negative in bins {_bins(bad)}: set to 0")
            return values.clip(0)
        return values

    def modifiers(self, source: Source, sample: Sample, nominal: Template) -> list[dict[str, Any]]:
        """Return all modifiers of a sample in a channel, in pyhf's form."""
        found: list[dict[str, Any]] = []
        for name, said in self.params["norm_factors"].items():
            if _applies(said, source.channel, sample.name):
                found.append({"name": name, "type": "normfactor", "data": None})
        for name, said in self.params["systematics"].items():
            if _applies(said, source.channel, sample.name):
                found += self.systematic(source, sample, nominal, name, said)
        mc_stat = self.params["mc_stat"]
        if mc_stat is True or (mc_stat and sample.name in _words(mc_stat)):
            errors = np.sqrt(nominal.variances).tolist()
            found.append({"name": f"staterror_{source.channel}", "type": "staterror", "data": errors})
        return found

    def systematic(
        self, source: Source, sample: Sample, nominal: Template, name: str, said: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Return the modifiers of one systematic uncertainty: none, one, or two (`split`) that share a parameter."""
        if said["type"] == "lumi":
            return [{"name": "lumi", "type": "lumi", "data": None}]
        if nominal.total <= 0:
            self.note(
                f"channel {source.channel!r}, sample {sample.name!r}: no events, so systematic {name!r} is left out"
            )
            return []
        hi, lo = said.get("up"), said.get("down")
        shapes: list[np.ndarray] = []
        if said["type"] == "shape" or "variation" in said:
            pair = self.variations(source, sample, said.get("variation", name), nominal)
            if pair is None:
                return []
            shapes = list(pair)
            hi, lo = (float(one.sum()) / nominal.total for one in shapes)
            if min(hi, lo) <= 0:
                where = f"channel {source.channel!r}, sample {sample.name!r}, systematic {name!r}"
                raise WrongInput(f"{where}: a variation has no events")
        norm_only = said["type"] == "norm"
        self.effects.append(
            {"channel": source.channel, "sample": sample.name, "systematic": name, "up": hi, "down": lo}
        )
        normsys = {"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}}
        if norm_only:
            return [normsys]
        if said.get("normalise") or said.get("split"):
            shapes = [shape / ratio for shape, ratio in zip(shapes, (hi, lo), strict=True)]
        data = {"hi_data": shapes[0].tolist(), "lo_data": shapes[1].tolist()}
        histosys = {"name": name, "type": "histosys", "data": data}
        return [normsys, histosys] if said.get("split") and not said.get("normalise") else [histosys]


def _applies(said: Mapping[str, Any], channel: str, sample: str) -> bool:
    chosen = ((said.get("channels"), channel), (said.get("samples"), sample))
    return all(names is None or one in _words(names) for names, one in chosen)


def build(params: Mapping[str, Any], paths: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the workspace and the report on it (without provenance).

    Raises:
        WrongInput: for anything in the params or the histograms that does not make a workspace.
    """
    sources = channel_sources(params)
    samples = sample_list(params, list(sources))
    check_modifiers(params, list(sources), [sample.name for sample in samples])
    histograms = Histograms(paths)
    builder = Builder(params, histograms, sources)
    channels, observations, described = [], [], []
    for name, source in sources.items():
        templates = {one.name: builder.nominal(source, one) for one in samples if name in one.channels}
        if not templates:
            raise WrongInput(f"params: no sample stands in channel {name!r}")
        spec = [
            {
                "name": one.name,
                "data": templates[one.name].values.tolist(),
                "modifiers": builder.modifiers(source, one, templates[one.name]),
            }
            for one in samples
            if name in one.channels
        ]
        _prune_mc_stat(spec, float(params["mc_stat_threshold"]))
        observed = _observed(builder, source, spec)
        _check_bins(builder, name, spec, observed)
        channels.append({"name": name, "samples": spec})
        observations.append({"name": name, "data": observed.tolist()})
        described.append(_described(histograms, name, templates, observed))
    for (channel, process), events in histograms.lost.items():
        builder.note(f"channel {channel!r}, process {process!r}: {events:.6g} events outside of the bins are dropped")
    _check_used(params, channels)
    measurement = {"name": params["measurement"], "config": {"poi": params["poi"], "parameters": _parameters(params)}}
    workspace = {"channels": channels, "observations": observations, "measurements": [measurement], "version": "1.0.0"}
    return workspace, {"channels": described, "systematics": builder.effects, "notes": builder.notes}


def _prune_mc_stat(samples: list[dict[str, Any]], threshold: float) -> None:
    """Set MC-statistical errors to zero where that of the sum is below a relative threshold: pyhf fixes those."""
    errors = [(one, mod) for one in samples for mod in one["modifiers"] if mod["type"] == "staterror"]
    if not errors or threshold <= 0:
        return
    total = np.sum([one["data"] for one, _ in errors], axis=0)
    error = np.sqrt(np.sum([np.square(mod["data"]) for _, mod in errors], axis=0))
    small = error < threshold * total
    for _, mod in errors:
        mod["data"] = np.where(small, 0.0, mod["data"]).tolist()


def _factor(params: Mapping[str, Any], sample: dict[str, Any]) -> float:
    """Product of the initial values of the sample's norm factors."""
    names = [mod["name"] for mod in sample["modifiers"] if mod["type"] == "normfactor"]
    return float(np.prod([params["norm_factors"][name].get("initial", 1.0) for name in names]))


def _observed(builder: Builder, source: Source, samples: list[dict[str, Any]]) -> np.ndarray:
    if builder.params["data"] == "asimov":
        builder.note(f"channel {source.channel!r}: the data are the sum of the samples (Asimov), not observed events")
        parts = [_factor(builder.params, one) * np.asarray(one["data"]) for one in samples]
        return np.asarray(np.sum(parts, axis=0))
    found = builder.histograms.template(source, [builder.params["data"]], NOMINAL)
    assert found is not None
    if (found.values < 0).any():
        raise WrongInput(f"channel {source.channel!r}: the data have negative bins: are they weighted?")
    if not np.allclose(found.values, np.round(found.values), atol=1e-6):
        builder.note(f"channel {source.channel!r}: the data are no whole numbers; they are kept as they are")
        return found.values
    return np.round(found.values)


def _check_bins(builder: Builder, channel: str, samples: list[dict[str, Any]], observed: np.ndarray) -> None:
    """Look for bins in which the likelihood breaks down.

    Raises:
        WrongInput: for bins with data where nothing is expected, and (unless `empty_bins` is 'keep') for bins in which
            all that is expected is proportional to the parameter of interest.
    """
    poi = builder.params["poi"]
    total = np.sum([one["data"] for one in samples], axis=0)
    rest = np.sum(
        [one["data"] for one in samples if all(mod["name"] != poi for mod in one["modifiers"])] or [0 * total], axis=0
    )
    impossible = np.flatnonzero((total <= 0) & (observed > 0))
    if len(impossible):
        raise WrongInput(
            f"channel {channel!r}: there are data, but nothing is expected, in bins {_bins(impossible)}: "
            "the likelihood is zero. Merge bins (channels: rebin) or narrow the range"
        )
    lonely = np.flatnonzero((rest <= 0) & ((total > 0) | (observed > 0)))
    if len(lonely):
        said = f"channel {channel!r}: no background is expected in bins {_bins(lonely)}"
        if builder.params["empty_bins"] == "error":
            raise WrongInput(
                f"{said}: one event there would exclude it. Merge bins (channels: rebin), or set empty_bins='keep'"
            )
        builder.note(f"{said}: kept")
    nothing = np.flatnonzero((total <= 0) & (observed <= 0))
    if len(nothing):
        builder.note(f"channel {channel!r}: bins {_bins(nothing)} are empty in data and expectation: they say nothing")


def _check_used(params: Mapping[str, Any], channels: list[dict[str, Any]]) -> None:
    used = {mod["name"] for channel in channels for sample in channel["samples"] for mod in sample["modifiers"]}
    for name in params["norm_factors"]:
        if name not in used:
            raise WrongInput(f"params: norm_factors: {name} acts on no sample of its channels")


def _parameters(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, said in params["norm_factors"].items():
        initial, bounds = float(said.get("initial", 1.0)), [float(one) for one in said.get("bounds", (0.0, 10.0))]
        if not (len(bounds) == 2 and bounds[0] <= initial <= bounds[1] and bounds[0] < bounds[1]):
            raise WrongInput(
                f"params: norm_factors: {name}: the initial value {initial:g} is not within the bounds {bounds}"
            )
        one: dict[str, Any] = {"name": name, "inits": [initial], "bounds": [bounds]}
        found.append({**one, "fixed": True} if said.get("fixed") else one)
    for name, said in params["systematics"].items():
        if said["type"] == "lumi":
            error = float(said["error"])
            bounds = [max(0.0, 1 - 10 * error), 1 + 10 * error]
            found.append({"name": name, "auxdata": [1.0], "sigmas": [error], "inits": [1.0], "bounds": [bounds]})
    return found


def _described(
    histograms: Histograms, channel: str, templates: Mapping[str, Template], observed: np.ndarray
) -> dict[str, Any]:
    axis = histograms.axes[channel]
    yields = {
        name: {"yield": one.total, "yield_error": float(np.sqrt(one.variances.sum()))}
        for name, one in templates.items()
    }
    return {
        "name": channel,
        "observable": axis.observable,
        "label": axis.label,
        "unit": axis.unit,
        "edges": histograms.edges[channel].tolist(),
        "observed": float(observed.sum()),
        "samples": yields,
    }


def validate(workspace: dict[str, Any]) -> dict[str, int]:
    """Check a workspace with pyhf's schema, and that its likelihood is finite where it starts.

    Raises:
        WrongInput: with pyhf's words.
    """
    import pyhf

    try:
        model = pyhf.Workspace(workspace).model()
        data = pyhf.Workspace(workspace).data(model)
        start = float(model.logpdf(model.config.suggested_init(), data)[0])
    except Exception as error:
        raise WrongInput(f"pyhf does not accept the workspace: {type(error).__name__}: {error}") from error
    if not np.isfinite(start):
        raise WrongInput(
            "the likelihood is zero or undefined at the initial values: look at bins that are empty or negative"
        )
    return {"bins": sum(model.config.channel_nbins.values()), "parameters": model.config.npars}


def main(snakemake: Any) -> None:
    """Read the histograms, write the workspace and, if there is a second output, the report."""
    with logged(snakemake):
        params = parameters(snakemake, DEFAULTS, required=("channels", "samples"))
        choice("negative_bins", params["negative_bins"], ["error", "zero", "keep"])
        choice("empty_bins", params["empty_bins"], ["error", "keep"])
        choice("missing", params["missing"], ["error", "skip", "mirror"])
        if len(params["variation_names"]) != 2 or not all("{name}" in one for one in params["variation_names"]):
            raise WrongInput("params: variation_names must be two patterns with {name}, for up and down")
        paths = existing(snakemake.input)
        if not paths:
            raise WrongInput("input: there are no histograms")
        workspace, report = build(params, paths)
        sizes = validate(workspace)
        print(
            f"workspace: {len(workspace['channels'])} channels, {sizes['bins']} bins, {sizes['parameters']} parameters"
        )
        write_rows(snakemake.output.get("workspace", snakemake.output[0]), workspace)
        report_path = snakemake.output.get("report", snakemake.output[1] if len(snakemake.output) > 1 else None)
        if report_path:
            packages = [
                "pyhf",
                "hist",
                "uhi",
                "numpy",
                *(["uproot"] if any(one.endswith(".root") for one in paths) else []),
            ]
            write_rows(report_path, {"provenance": provenance(snakemake, WRAPPER, packages), **sizes, **report})


if "snakemake" in globals():
    main(snakemake)
