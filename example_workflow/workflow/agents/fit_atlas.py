"""Binned Poisson likelihood fit of signal plus background to a m_yy spectrum.

Expected events in a bin: integral of the background density + mu * signal template.
Nominal background: cubic polynomial. Alternatives: exp(quadratic), exp(cubic), quartic.
"""

import json
import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from iminuit import Minuit
from scipy.special import xlogy
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm

# --- given by the rule -------------------------------------------------------------
NOMINAL = ("poly", 3)  # cubic polynomial, four free coefficients
ALTERNATIVES = {
    "exp_poly2": ("exp", 2),
    "exp_poly3": ("exp", 3),
    "poly4": ("poly", 4),
}
QUANTITY = "m_yy"
UNIT = "GeV"

# --- choices -----------------------------------------------------------------------
# Fit range: all bins of the input, there is no selection of bins in this script.
FIT_RANGE = "all bins of the input"
# Background in a bin: integral of the density by Gauss-Legendre quadrature with this
# number of nodes per bin (exact for polynomials up to degree 15).
BACKGROUND_IN_BIN = "integral over the bin"
QUADRATURE_NODES = 8
# Coefficients belong to powers of t, -1 < t < 1 over the range of the input.
BACKGROUND_VARIABLE = "t = (m_yy - centre of the range) / (half width of the range)"
MU_LIMITS = (None, None)  # mu may be negative; no other parameter has limits either
ERROR_DEFINITION = "68 % interval from the HESSE covariance, statistical only"
ERRORDEF = 1.0  # the cost is -2 ln(likelihood ratio)
STRATEGY = 2  # of MIGRAD and HESSE
TOLERANCE = 0.01  # EDM goal is 0.002 * TOLERANCE * ERRORDEF
# Significance: asymptotic formulas; negative mu gives negative z_obs (not cut at zero).
SIGNED_Z = True
ASIMOV_MU = 1.0  # z_exp: data set = background of the free fit + ASIMOV_MU * template
Q_TOLERANCE = 1.0e-3  # the fit with mu = 0 may be better than the free one by this at most
# Goodness of fit: Poisson likelihood ratio to the saturated model (Baker-Cousins).
GOF = "Poisson likelihood ratio to the saturated model"
EXPECTATION_FLOOR = 1.0e-3  # events per bin; keeps the logarithm defined while searching
EXPONENT_LIMIT = 500.0  # same, for exp(polynomial)
YIELD_TOLERANCE = 1.0e-3  # relative, sum of the template compared to signal.yield
DATA_CL = 0.6827  # central Poisson interval (Garwood) of the data points in the plot

# --- read and check ----------------------------------------------------------------
in_path = snakemake.input[0]
with open(in_path, encoding="utf-8") as handle:
    spectrum = json.load(handle)

if spectrum["quantity"] != QUANTITY or spectrum["unit"] != UNIT:
    raise ValueError(
        f"{in_path}: holds {spectrum['quantity']} in {spectrum['unit']}, "
        f"expected {QUANTITY} in {UNIT}"
    )
edges = np.asarray(spectrum["bin_edges"], dtype=float)
counts = np.asarray(spectrum["counts"], dtype=float)
signal = np.asarray(spectrum["signal"]["expected_counts"], dtype=float)
signal_yield = float(spectrum["signal"]["yield"])
n_bins = len(counts)
n_events = int(spectrum["n_events"])

if edges.shape != (n_bins + 1,) or signal.shape != (n_bins,) or spectrum["n_bins"] != n_bins:
    raise ValueError(
        f"{in_path}: {len(edges)} edges, {n_bins} counts, {len(signal)} signal bins and "
        f"n_bins {spectrum['n_bins']} do not fit together"
    )
if not (np.all(np.isfinite(edges)) and np.all(np.diff(edges) > 0)):
    raise ValueError(f"{in_path}: the bin edges do not increase")
if not (np.all(np.isfinite(counts)) and np.all(counts >= 0) and np.all(counts == np.round(counts))):
    raise ValueError(f"{in_path}: the counts are not non-negative integers")
if int(counts.sum()) != n_events:
    raise ValueError(f"{in_path}: the counts sum to {int(counts.sum())}, n_events is {n_events}")
