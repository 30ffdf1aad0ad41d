"""Results that somebody wrote down instead of computing them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from snakemake_executor_plugin_llmagent.checks.static import asked
from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.documents import WRITERS, Leaf, leaves
from snakemake_executor_plugin_llmagent.checks.static.source import UNKNOWN
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity

_RESULT = re.compile(
    r"value|error|err|uncertainty|stat_error|chi_?2|chi_?sq(uare)?|chi2_?ndf|reduced_chi2|p|p_?val(ue)?|p0|fmin|nll"
    r"|(expected_|observed_)?yield(_error|_err)?|mu(_hat|_error|_err)?|signal_strength|(expected_|observed_)?significance"
    r"|z|z_?(obs|exp|score|value)|n_?(sig(nal)?|bkg|background|events)|auc|accuracy|events|observed|background|signal"
)
_NO_RESULT = re.compile(
    r"config|setting|option|start|init|seed|limit|range|bin|edge|cuts?$|threshold|fixed|constant|convention|decision"
    r"|choice|reference|pdg|world|literature|theor|assum|given|input|unit|label|style|format|version|lumi|truth|inject"
    r"|tolerance|convert|scale|target|nominal_(value|mass)|true|meta|mass_hypo|hypothes|point|default"
)
_HALVES = frozenset({"value", "error", "err", "uncertainty", "stat_error"})
_ORDINARY = (0.0, 1.0, -1.0)
"""Numbers that stand for "none", "all" or "not done" and are no result by themselves."""


@on_tree
def results_are_computed(candidate: Candidate) -> Iterable[Finding]:
    """No result in an output is a number that stands in the script."""
    known = asked.numbers(candidate.trial)
    found: dict[ast.AST, Leaf] = {}
    documents: dict[ast.Call, list[Leaf]] = {}
    for leaf in leaves(candidate.script):
        documents.setdefault(leaf.document, []).append(leaf)
    for parts in documents.values():
        computed = any(candidate.script.constant(leaf.value) is UNKNOWN for leaf in parts)
        for leaf in parts:
            if _is_result(leaf, parts) and _is_written_down(candidate, leaf, parts, known, computed=computed):
                found.setdefault(leaf.value, leaf)
    for leaf in found.values():
        text = f"the result `{'.'.join(leaf.keys)}` is a number that stands in the script. Compute it from the inputs; "
        text += "where it cannot be computed, write null or let the script fail."
        severity = Severity.ERROR if _only_written(candidate, leaf) else Severity.WARNING
        yield candidate.finding(leaf.value, check="script.literal_result", message=text, severity=severity)


def _is_result(leaf: Leaf, parts: Sequence[Leaf]) -> bool:
    keys = [key.lower() for key in leaf.keys]
    if not _RESULT.fullmatch(leaf.key.lower()) or any(map(_NO_RESULT.search, keys)):
        return False
    beside = {part.key.lower() for part in parts if part.keys[:-1] == leaf.keys[:-1]}
    if leaf.key.lower() in _HALVES:
        # One without the other may be a setting.
        return any("param" in key for key in keys) or ("value" in beside and len(beside & _HALVES) > 1)
    if leaf.key.lower() in ("background", "signal"):
        return bool(beside & {"observed", "z_obs", "z_exp"})
    return leaf.key.lower() != "z" or not beside & {"x", "y"}


def _is_written_down(
    candidate: Candidate, leaf: Leaf, parts: Sequence[Leaf], known: Iterable[float], *, computed: bool
) -> bool:
    number = candidate.script.number(leaf.value)
    if number is None or asked.is_given(number, known) or (computed and number in _ORDINARY):
        return False
    if _chosen_by_data(candidate, leaf) or any(map(_NO_RESULT.search, (name.lower() for name in leaf.names[-1:]))):
        return False
    others = [part for part in parts if part.keys == leaf.keys and part.value is not leaf.value]
    if any(candidate.script.number(part.value) is None for part in others) and _is_a_case(candidate, leaf):
        return False
    if not isinstance(leaf.value, ast.Constant | ast.UnaryOp):
        return False
    # What is computed with may be a setting; settings have names in capitals.
    return _only_written(candidate, leaf) or (
        bool(leaf.names) and leaf.names[-1].islower() and _is_bound_once(candidate, leaf)
    )


def _chosen_by_data(candidate: Candidate, leaf: Leaf) -> bool:
    """Whether a number is one of two, and not by the name of what is written."""
    if not isinstance(leaf.node, ast.IfExp):
        return False
    test = leaf.node.test
    return not (isinstance(test, ast.Compare) and any(candidate.script.text(part) for part in test.comparators))


def _is_bound_once(candidate: Candidate, leaf: Leaf) -> bool:
    return len(candidate.script.binds.get(leaf.names[-1], ())) == 1


def _is_a_case(candidate: Candidate, leaf: Leaf) -> bool:
    """Whether a value is put into the document in one case only, and not because something failed."""
    outer = list(candidate.script.ancestors(leaf.node)) + list(candidate.script.ancestors(leaf.value))
    return any(isinstance(node, ast.If) for node in outer) and not any(
        isinstance(node, ast.ExceptHandler) for node in outer
    )


def _only_written(candidate: Candidate, leaf: Leaf) -> bool:
    """Whether the name that a number has, if any, is used for nothing but writing and printing it."""
    statement = candidate.script.statement(leaf.value)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is not leaf.value:
        return True
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if any(isinstance(outer, ast.ExceptHandler) for outer in candidate.script.ancestors(statement)):
        return True
    if any(len(candidate.script.binds.get(name, ())) != 1 for name in names):
        return False
    return all(_writes(candidate, read) for name in names for read in candidate.script.loads.get(name, ()))


def _writes(candidate: Candidate, read: ast.Name) -> bool:
    for outer in candidate.script.ancestors(read):
        if isinstance(outer, ast.BinOp | ast.Compare | ast.Subscript | ast.BoolOp):
            return False
        if isinstance(outer, ast.Dict | ast.JoinedStr):
            return True
        if isinstance(outer, ast.Call):
            name = candidate.script.dotted(outer.func)
            return name in WRITERS or name in ("print", "dict", "float", "str", "round") or name.endswith(".write")
        if isinstance(outer, ast.stmt):
            stores = isinstance(outer, ast.Assign) and any(isinstance(each, ast.Subscript) for each in outer.targets)
            return stores and isinstance(outer, ast.Assign) and read is outer.value
    return False
