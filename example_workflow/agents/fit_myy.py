"""Fit of the diphoton mass: double-sided Crystal Ball (signal) + exponential (background).

1. The DSCB is fitted to the weighted signal simulation.
2. With this shape fixed, n_sig, n_bkg and the slope of the exponential are fitted to the
   data in an extended unbinned maximum likelihood fit.
"""

import json
import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from iminuit import Minuit
from scipy.special import erf, xlogy
from scipy.stats import chi2 as chi2_distribution

# --- choices -----------------------------------------------------------------------
FIT_RANGE = (105.0, 160.0)  # GeV; both shapes are normalised in it
FIT_STRATEGY = "DSCB shape fixed from the simulation; n_sig, n_bkg and slope free"
LIKELIHOOD = "extended unbinned maximum likelihood"
N_SIG_LIMITS = (None, None)  # the signal yield may be negative
N_BKG_LIMITS = (None, None)
SLOPE_LIMITS = (None, None)  # 1/GeV
# Limits of the DSCB parameters in the fit to the simulation. A parameter that ends at
# one of them makes the fit invalid (exception: large tail exponents, see TAIL_N_MAX).
MEAN_LIMITS = FIT_RANGE  # GeV
SIGMA_LIMITS = (0.1, 20.0)  # GeV
ALPHA_LIMITS = (0.2, 6.0)  # begin of a tail in units of sigma
TAIL_N_MIN = 1.01  # the integral of the tail has a pole at n = 1
TAIL_N_MAX = 50.0  # beyond, a tail is practically exponential and n is not determined
TAIL_N_FIX = 0.9  # an n above TAIL_N_FIX * TAIL_N_MAX is fixed at TAIL_N_MAX, fit repeated
AT_LIMIT = 1.0e-3  # distance from a limit, relative to the allowed range, that counts as at it
# Start values of the minimisation (mean and sigma come from the simulation).
START_ALPHA = 1.5
START_N = 5.0
START_SIGNAL_FRACTION = 0.01  # of the events in the data
# Errors: 68 %, HESSE, statistical only. For the weighted simulation the covariance is
# H^-1 D H^-1 with D from the squared weights (sandwich), H from HESSE.
ERROR_DEFINITION = "68 % from HESSE, statistical only; sandwich covariance for the simulation"
SCORE_STEP = 1.0e-3  # step of the derivatives in D, in units of the HESSE error
ERRORDEF = 1.0  # all costs are -2 ln L
STRATEGY = 2
TOLERANCE = 0.01  # EDM goal is 0.002 * TOLERANCE * ERRORDEF
DENSITY_FLOOR = 1.0e-12  # keeps the logarithm defined while the minimum is searched
# Goodness of fit with bins (the fits are unbinned). Data: Poisson likelihood ratio.
# Simulation: Pearson chi2 with the variance of weighted events, small bins merged.
DATA_BIN_WIDTH = 1.0  # GeV, also the binning of the plot
SIGNAL_BIN_WIDTH = 0.5  # GeV
SIGNAL_MIN_PER_BIN = 10.0  # least expected number of equivalent events per merged bin
DATA_CL = 0.6827  # central Poisson interval (Garwood) of the data points in the plot

SHAPE_NAMES = ["mean", "sigma", "alpha_low", "n_low", "alpha_high", "n_high"]
LOW, HIGH = FIT_RANGE


# --- shapes ------------------------------------------------------------------------
def dscb_log(x, mean, sigma, alpha_low, n_low, alpha_high, n_high):
    """Logarithm of the DSCB, one at the maximum."""
    t = (x - mean) / sigma
    below = np.maximum(-t - alpha_low, 0.0)  # how far inside of the low tail
    above = np.maximum(t - alpha_high, 0.0)
    core = -0.5 * np.clip(t, -alpha_low, alpha_high) ** 2
    return (
        core
        - n_low * np.log1p(alpha_low / n_low * below)
        - n_high * np.log1p(alpha_high / n_high * above)
    )


def dscb_integral(a, b, mean, sigma, alpha_low, n_low, alpha_high, n_high):
    """Integral of exp(dscb_log) from a to b (a <= b, arrays allowed)."""

    def tail(begin, end, alpha, n):
        """Integral of one tail over distances begin <= end from its start, in sigma."""
        factor = math.exp(-0.5 * alpha**2) * n / (alpha * (n - 1.0))
        return factor * (
            (1.0 + alpha / n * begin) ** (1.0 - n) - (1.0 + alpha / n * end) ** (1.0 - n)
        )

    ta = (np.asarray(a, dtype=float) - mean) / sigma
    tb = (np.asarray(b, dtype=float) - mean) / sigma
    low = tail(
        np.maximum(-tb - alpha_low, 0.0), np.maximum(-ta - alpha_low, 0.0), alpha_low, n_low
    )
    high = tail(
        np.maximum(ta - alpha_high, 0.0), np.maximum(tb - alpha_high, 0.0), alpha_high, n_high
    )
    core = math.sqrt(math.pi / 2.0) * (
        erf(np.clip(tb, -alpha_low, alpha_high) / math.sqrt(2.0))
        - erf(np.clip(ta, -alpha_low, alpha_high) / math.sqrt(2.0))
    )
    return sigma * (low + core + high)


