import awkward as ak
import numpy as np
import uproot

TREE = "events"
MIN_JET_PT = 25.0  # GeV, from the rule
N_PHOTONS = 2
N_JETS = 1
STEP = 6_000  # events read at a time
COORDINATES = ("pt", "eta", "phi")
PLAIN = {"event_number": np.uint64, "weight": np.float64, "pass_trigger": np.bool_, "met": np.float32}

min_photon_pt = float(snakemake.params.min_photon_pt)  # GeV, as the tree
branches = [*PLAIN, "photon_is_tight", *(f"photon_{c}" for c in COORDINATES), *(f"jet_{c}" for c in COORDINATES)]


def leading(values, count):
    """The first `count` values of each event, NaN where there are fewer; shape (events, count)."""
    padded = ak.pad_none(values, count, axis=1, clip=True)
    return ak.to_numpy(ak.fill_none(padded, np.float32(np.nan), axis=1))


def flatten(a):
    """The arrays of a piece."""
    out = {name: ak.to_numpy(a[name]).astype(kind) for name, kind in PLAIN.items()}
    for prefix, short, count, good in (
        ("photon", "ph", N_PHOTONS, a["photon_is_tight"] & (a["photon_pt"] > min_photon_pt)),
        ("jet", "jet", N_JETS, a["jet_pt"] > MIN_JET_PT),
    ):
        out[f"n_{prefix}s"] = ak.to_numpy(ak.sum(good, axis=1)).astype(np.int32)
        order = ak.argsort(a[f"{prefix}_pt"][good], axis=1, ascending=False, stable=True)
        for c in COORDINATES:
            values = leading(a[f"{prefix}_{c}"][good][order], count)
            for i in range(count):
                out[f"{short}{i + 1}_{c}"] = values[:, i]
    return out


with uproot.open(snakemake.input.ntuple) as file:
    tree = file[TREE]
    missing = [name for name in branches if name not in tree]
    if missing:
        raise KeyError(f"{snakemake.input.ntuple}: tree {TREE} has no branches {missing}")
    n_entries = int(tree.num_entries)
    if n_entries == 0:
        raise ValueError(f"{snakemake.input.ntuple}: tree {TREE} is empty")
    pieces = [flatten(arrays) for arrays in tree.iterate(branches, step_size=STEP, library="ak")]

result = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
if any(len(values) != n_entries for values in result.values()):
    raise RuntimeError("not all events were read")
np.savez(snakemake.output.arrays, **result)

print(f"{snakemake.wildcards.sample}: {n_entries} events, sum of weights {result['weight'].sum():.6g}")
print(f"two good photons or more: {int((result['n_photons'] >= 2).sum())}, a jet: {int((result['n_jets'] > 0).sum())}")
