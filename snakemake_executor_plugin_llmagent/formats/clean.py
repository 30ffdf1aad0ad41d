"""Text from files, made safe to show.

Titles, keys and excerpts come from files that nobody vouches for. Escape codes can rewrite a terminal, and controls
that reverse the direction of writing can make a reader see another text than a program does.
"""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CUT = " … "


def clean(text: str, limit: int, *, lines: bool = False) -> str:
    r"""The text with invisible characters written out, such as `\x1b` and `\u202e`, and cut in the middle.

    Args:
        text: any text.
        limit: longest result [characters], at least 8.
        lines: keep line ends and tabs.
    """
    # A visible form is never shorter than its character, so more than this much of either end cannot be shown.
    if len(text) > 2 * limit:
        text = text[:limit] + _CUT + text[-limit:]
    shown = "".join(_visible(character, lines=lines) for character in text)
    if len(shown) <= limit:
        return shown
    tail = (limit - len(_CUT)) // 3
    head = limit - len(_CUT) - tail
    return shown[:head] + _CUT + shown[len(shown) - tail :]


def _visible(character: str, *, lines: bool) -> str:
    if " " <= character <= "~" or (lines and character in _KEPT):
        return character
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
