"""A document as LaTeX that any engine and encoding reads: pure ASCII, with the packages array and longtable."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from snakemake_executor_plugin_llmagent.report.document import Block, Code, Run, Table
from snakemake_executor_plugin_llmagent.text import one_line

LIMIT = 2000
HEAD = "% Written by `llmagent methods`. Needs \\usepackage{array,longtable}."
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\char34{}", "`": r"\char96{}", "[": "{[}", "]": "{]}",
    # Beyond ASCII: what texts of physicists use most.
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}",
    "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "–": r"\textendash{}", "—": r"\textemdash{}", "…": r"\dots{}",
    "‘": "`{}", "’": "'{}", "“": "``{}", "”": "''{}",
}  # fmt: skip
_MATHS = {
    "±": r"\pm", "∓": r"\mp", "×": r"\times", "·": r"\cdot", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "≈": r"\approx",
    "∼": r"\sim", "→": r"\rightarrow", "←": r"\leftarrow", "⇒": r"\Rightarrow", "∞": r"\infty", "√": r"\surd",
    "∑": r"\sum", "∫": r"\int", "∂": r"\partial", "∈": r"\in", "−": "-", "°": r"^{\circ}", "¹": "^{1}", "²": "^{2}",
    "³": "^{3}", "µ": r"\mu", "ℓ": r"\ell", "∝": r"\propto", "∆": r"\Delta",
}  # fmt: skip
_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
_ACCENTS = {
    "\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0304": r"\=", "\u0306": r"\u",
    "\u0307": r"\.", "\u0308": r"\"", "\u030a": r"\r", "\u030b": r"\H", "\u030c": r"\v", "\u0327": r"\c",
}  # fmt: skip
_KNOWN = {
    **_SPECIAL,
    **{character: rf"\ensuremath{{{command}}}" for character, command in _MATHS.items()},
    **{character: rf"\ensuremath{{\{name}}}" for name, character in _GREEK.items()},
}


def latex(blocks: Sequence[Block]) -> str:
    """The document as a piece of LaTeX, for a document of one's own."""
    parts = [_table(block) if isinstance(block, Table) else _runs(block.runs) for block in blocks]
    return "\n\n".join([HEAD, *parts]) + "\n"


def _runs(runs: Sequence[Run]) -> str:
    return "".join(rf"\texttt{{{_code(run.text)}}}" if isinstance(run, Code) else escape(run) for run in runs)


def escape(text: str) -> str:
    """A text in which nothing is a command; blanks at its ends stay."""
    ends = " " * text.startswith(" "), " " * (text.endswith(" ") and bool(text.strip()))
    line = one_line(text, LIMIT)
    parts = [
        _character(now) if now not in "-'" or now != before else f"{{}}{now}" for before, now in pairwise(f" {line}")
    ]
    return f"{ends[0]}{''.join(parts)}{ends[1]}"


def _code(text: str) -> str:
    """A literal text, which may be broken after an underscore or a slash."""
    return escape(text).replace(r"\_", r"\_\allowbreak{}").replace("/", r"/\allowbreak{}")


def _character(character: str) -> str:
    if character in _KNOWN:
        return _KNOWN[character]
    if " " <= character <= "~":
        return character
    parts = unicodedata.normalize("NFD", character)
    base, marks = parts[0], parts[1:]
    if base.isascii() and base.isalpha() and marks in _ACCENTS:
        return f"{_ACCENTS[marks]}{{{base}}}"
    return rf"\texttt{{U+{ord(character):04X}}}"


def _table(table: Table) -> str:
    columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{width:.2f}\linewidth}}" for width in table.widths)
    titles = " & ".join(rf"\textbf{{{escape(title)}}}" for title in table.titles)
    rows = [f"{' & '.join(_runs([cell]) for cell in row)} \\\\" for row in table.rows]
    return "\n".join(
        [
            r"{\footnotesize\sloppy\setlength{\tabcolsep}{3pt}",
            rf"\begin{{longtable}}{{{columns}}}",
            rf"\caption{{{escape(table.caption)}}}\label{{tab:{table.label}}}\\",
            rf"\hline {titles} \\ \hline \endhead",
            *rows,
            r"\hline",
            r"\end{longtable}}",
        ]
    )