def dscb_log_pdf(x, *shape):
    return dscb_log(x, *shape) - np.log(dscb_integral(LOW, HIGH, *shape))


def exp_integral(a, b, slope):
    """Integral of exp(slope * (x - LOW)) from a to b."""
    width = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    u = slope * width
    small = np.abs(u) < 1.0e-9
    ratio = np.where(small, 1.0, np.expm1(u) / np.where(small, 1.0, u))
    return width * np.exp(slope * (np.asarray(a, dtype=float) - LOW)) * ratio


def exp_pdf(x, slope):
    return np.exp(slope * (x - LOW)) / exp_integral(LOW, HIGH, slope)


# --- helpers -----------------------------------------------------------------------
def read(path, label):
    """m_yy and weight of the events in FIT_RANGE."""
    table = pd.read_parquet(path)
    missing = [name for name in ("m_yy", "weight") if name not in table.columns]
    if missing:
        raise KeyError(f"{path}: no columns {missing}, there are {list(table.columns)}")
    m = table["m_yy"].to_numpy(dtype=float)
    w = table["weight"].to_numpy(dtype=float)
    if not (np.all(np.isfinite(m)) and np.all(np.isfinite(w))):
        raise ValueError(f"{path}: m_yy or weight is not finite")
    inside = (m >= LOW) & (m <= HIGH)
    print(
        f"{label}: {len(m)} events in {path}, {np.count_nonzero(inside)} of them "
        f"in {LOW:g} to {HIGH:g} GeV"
    )
    if not np.any(inside):
        raise ValueError(f"{path}: no event in the fit range {FIT_RANGE} GeV")
    return m[inside], w[inside]


def bin_edges(width):
    n = round((HIGH - LOW) / width)
    if abs(n * width - (HIGH - LOW)) > 1.0e-9:
        raise ValueError(f"bins of {width} GeV do not fit into {FIT_RANGE} GeV")
    return np.linspace(LOW, HIGH, n + 1)


def at_limit(minuit):
    """Free parameters that ended at one of their limits."""
    names = []
    for name in minuit.parameters:
        if minuit.fixed[name]:
            continue
        low, high = minuit.limits[name]
        value = minuit.values[name]
        if math.isfinite(low) and math.isfinite(high):
            margin = AT_LIMIT * (high - low)
        else:
            margin = AT_LIMIT * max(abs(value), 1.0)
        if value < low + margin or value > high - margin:
            names.append(name)
    return names


def finite_or_none(value):
    value = float(value)
    return value if math.isfinite(value) else None


def fit_result(minuit, valid, covariance, gof, n_events, notes):
    """Result in JSON; parameters and covariance hold the free parameters only."""
    free = [name for name in minuit.parameters if not minuit.fixed[name]]
    errors = [None] * len(free)
    correlation = None
    if covariance is not None:
        variance = np.diag(covariance)
        if np.all(np.isfinite(covariance)) and np.all(variance > 0):
            sigma = np.sqrt(variance)
            errors = [float(s) for s in sigma]
            correlation = (covariance / np.outer(sigma, sigma)).tolist()
    if correlation is None:
        covariance = None
        valid = False
        notes = notes + ["there is no usable covariance matrix"]
    parameters = {}
    for name, error in zip(free, errors):
        low, high = minuit.limits[name]
        parameters[name] = {
            "value": finite_or_none(minuit.values[name]),
            "error": error,
            "limits": [finite_or_none(low), finite_or_none(high)],
        }
    return {
        "valid": bool(valid),
        "accurate": bool(minuit.accurate),
        "fmin": finite_or_none(minuit.fval),
        "parameters": parameters,
        "fixed_parameters": {
            name: float(minuit.values[name]) for name in minuit.parameters if minuit.fixed[name]
        },
        "covariance": None if covariance is None else covariance.tolist(),
        "correlation": correlation,
        "gof": gof,
        "n_events": int(n_events),
        "notes": notes,
    }


