import json
import os

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.metrics import roc_auc_score, roc_curve

SIGNAL_WINDOW = (120.0, 130.0)  # GeV, from the rule; both limits belong to the window
N_FOLDS = 5  # from the rule
N_ROUNDS = 200
MAX_DEPTH = 3
LEARNING_RATE = 0.1
MIN_CHILD_WEIGHT = 20.0
SUBSAMPLE = 0.8
REG_LAMBDA = 1.0
SEED = 12345
SCORE_BINS = 40

# Energies are in GeV: m_yy of the signal is near 125. m_yy enters only as the divisor of pt_yy.
RATIO = "pt_yy_over_m"
COPIED = [
    "pt1_over_m", "pt2_over_m", "eta1", "eta2", "delta_eta", "cos_theta_star", "n_jets",
    "jet1_pt", "jet2_pt", "m_jj", "delta_eta_jj", "met",
]  # fmt: skip
FEATURES = [RATIO, *COPIED]
COLUMNS = ["event_number", "weight", "m_yy", "pt_yy", *COPIED]


def read(path):
    table = pd.read_parquet(path, columns=COLUMNS)  # fails if a column is missing
    if table["event_number"].dtype.kind not in "iu":
        raise ValueError(f"{path}: event_number is not an integer")
    # xgboost would take NaN as missing without a word
    bad = [name for name in COLUMNS if not np.isfinite(table[name].to_numpy()).all()]
    if bad:
        raise ValueError(f"{path}: values in {bad} are not finite")
    return table


def features(table):
    columns = [table["pt_yy"] / table["m_yy"], *(table[name] for name in COPIED)]
    return np.column_stack([column.to_numpy(dtype=np.float64) for column in columns])


def fold_of(table):
    return (table["event_number"].to_numpy() % N_FOLDS).astype(int)


signal_paths = snakemake.input.signal
signal_paths = [signal_paths] if isinstance(signal_paths, str) else list(signal_paths)
parts = []
for path in signal_paths:
    part = read(path)
    part["sample"] = os.path.splitext(os.path.basename(path))[0]
    parts.append(part)
signal = pd.concat(parts, ignore_index=True)
data = read(snakemake.input.data)

m_data = data["m_yy"].to_numpy()
sideband = (m_data < SIGNAL_WINDOW[0]) | (m_data > SIGNAL_WINDOW[1])

x_signal, x_data = features(signal), features(data)
w_signal = np.abs(signal["weight"].to_numpy(dtype=np.float64))
w_data = np.abs(data["weight"].to_numpy(dtype=np.float64))
fold_signal, fold_data = fold_of(signal), fold_of(data)

# What is learnt from: all signal and the sidebands of the data.
x = np.concatenate([x_signal, x_data[sideband]])
y = np.concatenate([np.ones(len(x_signal)), np.zeros(int(sideband.sum()))])
w = np.concatenate([w_signal, w_data[sideband]])
fold = np.concatenate([fold_signal, fold_data[sideband]])

parameters = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": MAX_DEPTH,
    "eta": LEARNING_RATE,
    "min_child_weight": MIN_CHILD_WEIGHT,
    "subsample": SUBSAMPLE,
    "lambda": REG_LAMBDA,
    "seed": SEED,
    "nthread": int(snakemake.threads),
}

score_signal = np.full(len(x_signal), np.nan)
score_data = np.full(len(x_data), np.nan)
gain = dict.fromkeys(FEATURES, 0.0)
for k in range(N_FOLDS):
    train = fold != k
    y_train, w_train = y[train], w[train].copy()
    for label in (0, 1):
        chosen = y_train == label
        total = w_train[chosen].sum()
        if not total > 0 or not ((fold == k) & (y == label)).any():
            raise ValueError(f"fold {k}: class {label} has no events to learn from or none to test with")
        w_train[chosen] *= 0.5 * len(y_train) / total
    matrix = xgb.DMatrix(
        x[train], label=y_train, weight=w_train, feature_names=FEATURES, nthread=int(snakemake.threads)
    )
    booster = xgb.train(parameters, matrix, num_boost_round=N_ROUNDS)
    # Data inside of the window are scored by the same rule, although no classifier has learnt from them.
    for scores, values, folds in ((score_signal, x_signal, fold_signal), (score_data, x_data, fold_data)):
        test = folds == k
        if test.any():
            scores[test] = booster.predict(
                xgb.DMatrix(values[test], feature_names=FEATURES, nthread=int(snakemake.threads))
            )
    for name, value in booster.get_score(importance_type="total_gain").items():
        gain[name] += float(value)

