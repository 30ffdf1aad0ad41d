"""Fit the diphoton mass with a double-sided Crystal Ball (DSCB) and an exponential.

1. The simulated signal samples, together and with their weights, give the shape of the DSCB (unbinned).
2. An extended unbinned maximum likelihood fit to the data then has the number of signal and background events, the
   position of the peak and the slope of the exponential free; width and tails of the DSCB are fixed from 1.

Units: no description of the inputs states the unit of m_yy. Its range of 105 to 160 with simulated peak at about 125
shows that it is GeV; the script stops if the simulated peak is not within MEAN_LIMITS.
"""

import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq
from iminuit import Minuit
from scipy.special import erf
from scipy.stats import chi2 as chi2_distribution

FIT_RANGE = (105.0, 160.0)  # GeV
BIN_WIDTH = 1.0  # GeV, for the plot and the chi2 only
MIN_EXPECTED = 10.0  # events, bins are merged up to this expectation for the chi2
MEAN_LIMITS = (120.0, 130.0)  # GeV
SIGMA_LIMITS = (0.3, 5.0)  # GeV
ALPHA_LIMITS = (0.2, 6.0)  # in units of sigma
POWER_LIMITS = (1.05, 150.0)
SLOPE_LIMITS = (-0.5, 0.5)  # 1/GeV
LIMIT_TOLERANCE = 1e-3  # part of the allowed range
DATA_WEIGHT_TOLERANCE = 1e-9

# Where the minimisation starts; no result depends on these.
START_ALPHA = 1.5
START_POWER = 5.0
START_SLOPE = -0.02  # 1/GeV

LOW, HIGH = FIT_RANGE
CENTRE = 0.5 * (LOW + HIGH)
HALF_WIDTH = 0.5 * (HIGH - LOW)
N_BINS = int(round((HIGH - LOW) / BIN_WIDTH))
EDGES = np.linspace(LOW, HIGH, N_BINS + 1)

lines = []


def say(text):
    print(text)
    lines.append(text)


def read(path):
    """Mass and weight of the events in the fit range (both ends included)."""
    names = pq.read_schema(path).names
    for name in ("m_yy", "weight"):
        if name not in names:
            raise KeyError(f"{path} has no column {name!r}, only {names}")
    table = pq.read_table(path, columns=["m_yy", "weight"])
    mass = table["m_yy"].to_numpy().astype(np.float64)
    weight = table["weight"].to_numpy().astype(np.float64)
    if not (np.isfinite(mass).all() and np.isfinite(weight).all()):
        raise ValueError(f"{path} has values of m_yy or weight that are missing or not finite")
    inside = (mass >= LOW) & (mass <= HIGH)
    say(f"{path}: {mass.size} events, {int(inside.sum())} of them from {LOW:g} to {HIGH:g} GeV")
    if not inside.any():
        raise ValueError(f"{path} has no events from {LOW:g} to {HIGH:g} GeV")
    return mass[inside], weight[inside]


# ---- shapes, all normalised over the fit range in closed form


def dscb_primitive(t, alpha_low, n_low, alpha_high, n_high):
    """Integral of the DSCB (height 1 at its peak) from -alpha_low to t, t in units of sigma from the mean."""
    t = np.asarray(t, dtype=np.float64)
    root2 = np.sqrt(2.0)
    core = np.sqrt(0.5 * np.pi) * (erf(np.clip(t, -alpha_low, alpha_high) / root2) + erf(alpha_low / root2))
    u_low = 1.0 - alpha_low / n_low * np.minimum(t + alpha_low, 0.0)
    u_high = 1.0 + alpha_high / n_high * np.maximum(t - alpha_high, 0.0)
    low = np.exp(-0.5 * alpha_low**2) * n_low / alpha_low * (1.0 - u_low ** (1.0 - n_low)) / (n_low - 1.0)
    high = np.exp(-0.5 * alpha_high**2) * n_high / alpha_high * (1.0 - u_high ** (1.0 - n_high)) / (n_high - 1.0)
    return core - low + high  # low (high) vanishes unless t is in the low (high) tail


def dscb_log_density(x, mean, sigma, alpha_low, n_low, alpha_high, n_high):
    """Logarithm of the density: Gaussian core, power-law tails joined smoothly at -alpha_low and +alpha_high sigma."""
    tails = (alpha_low, n_low, alpha_high, n_high)
    norm = sigma * (
        dscb_primitive((HIGH - mean) / sigma, *tails) - dscb_primitive((LOW - mean) / sigma, *tails)
    )
    t = (x - mean) / sigma
    log_shape = -0.5 * t**2
    low = t < -alpha_low
    high = t > alpha_high
    log_shape[low] = -0.5 * alpha_low**2 - n_low * np.log1p(-alpha_low / n_low * (t[low] + alpha_low))
    log_shape[high] = -0.5 * alpha_high**2 - n_high * np.log1p(alpha_high / n_high * (t[high] - alpha_high))
    return log_shape - np.log(norm)


