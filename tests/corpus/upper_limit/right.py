"""CLs upper limit on the signal strength of a counting experiment with an uncertain background."""

import json
import math

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import brentq
from scipy.special import gammaincc, ndtr, ndtri

QUANTILES = {"-2": -2.0, "-1": -1.0, "0": 0.0, "1": 1.0, "2": 2.0}  # standard deviations
N_NODES = 400  # points at which the background's Gaussian is averaged
MU_TOLERANCE = 1e-6

window = tuple(float(edge) for edge in snakemake.params.window)
min_score = float(snakemake.params.min_score)
confidence_level = float(snakemake.params.confidence_level)
background_uncertainty = float(snakemake.params.background_uncertainty)


def in_region(path):
    """Weights of the events in the signal region."""
    table = pq.read_table(path, columns=["m_yy", "score", "weight"])
    m_yy, score, weight = (table[name].to_numpy() for name in ("m_yy", "score", "weight"))
    selected = (m_yy > window[0]) & (m_yy < window[1]) & (score > min_score)
    print(f"{path}: {len(m_yy)} events, {int(selected.sum())} in the signal region")
    return weight[selected]


data = in_region(snakemake.input.data)
if not np.allclose(data, 1.0):
    raise ValueError("data events have weights other than 1")
n_observed = len(data)
signal = float(in_region(snakemake.input.signal).sum())
background = float(in_region(snakemake.input.background).sum())
if signal <= 0 or background <= 0:
    raise ValueError(f"expected signal {signal:g} and background {background:g} have to be positive")

# The background as points of equal probability of a Gaussian, truncated at zero.
lowest = ndtr(-1.0 / background_uncertainty) if background_uncertainty > 0 else 0.0
probability = lowest + (1.0 - lowest) * (np.arange(N_NODES) + 0.5) / N_NODES
backgrounds = background * (1.0 + background_uncertainty * ndtri(probability))


def at_most(n, mu):
    """P(at most n events), averaged over the background."""
    return float(gammaincc(n + 1, mu * signal + backgrounds).mean())


def upper_limit(n):
    """The mu with CLs = 1 - CL for n observed events."""
    alpha = 1.0 - confidence_level
    p_background = at_most(n, 0.0)

    def difference(mu):
        return at_most(n, mu) / p_background - alpha

    high = 1.0
    while difference(high) > 0:
        high *= 2.0
        if high > 1e6:
            raise RuntimeError("no upper limit below 1e6")
    return float(brentq(difference, 0.0, high, xtol=MU_TOLERANCE))


def quantile(z):
    """The smallest n at which the background-only probability of at most n events reaches that of z."""
    n = 0
    while at_most(n, 0.0) < ndtr(z):
        n += 1
    return n


expected = {name: upper_limit(quantile(z)) for name, z in QUANTILES.items()}
observed = upper_limit(n_observed)
if not all(math.isfinite(value) for value in (observed, *expected.values())):
    raise RuntimeError("a limit is not finite")

result = {
    "observed": observed,
    "expected": expected,
    "cl": confidence_level,
    "counts": {"observed": n_observed, "signal": signal, "background": background},
}
with open(snakemake.output.limits, "w", encoding="utf-8") as out:
    json.dump(result, out, indent=2, allow_nan=False)

print(f"observed {n_observed}, background {background:.2f}, signal {signal:.2f}")
print(f"mu < {observed:.3f} at {confidence_level:.0%} CL, expected {expected['0']:.3f}")
