"""Tag and probe with a class whose results are computed on demand."""

import json
from functools import cached_property

import numpy as np
import pandas as pd


class TagAndProbe:
    def __init__(self, path, edges):
        pairs = pd.read_parquet(path)
        pairs[["probe_pt", "m_ee"]] = pairs[["probe_pt", "m_ee"]].astype("float64") / 1e3  # MeV -> GeV
        # opposite charges are different charges here: all are +1 or -1
        chosen = pairs[(pairs.tag_charge != pairs.probe_charge) & pairs.m_ee.between(81, 101, inclusive="neither")]
        self.bins = pd.cut(chosen.probe_pt, edges, right=False)
        self.chosen = chosen.assign(w2=chosen.weight**2, passing=chosen.weight.where(chosen.probe_is_tight, 0.0))
        self.n_read = len(pairs)

    @cached_property
    def sums(self):
        return self.chosen.groupby(self.bins, observed=False)[["weight", "w2", "passing"]].sum()

    @property
    def value(self):
        return (self.sums.passing / self.sums.weight).to_numpy()

    @property
    def error(self):
        effective = self.sums.weight**2 / self.sums.w2
        e = self.value.clip(0, 1)
        return np.sqrt(e * (1 - e) / effective.to_numpy())


edges = list(snakemake.params.pt_edges)
data, mc = TagAndProbe(snakemake.input.data, edges), TagAndProbe(snakemake.input.simulation, edges)
ratio = data.value / mc.value
relative = np.sqrt((data.error / data.value) ** 2 + (mc.error / mc.value) ** 2)
frame = pd.DataFrame(
    {
        "low": edges[:-1], "high": edges[1:], "efficiency_data": data.value, "error_data": data.error, "efficiency_mc": mc.value,
        "error_mc": mc.error, "scale_factor": ratio, "scale_factor_error": ratio * relative,
    }
)
with open(snakemake.output.efficiency, "w") as f:
    json.dump({"bins": frame.to_dict(orient="records")}, f, indent=2, allow_nan=False)
print(frame.round(4).to_string(), data.n_read, mc.n_read)