if not (np.isfinite(score_signal).all() and np.isfinite(score_data).all()):
    raise RuntimeError("some events have no score")
total_gain = sum(gain.values())
if not total_gain > 0:
    raise RuntimeError("the classifiers have learnt nothing: no tree has a split")

score = np.concatenate([score_signal, score_data[sideband]])
auc = float(roc_auc_score(y, score, sample_weight=w))
auc_per_fold = [
    float(roc_auc_score(y[fold == k], score[fold == k], sample_weight=w[fold == k])) for k in range(N_FOLDS)
]
metrics = {
    "auc": auc,
    "auc_per_fold": auc_per_fold,
    "n_signal": len(signal),
    "n_sidebands": int(sideband.sum()),
    "importance": {name: value / total_gain for name, value in gain.items()},
}

signal["score"] = score_signal
data["score"] = score_data
signal[["event_number", "weight", "m_yy", "score", "sample"]].to_parquet(snakemake.output.signal, index=False)
data[["event_number", "weight", "m_yy", "score"]].to_parquet(snakemake.output.data, index=False)
with open(snakemake.output.metrics, "w", encoding="utf-8") as out:
    json.dump(metrics, out, indent=2, allow_nan=False)
    out.write("\n")

# Plot
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 5.5))
fpr, tpr, _ = roc_curve(y, score, sample_weight=w)
left.plot(fpr, tpr, label=f"all folds, AUC = {auc:.4f}")
left.plot([0, 1], [0, 1], linestyle="--", color="grey", label="no separation")
left.set_xlabel("share of the sidebands above a score")
left.set_ylabel("share of the signal above a score")
left.set_xlim(0, 1)
left.set_ylim(0, 1)
left.legend(loc="lower right")

edges = np.linspace(0.0, 1.0, SCORE_BINS + 1)
width = edges[1] - edges[0]
for values, weights, label in (
    (score_signal, w_signal, "signal (simulated)"),
    (score_data[sideband], w_data[sideband], "sidebands of the data"),
):
    counts, _ = np.histogram(values, bins=edges, weights=weights)
    right.stairs(counts / (counts.sum() * width), edges, label=label, linewidth=1.5)
counts, _ = np.histogram(score_data, bins=edges, weights=w_data)
squares, _ = np.histogram(score_data, bins=edges, weights=w_data**2)
scale = 1 / (counts.sum() * width)
right.errorbar(
    (edges[:-1] + edges[1:]) / 2, counts * scale, yerr=np.sqrt(squares) * scale,
    fmt="o", color="black", markersize=3, label="all data",
)  # fmt: skip
right.set_xlabel("score")
right.set_ylabel("density (area = 1)")
right.set_xlim(0, 1)
right.set_ylim(bottom=0)
right.legend(loc="upper right", title=f"sidebands: outside {SIGNAL_WINDOW[0]:g} to {SIGNAL_WINDOW[1]:g} GeV")
fig.suptitle(str(snakemake.params.plot_label), parse_math=False)
fig.tight_layout()
fig.savefig(snakemake.output.plot, dpi=150)
plt.close(fig)

best = sorted(metrics["importance"].items(), key=lambda item: -item[1])[:5]
lines = [
    *(
        f"{name}: {int(chosen.sum())} events, sum of weights {signal['weight'][chosen].sum():.6g}"
        for name in signal["sample"].unique()
        for chosen in [(signal["sample"] == name).to_numpy()]
    ),
    f"data: {len(data)} events, {int(sideband.sum())} of them in the sidebands",
    f"AUC {auc:.4f}, per fold " + ", ".join(f"{value:.4f}" for value in auc_per_fold),
    f"mean score: signal {np.average(score_signal, weights=w_signal):.3f}, "
    f"sidebands {np.average(score_data[sideband], weights=w_data[sideband]):.3f}",
    "largest shares of the gain: " + ", ".join(f"{name} {share:.3f}" for name, share in best),
]
text = "\n".join(lines)
print(text)
if len(snakemake.log) > 0:
    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        log.write(text + "\n")
