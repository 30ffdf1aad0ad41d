"""Draw data over a stack of expected processes, with the uncertainty of their sum and a ratio panel."""

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

# --- common: plots (kept by wrappers/embed.py; edit wrappers/common/plots.py) ---
# What plots of spectra share: truthful labels, colours, errors of counts, head-room for legends.

import contextlib
import logging
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np


STATUSES = {"Simulation": True, "Simulation Open Data": True, "Toy Data": True, "Open Data": False}
"""What may stand beside an experiment's name, and whether the shown data are then simulated."""
EXPERIMENTS = ("", "ATLAS", "CMS")
RESERVED = ("preliminary", "internal", "work in progress", "supplementary", "final", "official", "paper", "approved")
COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
"""Ten colours that people with each kind of colour blindness can tell apart (M. Petroff, arXiv:2107.02270)."""
LABELS = {"experiment": "", "status": None, "luminosity": None, "energy": None, "text": ""}
"""The params of labels, and their defaults."""


def check_label(given: Mapping[str, Any], *, has_data: bool) -> str:
    """Return the status to print beside the experiment's name.

    Raises:
        WrongInput: if the status is a collaboration's own, or says other than what is shown.
    """
    experiment, status = given["experiment"], given["status"]
    if experiment not in EXPERIMENTS:
        raise WrongInput(f'params: experiment={experiment!r} is none of "", "ATLAS", "CMS"')
    words = ", ".join(f'"{one}"' for one in STATUSES)
    if status is None and not has_data:
        return "Simulation"
    if status is None:
        raise WrongInput(f"params: status is missing: there are data in this plot, so say what they are ({words})")
    if any(word in str(status).lower() for word in RESERVED):
        said = f"{experiment or 'an experiment'} gives such labels to its own reviewed results"
        raise WrongInput(f"params: status={status!r}: {said}; a plot made with open data or simulation says {words}")
    if status not in STATUSES:
        raise WrongInput(f"params: status={status!r} is none of {words}")
    if not has_data and not STATUSES[status]:
        raise WrongInput(f'params: status={status!r}, but there are no data in this plot: it must say "Simulation"')
    return str(status)


def data_name(status: str) -> str:
    """Return what points are called in a legend: simulated ones are no data."""
    return "Pseudo-data" if STATUSES[status] else "Data"


def beam(luminosity: Any, energy: Any) -> str:
    """Return "√s = 13 TeV, 36.1 fb⁻¹" from the params `luminosity` (fb⁻¹, or text with a unit) and `energy` (TeV)."""
    parts = []
    if energy is not None:
        parts.append(rf"$\sqrt{{s}} = \mathrm{{{energy:g}}}$ TeV" if isinstance(energy, int | float) else str(energy))
    if luminosity is not None:
        number = isinstance(luminosity, int | float)
        parts.append(rf"{luminosity:g} fb$^{{\mathrm{{-1}}}}$" if number else str(luminosity))
    return ", ".join(parts)


@contextlib.contextmanager
def plot_style() -> Iterator[None]:
    """Set matplotlib up as mplhep's ATLAS style does, at sizes for a figure of some six inches."""
    import matplotlib as mpl
    import mplhep

    # it would warn of each root sign
    logging.getLogger("matplotlib.mathtext").setLevel(logging.ERROR)
    sizes = {
        "font.size": 12,
        "axes.labelsize": 14,
        "legend.fontsize": 10.5,
        "xtick.labelsize": 12,
        "ytick.labelsize": 12,
    }
    ticks = {"xtick.major.size": 7, "xtick.minor.size": 3.5, "ytick.major.size": 8, "ytick.minor.size": 4}
    plain = {"legend.frameon": False, "axes.formatter.useoffset": False, "svg.hashsalt": "phys", "hatch.linewidth": 0.6}
    with mpl.rc_context():
        mpl.rcParams.update({**mplhep.style.ATLAS, **sizes, **ticks, **plain})
        yield


def panels(figure: Any, place: Any, *, second: bool) -> tuple[Any, Any]:
    """Return the axes of a plot, and of a lower panel that touches it (or nothing), at a place of a grid."""
    if not second:
        return figure.add_subplot(place), None
    grid = place.subgridspec(2, 1, height_ratios=(3, 1), hspace=0)
    upper = figure.add_subplot(grid[0])
    lower = figure.add_subplot(grid[1], sharex=upper)
    upper.tick_params(labelbottom=False)
    return upper, lower