if not (np.all(np.isfinite(signal)) and np.all(signal >= 0) and signal.sum() > 0):
    raise ValueError(f"{in_path}: the signal template is not a positive spectrum")
if abs(signal.sum() - signal_yield) > YIELD_TOLERANCE * signal_yield:
    raise ValueError(
        f"{in_path}: the signal template sums to {signal.sum():g}, signal.yield is {signal_yield:g}"
    )

# --- background models -------------------------------------------------------------
widths = np.diff(edges)
centres = 0.5 * (edges[1:] + edges[:-1])
range_centre = 0.5 * (edges[0] + edges[-1])
range_half_width = 0.5 * (edges[-1] - edges[0])

_nodes, _weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
quad_mass = centres[:, None] + 0.5 * widths[:, None] * _nodes[None, :]  # GeV, (bin, node)
quad_weight = 0.5 * widths[:, None] * _weights[None, :]  # GeV
quad_t = (quad_mass - range_centre) / range_half_width
centre_t = (centres - range_centre) / range_half_width


class Background:
    """Density in events per GeV: polynomial in t, or exp(polynomial in t)."""

    def __init__(self, kind, degree):
        if kind not in ("poly", "exp"):
            raise ValueError(f"unknown kind of background {kind!r}")
        self.kind = kind
        self.degree = degree
        self.names = [f"c{k}" for k in range(degree + 1)]
        self.powers = quad_t[:, :, None] ** np.arange(degree + 1)  # (bin, node, k)
        self.integrals = np.einsum("ij,ijk->ik", quad_weight, self.powers)  # (bin, k)
        terms = " + ".join(f"c{k} t^{k}" for k in range(degree + 1))
        self.formula = (
            f"events per GeV = {terms}" if kind == "poly" else f"events per GeV = exp({terms})"
        )

    def expected(self, coefficients):
        """Expected background events in each bin."""
        if self.kind == "poly":
            return self.integrals @ coefficients
        exponent = np.clip(self.powers @ coefficients, -EXPONENT_LIMIT, EXPONENT_LIMIT)
        return np.sum(quad_weight * np.exp(exponent), axis=1)

    def start(self, observed):
        """Start values [mu, c0, c1, ...] from linear least squares."""
        if self.kind == "poly":
            design = np.column_stack([signal, self.integrals])
            w = 1.0 / np.sqrt(np.maximum(observed, 1.0))
            return np.linalg.lstsq(design * w[:, None], observed * w, rcond=None)[0]
        design = centre_t[:, None] ** np.arange(self.degree + 1)
        target = np.log(np.maximum(observed, 0.5) / widths)
        w = np.sqrt(np.maximum(observed, 1.0))
        coefficients = np.linalg.lstsq(design * w[:, None], target * w, rcond=None)[0]
        return np.concatenate([[0.0], coefficients])


def minimise(observed, background, start, fix_mu):
    """Minimise -2 ln(L / L_saturated); with fix_mu, mu stays at its start value."""

    def cost(parameters):
        raw = background.expected(parameters[1:]) + parameters[0] * signal
        expected = np.maximum(raw, EXPECTATION_FLOOR)
        penalty = np.sum(((expected - raw) / EXPECTATION_FLOOR) ** 2)  # zero for raw >= floor
        deviance = 2.0 * np.sum(expected - observed + xlogy(observed, observed / expected))
        return deviance + penalty

    minuit = Minuit(cost, np.asarray(start, dtype=float), name=["mu"] + background.names)
    minuit.errordef = ERRORDEF
    minuit.strategy = STRATEGY
    minuit.tol = TOLERANCE
    minuit.limits["mu"] = MU_LIMITS
    minuit.fixed["mu"] = fix_mu
    minuit.migrad()
    minuit.hesse()
    return minuit


def is_valid(minuit, background):
    """Converged, and at a point where the likelihood is not the one with the floor."""
    values = np.array(minuit.values)
    b = background.expected(values[1:])
    total = b + values[0] * signal
    return bool(
        minuit.valid
        and np.isfinite(minuit.fval)
        and np.all(b > 0)
        and np.all(total > EXPECTATION_FLOOR)
    )


