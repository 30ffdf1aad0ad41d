"""Figures without labels at their axes."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import PurePosixPath

from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity

_IMAGES = frozenset({".png", ".pdf", ".svg", ".jpg", ".jpeg", ".eps", ".ps", ".webp"})
_LABEL_THEMSELVES = frozenset(
    {
        "histplot", "hist2dplot", "plot1d", "plot2d", "plot_pull", "plot_ratio", "plot_pull_array", "plot_ratio_array",
        "from_predictions", "from_estimator", "plot_importance", "summary_plot", "draw_profile", "draw_contour",
        "draw_mncontour", "draw_mnprofile", "draw_mnmatrix", "visualize", "corner", "data_mc", "pulls",
        "correlation_matrix", "ranking", "brazil", "plot_results", "heatmap", "jointplot", "pairplot", "draw_stack",
    }
)  # fmt: skip
"""Functions and methods that label axes themselves, or draw no axes."""
_NO_AXES = frozenset({"set_axis_off", "pie", "imsave", "draw_networkx", "table", "plot_tree", "to_graphviz"})
_LIBRARIES = frozenset(
    {
        "seaborn",
        "hist",
        "boost_histogram",
        "cabinetry",
        "shap",
        "arviz",
        "plothist",
        "ROOT",
        "plotly",
        "cartopy",
        "geopandas",
        "healpy",
    }
)
_ON_AXES = frozenset(
    {"plot", "hist", "hist2d", "errorbar", "step", "stairs", "scatter", "bar", "fill_between", "semilogy", "loglog"}
)
_ANY_TEXT = frozenset({"figtext", "set_label_text"})
"""What may label any axis, as the texts of a figure (`fig.text`) do; a text of an axes is something else."""
_WORDS = {"x": ("xlabel", "set_xlabel", "supxlabel"), "y": ("ylabel", "set_ylabel", "supylabel")}


@on_tree
def axes_are_labelled(candidate: Candidate) -> Iterable[Finding]:
    """A figure says what is on its axes, in which unit."""
    script = candidate.script
    images = [item for item in candidate.trial.job.outputs if PurePosixPath(item.path).suffix.lower() in _IMAGES]
    saved = [call for call in script.calls if isinstance(call.func, ast.Attribute) and call.func.attr == "savefig"]
    drawn = any(script.attributes[name] for name in _ON_AXES)
    if not images or not saved or not drawn or "matplotlib" not in script.packages or _labelled_by_others(candidate):
        return
    missing = [axis for axis in _WORDS if not _has_label(candidate, axis)]
    if missing:
        axes = " and ".join(f"the {axis} axis" for axis in missing)
        yield candidate.finding(
            saved[0],
            check="script.axis_label",
            severity=Severity.ERROR if len(missing) == 2 else Severity.WARNING,
            message=f"nothing labels {axes} of this figure. Say what is shown, with its unit.",
        )


def _has_label(candidate: Candidate, axis: str) -> bool:
    script = candidate.script
    words = _WORDS[axis]
    return (
        any(script.attributes[word] for word in (*words, *_ANY_TEXT) if not _emptied(candidate, word))
        or any(
            isinstance(call.func, ast.Attribute) and call.func.attr == "text" and _is_figure(call.func.value)
            for call in script.calls
        )
        or any(one.arg in words for one in script.all(ast.keyword))
        or any(text.value in words for text in script.texts)
    )


def _is_figure(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.startswith("fig")


def _emptied(candidate: Candidate, word: str) -> bool:
    """Whether a label is only ever set to nothing."""
    calls = [call for call in candidate.script.calls if isinstance(call.func, ast.Attribute) and call.func.attr == word]
    texts = [argument.value for call in calls for argument in call.args if isinstance(argument, ast.Constant)]
    return bool(calls) and len(texts) == len(calls) and not any(texts)


def _labelled_by_others(candidate: Candidate) -> bool:
    script = candidate.script
    if script.packages & _LIBRARIES or any(script.attributes[name] for name in _LABEL_THEMSELVES | _NO_AXES):
        return True
    if any(text.value == "off" for text in script.texts):
        return True
    return "pandas" in script.packages and any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "plot"
        and any(one.arg in ("x", "y", "kind") for one in node.keywords)
        for node in script.nodes
    )  # fmt: skip
