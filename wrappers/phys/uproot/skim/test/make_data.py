"""Make small samples of events with photons: a TTree in two files and the same as an RNTuple."""

from pathlib import Path

import awkward as ak
import numpy as np
import uproot


def events(number: int, seed: int) -> dict[str, object]:
    """Return columns of invented events: energies in GeV."""
    random = np.random.default_rng(seed)
    photons = random.integers(0, 5, number)
    total = int(photons.sum())
    pt = (20 + random.exponential(30, total)).astype(np.float32)
    eta = random.uniform(-2.5, 2.5, total).astype(np.float32)
    return {
        "event_number": random.integers(2**60, 2**62, number).astype(np.uint64),
        "pass_trigger": random.random(number) < 0.8,
        "weight": random.normal(0.5, 0.6, number),
        "photon_pt": ak.unflatten(pt, photons),
        "photon_eta": ak.unflatten(eta, photons),
        "photon_is_tight": ak.unflatten(random.random(total) < 0.7, photons),
        "met": random.exponential(20, number).astype(np.float32),
    }


for seed, path in enumerate(map(Path, snakemake.output)):
    with uproot.recreate(path) as file:
        write = file.mkrntuple if "rntuple" in path.name else file.mktree
        write("events", events(2000 + 100 * seed, seed))
