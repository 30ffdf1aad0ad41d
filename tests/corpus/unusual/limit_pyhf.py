"""Asymptotic CLs limit with pyhf."""

import json

import numpy as np
import pyarrow.parquet as pq
import pyhf

(low, high), min_score = snakemake.params.window, snakemake.params.min_score
level = 1 - snakemake.params.confidence_level


def weights(path):
    t = pq.read_table(path, filters=[("m_yy", ">", low), ("m_yy", "<", high), ("score", ">", min_score)])
    return t["weight"].to_numpy()


data, signal, background = (weights(snakemake.input[name]) for name in ("data", "signal", "background"))
model = pyhf.simplemodels.uncorrelated_background(
    signal=[signal.sum()],
    bkg=[background.sum()],
    bkg_uncertainty=[snakemake.params.background_uncertainty * background.sum()],
)
observations = [float(len(data))] + model.config.auxdata
scan = np.linspace(0.05, 9.95, 100)
observed, expected = pyhf.infer.intervals.upper_limits.upper_limit(observations, model, scan, level=level)
assert np.isfinite([observed, *expected]).all()
result = {
    "observed": float(observed),
    "expected": {str(z): float(value) for z, value in zip((-2, -1, 0, 1, 2), expected)},
    "cl": 1 - level,
    "counts": {"observed": len(data), "signal": float(signal.sum()), "background": float(background.sum())},
}
with open(snakemake.output.limits, "w") as out:
    json.dump(result, out)
print(json.dumps(result, indent=1))
