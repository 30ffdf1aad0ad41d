"""Write a small toy: data, a falling background and a peak at 125 GeV, with weights and variations."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

random = np.random.default_rng(1)


def events(mass: np.ndarray) -> dict[str, np.ndarray]:
    """Return columns for events of given masses (GeV)."""
    n = len(mass)
    weight = random.normal(0.5, 0.2, n)
    return {
        "m_yy": mass,
        "pt_yy": random.exponential(40.0, n),
        "m_yy_up": mass * 1.004,
        "m_yy_down": mass * 0.996,
        "weight": weight,
        "pileup": np.ones(n),
        "pileup_up": random.normal(1.05, 0.02, n),
    }


background = 105 + random.exponential(40.0, 4000)
pq.write_table(pa.table({"m_yy": background[:900], "pt_yy": random.exponential(40.0, 900)}), snakemake.output.data)
with uproot.recreate(snakemake.output.background) as file:
    file["events"] = events(background[900:])
pq.write_table(pa.table(events(random.normal(125, 1.7, 500))), snakemake.output.signal)
