"""NumPy's files, HDF5 and images as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, CannotWrite, Contents, Edit, Sheet
from snakemake_executor_plugin_llmagent.data.load import Change

MOST_PIXELS = 40_000_000


def _sheets(arrays: Mapping[str, np.ndarray[Any, Any]], limit: int | None) -> Iterator[Sheet]:
    """The arrays of one length make one sheet; what has no length, or is no number and no text, makes none."""
    lengths: dict[int, dict[str, Array]] = {}
    for name, values in arrays.items():
        if values.ndim and values.dtype.kind in "biufSU":
            lengths.setdefault(len(values), {})[name] = Array(values=values[:limit])
    for number, (length, columns) in enumerate(lengths.items()):
        yield Sheet(name="" if not number else f"of length {length}", columns=columns, entries=length)


def load_npz(path: Path, limit: int | None) -> Contents:
    """Read an archive of arrays; nothing is ever unpickled."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return Contents(path=path, format="npz", sheets=tuple(_sheets(arrays, limit)))


def load_npy(path: Path, limit: int | None) -> Contents:
    """Read one array; the fields of a structured one are its columns."""
    values = np.load(path, allow_pickle=False)
    names = values.dtype.names
    arrays = {"array": values} if names is None else {name: values[name] for name in names}
    return Contents(path=path, format="npy", sheets=tuple(_sheets(arrays, limit)))


def load_hdf5(path: Path, limit: int | None) -> Contents:
    """Read all datasets of numbers."""
    import h5py

    arrays: dict[str, np.ndarray[Any, Any]] = {}

    def visit(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and found.dtype.kind in "biuf":
            arrays[name] = np.asarray(found[()])

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return Contents(path=path, format="hdf5", sheets=tuple(_sheets(arrays, limit)))


def load_image(path: Path, limit: int | None) -> Contents:  # noqa: ARG001 (as all readers)
    """Read the pixels of an image, transparent ones as white."""
    from PIL import Image

    with Image.open(path) as image:
        if image.width * image.height > MOST_PIXELS:
            raise CannotRead(f"{path.name} has {image.width} x {image.height} pixels, too many to look at")
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
    return Contents(path=path, format="image", pixels=np.asarray(ground.convert("RGB")))


def rewrite(source: Path, target: Path, change: Change, limit: int | None) -> tuple[str, ...]:
    """Write arrays again, altered; types stay, and so do arrays that belong to no table."""
    single = source.suffix.lower() == ".npy"
    loaded = np.load(source, allow_pickle=False)
    names = loaded.dtype.names if single else None
    if single:
        arrays = {"array": loaded} if names is None else {name: loaded[name] for name in names}
    else:
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    altered = []
    sheets = list(_sheets(arrays, limit))
    _not_linked(sheets, arrays, source.name)
    for sheet in sheets:
        edit = change(sheet)
        if edit is None and limit is None:
            continue
        after = (edit or Edit()).applied(sheet).columns
        for name in sheet.columns:
            if name in after:
                arrays[name] = after[name].values.astype(arrays[name].dtype)
            else:
                del arrays[name]
        altered += [] if edit is None else [sheet.name or "arrays"]
    with target.open("wb") as sink:
        if not single:
            np.savez(sink, **arrays)
        elif names is None:
            np.save(sink, arrays["array"])
        else:
            kept = [name for name in names if name in arrays]
            whole = np.empty(len(arrays[kept[0]]), dtype=[(name, loaded.dtype[name]) for name in kept])
            for name in kept:
                whole[name] = arrays[name]
            np.save(sink, whole)
    return tuple(altered)


def _not_linked(sheets: Sequence[Sheet], arrays: Mapping[str, np.ndarray[Any, Any]], name: str) -> None:
    """Refuse arrays of which one says how another is divided among the entries: rows of one could not be taken alone.

    Raises:
        CannotWrite: there are such arrays.
    """
    lengths = {sheet.entries for sheet in sheets}
    for key, values in arrays.items():
        if values.ndim != 1 or values.dtype.kind not in "iu" or len(values) < 2 or values.min() < 0:
            continue
        offsets = values[0] == 0 and bool((np.diff(values.astype(np.int64)) >= 0).all()) and int(values[-1])
        for total in (offsets, int(values.sum())):
            if total and total in lengths and total != len(values):
                raise CannotWrite(f"in {name} the array {key!r} says how arrays of length {total} are divided")
