"""Draw the spectra of a fit: points with Poisson errors, the model and its components, pulls, and the parameters."""

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

from dataclasses import dataclass

DEFAULTS = {
    **LABELS,
    "category": None,
    "components": None,
    "background": None,
    "labels": {},
    "colours": {},
    "panel": "pulls",
    "parameters": True,
    "blind": None,
    "log": False,
    "x_label": None,
    "y_label": "Events",
    "size": [6.4, 6.4],
}
PANELS = ("pulls", "difference", "none")


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """One category of a fit.

    Attributes:
        category: its name, may be empty.
        observable: its name.
        unit: of the observable.
        edges: shape (n + 1,).
        counts: observed events (or sums of weights), shape (n,).
        variances: of the counts, shape (n,).
        total: expected events, shape (n,).
        components: the same for each component.
        pulls: shape (n,), NaN where there is none.
        x: where the curves are known, shape (m,).
        curve: expected events per unit of the observable, shape (m,).
        curves: the same for each component.
    """

    category: str
    observable: str
    unit: str
    edges: np.ndarray
    counts: np.ndarray
    variances: np.ndarray
    total: np.ndarray
    components: Mapping[str, np.ndarray]
    pulls: np.ndarray
    x: np.ndarray
    curve: np.ndarray
    curves: Mapping[str, np.ndarray]

    @property
    def scale(self) -> np.ndarray:
        """What contents are divided by: 1 for equal bins, else their widths; shape (n,)."""
        widths = np.diff(self.edges)
        return np.ones(len(widths)) if self.uniform else widths

    @property
    def uniform(self) -> bool:
        """Tell whether all bins are equally wide."""
        widths = np.diff(self.edges)
        return bool(np.allclose(widths, widths[0], rtol=1e-6))

    @property
    def width(self) -> float:
        """What turns curves (events per unit) into the height of the points."""
        return float(np.diff(self.edges)[0]) if self.uniform else 1.0


def main(snakemake: Any) -> None:
    """Draw the plot of a rule."""
    with logged(snakemake):
        given = parameters(snakemake, DEFAULTS)
        if not len(snakemake.output):
            raise WrongInput("output: name a .png, .pdf or .svg file")
        for path in snakemake.output:
            check_figure(path)
        choice("panel", given["panel"], PANELS)
        window = interval("blind", given["blind"])
        if len(snakemake.input) != 1:
            raise WrongInput(f"input: one fit result (.json) is needed, not {len(snakemake.input)} files")
        (path,) = existing(snakemake.input)
        status = check_label(given, has_data=True)
        result = read_result(path)
        spectra = choose(path, [read_spectrum(path, one) for one in result["spectra"]], given)
        check_words(given, spectra, result)
        tell(result, spectra)
        about = provenance(snakemake, "phys/mplhep/fit", ["matplotlib", "mplhep", "numpy"])
        with plot_style():
            figure = draw(given, result, spectra, status, window)
            for output in snakemake.output:
                save_figure(figure, output, about)


def read_result(path: str) -> dict[str, Any]:
    """Read a fit result with spectra."""
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongInput(f"{path}: not JSON: {error}") from None
    if not isinstance(result, dict) or not isinstance(result.get("spectra"), list) or not result["spectra"]:
        said = near("spectra", result) if isinstance(result, dict) else ""
        raise WrongInput(f"{path}: no list 'spectra' in it, as a fit result of zfit/fit has. {said}")
    return result