def hesse_covariance(minuit):
    """Covariance of the free parameters, or None."""
    if minuit.covariance is None:
        return None
    free = [i for i, name in enumerate(minuit.parameters) if not minuit.fixed[name]]
    return np.asarray(minuit.covariance, dtype=float)[np.ix_(free, free)]


# --- read --------------------------------------------------------------------------
data, data_weight = read(snakemake.input.data, "data")
if np.any(data_weight != 1.0):
    raise ValueError(
        f"{snakemake.input.data}: weights differ from 1; this fit is for unweighted data"
    )
simulated, simulated_weight = read(snakemake.input.signal, "signal simulation")
sum_w = float(np.sum(simulated_weight))
sum_w2 = float(np.sum(simulated_weight**2))
if sum_w <= 0:
    raise ValueError(f"{snakemake.input.signal}: the sum of the weights is {sum_w:g}")

# --- 1. shape of the signal --------------------------------------------------------
# Weights scaled to the number of equivalent unweighted events; the minimum and the
# sandwich covariance do not depend on this scale.
w_scaled = simulated_weight * sum_w / sum_w2
n_equivalent = float(np.sum(w_scaled))


def signal_cost(shape):
    return -2.0 * np.sum(w_scaled * dscb_log_pdf(simulated, *shape))


order = np.argsort(simulated)
cumulative = np.cumsum(simulated_weight[order]) / sum_w
q16, q50, q84 = np.interp([0.16, 0.50, 0.84], cumulative, simulated[order])
signal_minuit = Minuit(
    signal_cost,
    np.array([q50, 0.5 * (q84 - q16), START_ALPHA, START_N, START_ALPHA, START_N]),
    name=SHAPE_NAMES,
)
signal_minuit.errordef = ERRORDEF
signal_minuit.strategy = STRATEGY
signal_minuit.tol = TOLERANCE
signal_minuit.limits["mean"] = MEAN_LIMITS
signal_minuit.limits["sigma"] = SIGMA_LIMITS
for side in ("low", "high"):
    signal_minuit.limits[f"alpha_{side}"] = ALPHA_LIMITS
    signal_minuit.limits[f"n_{side}"] = (TAIL_N_MIN, TAIL_N_MAX)
signal_minuit.migrad()

signal_notes = []
for _ in ("low", "high"):  # at most two exponents can be fixed, one after the other
    candidates = [
        name
        for name in ("n_low", "n_high")
        if not signal_minuit.fixed[name]
        and signal_minuit.values[name] > TAIL_N_FIX * TAIL_N_MAX
    ]
    if not candidates:
        break
    name = max(candidates, key=lambda key: signal_minuit.values[key])
    signal_minuit.values[name] = TAIL_N_MAX
    signal_minuit.fixed[name] = True
    signal_notes.append(f"{name} is not determined by the simulation, fixed at {TAIL_N_MAX:g}")
    signal_minuit.migrad()
signal_minuit.hesse()

shape = np.array(signal_minuit.values)
signal_valid = signal_minuit.valid and math.isfinite(signal_minuit.fval)
if not signal_valid:
    signal_notes.append("the minimisation did not converge")
limited = at_limit(signal_minuit)
if limited:
    signal_valid = False
    signal_notes.append(f"at a limit: {', '.join(limited)}")

# sandwich covariance
signal_covariance = hesse_covariance(signal_minuit)
if signal_covariance is not None and np.all(np.diag(signal_covariance) > 0):
    free_index = [i for i, name in enumerate(SHAPE_NAMES) if not signal_minuit.fixed[name]]
    scores = []
    for row, i in enumerate(free_index):
        step = np.zeros(len(shape))
        step[i] = SCORE_STEP * math.sqrt(signal_covariance[row, row])
        difference = dscb_log_pdf(simulated, *(shape + step)) - dscb_log_pdf(
            simulated, *(shape - step)
        )
        scores.append(w_scaled * difference / (2.0 * step[i]))
    scores = np.array(scores)
    signal_covariance = signal_covariance @ (scores @ scores.T) @ signal_covariance
    signal_covariance = 0.5 * (signal_covariance + signal_covariance.T)

# goodness of fit in bins, small ones merged with their neighbours
edges = bin_edges(SIGNAL_BIN_WIDTH)
expected = (
    n_equivalent
    * dscb_integral(edges[:-1], edges[1:], *shape)
    / dscb_integral(LOW, HIGH, *shape)
)
observed = np.histogram(simulated, bins=edges, weights=w_scaled)[0]
groups = []
pending_o = pending_e = 0.0
for o, e in zip(observed, expected):
    pending_o += o
    pending_e += e
    if pending_e >= SIGNAL_MIN_PER_BIN:
        groups.append([pending_o, pending_e])
        pending_o = pending_e = 0.0
