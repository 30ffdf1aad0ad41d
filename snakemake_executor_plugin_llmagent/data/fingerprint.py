"""Whether two files hold the same, part by part: fingerprints of columns, histograms, documents and images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, Contents
from snakemake_executor_plugin_llmagent.data.leaves import of_document


def fingerprints(contents: Contents) -> dict[str, str]:
    """Part (`SHEET/COLUMN`, the name of a histogram, `document`, `pixels`) → fingerprint of all that it holds."""
    if contents.document is not None:
        return of_document(contents.document)
    return {name: digest.hexdigest()[:32] for name, digest in _parts(contents)}


def of_bytes(path: Path) -> dict[str, str]:
    """The fingerprint of a file that cannot be read as data."""
    return {"bytes": _of_file(path).hexdigest()[:32]}


def _of_file(path: Path) -> Any:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")


def _parts(contents: Contents) -> Iterator[tuple[str, Any]]:
    for sheet in contents.sheets:
        start = f"{sheet.name}/" if sheet.name else ""
        yield f"{sheet.name}:entries", hashlib.sha256(str(sheet.entries).encode())
        if sheet.opaque:
            yield f"{sheet.name}:opaque", _of_file(contents.path)
        for name, array in sheet.columns.items():
            yield f"{start}{name}", _of_column(array)
    for histogram in contents.histograms:
        parts = (*histogram.edges, histogram.values, histogram.variances)
        yield histogram.name, _of_arrays(*(part for part in parts if part is not None))
    if contents.pixels is not None:
        yield "pixels", _of_arrays(contents.pixels)


def _of_column(array: Array) -> Any:
    return _of_arrays(array.values) if array.offsets is None else _of_arrays(array.values, array.offsets)


def _of_arrays(*arrays: np.ndarray[Any, Any]) -> Any:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        if array.dtype.kind == "O":
            digest.update("\0".join(map(str, array.ravel().tolist())).encode("utf-8", "surrogatepass"))
        else:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest
