"""Write 3000 events with photons (MeV) to a ROOT file, and with muons (GeV) to a Parquet file."""

import awkward as ak
import numpy as np
import uproot

random = np.random.default_rng(12)
EVENTS = 3000


def lists(values: np.ndarray, lengths: np.ndarray) -> ak.Array:
    """Return lists of float32 of these lengths."""
    return ak.unflatten(values.astype(np.float32), lengths)


def kinematics(lengths: np.ndarray, softest: float) -> dict[str, ak.Array]:
    """Return pT in GeV (in no order), eta and phi."""
    total = int(lengths.sum())
    return {
        "pt": lists(softest + random.exponential(30, total), lengths),
        "eta": lists(random.uniform(-2.5, 2.5, total), lengths),
        "phi": lists(random.uniform(-np.pi, np.pi, total), lengths),
    }


number = random.integers(0, 5, EVENTS)
photons = kinematics(number, 20)
with uproot.recreate(snakemake.output.photons) as file:
    columns = {
        "event_number": np.arange(EVENTS),
        "weight": random.normal(1, 0.5, EVENTS),
        "photon_pt": photons["pt"] * np.float32(1000),
        "photon_eta": photons["eta"],
        "photon_phi": photons["phi"],
        "photon_is_tight": ak.unflatten(random.random(int(number.sum())) < 0.8, number),
    }
    file.mktree("events", columns)

number = random.integers(0, 5, EVENTS)
muons = {f"Muon_{name}": values for name, values in kinematics(number, 5).items()}
muons["Muon_charge"] = ak.unflatten(random.choice([-1, 1], int(number.sum())), number)
ak.to_parquet(ak.zip({"event": np.arange(EVENTS), **muons}, depth_limit=1), snakemake.output.muons)
