"""Divide events into categories of their score, greedily, for the greatest expected significance.

All numbers of a category follow from sums over its events: the signal in the window, the number of data events in the
sidebands, and the mean of their m_yy, which is all that the likelihood of an exponential depends on. So the events are
sorted once into the fine bins between all candidate boundaries, and each category is a sum of neighbouring fine bins.
m_yy is in GeV, as the rule states. Data strictly between 120 and 130 GeV are dropped as soon as they are read.
"""

import functools
import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import brentq

SIDEBANDS = ((105.0, 120.0), (130.0, 160.0))  # GeV, ends included
WINDOW = (122.0, 128.0)  # GeV, ends not included
QUANTILES = np.arange(1, 100) / 100.0
MIN_SIDEBANDS = 10  # data events in the sidebands of each category
MIN_GAIN = 0.05  # relative gain of a boundary
MAX_SLOPE = 20.0  # 1/GeV, bracket of the exponential's slope
DATA_WEIGHT_TOLERANCE = 1e-9
N_PLOT_BINS = 50

CENTRE = 0.5 * (SIDEBANDS[0][0] + SIDEBANDS[-1][1])  # GeV, m_yy is counted from here for numerical stability

lines = []


def say(text):
    print(text)
    lines.append(text)


def read(path):
    columns = ("score", "m_yy", "weight")
    names = pq.read_schema(path).names
    for name in columns:
        if name not in names:
            raise KeyError(f"{path} has no column {name!r}, only {names}")
    table = pq.read_table(path, columns=list(columns))
    arrays = []
    for name in columns:
        values = table[name].to_numpy().astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"{path}: column {name!r} has values that are missing or not finite")
        arrays.append(values)
    score = arrays[0]
    if score.size == 0:
        raise ValueError(f"{path} has no events")
    if score.min() < 0.0 or score.max() > 1.0:
        raise ValueError(f"{path}: scores from {score.min():g} to {score.max():g}, not within 0 to 1")
    return arrays


# ---- the exponential on the sidebands


def sinhc(z):
    return np.sinh(z) / z if abs(z) > 1e-6 else 1.0


def langevin(z):
    """Mean of exp(z u) on -1 < u < 1."""
    return 1.0 / np.tanh(z) - 1.0 / z if abs(z) > 1e-2 else z / 3.0 - z**3 / 45.0 + 2.0 * z**5 / 945.0


def integral(slope, low, high):
    """Integral of exp(slope (m - CENTRE)) from low to high."""
    middle, half = 0.5 * (low + high) - CENTRE, 0.5 * (high - low)
    return np.exp(slope * middle) * 2.0 * half * sinhc(slope * half)


def model_mean(slope):
    """Mean of m - CENTRE of an exponential that is normalised over the sidebands; increases with the slope."""
    norm = moment = 0.0
    for low, high in SIDEBANDS:
        part = integral(slope, low, high)
        half = 0.5 * (high - low)
        norm += part
        moment += part * (0.5 * (low + high) - CENTRE + half * langevin(slope * half))
    return moment / norm


def fit_slope(mean):
    """Slope of greatest likelihood: d/dslope of sum(slope (m - CENTRE)) - n log(norm) is n (mean - model_mean)."""
    if not model_mean(-MAX_SLOPE) < mean < model_mean(MAX_SLOPE):
        raise RuntimeError(f"no exponential with a mean of {mean + CENTRE:g} GeV within +-{MAX_SLOPE:g} / GeV")
    slope, status = brentq(lambda k: model_mean(k) - mean, -MAX_SLOPE, MAX_SLOPE, xtol=1e-12, full_output=True)
    if not status.converged:
        raise RuntimeError(f"the fit of an exponential with a mean of {mean + CENTRE:g} GeV did not converge")
    return slope


def significance(s, b):
    if s <= 0.0:
        return 0.0
    return float(np.sqrt(max(0.0, 2.0 * ((s + b) * np.log1p(s / b) - s))))


