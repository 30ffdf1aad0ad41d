"""Making foreign text harmless: before a terminal, a page or a model sees it."""

from __future__ import annotations

import unicodedata

_KEPT = {"\n", "\t"}
_BIDI = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x200E, 0x200F)}


def clean(text: str) -> str:
    r"""The text with control and bidirectional characters made visible, such as `\x1b`; line ends become `\n`."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in _KEPT:
        return character
    if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character


def shorten(text: str, limit: int) -> str:
    """The text if it has at most `limit` characters, else its head and tail with a note of how much is left out."""
    if len(text) <= limit:
        return text
    head = limit // 3
    tail = limit - head
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[-tail:]}"


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
