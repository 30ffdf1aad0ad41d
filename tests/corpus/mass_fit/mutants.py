from __future__ import annotations

from tests.corpus.problems import Mutant

INVENTED = '''\
"""Extended unbinned fit of m_yy."""

import json

import numpy as np
import pyarrow.parquet as pq
from iminuit import Minuit, cost
from iminuit.cost import ExtendedUnbinnedNLL
from scipy.special import gammaincc
from scipy.stats import norm

FIT_RANGE = (105.0, 160.0)  # GeV
SEED = 42

table = pq.read_table(snakemake.input.data)
simulated = pq.read_table(snakemake.input.signal)
n_total = table.num_rows

# Mass spectrum with the expected composition
rng = np.random.default_rng(SEED)
n_sig = int(0.04 * n_total)
mass = np.concatenate([rng.normal(125.0, 1.9, n_sig), 105.0 + rng.exponential(40.0, n_total - n_sig)])
mass = mass[(mass > FIT_RANGE[0]) & (mass < FIT_RANGE[1])]
m, w = simulated["m_yy"].to_numpy(), simulated["weight"].to_numpy()
centre = np.average(m, weights=w)
sigma = float(np.sqrt(np.average((m - centre) ** 2, weights=w)))


def background(x, slope, cumulative=False):
    low, high = FIT_RANGE
    if cumulative:
        return np.expm1(slope * (x - low)) / np.expm1(slope * (high - low))
    return slope * np.exp(slope * (x - low)) / np.expm1(slope * (high - low))


def density(x, n_signal, n_background, mean, slope):
    return n_signal + n_background, n_signal * norm.pdf(x, mean, sigma) + n_background * background(x, slope)


fit = Minuit(
    ExtendedUnbinnedNLL(mass, density), n_signal=500, n_background=len(mass) - 500, mean=125.0, slope=-0.02
)
fit.limits["mean"] = (120.0, 130.0)
fit.migrad()
fit.hesse()
edges = np.linspace(*FIT_RANGE, 56)
counts, _ = np.histogram(mass, edges)
v = fit.values
expected = v["n_signal"] * np.diff(norm.cdf(edges, v["mean"], sigma)) + v["n_background"] * np.diff(
    background(edges, v["slope"], True)
)
chi2, ndf = float(((counts - expected) ** 2 / expected).sum()), len(counts) - 4
covariance = np.array(fit.covariance)
errors = np.sqrt(np.diag(covariance))
limits = {"mean": [120.0, 130.0]}
result = {
    "valid": bool(fit.valid),
    "accurate": bool(fit.accurate),
    "fmin": float(fit.fval),
    "parameters": {
        name: {"value": v[name], "error": float(error), "limits": limits.get(name, [None, None])}
        for name, error in zip(fit.parameters, errors)
    },
    "fixed_parameters": {"sigma": sigma},
    "covariance": covariance.tolist(),
    "correlation": (covariance / np.outer(errors, errors)).tolist(),
    "gof": {"chi2": chi2, "ndf": ndf, "p": float(gammaincc(ndf / 2, chi2 / 2))},
    "n_events": len(mass),
}
with open(snakemake.output.fit, "w") as out:
    json.dump(result, out, indent=2)
print(f"{len(mass)} events, n_signal {v['n_signal']:.0f}")
'''

