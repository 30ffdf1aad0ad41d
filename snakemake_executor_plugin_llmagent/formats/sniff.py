"""Which format a file is in: by its name, and by its first bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

from snakemake_executor_plugin_llmagent.formats.contents import Unreadable
from snakemake_executor_plugin_llmagent.formats.source import decode, read_head

SUFFIXES = {
    ".root": "root",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npy": "npz",
    ".npz": "npz",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
    ".md": "text",
    ".rst": "text",
    ".log": "text",
    ".tex": "text",
    ".xml": "text",
    ".html": "text",
    ".toml": "text",
    ".py": "text",
    ".png": "image",
    ".jpg": "image",
    ".jpeg": "image",
    ".gif": "image",
    ".webp": "image",
    ".pdf": "image",
    ".svg": "image",
    ".eps": "image",
    ".ps": "image",
}
"""Suffix → format; `.gz` after the suffix of a text format is fine too."""

_TEXTS = frozenset({"json", "yaml", "csv", "text"})
_MAGIC = (
    # A byte of what follows is part of these marks, because texts begin with such words as well.
    (b"root\0", "root"),
    (b"PAR1\x15", "parquet"),
    (b"\x93NUMPY", "npz"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"%PDF-", "image"),
    (b"%!PS", "image"),
)
_BINARY_SUFFIXES = frozenset({"root", "parquet", "npz", "hdf5"})


def format_of_name(name: str) -> str | None:
    """The format that a file's name promises, or None."""
    path = Path(name.lower())
    if path.suffix == ".gz":
        format = SUFFIXES.get(Path(path.stem).suffix)
        return format if format in _TEXTS or path.stem.endswith(".svg") else None
    return SUFFIXES.get(path.suffix)


def format_of_content(path: Path) -> str | None:
    """The format that a file's first bytes show; `text` for any text, None for unknown bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(16)
    for magic, format in _MAGIC:
        if start.startswith(magic):
            return format
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "image"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _format_of_zip(path)
    return _format_of_text(path)


def agree(format: str, by_content: str) -> bool:
    """Whether a file named as one format may hold what its bytes show.

    A text of some kind may be any text, and an image in SVG is one as well. A binary format must show its own mark.
    """
    if format == by_content:
        return True
    if format in _BINARY_SUFFIXES:
        # HDF5 allows a preamble of the user's own; its reader decides.
        return format == "hdf5" and by_content == "text"
    return by_content in _TEXTS


def _format_of_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    return "npz" if names and all(name.endswith(".npy") for name in names) else None


def _format_of_text(path: Path) -> str | None:
    try:
        head = read_head(path, 4096)
        text = decode(head.data, whole=head.whole)
    except (Unreadable, OSError, EOFError):
        return None
    odd = sum(not (character.isprintable() or character.isspace()) for character in text)
    # Latin-1 decodes anything. Real text has few unprintable characters, escape codes of a log included.
    if odd > len(text) // 20:
        return None
    stripped = text.lstrip()
    if stripped.startswith("{") and (stripped[1:].lstrip()[:1] in ('"', "}")):
        return "json"
    return "text"