def dscb_fractions(edges, mean, sigma, *tails):
    primitive = dscb_primitive((edges - mean) / sigma, *tails)
    return np.diff(primitive) / np.diff(dscb_primitive((np.array(FIT_RANGE) - mean) / sigma, *tails))


def exponential_norm(slope):
    """Integral of exp(slope (x - CENTRE)) over the fit range, also for slope 0."""
    z = slope * HALF_WIDTH
    return 2.0 * HALF_WIDTH * (np.sinh(z) / z if abs(z) > 1e-6 else 1.0)


def exponential_density(x, slope):
    return np.exp(slope * (x - CENTRE)) / exponential_norm(slope)


def exponential_fractions(edges, slope):
    left, right = edges[:-1], edges[1:]
    half = 0.5 * slope * (right - left)
    # sinh(half) / half, with the limit 1 for a slope of 0
    factor = np.where(np.abs(half) > 1e-6, np.sinh(half) / np.where(half == 0.0, 1.0, half), 1.0)
    return (right - left) * factor * exponential_density(0.5 * (left + right), slope)


# ---- fitting and its results


def minimise(minuit):
    minuit.errordef = Minuit.LIKELIHOOD  # the functions are negative log likelihoods, not doubled
    minuit.migrad()
    if not minuit.valid:
        minuit.simplex()
        minuit.strategy = 2
        minuit.migrad()
    minuit.hesse()


def at_limit(minuit):
    """Names of the parameters that ended at a limit (only those with limits on both sides can)."""
    names = []
    for name in minuit.parameters:
        low, high = minuit.limits[name]
        if np.isfinite(low) and np.isfinite(high):
            value = minuit.values[name]
            if min(value - low, high - value) < LIMIT_TOLERANCE * (high - low):
                names.append(name)
    return names


def goodness(observed, expected, n_constraints):
    """Pearson's chi2 in bins, merged from the left until each has MIN_EXPECTED expected events.

    The parameters come from an unbinned fit, so ndf = bins - constraints is an approximation (slightly too small).
    """
    groups_observed, groups_expected = [], []
    sum_observed = sum_expected = 0.0
    for o, e in zip(observed, expected):
        sum_observed += o
        sum_expected += e
        if sum_expected >= MIN_EXPECTED:
            groups_observed.append(sum_observed)
            groups_expected.append(sum_expected)
            sum_observed = sum_expected = 0.0
    if groups_expected:  # what is left at the right end goes into the last group
        groups_observed[-1] += sum_observed
        groups_expected[-1] += sum_expected
    o, e = np.array(groups_observed), np.array(groups_expected)
    ndf = int(o.size - n_constraints)
    if ndf < 1:
        return {"chi2": None, "ndf": ndf, "p": None}
    chi2 = float(np.sum((o - e) ** 2 / e))
    return {"chi2": chi2, "ndf": ndf, "p": float(chi2_distribution.sf(chi2, ndf))}


def number(value):
    value = float(value)
    return value if np.isfinite(value) else None


def describe(minuit, gof, n_events, valid):
    names = list(minuit.parameters)
    covariance = correlation = None
    if minuit.covariance is not None:
        matrix = np.array(minuit.covariance, dtype=np.float64)
        sigmas = np.sqrt(np.diag(matrix))
        with np.errstate(all="ignore"):
            ratio = matrix / np.outer(sigmas, sigmas)
        covariance = [[number(v) for v in row] for row in matrix]
        correlation = [[number(v) for v in row] for row in ratio]
    return {
        "valid": bool(valid),
        "accurate": bool(minuit.accurate),
        "fmin": number(minuit.fval),
        "parameters": {
            name: {
                "value": number(minuit.values[name]),
                "error": number(minuit.errors[name]) if covariance is not None else None,
                "limits": [number(limit) for limit in minuit.limits[name]],
            }
            for name in names
        },
        "covariance": covariance,
        "correlation": correlation,
        "gof": gof,
        "n_events": int(n_events),
        "at_limit": at_limit(minuit),
    }


