"""Official H -> gamma gamma selection of the ATLAS Open Data 2020 release.

Reads the tree `mini`, applies the cuts one after the other, writes the selected
events (parquet, GeV) and the cumulative cut flow (JSON).
"""

import json

import awkward as ak
import numpy as np
import pandas as pd
import uproot

# --- given by the rule -------------------------------------------------------------
TREE = "mini"
MEV_PER_GEV = 1000.0  # momenta, energies and isolations are stored in MeV
PT_MIN = 25.0  # GeV, good photon
ETA_MAX = 2.37  # |eta|, good photon
ETA_CRACK = (1.37, 1.52)  # |eta| of the barrel-endcap transition, excluded
PTCONE30_REL_MAX = 0.065  # photon_ptcone30 / pT
ETCONE20_REL_MAX = 0.065  # photon_etcone20 / pT
PT1_OVER_M_MIN = 0.35  # photon with the larger pT
PT2_OVER_M_MIN = 0.25  # the other photon
MASS_WINDOW = (105.0, 160.0)  # GeV, both limits exclusive
SIMULATION_SAMPLES = ("signal",)  # weighted
UNIT_WEIGHT_SAMPLES = ("pseudodata",)  # weight 1 for every event

# --- choices -----------------------------------------------------------------------
CRACK_BOUNDARY = "excluded"  # photons exactly at |eta| = 1.37 or 1.52 are not good
PHYSICS_DTYPE = np.float64  # precision of all computed and written real numbers
NON_FINITE_INPUT = "stop with an error"  # never drop an event because of a NaN

WEIGHT_FACTORS = [
    "mcWeight",
    "scaleFactor_PHOTON",
    "scaleFactor_PhotonTRIGGER",
    "scaleFactor_PILEUP",
    "XSection",  # pb
]
WEIGHT_NORM = "SumWeights"
EVENT_BRANCHES = ["eventNumber", "trigP"]
PHOTON_BRANCHES = {
    "pt": "photon_pt",
    "eta": "photon_eta",
    "phi": "photon_phi",
    "tight": "photon_isTightID",
    "ptcone30": "photon_ptcone30",
    "etcone20": "photon_etcone20",
    "conv": "photon_convType",
}
MEV_FIELDS = ("pt", "ptcone30", "etcone20")
REAL_FIELDS = ("pt", "eta", "phi", "ptcone30", "etcone20")


def require_finite(values, what):
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise ValueError(f"{what}: {bad} of {len(values)} values are not finite")


# --- job ---------------------------------------------------------------------------
sample = snakemake.wildcards.sample
in_path = snakemake.input[0]
if sample in SIMULATION_SAMPLES:
    is_simulation = True
elif sample in UNIT_WEIGHT_SAMPLES:
    is_simulation = False
else:
    raise ValueError(
        f"sample {sample!r}: no weights are defined for it, known are "
        f"{SIMULATION_SAMPLES + UNIT_WEIGHT_SAMPLES}"
    )

# --- read --------------------------------------------------------------------------
branches = EVENT_BRANCHES + list(PHOTON_BRANCHES.values())
if is_simulation:
    branches = branches + WEIGHT_FACTORS + [WEIGHT_NORM]

with uproot.open(in_path) as root_file:
    if TREE not in root_file:
        raise KeyError(f"{in_path}: no tree {TREE!r}, the file has {root_file.keys()}")
    tree = root_file[TREE]
    available = set(tree.keys())
    missing = [name for name in branches if name not in available]
    if missing:
        raise KeyError(f"{in_path}: tree {TREE!r} has no branches {missing}")
    data = tree.arrays(branches, library="ak")
n_events = len(data)

# Photons as one ragged array of records; fails if the branches differ in length.
fields = {}
for field, branch in PHOTON_BRANCHES.items():
    values = data[branch]
    if field in REAL_FIELDS:
        values = ak.values_astype(values, PHYSICS_DTYPE)
        require_finite(ak.to_numpy(ak.flatten(values, axis=1)), branch)
    if field in MEV_FIELDS:
        values = values / MEV_PER_GEV
    fields[field] = values
photons = ak.zip(fields)

# --- weights -----------------------------------------------------------------------
weight = np.ones(n_events, dtype=PHYSICS_DTYPE)
if is_simulation:
    luminosity = float(snakemake.params.luminosity_per_pb)  # pb^-1
    if not (np.isfinite(luminosity) and luminosity > 0):
        raise ValueError(f"params.luminosity_per_pb = {luminosity} is not positive")
    sum_weights = ak.to_numpy(data[WEIGHT_NORM]).astype(PHYSICS_DTYPE)
    require_finite(sum_weights, WEIGHT_NORM)
    if np.any(sum_weights <= 0):
        raise ValueError(
            f"{in_path}: {WEIGHT_NORM} is not positive in "
            f"{np.count_nonzero(sum_weights <= 0)} events of the simulated sample {sample!r}"
        )
    for name in WEIGHT_FACTORS:
        weight = weight * ak.to_numpy(data[name]).astype(PHYSICS_DTYPE)
    weight = weight * luminosity / sum_weights
    require_finite(weight, "event weight")

# --- selection ---------------------------------------------------------------------
cutflow = []


def add_cut(name, weights):
    """Append one element to the cut flow: weights of the events that are left."""
    cutflow.append(
        {
            "cut": name,
            "events": int(len(weights)),
            "yield": float(np.sum(weights)),
            "error": float(np.sqrt(np.sum(weights**2))),
        }
    )


# 1. every event
add_cut("all", weight)

# 2. diphoton trigger
triggered = ak.to_numpy(data["trigP"]).astype(bool)
add_cut("trigger", weight[triggered])

# 3. exactly two good photons
abs_eta = abs(photons.eta)
outside_crack = (abs_eta < ETA_CRACK[0]) | (abs_eta > ETA_CRACK[1])
is_good = (
    ak.values_astype(photons.tight, bool)
    & (photons.pt > PT_MIN)
    & (abs_eta < ETA_MAX)
    & outside_crack
)
n_good = ak.to_numpy(ak.sum(is_good, axis=1))
two_photons = triggered & (n_good == 2)

# From here on one entry per event with two good photons, as flat arrays.
pair = photons[is_good][two_photons]
pair = pair[ak.argsort(pair.pt, axis=1, ascending=False)]
lead = {field: ak.to_numpy(pair[field][:, 0]) for field in PHOTON_BRANCHES}
sub = {field: ak.to_numpy(pair[field][:, 1]) for field in PHOTON_BRANCHES}
pair_weight = weight[two_photons]
event_number = ak.to_numpy(data["eventNumber"])[two_photons]
add_cut("two_photons", pair_weight)

# Invariant mass of two massless particles, GeV
m_yy = np.sqrt(
    2.0
    * lead["pt"]
    * sub["pt"]
    * (np.cosh(lead["eta"] - sub["eta"]) - np.cos(lead["phi"] - sub["phi"]))
)

# 4. isolation of both photons
passed = np.ones(len(m_yy), dtype=bool)
for photon in (lead, sub):
    passed &= photon["ptcone30"] / photon["pt"] < PTCONE30_REL_MAX
    passed &= photon["etcone20"] / photon["pt"] < ETCONE20_REL_MAX
add_cut("isolation", pair_weight[passed])

# 5. pT relative to the mass (as a product, so that m_yy = 0 needs no division)
passed &= lead["pt"] > PT1_OVER_M_MIN * m_yy
passed &= sub["pt"] > PT2_OVER_M_MIN * m_yy
add_cut("relative_pt", pair_weight[passed])

# 6. mass window
passed &= (m_yy > MASS_WINDOW[0]) & (m_yy < MASS_WINDOW[1])
add_cut("mass_window", pair_weight[passed])

# --- write -------------------------------------------------------------------------
events = pd.DataFrame(
    {
        "m_yy": m_yy[passed],
        "pt1": lead["pt"][passed],
        "pt2": sub["pt"][passed],
        "eta1": lead["eta"][passed],
        "eta2": sub["eta"][passed],
        "phi1": lead["phi"][passed],
        "phi2": sub["phi"][passed],
        "conv1": lead["conv"][passed].astype(np.int32),
        "conv2": sub["conv"][passed].astype(np.int32),
        "weight": pair_weight[passed],
        "event_number": event_number[passed].astype(np.int64),
    }
)
if len(events) != cutflow[-1]["events"]:
    raise RuntimeError("the number of rows differs from the last element of the cut flow")
events.to_parquet(snakemake.output.events, engine="pyarrow", index=False)

with open(snakemake.output.cutflow, "w", encoding="utf-8") as out:
    json.dump({"cutflow": cutflow}, out, indent=2, allow_nan=False)
    out.write("\n")

# --- report ------------------------------------------------------------------------
print(f"sample {sample!r}: {n_events} events read from {in_path}")
if is_simulation:
    print(f"weights: simulation, normalised to {luminosity:g} pb^-1")
else:
    print("weights: 1 for every event")
print(f"{'cut':<14}{'events':>10}{'yield':>16}{'error':>14}")
for row in cutflow:
    print(f"{row['cut']:<14}{row['events']:>10d}{row['yield']:>16.4f}{row['error']:>14.4f}")
if len(events):
    print(
        f"selected: m_yy {events['m_yy'].min():.3f} .. {events['m_yy'].max():.3f} GeV, "
        f"mean {events['m_yy'].mean():.3f} GeV (unweighted)"
    )
else:
    print("WARNING: no event was selected")
