"""Join the cut flows of the two halves of the reference's selection.

Run by the rule ``reference_cutflow``.
"""

import json
import logging
from pathlib import Path
from typing import Any

FIRST_NAMES = ("all", "trigger", "two_photons")


def join(pairs: list[dict[str, Any]], selected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all steps: those of the pairs by the names of the analysis, then the cuts on pairs.

    Raises:
        ValueError: if the second half does not begin where the first one ends.
    """
    if len(pairs) != len(FIRST_NAMES) or pairs[-1]["events"] != selected[0]["events"]:
        raise ValueError(f"cut flows do not fit together: {pairs}, {selected}")
    return [*({**row, "cut": name} for name, row in zip(FIRST_NAMES, pairs, strict=True)), *selected[1:]]


def main(snakemake: Any) -> None:
    """Write the cut flow of a sample."""
    logging.basicConfig(filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(message)s")
    halves = [json.loads(Path(path).read_text(encoding="utf-8"))["cutflow"] for path in snakemake.input]
    rows = join(*halves)
    Path(snakemake.output[0]).write_text(json.dumps({"cutflow": rows}, indent=2) + "\n", encoding="utf-8")
    logging.info("%s", json.dumps(rows, indent=2))


if "snakemake" in globals():
    main(snakemake)  # noqa: F821