def put_label(axes: Any, given: Mapping[str, Any], status: str) -> None:
    """Write experiment and status above the axes on the left, energy and luminosity on the right."""
    from mplhep.label import exp_text

    exp_text(
        given["experiment"],
        status,
        lumi=beam(given["luminosity"], given["energy"]),
        loc=0,
        ax=axes,
        fontsize=(15, 13, 12, 10),
        fontstyle=("italic" if given["experiment"] == "ATLAS" else "normal", "normal", "normal", "normal"),
    )


def put_legend(axes: Any, handles: Sequence[Any], names: Sequence[str], *, text: str = "", width: int = 52) -> float:
    """Put a legend at the top of the axes, and text below it on the left; return the share of height they need.

    Args:
        axes: of the plot.
        handles: what is explained.
        names: one for each; long ones are broken.
        text: lines for the upper left.
        width: how many letters fit beside each other.
    """
    lines = text.splitlines()
    longest = max((_shown_length(name) for name in names), default=1)
    beside = bool(lines) and longest + max(map(_shown_length, lines)) + 8 <= width
    columns = 1 if beside else min(max(1, width // (longest + 6)), 3, max(1, len(names)))
    broken = [name if "$" in name else "\n".join(textwrap.wrap(name, width - 8)) or name for name in names]
    axes.legend(
        handles, broken, loc="upper right", ncols=columns, columnspacing=1.2, handlelength=1.6, borderaxespad=0.6
    )
    length = -(-len(names) // columns) or 1
    rows = max(sum(1 + name.count("\n") for name in broken[at : at + length]) for at in range(0, len(names), length))
    inches = axes.get_position().height * axes.figure.get_figheight()
    below = 0.0 if beside else rows * 0.2 + 0.08
    if lines:
        axes.text(0.03, 1 - (0.1 + below) / inches, text, transform=axes.transAxes, va="top", linespacing=1.3)
    needed = max(rows * 0.2, below + len(lines) * 0.23 if lines else 0) + 0.2
    return float(min(needed / inches, 0.6))


def _shown_length(name: str) -> int:
    """Guess how many letters wide a name is, formulas being shorter than their source."""
    parts = name.split("$")
    return sum(len(part) if place % 2 == 0 else max(2, len(part) // 4) for place, part in enumerate(parts))


def give_room(axes: Any, low: float, high: float, share: float, *, log: bool = False) -> None:
    """Set the vertical range so that contents from `low` to `high` leave the upper `share` of the axes free."""
    high = high if high > 0 else 1.0
    if log:
        bottom = 10 ** np.floor(np.log10(max(low, high * 1e-6)) - 0.3)
        axes.set_yscale("log")
        axes.set_ylim(bottom, bottom * (high / bottom) ** (1.05 / (1 - share)))
    else:
        bottom = 1.1 * min(low, 0.0)
        axes.set_ylim(bottom, bottom + (high * 1.05 - bottom) / (1 - share))


def per_bin(what: str, edges: np.ndarray, unit: str) -> str:
    """Return a label for the vertical axis, such as "Events / 2 GeV"."""
    widths = np.diff(edges)
    if not np.allclose(widths, widths[0], rtol=1e-6):
        return f"{what} / bin"
    if np.isclose(widths[0], 1, rtol=1e-6):
        return f"{what} / {unit or 'bin'}"
    return f"{what} / {widths[0]:.3g} {unit}".rstrip()


def interval(name: str, value: Any) -> tuple[float, float] | None:
    """Return a param that is two rising numbers, or nothing."""
    if value is None:
        return None
    good = isinstance(value, list | tuple) and len(value) == 2
    if not (good and all(isinstance(one, int | float) for one in value) and value[0] < value[1]):
        raise WrongInput(f"params: {name}={value!r}: two numbers are needed, such as [120, 130]")
    return float(value[0]), float(value[1])


def hidden(edges: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """Return which bins touch the blinded window, shape (n,), bool; a bin that only shares its edge is shown."""
    if window is None:
        return np.zeros(len(edges) - 1, dtype=bool)
    slack = 1e-9 * (edges[-1] - edges[0])
    return (edges[:-1] < window[1] - slack) & (edges[1:] > window[0] + slack)


# --- end of common ---


DEFAULTS = {
    **LABELS,
    "histogram": None,
    "data": None,
    "processes": None,
    "overlay": {},
    "labels": {},
    "colours": {},
    "scale": {},
    "systematics": None,
    "blind": None,
    "log": False,
    "ratio": None,
    "ratio_range": None,
    "yields": False,
    "density": False,
    "flow": "hide",
    "x_label": None,
    "y_label": "Events",
    "size": [6.4, 6.0],
}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One process: contents by variation, `nominal` always among them.

    Attributes:
        values: shape (n,) for each variation.
        variances: of the nominal contents, shape (n,).
    """

    values: Mapping[str, np.ndarray]
    variances: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The numbers that are drawn; arrays have shape (n,) but `edges` (n + 1,). Hidden bins of the data are NaN."""

    observable: str
    label: str
    unit: str
    edges: np.ndarray
    data: np.ndarray | None
    data_errors: tuple[np.ndarray, np.ndarray] | None
    stack: Mapping[str, Expected]
    overlay: Mapping[str, Expected]
    blinded: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Sum of the stack, nominal."""
        return np.sum([one.values[NOMINAL] for one in self.stack.values()], axis=0) + np.zeros(len(self.edges) - 1)

    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the errors of the sum downwards and upwards.

        Statistics of the simulation and the systematics in quadrature. A variation shifts all processes together; of a
        pair `x_up` and `x_down` the larger shift counts on each side, and both on one side do not hide each other.
        """
        statistic = np.sum([one.variances for one in self.stack.values()], axis=0) + np.zeros(len(self.edges) - 1)
        squares = [statistic.copy(), statistic.copy()]
        for names in variation_pairs(
            {name for one in self.stack.values() for name in one.values if name != NOMINAL}
        ).values():
            shifts = [self._shift(name) for name in names]
            squares[0] += np.square(np.max([np.maximum(-shift, 0) for shift in shifts], axis=0))
            squares[1] += np.square(np.max([np.maximum(shift, 0) for shift in shifts], axis=0))
        return np.sqrt(squares[0]), np.sqrt(squares[1])

    def _shift(self, systematic: str) -> np.ndarray:
        stack = self.stack.values()
        return np.sum([one.values.get(systematic, one.values[NOMINAL]) for one in stack], axis=0) - self.total


def main(snakemake: Any) -> None:
    """Draw the plot of a rule."""
    with logged(snakemake):
        given = parameters(snakemake, DEFAULTS)
        if not len(snakemake.output):
            raise WrongInput("output: name a .png, .pdf or .svg file")
        for path in snakemake.output:
            if Path(path).suffix != ".json":
                check_figure(path)
        choice("flow", given["flow"], ("hide", "add"))
        window, ratio_range = interval("blind", given["blind"]), interval("ratio_range", given["ratio_range"])
        spectra = read_spectra(snakemake, given)
        data = data_processes(given["data"], spectra)
        status = check_label(given, has_data=bool(data))
        picture = arrange(given, spectra, data, window)
        tell(picture)
        about = provenance(snakemake, "phys/mplhep/stack", ["matplotlib", "mplhep", "numpy"])
        with plot_style():
            figure = draw(given, picture, status, window, ratio_range)
            for path in snakemake.output:
                if Path(path).suffix == ".json":
                    write_rows(path, {"provenance": about, **numbers(picture)})
                else:
                    save_figure(figure, path, about)


def read_spectra(snakemake: Any, given: Mapping[str, Any]) -> dict[str, dict[str, Spectrum]]:
    """Read all processes, by variation; a histogram without the axis `process` has its input's name, or its file's."""
    if not len(snakemake.input):
        raise WrongInput("input: there are no histograms")
    existing(snakemake.input)
    names = {str(path): name for name, value in snakemake.input.items() for path in [value] if isinstance(value, str)}
    spectra: dict[str, dict[str, Spectrum]] = {}
    for path in map(str, snakemake.input):
        histogram = one_histogram(path, given["histogram"])
        found = categories(histogram, "process") or [None]
        for process in found:
            name = process or names.get(path, Path(path).stem)
            if name in spectra:
                raise WrongInput(f"{path}: process {name!r} comes from another file too")
            known = categories(histogram, "systematic") or [NOMINAL]
            spectra[name] = {one: spectrum(histogram, process=process, systematic=one) for one in known}
            if NOMINAL not in spectra[name]:
                raise WrongInput(f"{path}: the axis systematic has no {NOMINAL!r}. {near(NOMINAL, known)}")
    first_name, first = next(iter(spectra.items()))
    for name, one in spectra.items():
        if not np.array_equal(one[NOMINAL].edges, first[NOMINAL].edges):
            raise WrongInput(f"{name} and {first_name} have different bins")
    return spectra


def one_histogram(path: str, name: str | None) -> Any:
    """Return the histogram of the param `histogram`, or the only one of a file."""
    found = read_histograms(path, [name] if name else [])
    if len(found) > 1:
        raise WrongInput(f"{path}: which histogram? params: histogram=... There are: {', '.join(found)}")
    return next(iter(found.values()))


def data_processes(given: Any, spectra: Mapping[str, Any]) -> list[str]:
    """Return which processes are data: those of the param, or one called `data`."""
    if given is None:
        return [name for name in spectra if name == "data"]
    chosen = [given] if isinstance(given, str) and given else list(given)
    check_names("data", chosen, spectra)
    return chosen


def check_names(param: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise `WrongInput` for a name in a param that is no process."""
    known = list(known)
    for name in names:
        if name not in known:
            raise WrongInput(f"params: {param}: there is no process {name!r}. {near(str(name), known)}")


def arrange(given: Mapping[str, Any], spectra: Mapping[str, Any], data: Sequence[str], window: Any) -> Picture:
    """Scale, order and sum what is to be drawn, and hide the data of the blinded window."""
    for param in ("labels", "colours", "scale", "overlay"):
        check_names(param, given[param], spectra)
    # a process called data is never expected events, even if the rule wants no data drawn
    rest = [name for name in spectra if name not in (*data, "data") and name not in given["overlay"]]
    order = sorted(rest, key=lambda name: float(spectra[name][NOMINAL].values.sum()))
    if given["processes"] is not None:
        check_names("processes", given["processes"], [name for name in spectra if name not in (*data, "data")])
        order = list(given["processes"])
        left = [name for name in rest if name not in order]
        if left:
            print(f"Not drawn, since the param processes does not name them: {', '.join(left)}")
    known = {name for one in spectra.values() for name in one}
    used = known if given["systematics"] is None else {NOMINAL, *given["systematics"]}
    for name in used - known:
        raise WrongInput(f"params: systematics: there is no {name!r}. {near(name, known)}")
    first = next(iter(spectra.values()))[NOMINAL]
    blinded = hidden(first.edges, window)
    observed, errors = None, None
    if data:
        shown = [contents(spectra[name][NOMINAL], given, given["scale"].get(name, 1)) for name in data]
        values, variances = np.sum(shown, axis=0)
        observed = np.where(blinded, np.nan, values)
        errors = count_errors(np.where(blinded, 0, values), np.where(blinded, 0, variances))

    def expected(name: str, factor: float = 1) -> Expected:
        scale = given["scale"].get(name, 1) * factor
        parts = {key: contents(one, given, scale) for key, one in spectra[name].items() if key in used}
        return Expected(values={key: one[0] for key, one in parts.items()}, variances=parts[NOMINAL][1])

    return Picture(
        observable=first.observable,
        label=given["x_label"] or first.label,
        unit=first.unit,
        edges=first.edges,
        data=observed,
        data_errors=errors,
        stack={name: expected(name) for name in order},
        overlay={name: expected(name, factor) for name, factor in given["overlay"].items()},
        blinded=blinded,
    )


def contents(one: Spectrum, given: Mapping[str, Any], scale: float) -> np.ndarray:
    """Return scaled sums of weights and of squared weights, shape (2, n), with the flow bins added or left out."""
    parts = np.array([one.values, one.variances])
    if given["flow"] == "add":
        parts[:, 0] += one.underflow
        parts[:, -1] += one.overflow
    return parts * np.array([[scale], [scale**2]])


def tell(picture: Picture) -> None:
    """Print what is drawn, and what could be overlooked in the plot."""
    for name, one in picture.stack.items():
        print(f"{name}: {one.values[NOMINAL].sum():.4f} +- {np.sqrt(one.variances.sum()):.4f} (statistics)")
        if np.any(one.values[NOMINAL] < 0):
            print(f"Warning: {name} is negative in {np.sum(one.values[NOMINAL] < 0)} bins")
    if picture.data is not None:
        print(f"data: {np.nansum(picture.data):.4f} in bins that are shown; {picture.blinded.sum()} bins are blinded")


def numbers(picture: Picture) -> dict[str, Any]:
    """Return the drawn numbers for JSON; `null` where nothing is drawn."""
    down, up = picture.band()
    drawn: dict[str, Any] = {"observable": picture.observable, "unit": picture.unit, "edges": picture.edges.tolist()}
    if picture.data is not None and picture.data_errors is not None:
        drawn["data"] = listed(picture.data)
        drawn["data_errors"] = [listed(np.where(picture.blinded, np.nan, one)) for one in picture.data_errors]
    drawn["processes"] = {name: one.values[NOMINAL].tolist() for name, one in picture.stack.items()}
    drawn["total"] = picture.total.tolist()
    drawn["total_errors"] = [down.tolist(), up.tolist()]
    return drawn


def listed(array: np.ndarray) -> list[float | None]:
    """Return numbers for JSON, NaN as None."""
    return [float(one) if np.isfinite(one) else None for one in array]


def draw(given: Mapping[str, Any], picture: Picture, status: str, window: Any, ratio_range: Any) -> Any:
    """Return the figure."""
    from matplotlib.figure import Figure

    with_ratio = picture.data is not None and bool(picture.stack) if given["ratio"] is None else bool(given["ratio"])
    if with_ratio and (picture.data is None or not picture.stack):
        raise WrongInput("params: ratio needs data and at least one process in the stack")
    figure = Figure(figsize=tuple(given["size"]))
    grid = figure.add_gridspec(1, 1, left=0.155, right=0.965, top=0.93, bottom=0.12)
    upper, lower = panels(figure, grid[0], second=with_ratio)
    widths = np.diff(picture.edges) if given["density"] else np.ones(len(picture.edges) - 1)
    handles, names = draw_contents(upper, given, picture, widths, status)
    if window:
        for axes in filter(None, (upper, lower)):
            low, high = picture.edges[:-1][picture.blinded], picture.edges[1:][picture.blinded]
            if len(low):
                axes.axvspan(low.min(), high.max(), color="0.93", zorder=-3, lw=0)
    share = put_legend(upper, handles, names, text=given["text"])
    low, high = extent(picture, widths)
    log = bool(given["log"]) and np.isfinite(positive(picture, widths))
    give_room(upper, low if not log else positive(picture, widths), high, share, log=log)
    if not np.any(picture.total) and (picture.data is None or not np.nansum(np.abs(picture.data))):
        upper.text(0.5, 0.4, "no entries", transform=upper.transAxes, ha="center", color="0.4")
    unit = picture.unit or "unit"
    upper.set_ylabel(
        f"{given['y_label']} / {unit}" if given["density"] else per_bin(given["y_label"], picture.edges, picture.unit)
    )
    upper.set_xlim(picture.edges[0], picture.edges[-1])
    (lower or upper).set_xlabel(picture.label)
    if lower is not None:
        draw_ratio(lower, picture, status, ratio_range)
        figure.align_ylabels([upper, lower])
    put_label(upper, given, status)
    return figure


def draw_contents(axes: Any, given: Mapping[str, Any], picture: Picture, widths: np.ndarray, status: str) -> Any:
    """Draw stack, band, overlays and data; return handles and names for the legend, top of the stack first."""
    base = np.zeros(len(widths))
    free = iter([*COLOURS] * (1 + len(picture.stack) // len(COLOURS) + len(picture.overlay)))
    colours = {name: given["colours"].get(name) or next(free) for name in [*reversed(picture.stack), *picture.overlay]}
    entries = []
    for name, one in picture.stack.items():
        top = base + one.values[NOMINAL] / widths
        handle = axes.stairs(top, picture.edges, baseline=base, fill=True, color=colours[name], ec="white", lw=0.3)
        entries.insert(0, (handle, named(name, given, one.values[NOMINAL].sum())))
        base = top
    if picture.stack:
        down, up = (one / widths for one in picture.band())
        axes.stairs(base, picture.edges, baseline=None, color="black", lw=0.9)
        style = {"fill": True, "hatch": "//////", "facecolor": "none", "edgecolor": "0.25", "linewidth": 0}
        entries.append((axes.stairs(base + up, picture.edges, baseline=base - down, **style), "Uncertainty"))
    for name, one in picture.overlay.items():
        factor = given["overlay"][name]
        shown = one.values[NOMINAL] / widths
        handle = axes.stairs(shown, picture.edges, baseline=None, color=colours[name], lw=2, ls="--")
        total = one.values[NOMINAL].sum() / factor
        entries.append((handle, named(name, given, total) + (rf" $\times$ {factor:g}" if factor != 1 else "")))
    if picture.data is not None and picture.data_errors is not None:
        centres = (picture.edges[1:] + picture.edges[:-1]) / 2
        errors = [one / widths for one in picture.data_errors]
        shown = np.isfinite(picture.data)
        points = axes.errorbar(
            centres[shown], (picture.data / widths)[shown], [one[shown] for one in errors], fmt="ko", ms=4, lw=1
        )
        name = named(
            "data", {**given, "labels": {"data": data_name(status), **given["labels"]}}, np.nansum(picture.data)
        )
        entries.insert(0, (points, name + (" (blinded)" if picture.blinded.any() else "")))
    return [one for one, _ in entries], [one for _, one in entries]


def named(name: str, given: Mapping[str, Any], total: float) -> str:
    """Return what the legend calls a process, with its yield if the rule wants that."""
    label = str(given["labels"].get(name, name))
    return (
        f"{label} ({total:,.0f})"
        if given["yields"] and abs(total) >= 100
        else f"{label} ({total:,.3g})"
        if given["yields"]
        else label
    )


def extent(picture: Picture, widths: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest thing that is drawn."""
    down, up = picture.band()
    drawn = [picture.total + up, picture.total - down, np.zeros(len(widths))]
    drawn += [one.values[NOMINAL] for one in picture.overlay.values()]
    if picture.data is not None and picture.data_errors is not None:
        drawn.append(picture.data + picture.data_errors[1])
    low, high = np.nanmin(drawn / widths), np.nanmax(drawn / widths)
    return float(low), float(high)


def positive(picture: Picture, widths: np.ndarray) -> float:
    """Return the smallest content above zero of what is drawn, for a logarithmic axis."""
    drawn = [picture.total / widths, *(one.values[NOMINAL] / widths for one in picture.overlay.values())]
    drawn += [picture.data / widths] if picture.data is not None else []
    first = next(iter(picture.stack.values()), None)
    drawn += [first.values[NOMINAL] / widths] if first else []
    above = np.concatenate(drawn)
    return float(np.min(above[above > 0], initial=np.inf))


def draw_ratio(axes: Any, picture: Picture, status: str, chosen: tuple[float, float] | None) -> None:
    """Draw data over expectation, with the errors of the data as bars and that of the expectation as a band."""
    assert picture.data is not None and picture.data_errors is not None
    total = picture.total
    good = total > 0
    safe = np.where(good, total, 1.0)
    down, up = (np.where(good, one / safe, 0.0) for one in picture.band())
    ratio = np.where(good, picture.data / safe, np.nan)
    errors = [np.where(good, one / safe, 0.0) for one in picture.data_errors]
    style = {"fill": True, "hatch": "//////", "facecolor": "none", "edgecolor": "0.25", "linewidth": 0}
    axes.stairs(np.where(good, 1 + up, np.nan), picture.edges, baseline=np.where(good, 1 - down, np.nan), **style)
    axes.axhline(1, color="black", lw=0.9)
    low, high = chosen or (0.5, 1.5)
    shown = np.isfinite(ratio) & ((picture.data > 0) | (total > 0))
    centres = (picture.edges[1:] + picture.edges[:-1]) / 2
    inside = shown & (ratio >= low) & (ratio <= high)
    axes.errorbar(centres[inside], ratio[inside], [one[inside] for one in errors], fmt="ko", ms=4, lw=1)
    for outside, marker, place in ((shown & (ratio > high), "^", 0.93), (shown & (ratio < low), "v", 0.07)):
        axes.plot(centres[outside], np.full(outside.sum(), low + place * (high - low)), marker, color="#bd1f01", ms=5)
    axes.set_ylim(low, high)
    axes.set_ylabel(f"{data_name(status)} / exp.", fontsize=12)
    axes.yaxis.set_major_locator(ratio_ticks())


def ratio_ticks() -> Any:
    """Return few ticks that do not touch those of the panel above."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, prune="both")


if "snakemake" in globals():
    main(snakemake)