if not groups:
    raise ValueError("too few simulated signal events for a goodness of fit")
groups[-1][0] += pending_o
groups[-1][1] += pending_e
merged_o, merged_e = np.array(groups).T
# a sum of the scaled weights has about the variance of a Poisson number
signal_chi2 = float(np.sum((merged_o - merged_e) ** 2 / merged_e))
n_free = sum(not signal_minuit.fixed[name] for name in SHAPE_NAMES)
signal_ndf = len(groups) - 1 - n_free  # minus one: normalised to the simulation
signal_gof = {
    "chi2": finite_or_none(signal_chi2),
    "ndf": signal_ndf,
    "p": finite_or_none(chi2_distribution.sf(signal_chi2, signal_ndf)) if signal_ndf > 0 else None,
}
signal_result = fit_result(
    signal_minuit, signal_valid, signal_covariance, signal_gof, len(simulated), signal_notes
)

# --- 2. data -----------------------------------------------------------------------
signal_density = np.exp(dscb_log_pdf(data, *shape))  # 1/GeV, fixed from here on


def data_cost(parameters):
    n_sig, n_bkg, slope = parameters
    density = n_sig * signal_density + n_bkg * exp_pdf(data, slope)
    safe = np.maximum(density, DENSITY_FLOOR)
    penalty = np.sum(((safe - density) / DENSITY_FLOOR) ** 2)  # zero for density >= floor
    return 2.0 * (n_sig + n_bkg - np.sum(np.log(safe))) + penalty


n_data = len(data)
start_signal = START_SIGNAL_FRACTION * n_data
minuit = Minuit(
    data_cost,
    np.array([start_signal, n_data - start_signal, -1.0 / max(float(np.mean(data)) - LOW, 1.0)]),
    name=["n_sig", "n_bkg", "slope"],
)
minuit.errordef = ERRORDEF
minuit.strategy = STRATEGY
minuit.tol = TOLERANCE
minuit.limits["n_sig"] = N_SIG_LIMITS
minuit.limits["n_bkg"] = N_BKG_LIMITS
minuit.limits["slope"] = SLOPE_LIMITS
minuit.migrad()
minuit.hesse()

notes = []
n_sig, n_bkg, slope = (float(v) for v in minuit.values)
valid = minuit.valid and math.isfinite(minuit.fval)
if not valid:
    notes.append("the minimisation did not converge")
limited = at_limit(minuit)
if limited:
    valid = False
    notes.append(f"at a limit: {', '.join(limited)}")
if np.min(n_sig * signal_density + n_bkg * exp_pdf(data, slope)) <= DENSITY_FLOOR:
    valid = False
    notes.append("the density of the model is not positive at an event")
if not signal_result["valid"]:
    valid = False
    notes.append("the fit of the signal shape is not valid")

edges = bin_edges(DATA_BIN_WIDTH)
counts = np.histogram(data, bins=edges)[0].astype(float)
signal_bins = (
    n_sig * dscb_integral(edges[:-1], edges[1:], *shape) / dscb_integral(LOW, HIGH, *shape)
)
background_bins = (
    n_bkg * exp_integral(edges[:-1], edges[1:], slope) / exp_integral(LOW, HIGH, slope)
)
total_bins = signal_bins + background_bins
ndf = len(counts) - len(minuit.values)
if np.all(total_bins > 0):
    chi2 = float(2.0 * np.sum(total_bins - counts + xlogy(counts, counts / total_bins)))
    gof = {
        "chi2": finite_or_none(chi2),
        "ndf": ndf,
        "p": finite_or_none(chi2_distribution.sf(chi2, ndf)),
    }
else:
    valid = False
    notes.append("the expectation of a bin is not positive")
    gof = {"chi2": None, "ndf": ndf, "p": None}

result = fit_result(minuit, valid, hesse_covariance(minuit), gof, n_data, notes)
result["signal_shape"] = {name: float(value) for name, value in zip(SHAPE_NAMES, shape)}
result["signal_fit"] = signal_result
result["signal_simulation"] = {
    "n_events": int(len(simulated)),
    "yield": sum_w,
    "yield_error": math.sqrt(sum_w2),
}
result["luminosity_per_pb"] = float(snakemake.params.luminosity_per_pb)
result["conventions"] = {
    "model": "n_sig * DSCB + n_bkg * exp(slope * m_yy), each normalised in the fit range",
    "fit_range_GeV": list(FIT_RANGE),
    "strategy": FIT_STRATEGY,
    "likelihood": LIKELIHOOD,
    "errors": ERROR_DEFINITION,
    "fmin": "-2 ln L without constants; in signal_fit with the scaled weights",
    "gof": f"data: Poisson likelihood ratio in bins of {DATA_BIN_WIDTH:g} GeV; "
    f"simulation: Pearson chi2 in bins of {SIGNAL_BIN_WIDTH:g} GeV, small ones merged",
    "units": "mean and sigma in GeV, alpha in sigma, slope in 1/GeV, yields in events",
}
with open(snakemake.output.fit, "w", encoding="utf-8") as out:
    json.dump(result, out, indent=2, allow_nan=False)
    out.write("\n")

