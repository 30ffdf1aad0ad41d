"""Reading and rewriting whole files, whatever their format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from snakemake_executor_plugin_llmagent.data.contents import CannotRead, CannotWrite, Contents, Edit, Histogram, Sheet

Change = Callable[[Sheet], Edit | None]
"""What to change of a sheet; None: nothing."""
Rebin = Callable[[Histogram], Histogram | None]
"""What stands in the place of a histogram; None: it stays."""

FORMATS = {
    ".root": "root", ".parquet": "parquet", ".pq": "parquet", ".npz": "npz", ".npy": "npy", ".csv": "csv",
    ".tsv": "csv", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".h5": "hdf5", ".hdf5": "hdf5", ".png": "image",
    ".jpg": "image", ".jpeg": "image",
}  # fmt: skip


def format_of(path: Path) -> str:
    """The format that a file's name says, empty if it is none of those that can be read as data."""
    return FORMATS.get(path.suffix.lower(), "")


def load(path: Path, *, limit: int | None = None) -> Contents:
    """Read a file.

    Args:
        path: the file.
        limit: of each table only so many first entries.

    Raises:
        CannotRead: it cannot be read as data.
    """
    kind = format_of(path)
    try:
        if kind == "root":
            from snakemake_executor_plugin_llmagent.data import rootfile

            return rootfile.load(path, limit)
        if kind == "parquet":
            from snakemake_executor_plugin_llmagent.data import parquetfile

            return parquetfile.load(path, limit)
        if kind in ("npz", "npy", "hdf5", "image"):
            from snakemake_executor_plugin_llmagent.data import arrayfile

            return getattr(arrayfile, f"load_{kind}")(path, limit)  # type: ignore[no-any-return]
        if kind in ("csv", "json", "yaml"):
            from snakemake_executor_plugin_llmagent.data import textfile

            return getattr(textfile, f"load_{kind}")(path, limit)  # type: ignore[no-any-return]
    except CannotRead:
        raise
    except Exception as error:
        # Readers of damaged files raise whatever comes; any of it means that there is no data to look at.
        raise CannotRead(f"{path.name} cannot be read as {kind}: {type(error).__name__}: {error}") from error
    raise CannotRead(f"{path.name} is of no format that holds data")


def rewrite(source: Path, target: Path, change: Change, rebin: Rebin | None = None) -> tuple[str, ...]:
    """Write a file again, altered.

    Args:
        source: the file.
        target: where to write.
        change: of each table.
        rebin: of each histogram.

    Returns:
        Names of what was altered.

    Raises:
        CannotRead: the file cannot be read.
        CannotWrite: it cannot be written back in its format.
    """
    kind = format_of(source)
    try:
        if kind == "root":
            from snakemake_executor_plugin_llmagent.data import rootfile

            return rootfile.rewrite(source, target, change, rebin)
        if kind == "parquet":
            from snakemake_executor_plugin_llmagent.data import parquetfile

            return parquetfile.rewrite(source, target, change)
        if kind in ("npz", "npy"):
            from snakemake_executor_plugin_llmagent.data import arrayfile

            return arrayfile.rewrite(source, target, change)
        if kind in ("csv", "json"):
            from snakemake_executor_plugin_llmagent.data import textfile

            return getattr(textfile, f"rewrite_{kind}")(source, target, change, rebin)  # type: ignore[no-any-return]
    except (CannotRead, CannotWrite):
        raise
    except Exception as error:
        raise CannotWrite(f"{source.name} cannot be rewritten: {type(error).__name__}: {error}") from error
    raise CannotWrite(f"{source.name}: files of this format cannot be rewritten")