def finite_or_none(value):
    value = float(value)
    return value if math.isfinite(value) else None


def fit(label, kind, degree):
    """Free fit, fit with mu = 0 and Asimov fit of one background model."""
    background = Background(kind, degree)
    notes = []

    free = minimise(counts, background, background.start(counts), fix_mu=False)
    values = np.array(free.values)
    valid = is_valid(free, background)
    if not valid:
        notes.append("the fit with free mu did not converge to a valid minimum")

    # observed significance
    z_obs = p0 = None
    null_start = values.copy()
    null_start[0] = 0.0
    null = minimise(counts, background, null_start, fix_mu=True)
    null_valid = is_valid(null, background)
    if not null_valid:
        notes.append("the fit with mu = 0 did not converge to a valid minimum")
    q0 = null.fval - free.fval
    if valid and null_valid and q0 < -Q_TOLERANCE:
        valid = False
        notes.append("the fit with mu = 0 is better than the free fit: not the global minimum")
    if valid and null_valid:
        z_obs = math.copysign(math.sqrt(max(q0, 0.0)), values[0])
        if values[0] < 0 and not SIGNED_Z:
            z_obs = 0.0
        p0 = float(norm.sf(z_obs))

    # expected significance; the free fit to the Asimov data has the cost zero
    z_exp = None
    if valid:
        asimov = background.expected(values[1:]) + ASIMOV_MU * signal
        asimov_null = minimise(asimov, background, null_start, fix_mu=True)
        if is_valid(asimov_null, background):
            z_exp = math.sqrt(max(asimov_null.fval, 0.0))
        else:
            notes.append("the fit with mu = 0 to the Asimov data did not converge")

    covariance = correlation = None
    if free.covariance is not None:
        matrix = np.asarray(free.covariance, dtype=float)
        sigma = np.sqrt(np.diag(matrix))
        if np.all(np.isfinite(matrix)) and np.all(sigma > 0):
            covariance = matrix.tolist()
            correlation = (matrix / np.outer(sigma, sigma)).tolist()
    if covariance is None:
        valid = False
        z_obs = z_exp = p0 = None
        notes.append("there is no usable covariance matrix")

    parameters = {}
    for i, name in enumerate(free.parameters):
        low, high = MU_LIMITS if name == "mu" else (None, None)
        parameters[name] = {
            "value": finite_or_none(values[i]),
            "error": None if covariance is None else math.sqrt(covariance[i][i]),
            "limits": [low, high],
        }

    ndf = n_bins - len(values)
    if ndf <= 0:
        raise ValueError(f"{label}: {n_bins} bins do not suffice for {len(values)} parameters")
    result = {
        "valid": valid,
        "accurate": bool(free.accurate),
        "fmin": finite_or_none(free.fval),
        "parameters": parameters,
        "covariance": covariance,
        "correlation": correlation,
        "gof": {
            "chi2": finite_or_none(free.fval),
            "ndf": ndf,
            "p": finite_or_none(chi2_distribution.sf(free.fval, ndf)),
        },
        "n_events": n_events,
        "z_obs": z_obs,
        "z_exp": z_exp,
        "p0": p0,
        "background": background.formula,
        "notes": notes,
    }
    return result, background


# --- fit ---------------------------------------------------------------------------
nominal, nominal_background = fit("nominal", *NOMINAL)
alternatives = {name: fit(name, *model)[0] for name, model in ALTERNATIVES.items()}

output = dict(nominal)
output["alternatives"] = alternatives
output["conventions"] = {
    "fit_range_GeV": [float(edges[0]), float(edges[-1])],
    "n_bins": n_bins,
    "fmin": "-2 ln(likelihood / saturated likelihood), the same number as gof.chi2",
    "gof": GOF,
    "background_in_bin": BACKGROUND_IN_BIN,
    "background_variable": BACKGROUND_VARIABLE,
    "error": ERROR_DEFINITION,
    "significance": "asymptotic, negative for mu < 0" if SIGNED_Z else "asymptotic, 0 for mu < 0",
    "z_exp": f"Asimov data with mu = {ASIMOV_MU:g} and the background of the free fit",
    "signal_events_at_mu_1": float(signal.sum()),
}
with open(snakemake.output.fit, "w", encoding="utf-8") as out:
    json.dump(output, out, indent=2, allow_nan=False)
    out.write("\n")

