import json

import hist
import numpy as np
import pyarrow.parquet as pq
import uhi.io.json

N_BINS, LOW, HIGH = 55, 105.0, 160.0  # GeV, from the rule
COLUMNS = ["m_yy", "weight"]

histogram = hist.Hist(
    hist.axis.Regular(N_BINS, LOW, HIGH, name="m_yy", label="m_yy [GeV]", underflow=True, overflow=True),
    storage=hist.storage.Weight(),
)

for path in snakemake.input.samples:
    missing = set(COLUMNS) - set(pq.read_schema(path).names)
    if missing:
        raise KeyError(f"{path} has no columns {sorted(missing)}")
    table = pq.read_table(path, columns=COLUMNS)
    m_yy = table["m_yy"].to_numpy()
    weight = table["weight"].to_numpy()
    if not (np.isfinite(m_yy).all() and np.isfinite(weight).all()):
        raise ValueError(f"{path} has values that are not finite")
    histogram.fill(m_yy, weight=weight)
    print(f"{path}: {len(m_yy)} events, sum of weights {weight.sum():.6g}")

inside = histogram.sum()
everything = histogram.sum(flow=True)
print(f"in range: {inside.value:.6g} +- {np.sqrt(inside.variance):.3g}, with flow: {everything.value:.6g}")

with open(snakemake.output.histogram, "w", encoding="utf-8") as out:
    json.dump(histogram, out, default=uhi.io.json.default)
