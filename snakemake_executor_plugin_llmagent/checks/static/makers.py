"""What makes numbers out of nothing: draws of random numbers, grids, arrays of one value, numbers written down."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate
from snakemake_executor_plugin_llmagent.checks.static.flow import GENERATORS, NOT_DATA

VALUE_DRAWS: Mapping[str, int] = {
    "normal": 2, "gauss": 2, "normalvariate": 2, "lognormal": 2, "lognormvariate": 2, "uniform": 2, "exponential": 1,
    "expovariate": 1, "poisson": 1, "binomial": 2, "gamma": 2, "gammavariate": 2, "beta": 2, "betavariate": 2,
    "chisquare": 1, "standard_normal": 0, "standard_exponential": 0, "standard_cauchy": 0, "standard_t": 1, "random": 0,
    "random_sample": 0, "ranf": 0, "rand": 0, "randn": 0, "triangular": 3, "multivariate_normal": 2, "multinomial": 2,
    "laplace": 2, "logistic": 2, "rayleigh": 1, "weibull": 1, "pareto": 1, "vonmises": 2, "negative_binomial": 2,
    "geometric": 1, "hypergeometric": 3, "dirichlet": 1, "Gaus": 2, "Uniform": 2, "Exp": 1, "Poisson": 1, "Rndm": 0,
    "BreitWigner": 2, "Landau": 2,
}  # fmt: skip
"""Draw of numbers → how many of its first arguments say of which distribution; what follows is their number."""
ORDER_DRAWS = frozenset(
    {
        "permutation", "permuted", "shuffle", "choice", "choices", "integers", "randint", "random_integers", "sample",
        "randrange", "getrandbits", "randperm", "bytes",
    }
)  # fmt: skip
"""Draws that pick or reorder what is there."""
_MODULES = {"numpy.random": "numpy", "random": "random", "torch": "torch", "tensorflow.random": "tensorflow"}
_TORCH = {"rand": 0, "randn": 0, "normal": 2, "poisson": 1, "rand_like": 0, "randn_like": 0, "randint": 0}
_GRIDS = frozenset({"linspace", "logspace", "geomspace"})
_CONSTANTS = frozenset({"ones", "ones_like", "full", "full_like", "zeros", "zeros_like"})
FEWEST = 3
"""From so many numbers on, a list of them may stand for data."""


@dataclass(frozen=True, eq=False)
class Draw:
    """A call that draws random numbers.

    Attributes:
        call: the call.
        orders: whether it picks or reorders what is there.
        sized: whether it draws many at once.
        arguments: what says of which distribution.
        source: whose state it takes: a module's (`numpy`, `random`, `torch`, `tensorflow`), `generator` for an object
            of its own, `rvs` for scipy's distributions.
    """

    call: ast.Call
    orders: bool
    sized: bool
    arguments: tuple[ast.expr, ...]
    source: Literal["numpy", "random", "torch", "tensorflow", "generator", "rvs"]


def draws(candidate: Candidate) -> Iterator[Draw]:
    """All calls that draw random numbers."""
    for call in candidate.script.calls:
        found = draw(candidate, call)
        if found is not None:
            yield found


def draw(candidate: Candidate, call: ast.Call) -> Draw | None:
    """A call as a draw of random numbers, None if it is none."""
    if not isinstance(call.func, ast.Attribute | ast.Name):
        return None
    module, _, name = candidate.script.dotted(call.func).rpartition(".")
    method = call.func.attr if isinstance(call.func, ast.Attribute) else name
    if method == "rvs" and isinstance(call.func, ast.Attribute) and "scipy" in candidate.script.packages:
        return Draw(call, False, True, tuple(_without_size(call)), "rvs")
    source = _MODULES.get(module) if name and _root(call.func) in candidate.script.imports else None
    if isinstance(call.func, ast.Attribute) and source is None and _is_generator(candidate, call.func.value):
        source = "generator"
    if source is None:
        return None
    count = _TORCH.get(method) if source == "torch" else VALUE_DRAWS.get(method)
    if method in ORDER_DRAWS:
        return Draw(call, True, True, (), source)  # type: ignore[arg-type]  # a value of `_MODULES`
    if count is None:
        return None
    sized = len(call.args) > count or any(one.arg in ("size", "shape") for one in call.keywords)
    return Draw(call, False, sized, tuple(_without_size(call, count)), source)  # type: ignore[arg-type]  # as above


def _without_size(call: ast.Call, count: int | None = None) -> Iterator[ast.expr]:
    yield from call.args[:count]
    yield from (one.value for one in call.keywords if one.arg not in ("size", "shape", "random_state", "dtype"))


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_generator(candidate: Candidate, node: ast.expr) -> bool:
    """Whether an object is a random number generator, made by the script."""
    script = candidate.script
    if isinstance(node, ast.Call):
        return script.dotted(node.func) in GENERATORS
    if script.dotted(node) == "ROOT.gRandom":
        return True
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    if name in NOT_DATA:
        return True
    return any(
        isinstance(bind.value, ast.Call) and script.dotted(bind.value.func) in GENERATORS
        for bind in script.binds.get(name, ())
    )


class Made(StrEnum):
    """What numbers were made of, the worst first."""

    RANDOM = "random numbers"
    LITERAL = "numbers written down"
    GRID = "an even grid"
    CONSTANT = "one value"


_ORDER = (Made.RANDOM, Made.LITERAL, Made.GRID, Made.CONSTANT)


def made(candidate: Candidate, node: ast.AST | None, depth: int = 4) -> Made | None:
    """What an array is made of if nothing in it comes from an input; None if it does, or if it is no array."""
    if node is None or depth == 0 or candidate.flow.content(node):
        return None
    found = {kind for part in _values(node) for kind in _kinds(candidate, part, depth)}
    return next((kind for kind in _ORDER if kind in found), None)


def _values(node: ast.AST) -> Iterator[ast.AST]:
    """An expression and its parts, without those that only say how many."""
    stack = [node]
    while stack:
        part = stack.pop()
        yield part
        if isinstance(part, ast.Call):
            stack += [part.func, *part.args, *(one.value for one in part.keywords)]
        elif not isinstance(part, ast.Compare | ast.Subscript | ast.Lambda):
            stack += list(ast.iter_child_nodes(part))


def _kinds(candidate: Candidate, node: ast.AST, depth: int) -> Iterator[Made | None]:
    script = candidate.script
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else script.dotted(node.func).rpartition(".")[2]
        found = draw(candidate, node)
        if found is not None:
            yield None if found.orders else Made.RANDOM
        elif name in _GRIDS:
            yield Made.GRID
        elif name in _CONSTANTS:
            yield Made.CONSTANT
        for function in script.called(node):
            yield from (made(candidate, value, depth - 1) for value in script.returns(function))
    elif isinstance(node, ast.List | ast.Tuple):
        values = script.constant(node)
        numbers = values if isinstance(values, tuple) and all(map(_is_number, values)) else ()
        if len(numbers) >= FEWEST and len(set(numbers)) > 1:
            yield Made.LITERAL
    elif isinstance(node, ast.Name):
        for bind in script.binds.get(node.id, ()):
            if bind.kind == "assign" and bind.index is None:
                yield made(candidate, bind.value, depth - 1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