def read_spectrum(path: str, given: Mapping[str, Any]) -> Fitted:
    """Return one entry of `spectra`; what is null becomes NaN."""

    def array(value: Any) -> np.ndarray:
        return np.array([np.nan if one is None else one for one in value], dtype=float)

    try:
        curve = given.get("curve") or {"x": [], "total": [], "components": {}}
        counts = array(given["counts"])
        fitted = Fitted(
            category=str(given.get("category") or ""),
            observable=str(given["observable"]),
            unit=str(given.get("unit") or ""),
            edges=array(given["edges"]),
            counts=counts,
            variances=array(given.get("variances") or given["counts"]),
            total=array(given["total"]),
            components={name: array(one) for name, one in (given.get("components") or {}).items()},
            pulls=array(given.get("pulls") or [None] * len(counts)),
            x=array(curve["x"]),
            curve=array(curve["total"]),
            curves={name: array(one) for name, one in (curve.get("components") or {}).items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WrongInput(f"{path}: spectra: {type(error).__name__}: {error}") from None
    lengths = {"counts": fitted.counts, "variances": fitted.variances, "total": fitted.total, "pulls": fitted.pulls}
    lengths |= fitted.components
    for name, one in lengths.items():
        if len(one) != len(fitted.edges) - 1:
            raise WrongInput(f"{path}: spectra: {name} has {len(one)} bins, the edges make {len(fitted.edges) - 1}")
    return fitted


def choose(path: str, spectra: list[Fitted], given: Mapping[str, Any]) -> list[Fitted]:
    """Return all categories, or those of the param `category`."""
    wanted = given["category"]
    if wanted is None:
        return spectra
    known = {one.category: one for one in spectra}
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in known:
            raise WrongInput(f"{path}: no category {name!r}. {near(str(name), known)}")
    return [known[name] for name in names]


def check_words(given: Mapping[str, Any], spectra: Sequence[Fitted], result: Mapping[str, Any]) -> None:
    """Raise `WrongInput` for names in params that the fit does not know."""
    components = dict.fromkeys(name for one in spectra for name in one.components)
    known = [*components, *result.get("parameters", {}), *(one.category for one in spectra), "total", "data"]
    for param, words in (("components", components), ("background", components), ("colours", known), ("labels", known)):
        for name in [given[param]] if isinstance(given[param], str) else given[param] or []:
            if name not in words:
                raise WrongInput(f"params: {param}: there is no {name!r} in the fit. {near(str(name), words)}")
    if given["panel"] == "difference" and not background(given, spectra[0]):
        raise WrongInput(f"params: background: which components are background? There are: {', '.join(components)}")
    chosen = given["parameters"]
    for name in chosen if isinstance(chosen, list | tuple) else []:
        if name not in result.get("parameters", {}):
            raise WrongInput(f"params: parameters: no {name!r} in the fit. {near(name, result.get('parameters', {}))}")


def background(given: Mapping[str, Any], one: Fitted) -> list[str]:
    """Return the components that are background: those of the param, or those whose name says so."""
    if given["background"] is not None:
        chosen = given["background"]
        return [chosen] if isinstance(chosen, str) else list(chosen)
    return [name for name in one.components if name.lower().startswith(("background", "bkg", "bg"))]


def tell(result: Mapping[str, Any], spectra: Sequence[Fitted]) -> None:
    """Print what is drawn, and what could be overlooked."""
    if result.get("valid") is False:
        print("Warning: the fit is not valid; the figure says so")
    for one in spectra:
        print(f"{one.category or one.observable}: {one.counts.sum():.6g} events, {one.total.sum():.6g} fitted")


def draw(given: Mapping[str, Any], result: Any, spectra: Sequence[Fitted], status: str, window: Any) -> Any:
    """Return a figure with a plot for each category, in up to three columns; the parameters stand in the first."""
    from matplotlib.figure import Figure

    columns = min(len(spectra), 3)
    rows = -(-len(spectra) // columns)
    width, height = given["size"]
    figure = Figure(figsize=(width * columns, height * rows))
    margins = {"left": 0.155 / columns, "right": 1 - 0.035 / columns, "top": 1 - 0.07 / rows, "bottom": 0.11 / rows}
    grid = figure.add_gridspec(rows, columns, **margins, wspace=0.23, hspace=0.25)
    for place, one in enumerate(spectra):
        upper, lower = panels(figure, grid[place], second=given["panel"] != "none")
        # a fit without categories has one that is called "all"
        category = "" if len(result["spectra"]) == 1 and one.category == "all" else one.category
        lines = [str(given["labels"].get(one.category, category)), *given["text"].splitlines()]
        if place == 0:
            lines += parameter_lines(given, result)
        draw_spectrum(upper, given, one, status, window, "\n".join(line for line in lines if line))
        if result.get("valid") is False:
            upper.text(
                0.5,
                0.25,
                "fit not valid",
                transform=upper.transAxes,
                ha="center",
                fontsize=22,
                color="#bd1f01",
                alpha=0.8,
            )
        (lower or upper).set_xlabel(given["x_label"] or axis_label(one))
        if lower is not None:
            draw_panel(lower, given, one, status, window)
            figure.align_ylabels([upper, lower])
        put_label(upper, given, status)
    return figure


def axis_label(one: Fitted) -> str:
    """Return the observable's name with its unit."""
    return f"{one.observable} [{one.unit}]" if one.unit else one.observable


def draw_spectrum(axes: Any, given: Mapping[str, Any], one: Fitted, status: str, window: Any, text: str) -> None:
    """Draw points, components and total of one category, and set the vertical range."""
    blinded = hidden(one.edges, window)
    counts, scale = np.where(blinded, np.nan, one.counts), one.scale
    down, up = count_errors(np.where(blinded, 0, one.counts), np.where(blinded, 0, one.variances))
    shown = ~blinded
    points = draw_points(axes, one.edges, counts / scale, (down / scale, up / scale), shown)
    label = given["labels"].get("data", data_name(status)) + (" (blinded)" if blinded.any() else "")
    handles, names, highest = [points], [label], [one.total / scale, (counts + up) / scale]
    if len(one.x):
        (line,) = axes.plot(one.x, one.curve * one.width, color=colour("total", given, 0), lw=2, zorder=3)
        highest.append(one.curve * one.width)
    else:
        line = axes.stairs(one.total / scale, one.edges, baseline=None, color=colour("total", given, 0), lw=2, zorder=3)
    handles.append(line)
    names.append(given["labels"].get("total", "Fit"))
    chosen = list(one.components) if given["components"] is None else list(given["components"])
    behind = background(given, one)
    for place, name in enumerate(chosen if len(one.components) > 1 or given["components"] else [], start=1):
        style: dict[str, Any] = {"color": colour(name, given, place), "ls": "--" if name in behind else "-", "lw": 1.8}
        if name in one.curves and len(one.x):
            (line,) = axes.plot(one.x, one.curves[name] * one.width, **style)
        else:
            line = axes.stairs(one.components[name] / scale, one.edges, baseline=None, **style)
        handles.append(line)
        names.append(str(given["labels"].get(name, name)))
    if window and blinded.any():
        axes.axvspan(one.edges[:-1][blinded].min(), one.edges[1:][blinded].max(), color="0.93", zorder=-3, lw=0)
    share = put_legend(axes, handles, names, text=text)
    high = float(np.nanmax(np.concatenate(highest), initial=0.0))
    drawn = np.concatenate([one.total / scale, counts / scale])
    low = float(np.min(drawn[drawn > 0], initial=np.inf))
    log = bool(given["log"]) and np.isfinite(low)
    lows = [one.total / scale, (counts - down) / scale, *(one.components[name] / scale for name in chosen)]
    give_room(axes, low if log else float(np.nanmin(np.concatenate(lows), initial=0.0)), high, share, log=log)
    axes.set_xlim(one.edges[0], one.edges[-1])
    density = f"{given['y_label']} / {one.unit or 'unit'}"
    axes.set_ylabel(per_bin(given["y_label"], one.edges, one.unit) if one.uniform else density)


def colour(name: str, given: Mapping[str, Any], place: int) -> str:
    """Return the colour of a component: the rule's, or the next that is free."""
    order = ("#bd1f01", "#3f90da", "#ffa90e", "#832db6", "#94a4a2", "#a96b59", "#e76300", "#b9ac70", "#92dadd")
    return str(given["colours"].get(name, order[place % len(order)]))


def draw_points(axes: Any, edges: np.ndarray, values: np.ndarray, errors: Any, shown: np.ndarray) -> Any:
    """Draw points with errors at the middle of the bins that are shown."""
    centres = (edges[1:] + edges[:-1]) / 2
    size = 4 if len(centres) <= 80 else 2.5
    return axes.errorbar(
        centres[shown], values[shown], [np.maximum(one[shown], 0) for one in errors], fmt="ko", ms=size, lw=1, zorder=4
    )


def draw_panel(axes: Any, given: Mapping[str, Any], one: Fitted, status: str, window: Any) -> None:
    """Draw the lower panel: pulls, or data minus background with the rest of the model."""
    from matplotlib.ticker import MaxNLocator

    shown = ~hidden(one.edges, window)
    if given["panel"] == "pulls":
        pulls = np.where(shown, one.pulls, np.nan)
        highest = max(3.2, float(np.nanmax(np.abs(pulls), initial=0.0)) * 1.15)
        for size, grey in ((2, "0.93"), (1, "0.85")):
            axes.axhspan(-size, size, color=grey, lw=0, zorder=-3)
        axes.axhline(0, color="#bd1f01", lw=1)
        axes.plot((one.edges[1:] + one.edges[:-1]) / 2, pulls, "ko", ms=3.5 if len(pulls) <= 80 else 2.5)
        axes.set_ylim(-highest, highest)
        axes.set_ylabel("Pull")
    else:
        draw_difference(axes, given, one, shown)
        axes.set_ylabel(f"{data_name(status)} − bkg.", fontsize=12)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, prune="both"))


def draw_difference(axes: Any, given: Mapping[str, Any], one: Fitted, shown: np.ndarray) -> None:
    """Draw data minus the background components, and what the model has beside them."""
    behind = background(given, one)
    expected = np.sum([one.components[name] for name in behind], axis=0)
    down, up = count_errors(np.where(shown, one.counts, 0), np.where(shown, one.variances, 0))
    difference = (one.counts - expected) / one.scale
    draw_points(axes, one.edges, difference, (down / one.scale, up / one.scale), shown)
    axes.axhline(0, color=colour(behind[0], given, list(one.components).index(behind[0]) + 1), ls="--", lw=1.5)
    if len(one.x) and all(name in one.curves for name in behind):
        rest = (one.curve - np.sum([one.curves[name] for name in behind], axis=0)) * one.width
        axes.plot(one.x, rest, color=colour("total", given, 0), lw=2, zorder=3)
    else:
        rest = (one.total - expected) / one.scale
        axes.stairs(rest, one.edges, baseline=None, color=colour("total", given, 0), lw=2, zorder=3)
    low = float(np.min((difference - down / one.scale)[shown], initial=float(np.min(rest, initial=0.0))))
    high = float(np.max((difference + up / one.scale)[shown], initial=float(np.max(rest, initial=0.0))))
    axes.set_ylim(low - 0.1 * (high - low or 1), high + 0.1 * (high - low or 1))


def parameter_lines(given: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    """Return lines such as "mu = 125.1 ± 0.3" for free parameters or those of the rule, and the goodness of fit."""
    chosen = given["parameters"]
    if not chosen:
        return []
    known = result.get("parameters", {})
    free = [name for name, one in known.items() if one.get("error")]
    names = list(chosen) if isinstance(chosen, list | tuple) else free
    lines = [parameter_line(str(given["labels"].get(name, name)), known[name]) for name in names]
    gof = result.get("gof") or {}
    if gof.get("chi2") is not None and gof.get("ndf"):
        probability = f", p = {gof['p']:.2g}" if gof.get("p") is not None else ""
        lines.append(rf"$\chi^2$/ndf = {gof['chi2']:.1f}/{gof['ndf']:g}{probability}")
    return lines


def parameter_line(label: str, one: Mapping[str, Any]) -> str:
    """Return value and error with as many digits as the error has two of; says if fixed or at a limit."""
    value, error = one["value"], one.get("error")
    if not error:
        return f"{label} = {value:.6g} (fixed)"
    low, high = one.get("limits") or (None, None)
    near_limit = any(limit is not None and abs(value - limit) < 1e-3 * error for limit in (low, high))
    digits = int(np.floor(np.log10(error)))
    if -5 < digits < 5:
        places = max(0, 1 - digits)
        text = f"{value:.{places}f} ± {error:.{places}f}"
    else:
        text = f"({value / 10.0**digits:.1f} ± {error / 10.0**digits:.1f})"
    power = "" if -5 < digits < 5 else rf" $\times$ 10$^{{{digits}}}$"
    return f"{label} = {text.replace('-', '−')}{power}" + (" (at limit)" if near_limit else "")


if "snakemake" in globals():
    main(snakemake)
