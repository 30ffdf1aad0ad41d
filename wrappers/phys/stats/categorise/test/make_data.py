"""Toy scores: signal at high scores with a peak at 125 GeV, background falling in score and mass."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

random = np.random.default_rng(3)
signal, background, data = 4000, 20000, 15000
falling = [105 - 40 * np.log1p(-random.uniform(0, 1 - np.exp(-55 / 40), size)) for size in (background, data)]
tables = {
    "signal": (random.beta(4, 1.5, signal), random.normal(125, 1.7, signal), np.full(signal, 0.015)),
    "background": (random.beta(1.5, 3, background), falling[0], np.full(background, data / background)),
    "data": (random.beta(1.5, 3, data), falling[1], np.ones(data)),
}
for name, (score, mass, weight) in tables.items():
    table = pa.table({"score": score, "m_yy": mass, "weight": weight, "event_number": np.arange(len(score))})
    pq.write_table(table, snakemake.output[name])
