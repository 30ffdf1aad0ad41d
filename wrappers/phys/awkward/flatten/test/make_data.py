"""Write 2000 events with photons, leptons and jets, as phys/opendata/normalise does, to a Parquet file."""

import awkward as ak
import numpy as np

random = np.random.default_rng(5)
EVENTS = 2000
columns = {
    "event_number": np.arange(EVENTS),
    "weight": random.normal(1, 0.5, EVENTS),
    "met": random.exponential(30, EVENTS),
    "met_phi": random.uniform(-np.pi, np.pi, EVENTS),
}
for name, most in (("photon", 3), ("lepton", 3), ("jet", 9)):
    lengths = random.integers(0, most, EVENTS)
    total = int(lengths.sum())
    values = {
        "pt": 20 + random.exponential(30, total),
        "eta": random.uniform(-2.5, 2.5, total),
        "phi": random.uniform(-np.pi, np.pi, total),
    }
    columns |= {f"{name}_{key}": ak.unflatten(value.astype(np.float32), lengths) for key, value in values.items()}
    if name == "photon":
        columns["photon_is_tight"] = ak.unflatten(random.random(total) < 0.8, lengths)
ak.to_parquet(ak.zip(columns, depth_limit=1), snakemake.output[0])
