"""Fit of a HistFactory workspace: parameters, correlations, goodness of fit, pulls, ranking, yields."""

__author__ = "The snakemake-executor-plugin-llmagent developers"
__copyright__ = "Copyright 2026, the snakemake-executor-plugin-llmagent developers"
__license__ = "MIT"

from collections.abc import Callable

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

# --- common: histfactory (kept by wrappers/embed.py; edit wrappers/common/histfactory.py) ---
# HistFactory workspaces: reading them, pyhf's model of them, and its minimum by iminuit.

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def constraint(model: Any, parameters: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return expected auxiliary data and their Gaussian errors, NaN for Poisson ones; shape (auxiliary,) each."""
    expected, sigmas = np.asarray(model.expected_auxdata(parameters)), []
    for name in model.config.auxdata_order:
        parset = model.config.param_set(name)
        poisson = parset.pdf_type == "poisson"
        sigmas += [math.nan] * parset.n_parameters if poisson else list(parset.width())
    return expected, np.array(sigmas, dtype=float)


BATCH_CELLS = 10_000_000
"""So many numbers may pyhf hold for the differences that make derivatives; larger models are minimised without."""


class HistfactoryModel:
    """pyhf's model of a workspace and its data, with derivatives from differences that are evaluated all at once.

    For pyhf one point costs nearly as much time as a hundred, so derivatives by differences are almost free.

    Attributes:
        model: pyhf's.
        data: bin contents, then auxiliary data, shape (bins + auxiliary,).
    """

    def __init__(self, workspace: Any, measurement: str | None) -> None:
        self.model = workspace.model(measurement_name=measurement)
        self.data = np.asarray(workspace.data(self.model), dtype=float)
        config = self.model.config
        widths: list[float] = []
        for name in config.par_order:
            parset = config.param_set(name)
            constrained = parset.constrained and parset.pdf_type == "normal"
            widths += parset.width() if constrained else [1.0] * parset.n_parameters
        self.steps = 1e-3 * np.array(widths)
        cells = 2 * config.npars * config.nmaindata * len(config.samples) * max(1, len(config.modifiers))
        batched = 2 * config.npars
        self.batch = workspace.model(measurement_name=measurement, batch_size=batched) if cells < BATCH_CELLS else None

    def nll(self, values: np.ndarray, data: np.ndarray) -> float:
        """Return the negative log-likelihood; 1e30 where it is not defined."""
        with np.errstate(all="ignore"):
            value = -float(self.model.logpdf(values, data)[0])
        return value if math.isfinite(value) else 1e30

    def slopes(
        self, values: np.ndarray, data: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return its first and (diagonal) second derivatives, shape (parameters,) each, without leaving the limits."""
        up, down = np.minimum(values + self.steps, high), np.maximum(values - self.steps, low)
        number = len(values)
        points = np.tile(values, (2 * number, 1))
        places = np.arange(number)
        points[places, places], points[places + number, places] = up, down
        with np.errstate(all="ignore"):
            sides = -np.asarray(self.batch.logpdf(points, data))
        above, below, centre = sides[:number], sides[number:], self.nll(values, data)
        width = np.where(up > down, up - down, np.inf)
        first = np.nan_to_num((above - below) / width)
        inside = (up > values) & (down < values)
        second = np.where(inside, np.nan_to_num((above + below - 2 * centre) / self.steps**2), 1.0)
        return first, np.where(second > 0, second, 1.0)

    def minimise(
        self, data: np.ndarray, start: Any, fixed: Any, limits: Any, *, tol: float = 0.01, strategy: int = 0
    ) -> Any:
        """Minimise the negative log-likelihood; return the Minuit object (errordef 0.5).

        Args:
            data: shape (bins + auxiliary,).
            start: initial values, shape (parameters,).
            fixed: which ones stay there, shape (parameters,).
            limits: pairs; None is no limit.
            tol: of MIGRAD: the distance to the minimum is estimated to be below 0.001 tol.
            strategy: of MIGRAD; after a failure 2 is tried, without the gradient.
        """
        from iminuit import Minuit

        low = np.array([-math.inf if one[0] is None else one[0] for one in limits])
        high = np.array([math.inf if one[1] is None else one[1] for one in limits])

        last: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

        def slopes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            key = values.tobytes()
            if key not in last:
                last.clear()
                last[key] = self.slopes(values, data, low, high)
            return last[key]

        def searching(*, quick: bool) -> Any:
            first, second = ((lambda one: slopes(one)[0]), (lambda one: slopes(one)[1])) if quick else (None, None)
            names = self.model.config.par_names
            values = np.asarray(start, dtype=float)
            minuit = Minuit(lambda one: self.nll(one, data), values, grad=first, g2=second, name=names)
            minuit.errordef, minuit.tol, minuit.strategy = 0.5, tol, strategy
            minuit.limits, minuit.fixed = list(limits), list(fixed)
            minuit.errors = np.where(self.steps < 1e-3, 100 * self.steps, 0.1)
            return minuit

        minuit = searching(quick=self.batch is not None)
        if all(fixed):
            return minuit
        minuit.migrad()
        if not minuit.valid:
            minuit = searching(quick=False)
            minuit.strategy = 2
            minuit.migrad()
            if not minuit.valid:
                minuit.simplex().migrad()
        return minuit


def pyhf_model(spec: Mapping[str, Any], name: str, measurement: str | None = None) -> HistfactoryModel:
    """Return pyhf's model of a workspace and its data.

    Raises:
        WrongInput: if pyhf does not accept it, or has no such measurement.
    """
    import pyhf

    pyhf.set_backend("numpy")
    known = [one.get("name") for one in spec.get("measurements", [])] if isinstance(spec, Mapping) else []
    if measurement is not None and measurement not in known:
        raise WrongInput(f"{name}: no measurement {measurement!r}. {near(measurement, known)}")
    try:
        return HistfactoryModel(pyhf.Workspace(dict(spec)), measurement)
    except Exception as error:
        said = str(error).strip().splitlines()
        raise WrongInput(
            f"{name}: pyhf does not accept it: {type(error).__name__}: {said[0] if said else ''}"
        ) from error


def read_workspace(path: str) -> dict[str, Any]:
    """Read a workspace.

    Raises:
        WrongInput: if it is no JSON object.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongInput(f"{path}: no JSON: {error}") from error
    if not isinstance(document, dict):
        raise WrongInput(f"{path}: no JSON object")
    return document


# --- end of common ---

WRAPPER = "phys/cabinetry/fit"
DEFAULTS: dict[str, Any] = {
    "measurement": None,
    "asimov": False,
    "fixed": {},
    "minos": [],
    "ranking": None,
    "label": "",
    "max_ranked": 20,
    "min_correlation": 0.0,
}
OUTPUTS = ("fit", "pulls", "correlation", "ranking", "prefit", "postfit")
COLOURS = ("#3f90da", "#ffa90e", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
SIGNAL_COLOUR = "#bd1f01"


class Fit:
    """A model, its data, and the minimum of its likelihood.

    Attributes:
        values, errors: of all parameters, shape (parameters,); the error of a fixed one is 0.
        covariance, correlation: shape (parameters, parameters); rows of fixed parameters are 0 (and 1 on the diagonal).
    """

    def __init__(self, whole: HistfactoryModel, data: np.ndarray, fixed: Mapping[str, float]) -> None:
        self.whole, self.model, self.data = whole, whole.model, data
        config = self.model.config
        self.names: list[str] = config.par_names
        self.limits: list[tuple[float, float]] = [tuple(one) for one in config.suggested_bounds()]
        self.held = np.array(config.suggested_fixed(), dtype=bool)
        self.start = np.array(config.suggested_init(), dtype=float)
        for name, value in fixed.items():
            if name not in self.names:
                raise WrongInput(f"params: fixed: there is no parameter {name!r}. {near(name, self.names)}")
            self.held[self.names.index(name)], self.start[self.names.index(name)] = True, value
        self.minuit = whole.minimise(data, self.start, self.held, self.limits, tol=1e-3, strategy=1)
        self.minuit.hesse()
        self.values = np.array(self.minuit.values)
        size = len(self.names)
        found = self.minuit.covariance
        self.covariance = np.zeros((size, size)) if found is None else np.nan_to_num(np.array(found))
        self.covariance[self.held, :], self.covariance[:, self.held] = 0.0, 0.0
        # Minuit's own errors of parameters with limits differ from this by up to a per cent: a mean of two sides.
        self.errors = np.sqrt(np.abs(self.covariance.diagonal()))
        scale = np.where(self.covariance.diagonal() > 0, np.sqrt(np.abs(self.covariance.diagonal())), 1.0)
        self.correlation = self.covariance / np.outer(scale, scale)
        np.fill_diagonal(self.correlation, 1.0)
        self.aux, self.widths = self._constraints()

    def _constraints(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what each constraint would have its parameter be, and its width; NaN for free parameters."""
        from cabinetry import model_utils

        config = self.model.config
        aux, place = np.full(len(self.names), math.nan), config.nmaindata
        for name in config.auxdata_order:
            parset, where = config.param_set(name), config.par_slice(name)
            measured = self.data[place : place + parset.n_parameters]
            aux[where] = measured / np.asarray(parset.factors) if parset.pdf_type == "poisson" else measured
            place += parset.n_parameters
        widths = np.array(model_utils.prefit_uncertainties(self.model))
        return aux, np.where((widths > 0) & ~self.held, widths, math.nan)

    @property
    def valid(self) -> bool:
        """Whether the minimum was found."""
        return bool(self.minuit.valid) and math.isfinite(float(self.minuit.fval)) and float(self.minuit.fval) < 1e29

    def gof(self) -> dict[str, Any]:
        """Compare with the saturated model: twice the difference of the logarithms, which follows a chi2 distribution.

        The deviance of the Poisson counts (Baker, Cousins, Nucl. Instrum. Meth. 221 (1984) 437), plus that of the
        constraints.
        """
        from cabinetry import model_utils
        from scipy.special import xlogy
        from scipy.stats import chi2

        bins = self.model.config.nmaindata
        counts, expected = self.data[:bins], np.asarray(self.model.expected_actualdata(self.values))
        with np.errstate(all="ignore"):
            deviance = 2 * np.sum(expected - counts + xlogy(counts, counts) - xlogy(counts, expected))
        best = np.where(np.isnan(self.aux), self.values, self.aux)
        if self.model.config.nauxdata:
            pairs = [float(self.model.constraint_logpdf(self.data[bins:], one)) for one in (best, self.values)]
            deviance += 2 * (pairs[0] - pairs[1])
        free = model_utils.unconstrained_parameter_count(self.model)
        suggested = np.array(self.model.config.suggested_fixed(), dtype=bool)
        free -= int(np.sum(self.held & ~suggested & np.isnan(self.aux)))
        ndf = bins - free
        value = max(0.0, float(deviance))
        return {"chi2": value, "ndf": ndf, "p": float(chi2.sf(value, ndf)) if ndf > 0 else None}

    def results(self) -> Any:
        """Return the fit as cabinetry knows it."""
        from cabinetry.fit import FitResults

        return FitResults(self.values, self.errors, self.names, self.correlation, 2 * float(self.minuit.fval))

    def pulls(self) -> dict[str, dict[str, float]]:
        """Return (value - constraint) / width and error / width of the constrained parameters."""
        places = np.flatnonzero(np.isfinite(self.widths) & np.isfinite(self.aux))
        return {
            self.names[place]: {
                "pull": float((self.values[place] - self.aux[place]) / self.widths[place]),
                "constraint": float(self.errors[place] / self.widths[place]),
            }
            for place in places
        }

    def ranking(self) -> list[dict[str, Any]]:
        """Return the impact of each parameter on the parameter of interest, largest first.

        As in cabinetry: the shift of the best fit when the parameter is held at its best value plus or minus its error
        after the fit (`postfit`) or the width of its constraint (`prefit`); but never beyond its bounds.
        """
        poi = self.model.config.poi_index
        places = [place for place in range(len(self.names)) if place != poi and not self.held[place]]
        progress = Progress("ranking", len(places), "parameters")
        rows = []
        for place in places:
            row: dict[str, Any] = {"parameter": self.names[place]}
            for kind, width in (("prefit", self.widths[place]), ("postfit", self.errors[place])):
                for side, sign in (("up", 1), ("down", -1)):
                    row[f"{kind}_{side}"] = self._impact(place, sign * float(width)) if width > 0 else 0.0
            rows.append(row)
            progress.add(1)
        return sorted(rows, key=lambda row: (-max(abs(row["postfit_up"]), abs(row["postfit_down"])), row["parameter"]))

    def _impact(self, place: int, shift: float) -> float:
        poi, held, start = self.model.config.poi_index, self.held.copy(), self.values.copy()
        low, high = self.limits[place]
        start[place], held[place] = min(max(start[place] + shift, low), high), True
        found = self.whole.minimise(self.data, start, held, self.limits, tol=1e-3)
        if not found.valid:
            print(f"ranking: the fit with {self.names[place]} = {start[place]:.4g} did not converge")
        return float(found.values[poi] - self.values[poi])


def yields(before: Any, after: Any) -> dict[str, Any]:
    """Return the expected events of each sample in each channel before and after the fit, with errors."""
    table: dict[str, Any] = {}
    for place, channel in enumerate(before.model.config.channels):
        rows = {}
        for number, sample in enumerate([*before.model.config.samples, "total"]):
            row = {}
            for kind, one in (("prefit", before), ("postfit", after)):
                bins = np.asarray(one.model_yields[place])
                row[kind] = float(bins.sum() if sample == "total" else bins[number].sum())
                row[f"{kind}_error"] = float(one.total_stdev_model_channels[place][number])
            if row["prefit"] or row["postfit"]:
                rows[sample] = row
        table[channel] = rows
    return table


def spectra(prediction: Any, data: np.ndarray, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return data and expectation per channel; without a report of phys/pyhf/workspace bins are numbered."""
    axes = {one["name"]: one for one in report.get("channels", [])}
    config, found = prediction.model.config, []
    for place, channel in enumerate(config.channels):
        counts = data[config.channel_slices[channel]]
        axis, bins = axes.get(channel, {}), np.asarray(prediction.model_yields[place])
        edges = axis.get("edges", list(range(len(counts) + 1)))
        if len(edges) != len(counts) + 1:
            raise WrongInput(
                f"input: the report is of another workspace: channel {channel!r} has {len(edges) - 1} bins"
            )
        total, error = bins.sum(axis=0), np.asarray(prediction.total_stdev_model_bins[place][-1])
        spread = np.sqrt(np.maximum(total, 1e-12))
        found.append(
            {
                "category": channel,
                "observable": axis.get("observable", "bin"),
                "label": axis.get("label") or axis.get("observable") or "Bin",
                "unit": axis.get("unit", ""),
                "edges": [float(edge) for edge in edges],
                "counts": counts.tolist(),
                "variances": counts.tolist(),
                "total": total.tolist(),
                "total_errors": error.tolist(),
                "components": {
                    name: row.tolist() for name, row in zip(config.samples, bins, strict=True) if np.any(row)
                },
                "pulls": ((counts - total) / spread).tolist(),
            }
        )
    return found


def result(fit: Fit, minos: Sequence[str]) -> dict[str, Any]:
    """Return the fit as JSON: parameters, covariance, goodness of fit."""
    found = {}
    for place, name in enumerate(fit.names):
        one: dict[str, Any] = {
            "value": float(fit.values[place]),
            "error": float(fit.errors[place]),
            "limits": [float(limit) for limit in fit.limits[place]],
        }
        if fit.held[place]:
            one["fixed"] = True
        if name in minos:
            errors = fit.minuit.merrors[name]
            one |= {"minos": [float(errors.lower), float(errors.upper)], "minos_valid": bool(errors.is_valid)}
        found[name] = one
    return {
        "valid": fit.valid,
        "accurate": bool(fit.minuit.accurate),
        "fmin": float(fit.minuit.fval),
        "edm": float(fit.minuit.fmin.edm),
        "poi": fit.model.config.poi_name,
        "parameters": found,
        "covariance": fit.covariance.tolist(),
        "correlation": fit.correlation.tolist(),
        "gof": fit.gof(),
        "n_events": float(fit.data[: fit.model.config.nmaindata].sum()),
        "pulls": fit.pulls(),
    }


def _say(axes: Any, label: str) -> None:
    if label:
        axes.set_title(label, loc="left", fontsize=11, fontweight="bold")


def _short(name: str) -> str:
    """Parameter names of MC statistics in fewer letters, for plots."""
    return name.replace("staterror_", "stat. ")


def draw_pulls(pulls: Mapping[str, Mapping[str, float]], label: str) -> Any:
    """Draw pulls with their errors over bands of one and two standard deviations."""
    names = list(pulls)
    figure = new_figure(6.0, 1.4 + 0.26 * max(len(names), 2))
    axes = figure.subplots()
    heights = np.arange(len(names))[::-1]
    for width, colour in ((2, "#fff3b8"), (1, "#c8e6c0")):
        axes.axvspan(-width, width, color=colour, zorder=0)
    axes.axvline(0, color="0.4", linewidth=0.8, linestyle=":")
    values = [pulls[name]["pull"] for name in names]
    axes.errorbar(values, heights, xerr=[pulls[name]["constraint"] for name in names], fmt="o", color="black", ms=4)
    axes.set_yticks(heights, [_short(name) for name in names])
    axes.set_ylim(-0.8, len(names) - 0.2)
    reach = max([2.6, *(abs(value) + 1.2 for value in values)])
    axes.set_xlim(-reach, reach)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_xlabel(r"$(\hat{\theta} - \theta_0)\,/\,\Delta\theta$")
    _say(axes, label)
    return figure


def draw_correlation(fit: Fit, least: float, label: str) -> Any:
    """Draw the correlation matrix of the free parameters that correlate with another one by at least `least`."""
    free = np.flatnonzero(~fit.held)
    matrix = fit.correlation[np.ix_(free, free)]
    others = np.abs(matrix - np.eye(len(free)))
    kept = np.flatnonzero(others.max(axis=0, initial=0.0) >= least)
    matrix, names = matrix[np.ix_(kept, kept)], [_short(fit.names[free[place]]) for place in kept]
    figure = new_figure(3.2 + 0.42 * len(names), 2.4 + 0.42 * len(names))
    axes = figure.subplots()
    image = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(which="both", length=0)
    for row, column in np.ndindex(*matrix.shape):
        value = matrix[row, column]
        if abs(value) >= 0.005 and len(names) <= 40:
            colour = "white" if abs(value) > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}".replace("-", "−"), ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(image, ax=axes, label="Correlation", shrink=0.8)
    _say(axes, label)
    return figure


def draw_ranking(fit: Fit, rows: Sequence[Mapping[str, Any]], most: int, label: str) -> Any:
    """Draw the largest impacts on the parameter of interest, with the pulls over them."""
    shown = rows[:most]
    figure = new_figure(7.5, 2.4 + 0.36 * max(len(shown), 2))
    axes = figure.subplots()
    heights, pulls = np.arange(len(shown))[::-1], fit.pulls()
    sides = (("up", "#3f90da", "+"), ("down", "#ffa90e", "-"))
    for side, colour, sign in sides:
        before = [row[f"prefit_{side}"] for row in shown]
        axes.barh(
            heights, before, 0.8, fill=False, edgecolor=colour, label=rf"$\theta = \hat{{\theta}} {sign} \Delta\theta$"
        )
    for side, colour, sign in sides:
        after = [row[f"postfit_{side}"] for row in shown]
        axes.barh(heights, after, 0.8, color=colour, label=rf"$\theta = \hat{{\theta}} {sign} \Delta\hat{{\theta}}$")
    reach = max(
        [abs(row[f"{kind}_{side}"]) for row in shown for kind in ("prefit", "postfit") for side in ("up", "down")]
        or [1]
    )
    axes.set_xlim(-1.15 * reach, 1.15 * reach)
    axes.set_yticks(heights, [_short(row["parameter"]) for row in shown])
    axes.set_ylim(-0.8, len(shown) - 0.2)
    axes.set_xlabel(f"Impact on {fit.model.config.poi_name} (bars)")
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.tick_params(axis="x", which="both", top=False)
    over = axes.twiny()
    known = [
        (height, pulls[row["parameter"]])
        for height, row in zip(heights, shown, strict=True)
        if row["parameter"] in pulls
    ]
    over.errorbar(
        [one["pull"] for _, one in known],
        [height for height, _ in known],
        xerr=[one["constraint"] for _, one in known],
        fmt="o",
        color="black",
        ms=4,
        label="pull",
    )
    span = max([2.0, *(abs(one["pull"]) + one["constraint"] + 0.2 for _, one in known)])
    over.set_xlim(-span, span)
    over.tick_params(axis="x", which="both", bottom=False)
    over.set_xlabel(r"$(\hat{\theta} - \theta_0)\,/\,\Delta\theta$ (points)")
    for line in (-1, 0, 1):
        over.axvline(line, color="0.5", linewidth=0.7, linestyle="--")
    handles = [*axes.get_legend_handles_labels()[0], *over.get_legend_handles_labels()[0]]
    figure.legend(
        handles,
        [one.get_label() for one in handles],
        loc="outside upper center",
        ncol=5,
        fontsize=9,
        title=label or None,
    )
    return figure


def draw_spectra(found: Sequence[Mapping[str, Any]], signals: Sequence[str], kind: str, label: str) -> Any:
    """Draw data over the stack of samples with its uncertainty, and their ratio, one column per channel."""
    figure = new_figure(5.2 * len(found), 5.6)
    grid = figure.subplots(2, len(found), squeeze=False, height_ratios=[3, 1], sharex="col")
    names = list(dict.fromkeys(name for one in found for name in one["components"]))
    ordered = [*(name for name in names if name not in signals), *(name for name in names if name in signals)]
    plain = [name for name in ordered if name not in signals]
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(plain)}
    for column, one in enumerate(found):
        _draw_channel(grid[0, column], one, ordered, colours, kind, label)
        _draw_ratio(grid[1, column], one)
    return figure


def _draw_channel(
    axes: Any, one: Mapping[str, Any], names: Sequence[str], colours: Mapping[str, str], kind: str, label: str
) -> None:
    edges, counts = np.asarray(one["edges"]), np.asarray(one["counts"])
    total, error = np.asarray(one["total"]), np.asarray(one["total_errors"])
    base = np.zeros(len(counts))
    for name in names:
        if name in one["components"]:
            top = base + np.asarray(one["components"][name])
            axes.stairs(top, edges, baseline=base, fill=True, color=colours.get(name, SIGNAL_COLOUR), label=name)
            base = top
    axes.stairs(
        total + error,
        edges,
        baseline=total - error,
        fill=True,
        facecolor="none",
        edgecolor="0.25",
        hatch="////",
        lw=0,
        label="Uncertainty",
    )
    centres = (edges[1:] + edges[:-1]) / 2
    axes.errorbar(centres, counts, yerr=np.sqrt(counts), fmt="o", color="black", ms=4, label="Data")
    axes.set_ylim(0, 1.5 * max(float(np.max(counts + np.sqrt(counts))), float(np.max(total + error)), 1.0))
    axes.set_ylabel("Events / bin")
    axes.legend(fontsize=9, ncol=2, loc="upper right")
    axes.text(0.03, 0.96, "\n".join(filter(None, [label, one["category"], kind])), transform=axes.transAxes, va="top")


def _draw_ratio(axes: Any, one: Mapping[str, Any]) -> None:
    edges, counts = np.asarray(one["edges"]), np.asarray(one["counts"])
    total, error = np.asarray(one["total"]), np.asarray(one["total_errors"])
    good = total > 0
    safe = np.where(good, total, 1.0)
    centres = (edges[1:] + edges[:-1]) / 2
    axes.stairs(
        1 + error / safe,
        edges,
        baseline=1 - error / safe,
        fill=True,
        facecolor="none",
        edgecolor="0.25",
        hatch="////",
        lw=0,
    )
    axes.axhline(1, color="0.4", linewidth=0.8, linestyle="--")
    axes.errorbar(
        centres[good], (counts / safe)[good], yerr=(np.sqrt(counts) / safe)[good], fmt="o", color="black", ms=4
    )
    far = np.abs((counts / safe)[good] - 1) + (np.sqrt(counts) / safe)[good]
    reach = min(1.0, 1.1 * max(0.1, *far)) if len(far) else 0.1
    axes.set_ylim(1 - reach, 1 + reach)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylabel("Data / pred.")
    axes.set_xlabel(one["label"])


def _signals(spec: Mapping[str, Any], poi: str) -> list[str]:
    samples = [sample for channel in spec["channels"] for sample in channel["samples"]]
    return sorted({one["name"] for one in samples if any(mod["name"] == poi for mod in one["modifiers"])})


def read_report(path: str | None) -> dict[str, Any]:
    """Return the report of phys/pyhf/workspace, or an empty one."""
    return {} if path is None else read_workspace(path)


def run(snakemake: Any, params: Mapping[str, Any]) -> None:
    """Fit, and write what outputs are named."""
    from cabinetry import model_utils

    path = str(snakemake.input.get("workspace", snakemake.input[0]))
    extra = snakemake.input.get("report", snakemake.input[1] if len(snakemake.input) > 1 else None)
    outputs = {name: path for name, path in snakemake.output.items() if path}
    outputs.setdefault("fit", snakemake.output[0])
    spec, report = read_workspace(path), read_report(extra and str(extra))
    whole = pyhf_model(spec, path, params["measurement"])
    model, data = whole.model, whole.data
    if params["asimov"]:
        data = np.asarray(model_utils.asimov_data(model), dtype=float)
    minos = [params["minos"]] if isinstance(params["minos"], str) else list(params["minos"])
    for name in minos:
        if name not in model.config.par_names:
            raise WrongInput(f"params: minos: there is no parameter {name!r}. {near(name, model.config.par_names)}")
    fit = Fit(whole, data, params["fixed"])
    if not fit.valid:
        print(
            "The fit did not converge: valid is false in the result. Look at empty bins, and at values at their bounds."
        )
    for name in minos if fit.valid else []:
        if not fit.held[fit.names.index(name)]:
            fit.minuit.minos(name)
    before, after = model_utils.prediction(model), model_utils.prediction(model, fit_results=fit.results())
    document = result(fit, [name for name in minos if name in fit.minuit.merrors])
    document["asimov"] = bool(params["asimov"])
    document["yields"] = yields(before, after)
    document["spectra"] = spectra(after, data, report)
    wanted = "ranking" in outputs if params["ranking"] is None else bool(params["ranking"])
    if wanted and (model.config.poi_index is None or fit.held[model.config.poi_index]):
        raise WrongInput("ranking: there is no free parameter of interest")
    document["ranking"] = fit.ranking() if wanted else []
    where = provenance(snakemake, WRAPPER, ["cabinetry", "iminuit", "numpy", "pyhf", "scipy"])
    write_json(outputs["fit"], {**document, "provenance": where})
    _tell(document)
    label = " ".join(filter(None, [params["label"], "Asimov data" if params["asimov"] else ""]))
    signals = _signals(spec, model.config.poi_name)
    drawings: dict[str, Callable[[], Any]] = {
        "pulls": lambda: draw_pulls(document["pulls"], label),
        "correlation": lambda: draw_correlation(fit, params["min_correlation"], label),
        "ranking": lambda: draw_ranking(fit, document["ranking"], params["max_ranked"], label),
        "prefit": lambda: draw_spectra(spectra(before, data, report), signals, "before the fit", label),
        "postfit": lambda: draw_spectra(document["spectra"], signals, "after the fit", label),
    }
    for name, draw in drawings.items():
        if name in outputs:
            save_figure(draw(), outputs[name], where)


def _tell(document: Mapping[str, Any]) -> None:
    width = max(map(len, document["parameters"]))
    for name, one in document["parameters"].items():
        said = "(fixed)" if one.get("fixed") else f"+- {one['error']:.4f}"
        print(f"{name:<{width}} = {one['value']:.4f} {said}")
    print(f"valid: {document['valid']}; goodness of fit: {document['gof']}")


def main(snakemake: Any) -> None:
    """Check the rule, then fit."""
    with logged(snakemake):
        params = parameters(snakemake, DEFAULTS)
        if not isinstance(params["fixed"], Mapping):
            raise WrongInput("params: fixed must be a mapping of parameters to values")
        for name, path in snakemake.output.items():
            if name not in OUTPUTS:
                raise WrongInput(f"output: there is no {name!r}. {near(name, OUTPUTS)}")
            if name != "fit":
                check_figure(path)
        if len(snakemake.output) > 1 and "fit" not in dict(snakemake.output.items()):
            raise WrongInput("output: with several outputs each needs a name; fit=... is missing")
        if "ranking" in dict(snakemake.output.items()) and params["ranking"] is False:
            raise WrongInput("params: ranking=False, but the plot of the ranking is an output")
        if not existing(snakemake.input):
            raise WrongInput("input: there is no workspace")
        run(snakemake, params)


if "snakemake" in globals():
    main(snakemake)
