import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq

RANGE = (105.0, 160.0)  # GeV
BIN_WIDTH = 2.5  # GeV

n_bins = round((RANGE[1] - RANGE[0]) / BIN_WIDTH)
edges = np.linspace(*RANGE, n_bins + 1)
centres = 0.5 * (edges[1:] + edges[:-1])


def histogram(path):
    """Sums of weights and of squared weights in bins of m_yy."""
    table = pq.read_table(path, columns=["m_yy", "weight"])
    m_yy, weight = table["m_yy"].to_numpy(), table["weight"].to_numpy()
    values, _ = np.histogram(m_yy, bins=edges, weights=weight)
    variances, _ = np.histogram(m_yy, bins=edges, weights=weight**2)
    return values, variances


data, data_variance = histogram(snakemake.input.data)
background, background_variance = histogram(snakemake.input.background)
signal, signal_variance = histogram(snakemake.input.signal)
simulation = background + signal
if (simulation <= 0).any():
    raise ValueError("there are bins without simulated events, a ratio cannot be drawn")

data_error = np.sqrt(data_variance)
simulation_error = np.sqrt(background_variance + signal_variance)
ratio, ratio_error = data / simulation, data_error / simulation
relative = simulation_error / simulation

fig, (top, bottom) = plt.subplots(2, 1, sharex=True, height_ratios=[3, 1], figsize=(7, 6), layout="constrained")
top.stairs(simulation, edges, fill=True, color="tab:red", label="Signal")
top.stairs(background, edges, fill=True, color="tab:blue", label="Background")
top.stairs(
    simulation + simulation_error, edges, baseline=simulation - simulation_error, fill=True, hatch="////",
    facecolor="none", edgecolor="grey", linewidth=0, label="Stat. error of simulation",
)  # fmt: skip
top.errorbar(centres, data, yerr=data_error, fmt="o", color="black", markersize=4, label="Data")
top.set_ylabel(f"Events / {BIN_WIDTH:g} GeV")
top.set_ylim(bottom=0, top=1.3 * max((data + data_error).max(), simulation.max()))
top.legend(frameon=False)
top.text(0.03, 0.95, str(snakemake.params.label), transform=top.transAxes, va="top")

bottom.stairs(1 + relative, edges, baseline=1 - relative, fill=True, hatch="////", facecolor="none", edgecolor="grey", linewidth=0)
bottom.axhline(1.0, color="grey", linewidth=1)
bottom.errorbar(centres, ratio, yerr=ratio_error, fmt="o", color="black", markersize=4)
bottom.set_xlabel(r"$m_{\gamma\gamma}$ [GeV]")
bottom.set_ylabel("Data / Sim.")
bottom.set_xlim(*RANGE)
bottom.set_ylim(0.5, 1.5)
fig.savefig(snakemake.output.plot, dpi=120)
plt.close(fig)


def drawn(counts, errors):
    return {"bin_edges": edges.tolist(), "counts": counts.tolist(), "errors": errors.tolist()}


numbers = {
    "data": drawn(data, data_error),
    "background": drawn(background, np.sqrt(background_variance)),
    "signal": drawn(signal, np.sqrt(signal_variance)),
    "simulation": drawn(simulation, simulation_error),
    "ratio": ratio.tolist(),
    "ratio_error": ratio_error.tolist(),
}
with open(snakemake.output.numbers, "w", encoding="utf-8") as out:
    json.dump(numbers, out, indent=2, allow_nan=False)

print(f"data {data.sum():g}, background {background.sum():.1f}, signal {signal.sum():.1f}")