# ---- inputs

signal_score, signal_m, signal_weight = read(snakemake.input.signal)

data_score, data_m, data_weight = read(snakemake.input.data)
n_data = data_score.size
in_sidebands = np.zeros(n_data, dtype=bool)
for low, high in SIDEBANDS:
    in_sidebands |= (data_m >= low) & (data_m <= high)
data_score, data_m, data_weight = data_score[in_sidebands], data_m[in_sidebands], data_weight[in_sidebands]
if data_m.size < MIN_SIDEBANDS:
    raise ValueError(f"only {data_m.size} data events in the sidebands, at least {MIN_SIDEBANDS} are needed")
if np.max(np.abs(data_weight - 1.0)) > DATA_WEIGHT_TOLERANCE:
    raise ValueError("the data have weights other than 1; this script counts events")

max_categories = int(snakemake.params.max_categories)
if max_categories < 1:
    raise ValueError(f"max_categories is {max_categories}, it must be at least 1")

# ---- candidates: weighted quantiles of the signal's score

order = np.argsort(signal_score, kind="stable")
# the running maximum finds where a fraction is reached first, also if some weights are negative
cumulative = np.maximum.accumulate(np.cumsum(signal_weight[order]))
total_weight = float(np.sum(signal_weight))
if total_weight <= 0.0:
    raise ValueError(f"the sum of the signal weights is {total_weight:g}, it must be positive")
positions = np.searchsorted(cumulative, QUANTILES * total_weight, side="left")
candidates = np.unique(signal_score[order][np.minimum(positions, order.size - 1)])
candidates = candidates[(candidates > 0.0) & (candidates < 1.0)]
edges = np.concatenate([[0.0], candidates, [1.0]])
n_fine = edges.size - 1


def fine_bin(score):
    """Bin with edges[i] <= score < edges[i + 1]; a score of 1 belongs to the last one."""
    return np.minimum(np.searchsorted(edges, score, side="right") - 1, n_fine - 1)


in_window = (signal_m > WINDOW[0]) & (signal_m < WINDOW[1])
fine_signal = np.bincount(fine_bin(signal_score[in_window]), weights=signal_weight[in_window], minlength=n_fine)
data_bin = fine_bin(data_score)
fine_count = np.bincount(data_bin, minlength=n_fine)
fine_sum = np.bincount(data_bin, weights=data_m - CENTRE, minlength=n_fine)

say(f"signal: {signal_score.size} events, {float(np.sum(fine_signal)):.4g} expected in {WINDOW[0]:g} to {WINDOW[1]:g} GeV")
say(f"data: {n_data} events, {data_m.size} of them in the sidebands, the others are not used")
say(f"{candidates.size} candidate boundaries from {candidates.min():.4f} to {candidates.max():.4f}" if candidates.size
    else "no candidate boundaries")


@functools.lru_cache(maxsize=None)
def category(first, last):
    """The category from edges[first] to edges[last], or None if it has too few data events."""
    n = int(fine_count[first:last].sum())
    if n < MIN_SIDEBANDS:
        return None
    s = float(fine_signal[first:last].sum())
    slope = fit_slope(float(fine_sum[first:last].sum()) / n)
    norm = sum(integral(slope, low, high) for low, high in SIDEBANDS)
    b = float(n * integral(slope, *WINDOW) / norm)
    return {"signal": s, "background": b, "n_sidebands": n, "z_exp": significance(s, b), "slope": slope}


def combined(taken):
    """Total significance with the boundaries edges[i] for i in taken, or None if a category is not allowed."""
    parts = [category(first, last) for first, last in zip(taken[:-1], taken[1:])]
    if any(part is None for part in parts):
        return None
    return float(np.sqrt(sum(part["z_exp"] ** 2 for part in parts)))


# ---- greedy search

