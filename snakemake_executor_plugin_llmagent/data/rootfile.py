"""ROOT files as tables of numbers and histograms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, CannotWrite, Contents, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import Change, Rebin

TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")
HISTOGRAMS = ("TH1", "TH2", "TH3")
FOLDERS = ("TDirectory", "TDirectoryFile")


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
            columns[branch] = as_array(_values(tree[branch], limit))
        except CannotRead:
            opaque.append(branch)
    return Sheet(name=name, columns=columns, entries=int(tree.num_entries), opaque=tuple(opaque))


def _values(branch: Any, limit: int | None) -> Any:
    import uproot

    try:
        return branch.array(entry_stop=limit, library="ak")
    except (
        uproot.interpretation.identify.UnknownInterpretation, uproot.interpretation.objects.CannotBeAwkward,
        uproot.deserialization.DeserializationError, NotImplementedError,
    ) as error:  # fmt: skip
        raise CannotRead(f"{branch.name!r} is of a kind that cannot be read: {error}") from error


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


def rewrite(source: Path, target: Path, change: Change, rebin: Rebin | None, limit: int | None) -> tuple[str, ...]:
    """Write trees, histograms and what else can be copied again, altered.

    A branch of vectors comes back as an array with a branch for its lengths before it.
    """
    import uproot

    altered = []
    with _open(source) as file, uproot.recreate(target) as sink:
        for name, kind in file.classnames(cycle=False).items():
            if kind in TREES:
                altered += [name] if _copy_tree(file[name], name, kind, sink, change, limit) else []
            elif kind.startswith(HISTOGRAMS):
                found = file[name]
                instead = None if rebin is None else rebin(_histogram(found, name))
                sink[name] = found if instead is None else _written(instead, found)
                altered += [] if instead is None else [name]
            elif kind not in FOLDERS:
                _copy_object(file, name, kind, sink)
    return tuple(altered)


def _copy_object(file: Any, name: str, kind: str, sink: Any) -> None:
    try:
        sink[name] = str(file[name]) if kind == "TObjString" else file[name]
    except Exception as error:
        raise CannotWrite(f"{name!r} ({kind}) cannot be copied") from error


def _copy_tree(tree: Any, name: str, kind: str, sink: Any, change: Change, limit: int | None) -> bool:
    raw: dict[str, Any] = {}
    columns: dict[str, Array] = {}
    opaque = []
    for branch in tree.keys(recursive=False):
        try:
            raw[branch] = _values(tree[branch], limit)
        except CannotRead as error:
            raise CannotWrite(f"{branch!r} of tree {name!r} cannot be copied: {error}") from error
        try:
            columns[branch] = as_array(raw[branch])
        except CannotRead:
            opaque.append(branch)
    edit = change(Sheet(name=name, columns=columns, entries=int(tree.num_entries), opaque=tuple(opaque)))
    arrays = raw
    if edit is not None:
        arrays = {
            branch: _as_awkward(edit.columns[branch]) if branch in edit.columns else _rows(array, edit.rows)
            for branch, array in raw.items()
            if branch not in edit.drop
        }
    if kind == "ROOT::RNTuple":
        _write_ntuple(sink, name, arrays, str(tree.description or ""))
    else:
        _write_tree(sink, name, arrays, tree)
    return edit is not None


def _rows(array: Any, rows: np.ndarray[Any, Any] | None) -> Any:
    return array if rows is None else array[rows]


def _write_ntuple(sink: Any, name: str, arrays: Mapping[str, Any], description: str) -> None:
    import awkward as ak

    record = ak.to_packed(ak.zip(dict(arrays), depth_limit=1))
    ntuple = sink.mkrntuple(name, record.layout.form, description)
    if len(record):
        ntuple.extend(record)


def _write_tree(sink: Any, name: str, arrays: Mapping[str, Any], tree: Any) -> None:
    """Write a tree whose arrays are counted by the same branches as in the source, as far as there are any."""
    import awkward as ak

    groups: dict[str, dict[str, Any]] = {}
    for branch, array in arrays.items():
        if array.ndim > 1 and "var" in str(ak.type(array).content):
            counter = tree[branch].count_branch
            of_its_own = f"n{branch}_" if f"n{branch}" in arrays else f"n{branch}"
            groups.setdefault(of_its_own if counter is None else counter.name, {})[branch] = array
    written: dict[str, Any] = {}
    for branch, array in arrays.items():
        counter_name = next((name for name, group in groups.items() if branch in group), None)
        if counter_name is not None:
            written[f"{counter_name}:"] = _zipped(groups[counter_name])
        elif branch not in groups:
            written[branch] = array
    # A counter is written where the first array that it counts stands.
    made = sink.mktree(
        name, {branch: ak.type(array).content for branch, array in written.items()}, title=tree.title,
        counter_name=lambda key: key.rstrip(":"), field_name=lambda key, field: field if key.endswith(":") else key,
    )  # fmt: skip
    _give_titles(made, sink, tree)
    if written and len(next(iter(written.values()))):
        made.extend(written)


def _zipped(group: Mapping[str, Any]) -> Any:
    import awkward as ak

    try:
        return ak.zip(dict(group), depth_limit=2)
    except ValueError as error:
        raise CannotWrite(f"{', '.join(group)} would not be of one length any more") from error


def _give_titles(made: Any, sink: Any, tree: Any) -> None:
    """Give branches the titles that they had, which may hold units; uproot writes none of its own accord."""
    try:
        cascading = made._cascading
        for branch in cascading._branch_data:
            title = tree[branch["fName"]].title if branch["fName"] in tree else ""
            if title and "/" not in title[-3:] and "[" not in title.partition(" ")[0]:
                branch["fTitle"] = title
        cascading.write_anew(sink._file.sink)
    except (AttributeError, KeyError, TypeError):
        return  # another version of uproot: without titles


def _written(histogram: Histogram, found: Any) -> Any:
    """A histogram that uproot can write, with axis, flow bins, type and title of the one that was found."""
    import uproot

    if len(histogram.edges) != 1:
        raise CannotWrite("only histograms of one axis can be altered")
    flow = np.asarray(found.values(flow=True))
    weighted = histogram.variances is not None
    spread = np.asarray(found.variances(flow=True), float) if found.weighted else np.asarray(flow, float)
    values, variances = flow.copy(), spread.copy()
    if len(histogram.values) != len(flow) - 2:
        raise CannotWrite("the bins of a histogram cannot be altered")
    values[1:-1] = histogram.values
    variances[1:-1] = histogram.values if histogram.variances is None else histogram.variances
    edges = histogram.edges[0]
    axis = uproot.writing.identify.to_TAxis(
        fName="xaxis", fTitle=(histogram.labels or ("",))[0], fNbins=len(edges) - 1, fXmin=edges[0], fXmax=edges[-1],
        fXbins=edges,
    )  # fmt: skip
    centres, inner = 0.5 * (edges[1:] + edges[:-1]), np.asarray(histogram.values, float)
    return uproot.writing.identify.to_TH1x(
        fName=None, fTitle=str(found.title or ""), data=values, fEntries=float(values.sum()),
        fTsumw=float(inner.sum()), fTsumw2=float(variances[1:-1].sum()), fTsumwx=float((inner * centres).sum()),
        fTsumwx2=float((inner * centres**2).sum()), fSumw2=variances if weighted else np.array([]), fXaxis=axis,
    )  # fmt: skip
