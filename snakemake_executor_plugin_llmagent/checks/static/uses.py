"""What a value is used for."""

from __future__ import annotations

import ast

from snakemake_executor_plugin_llmagent.checks.static.source import Script

PLOTS = frozenset(
    {
        "plot", "scatter", "errorbar", "hist", "hist2d", "step", "stairs", "fill_between", "fill_betweenx", "bar",
        "barh", "axhline", "axvline", "axhspan", "axvspan", "text", "annotate", "imshow", "pcolormesh", "contour",
        "contourf", "semilogy", "semilogx", "loglog", "boxplot", "violinplot", "histplot", "hist2dplot", "set_xticks",
        "set_yticks", "set_xlim", "set_ylim", "legend", "stackplot", "vlines", "hlines", "hexbin",
    }
)  # fmt: skip
"""Methods that draw into a figure."""
MINIMISERS = frozenset(
    {
        "Minuit",
        "minimize",
        "least_squares",
        "curve_fit",
        "minimize_scalar",
        "root",
        "root_scalar",
        "fmin",
        "basinhopping",
    }
)
"""Functions and classes that take start values and look for a minimum or a root."""
_ENDS = (ast.stmt, ast.Lambda, ast.comprehension)


def only_plotted(script: Script, node: ast.AST, depth: int = 4) -> bool:
    """Whether the value of an expression goes into calls that draw and nowhere else."""
    return _only(script, node, PLOTS, depth)


def starts_a_fit(script: Script, node: ast.AST) -> bool:
    """Whether the value of an expression is only where a minimisation starts."""
    return _only(script, node, MINIMISERS, 4)


def _only(script: Script, node: ast.AST, names: frozenset[str], depth: int) -> bool:
    inner = node
    for outer in script.ancestors(node):
        if isinstance(outer, ast.Call) and inner is not outer.func:
            called = outer.func
            name = called.attr if isinstance(called, ast.Attribute) else script.dotted(called).rpartition(".")[2]
            if name in names:
                return True
        if isinstance(outer, ast.Assign) and depth:
            targets = outer.targets
            reads = [
                read
                for target in targets
                if isinstance(target, ast.Name) and len(script.binds.get(target.id, ())) == 1
                for read in script.loads.get(target.id, ())
            ]
            return bool(reads) and all(_only(script, read, names, depth - 1) for read in reads)
        if isinstance(outer, _ENDS):
            return False
        inner = outer
    return False
