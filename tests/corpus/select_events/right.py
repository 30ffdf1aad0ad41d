import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

TREE = "mini"
MEV = 1e-3  # GeV; energies of the ntuples are in MeV (stated by the rule)
MAX_ETA = 2.37
CRACK = (1.37, 1.52)  # |eta|, both ends belong to the crack
MAX_TRACK_ISOLATION = 0.065  # ptcone30 / pT
MAX_CALO_ISOLATION = 0.065  # etcone20 / pT
MASS_WINDOW = (105.0, 160.0)  # GeV, ends excluded
STEP = 100_000  # events read at a time

BRANCHES = [
    "eventNumber", "mcWeight", "scaleFactor_PHOTON", "scaleFactor_PILEUP", "trigP",
    "photon_pt", "photon_eta", "photon_phi", "photon_isTightID", "photon_ptcone30", "photon_etcone20",
]  # fmt: skip

min_pt_lead, min_pt_sub = (float(value) for value in snakemake.params.min_pt)


def good_photons(a):
    abs_eta = abs(a["photon_eta"])
    outside_crack = (abs_eta < CRACK[0]) | (abs_eta > CRACK[1])
    return (
        a["photon_isTightID"]
        & (abs_eta < MAX_ETA)
        & outside_crack
        & (a["photon_ptcone30"] / a["photon_pt"] < MAX_TRACK_ISOLATION)
        & (a["photon_etcone20"] / a["photon_pt"] < MAX_CALO_ISOLATION)
    )


def select(a):
    """The columns of the selected events of a piece."""
    good = good_photons(a)
    enough = a["trigP"] & (ak.sum(good, axis=1) >= 2)
    a, good = a[enough], good[enough]
    order = ak.argsort(a["photon_pt"][good], axis=1, ascending=False)
    pt = ak.to_numpy(a["photon_pt"][good][order][:, :2]).astype(float) * MEV
    eta = ak.to_numpy(a["photon_eta"][good][order][:, :2]).astype(float)
    phi = ak.to_numpy(a["photon_phi"][good][order][:, :2]).astype(float)
    m_yy = np.sqrt(
        2 * pt[:, 0] * pt[:, 1] * (np.cosh(eta[:, 0] - eta[:, 1]) - np.cos(phi[:, 0] - phi[:, 1]))
    )
    weight = (
        ak.to_numpy(a["mcWeight"]).astype(float)
        * ak.to_numpy(a["scaleFactor_PHOTON"])
        * ak.to_numpy(a["scaleFactor_PILEUP"])
    )
    passed = (
        (pt[:, 0] > min_pt_lead)
        & (pt[:, 1] > min_pt_sub)
        & (m_yy > MASS_WINDOW[0])
        & (m_yy < MASS_WINDOW[1])
    )
    return {
        "event_number": ak.to_numpy(a["eventNumber"])[passed].astype(np.uint64),
        "weight": weight[passed],
        "m_yy": m_yy[passed],
        "pt1": pt[passed, 0],
        "pt2": pt[passed, 1],
        "eta1": eta[passed, 0],
        "eta2": eta[passed, 1],
        "phi1": phi[passed, 0],
        "phi2": phi[passed, 1],
    }


pieces = []
n_read = 0
for path in snakemake.input.ntuples:
    with uproot.open(path) as file:
        tree = file[TREE]
        missing = [name for name in BRANCHES if name not in tree]
        if missing:
            raise KeyError(f"{path}: tree {TREE} has no branches {missing}")
        for arrays in tree.iterate(BRANCHES, step_size=STEP, library="ak"):
            n_read += len(arrays)
            pieces.append(select(arrays))

if not pieces:
    raise ValueError("the ntuples have no events")
columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
n_selected = len(columns["weight"])
pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), snakemake.output.events)

print(f"{snakemake.wildcards.sample}: {n_read} events in {len(snakemake.input.ntuples)} files, {n_selected} selected")
print(f"sum of weights of the selected events: {columns['weight'].sum():.6g}")
