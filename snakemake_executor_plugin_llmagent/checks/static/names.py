"""Names of branches and columns that no input has, and inputs that are read for nothing."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.checks.static.candidate import MOST, Candidate, candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.columns import Columns
from snakemake_executor_plugin_llmagent.checks.static.fallbacks import BROAD, MISSING, handlers
from snakemake_executor_plugin_llmagent.checks.static.source import Function
from snakemake_executor_plugin_llmagent.protocols import Describe, Finding, Severity, Trial
from snakemake_executor_plugin_llmagent.text import one_line

FORMATS = frozenset({"root", "parquet", "csv", "npz", "hdf5"})
"""Formats in which a description lists all names."""
_NAME = re.compile(r"[A-Za-z_][\w./ -]*")
_READS_COLUMNS = frozenset({"columns", "usecols", "expressions", "filter_name", "branches"})
_TAKE_NAMES = frozenset({"arrays", "array", "iterate", "column", "select", "Get"})
_FILES = frozenset({"uproot.open", "numpy.load", "h5py.File", "ROOT.TFile", "ROOT.TFile.Open"})
_DEFINE = frozenset(
    {
        "with_field", "assign", "rename", "Define", "insert", "set_index", "merge", "join", "groupby", "melt", "pivot",
        "DataFrame", "zip", "Table", "table", "dtype", "from_arrays", "with_name", "agg", "add_prefix", "add_suffix",
    }
)  # fmt: skip
"""Functions and methods that name columns."""


class NamesCheck:
    """Every branch and column that the script looks up in an input is in an input."""

    def __init__(self, describe: Describe) -> None:
        """Know the inputs by the descriptions that `describe` gives."""
        self._describe = describe

    def __call__(self, trial: Trial) -> Iterable[Finding]:
        """Look at the names in a script."""
        try:
            return tuple(_unknown(candidate(trial), Columns(trial.job, self._describe)))[:MOST]
        except (SyntaxError, RecursionError):
            return ()


@dataclass(frozen=True, eq=False)
class Lookup:
    """Where a name is looked up in an object read from an input.

    Attributes:
        node: where.
        name: the name.
        formats: the formats that the object was read in.
        fixed: whether the object is a file or a tree, to which a script adds nothing.
    """

    node: ast.AST
    name: str
    formats: frozenset[str]
    fixed: bool


def _unknown(found: Candidate, columns: Columns) -> Iterator[Finding]:
    expected, defined = _tested(found), _defined(found)
    told: set[str] = set()
    for each in lookups(found):
        name = each.name
        excused = name in expected or (name in defined and not each.fixed)
        if excused or name in told or not _NAME.fullmatch(name) or not each.formats <= FORMATS:
            continue
        in_a_case = _in_a_case(found, each.node)
        if (in_a_case and found.trial.spec.wildcards) or not columns.lacks(name, each.formats):
            continue  # the branch may be one that only the inputs of other jobs have
        told.add(name)
        near = _near(name, columns.names(each.formats))
        instead = f" Did you mean {' or '.join(f'`{one_line(other)}`' for other in near)}?" if near else ""
        text = f"no input has `{one_line(name)}`.{instead} Use the names that the inputs have; if what is needed is "
        text += "not there, let the script fail and say so."
        severity = Severity.ERROR if columns.complete and not in_a_case else Severity.WARNING
        yield found.finding(each.node, check="script.unknown_name", message=text, severity=severity)


def _in_a_case(found: Candidate, node: ast.AST, depth: int = 4) -> bool:
    """Whether a place is reached in some cases only, such as for simulation and not for data."""
    inner = node
    for outer in found.script.ancestors(node):
        if isinstance(outer, ast.If | ast.IfExp) and inner is not outer.test:
            return True
        if isinstance(outer, ast.match_case):
            return True
        if isinstance(outer, Function) and depth:
            calls = [call for call in found.script.calls if outer in found.script.called(call)]
            return bool(calls) and all(_in_a_case(found, call, depth - 1) for call in calls)
        inner = outer
    return False


def _near(name: str, known: Iterable[str]) -> list[str]:
    """Names that are spelt alike, at most three."""
    spelt = {each.lower(): each for each in known}
    return [spelt[each] for each in difflib.get_close_matches(name.lower(), spelt, n=3, cutoff=0.6)]


def lookups(found: Candidate) -> Iterator[Lookup]:
    """Where the script looks up names in objects read from an input."""
    for node in found.script.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            yield from _named(found, node.slice, found.flow.opened(node.value), fixed=_is_fixed(found, node.value))
        elif isinstance(node, ast.Call):
            form = found.flow.opens(node)
            of = node.func.value if isinstance(node.func, ast.Attribute) and not form else None
            formats = frozenset({form}) if form else found.flow.opened(of)
            names = [one.value for one in node.keywords if one.arg in _READS_COLUMNS]
            takes = isinstance(node.func, ast.Attribute) and node.func.attr in _TAKE_NAMES and not form
            for argument in (*names, *(node.args[:1] if takes else ())):
                yield from _named(found, argument, formats, fixed=of is None or _is_fixed(found, of))


def _named(found: Candidate, key: ast.expr, formats: frozenset[str], *, fixed: bool) -> Iterator[Lookup]:
    for each in _elements(key) if formats else ():
        inner = each.value if isinstance(each, ast.Starred) else each
        for value in found.script.choices(inner):
            for name in value if isinstance(value, tuple) else (value,):
                if isinstance(name, str) and name:
                    yield Lookup(key, name, formats, fixed)


def _is_fixed(found: Candidate, node: ast.expr, depth: int = 4) -> bool:
    """Whether an object is an opened file or a tree in it, and not an array or a table made of it."""
    if isinstance(node, ast.Subscript):
        return _is_fixed(found, node.value, depth)
    if isinstance(node, ast.Call):
        return found.script.dotted(node.func) in _FILES
    if isinstance(node, ast.Name) and depth:
        binds = found.script.binds.get(node.id, ())
        return bool(binds) and all(
            bind.kind in ("assign", "with") and bind.index is None and bind.value is not None
            and _is_fixed(found, bind.value, depth - 1) for bind in binds
        )  # fmt: skip
    return False


def _tested(found: Candidate) -> frozenset[str]:
    """Names whose presence the script asks or whose absence it expects, and those that it makes up while reading."""
    names: set[str] = set()
    for test in found.script.all(ast.Compare):
        if isinstance(test.ops[0], ast.In | ast.NotIn):
            names |= _texts(found.script.choices(test.left))
    for one in found.script.all(ast.keyword):
        if one.arg == "aliases":
            names |= _parts(one.value)
    for fallback in handlers(found.script):
        if fallback.caught is not None and (MISSING - BROAD).intersection(fallback.caught):
            for node in fallback.tried:
                names |= _parts(node)
    return frozenset(names)


def _defined(found: Candidate) -> frozenset[str]:
    """Names that the script gives to something itself."""
    script = found.script
    names: set[str] = set()
    for node in script.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            names |= _texts(script.choices(node.slice)) | _parts(node.slice)
        elif isinstance(node, ast.Dict):
            names |= {script.text(key) for key in node.keys if key is not None}
            if _renames(found, node):
                names |= {script.text(value) for value in node.values}
        elif isinstance(node, ast.DictComp):
            names |= _texts(script.choices(node.key)) | _parts(node.key)
        elif isinstance(node, ast.Call):
            names |= _named_by(found, node)
    return frozenset(names)


def _named_by(found: Candidate, call: ast.Call) -> set[str]:
    """Names that a call gives: keywords, `names=[...]`, and all texts in calls that make or change tables."""
    names = {one.arg for one in call.keywords if one.arg is not None}
    for one in call.keywords:
        if one.arg == "names":
            names |= _texts(value for part in _elements(one.value) for value in found.script.choices(part))
    called = call.func.attr if isinstance(call.func, ast.Attribute) else found.script.dotted(call.func)
    return names | _parts(call) if called.rpartition(".")[2] in _DEFINE else names


def _elements(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.List | ast.Tuple) else [node]


def _renames(found: Candidate, node: ast.Dict) -> bool:
    return any(
        isinstance(outer, ast.Call) and isinstance(outer.func, ast.Attribute) and outer.func.attr == "rename"
        for outer in found.script.ancestors(node)
    )


def _texts(values: Iterable[object]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def _parts(node: ast.AST) -> set[str]:
    """The texts inside of a computed key."""
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


@on_tree
def inputs_are_used(found: Candidate) -> Iterable[Finding]:
    """What is read of an input is used."""
    script = found.script
    for name, binds in script.binds.items():
        if script.loads.get(name) or name.startswith("_"):
            continue
        for bind in binds:
            if bind.kind != "assign" or bind.index is not None or not isinstance(bind.value, ast.Call):
                continue
            source = _input_of(found, bind.value)
            if source:
                # By position nobody can tell which input is read elsewhere.
                again = _times(found, source) > 1
                yield found.finding(
                    bind.statement,
                    check="script.unused_input",
                    severity=Severity.WARNING if again else Severity.ERROR,
                    message=f"`{name}` is read from an input and never used. Use it as the "
                    "rule asks, or do not read it.",
                )


def _input_of(found: Candidate, call: ast.Call) -> str:
    """The input that a call reads, as the script names it: `snakemake.input.data`; empty if it reads none."""
    script = found.script
    reads = any(isinstance(part, ast.Call) and _reads(found, part) for part in ast.walk(call))
    inputs = [script.dotted(node) for node in ast.walk(call) if isinstance(node, ast.Attribute)]
    named = [name for name in inputs if name.startswith("snakemake.input")]
    return max(named, key=len) if reads and named else ""


def _reads(found: Candidate, call: ast.Call) -> bool:
    if found.flow.opens(call):
        return True
    return any(
        isinstance(part, ast.Call) and bool(found.flow.opens(part))
        for function in found.script.called(call)
        for part in ast.walk(function)
    )


def _times(found: Candidate, source: str) -> int:
    return sum(found.script.dotted(node) == source for node in found.script.all(ast.Attribute))
