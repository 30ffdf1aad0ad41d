"""Compare the results of the example with what is known about its inputs.

The simulated pseudo-data come with the truth; the fit of the ATLAS spectrum has a reference. As the scripts behind the
results are written by a language model, names are taken tolerantly: "N_sig" is "nsig". Where nothing is found, what was
looked for is said. Run by the rule ``check``, which fails if any comparison fails.
"""

import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

ATLAS_REFERENCE = {"mu": 1.11, "error": 0.39, "z_obs": 2.85}
"""Cubic background, binned Poisson likelihood, 105 to 160 GeV. The range of mu comes from the choice of background."""

ATLAS_ALTERNATIVES = {"exp_poly2": (0.67, 0.36), "exp_poly3": (0.97, 0.38), "poly4": (1.14, 0.39)}
"""mu and its error with other backgrounds."""

# Names in lower case, without underscores and the like; the first one that is found counts.
YIELD_NAMES = ("nsig", "nsignal", "signalyield", "yieldsignal", "sigyield", "yieldsig", "nsignalevents", "nhiggs", "ns")
STRENGTH_NAMES = ("mu", "signalstrength", "musig", "musignal", "strength")
VALID_NAMES = ("valid", "isvalid", "fitvalid", "converged", "success")
SIGNIFICANCE_NAMES = ("zobs", "observedsignificance", "significanceobs", "significance", "z0")
MAX_PULL = 3.0
ERROR_RANGE = (0.2, 1.0)
"""Credible errors of the signal yield, in units of the square root of the number of selected events."""
MAX_STRENGTH = 20.0
"""A parameter called mu above this is the position of a peak [GeV], not a signal strength."""


