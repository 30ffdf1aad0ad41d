"""Data for fits: columns of flat tables or histograms, by category, with checks of what commonly goes wrong."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wrappers.common.histograms import Spectrum, read_histograms, spectrum
from wrappers.common.job import WrongInput, existing
from wrappers.common.likelihood import Counts, Data, Events, make_counts, make_events
from wrappers.common.model import Model
from wrappers.common.tables import open_table

SETTINGS: dict[str, Any] = {
    "column": None, "weight": None, "tree": None, "histogram": None, "process": None,
    "category": None, "categories": None, "binning": None,
}  # fmt: skip
"""What a reader may be told, beside the model: column names, a tree or histogram, and how categories are told apart."""
OBSERVABLE_KEYS = ("quantity", "observable", "name")
NAMELESS = ("", "xaxis", "axis_0")
"""What an axis is called if it was given no name."""


def read_data(paths: Sequence[str], settings: Mapping[str, Any], model: Model) -> Data:
    """Return the events or counts of each category of a model.

    Args:
        paths: one file for all, or one per category in their order. Tables are unbinned unless `binning` says
            otherwise, histograms (UHI JSON, a ROOT TH1, or JSON with `bin_edges` and `counts`) are binned.
        settings: see `SETTINGS`; keys may be missing. `column` is the observable's, if it is not called as in the
            model; `categories` {category: value, or list of values, of the column `category`}; `binning`
            {category: edges}.
        model: its categories and their ranges.

    Raises:
        WrongInput: for what is missing, empty, not finite, or not in the range, saying what to do.
    """
    chosen = {**SETTINGS, **{key: value for key, value in settings.items() if key in SETTINGS}}
    paths = existing(paths)
    names = [one.name for one in model.categories]
    if len(paths) not in (1, len(names)):
        raise WrongInput(
            f"{len(paths)} files for {len(names)} categories: one file, or one for each, is wanted "
            "(phys/uproot/skim makes one of several)"
        )
    result: dict[str, Events | Counts] = {}
    for number, one in enumerate(model.categories):
        path = paths[number if len(paths) > 1 else 0]
        if is_histogram(path, chosen["histogram"]):
            result[one.name] = in_range(read_counts(path, chosen, one.name), one.low, one.high, path)
            continue
        if len(paths) == 1 and len(names) > 1 and not chosen["category"]:
            raise WrongInput(f"{path}: params: category: which column tells {', '.join(names)} apart?")
        column = chosen["column"] or one.observable
        events = _read_events(path, column, chosen, one.name, one.low, one.high)
        binning = (chosen["binning"] or {}).get(one.name)
        result[one.name] = events if binning is None else _not_negative(make_counts(events, binning), path)
    return result


def is_histogram(path: str, histogram: Any = None) -> bool:
    """Tell whether a file is read as a histogram: JSON, and ROOT files with a TH1 and no tree."""
    suffix = Path(path).suffix
    if suffix == ".json" or histogram is not None:
        return True
    if suffix != ".root":
        return False
    import uproot

    try:
        with uproot.open(path) as file:
            kinds = list(file.classnames(cycle=False).values())
    except Exception as error:
        raise WrongInput(f"{path}: cannot be read: {type(error).__name__}: {error}") from error
    trees = any(kind == "TTree" or "RNTuple" in kind for kind in kinds)
    return not trees and any(kind.startswith("TH1") for kind in kinds)


def read_counts(path: str, settings: Mapping[str, Any], category: str = "") -> Counts:
    """Return a histogram with all bins: `counts` of a spectrum, or a UHI or ROOT histogram (one process, nominal)."""
    document = _plain_spectrum(path)
    if document is not None:
        return _plain(document, path, "counts")
    one = _spectrum(path, settings, category)
    return _checked(one.edges, one.values, one.variances, path)


def read_axis(path: str, settings: Mapping[str, Any], category: str = "") -> tuple[str, str]:
    """Return what a histogram calls its observable and the unit; empty where it does not say."""
    document = _plain_spectrum(path)
    if document is not None:
        names = [document.get(key) for key in OBSERVABLE_KEYS]
        name = next((one for one in names if isinstance(one, str)), "")
        return name, str(document.get("unit") or "")
    one = _spectrum(path, settings, category)
    return "" if one.observable in NAMELESS else one.observable, one.unit


def _plain_spectrum(path: str) -> dict[str, Any] | None:
    """Return a JSON document with `counts`; None for other kinds of histograms."""
    if Path(path).suffix != ".json":
        return None
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongInput(f"{path}: no JSON: {error}") from error
    return document if isinstance(document, dict) and "counts" in document else None


def _spectrum(path: str, settings: Mapping[str, Any], category: str) -> Spectrum:
    name = settings.get("histogram")
    name = name.get(category) if isinstance(name, Mapping) else name
    found = read_histograms(path, [name] if name else ())
    if len(found) > 1 and category in found:
        found = {category: found[category]}
    if len(found) > 1:
        raise WrongInput(f"{path}: which histogram? params: histogram: one of {', '.join(found)}")
    return spectrum(next(iter(found.values())), process=settings.get("process"))


def read_template(document_path: str, key: str = "expected_counts") -> Counts | None:
    """Return the expected signal that a JSON spectrum holds beside its counts, under `signal`; None without."""
    document = json.loads(Path(document_path).read_text(encoding="utf-8")) if document_path.endswith(".json") else None
    signal = document.get("signal") if isinstance(document, dict) else None
    if not isinstance(signal, dict) or key not in signal:
        return None
    merged: dict[str, Any] = {**document, key: signal[key], "variances": None}
    return _plain(merged, f"{document_path}: signal", key)


def _plain(document: Mapping[str, Any], path: str, key: str) -> Counts:
    edges = document.get("bin_edges", document.get("edges"))
    try:
        counts, edges = np.array(document[key], float), np.array(edges, float)
        variances = document.get("variances")
        variances = None if variances is None else np.array(variances, float)
    except (TypeError, ValueError) as error:
        raise WrongInput(f"{path}: bin_edges and {key}: lists of numbers are wanted") from error
    if edges.ndim != 1 or edges.shape != (len(counts) + 1,) or not (np.diff(edges) > 0).all():
        raise WrongInput(f"{path}: {len(counts)} {key} need {len(counts) + 1} ascending bin_edges")
    return _checked(edges, counts, counts if variances is None else variances, path)


def _checked(edges: np.ndarray, counts: np.ndarray, variances: np.ndarray, path: str) -> Counts:
    if counts.shape != variances.shape:
        raise WrongInput(f"{path}: {len(counts)} counts, but {len(variances)} variances")
    for what, contents in (("is", counts), ("has the variance", variances)):
        finite = np.isfinite(contents)
        if not finite.all():
            raise WrongInput(f"{path}: bin {int(np.argmin(finite)) + 1} {what} {contents[~finite][0]}")
    if np.allclose(counts, variances, rtol=1e-9, atol=1e-9):
        return Counts(edges=edges, counts=counts)
    if (variances < 0).any():
        raise WrongInput(f"{path}: bin {int(np.argmin(variances)) + 1} has the variance {variances.min():g}")
    return Counts(edges=edges, counts=counts, variances=variances)


def _not_negative(counts: Counts, path: str) -> Counts:
    if (counts.counts < 0).any():
        place = int(np.argmin(counts.counts))
        low, high = counts.edges[place : place + 2]
        raise WrongInput(
            f"{path}: the bin from {low:g} to {high:g} has {counts.counts[place]:g} events: use wider bins"
        )
    return counts


def in_range(counts: Counts, low: float, high: float, path: str) -> Counts:
    """Return the bins between low and high, which must be edges; an edge in 4 decimals may be rounded."""
    slack = 1e-4 * (high - low)
    places = [int(np.argmin(np.abs(counts.edges - one))) for one in (low, high)]
    for place, one in zip(places, (low, high), strict=True):
        if abs(counts.edges[place] - one) > slack:
            shown = ", ".join(f"{edge:g}" for edge in counts.edges[max(0, place - 1) : place + 2])
            raise WrongInput(f"{path}: range: {one:g} is not an edge of a bin; edges near it are {shown}")
    part = slice(places[0], places[1])
    edges = counts.edges[places[0] : places[1] + 1].copy()
    edges[0], edges[-1] = low, high
    variances = None if counts.variances is None else counts.variances[part]
    chosen = Counts(edges=edges, counts=counts.counts[part], variances=variances)
    if not chosen.total > 0:
        raise WrongInput(f"{path}: no events between {low:g} and {high:g}")
    return _not_negative(chosen, path)


def category_values(path: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return {name: value} for the values in the column `category`, ascending: their names are the numbers."""
    table = open_table(path, settings.get("tree"))
    found: set[float] = set()
    for piece in table.pieces([settings["category"]]):
        found |= set(np.unique(piece[settings["category"]]).tolist())
        if len(found) > 50:
            raise WrongInput(f"{table.name}: column {settings['category']!r} has more than 50 values: not a category")
    return {f"{value:g}": value for value in sorted(found)}


