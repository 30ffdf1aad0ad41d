"""Describe files: names, types, shapes, units, entries, found by looking at as little of a file as possible.

One small module reads one format. The same description is shown to the coder and judged by the checks, so that the
two cannot disagree. The packages that read formats are imported when a file needs them and not before.

Known limit: Parquet, HDF5 and images are read by native libraries in this process. A file that is cut short is noticed
before they see its data, but one with damaged bytes in its metadata can make pyarrow or HDF5 hang or end the process.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from snakemake_executor_plugin_llmagent.formats import sniff
from snakemake_executor_plugin_llmagent.formats.contents import Contents, NotLookedAt, ReaderMissing, Unreadable
from snakemake_executor_plugin_llmagent.protocols import FileDescription
from snakemake_executor_plugin_llmagent.text import clean_value

PROBLEM_LIMIT = 300
"""Longest account of a problem [characters]."""

READERS: Mapping[str, str] = MappingProxyType(
    {
        "root": "root",
        "parquet": "parquet",
        "npz": "npz",
        "hdf5": "hdf5",
        "json": "jsondoc",
        "yaml": "jsondoc",
        "csv": "tabular",
        "text": "text",
        "image": "image",
    }
)
"""Format → the module here whose `read(path)` gives its `Contents`."""


def describe(path: Path) -> FileDescription:
    """What a file or a directory holds.

    It reads metadata and a bounded part of the data, and never raises for what a file contains: a damaged file has
    `opened=False`, one that nothing here can read has `opened=None`, each with the problem.

    Raises:
        FileNotFoundError: there is nothing at this path.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        return _directory(path)
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for its other end.
        return _failed(path, "binary", 0, "is not a regular file")
    size = status.st_size
    by_name = sniff.format_of_name(path.name)
    if size == 0:
        return _failed(path, by_name or "binary", 0, "is empty")
    try:
        by_content = sniff.format_of_content(path)
    except OSError as error:
        return _failed(path, by_name or "binary", size, f"cannot be read: {error.strerror or error}")
    format = by_name or by_content or "binary"
    if format == "binary":
        return FileDescription(
            path=path, format="binary", size_bytes=size, opened=None, problem="is in a format that nothing here reads"
        )
    if by_content is not None and not sniff.agree(format, by_content):
        return _failed(path, format, size, f"is named like {format}, but its contents are {by_content}")
    return _guard(path, format, size, import_module(f"{__name__}.{READERS[format]}").read)


def _directory(path: Path) -> FileDescription:
    from snakemake_executor_plugin_llmagent.formats import directory

    try:
        listing = directory.list_files(path)
    except OSError as error:
        return _failed(path, "directory", 0, f"cannot be listed: {error.strerror or error}")
    if not listing.members:
        return _failed(path, "directory", 0, "is empty")
    size = sum(member.size_bytes for member in listing.members)
    return _guard(path, "directory", size, lambda place: directory.read(place, listing, describe))


def _guard(path: Path, format: str, size: int, read: Callable[[Path], Contents]) -> FileDescription:
    try:
        contents = read(path)
    except (ReaderMissing, NotLookedAt) as reason:
        return FileDescription(path=path, format=format, size_bytes=size, opened=None, problem=str(reason))
    except Unreadable as error:
        return _failed(path, format, size, str(error))
    except Exception as error:
        # Readers of damaged files raise whatever comes; any of it means that the file does not open.
        return _failed(path, format, size, f"does not open: {type(error).__name__}: {error}")
    return FileDescription(
        path=path, format=format, size_bytes=size, tables=contents.tables, excerpt=contents.excerpt, opened=True
    )


def _failed(path: Path, format: str, size: int, problem: str) -> FileDescription:
    return FileDescription(
        path=path,
        format=format,
        size_bytes=size,
        opened=False,
        problem=clean_value(" ".join(problem.split()), PROBLEM_LIMIT),
    )
