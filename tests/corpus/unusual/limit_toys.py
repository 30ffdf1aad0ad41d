"""CLs limit from pseudo-experiments, as the rule asks, with its seed."""

import json
from bisect import bisect_right

import numpy as np
import pandas as pd

p = snakemake.params
rng = np.random.default_rng(p.seed)
region = lambda path: pd.read_parquet(path).query("@p.window[0] < m_yy < @p.window[1] and score > @p.min_score")

n_obs = len(region(snakemake.input.data))
s = region(snakemake.input.signal)["weight"].sum()
b = region(snakemake.input.background)["weight"].sum()

# The same nuisances and uniform numbers for every mu: the curve of CLs is smooth then.
nuisance = b * (1 + p.background_uncertainty * rng.standard_normal(p.toys))
nuisance = nuisance[nuisance > 0]
background_only = np.sort(rng.poisson(nuisance))
seeds = rng.integers(2**32, size=2)


def share_at_most(n, mu):
    toys = np.random.default_rng(seeds).poisson(nuisance + mu * s) if mu else background_only
    return np.mean(toys <= n)


def limit(n):
    low, high = 0.0, 1.0
    level = (1 - p.confidence_level) * share_at_most(n, 0)
    while share_at_most(n, high) > level:
        low, high = high, 2 * high
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if share_at_most(n, middle) > level else (low, middle)
    return (low + high) / 2


quantiles = {"-2": 0.02275, "-1": 0.15866, "0": 0.5, "1": 0.84134, "2": 0.97725}
position = lambda q: int(background_only[min(int(np.ceil(q * len(background_only))), len(background_only)) - 1])
result = {
    "observed": limit(n_obs),
    "expected": {z: limit(position(q)) for z, q in quantiles.items()},
    "cl": p.confidence_level,
    "counts": {"observed": n_obs, "signal": float(s), "background": float(b)},
}
with open(snakemake.output.limits, "w") as f:
    json.dump(result, f, indent=2)
print(result, "share of background-only toys up to the observation:", bisect_right(background_only.tolist(), n_obs) / len(background_only))