def _read_events(path: str, column: str, settings: Mapping[str, Any], category: str, low: float, high: float) -> Events:
    table = open_table(path, settings["tree"])
    wanted = [column, *(one for one in (settings["weight"], settings["category"]) if one)]
    arrays = table.read(list(dict.fromkeys(wanted)))
    x = np.asarray(arrays[column], float)
    weights = np.asarray(arrays[settings["weight"]], float) if settings["weight"] else None
    if settings["category"]:
        values = (settings["categories"] or {}).get(category, _number(category))
        if values is None:
            raise WrongInput(f"params: categories: which values of {settings['category']!r} are {category!r}?")
        mine = np.isin(arrays[settings["category"]], values)
        if not mine.any():
            seen = ", ".join(f"{one:g}" for one in np.unique(arrays[settings["category"]])[:20])
            raise WrongInput(f"{table.name}: {settings['category']} is never {values!r} ({category!r}); it is {seen}")
        x, weights = x[mine], weights if weights is None else weights[mine]
    for name, array in ((column, x), (settings["weight"], weights)):
        if array is not None and not np.isfinite(array).all():
            number = int((~np.isfinite(array)).sum())
            raise WrongInput(
                f"{table.name}: column {name!r}: {number} of {len(array)} values are NaN or infinite: cut them"
            )
    events = make_events(x, low, high, weights)
    _tell(table.name, column, x, events, low, high)
    return events


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _tell(name: str, column: str, x: np.ndarray, events: Events, low: float, high: float) -> None:
    """Say how much of the data the range holds; fail if that is nothing."""
    if not len(x):
        raise WrongInput(f"{name}: there are no events in it")
    inside = len(events.x)
    middle = float(np.median(x))
    units = [(1000.0, "MeV where the range is in GeV"), (0.001, "GeV where the range is in MeV")]
    hint = next((f" They look like {text}." for factor, text in units if low <= middle / factor <= high), "")
    if not inside:
        raise WrongInput(
            f"{name}: no {column!r} between {low:g} and {high:g}: values go from {x.min():g} to {x.max():g}.{hint}"
        )
    share = 1 - inside / len(x)
    outside = f", {len(x) - inside:,} outside the range ({100 * share:.2g} %)" if share else ""
    print(f"{name}: {inside:,} events with {column} from {low:g} to {high:g}{outside}")
    if share > 0.99 and hint:
        print(f"Warning: {name}: almost all {column!r} are outside the range.{hint}")
    if events.weights is not None:
        negative = events.weights < 0
        lost = float(-events.weights[negative].sum())
        if not math.isfinite(events.total) or events.total <= 0:
            raise WrongInput(f"{name}: the weights sum up to {events.total:g}: there is nothing to fit")
        if negative.any():
            share = 100 * lost / events.total
            print(f"Warning: {name}: {int(negative.sum()):,} weights are negative, {share:.2g} % of the sum")
