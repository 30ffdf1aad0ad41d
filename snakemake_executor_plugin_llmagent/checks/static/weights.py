"""Weights that the script sets to one value although events have weights."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.checks.static import asked
from snakemake_executor_plugin_llmagent.checks.static.candidate import MOST, Candidate, candidate
from snakemake_executor_plugin_llmagent.checks.static.columns import Columns
from snakemake_executor_plugin_llmagent.checks.static.source import Bind
from snakemake_executor_plugin_llmagent.checks.static.uses import PLOTS
from snakemake_executor_plugin_llmagent.protocols import Describe, Finding, Severity, Trial

_WEIGHT = re.compile(r"(\w*_)?(weights?|wgts?|wts?)(_\w*)?|\w*[wW]eights?")
_SHORT = re.compile(r"ws?|w_\w+")
_OTHER_WEIGHTS = re.compile(
    r"data|obs|unif|equal|unit|unweight|quad|node|class|grid|initial|start|bkg|side|label|kernel|layer|pos_|neg_"
)
_READ = re.compile(r"[\w./]*(weight|wgt)[\w./]*", re.IGNORECASE)
_ARRAYS = frozenset({"ones", "ones_like", "zeros", "zeros_like", "full", "full_like"})
_WORDS = frozenset({"weight", "weights", "sample_weight"})


class WeightsCheck:
    """Events that have weights are not counted as one each."""

    def __init__(self, describe: Describe | None) -> None:
        """Know the inputs by the descriptions that `describe` gives; without, by what the rule says."""
        self._describe = describe

    def __call__(self, trial: Trial) -> Iterable[Finding]:
        """Look at the weights in a script."""
        try:
            return tuple(self._look(candidate(trial)))[:MOST]
        except (SyntaxError, RecursionError):
            return ()

    def _look(self, found: Candidate) -> Iterator[Finding]:
        if asked.denies_weights(found.trial):
            return
        places = [*_constant_weights(found)]
        if not places:
            return
        reads = _reads_weights(found)
        columns = self._describe is not None and Columns(found.trial.job, self._describe).weights()
        stated = asked.speaks_of_weights(found.trial)
        for each in places:
            # What is called data may be recorded events, which have no weights: only the file can tell.
            sure = each.overwritten or not reads
            if (columns or stated) if sure and not each.of_data else columns and (sure or each.written):
                text = "the weights are set to one value here, although events have weights. Use those of the inputs."
                severity = Severity.ERROR if sure else Severity.WARNING
                yield found.finding(each.node, check="script.weights_ones", message=text, severity=severity)


@dataclass(frozen=True, eq=False)
class _Place:
    """Where weights are set to one value; whether instead of those read, for what may be data, into a column."""

    node: ast.AST
    overwritten: bool = False
    of_data: bool = False
    written: bool = False


def _constant_weights(found: Candidate) -> Iterator[_Place]:
    for name, binds in found.script.binds.items():
        if _is_weight(found, name):
            yield from _named(found, name, binds)
    yield from _columns(found)
    for node in found.script.nodes:
        if not isinstance(node, ast.Assign | ast.keyword) or not _is_one(found, node.value):
            continue
        if isinstance(node, ast.Assign):
            yield from _stored(found, node)
        elif node.arg in _WORDS and isinstance(node.value, ast.Call) and not _plots(found, node):
            yield _Place(node.value, of_data=_is_of_data(ast.unparse(node.value)))


def _named(found: Candidate, name: str, binds: Sequence[Bind]) -> Iterator[_Place]:
    ones = [bind for bind in binds if bind.kind == "assign" and bind.index is None and _is_one(found, bind.value)]
    for bind in ones:
        if _likened(bind.value, name) and not _in_a_case(found, bind.statement):
            yield _Place(bind.statement, overwritten=True)
    if ones and len(ones) == len(binds) and not _filled(found, name):
        value = bind.value if (bind := ones[0]).value is not None else ast.Constant(1)
        yield _Place(bind.statement, of_data=_is_of_data(ast.unparse(value)))


def _stored(found: Candidate, node: ast.Assign) -> Iterator[_Place]:
    for target in node.targets:
        key = found.script.constant(target.slice) if isinstance(target, ast.Subscript) else None
        if isinstance(key, str) and _WEIGHT.fullmatch(key) and not _OTHER_WEIGHTS.search(key.lower()):
            yield _Place(node, of_data=_is_of_data(ast.unparse(node)), written=True)


def _columns(found: Candidate) -> Iterator[_Place]:
    """Columns of weights that a table is made with: `{"weight": np.ones(n)}`."""
    for table in found.script.all(ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            name = found.script.text(key)
            weighs = _WEIGHT.fullmatch(name) and not _OTHER_WEIGHTS.search(name.lower())
            if weighs and isinstance(value, ast.Call) and _is_one(found, value):
                yield _Place(value, of_data=_is_of_data(ast.unparse(value)), written=True)


def _in_a_case(found: Candidate, node: ast.AST) -> bool:
    return any(isinstance(outer, ast.If) for outer in found.script.ancestors(node))


def _is_weight(found: Candidate, name: str) -> bool:
    if _is_of_data(name) or _OTHER_WEIGHTS.search(name.lower()):
        return False
    return bool(_WEIGHT.fullmatch(name)) or (bool(_SHORT.fullmatch(name)) and _weighs(found, name))


def _is_of_data(text: str) -> bool:
    """Whether something may belong to recorded data, whose events count as one each."""
    return bool(re.search(r"data|obs(erved)?\b|asimov|toy", text.lower()))


def _weighs(found: Candidate, name: str) -> bool:
    """Whether a name is given to something as weights."""
    return any(
        isinstance(parent := found.script.parents.get(read), ast.keyword) and parent.arg in _WORDS
        for read in found.script.loads.get(name, ())
    )


def _plots(found: Candidate, node: ast.AST) -> bool:
    return any(
        isinstance(outer, ast.Call) and isinstance(outer.func, ast.Attribute) and outer.func.attr in PLOTS
        for outer in found.script.ancestors(node)
    )


def _is_one(found: Candidate, value: ast.expr | None) -> bool:
    """Whether an expression is one value for all events, zero included."""
    if isinstance(value, ast.Constant):
        return value.value in (1, 1.0) and not isinstance(value.value, bool)
    if not isinstance(value, ast.Call):
        return False
    name = value.func.attr if isinstance(value.func, ast.Attribute) else found.script.dotted(value.func)
    if name == "astype" and isinstance(value.func, ast.Attribute):
        return _is_one(found, value.func.value)
    if name not in _ARRAYS or _is_selection(value):
        return False
    if name in ("full", "full_like"):
        return len(value.args) > 1 and found.script.number(value.args[1]) in (0, 1)
    return True


def _is_selection(value: ast.Call) -> bool:
    return any(one.arg == "dtype" and "bool" in ast.unparse(one.value) for one in value.keywords)


def _likened(value: ast.expr | None, name: str) -> bool:
    """Whether ones are made like the weights themselves, so that they take their place."""
    return isinstance(value, ast.Call) and any(
        isinstance(part, ast.Name) and part.id == name for argument in value.args for part in ast.walk(argument)
    )


def _filled(found: Candidate, name: str) -> bool:
    """Whether something is put into an array later."""
    return any(
        isinstance(node, ast.Subscript | ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
        for node in found.script.nodes
    ) or found.flow.content(ast.Name(id=name, ctx=ast.Load()))


def _reads_weights(found: Candidate) -> bool:
    """Whether a script reads anything that is called a weight."""
    script = found.script
    for text in script.texts:
        parent = script.parents.get(text)
        stored = isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store)
        key = isinstance(parent, ast.Dict) and text in parent.keys
        label = isinstance(parent, ast.keyword | ast.JoinedStr | ast.FormattedValue | ast.Expr)
        if not (stored or key or label) and _READ.fullmatch(str(text.value)):
            return True
    return any("weight" in name.lower() for name in script.attributes)
