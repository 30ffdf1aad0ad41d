"""Write the page that a person reads first: the result, the plots, and whether sentences and reference agree.

Run by the rule ``summary``. One HTML file that holds everything, readable without a network.
"""

import base64
import itertools
import logging
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from findings import SIGNIFICANCE_NAMES, YIELD_NAMES, find_measurement, find_number, read

STYLE = """
:root { color-scheme: light dark; --ink: #1c2530; --soft: #5b6673; --line: #d8dee6; --card: #ffffff; --page: #f4f6f9;
  --good: #1a7f4b; --bad: #b3261e; --accent: #2f5fb3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #313a45; --card: #1b2129;
  --page: #12161b; --good: #5fd097; --bad: #ff8a80; --accent: #8db4ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 0.8rem; }
.label { display: inline-block; margin: 0.6rem 0 1.2rem; padding: 0.15rem 0.7rem; border-radius: 1rem; font-weight: 600;
  border: 1px solid var(--accent); color: var(--accent); }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.8rem; }
.number { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.8rem 1rem; }
.number b { display: block; font-size: 1.25rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.number span { color: var(--soft); font-size: 0.9rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem; }
figure { margin: 0; background: #ffffff; border: 1px solid var(--line); border-radius: 0.6rem; overflow: hidden; }
figure img { display: block; width: 100%; height: auto; }
figcaption { background: var(--card); color: var(--soft); padding: 0.6rem 1rem; font-size: 0.92rem; }
.table { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td { text-align: left; padding: 0.35rem 0.8rem; border-top: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; }
td.yes, td.no { font-weight: 700; white-space: nowrap; } td.yes { color: var(--good); } td.no { color: var(--bad); }
details { margin: 0.4rem 0; } summary { cursor: pointer; }
.soft { color: var(--soft); }
@media print { body { background: #fff; } .plots { grid-template-columns: 1fr 1fr; }
  figure, .number { break-inside: avoid; } }
"""


def number(value: str, meaning: str) -> str:
    """Return one of the numbers at the top."""
    return f'<div class="number"><b>{escape(value)}</b><span>{escape(meaning)}</span></div>'


def figure(path: str, caption: str) -> str:
    """Return a picture with its caption, held in the page itself."""
    data = base64.b64encode(Path(path).read_bytes()).decode("ascii")
    text = escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def table(headings: Sequence[str], rows: str) -> str:
    """Return a table of rows that are HTML already."""
    head = "".join(f"<th>{escape(one)}</th>" for one in headings)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def comparison_table(rows: Sequence[Any]) -> str:
    """Return one line per step, which opens to its comparisons."""
    parts = []
    for step, group in itertools.groupby(rows, key=lambda row: row["step"]):
        members = list(group)
        passed = sum(row["passed"] for row in members)
        state = "yes" if passed == len(members) else "no"
        lines = "".join(
            f'<tr><td class="{"yes" if row["passed"] else "no"}">{"✓" if row["passed"] else "✗"}</td>'
            f"<td>{escape(row['name'])}</td><td>{escape(row['found'])}</td><td>{escape(row['expected'])}</td></tr>"
            for row in members
        )
        inside = table(("", "what", "sentence", "reference"), lines)
        parts.append(
            f'<tr><td class="{state}">{passed} of {len(members)}</td><td><details{"" if state == "yes" else " open"}>'
            f"<summary>{escape(step)}</summary>{inside}</details></td></tr>"
        )
    return f'<div class="table">{table(("agree", "step"), "".join(parts))}</div>'


def sentence_table(sentences: dict[str, str]) -> str:
    """Return the rules with the sentence that each was written from."""
    rows = "".join(
        f"<tr><td><code>{escape(rule)}</code></td><td>{escape(text)}</td></tr>" for rule, text in sentences.items()
    )
    return f'<div class="table">{table(("rule", "sentence"), rows)}</div>'


def headline(snakemake: Any) -> list[str]:
    """Return the numbers at the top of the page."""
    fit, atlas = read(snakemake.input.fit), read(snakemake.input.atlas_fit)
    categories, separation = read(snakemake.input.categories), read(snakemake.input.separation)
    significance = read(snakemake.input.significance)
    rows = read(snakemake.input.cutflow)["cutflow"]
    signal = find_measurement(fit, YIELD_NAMES)
    strength = find_measurement({k: v for k, v in atlas.items() if k != "alternatives"}, ("mu",))
    z_atlas = find_number(atlas, SIGNIFICANCE_NAMES)
    numbers = [number(f"{rows[-1]['events']:,}", f"events selected of {rows[0]['events']:,}")]
    if signal:
        numbers.append(number(f"{signal.value:.0f} ± {signal.error:.0f}", "H → γγ decays fitted in m_γγ"))
    numbers.append(
        number(f"{significance['z_obs']:.2f} σ", f"observed; {significance['z_exp']:.2f} σ expected, one category")
    )
    numbers.append(
        number(
            f"{categories['z_exp_inclusive']:.2f} → {categories['z_exp']:.2f} σ",
            f"expected, by {len(categories['categories'])} categories (AUC {separation['auc']:.3f})",
        )
    )
    if strength and z_atlas is not None:
        numbers.append(
            number(
                f"μ = {strength.value:.2f} ± {strength.error:.2f}", f"in the ATLAS Open Data spectrum, {z_atlas:.2f} σ"
            )
        )
    return numbers


def page(snakemake: Any) -> str:
    """Return the HTML page."""
    comparison = read(snakemake.input.comparison)
    rows = comparison["comparisons"]
    passed = sum(row["passed"] for row in rows)
    label = escape(snakemake.params.label)
    pictures = [figure(snakemake.input[name], caption) for name, caption in snakemake.params.captions.items()]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>H → γγ: {label}</title><style>{STYLE}</style></head><body><main>
<h1>H → γγ, written as sentences</h1>
<div class="label">{label}</div>
<div class="numbers">{"".join(headline(snakemake))}</div>
<h2>What came out</h2>
<div class="plots">{"".join(pictures)}</div>
<h2>Do sentences and reference agree? {passed} of {len(rows)} comparisons do</h2>
<p class="soft">Each step was done twice: by a script that a language model wrote from a sentence, and by wrappers.
Counts agree exactly, fits within the stated part of their error.</p>
{comparison_table(rows)}
<h2>The sentences</h2>
{sentence_table(snakemake.params.sentences)}
</main></body></html>
"""


def main(snakemake: Any) -> None:
    """Write the page of a Snakemake run."""
    logging.basicConfig(filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(message)s")
    text = page(snakemake)
    Path(snakemake.output[0]).write_text(text, encoding="utf-8")
    logging.info("%d characters", len(text))


if "snakemake" in globals():
    main(snakemake)  # noqa: F821
