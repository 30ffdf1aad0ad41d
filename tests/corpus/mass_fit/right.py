"""Extended unbinned maximum likelihood fit of m_yy: Gaussian signal on an exponential background."""

import json

import numpy as np
import pyarrow.parquet as pq
from iminuit import Minuit
from scipy.special import erf, gammaincc

FIT_RANGE = (105.0, 160.0)  # GeV, both ends included; from the rule
MEAN_LIMITS = (120.0, 130.0)  # GeV, from the rule
BIN_WIDTH = 1.0  # GeV, for the chi2 only; from the rule
MIN_EXPECTED = 5.0  # events, bins with a smaller expectation do not enter the chi2
START_MEAN = 125.0  # GeV, the result does not depend on it
START_SLOPE = -0.02  # 1/GeV, the result does not depend on it
START_SIGNAL = 0.02  # share of signal, the result does not depend on it

LOW, HIGH = FIT_RANGE


def read(path):
    """Masses [GeV] and weights of the events in the fit range."""
    names = pq.read_schema(path).names
    for name in ("m_yy", "weight"):
        if name not in names:
            raise KeyError(f"{path} has no column {name!r}, only {names}")
    table = pq.read_table(path, columns=["m_yy", "weight"])
    mass = table["m_yy"].to_numpy().astype(float)
    weight = table["weight"].to_numpy().astype(float)
    inside = (mass >= LOW) & (mass <= HIGH)
    if not inside.any():
        raise ValueError(f"{path} has no events between {LOW:g} and {HIGH:g} GeV")
    return mass[inside], weight[inside]


mass, data_weight = read(snakemake.input.data)
if not np.allclose(data_weight, 1.0):
    raise ValueError("the data have weights other than 1, but an unbinned likelihood counts events")
signal_mass, signal_weight = read(snakemake.input.signal)

# Width of the peak: weighted standard deviation of the simulated signal.
total_weight = signal_weight.sum()
if total_weight <= 0:
    raise ValueError(f"the weights of the simulated signal add up to {total_weight:g}")
signal_mean = (signal_weight * signal_mass).sum() / total_weight
sigma = float(np.sqrt((signal_weight * (signal_mass - signal_mean) ** 2).sum() / total_weight))


def gauss_cdf(x, mean):
    return 0.5 * (1.0 + erf((x - mean) / (np.sqrt(2.0) * sigma)))


def signal_density(m, mean):
    """Gaussian, normalised over the fit range."""
    norm = gauss_cdf(HIGH, mean) - gauss_cdf(LOW, mean)
    return np.exp(-0.5 * ((m - mean) / sigma) ** 2) / (np.sqrt(2.0 * np.pi) * sigma) / norm


def background_density(m, slope):
    """Exponential, normalised over the fit range."""
    if abs(slope) < 1e-9:
        return np.full_like(m, 1.0 / (HIGH - LOW))
    return slope * np.exp(slope * (m - LOW)) / np.expm1(slope * (HIGH - LOW))


def nll(n_signal, n_background, mean, slope):
    density = n_signal * signal_density(mass, mean) + n_background * background_density(mass, slope)
    return n_signal + n_background - np.log(np.maximum(density, 1e-300)).sum()


minuit = Minuit(
    nll,
    n_signal=START_SIGNAL * len(mass),
    n_background=(1.0 - START_SIGNAL) * len(mass),
    mean=START_MEAN,
    slope=START_SLOPE,
)
minuit.errordef = Minuit.LIKELIHOOD
minuit.limits["mean"] = MEAN_LIMITS
minuit.strategy = 2
minuit.migrad()
minuit.hesse()

covariance = np.array(minuit.covariance) if minuit.covariance is not None else None
positive = covariance is not None and bool(np.all(np.linalg.eigvalsh(covariance) > 0))
near_limit = min(minuit.values["mean"] - MEAN_LIMITS[0], MEAN_LIMITS[1] - minuit.values["mean"]) < 0.01
valid = bool(minuit.valid) and positive and not near_limit

# Goodness of fit: Pearson chi2 over bins of 1 GeV.
n_bins = round((HIGH - LOW) / BIN_WIDTH)
edges = np.linspace(LOW, HIGH, n_bins + 1)
observed, _ = np.histogram(mass, bins=edges)
n_signal, n_background, mean, slope = minuit.values
signal_share = np.diff(gauss_cdf(edges, mean)) / (gauss_cdf(HIGH, mean) - gauss_cdf(LOW, mean))
background_share = np.diff(np.expm1(slope * (edges - LOW))) / np.expm1(slope * (HIGH - LOW))
expected = n_signal * signal_share + n_background * background_share
used = expected >= MIN_EXPECTED
chi2 = float(((observed - expected)[used] ** 2 / expected[used]).sum())
ndf = int(used.sum()) - len(minuit.values)
p_value = float(gammaincc(ndf / 2, chi2 / 2))

names = list(minuit.parameters)
limits = {"mean": list(MEAN_LIMITS)}
errors = np.sqrt(np.diag(covariance)) if covariance is not None else np.full(len(names), np.nan)
result = {
    "valid": valid,
    "accurate": bool(minuit.accurate),
    "fmin": float(minuit.fval),
    "parameters": {
        name: {
            "value": float(minuit.values[name]),
            "error": float(error) if np.isfinite(error) else None,
            "limits": limits.get(name, [None, None]),
        }
        for name, error in zip(names, errors)
    },
    "fixed_parameters": {"sigma": sigma},
    "covariance": covariance.tolist() if covariance is not None else None,
    "correlation": (covariance / np.outer(errors, errors)).tolist() if covariance is not None else None,
    "gof": {"chi2": chi2, "ndf": ndf, "p": p_value},
    "n_events": len(mass),
}
with open(snakemake.output.fit, "w", encoding="utf-8") as out:
    json.dump(result, out, indent=2, allow_nan=False)

print(f"{len(mass)} events between {LOW:g} and {HIGH:g} GeV, width {sigma:.3f} GeV from {len(signal_mass)} simulated events")
for name in names:
    parameter = result["parameters"][name]
    print(f"{name} = {parameter['value']:.6g} +- {parameter['error']:.3g}")
print(f"valid {valid}, chi2/ndf = {chi2:.1f}/{ndf}")
