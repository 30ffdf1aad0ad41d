"""Compare what the agents' scripts made with the reference, step by step.

What is counted must agree exactly; what is computed in floating point to rounding; what is trained or fitted, within a
stated part of its error.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from findings import (
    MAX_STRENGTH,
    SIGNIFICANCE_NAMES,
    STRENGTH_NAMES,
    VALID_NAMES,
    YIELD_NAMES,
    Measurement,
    find_key,
    find_measurement,
    find_number,
    measurement_of,
)

ROUNDING = 1e-5
"""Relative difference of numbers computed from single precision."""

AUC_DIFFERENCE = 0.01
SIGNIFICANCE_RATIO = 0.10
FIT_PULL = 0.5
"""Largest difference of two fits of the same events, in units of the error."""

ERROR_RATIO = 0.15
TRUTH_PULL = 3.0

ATLAS_REFERENCE = {"mu": 1.11, "error": 0.39, "z_obs": 2.85}
"""Cubic background, binned Poisson likelihood, 105 to 160 GeV. The range of mu comes from the choice of background."""

ATLAS_ALTERNATIVES = {"exp_poly2": (0.67, 0.36), "exp_poly3": (0.97, 0.38), "poly4": (1.14, 0.39)}
"""mu and its error with other backgrounds."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One comparison of a result with an expectation."""

    step: str
    name: str
    passed: bool
    found: str
    expected: str


def compare_ntuples(agent: Any, reference: Any) -> Iterator[Comparison]:
    """Compare a summary of ROOT files with that of ``uproot/inspect``: entries, branches, and the mean of each."""
    for file, trees in _inspected(reference).items():
        theirs = _trees(agent).get(file, {})
        for tree, expected in trees.items():
            found = theirs.get(tree)
            name = f"{file}: {tree}"
            step = "1 summarise"
            if found is None:
                yield Comparison(step=step, name=name, passed=False, found="missing", expected="described")
                continue
            branches = found.get("branches", {})
            differ = sorted(set(branches) ^ set(expected["branches"]))
            yield Comparison(
                step=step,
                name=f"{name}: entries and branches",
                passed=found.get("entries") == expected["entries"] and not differ,
                found=f"{found.get('entries')}, {len(branches)}" + (f", differing: {differ}" if differ else ""),
                expected=f"{expected['entries']}, {len(expected['branches'])}",
            )
            wrong = [
                f"{branch}.{key}"
                for branch, numbers in expected["branches"].items()
                for key in ("min", "mean", "max")
                if numbers.get(key) is not None and not _close(branches.get(branch, {}).get(key), numbers[key])
            ]
            yield Comparison(
                step=step,
                name=f"{name}: smallest, mean and largest values",
                passed=not wrong,
                found=f"different: {', '.join(wrong)}" if wrong else "equal",
                expected=f"equal to {ROUNDING:g}",
            )


def compare_arrays(agent: str, reference: str) -> Comparison:
    """Compare two npz files array by array; NaN equals NaN."""
    with np.load(agent) as found, np.load(reference) as expected:
        names = [name for name in expected.files if name != "provenance"]
        wrong = [name for name in names if name not in found.files or not _equal(found[name], expected[name])]
        entries = len(expected[names[0]])
    return Comparison(
        step="2 to_arrays",
        name=Path(agent).stem,
        passed=not wrong,
        found=f"different: {', '.join(wrong)}" if wrong else f"{len(names)} arrays of {entries} entries, equal",
        expected="equal, bit by bit",
    )


def compare_selected(agent: str, reference: str) -> Comparison:
    """Compare two tables of selected events: the same events, and the same columns to rounding."""
    found, expected = pq.read_table(agent), pq.read_table(reference)
    same_events = _column(found, "event_number").tolist() == _column(expected, "event_number").tolist()
    wrong = []
    if same_events:
        wrong = [name for name in expected.column_names if not _alike(found, expected, name)]
    text = f"{found.num_rows} events" + (f", different: {', '.join(wrong)}" if wrong else "")
    return Comparison(
        step="3 preprocess",
        name=f"{Path(agent).stem}: events and features",
        passed=same_events and not wrong,
        found=text if same_events else f"other events ({found.num_rows})",
        expected=f"the same {expected.num_rows} events, features to {ROUNDING:g}",
    )