def usable(minuit):
    """Converged, with a covariance whose errors are positive and finite."""
    if not minuit.valid or minuit.covariance is None:
        return False
    variances = np.diag(np.array(minuit.covariance, dtype=np.float64))
    return bool(np.isfinite(minuit.fval) and np.isfinite(variances).all() and (variances > 0).all())


def report(title, result):
    say(f"{title}: valid {result['valid']}, accurate {result['accurate']}, gof {result['gof']}")
    for name, p in result["parameters"].items():
        error = "none" if p["error"] is None else f"{p['error']:.4g}"
        say(f"  {name} = {p['value']:.6g} +- {error}")
    if result["at_limit"]:
        say(f"  at a limit: {', '.join(result['at_limit'])}")


# ---- inputs

data, data_weight = read(snakemake.input.data)
if np.max(np.abs(data_weight - 1.0)) > DATA_WEIGHT_TOLERANCE:
    raise ValueError("the data have weights other than 1, the likelihood of this script counts events")

signal_paths = snakemake.input.signal
signal_paths = [signal_paths] if isinstance(signal_paths, str) else list(signal_paths)
parts = [read(path) for path in signal_paths]
signal = np.concatenate([mass for mass, _ in parts])
signal_weight = np.concatenate([weight for _, weight in parts])
sum_weight = float(np.sum(signal_weight))
sum_weight2 = float(np.sum(signal_weight**2))
if sum_weight <= 0.0:
    raise ValueError(f"the sum of the signal weights is {sum_weight:g}, it must be positive")

# ---- 1. shape of the simulated signal
# Scaled weights: the minimum is the same, and the likelihood has the curvature of the effective number of events.
scaled_weight = signal_weight * sum_weight / sum_weight2
n_effective = float(np.sum(scaled_weight))

q16, q50, q84 = np.quantile(signal, [0.16, 0.5, 0.84])  # start values only
if not MEAN_LIMITS[0] < q50 < MEAN_LIMITS[1]:
    raise ValueError(f"median m_yy of the simulated signal is {q50:g}, not within {MEAN_LIMITS} GeV (unit?)")


def nll_shape(mean, sigma, alpha_low, n_low, alpha_high, n_high):
    return -np.dot(scaled_weight, dscb_log_density(signal, mean, sigma, alpha_low, n_low, alpha_high, n_high))


shape = Minuit(
    nll_shape,
    mean=q50,
    sigma=float(np.clip(0.5 * (q84 - q16), 1.1 * SIGMA_LIMITS[0], 0.9 * SIGMA_LIMITS[1])),
    alpha_low=START_ALPHA,
    n_low=START_POWER,
    alpha_high=START_ALPHA,
    n_high=START_POWER,
)
shape.limits["mean"] = MEAN_LIMITS
shape.limits["sigma"] = SIGMA_LIMITS
for side in ("low", "high"):
    shape.limits[f"alpha_{side}"] = ALPHA_LIMITS
    shape.limits[f"n_{side}"] = POWER_LIMITS
minimise(shape)

# A tail parameter at a limit still describes the peak (a large power is an exponential tail); it is reported under
# at_limit. A mean or width at a limit is a failed fit.
shape_valid = usable(shape) and not {"mean", "sigma"} & set(at_limit(shape))
shape_gof = goodness(
    np.histogram(signal, EDGES, weights=scaled_weight)[0],
    n_effective * dscb_fractions(EDGES, *shape.values),
    len(shape.parameters) + 1,  # the normalisation is that of the sample
)
shape_result = describe(shape, shape_gof, signal.size, shape_valid)
report("shape of the simulated signal", shape_result)

fixed_names = [name for name in shape.parameters if name != "mean"]
fixed = {name: float(shape.values[name]) for name in fixed_names}

# ---- 2. data


def nll_data(n_sig, n_bkg, mean, slope):
    density = n_sig * np.exp(dscb_log_density(data, mean, **fixed)) + n_bkg * exponential_density(data, slope)
    # n_sig may be negative; where that makes the density negative the likelihood must be very small
    return n_sig + n_bkg - np.sum(np.log(np.maximum(density, 1e-300)))


start_signal = min(sum_weight, 0.5 * data.size)
fit = Minuit(
    nll_data,
    n_sig=start_signal,
    n_bkg=data.size - start_signal,
    mean=float(shape.values["mean"]),
    slope=START_SLOPE,
)
fit.limits["n_bkg"] = (0.0, None)
fit.limits["mean"] = MEAN_LIMITS
fit.limits["slope"] = SLOPE_LIMITS
fit.errors["n_sig"] = fit.errors["n_bkg"] = np.sqrt(data.size)
fit.errors["mean"] = 0.3
fit.errors["slope"] = 1e-3
minimise(fit)

