"""Fits: where they are made, whether anybody looks at how they ended, and p-values from the wrong tail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.documents import leaves
from snakemake_executor_plugin_llmagent.checks.static.source import Script
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity

_METHODS = frozenset({"migrad", "simplex", "minimize", "minimise"})
_FUNCTIONS = frozenset(
    {
        "scipy.optimize.minimize", "scipy.optimize.least_squares", "scipy.optimize.minimize_scalar",
        "scipy.optimize.differential_evolution", "scipy.optimize.basinhopping", "scipy.optimize.dual_annealing",
    }
)  # fmt: skip
_RAISE_THEMSELVES = frozenset({"curve_fit", "fit", "fixed_poi_fit", "hypotest", "brentq", "hesse", "minos", "Fit"})
_VALIDITY = frozenset(
    {
        "valid", "is_valid", "converged", "success", "accurate", "status", "IsValid", "Status", "CovMatrixStatus",
        "has_covariance", "has_accurate_covar", "is_above_max_call", "has_reached_call_limit", "fmin", "ier",
    }
)  # fmt: skip
_ACCURACY = frozenset({"accurate", "has_accurate_covar", "is_valid", "converged", "CovMatrixStatus"})
_CLAIMS = frozenset({"valid", "converged", "success", "fit_valid", "is_valid", "accurate"})


def fit_calls(script: Script, nodes: Iterable[ast.AST] | None = None) -> Iterator[ast.Call]:
    """Calls that fit and do not raise if they fail."""
    for node in script.nodes if nodes is None else nodes:
        if not isinstance(node, ast.Call):
            continue
        if script.dotted(node.func) in _FUNCTIONS:
            yield node
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS and not script.called(node):
            minimiser = {"iminuit", "zfit", "lmfit"} & script.packages
            if minimiser and script.dotted(node.func).partition(".")[0] not in ("numpy", "sympy"):
                yield node


def calls_fit(script: Script, nodes: Sequence[ast.AST]) -> bool:
    """Whether code fits, by itself or by a function of the script that it calls."""
    parts = [inner for node in nodes for inner in ast.walk(node)]
    if any(True for _ in fit_calls(script, parts)):
        return True
    for call in parts:
        if isinstance(call, ast.Call):
            name = script.dotted(call.func).rpartition(".")[2] or getattr(call.func, "attr", "")
            if name in _RAISE_THEMSELVES and name not in ("hesse", "minos"):
                return True
            if any(any(True for _ in fit_calls(script, ast.walk(each))) for each in script.called(call)):
                return True
    return False


def looks_at_validity(script: Script) -> bool:
    """Whether a script reads how any fit ended."""
    read = (node for node in script.all(ast.Subscript) if isinstance(node.ctx, ast.Load))
    return any(script.attributes[name] for name in _VALIDITY) or any(
        isinstance(name := script.constant(node.slice), str) and name in _VALIDITY for node in read
    )


@on_tree
def fit_is_checked(candidate: Candidate) -> Iterable[Finding]:
    """Somebody looks at whether a fit has converged."""
    script = candidate.script
    fits = list(fit_calls(script))
    looked = looks_at_validity(script)
    if not fits or (looked and any(script.attributes[name] for name in _ACCURACY)):
        return
    claims = [leaf for leaf in leaves(script) if leaf.key in _CLAIMS and script.constant(leaf.value) is True]
    claimed = next((leaf for leaf in claims if not looked or leaf.key == "accurate"), None)
    if claimed is not None:
        yield candidate.finding(
            claimed.value,
            check="script.fit_unchecked",
            message=f"`{claimed.key}` is true whatever became of the fit. Take it from the "
            "minimiser (such as `minuit.valid`, `result.success`, `result.converged`).",
        )
    elif not looked:
        yield candidate.finding(
            fits[0],
            check="script.fit_unchecked",
            severity=Severity.WARNING,
            message="nothing looks at whether this fit has converged (such as `minuit.valid`, "
            "`result.success`, `result.converged`). Put it into the result, or fail.",
        )


# --- tails ----------------------------------------------------------------------------------------------------------

_P_VALUE = re.compile(
    r"(p|p0|p_0|p_?val(ue)?s?(_\w+)?|\w+_p_?val(ue)?|p_(obs|exp|local|global)|(local|global)_p\w*|gof_p)"
)
_Z = re.compile(r"(z|z_?(obs|exp|score|value|0)|\w*significance\w*)")
_P = re.compile(r"(p|p0|p_0|p_?val(ue)?s?(_\w+)?|p_(obs|exp|local|global))")
_NORMAL = frozenset({"scipy.stats.norm.cdf", "scipy.special.ndtr", "scipy.stats.distributions.norm.cdf"})
_CHI2 = frozenset({"scipy.stats.chi2.cdf", "scipy.special.chdtr", "scipy.stats.distributions.chi2.cdf"})
_QUANTILE = frozenset({"scipy.stats.norm.ppf", "scipy.special.ndtri"})
_QUANTILES = frozenset({"quantile", "percentile", "nanquantile", "nanpercentile", "ppf", "isf"})
_SAME = frozenset({"float", "numpy.float64", "round"})


@on_tree
def takes_the_right_tail(candidate: Candidate) -> Iterable[Finding]:
    """P-values are of the upper tail: `sf(z)`, not `cdf(z)`."""
    script = candidate.script
    for name, value in _named_values(script):
        if _P_VALUE.fullmatch(name.lower()) and _is_lower_tail(script, value):
            text = "this is the lower tail, close to 1. Use `0.5 * erfc(z / sqrt(2))` or `norm.sf(z)`."
            yield candidate.finding(value, check="script.wrong_tail", message=text)
        for call in _direct(script, value):
            function = script.dotted(call.func)
            text = ""
            if _P_VALUE.fullmatch(name.lower()) and not _other_on_purpose(script, name):
                if function in _CHI2:
                    text = "`cdf` is the probability of a smaller chi2. Use `chi2.sf(chi2, ndf)`"
                elif function in _NORMAL and call.args and _positive(script, call.args[0]):
                    text = "`cdf` of a significance is the lower tail, close to 1. Use `norm.sf(z)`"
            elif _Z.fullmatch(name.lower()) and function in _QUANTILE and call.args and _is_named(call.args[0], _P):
                text = "`ppf` of a p-value has the wrong sign. Use `norm.isf(p)`"
            if text:
                yield candidate.finding(call, check="script.wrong_tail", message=f"{text}.")


def _named_values(script: Script) -> Iterator[tuple[str, ast.expr]]:
    for node in script.nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value
                elif isinstance(target, ast.Subscript):
                    yield script.text(target.slice), node.value
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value


def _direct(script: Script, value: ast.expr) -> Iterator[ast.Call]:
    """The calls whose value an expression has, unchanged."""
    if isinstance(value, ast.IfExp):
        yield from (*_direct(script, value.body), *_direct(script, value.orelse))
    elif isinstance(value, ast.Call):
        if script.dotted(value.func) in _SAME and value.args:
            yield from _direct(script, value.args[0])
        else:
            yield value


def _is_lower_tail(script: Script, value: ast.expr) -> bool:
    """Whether an expression is `0.5 * (1 + erf(z / sqrt(2)))` or `0.5 * erfc(-z / sqrt(2))`."""
    if isinstance(value, ast.Call) and script.dotted(value.func) in _SAME and value.args:
        value = value.args[0]
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Mult | ast.Div):
        return False
    for part in (value.left, value.right):
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add) and script.number(part.left) == 1:
            if _of_z(script, part.right, "erf", negative=False):
                return True
        elif _of_z(script, part, "erfc", negative=True):
            return True
    return False


def _of_z(script: Script, node: ast.expr, function: str, *, negative: bool) -> bool:
    if not isinstance(node, ast.Call) or script.dotted(node.func).rpartition(".")[2] != function or not node.args:
        return False
    top = node.args[0].left if isinstance(node.args[0], ast.BinOp) else node.args[0]
    minus = isinstance(top, ast.UnaryOp) and isinstance(top.op, ast.USub)
    inner = top.operand if isinstance(top, ast.UnaryOp) else top
    return minus is negative and _positive(script, inner)


def _positive(script: Script, node: ast.expr) -> bool:
    """Whether an argument is a significance with its usual sign."""
    if isinstance(node, ast.Call):
        return script.dotted(node.func) in ("numpy.sqrt", "math.sqrt", "abs", "numpy.abs")
    return _is_named(node, _Z)


def _is_named(node: ast.expr, pattern: re.Pattern[str]) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        name = str(node.slice.value)
    else:
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return bool(pattern.fullmatch(name.lower()))


def _other_on_purpose(script: Script, name: str) -> bool:
    """Whether a name holds the lower tail on purpose: `1 - name` is taken somewhere, or a quantile at it."""
    this = re.compile(re.escape(name.lower()))
    parts: list[ast.AST] = []
    for node in script.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and script.number(node.left) == 1:
            parts += ast.walk(node.right)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _QUANTILES:
            parts += node.args
    return any(isinstance(part, ast.expr) and _is_named(part, this) for part in parts)
