"""Making foreign text harmless: before a terminal, a page or a model sees it."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable

_KEPT = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of what a reader does not see, or what makes a reader see another text than a program does."""
_CUT = " … "


def clean(text: str) -> str:
    r"""The text with invisible characters written out, such as `\x1b` and `\u202e`; line ends become `\n`."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return _shown(text, lines=True)


def clean_value(text: str, limit: int, *, lines: bool = False) -> str:
    r"""A name, a title or another value from a file, with invisible characters written out and cut in the middle.

    Args:
        text: any text.
        limit: longest result [characters], at least 8.
        lines: keep line ends and tabs; otherwise they are written out too.
    """
    # A visible form is never shorter than its character, so more than this much of either end cannot be shown.
    if len(text) > 2 * limit:
        text = text[:limit] + _CUT + text[-limit:]
    shown = _shown(text, lines=lines)
    if len(shown) <= limit:
        return shown
    tail = (limit - len(_CUT)) // 3
    head = limit - len(_CUT) - tail
    return shown[:head] + _CUT + shown[len(shown) - tail :]


def _shown(text: str, *, lines: bool) -> str:
    return "".join(_visible(character, lines=lines) for character in text)


def _visible(character: str, *, lines: bool) -> str:
    if " " <= character <= "~" or (lines and character in _KEPT):
        return character
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, limit: int) -> str:
    """The text if it has at most `limit` characters, else its head and tail with a note of how much is left out."""
    if len(text) <= limit:
        return text
    head = limit // 3
    tail = limit - head
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[len(text) - tail :]}"


def one_line(text: str, limit: int = 200) -> str:
    """The text on one line, cleaned and cut at `limit` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def fenced(text: str, tag: str = "") -> str:
    """The text in a fence that nothing inside can close."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{tag}\n{text.rstrip(chr(10))}\n{fence}"


def columns(text: str) -> int:
    """How many columns of a terminal a line takes: wide characters two, marks on other characters none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut_columns(text: str, limit: int) -> str:
    """The line, or as much of it as fits into so many columns with a mark that it goes on."""
    if columns(text) <= limit:
        return text
    kept, room = [], limit - 1
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + "…" if limit > 0 else ""


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def said_once(texts: Iterable[str]) -> str:
    """Several messages as one, each line where it is said last: advice that is the same for all stands at the end."""
    lines = [line for text in texts for line in text.splitlines()]
    return "\n".join(reversed(dict.fromkeys(reversed(lines))))


def wrapped(text: str, columns: int) -> str:
    """A message for a terminal, broken between words; lines that are indented are commands, to be copied whole."""
    return "\n".join(
        line if line.startswith(" ") else textwrap.fill(line, columns, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )
