"""Reading and rewriting whole files, whatever their format."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from snakemake_executor_plugin_llmagent.data.contents import CannotRead, CannotWrite, Contents, Edit, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.kinds import FORMATS as FORMATS
from snakemake_executor_plugin_llmagent.data.kinds import format_of as format_of

Change = Callable[[Sheet], Edit | None]
"""What to change of a sheet; None: nothing."""
Rebin = Callable[[Histogram], Histogram | None]
"""What stands in the place of a histogram; None: it stays."""


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


def make_ready(path: Path) -> None:
    """Load the libraries that would read a file of this name, which need not be there."""
    library = {"root": "uproot", "parquet": "pyarrow.parquet", "hdf5": "h5py", "image": "PIL.Image"}.get(
        format_of(path)
    )
    if library is not None:
        with suppress(ImportError):  # whoever reads the file says what is missing
            import_module(library)


def rewrite(
    source: Path, target: Path, change: Change, rebin: Rebin | None = None, *, limit: int | None = None
) -> tuple[str, ...]:
    """Write a file again, altered. Where that fails, nothing is left of the copy.

    Args:
        source: the file.
        target: where to write.
        change: of each table.
        rebin: of each histogram.
        limit: of each table only so many first entries; a change is shown no others, and cuts off the rest.

    Returns:
        Names of what was altered.

    Raises:
        CannotRead: the file cannot be read.
        CannotWrite: it cannot be written back in its format.
    """
    try:
        return _rewrite(source, target, change, rebin, limit)
    except (CannotRead, CannotWrite):
        target.unlink(missing_ok=True)
        raise
    except Exception as error:
        target.unlink(missing_ok=True)
        raise CannotWrite(f"{source.name} cannot be rewritten: {type(error).__name__}: {error}") from error


def _rewrite(source: Path, target: Path, change: Change, rebin: Rebin | None, limit: int | None) -> tuple[str, ...]:
    kind = format_of(source)
    if kind == "root":
        from snakemake_executor_plugin_llmagent.data import rootfile

        return rootfile.rewrite(source, target, change, rebin, limit)
    if kind == "parquet":
        from snakemake_executor_plugin_llmagent.data import parquetfile

        return parquetfile.rewrite(source, target, change, limit)
    if kind in ("npz", "npy"):
        from snakemake_executor_plugin_llmagent.data import arrayfile

        return arrayfile.rewrite(source, target, change, limit)
    if kind == "csv":
        from snakemake_executor_plugin_llmagent.data import textfile

        return textfile.rewrite_csv(source, target, change, limit)
    if kind == "json":
        from snakemake_executor_plugin_llmagent.data import textfile

        return textfile.rewrite_json(source, target, change, rebin, limit)
    raise CannotWrite(f"{source.name}: files of this format cannot be rewritten")