def compare_cutflows(agent: Any, reference: Any, sample: str) -> Comparison:
    """Compare two cut flows: events exactly, yields to rounding."""
    rows, expected = agent["cutflow"], reference["cutflow"]
    falls = all(later["events"] <= earlier["events"] for earlier, later in itertools.pairwise(rows))
    same = len(rows) == len(expected) and all(
        one["cut"] == other["cut"] and one["events"] == other["events"] and _close(one["yield"], other["yield"])
        for one, other in zip(rows, expected, strict=True)
    )
    return Comparison(
        step="3 preprocess",
        name=f"{sample}: cut flow",
        passed=falls and same,
        found=_steps(rows),
        expected="equal" if same else _steps(expected),
    )


def compare_separation(agent: Any, reference: Any) -> Comparison:
    """Compare how well two classifiers separate: area under the ROC curve."""
    found, expected = agent["auc"], reference["auc"]["value"]
    return Comparison(
        step="4 separate",
        name="area under the ROC curve",
        passed=abs(found - expected) < AUC_DIFFERENCE,
        found=f"{found:.4f}",
        expected=f"{expected:.4f} to {AUC_DIFFERENCE:g}",
    )


def compare_categories(agent: Any, reference: Any) -> Iterator[Comparison]:
    """Compare the expected significance of two sets of categories, and what categories gain."""
    found, expected = agent["z_exp"], reference["z_exp"]
    yield Comparison(
        step="5 categorise",
        name="expected significance",
        passed=abs(found / expected - 1) < SIGNIFICANCE_RATIO,
        found=f"{found:.2f} in {len(agent['categories'])} categories",
        expected=f"{expected:.2f} to {SIGNIFICANCE_RATIO:.0%}, in {len(reference['categories'])}",
    )
    yield Comparison(
        step="5 categorise",
        name="categories gain over none",
        passed=found >= agent["z_exp_inclusive"],
        found=f"{agent['z_exp_inclusive']:.2f} → {found:.2f}",
        expected="no loss",
    )


def compare_fits(agent: Any, reference: Any) -> Iterator[Comparison]:
    """Compare two fits of the same events: valid, the same signal yield and error."""
    step = "6 fit_myy"
    yield _valid(step, "fit is valid", agent)
    found, expected = find_measurement(agent, YIELD_NAMES), find_measurement(reference, YIELD_NAMES)
    assert expected is not None, "the reference fit has no signal yield"
    agrees = (
        found is not None
        and abs(found.value - expected.value) < FIT_PULL * expected.error
        and abs(found.error / expected.error - 1) < ERROR_RATIO
    )
    yield Comparison(
        step=step,
        name="signal yield",
        passed=agrees,
        found=_said(found, f"no parameter called {', '.join(YIELD_NAMES)}"),
        expected=f"{_said(expected)}, to {FIT_PULL:g} errors; errors to {ERROR_RATIO:.0%}",
    )


def compare_truth(agent: Any, cutflows: Mapping[str, Any], truths: Sequence[Any]) -> Iterator[Comparison]:
    """Compare with what was simulated: events that the simulation itself selects, and Higgs bosons put in."""
    for truth in truths:
        rows = cutflows[truth["sample"]]["cutflow"]
        # A photon at a cut may be rounded to its other side: the file holds single precision.
        agrees = abs(rows[-1]["events"] - truth["selected"]) <= 2 + 1e-4 * truth["selected"]
        yield Comparison(
            step="simulation",
            name=f"{truth['sample']}: selected events",
            passed=agrees and rows[0]["events"] == truth["written"],
            found=f"{rows[0]['events']} → {rows[-1]['events']}",
            expected=f"{truth['written']} → {truth['selected']}",
        )
        if "selected_higgs" in truth:
            signal = find_measurement(agent, YIELD_NAMES)
            pull = (signal.value - truth["selected_higgs"]) / signal.error if signal else math.inf
            yield Comparison(
                step="simulation",
                name="Higgs bosons in the pseudo-data",
                passed=abs(pull) < TRUTH_PULL,
                found=_said(signal, "no signal yield"),
                expected=f"{truth['selected_higgs']} put in, within {TRUTH_PULL:g} errors",
            )


