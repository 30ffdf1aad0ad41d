"""Twins of tables as text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from snakemake_executor_plugin_llmagent.blinding.veil import CannotMask, Veil

DELIMITERS = "\t;,"


def mask(source: Path, target: Path, veil: Veil) -> None:
    """Write a table again without hidden rows; values keep their digits, comments lose theirs.

    Raises:
        CannotMask: it cannot be told what is to be hidden.
    """
    lines = source.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    before = 0
    while before < len(lines) and (lines[before].startswith("#") or not lines[before].strip()):
        before += 1
    if before == len(lines):
        raise CannotMask("it has no line of names")
    delimiter = max(DELIMITERS, key=lines[before].count)
    names, *rows = [row for row in csv.reader(io.StringIO("".join(lines[before:])), delimiter=delimiter) if row]
    body = [row for row in rows if len(row) == len(names)]
    if len(body) < len(rows):
        veil.note("lines with more or fewer values than there are names are left out")
    if any(line.strip("# \t\r\n") for line in lines[:before]):
        veil.note("comments before the table are blank")
    with target.open("w", encoding="utf-8", newline="") as sink:
        sink.writelines("#\n" if line.startswith("#") else "\n" for line in lines[:before])
        writer = csv.writer(sink, delimiter=delimiter, lineterminator="\n")
        writer.writerows([names, *_left(names, body, veil)])


def _left(names: list[str], body: list[list[str]], veil: Veil) -> list[list[str]]:
    if veil.everything:
        return []
    hidden: set[int] = set()
    for place, name in enumerate(names):
        windows = veil.windows_of(name.strip())
        if windows:
            veil.found |= set(windows)
            values = [_number(row[place], name) for row in body]
            hidden |= {number for number, gone in enumerate(veil.hides(windows, values)) if gone}
    return [row for number, row in enumerate(body) if number not in hidden]


def _number(text: str, name: str) -> float:
    try:
        return float(text.strip() or "nan")
    except ValueError:
        raise CannotMask(f"its column {name.strip()!r} does not hold plain numbers") from None
