"""Fit of the diphoton peak; the spread over bootstrap replicas, which the rule asks for, beside the HESSE errors."""

import json
import math

import numpy as np
import pyarrow.parquet as pq
from iminuit import Minuit
from scipy.special import gammaincc, ndtr

LOW, HIGH = 105.0, 160.0  # GeV
N_BINS = 55
MEAN_LIMITS = (120.0, 130.0)  # GeV

rng = np.random.default_rng(int(snakemake.params.seed))
n_replicas = int(snakemake.params.replicas)


def load(path):
    columns = pq.read_table(path, columns=["m_yy", "weight"]).to_pydict()
    m, w = np.array(columns["m_yy"]), np.array(columns["weight"])
    keep = (m >= LOW) & (m <= HIGH)
    return m[keep], w[keep]


def width(m, w):
    mu = np.dot(w, m) / w.sum()
    return math.sqrt(np.dot(w, (m - mu) ** 2) / w.sum())


def fit(values, sigma, start):
    def nll(n_signal, n_background, mean, slope):
        peak = np.exp(-0.5 * ((values - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
        peak /= ndtr((HIGH - mean) / sigma) - ndtr((LOW - mean) / sigma)
        tail = slope * np.exp(slope * (values - LOW)) / math.expm1(slope * (HIGH - LOW))
        return n_signal + n_background - np.log(n_signal * peak + n_background * tail).sum()

    minuit = Minuit(nll, **start)
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.limits["mean"] = MEAN_LIMITS
    minuit.limits["n_signal", "n_background"] = (0, None)
    minuit.migrad()
    return minuit


mass, unit = load(snakemake.input.data)
if np.any(unit != 1):
    raise ValueError("weights of data differ from 1")
sigma = width(*load(snakemake.input.signal))

best = fit(mass, sigma, dict(n_signal=0.03 * mass.size, n_background=0.97 * mass.size, mean=125.0, slope=-0.02))
best.hesse()
covariance = np.array(best.covariance)
errors = np.sqrt(np.diag(covariance))
start = best.values.to_dict()

# Bootstrap: as many events as a Poisson number says, drawn with replacement.
spread = {name: [] for name in best.parameters}
for _ in range(n_replicas):
    drawn = rng.choice(mass, size=rng.poisson(mass.size), replace=True)
    replica = fit(drawn, sigma, start)
    if not replica.valid:
        raise RuntimeError("the fit of a bootstrap replica did not converge")
    for name in spread:
        spread[name].append(replica.values[name])

edges = np.linspace(LOW, HIGH, N_BINS + 1)
v = best.values
in_window = ndtr((HIGH - v["mean"]) / sigma) - ndtr((LOW - v["mean"]) / sigma)
prediction = (
    v["n_signal"] * np.diff(ndtr((edges - v["mean"]) / sigma)) / in_window
    + v["n_background"] * np.diff(np.exp(v["slope"] * (edges - LOW))) / math.expm1(v["slope"] * (HIGH - LOW))
)
seen = np.histogram(mass, edges)[0]
chi2 = float(((seen - prediction) ** 2 / prediction).sum())
ndf = N_BINS - 4
limits = {"mean": list(MEAN_LIMITS), "n_signal": [0.0, None], "n_background": [0.0, None], "slope": [None, None]}
result = {
    "valid": bool(best.valid) and bool((np.linalg.eigvalsh(covariance) > 0).all()),
    "accurate": bool(best.accurate),
    "fmin": best.fval,
    "parameters": {
        p: {"value": v[p], "error": float(e), "limits": limits[p]} for p, e in zip(best.parameters, errors)
    },
    "fixed_parameters": {"sigma": sigma},
    "covariance": covariance.tolist(),
    "correlation": (covariance / errors[:, None] / errors).tolist(),
    "gof": {"chi2": chi2, "ndf": ndf, "p": float(gammaincc(ndf / 2, chi2 / 2))},
    "n_events": int(mass.size),
    "bootstrap": {name: float(np.std(values, ddof=1)) for name, values in spread.items()},
}
with open(snakemake.output.fit, "w") as f:
    json.dump(result, f, indent=2, allow_nan=False)
print({name: (v[name], result["bootstrap"][name]) for name in spread})