def compare_atlas(agent: Any, reference: Any) -> Iterator[Comparison]:
    """Compare the fits of the ATLAS spectrum with what is known of them, and with the reference's own fit."""
    step = "ATLAS spectrum"
    yield _valid(step, "fit is valid", agent)
    inclusive = {key: value for key, value in agent.items() if _plain(key) not in ("alternatives",)}
    known = (ATLAS_REFERENCE["mu"], ATLAS_REFERENCE["error"])
    yield _compare_mu(step, "μ, cubic background", _strength(inclusive), known)
    theirs = _strength(reference)
    assert theirs is not None, "the reference fit has no signal strength"
    yield _compare_mu(step, "μ, cubic background, wrapper", theirs, known)
    z_obs = find_number(inclusive, SIGNIFICANCE_NAMES)
    yield Comparison(
        step=step,
        name="observed significance",
        passed=z_obs is not None and abs(z_obs - ATLAS_REFERENCE["z_obs"]) < 0.15,
        found="none" if z_obs is None else f"{z_obs:.2f}",
        expected=f"{ATLAS_REFERENCE['z_obs']} to 0.15",
    )
    alternatives = find_key(agent, ("alternatives",)) or {}
    for background, expected in ATLAS_ALTERNATIVES.items():
        alternative = alternatives.get(background) or {}
        found = _strength(alternative) or measurement_of(background, alternative)
        yield _compare_mu(step, f"μ, {background} background", found, expected)


def to_markdown(comparisons: Sequence[Comparison]) -> str:
    """Write the comparisons as a table."""
    lines = [
        "# Do sentences and reference agree?",
        "",
        "| | step | comparison | found | expected |",
        "|---|---|---|---|---|",
    ]
    for c in comparisons:
        lines.append(f"| {'yes' if c.passed else '**NO**'} | {c.step} | {c.name} | {c.found} | {c.expected} |")
    return "\n".join([*lines, ""])


def _trees(summary: Any) -> dict[str, Any]:
    """Return {file: {tree: content}} of a summary, files without their folders."""
    return {Path(file).name: content["trees"] for file, content in summary["files"].items()}


def _inspected(summary: Any) -> dict[str, Any]:
    """Return the same of what the wrapper ``uproot/inspect`` wrote, which has lists."""
    return {
        Path(file["file"]).name: {
            tree["name"]: {
                "entries": tree["entries"],
                "branches": {column["name"]: column for column in tree["columns"]},
            }
            for tree in file["trees"]
        }
        for file in summary["files"]
    }


def _close(found: Any, expected: float) -> bool:
    if not isinstance(found, int | float):
        return False
    return math.isclose(found, expected, rel_tol=ROUNDING, abs_tol=ROUNDING)


def _equal(found: Any, expected: Any) -> bool:
    both_float = found.dtype.kind == "f" and expected.dtype.kind == "f"
    return found.shape == expected.shape and bool(np.array_equal(found, expected, equal_nan=both_float))


def _column(table: Any, name: str) -> Any:
    return table.column(name).to_numpy()


def _alike(found: Any, expected: Any, name: str) -> bool:
    if name not in found.column_names:
        return False
    return bool(np.allclose(_column(found, name), _column(expected, name), rtol=ROUNDING, atol=1e-4, equal_nan=True))


def _steps(rows: Sequence[Any]) -> str:
    return " → ".join(str(row["events"]) for row in rows) + f", yield {rows[-1]['yield']:.1f}"


def _valid(step: str, name: str, fit: Any) -> Comparison:
    valid = find_key(fit, VALID_NAMES)
    found = f"no key called {', '.join(VALID_NAMES)}" if valid is None else str(valid).lower()
    return Comparison(step=step, name=name, passed=valid is True, found=found, expected="true")


def _strength(fit: Any) -> Measurement | None:
    return find_measurement(fit, STRENGTH_NAMES, accept=lambda value: abs(value) < MAX_STRENGTH)


def _compare_mu(step: str, name: str, mu: Measurement | None, reference: tuple[float, float]) -> Comparison:
    """Compare a signal strength and its error with a reference; a binning of an integral may move it a little."""
    value, error = reference
    agrees = mu is not None and abs(mu.value - value) < 0.05 and abs(mu.error - error) < 0.05
    expected = f"{value} ± {error}, both to 0.05"
    missing = f"no signal strength with value and error called {', '.join(STRENGTH_NAMES)}"
    return Comparison(step=step, name=name, passed=agrees, found=_said(mu, missing, digits=2), expected=expected)


def _said(measurement: Measurement | None, missing: str = "none", *, digits: int = 0) -> str:
    if measurement is None:
        return missing
    return f"{measurement.value:.{digits}f} ± {measurement.error:.{digits}f}"


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def as_json(comparisons: Sequence[Comparison]) -> str:
    """Write the comparisons for programs."""
    rows = [{**comparison.__dict__} for comparison in comparisons]
    return json.dumps({"passed": all(c.passed for c in comparisons), "comparisons": rows}, indent=2) + "\n"
