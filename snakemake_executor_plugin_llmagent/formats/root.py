"""ROOT files: what lies in which directory, and the contents of histograms. Trees are read in `ttree` and `rntuple`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from snakemake_executor_plugin_llmagent.formats import rntuple, ttree
from snakemake_executor_plugin_llmagent.formats.contents import Contents, Unreadable, left_out
from snakemake_executor_plugin_llmagent.formats.numbers import NAME_LIMIT, TITLE_LIMIT, column, unit_in
from snakemake_executor_plugin_llmagent.formats.spending import Budget
from snakemake_executor_plugin_llmagent.protocols import Column, Table
from snakemake_executor_plugin_llmagent.text import clean_value

MOST_KEYS = 2000
MOST_OBJECTS = 300
"""How many objects are looked into."""
MOST_OBJECT_BYTES = 32 * 1024 * 1024
"""Larger objects are not read, unpacked [bytes]."""
DEEPEST = 12


class _Place(NamedTuple):
    """One object: its path in the file without the cycle, its key and how many cycles it has."""

    path: str
    key: Any
    cycles: int


def read(path: Path) -> Contents:
    """Describe a ROOT file. Only classes that uproot knows by itself are read."""
    import uproot
    import uproot.source.file

    # Plain reads: a mapped file that someone cuts short would end this process, and threads are not worth their start.
    file = uproot.open(
        {str(path): None},
        handler=uproot.source.file.MultithreadedFileSource,
        num_workers=1,
        use_threads=False,
        object_cache=None,
        array_cache=None,
    )
    with file:
        _check_header(file.file, path.stat().st_size)
        places = list(_walk(file, "", 0))
        complete = len(places) <= MOST_KEYS
        budget = Budget()
        tables = [_object(place, budget) for place in places[:MOST_OBJECTS]]
    if len(places) > MOST_OBJECTS:
        more = len(places) - MOST_OBJECTS
        tables.append(left_out(f"{more}{'' if complete else ' or more'} further objects were not looked at"))
    return Contents(tables=tuple(tables))


def _check_header(header: Any, size: int) -> None:
    if not header.fVersion or not header.fEND:
        raise Unreadable("begins as a ROOT file, but its header is empty")
    if header.fEND > size:
        raise Unreadable(f"is cut short: its header promises {header.fEND} bytes, it has {size}")


def _walk(directory: Any, prefix: str, depth: int) -> Iterator[_Place]:
    """The objects of a directory and those below it, the newest cycle of each."""
    newest: dict[str, tuple[int, Any, int]] = {}
    for name in directory.keys(recursive=False, cycle=True):
        key = directory.key(name)
        title = key.fName
        cycle, kept, count = newest.get(title, (-1, None, 0))
        newest[title] = (key.fCycle, key, count + 1) if key.fCycle > cycle else (cycle, kept, count + 1)
    count = 0
    for name, (cycle, key, cycles) in newest.items():
        if count > MOST_KEYS:
            return
        path = prefix + name
        if key.fClassName in ("TDirectory", "TDirectoryFile"):
            if depth < DEEPEST:
                for place in _walk(directory[f"{name};{cycle}"], f"{path}/", depth + 1):
                    count += 1
                    yield place
            continue
        count += 1
        yield _Place(path, key, cycles)


def _object(place: _Place, budget: Budget) -> Table:
    path, key, cycles = place
    name, kind = clean_value(path, NAME_LIMIT), clean_value(key.fClassName, NAME_LIMIT)
    size = key.data_uncompressed_bytes
    note = f"the newest of {cycles} cycles" if cycles > 1 else None
    if size > MOST_OBJECT_BYTES and "RNTuple" not in kind:
        return Table(name=name, kind=kind, note=_join(note, f"{size} bytes, too large to be looked at"))
    try:
        if kind in ("TTree", "TNtuple", "TNtupleD", "TChain"):
            table = ttree.describe(key.get(), name, kind, budget)
        elif kind == "ROOT::RNTuple":
            table = rntuple.describe(key.get(), name, budget)
        elif kind.startswith(("TH1", "TH2", "TH3", "TProfile")):
            table = _histogram(key.get(), name, kind)
        elif kind.startswith("TGraph"):
            table = _graph(key.get(), name, kind)
        elif kind == "TObjString":
            table = Table(name=name, kind=kind, note=f"text: {clean_value(str(key.get()), TITLE_LIMIT)}")
        else:
            table = Table(name=name, kind=kind, note=_title_note(key.fTitle, path))
    except Exception as error:
        # One damaged object must not hide the others.
        table = Table(
            name=name,
            kind=kind,
            note=clean_value(f"cannot be read: {type(error).__name__}: {error}", TITLE_LIMIT),
        )
    return table if note is None else replace(table, note=_join(note, table.note))


def _join(*notes: str | None) -> str | None:
    return "; ".join(note for note in notes if note) or None


def _title_note(title: str | None, path: str) -> str | None:
    return f"title {clean_value(title, TITLE_LIMIT)!r}" if title and title != path.rpartition("/")[2] else None


def _histogram(histogram: Any, name: str, kind: str) -> Table:
    import numpy as np

    values, errors = histogram.values(), histogram.errors()
    columns = [_axis(axis, label) for axis, label in zip(histogram.axes, "xyz", strict=False)]
    columns.append(column("contents" if not kind.startswith("TProfile") else "means", values))
    columns.append(column("errors", errors))
    notes = [_title_note(histogram.title, name)]
    if not kind.startswith("TProfile"):
        notes.append(_sums(histogram, np.asarray(values), np.asarray(errors)))
        notes.append("errors stored (Sumw2)" if histogram.weighted else "errors are the roots of the contents")
    entries = float(histogram.member("fEntries"))
    return Table(
        name=name,
        kind=kind,
        entries=int(entries) if math.isfinite(entries) else None,
        columns=tuple(columns),
        looked_at=int(entries) if math.isfinite(entries) else 0,
        note=_join(*notes),
    )


def _axis(axis: Any, label: str) -> Column:
    edges = axis.edges()
    title = clean_value(axis.member("fTitle") or "", TITLE_LIMIT) or None
    labels = tuple(clean_value(str(text), 40) for text in (axis.labels() or [])[:3])
    widths = edges[1:] - edges[:-1]
    regular = len(widths) < 2 or abs(widths.max() - widths.min()) <= 1e-9 * abs(widths.max())
    return Column(
        name=f"{label} axis",
        type=f"{len(edges) - 1} bins" + ("" if regular else ", of different widths"),
        title=title,
        unit=unit_in(title),
        minimum=float(edges[0]),
        maximum=float(edges[-1]),
        n_values=len(edges) - 1,
        examples=labels,
    )


def _sums(histogram: Any, values: Any, errors: Any) -> str:
    import numpy as np

    with np.errstate(all="ignore"):
        total, error = float(values.sum()), float(np.sqrt((errors**2).sum()))
        text = f"sum {total:.6g} ± {error:.3g}"
        flow = np.asarray(histogram.values(flow=True))
        if flow.ndim == 1:
            return f"{text}, underflow {float(flow[0]):.4g}, overflow {float(flow[-1]):.4g}"
        return f"{text}, outside of the axes {float(flow.sum()) - total:.4g}"


def _graph(graph: Any, name: str, kind: str) -> Table:
    columns = tuple(column(axis, graph.values(axis)) for axis in ("x", "y"))
    entries = columns[0].n_values
    title = _title_note(graph.member("fTitle"), name)
    return Table(name=name, kind=kind, entries=entries, columns=columns, looked_at=entries, note=title)
