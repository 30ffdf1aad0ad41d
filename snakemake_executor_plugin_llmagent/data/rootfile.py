"""ROOT files as tables of numbers and histograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, CannotWrite, Contents, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import Change, Rebin

TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")
HISTOGRAMS = ("TH1", "TH2", "TH3")


def _open(path: Path) -> Any:
    import uproot
    import uproot.source.file

    return uproot.open(
        {str(path): None}, handler=uproot.source.file.MultithreadedFileSource, num_workers=1, use_threads=False,
        object_cache=None, array_cache=None,
    )  # fmt: skip


def load(path: Path, limit: int | None) -> Contents:
    """Read all trees and histograms."""
    with _open(path) as file:
        kinds = file.classnames(cycle=False)
        trees = [_sheet(file[name], name, limit) for name, kind in kinds.items() if kind in TREES]
        histograms = [_histogram(file[name], name) for name, kind in kinds.items() if kind.startswith(HISTOGRAMS)]
    return Contents(path=path, format="root", sheets=tuple(trees), histograms=tuple(histograms))


def _sheet(tree: Any, name: str, limit: int | None) -> Sheet:
    columns: dict[str, Array] = {}
    opaque = []
    for branch in tree.keys(recursive=False):
        try:
            columns[branch] = as_array(tree[branch].array(entry_stop=limit, library="ak"))
        except CannotRead:
            opaque.append(branch)
    return Sheet(name=name, columns=columns, entries=int(tree.num_entries), opaque=tuple(opaque))


def as_array(array: Any) -> Array:
    """The values of an awkward array of numbers, truth values, texts, or lists of them.

    Raises:
        CannotRead: it is something else.
    """
    import awkward as ak

    kind = str(ak.type(array).content)
    if "string" in kind and not kind.startswith("var * var") and "{" not in kind:
        if kind.startswith("var * string"):
            return Array(values=np.array(ak.to_list(ak.flatten(array)), dtype=object), offsets=_offsets(array))
        return Array(values=np.array(ak.to_list(array), dtype=object))
    if any(mark in kind for mark in ("{", "union[", "var * var", "?")):
        raise CannotRead(f"branches of type {kind} cannot be read as columns")
    if kind.startswith("var *"):
        return Array(values=np.asarray(ak.to_numpy(ak.flatten(array, axis=1))), offsets=_offsets(array))
    return Array(values=np.asarray(ak.to_numpy(array)))


def _offsets(array: Any) -> np.ndarray[Any, Any]:
    import awkward as ak

    return np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(array, axis=1)))]).astype(np.int64)


def _as_awkward(array: Array) -> Any:
    import awkward as ak

    if array.offsets is None:
        return ak.Array(array.values) if array.values.dtype != object else ak.Array(array.values.tolist())
    if array.values.dtype == object:
        raise CannotWrite("lists of texts cannot be written into a tree")
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(array.offsets), ak.contents.NumpyArray(array.values)))


def _histogram(found: Any, name: str) -> Histogram:
    axes = found.axes
    weighted = bool(found.weighted)
    labels = tuple(str(axis.member("fTitle") or "") for axis in axes)
    return Histogram(
        name=name, edges=tuple(np.asarray(axis.edges(), float) for axis in axes),
        values=np.asarray(found.values(), float),
        variances=np.asarray(found.variances(), float) if weighted else None, labels=labels,
    )  # fmt: skip


def rewrite(source: Path, target: Path, change: Change, rebin: Rebin | None) -> tuple[str, ...]:
    """Write trees and histograms again, altered; objects of other kinds are left out."""
    import uproot

    altered = []
    with _open(source) as file, uproot.recreate(target) as sink:
        for name, kind in file.classnames(cycle=False).items():
            if kind in TREES:
                altered += [name] if _copy_tree(file[name], name, kind, sink, change) else []
            elif kind.startswith(HISTOGRAMS):
                found = file[name]
                instead = None if rebin is None else rebin(_histogram(found, name))
                sink[name] = found if instead is None else _written(instead, found)
                altered += [] if instead is None else [name]
    return tuple(altered)


def _copy_tree(tree: Any, name: str, kind: str, sink: Any, change: Change) -> bool:
    sheet = _sheet(tree, name, None)
    if sheet.opaque:
        raise CannotWrite(f"tree {name!r} has branches that cannot be copied: {', '.join(sheet.opaque[:3])}")
    edit = change(sheet)
    after = sheet if edit is None else edit.applied(sheet)
    if kind == "ROOT::RNTuple":
        arrays = {branch: _as_awkward(array) for branch, array in after.columns.items()}
        sink.mkrntuple(name, {branch: each.type.content for branch, each in arrays.items()}).extend(arrays)
        return edit is not None
    counters = {f"n{branch}" for branch, array in after.columns.items() if array.offsets is not None}
    arrays = {branch: _as_awkward(array) for branch, array in after.columns.items() if branch not in counters}
    types = {branch: each.type.content if hasattr(each, "type") else each.dtype for branch, each in arrays.items()}
    # Counters have names of their own here: those of the source are ordinary branches, and read as such.
    sink.mktree(name, types, title=tree.title, counter_name=lambda counted: f"n{counted}")
    sink[name].extend(arrays)
    return edit is not None


def _written(histogram: Histogram, found: Any) -> Any:
    """A histogram that uproot can write, with the axes of the one that was found."""
    import uproot

    if len(histogram.edges) != 1:
        raise CannotWrite("only histograms of one axis can be altered")
    values = np.concatenate([[0.0], histogram.values, [0.0]])
    variances = histogram.values if histogram.variances is None else histogram.variances
    edges = histogram.edges[0]
    axis = uproot.writing.identify.to_TAxis(
        fName="xaxis", fTitle=(histogram.labels or ("",))[0], fNbins=len(edges) - 1, fXmin=edges[0], fXmax=edges[-1],
        fXbins=edges,
    )  # fmt: skip
    centres = 0.5 * (edges[1:] + edges[:-1])
    return uproot.writing.identify.to_TH1x(
        fName=None, fTitle=str(found.title or ""), data=values, fEntries=float(histogram.values.sum()),
        fTsumw=float(histogram.values.sum()), fTsumw2=float(variances.sum()),
        fTsumwx=float((histogram.values * centres).sum()), fTsumwx2=float((histogram.values * centres**2).sum()),
        fSumw2=np.concatenate([[0.0], variances, [0.0]]), fXaxis=axis,
    )  # fmt: skip
