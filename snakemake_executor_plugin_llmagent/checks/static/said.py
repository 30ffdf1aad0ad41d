"""The words of a rule, and the names in a script, against what the code does: signs, bounds, up and down, labels."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.checks.static import asked
from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.onward import Onward, follow
from snakemake_executor_plugin_llmagent.checks.static.polarity import Kept, Polarity, identifiers
from snakemake_executor_plugin_llmagent.checks.static.source import UNKNOWN
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity

_DENIES = re.compile(
    r"\b(no|not|neither|nor|none|never|veto\w*|reject\w*|remov\w*|exclud\w*|discard\w*|without|fail\w*|drop\w*"
    r"|unless)\b",
    re.IGNORECASE,
)
_OPPOSITE = re.compile(r"\b(opposite(ly)?|different|unlike)[- ]+(\w+[- ]+)?(charge|sign)", re.I)
_OTHER_SIDE = re.compile(r"\b(anti|invert\w*|control region|fake|side-?bands?|outside)\b", re.I)
"""Words of those who want what lies beyond a limit."""
_SAME_SIGN = re.compile(r"\b(same|like|equal|identical)[- ]+(\w+[- ]+)?(charge|sign)", re.I)
_TURNED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq,
}  # fmt: skip
_LESS = (ast.Lt, ast.LtE)
_MORE = (ast.Gt, ast.GtE)


def _says(candidate: Candidate, pattern: re.Pattern[str]) -> bool | None:
    """Whether the rule says something; None if it says that it is not to be."""
    text = asked.words(candidate.trial)
    found = list(pattern.finditer(text))
    for each in found:
        if _is_denied(text, each.start()):
            return None
    return bool(found)


def _is_denied(text: str, place: int) -> bool:
    """Whether the same clause says before that something is not wanted."""
    return bool(_DENIES.search(re.split(r"[.;:\n]\s|\)", text[max(0, place - 80) : place])[-1]))


# --- charges --------------------------------------------------------------------------------------------------------


@on_tree
def charges_are_as_said(candidate: Candidate) -> Iterable[Finding]:
    """Pairs of opposite charge are those whose charges differ, and the other way round."""
    opposite, same = _says(candidate, _OPPOSITE), _says(candidate, _SAME_SIGN)
    if opposite is None or same is None or opposite is same:
        return
    onward = follow(candidate.script)
    polarity = Polarity(onward)
    kept: list[tuple[ast.Compare, bool]] = []
    for node in candidate.script.all(ast.Compare):
        differ = _differ(candidate, onward, node)
        if differ is not None:
            how = polarity.of(node)
            if how not in (Kept.KEPT, Kept.DROPPED):
                return
            kept.append((node, differ is (how is Kept.KEPT)))
    if all(differ is not opposite for _, differ in kept):
        for node, differ in kept:
            text = (
                f"the rule asks for pairs of {'opposite' if opposite else 'the same'} charge, and this keeps those of "
            )
            text += f"{'opposite' if differ else 'the same'} charge. Turn the comparison round."
            yield candidate.finding(node, check="script.charge_sign", message=text)


def _differ(candidate: Candidate, onward: Onward, node: ast.Compare) -> bool | None:
    """Whether two charges of opposite sign fulfil a comparison; None if it does not compare two charges."""
    if len(node.ops) != 1:
        return None
    left, kind, right = node.left, type(node.ops[0]), node.comparators[0]
    if candidate.script.number(left) is not None:
        left, kind, right = right, _TURNED.get(kind, kind), left
    number = candidate.script.number(right)
    if number is None:
        return _unequal(onward, left, kind, right)
    product = _resolved(onward, left)
    if not isinstance(product, ast.BinOp) or not all(
        _is_charge(onward, each) for each in (product.left, product.right)
    ):
        return None
    answers: Mapping[tuple[type[ast.operator], type[ast.cmpop], float], bool] = {
        (ast.Mult, ast.Lt, 0.0): True, (ast.Mult, ast.LtE, 0.0): True, (ast.Mult, ast.Gt, 0.0): False,
        (ast.Mult, ast.GtE, 0.0): False, (ast.Mult, ast.Eq, -1.0): True, (ast.Mult, ast.NotEq, -1.0): False,
        (ast.Mult, ast.Eq, 1.0): False, (ast.Mult, ast.NotEq, 1.0): True, (ast.Add, ast.Eq, 0.0): True,
        (ast.Add, ast.NotEq, 0.0): False,
    }  # fmt: skip
    return answers.get((type(product.op), kind, float(number)))


def _unequal(onward: Onward, left: ast.expr, kind: type[ast.cmpop], right: ast.expr) -> bool | None:
    if kind not in (ast.Eq, ast.NotEq) or not (_is_charge(onward, left) and _is_charge(onward, right)):
        return None
    turned = [isinstance(each, ast.UnaryOp) and isinstance(each.op, ast.USub) for each in (left, right)]
    return (kind is ast.NotEq) is (turned[0] is turned[1])


def _is_charge(onward: Onward, node: ast.expr) -> bool:
    """Whether an expression is one charge, by its name or by what it is read from."""
    inner = _resolved(onward, node)
    if isinstance(inner, ast.BinOp):
        return False
    return any("charge" in name.lower() for name in (*identifiers(node), *identifiers(inner)))


def _resolved(onward: Onward, node: ast.expr, depth: int = 4) -> ast.expr:
    """What a variable that gets a value once stands for."""
    if isinstance(node, ast.Name) and depth:
        binds = onward.scopes.binds.get(onward.scopes.variable(node), ())
        if len(binds) == 1 and binds[0].kind == "assign" and binds[0].index is None and binds[0].value is not None:
            return _resolved(onward, binds[0].value, depth - 1)
    return node


# --- bounds ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Bound:
    """A comparison of a quantity of the inputs with a limit that has a name, as far as it decides what is kept.

    Attributes:
        node: the comparison.
        name: of the limit: the param or the constant.
        upper: whether what is kept lies below it.
    """

    node: ast.Compare
    name: str
    upper: bool


@on_tree
def bounds_bound(candidate: Candidate) -> Iterable[Finding]:
    """What is called a maximum, or what the rule wants values to be below, is the upper bound of what is kept."""
    found: dict[str, list[_Bound]] = defaultdict(list)
    for bound in _bounds(candidate):
        found[bound.name].append(bound)
    for name, bounds in found.items():
        upper, sure = _is_upper(candidate, name)
        if upper is None or any(bound.upper is upper for bound in bounds):
            continue
        for bound in bounds:
            which, where = ("upper", "above") if upper else ("lower", "below")
            yield candidate.finding(
                bound.node,
                check="script.bound_reversed",
                severity=Severity.ERROR if sure else Severity.WARNING,
                message=f"by {'the rule' if sure else 'its name'} `{name}` is the {which} bound, and what is kept here "
                f"lies {where} it. Turn the comparison round.",
            )


def _bounds(candidate: Candidate) -> Iterator[_Bound]:
    onward = follow(candidate.script)
    polarity = Polarity(onward)
    for node in candidate.script.all(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], (*_LESS, *_MORE)) or _in_an_or(candidate, node):
            continue
        left, right = node.left, node.comparators[0]
        for quantity, limit, below in ((left, right, _LESS), (right, left, _MORE)):
            name = _limit(candidate, onward, limit)
            if not name or isinstance(quantity, ast.UnaryOp) or not candidate.inputs.content(quantity):
                continue
            kept = polarity.of(node)
            if kept in (Kept.KEPT, Kept.DROPPED):
                yield _Bound(node, name, isinstance(node.ops[0], below) is (kept is Kept.KEPT))
            else:
                yield _Bound(node, name, _is_upper(candidate, name)[0] is True)  # nobody can see: as it should be


def _in_an_or(candidate: Candidate, node: ast.AST) -> bool:
    """Whether a comparison is one of several of which one suffices, as outside of a range."""
    for outer in candidate.script.ancestors(node):
        if isinstance(outer, ast.stmt):
            return False
        if isinstance(outer, ast.BoolOp) and isinstance(outer.op, ast.Or):
            return True
        if isinstance(outer, ast.BinOp) and isinstance(outer.op, ast.BitOr):
            return True
        if isinstance(outer, ast.Call) and candidate.script.dotted(outer.func) == "numpy.logical_or":
            return True
    return False


def _limit(candidate: Candidate, onward: Onward, node: ast.expr) -> str:
    """The name of the param or the constant that a limit is; empty if it is anything else."""
    plain = isinstance(node, ast.Name | ast.Attribute) or (
        isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name | ast.Attribute)
    )
    if not plain:
        return ""
    named = node.value if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) else node
    value: ast.expr | None = named
    if isinstance(named, ast.Name):
        binds = onward.scopes.binds.get(onward.scopes.variable(named), ())
        value = binds[0].value if len(binds) == 1 and binds[0].kind == "assign" else None
    if value is None:
        return ""
    if candidate.script.constant(value) is not UNKNOWN and isinstance(named, ast.Name):
        return named.id
    if any(isinstance(part, ast.BinOp | ast.UnaryOp | ast.Compare) for part in ast.walk(value)):
        return ""
    return _param_in(candidate, value)


def _param_in(candidate: Candidate, value: ast.expr) -> str:
    """The only param in an expression; empty if there is none, or more than one."""
    names: set[str] = set()
    for part in ast.walk(value):
        if isinstance(part, ast.Attribute) and candidate.script.dotted(part.value) == "snakemake.params":
            names.add(part.attr)
        elif isinstance(part, ast.Subscript) and candidate.script.dotted(part.value) == "snakemake.params":
            names.add(candidate.script.text(part.slice))
    return names.pop() if len(names) == 1 and not candidate.inputs.content(value) else ""


def _is_upper(candidate: Candidate, name: str) -> tuple[bool | None, bool]:
    """Whether a limit is an upper one, None if nothing tells; and whether the rule says so, and not only its name."""
    text = asked.words(candidate.trial)
    said = _stated(text, name)
    if len(said) == 1:
        return said.pop(), True
    first = name.lower().split("_")[0]
    if said or first not in ("max", "min", "maximum", "minimum") or _OTHER_SIDE.search(text):
        return None, False
    return first.startswith("max"), False


def _stated(text: str, name: str) -> set[bool | None]:
    """As what a rule speaks of a limit: True for an upper one, None where it speaks of what is not wanted."""
    words = {
        "<": True, "<=": True, "≤": True, "below": True, "less than": True, "at most": True, "smaller than": True,
        ">": False, ">=": False, "≥": False, "above": False, "greater than": False, "more than": False,
        "at least": False, "larger than": False,
    }  # fmt: skip
    either = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    limit = rf"`?params\.{re.escape(name)}(?!\w)"
    found: set[bool | None] = set()
    for match in re.finditer(rf"({either})\s*{limit}|{limit}(?:\[\w+\])?`?\s*([<>≤≥]=?)", text):
        upper = words[match[1]] if match[1] else not words[match[2]]
        found.add(None if _is_denied(text, match.start()) else upper)
    return found


# --- up and down ----------------------------------------------------------------------------------------------------


@on_tree
def variations_are_as_named(candidate: Candidate) -> Iterable[Finding]:
    """What is called up is not made of what is called down while the same is done to what is called down."""
    crossed: dict[tuple[str, bool], ast.expr] = {}
    for name, value in _named_values(candidate):
        stem, up = _direction(name)
        inner = {_direction(each)[1] for each in identifiers(value)} - {None}
        if up is not None and inner == {not up} and not _turns(value):
            crossed[stem, up] = value
    for (stem, up), value in crossed.items():
        if up and (stem, False) in crossed:
            text = f"what is called up of `{stem}` is made of what is called down, and the other way round. "
            text += "Exchange the two."
            yield candidate.finding(value, check="script.up_for_down", message=text)


def _named_values(candidate: Candidate) -> Iterator[tuple[str, ast.expr]]:
    """What a script gives a name: keys, keywords and variables, and the expressions behind them."""
    script = candidate.script
    for node in script.nodes:
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None and (name := script.text(key)):
                    yield name, value
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg, node.value
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Subscript) and (name := script.text(target.slice)):
                yield name, node.value


def _direction(name: str) -> tuple[str, bool | None]:
    """What is varied, and whether upwards, as a name says it: `pileup_up`, `scaleDown`; None if it says neither."""
    words = [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)]
    up, down = "up" in words, bool({"down", "dn"} & set(words))
    stem = "_".join(word for word in words if word not in ("up", "down", "dn"))
    return stem, up if up is not down else None


def _turns(value: ast.expr) -> bool:
    """Whether an expression turns a variation round: by a difference, a ratio or a sign."""
    return any(
        (isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub | ast.Div | ast.Pow))
        or (isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub))
        for part in ast.walk(value)
    )


# --- labels ---------------------------------------------------------------------------------------------------------

_DRAWN: Mapping[str, int] = {"stairs": 0, "hist": 0, "plot": 1, "step": 1, "errorbar": 1, "bar": 1, "scatter": 1}
"""Method that draws → which of its arguments it draws."""


@on_tree
def labels_are_of_what_is_drawn(candidate: Candidate) -> Iterable[Finding]:
    """A label that is the name of one sample does not stand at another, while that one has a label as well."""
    samples = {
        slot.name.lower() for slot in candidate.trial.spec.inputs if slot.name and "data" not in slot.name.lower()
    }
    labels = [(call, *_label(candidate, call)) for call in candidate.script.calls]
    told = {label for _, label, _ in labels}
    for call, label, drawn in labels:
        if label in samples and drawn in samples and drawn != label and drawn in told:
            text = f"the label `{label}` stands at what is called `{drawn}`. Give each sample its own label."
            yield candidate.finding(call, check="script.label_exchanged", message=text)


def _label(candidate: Candidate, call: ast.Call) -> tuple[str, str]:
    """The label of what a call draws, and what that is called; empty texts for anything else."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else candidate.script.dotted(call.func)
    place = _DRAWN.get(method.rpartition(".")[2], 99)
    text = next((candidate.script.text(one.value) for one in call.keywords if one.arg == "label"), "")
    label = re.sub(r"\s*\(.*\)$", "", text).strip().lower()
    if not label or len(call.args) <= place:
        return label, ""
    drawn = call.args[place]
    if isinstance(drawn, ast.Call) and isinstance(drawn.func, ast.Attribute) and not drawn.args:
        drawn = drawn.func.value  # signal.values()
    if isinstance(drawn, ast.Subscript):
        return label, candidate.script.text(drawn.slice).lower() or ast.unparse(drawn.value).lower()
    return label, drawn.id.lower() if isinstance(drawn, ast.Name) else ""
