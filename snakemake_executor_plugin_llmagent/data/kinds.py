"""What a file's name says that it holds; loads nothing."""

from __future__ import annotations

from pathlib import Path

FORMATS = {
    ".root": "root", ".parquet": "parquet", ".pq": "parquet", ".npz": "npz", ".npy": "npy", ".csv": "csv",
    ".tsv": "csv", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".h5": "hdf5", ".hdf5": "hdf5", ".png": "image",
    ".jpg": "image", ".jpeg": "image",
}  # fmt: skip


def format_of(path: Path) -> str:
    """The format that a file's name says, empty if it is none of those that can be read as data."""
    return FORMATS.get(path.suffix.lower(), "")
