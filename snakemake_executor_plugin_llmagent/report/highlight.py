"""Python in colours: scripts as HTML with a few short classes, and nothing of theirs unescaped."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from markupsafe import Markup, escape

from snakemake_executor_plugin_llmagent.text import clean

MOST_CHARACTERS = 200_000
"""Longer scripts are shown without colours."""
_CLASSES = (
    ("Token.Comment", "c"), ("Token.Literal.String.Doc", "c"), ("Token.Literal.String", "s"),
    ("Token.Literal.Number", "m"), ("Token.Keyword", "k"), ("Token.Operator.Word", "k"), ("Token.Name.Builtin", "b"),
    ("Token.Name.Function", "f"), ("Token.Name.Class", "f"), ("Token.Name.Decorator", "f"),
)  # fmt: skip
"""Beginning of a token's type → its class; what is not here has the colour of the text."""


def highlighted(source: str) -> Markup:
    """A script as HTML; invisible characters are written out."""
    text = clean(source)
    if len(text) > MOST_CHARACTERS:
        return Markup(escape(text))
    parts = []
    for name, pieces in groupby(_tokens(text), key=lambda piece: piece[0]):
        inner = escape("".join(value for _, value in pieces))
        parts.append(_marked(name, inner))
    return Markup("".join(parts))


def _marked(name: str, inner: Markup) -> str:
    """A piece in its colour; numbers, which are many, by the shortest tag there is."""
    if name == "m":
        return f"<b>{inner}</b>"
    return f"<i class={name}>{inner}</i>" if name else str(inner)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Class and text of each piece; blanks go with what stands before them."""
    from pygments.lexers.python import PythonLexer

    last = ""
    for kind, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens(text):
        if not value.isspace():
            name = str(kind)
            last = next((short for beginning, short in _CLASSES if name.startswith(beginning)), "")
        yield last, value


def numbers(source: str) -> str:
    """The numbers of a script's lines, to stand beside it."""
    return "\n".join(map(str, range(1, len(clean(source).rstrip("\n").split("\n")) + 1)))
