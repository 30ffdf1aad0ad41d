"""Make a simulated signal, and pseudo-data in two categories: 600 signal events over a falling background."""

import json

import numpy as np

LOW, HIGH = 105.0, 160.0


def peak(rng, number, width):
    """Draw from a Gaussian at 125 with power-law tails from 1.5 widths below it and from 1.8 above it."""
    x = np.linspace(LOW, HIGH, 50_001)
    t = (x - 125.0) / width
    logs = -0.5 * t**2
    for side, alpha, power in ((-1, 1.5, 5.0), (1, 1.8, 8.0)):
        tail = side * t > alpha
        logs[tail] = -0.5 * alpha**2 - power * np.log1p(alpha / power * (side * t[tail] - alpha))
    sums = np.cumsum(np.exp(logs))
    return np.interp(rng.random(number) * sums[-1], sums, x)


def falling(rng, number, slope):
    """Draw from exp(slope x) between LOW and HIGH."""
    share = rng.random(number) * np.expm1(slope * (HIGH - LOW))
    return LOW + np.log1p(share) / slope


rng = np.random.default_rng(snakemake.params.seed)
width = {0: 1.4, 1: 2.2}
category = rng.integers(0, 2, 20_000)
mass = np.where(category == 0, peak(rng, 20_000, width[0]), peak(rng, 20_000, width[1]))
weight = rng.choice([0.012, 0.018], 20_000)
np.savez(snakemake.output.simulation, m_yy=mass, weight=weight, category=category)

parts = [peak(rng, 300, width[0]), peak(rng, 300, width[1]), falling(rng, 3000, -0.03), falling(rng, 9000, -0.02)]
labels = [np.full(len(part), kind) for part, kind in zip(parts, (0, 1, 0, 1))]
order = rng.permutation(sum(map(len, parts)))
np.savez(snakemake.output.data, m_yy=np.concatenate(parts)[order], category=np.concatenate(labels)[order])

edges = np.linspace(LOW, HIGH, 56)
counts = np.histogram(np.concatenate(parts), edges)[0]
signal = np.histogram(mass, edges, weights=weight)[0]
spectrum = {
    "quantity": "m_yy",
    "bin_edges": edges.tolist(),
    "counts": counts.tolist(),
    "signal": {"expected_counts": signal.tolist()},
}
with open(snakemake.output.spectrum, "w", encoding="utf-8") as file:
    json.dump(spectrum, file)
