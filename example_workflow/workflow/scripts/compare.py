"""Compare the results of the agents' scripts with the reference and with the truth; fail if any comparison fails.

Run by the rule ``compare``.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comparisons as steps
from findings import read


def all_comparisons(agent: Any, reference: Any, truths: list[str], samples: list[str]) -> Iterator[steps.Comparison]:
    """Compare everything, in the order of the steps.

    Args:
        agent: paths ``ntuples``, ``separation``, ``categories``, ``fit``, ``atlas_fit``, and per sample (lists)
            ``arrays``, ``selected``, ``cutflows``.
        reference: the same of the reference.
        truths: what was simulated; empty for real data.
        samples: names, in the order of the lists.
    """
    yield from steps.compare_ntuples(read(agent["ntuples"]), read(reference["ntuples"]))
    yield from map(steps.compare_arrays, agent["arrays"], reference["arrays"])
    for index, sample in enumerate(samples):
        flows = [read(side["cutflows"][index]) for side in (agent, reference)]
        yield steps.compare_cutflows(*flows, sample)
        yield steps.compare_selected(agent["selected"][index], reference["selected"][index])
    yield steps.compare_separation(read(agent["separation"]), read(reference["separation"]))
    yield from steps.compare_categories(read(agent["categories"]), read(reference["categories"]))
    yield from steps.compare_fits(read(agent["fit"]), read(reference["fit"]))
    cutflows = {sample: read(path) for sample, path in zip(samples, agent["cutflows"], strict=True)}
    yield from steps.compare_truth(read(agent["fit"]), cutflows, [read(path) for path in truths])
    yield from steps.compare_atlas(read(agent["atlas_fit"]), read(reference["atlas_fit"]))


def main(snakemake: Any) -> None:
    """Compare the results of a Snakemake run, write them down, and fail if two disagree."""
    logging.basicConfig(filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(message)s")
    sides = {}
    for side in ("agent", "reference"):
        prefix = f"{side}_"
        sides[side] = {
            name.removeprefix(prefix): path for name, path in snakemake.input.items() if name.startswith(prefix)
        }
    truths = snakemake.input.get("truths", [])
    results = list(all_comparisons(sides["agent"], sides["reference"], list(truths), list(snakemake.params.samples)))
    page = steps.to_markdown(results)
    logging.info("%s", page)
    Path(snakemake.output.json).write_text(steps.as_json(results), encoding="utf-8")
    Path(snakemake.output.markdown).write_text(page, encoding="utf-8")
    if not all(result.passed for result in results) and snakemake.params.strict:
        wrong = steps.to_markdown([result for result in results if not result.passed])
        raise SystemExit(f"Some results are not as expected:\n{wrong}")


if "snakemake" in globals():
    main(snakemake)  # noqa: F821