taken = [0, n_fine]
z_inclusive = combined(taken)
if z_inclusive <= 0.0:
    raise ValueError("no expected signal in the window, there is nothing to optimise")
say(f"1 category: z_exp {z_inclusive:.4f}")

z_total = z_inclusive
history = []
rejected = None  # total with the best boundary that gained too little
while True:
    if len(taken) - 1 >= max_categories:
        say(f"stop: max_categories = {max_categories} reached")
        break
    best, best_z = None, -1.0
    for i in range(1, n_fine):
        if i in taken:
            continue
        z = combined(sorted([*taken, i]))
        if z is not None and z > best_z:
            best, best_z = i, z
    if best is None:
        say(f"stop: no boundary leaves {MIN_SIDEBANDS} data events in the sidebands of each category")
        break
    gain = best_z / z_total - 1.0
    if gain < MIN_GAIN:
        rejected = best_z
        say(f"stop: the best boundary {edges[best]:.4f} gains {100 * gain:.2f} per cent only")
        break
    taken = sorted([*taken, best])
    z_total = best_z
    history.append({"boundary": float(edges[best]), "z_exp": z_total})
    say(f"{len(taken) - 1} categories: boundary {edges[best]:.4f}, z_exp {z_total:.4f} (+{100 * gain:.1f} per cent)")

# ---- outputs

keys = ("signal", "background", "n_sidebands", "z_exp")
categories = []
for first, last in zip(taken[:-1], taken[1:]):
    found = category(first, last)
    categories.append({"low": float(edges[first]), "high": float(edges[last]), **{key: found[key] for key in keys}})
    say(
        f"  {edges[first]:.4f} to {edges[last]:.4f}: signal {found['signal']:.3f}, background {found['background']:.2f}, "
        f"sidebands {found['n_sidebands']}, slope {found['slope']:.4f} / GeV, z_exp {found['z_exp']:.4f}"
    )

result = {
    "boundaries": [float(edges[i]) for i in taken],
    "categories": categories,
    "z_exp": z_total,
    "z_exp_inclusive": z_inclusive,
    "history": history,
}
with open(snakemake.output.categories, "w", encoding="utf-8") as file:
    json.dump(result, file, indent=2, allow_nan=False)

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5))
bins = np.linspace(0.0, 1.0, N_PLOT_BINS + 1)
for score, weight, label, colour in (
    (signal_score, signal_weight, "signal (simulated, weighted)", "tab:red"),
    (data_score, data_weight, "data in the sidebands", "black"),
):
    left.hist(score, bins=bins, weights=weight, density=True, histtype="step", color=colour, label=label)
for number, i in enumerate(taken[1:-1]):
    left.axvline(edges[i], color="tab:blue", linestyle="--", label="boundaries" if number == 0 else None)
left.set_xlim(0.0, 1.0)
left.set_ylim(top=1.25 * left.get_ylim()[1])
left.set_xlabel("score")
left.set_ylabel("density (unit area)")
left.legend(loc="upper right", frameon=False)

totals = [z_inclusive, *(step["z_exp"] for step in history)]
right.plot(range(1, len(totals) + 1), totals, "o-", color="tab:blue", label="greedy choice")
if rejected is not None:
    right.plot(
        [len(totals) + 1], [rejected], "o", color="tab:blue", fillstyle="none",
        label=f"best next, gains less than {100 * MIN_GAIN:g} %",
    )
right.set_xticks(range(1, len(totals) + 1 + (rejected is not None)))
right.set_ylim(0.0, 1.2 * max([*totals, rejected or 0.0]))
right.set_xlabel("number of categories")
right.set_ylabel("expected significance (all categories)")
right.legend(loc="lower right", frameon=False)
figure.suptitle(str(snakemake.params.plot_label))
figure.tight_layout()
figure.savefig(snakemake.output.plot, dpi=150)
plt.close(figure)

if snakemake.log:
    with open(snakemake.log[0], "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