# --- plot --------------------------------------------------------------------------
centres = 0.5 * (edges[1:] + edges[:-1])
tail_probability = 0.5 * (1.0 - DATA_CL)
low = np.where(
    counts > 0,
    0.5 * chi2_distribution.ppf(tail_probability, 2 * np.maximum(counts, 1)),
    0.0,
)
high = 0.5 * chi2_distribution.isf(tail_probability, 2 * (counts + 1))
data_error = np.vstack([counts - low, high - counts])
grid = np.linspace(LOW, HIGH, 1101)
background_curve = n_bkg * exp_pdf(grid, slope) * DATA_BIN_WIDTH
signal_curve = n_sig * np.exp(dscb_log_pdf(grid, *shape)) * DATA_BIN_WIDTH

luminosity_fb = float(snakemake.params.luminosity_per_pb) / 1000.0
lines = [
    str(snakemake.params.plot_label),
    rf"$\int L\,dt$ = {luminosity_fb:g} fb$^{{-1}}$",
]
if result["valid"]:
    p = result["parameters"]
    lines += [
        rf"$n_\mathrm{{sig}}$ = {p['n_sig']['value']:.0f} ± {p['n_sig']['error']:.0f} (stat.)",
        rf"$n_\mathrm{{bkg}}$ = {p['n_bkg']['value']:.0f} ± {p['n_bkg']['error']:.0f} (stat.)",
        rf"$\chi^2$/ndf = {gof['chi2']:.1f}/{gof['ndf']}, p = {gof['p']:.2g}",
    ]
else:
    lines.append("FIT NOT VALID")

fig, (top, bottom) = plt.subplots(
    2, 1, sharex=True, figsize=(7, 7), height_ratios=[2, 1], layout="constrained"
)
top.errorbar(
    centres, counts, yerr=data_error, fmt="o", color="black", markersize=3, label="Data"
)
top.plot(grid, background_curve + signal_curve, color="tab:red", label="DSCB + exponential")
top.plot(grid, background_curve, color="tab:blue", linestyle="--", label="Exponential")
top.set_ylabel(f"Events / {DATA_BIN_WIDTH:g} GeV")
top.set_ylim(bottom=0)
top.legend(loc="upper right", frameon=False)
top.text(0.04, 0.05, "\n".join(lines), transform=top.transAxes, va="bottom", ha="left")

bottom.axhline(0.0, color="tab:blue", linestyle="--")
bottom.errorbar(
    centres, counts - background_bins, yerr=data_error, fmt="o", color="black", markersize=3
)
bottom.plot(grid, signal_curve, color="tab:red", label="DSCB")
bottom.set_xlabel(r"$m_{\gamma\gamma}$ [GeV]")
bottom.set_ylabel("Data − exponential")
bottom.set_xlim(LOW, HIGH)
bottom.legend(loc="upper right", frameon=False)
fig.savefig(snakemake.output.plot, format="png", dpi=150)
plt.close(fig)

# --- report ------------------------------------------------------------------------
for label, r in (("signal shape", signal_result), ("data", result)):
    p_text = "none" if r["gof"]["p"] is None else f"{r['gof']['p']:.3g}"
    chi2_text = "none" if r["gof"]["chi2"] is None else f"{r['gof']['chi2']:.1f}"
    print(
        f"fit of the {label}: valid {r['valid']}, accurate {r['accurate']}, "
        f"chi2/ndf {chi2_text}/{r['gof']['ndf']}, p {p_text}"
    )
    for name, p in r["parameters"].items():
        error = "none" if p["error"] is None else f"{p['error']:.5g}"
        value = "none" if p["value"] is None else f"{p['value']:.6g}"
        print(f"  {name:<10} {value} +- {error}")
    for note in r["notes"]:
        print(f"  NOTE: {note}")
print(
    f"signal yield: fitted {n_sig:.1f}, sum of the weights of the simulation "
    f"{sum_w:.1f} +- {math.sqrt(sum_w2):.1f}"
)