class Measurement(NamedTuple):
    """A value with its error, and the name it was found under."""

    name: str
    value: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One comparison of a result with an expectation."""

    name: str
    passed: bool
    found: str
    expected: str


def main(snakemake: Any) -> None:
    """Check the results of a Snakemake run, write them down, and fail if one disagrees."""
    logging.basicConfig(filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(message)s")
    truths = [_read(path) for path in snakemake.input.truths]
    by_sample = {truth["sample"]: truth for truth in truths}
    comparisons = [
        check_summary(_read(snakemake.input.summary)),
        *(check_cutflow(_read(path), truth) for path, truth in zip(snakemake.input.cutflows, truths, strict=True)),
        *check_simulated_fit(_read(snakemake.input.fit), by_sample["signal"], by_sample["pseudodata"]),
        *check_atlas_fit(_read(snakemake.input.atlas_fit)),
    ]
    page = to_markdown(comparisons)
    logging.info("%s", page)
    verdict = {"passed": all(c.passed for c in comparisons), "comparisons": [asdict(c) for c in comparisons]}
    Path(snakemake.output.json).write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
    Path(snakemake.output.markdown).write_text(page, encoding="utf-8")
    if not verdict["passed"]:
        raise SystemExit(f"Some results are not as expected:\n{page}")


def check_summary(summary: Any) -> Comparison:
    """Check that the summary knows the tree and its photon branches."""
    text = json.dumps(summary)
    wanted = ("mini", "photon_pt", "photon_E", "photon_isTightID", "trigP", "mcWeight")
    missing = [name for name in wanted if name not in text]
    return Comparison(
        name="summary names the tree and its main branches",
        passed=not missing,
        found=f"without {', '.join(missing)}" if missing else "all of them",
        expected=", ".join(wanted),
    )


def check_cutflow(cutflow: Any, truth: dict[str, Any]) -> Comparison:
    """Check that the cut flow decreases and ends at the number of events that the simulation itself selects."""
    rows = cutflow.get("cutflow", []) if isinstance(cutflow, dict) else cutflow
    events = [row["events"] for row in rows]
    falls = all(later <= earlier for earlier, later in itertools.pairwise(events))
    # A photon at a cut may be rounded to its other side: the file holds single precision.
    at_end = bool(events) and abs(events[-1] - truth["selected"]) <= 2 + 1e-4 * truth["selected"]
    agrees = events[:1] == [truth["written"]] and at_end
    expected = f"{truth['written']} to {truth['selected']} events"
    if "selected_yield" in truth and rows:
        found_yield, true_yield = rows[-1]["yield"], truth["selected_yield"]
        agrees = agrees and abs(found_yield / true_yield - 1) < 1e-3
        expected += f", yield {true_yield:.1f}"
    return Comparison(
        name=f"cut flow of {truth['sample']}",
        passed=falls and agrees,
        found=" → ".join(map(str, events)) + (f", yield {rows[-1]['yield']:.1f}" if rows else "no rows"),
        expected=expected,
    )


def check_simulated_fit(
    fit: dict[str, Any], signal_truth: dict[str, Any], pseudodata_truth: dict[str, Any]
) -> Iterator[Comparison]:
    """Check that the fit of the pseudo-data is valid and finds the Higgs bosons that were put in."""
    yield check_valid("fit of the pseudo-data is valid", fit)
    injected = pseudodata_truth["selected_higgs"]
    name = "fitted signal yield of the pseudo-data"
    smallest, largest = (factor * math.sqrt(pseudodata_truth["selected"]) for factor in ERROR_RANGE)
    expected = f"{injected}, within {MAX_PULL:g} standard deviations of {smallest:.0f} to {largest:.0f}"
    signal = find_measurement(fit, YIELD_NAMES)
    if signal is None:
        strength = find_measurement(fit, STRENGTH_NAMES, accept=lambda value: abs(value) < MAX_STRENGTH)
        if strength is None:
            found = f"no parameter with value and error called {', '.join((*YIELD_NAMES, *STRENGTH_NAMES))}"
            yield Comparison(name=name, passed=False, found=found, expected=expected)
            return
        per_strength = signal_truth["selected_yield"]
        signal = Measurement(strength.name, strength.value * per_strength, strength.error * per_strength)
    pull = (signal.value - injected) / signal.error if signal.error > 0 else math.inf
    yield Comparison(
        name=name,
        passed=abs(pull) < MAX_PULL and smallest < signal.error < largest,
        found=f"{signal.name}: {signal.value:.0f} ± {signal.error:.0f}, {pull:+.1f} standard deviations",
        expected=expected,
    )


def check_atlas_fit(fit: dict[str, Any]) -> Iterator[Comparison]:
    """Check the signal strength in the ATLAS spectrum, its significance and its spread."""
    yield check_valid("fit of the ATLAS spectrum is valid", fit)
    nominal = {key: value for key, value in fit.items() if key != "alternatives"}
    mu = find_measurement(nominal, STRENGTH_NAMES, accept=lambda value: abs(value) < MAX_STRENGTH)
    yield _compare_mu("ATLAS mu, cubic background", mu, (ATLAS_REFERENCE["mu"], ATLAS_REFERENCE["error"]))
    z_obs = find_number(nominal, SIGNIFICANCE_NAMES)
    yield Comparison(
        name="ATLAS observed significance",
        passed=z_obs is not None and abs(z_obs - ATLAS_REFERENCE["z_obs"]) < 0.1,
        found=f"no key called {', '.join(SIGNIFICANCE_NAMES)}" if z_obs is None else f"{z_obs:.2f}",
        expected=f"{ATLAS_REFERENCE['z_obs']} ± 0.1",
    )
    for background, reference in ATLAS_ALTERNATIVES.items():
        alternative = find_key(fit, (_plain(background),))
        found = find_measurement(alternative, STRENGTH_NAMES) if alternative is not None else None
        if found is None and isinstance(alternative, dict):
            found = _measurement(background, alternative)
        yield _compare_mu(f"ATLAS mu, {background} background", found, reference)


def check_valid(name: str, fit: dict[str, Any]) -> Comparison:
    """Check that a fit calls itself valid."""
    valid = find_key(fit, VALID_NAMES)
    found = f"no key called {', '.join(VALID_NAMES)}" if valid is None else str(valid).lower()
    return Comparison(name=name, passed=valid is True, found=found, expected="true")


def find_measurement(
    tree: Any, names: tuple[str, ...], *, accept: Callable[[float], bool] = lambda _: True
) -> Measurement | None:
    """Find the first of several names that has a value and an error, anywhere in nested dictionaries."""
    for name in names:
        for key, node in _walk(tree):
            if _plain(key) == name:
                measurement = _measurement(key, node)
                if measurement is not None and accept(measurement.value):
                    return measurement
    return None


def find_number(tree: Any, names: tuple[str, ...]) -> float | None:
    """Find the first of several names that is a number, anywhere in nested dictionaries."""
    for name in names:
        for key, node in _walk(tree):
            if _plain(key) == name and isinstance(node, int | float) and not isinstance(node, bool):
                return float(node)
    return None


def find_key(tree: Any, names: tuple[str, ...]) -> Any:
    """Find what is under the first of several names, anywhere in nested dictionaries, outermost first."""
    for name in names:
        for key, node in _walk(tree):
            if _plain(key) == name:
                return node
    return None


def to_markdown(comparisons: list[Comparison]) -> str:
    """Write the comparisons as a table."""
    lines = ["# Are the results as expected?", "", "| | comparison | found | expected |", "|---|---|---|---|"]
    for c in comparisons:
        lines.append(f"| {'yes' if c.passed else '**NO**'} | {c.name} | {c.found} | {c.expected} |")
    return "\n".join([*lines, ""])


def _compare_mu(name: str, mu: Measurement | None, reference: tuple[float, float]) -> Comparison:
    """Compare a signal strength and its error with a reference; a binning of an integral may move it a little."""
    value, error = reference
    expected = f"{value} ± {error}, both to 0.05"
    if mu is None:
        found = f"no signal strength with value and error called {', '.join(STRENGTH_NAMES)}"
        return Comparison(name=name, passed=False, found=found, expected=expected)
    agrees = abs(mu.value - value) < 0.05 and abs(mu.error - error) < 0.05
    return Comparison(name=name, passed=agrees, found=f"{mu.value:.2f} ± {mu.error:.2f}", expected=expected)


def _measurement(name: str, node: Any) -> Measurement | None:
    """Read a value and an error from ``{"value", "error"}`` or what is commonly written instead."""
    if not isinstance(node, dict):
        return None
    value = find_number(node, ("value", "mu", "val"))
    error = find_number(node, ("error", "err", "uncertainty", "muerror", "muerr", "std"))
    return None if value is None or error is None else Measurement(name, value, error)


def _walk(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of nested dictionaries and lists, outer ones first."""
    level = [tree]
    while level:
        pairs = [pair for node in level if isinstance(node, dict) for pair in node.items()]
        yield from pairs
        level = [value for _, value in pairs] + [item for node in level if isinstance(node, list) for item in node]


def _plain(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return "".join(character for character in name.lower() if character.isalnum())


def _read(path: str) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


if "snakemake" in globals():
    main(snakemake)  # noqa: F821
