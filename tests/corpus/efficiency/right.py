import json

import numpy as np
import pyarrow.parquet as pq

MEV = 1e-3  # GeV, probe_pt and m_ee are in MeV (stated by the rule)
MASS_WINDOW = (81.0, 101.0)  # GeV, ends excluded
COLUMNS = ["tag_charge", "probe_charge", "probe_pt", "probe_is_tight", "m_ee", "weight"]

edges = np.array([float(edge) for edge in snakemake.params.pt_edges])
if len(edges) < 2 or (np.diff(edges) <= 0).any():
    raise ValueError(f"pt_edges have to increase: {edges}")


def efficiencies(path):
    """Efficiency and its binomial error in each bin of pT."""
    missing = set(COLUMNS) - set(pq.read_schema(path).names)
    if missing:
        raise KeyError(f"{path} has no columns {sorted(missing)}")
    table = pq.read_table(path, columns=COLUMNS)
    pairs = {name: table[name].to_numpy() for name in COLUMNS}
    m_ee = pairs["m_ee"].astype(float) * MEV
    opposite = pairs["tag_charge"].astype(int) * pairs["probe_charge"].astype(int) < 0
    selected = opposite & (m_ee > MASS_WINDOW[0]) & (m_ee < MASS_WINDOW[1])
    pt = pairs["probe_pt"].astype(float)[selected] * MEV
    weight = pairs["weight"][selected]
    tight = pairs["probe_is_tight"][selected].astype(bool)

    total, _ = np.histogram(pt, bins=edges, weights=weight)
    total_w2, _ = np.histogram(pt, bins=edges, weights=weight**2)
    passed, _ = np.histogram(pt[tight], bins=edges, weights=weight[tight])
    if (total <= 0).any():
        raise ValueError(f"{path}: there are bins without probes")
    efficiency = passed / total
    effective = total**2 / total_w2
    inside = np.clip(efficiency, 0.0, 1.0)  # negative weights can carry it a little outside
    error = np.sqrt(inside * (1.0 - inside) / effective)
    print(f"{path}: {len(m_ee)} pairs, {int(selected.sum())} selected")
    return efficiency, error


data, data_error = efficiencies(snakemake.input.data)
mc, mc_error = efficiencies(snakemake.input.simulation)
scale_factor = data / mc
scale_factor_error = scale_factor * np.hypot(data_error / data, mc_error / mc)

bins = [
    {
        "low": float(edges[i]),
        "high": float(edges[i + 1]),
        "efficiency_data": float(data[i]),
        "error_data": float(data_error[i]),
        "efficiency_mc": float(mc[i]),
        "error_mc": float(mc_error[i]),
        "scale_factor": float(scale_factor[i]),
        "scale_factor_error": float(scale_factor_error[i]),
    }
    for i in range(len(edges) - 1)
]
with open(snakemake.output.efficiency, "w", encoding="utf-8") as out:
    json.dump({"bins": bins}, out, indent=2, allow_nan=False)

for row in bins:
    print(
        f"{row['low']:g} to {row['high']:g} GeV: data {row['efficiency_data']:.3f}, simulation {row['efficiency_mc']:.3f}, "
        f"scale factor {row['scale_factor']:.3f} +- {row['scale_factor_error']:.3f}"
    )