values = {name: float(fit.values[name]) for name in fit.parameters}
signal_parameters = [values["mean"], *fixed.values()]
counts = np.histogram(data, EDGES)[0]
expected_signal = values["n_sig"] * dscb_fractions(EDGES, *signal_parameters)
expected_background = values["n_bkg"] * exponential_fractions(EDGES, values["slope"])
fit_gof = goodness(counts, expected_signal + expected_background, len(fit.parameters))

# The data fit is only as good as the shape that it was given.
valid = shape_valid and usable(fit) and not at_limit(fit)
result = describe(fit, fit_gof, data.size, valid)
result["fixed_parameters"] = {
    name: {"value": number(fixed[name]), "error": None, "limits": [None, None]} for name in fixed_names
}
result["fit_range"] = list(FIT_RANGE)
result["model"] = (
    "n_sig * DSCB(mean, sigma, alpha_low, n_low, alpha_high, n_high) + n_bkg * exp(slope * m_yy), both normalised over "
    "fit_range; fmin is the negative extended log likelihood; errors are statistical only"
)
result["expected_signal"] = {
    "n_events": int(signal.size),
    "yield": number(sum_weight),
    "yield_error": number(np.sqrt(sum_weight2)),
}
result["signal_shape_fit"] = shape_result

report("fit to the data", result)
say(f"expected from simulation: {sum_weight:.1f} +- {np.sqrt(sum_weight2):.1f} signal events in the fit range")

with open(snakemake.output.fit, "w", encoding="utf-8") as file:
    json.dump(result, file, indent=2, allow_nan=False)

# ---- plot

grid = np.linspace(LOW, HIGH, 1101)
background_curve = BIN_WIDTH * values["n_bkg"] * exponential_density(grid, values["slope"])
signal_curve = BIN_WIDTH * values["n_sig"] * np.exp(dscb_log_density(grid, *signal_parameters))
centres = 0.5 * (EDGES[:-1] + EDGES[1:])
bin_scale = BIN_WIDTH / (EDGES[1] - EDGES[0])  # 1 unless BIN_WIDTH does not divide the range
errors = np.sqrt(counts) * bin_scale

figure, (top, bottom) = plt.subplots(
    2, 1, sharex=True, figsize=(8, 7), gridspec_kw={"height_ratios": [3, 1.3], "hspace": 0.06}
)
top.errorbar(centres, counts * bin_scale, yerr=errors, fmt="ko", markersize=3, label="data")
top.plot(grid, background_curve + signal_curve, color="tab:red", label="DSCB + exponential")
top.plot(grid, background_curve, color="tab:blue", linestyle="--", label="exponential")
top.set_ylabel(f"events / {BIN_WIDTH:g} GeV")
top.set_ylim(bottom=0)
top.legend(loc="upper right", frameon=False)
top.set_title(str(snakemake.params.plot_label), loc="left", fontsize=11)


def value_text(name, label, unit, digits):
    p = result["parameters"][name]
    error = "?" if p["error"] is None else f"{p['error']:.{digits}f}"
    return f"{label} = {values[name]:.{digits}f} $\\pm$ {error}{unit}"


text = [
    value_text("n_sig", "$N_{sig}$", "", 0),
    value_text("n_bkg", "$N_{bkg}$", "", 0),
    value_text("mean", "mean", " GeV", 2),
    value_text("slope", "slope", " / GeV", 5),
]
if fit_gof["chi2"] is not None:
    text.append(f"$\\chi^2$ / ndf = {fit_gof['chi2']:.1f} / {fit_gof['ndf']}, p = {fit_gof['p']:.2g}")
if not valid:
    text.append("FIT NOT VALID")
top.text(0.03, 0.05, "\n".join(text), transform=top.transAxes, fontsize=10, color="black" if valid else "red")

bottom.errorbar(centres, (counts - expected_background) * bin_scale, yerr=errors, fmt="ko", markersize=3)
bottom.plot(grid, signal_curve, color="tab:red")
bottom.axhline(0.0, color="tab:blue", linestyle="--")
bottom.set_xlim(LOW, HIGH)
bottom.set_xlabel(r"$m_{\gamma\gamma}$ [GeV]")
bottom.set_ylabel("data - exponential")
figure.savefig(snakemake.output.plot, dpi=150, bbox_inches="tight")
plt.close(figure)

if not valid:
    say("WARNING: the fit is not valid, do not use its numbers")

if snakemake.log:
    with open(snakemake.log[0], "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