# --- plot --------------------------------------------------------------------------
best = np.array([p["value"] for p in nominal["parameters"].values()], dtype=float)
b_fit = nominal_background.expected(best[1:])
total_fit = b_fit + best[0] * signal
alpha = 1.0 - DATA_CL
low = np.where(
    counts > 0, 0.5 * chi2_distribution.ppf(alpha / 2, 2 * np.maximum(counts, 1)), 0.0
)
high = 0.5 * chi2_distribution.ppf(1 - alpha / 2, 2 * (counts + 1))
data_error = np.vstack([counts - low, high - counts])


def with_error(name, digits=2):
    p = nominal["parameters"][name]
    if p["error"] is None:
        return f"{p['value']:.{digits}f} (no error)"
    return f"{p['value']:.{digits}f} ± {p['error']:.{digits}f}"


lines = [str(snakemake.params.plot_label)]
if nominal["valid"]:
    lines.append(rf"$\hat\mu$ = {with_error('mu')} (stat.)")
    if nominal["z_obs"] is not None:
        lines.append(rf"$Z_\mathrm{{obs}}$ = {nominal['z_obs']:.2f}")
    gof = nominal["gof"]
    lines.append(rf"$\chi^2$/ndf = {gof['chi2']:.1f}/{gof['ndf']}, p = {gof['p']:.2f}")
else:
    lines.append("FIT NOT VALID")

fig, (top, bottom) = plt.subplots(
    2, 1, sharex=True, figsize=(7, 7), height_ratios=[2, 1], layout="constrained"
)
top.errorbar(
    centres, counts, yerr=data_error, fmt="o", color="black", markersize=4, label="Data"
)
top.stairs(total_fit, edges, color="tab:red", label="Signal + background", linewidth=1.5)
top.stairs(
    b_fit, edges, color="tab:blue", linestyle="--", label="Background (cubic)", linewidth=1.5
)
uniform = np.allclose(widths, widths[0], rtol=1e-3)
top.set_ylabel(f"Events / {widths[0]:.3g} GeV" if uniform else "Events / bin")
top.set_ylim(bottom=0)
top.legend(loc="upper right", frameon=False)
top.text(0.04, 0.05, "\n".join(lines), transform=top.transAxes, va="bottom", ha="left")

bottom.axhline(0.0, color="tab:blue", linestyle="--", linewidth=1.5)
bottom.errorbar(centres, counts - b_fit, yerr=data_error, fmt="o", color="black", markersize=4)
bottom.stairs(
    best[0] * signal, edges, color="tab:red", linewidth=1.5, label=r"$\hat\mu$ × template"
)
bottom.set_xlabel(r"$m_{\gamma\gamma}$ [GeV]")
bottom.set_ylabel("Data − background")
bottom.set_xlim(edges[0], edges[-1])
bottom.legend(loc="upper right", frameon=False)
fig.savefig(snakemake.output.plot, format="png", dpi=150)
plt.close(fig)

# --- report ------------------------------------------------------------------------
print(
    f"{in_path}: {n_events} events in {n_bins} bins, {edges[0]:g} to {edges[-1]:g} GeV; "
    f"signal template {signal.sum():.2f} events at mu = 1"
)
for label, result in {"nominal (poly3)": nominal, **alternatives}.items():
    mu = result["parameters"]["mu"]
    error = "none" if mu["error"] is None else f"{mu['error']:.3f}"
    z_text = ", ".join(
        f"{key} " + ("none" if result[key] is None else f"{result[key]:.3f}")
        for key in ("z_obs", "z_exp")
    )
    print(
        f"{label:<16} valid {result['valid']}, accurate {result['accurate']}, "
        f"mu {mu['value']:.3f} +- {error}, {z_text}, "
        f"chi2/ndf {result['gof']['chi2']:.2f}/{result['gof']['ndf']}, p {result['gof']['p']:.3f}"
    )
    for note in result["notes"]:
        print(f"  WARNING: {note}")