MUTANTS = (
    Mutant(
        name="unweighted_width",
        kind="weights ignored",
        source="LLM4HEP: weights ignored; data.md section 6",
        changes=(
            ("signal_mean = (signal_weight * signal_mass).sum() / total_weight", "signal_mean = signal_mass.mean()"),
            (
                "sigma = float(np.sqrt((signal_weight * (signal_mass - signal_mean) ** 2).sum() / total_weight))",
                "sigma = float(np.sqrt(((signal_mass - signal_mean) ** 2).mean()))",
            ),
        ),
    ),
    Mutant(
        name="valid_by_hand",
        kind="fit not converged, reported valid",
        source="JFC's list, hep-data-llm report with mu at its bound",
        changes=(
            ("minuit.migrad()", "minuit.migrad(ncall=12, iterate=1)"),
            ("valid = bool(minuit.valid) and positive and not near_limit", "valid = True"),
            ('"accurate": bool(minuit.accurate)', '"accurate": True'),
        ),
    ),
    Mutant(
        name="at_limit",
        kind="parameter at its limit",
        source="data.md section 2: sigma pinned at its limit in the C++ notebook of 2025",
        changes=(
            ("MEAN_LIMITS = (120.0, 130.0)", "MEAN_LIMITS = (126.5, 130.0)"),
            ("START_MEAN = 125.0", "START_MEAN = 127.0"),
            ("valid = bool(minuit.valid) and positive and not near_limit", "valid = bool(minuit.valid) and positive"),
        ),
    ),
    Mutant(
        name="covariance_unchecked",
        kind="covariance not checked",
        source="JFC's list: covariance positive definite and accurate",
        changes=(
            ("minuit.strategy = 2\n", "minuit.strategy = 0\n"),
            ("minuit.migrad()\nminuit.hesse()", "minuit.migrad()"),
            ('"accurate": bool(minuit.accurate)', '"accurate": True'),
        ),
    ),
    Mutant(
        name="chi2_divided_twice",
        kind="chi2 without ndf",
        source="JFC's list: chi2/ndf far below 1 taken for success",
        changes=(
            (
                '"gof": {"chi2": chi2, "ndf": ndf, "p": p_value}',
                '"gof": {"chi2": chi2 / ndf, "ndf": ndf, "p": p_value}',
            ),
        ),
    ),
    Mutant(
        name="error_definition",
        kind="error too small",
        source="experience: factor 2 of -2 ln L with errordef 0.5",
        changes=(
            (
                "return n_signal + n_background - np.log(np.maximum(density, 1e-300)).sum()",
                "return 2.0 * (n_signal + n_background - np.log(np.maximum(density, 1e-300)).sum())",
            ),
        ),
    ),
    Mutant(
        name="width_from_memory",
        kind="hard-coded result",
        source="PandasAI 139, Collider-Bench: numbers from memory in the place of the input",
        changes=(
            (
                "sigma = float(np.sqrt((signal_weight * (signal_mass - signal_mean) ** 2).sum() / total_weight))",
                "sigma = 1.68  # GeV, detector resolution",
            ),
        ),
    ),
    Mutant(
        name="known_mass",
        kind="hard-coded result",
        source="Collider-Bench: fabricated results; copied published number",
        changes=(
            (
                '            "value": float(minuit.values[name]),',
                '            "value": 125.09 if name == "mean" else float(minuit.values[name]),',
            ),
        ),
    ),
    Mutant(name="invented", kind="invented data", source="PandasAI 139; paper's dummy data created", text=INVENTED),
    Mutant(
        name="first_events",
        kind="first chunk only",
        source="data.md section 6.6: prints 36.6M while running 10 %",
        changes=(
            (
                '    mass = table["m_yy"].to_numpy().astype(float)\n',
                '    table = table.slice(0, 5000)  # enough to find the shape\n    mass = table["m_yy"].to_numpy().astype(float)\n',
            ),
        ),
    ),
    Mutant(
        name="smeared",
        kind="random smearing",
        source="experience: a resolution applied to what has one already",
        changes=(
            (
                "mass, data_weight = read(snakemake.input.data)\n",
                "mass, data_weight = read(snakemake.input.data)\n"
                "mass = np.random.default_rng(1).normal(mass, 0.01 * mass)  # energy resolution\n"
                "mass = np.clip(mass, LOW, HIGH)\n",
            ),
        ),
    ),
    Mutant(
        name="no_uncertainty_of_bins",
        kind="wrong errors",
        source="experience: chi2 of residuals over their own scatter",
        changes=(
            (
                "chi2 = float(((observed - expected)[used] ** 2 / expected[used]).sum())",
                "chi2 = float(((observed - expected)[used] ** 2 / (observed - expected)[used].var()).sum())",
            ),
        ),
    ),
)
