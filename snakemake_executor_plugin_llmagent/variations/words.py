"""The spread of results for people: on a terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from snakemake_executor_plugin_llmagent.text import clean, one_line
from snakemake_executor_plugin_llmagent.variations.plan import written_as_it_is
from snakemake_executor_plugin_llmagent.variations.report import Report
from snakemake_executor_plugin_llmagent.variations.spread import Quantity, digits

WIDTH = 80
VALUE, DIFFERENCE, RATIO = 19, 11, 11
LABEL = WIDTH - VALUE - DIFFERENCE - RATIO - 2


def in_words(report: Report) -> str:
    """What a terminal shows, 80 columns wide."""
    lines = [clean(report.title()), *_nominal(report), ""]
    if not report.others:
        lines.append("Nothing was varied.")
    elif not report.shown:
        lines.append("No output holds a number.")
    else:
        lines += [" " * LABEL + "value".rjust(VALUE) + "difference".rjust(DIFFERENCE) + "in errors".rjust(RATIO)]
        for one in report.shown:
            lines += [*_block(report, one), ""]
    lines += _remarks(report)
    return "\n".join(line.rstrip() for line in lines).rstrip()


def _nominal(report: Report) -> Iterator[str]:
    """The decisions as they are, wrapped."""
    line = "nominal:"
    for choice in report.plan.choices:
        unit = f" {choice.unit}" if choice.unit else ""
        part = one_line(f" {choice.constant.name} = {written_as_it_is(choice.constant)}{unit}", WIDTH - 12)
        if len(line) + len(part) + 2 > WIDTH and line.strip():
            yield line
            line = " " * len("nominal:")
        line += f" {part.strip()}{'' if choice is report.plan.choices[-1] else ','}"
    if report.plan.choices:
        yield line


def _block(report: Report, one: Quantity) -> Iterator[str]:
    """A number in all runs."""
    yield clean(one.name)
    places = decimals(one)
    yield _row("nominal", one.nominal, one.error, None, None, places)
    rows = zip(report.others, one.values, one.errors, strict=True)
    for run, value, error in rows:
        if run.problem:
            yield f"  {one_line(run.variation.label, LABEL - 3):{LABEL - 2}}{'failed':>{VALUE}}"
        else:
            difference = one.difference(value)
            ratio = difference / one.error if difference is not None and one.error else None
            yield _row(run.variation.label, value, error, difference, ratio, places)
    yield f"  spread {one.spread:.{places}{_kind(one)}}, standard deviation {one.deviation:.{places}{_kind(one)}}"


def decimals(one: Quantity) -> int:
    """How many decimals a number and its differences are shown with."""
    if _kind(one) == "e":
        return 3
    differences = [one.difference(value) for value in one.values]
    largest = max((abs(difference) for difference in differences if difference), default=None)
    scale = (largest, one.error) if largest or one.error else (one.nominal,)
    if all(value.is_integer() for value in one.known) and not one.error:
        return 0
    return min(digits(*scale), 8)


def _kind(one: Quantity) -> str:
    """Whether a number is written out or with an exponent."""
    largest = max(map(abs, one.known), default=0.0)
    return "e" if largest and not 1e-4 <= largest < 1e7 else "f"


def _row(
    label: str, value: float | None, error: float | None, difference: float | None, ratio: float | None, places: int
) -> str:
    kind = "e" if value and not 1e-4 <= abs(value) < 1e7 else "f"
    shown = "-" if value is None else f"{value:.{places}{kind}}"
    if error is not None and value is not None:
        shown = f"{shown} ± {error:.{min(places, 8)}{kind}}"
        if len(shown) > VALUE:
            shown = f"{value:.6g} ± {error:.2g}"
    moved = "" if difference is None else "same" if difference == 0 else f"{difference:+.{places}{kind}}"
    ratio_shown = "" if ratio is None or difference == 0 else f"{ratio:+.2f}"
    text = f"  {one_line(label, LABEL - 3):{LABEL - 2}}{shown:>{VALUE}}"
    return f"{text}{moved:>{DIFFERENCE}}{ratio_shown:>{RATIO}}"


def _remarks(report: Report) -> Iterator[str]:
    more = sum(one.changes for one in report.quantities) - sum(one.changes for one in report.shown)
    if report.shown and report.others:
        yield f"{more} more number{'s' * (more != 1)} change{'s' * (more == 1)}, {report.unchanged} do not."
    for name in report.idle():
        yield f"{name}: no number changes with any alternative."
    for run in report.failed:
        yield from _wrapped(f"{run.variation.label} {run.problem}")
    for output, why in report.nominal.unread.items():
        yield from _wrapped(f"{output} was not measured: {why}")
    if report.plan.left:
        yield "Not varied:"
        for name, why in report.plan.left.items():
            yield from _wrapped(f"{name}: {why}", "  ")


def _wrapped(text: str, start: str = "") -> list[str]:
    import textwrap

    return textwrap.wrap(one_line(text, 400), WIDTH, initial_indent=start, subsequent_indent=f"{start}  ")


def as_csv(report: Report) -> str:
    """All numbers of all runs: one line a number."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    labels = [run.variation.label for run in report.others]
    writer.writerow(["number", "nominal", "error", *labels, "spread", "standard deviation"])
    for one in report.quantities:
        cells = [one.nominal, one.error, *one.values, one.spread, one.deviation]
        writer.writerow([one.name, *("" if cell is None else repr(cell) for cell in cells)])
    return buffer.getvalue()


def as_markdown(report: Report) -> str:
    """The results as a table, and what else there is to know."""
    lines = [f"# {one_line(report.title())}", ""]
    for choice in report.plan.choices:
        unit = f" {choice.unit}" if choice.unit else ""
        lines.append(f"- nominal: `{choice.constant.name} = {written_as_it_is(choice.constant)}`{unit}")
    for one in report.shown:
        places, kind = decimals(one), _kind(one)
        lines += ["", f"## `{one.name}`", "", "| run | value | error | difference |", "|---|---|---|---|"]
        rows = [("nominal", one.nominal, one.error, ""), *_rows(report, one)]
        for label, value, error, note in rows:
            difference = one.difference(value)
            moved = note or ("" if label == "nominal" or difference is None else f"{difference:+.{places}{kind}}")
            cells = ("" if cell is None else f"{cell:.{places}{kind}}" for cell in (value, error))
            lines.append(f"| {_cell(label)} | {' | '.join(cells)} | {moved} |")
        lines += ["", f"Spread {one.spread:.{places}{kind}}, standard deviation {one.deviation:.{places}{kind}}."]
    remarks = list(_remarks(report))
    return "\n".join([*lines, "", *(["```text", *remarks, "```"] if remarks else [])]).rstrip() + "\n"


def _rows(report: Report, one: Quantity) -> Iterator[tuple[str, float | None, float | None, str]]:
    for run, value, error in zip(report.others, one.values, one.errors, strict=True):
        yield run.variation.label, value, error, "failed" if run.problem else ""


def _cell(label: str) -> str:
    return f"`{one_line(label, 100).replace('|', '/').replace('`', chr(39))}`" if label != "nominal" else label
