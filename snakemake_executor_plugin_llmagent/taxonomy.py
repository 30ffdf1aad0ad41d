"""What kind of mistake a failed attempt made: by the names of its findings, and for a crash by its traceback.

The seven classes are those of arXiv:2512.07785 (LLM4HEP), where a model assigns them; here they follow from what was
found, so that the same attempt always has the same class. The name of the finding itself is the finer class. Which name
is in which class stands in `docs/findings.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from snakemake_executor_plugin_llmagent.protocols import Finding, Severity


class Coarse(StrEnum):
    """The classes of the paper, in the order in which one is taken for the cause of another."""

    DUMMY = "dummy data created"
    WEIGHTS = "all data weights = 0"
    BRANCH = "incorrect branch name"
    FILE = "intermediate file not found"
    CALL = "function-calling error"
    SEMANTIC = "semantic error"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Classified:
    """The class of a failed attempt.

    Attributes:
        coarse: one of seven.
        fine: the name of the finding it follows from.
    """

    coarse: Coarse
    fine: str


REVISED = "review.revise"
"""The fine class of an attempt that only a reviewer sent back."""
CRASHED = "run.failed"
_CLASSES: Mapping[str, Coarse] = {
    "script.random": Coarse.DUMMY, "script.invented_data": Coarse.DUMMY, "script.literal_result": Coarse.DUMMY,
    "script.weights_ones": Coarse.WEIGHTS, "weights.all_one": Coarse.WEIGHTS, "weights.all_equal": Coarse.WEIGHTS,
    "weights.vanished": Coarse.WEIGHTS, "weights.ignored": Coarse.WEIGHTS, "contract.weights_sum": Coarse.WEIGHTS,
    "script.unknown_name": Coarse.BRANCH,
    "output.missing": Coarse.FILE,
    "script.syntax": Coarse.OTHER, "script.future_import": Coarse.OTHER, "script.key": Coarse.OTHER,
    "input.changed": Coarse.OTHER, "crosscheck.undone": Coarse.OTHER, "crosscheck.only_one": Coarse.OTHER,
    REVISED: Coarse.SEMANTIC,
}  # fmt: skip
_OTHER_GROUPS = frozenset({"reply", "run", "project", "review", "spec", "contents"})
"""What stands before the dot of findings that say nothing of the analysis."""


def classify(findings: Iterable[Finding], log: str = "", *, revised: bool = False) -> Classified | None:
    """The class of an attempt.

    Args:
        findings: what was found; only errors count.
        log: what the script printed, for the traceback of a crash.
        revised: whether a reviewer asked for changes.

    Returns:
        The class of the finding that is the cause of the others; None if nothing speaks against the attempt.
    """
    errors = [finding.check for finding in findings if finding.severity is Severity.ERROR]
    if not errors:
        return Classified(coarse=_CLASSES[REVISED], fine=REVISED) if revised else None
    order = list(Coarse)
    classes = [Classified(coarse=coarse(name, log), fine=name) for name in errors]
    return min(classes, key=lambda each: order.index(each.coarse))


def coarse(check: str, log: str = "") -> Coarse:
    """The class of one finding, by its name; of a crash by what the script printed."""
    if check == CRASHED:
        return _of_crash(log)
    group = check.partition(".")[0]
    return _CLASSES.get(check, Coarse.OTHER if group in _OTHER_GROUPS else Coarse.SEMANTIC)


# --- crashes --------------------------------------------------------------------------------------------------------

_START = "Traceback (most recent call last)"
_CHAIN = re.compile(r"^(During handling of the above|The above exception was the direct cause)", re.MULTILINE)
_EXCEPTION = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(: (?P<text>.*))?$")
_FRAME = re.compile(r'^\s+File "(?P<path>[^"]+)", line \d+', re.MULTILINE)
_LIBRARY = re.compile(r"site-packages|dist-packages|/lib/python\d|<frozen|<__array_function__")
_BRANCH_KINDS = frozenset({"KeyInFileError", "FieldNotFoundError", "UndefinedVariableError", "ColumnNotFoundError"})
_BRANCH_TEXT = re.compile(
    r"no field|not in index|No match for FieldRef|Usecols do not match|not a file in the archive|Unknown columns?\b"
    r"|(no|not|missing) (such )?(branch|column|dataset|field|leaf|leaves|key)|(branch|column|dataset|field)s? .{0,80}"
    r"(not found|missing|not there|does(n't| not) exist)|[Uu]nable to (synchronously )?open object|not found in axis",
)
_FILE_KINDS = frozenset({"FileNotFoundError", "IsADirectoryError", "NotADirectoryError"})
_FILE_TEXT = re.compile(
    r"[Nn]o such file|[Ff]ile not found|does not exist: ['\"/]|[Uu]nable to (synchronously )?open file"
)
_CALL_KINDS = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError", "NotImplementedError"})
_CALL_TEXT = re.compile(
    r"unexpected keyword argument|required (positional|keyword-only) argument|positional arguments? but|"
    r"got multiple values for|is not callable|got an unexpected|invalid keyword",
)
_NOBODY = frozenset({"MemoryError", "SystemExit", "KeyboardInterrupt", "SyntaxError", "IndentationError"})


@dataclass(frozen=True, kw_only=True)
class _Crash:
    kind: str
    text: str
    in_library: bool


def _of_crash(log: str) -> Coarse:
    """The class of a traceback: that of the first exception of its chain which says something, else of the last."""
    crashes = _crashes(log)
    found = [_of_exception(crash) for crash in crashes]
    specific = [each for each in found if each not in (Coarse.SEMANTIC, Coarse.OTHER)]
    return specific[0] if specific else found[-1] if found else Coarse.OTHER


def _crashes(log: str) -> Sequence[_Crash]:
    """The exceptions of the last traceback and of those that it was raised from, the first one first."""
    blocks = log.split(_START)[1:]
    last = len(blocks) - 1
    while last > 0 and _CHAIN.search(blocks[last - 1]):
        last -= 1
    crashes: list[_Crash] = []
    for block in blocks[last:] if blocks else ():
        frames = [found["path"] for found in _FRAME.finditer(block)]
        lines = (line for line in block.splitlines()[1:] if line and not line[0].isspace())
        match = next(filter(None, map(_EXCEPTION.match, lines)), None)
        if match is not None:
            inside = bool(frames) and _LIBRARY.search(frames[-1]) is not None
            crashes.append(_Crash(kind=match["kind"].rpartition(".")[2], text=match["text"] or "", in_library=inside))
    return crashes


def _of_exception(crash: _Crash) -> Coarse:
    if crash.kind in _FILE_KINDS or _FILE_TEXT.search(crash.text):
        return Coarse.FILE
    if crash.kind in _BRANCH_KINDS or _BRANCH_TEXT.search(crash.text) or _is_key(crash):
        return Coarse.BRANCH
    if crash.kind in _CALL_KINDS or _CALL_TEXT.search(crash.text):
        return Coarse.CALL
    if crash.kind in _NOBODY:
        return Coarse.OTHER
    # A library that refuses what it is called with; a script that stops by itself knows of something wrong.
    return Coarse.CALL if crash.in_library and crash.kind in ("TypeError", "ValueError") else Coarse.SEMANTIC


def _is_key(crash: _Crash) -> bool:
    """Whether a name was looked up that is not there: `KeyError: 'm_gg'`."""
    return crash.kind == "KeyError" and re.search(r"['\"][A-Za-z_]", crash.text) is not None
