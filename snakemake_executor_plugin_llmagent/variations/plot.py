"""The spread of results as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.errors import MissingDependency
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.variations.report import Report
from snakemake_executor_plugin_llmagent.variations.spread import Quantity

MOST_PANELS = 4
NOMINAL, OTHER, FAILED = "#1f4e79", "#c8641e", "#888888"


def draw(report: Report, path: Path) -> None:
    """Draw each result over all runs beside the others: its value and error, with the nominal one as a band.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency("No plot: it takes matplotlib (pip install matplotlib).") from None
    panels = [one for one in report.shown if one.nominal is not None][:MOST_PANELS]
    labels = ["nominal", *(one_line(run.variation.label, 60) for run in report.others)]
    left = 0.35 + 0.085 * max(map(len, labels))
    width, height = left + 2.9 * len(panels) + 0.3, 1.35 + 0.34 * len(labels)
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, one in zip(axes, panels, strict=True):
        _panel(axis, report, one)
    first = axes[0]
    first.set_yticks(range(len(labels)), [_plain(label) for label in labels], fontsize=9)
    first.set_ylim(len(labels) - 0.5, -0.5)
    first.get_yticklabels()[0].set_fontweight("bold")
    figure.suptitle(_plain(report.title()), x=0.02, ha="left", fontsize=10)
    figure.subplots_adjust(
        left=left / width, right=1 - 0.2 / width, top=1 - 0.75 / height, bottom=0.45 / height, wspace=0.12
    )
    figure.savefig(path)


def _panel(axis: Any, report: Report, one: Quantity) -> None:
    assert one.nominal is not None
    if one.error is not None:
        axis.axvspan(one.nominal - one.error, one.nominal + one.error, color=NOMINAL, alpha=0.12, lw=0)
    axis.axvline(one.nominal, color=NOMINAL, lw=1)
    axis.errorbar([one.nominal], [0], xerr=one.error, fmt="o", color=NOMINAL, ms=5, capsize=2)
    runs = zip(report.others, one.values, one.errors, strict=True)
    for row, (run, value, error) in enumerate(runs, start=1):
        if value is not None:
            axis.errorbar([value], [row], xerr=error, fmt="o", color=OTHER, ms=5, capsize=2)
        else:
            text = "failed" if run.problem else "not there"
            axis.text(0.5, row, text, transform=axis.get_yaxis_transform(), color=FAILED, ha="center", va="center",
                      fontsize=8, style="italic", backgroundcolor="white")  # fmt: skip
    axis.set_title(_plain(_short(one.name)), fontsize=9)
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="y", length=0)
    axis.locator_params(axis="x", nbins=4)
    axis.ticklabel_format(axis="x", useOffset=False)
    axis.margins(x=0.12)
    axis.grid(axis="x", color="#dddddd", lw=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= 36 else f"…{name[-35:]}"


def _plain(text: str) -> str:
    """A text in which no dollar begins a formula."""
    return text.replace("$", r"\$")
