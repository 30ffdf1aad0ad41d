"""Make two small ROOT files with a tree and histograms, whose schemas differ in one column."""

import awkward as ak
import numpy as np
import uproot

for seed, path in enumerate(snakemake.output):
    random = np.random.default_rng(seed)
    photons = random.integers(0, 4, 500)
    pt = ak.unflatten((20 + random.exponential(30, int(photons.sum()))).astype(np.float32), photons)
    met = random.exponential(20, 500)
    met[:5] = np.nan
    kind = np.float32 if seed == 0 else np.float64
    with uproot.recreate(path) as file:
        file.mktree("events", {"run_number": np.full(500, 284500), "photon_pt": pt, "met": met.astype(kind)})
        file["mass"] = np.histogram(random.normal(125, 10, 1000), bins=30, range=(105, 160))
