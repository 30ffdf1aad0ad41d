"""Data that the script makes up and takes for what an input should hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from snakemake_executor_plugin_llmagent.checks.static import asked
from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.fallbacks import handlers
from snakemake_executor_plugin_llmagent.checks.static.makers import Made, made
from snakemake_executor_plugin_llmagent.checks.static.uses import only_plotted
from snakemake_executor_plugin_llmagent.protocols import Finding

_PRETENDS = re.compile(
    r"(^|_)(dummy|mock|synthetic|placeholder|made_?up)(_|$)|(fake|example|sample)_(data|events|masses|values)"
)
_DATA = re.compile(
    r"data|counts?|(data|bin|event|observed)_counts?|observed|observations?|events|masses|m_?yy|mass_values|n_obs"
    r"|data_(values|points|masses)|scores?|yields"
)
_FRAME = re.compile(
    r"edge|bin|grid|axis|axes|tick|level|range|start|init|guess|limit|quantile|cent(er|re)|^x+s?$|scan|points"
)
_WORST = (Made.RANDOM, Made.LITERAL, Made.GRID)
_HISTOGRAMS = frozenset({"histogram", "histogram2d", "histogramdd"})


@on_tree
def data_are_not_made_up(candidate: Candidate) -> Iterable[Finding]:
    """What is analysed comes from the inputs."""
    if not candidate.trial.job.inputs:
        return
    told: set[ast.AST] = set()
    for node, what in (*_instead(candidate), *_pretended(candidate), *_written_down(candidate), *_grids(candidate)):
        if node not in told:
            told.add(node)
            yield candidate.finding(
                node,
                check="script.invented_data",
                message=f"{what} where data of an input belong. Take them from the inputs; "
                "where they hold no such thing, let the script fail and say so.",
            )


def _instead(candidate: Candidate) -> Iterator[tuple[ast.AST, str]]:
    """Arrays that are made up where another branch of the same statement takes them from an input."""
    for node in candidate.script.nodes:
        if isinstance(node, ast.If) and node.orelse:
            for one, other in ((node.body, node.orelse), (node.orelse, node.body)):
                yield from _stand_ins(candidate, one, other)
    for fallback in handlers(candidate.script):
        yield from _stand_ins(candidate, fallback.tried, fallback.instead)


def _stand_ins(
    candidate: Candidate, real: Sequence[ast.AST], instead: Sequence[ast.AST]
) -> Iterator[tuple[ast.AST, str]]:
    from_inputs = {
        name
        for name, value, _ in _assigned(instead_of=real)
        if candidate.inputs.content(value) or _reads(candidate, value)
    }
    for name, value, node in _assigned(instead_of=instead):
        kind = made(candidate, value)
        if name in from_inputs and kind in _WORST and not _FRAME.search(name.lower()):
            yield node, f"{kind} stand"


def _reads(candidate: Candidate, value: ast.expr) -> bool:
    return any(isinstance(part, ast.Call) and bool(candidate.inputs.opens(part)) for part in ast.walk(value))


def _assigned(instead_of: Sequence[ast.AST]) -> Iterator[tuple[str, ast.expr, ast.AST]]:
    """The names that a block gives values to, directly; what it returns has no name."""
    for node in instead_of:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                    if isinstance(part, ast.Name):
                        yield part.id, node.value, node
                    elif isinstance(part, ast.Subscript):
                        yield ast.unparse(part), node.value, node
        elif isinstance(node, ast.Return) and node.value is not None:
            yield "return", node.value, node


def _pretended(candidate: Candidate) -> Iterator[tuple[ast.AST, str]]:
    """Arrays whose own names say that they are no data."""
    if asked.asks_for_random(candidate.trial):
        return
    for name, binds in candidate.script.binds.items():
        for bind in binds:
            if bind.kind == "assign" and _PRETENDS.search(name.lower()):
                kind = made(candidate, bind.value)
                plotted = bind.value is not None and only_plotted(candidate.script, bind.value)
                if kind in _WORST and not plotted and candidate.script.loads.get(name):
                    yield bind.statement, f"{kind} (`{name}`) stand"


def _written_down(candidate: Candidate) -> Iterator[tuple[ast.AST, str]]:
    """Lists of numbers that are called data, and that the rule does not state."""
    known = asked.numbers(candidate.trial)
    for name, binds in candidate.script.binds.items():
        if len(binds) != 1 or binds[0].kind != "assign" or not _DATA.fullmatch(name.lower()):
            continue
        value = binds[0].value
        inner = value.args[0] if isinstance(value, ast.Call) and len(value.args) >= 1 else value
        numbers = candidate.script.constant(inner) if isinstance(inner, ast.List | ast.Tuple) else None
        if not isinstance(numbers, tuple) or len(numbers) < 5 or not _are_numbers(numbers):
            continue
        rising = all(left < right for left, right in pairwise(numbers))
        stated = all(asked.is_given(number, known) for number in numbers)
        if not rising and not stated and len(set(numbers)) > 2:
            yield binds[0].statement, "numbers written down stand"


def _are_numbers(values: Sequence[object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _grids(candidate: Candidate) -> Iterator[tuple[ast.AST, str]]:
    """Even grids that are filled into histograms as if they were events."""
    for call in candidate.script.calls:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else candidate.script.dotted(call.func)
        if not call.args or not (name.rpartition(".")[2] in _HISTOGRAMS or name == "fill"):
            continue
        weighted = any(one.arg in ("weights", "weight", "sample", None) for one in call.keywords)
        if made(candidate, call.args[0]) is Made.GRID and not weighted:
            yield call, "an even grid is filled"
