import awkward as ak
import numpy as np
import uproot

TREE = "events"
MIN_JET_PT = 25.0  # GeV
MAX_PHOTON_ETA = 2.37
CRACK = (1.37, 1.52)  # |eta|, both limits belong to the crack
STEP = 200_000  # entries read at a time

N_PHOTONS = 2  # photons in the output, from the rule
N_JETS = 4  # jets in the output, from the rule

# Output name of a photon's or jet's property -> branch
PHOTON = {
    "pt": "photon_pt",
    "eta": "photon_eta",
    "phi": "photon_phi",
    "track_isolation": "photon_track_isolation",
    "calo_isolation": "photon_calo_isolation",
}
JET = {"pt": "jet_pt", "eta": "jet_eta", "phi": "jet_phi"}
# Copied as they are
COPIED = {
    "event_number": np.uint64,
    "weight": np.float64,
    "pass_trigger": np.bool_,
    "met": np.float32,
    "met_phi": np.float32,
}

# Energies are in GeV in the file already (stated by the rule), as is the parameter.
min_photon_pt = float(snakemake.params.min_photon_pt)


def leading(values, order, count):
    """The first `count` values of each event in the given order, NaN where there are fewer."""
    padded = ak.pad_none(values[order], count, axis=1, clip=True)
    return ak.to_numpy(ak.fill_none(padded, np.float32(np.nan), axis=1), allow_missing=False)


with uproot.open(snakemake.input[0]) as file:
    tree = file[TREE]
    entries = int(tree.num_entries)
    wanted = [*COPIED, "photon_is_tight", *PHOTON.values(), *JET.values()]
    missing = [name for name in wanted if name not in tree]
    if missing:
        raise KeyError(f"{snakemake.input[0]}: tree {TREE} has no branches {missing}")

    # The output is as long as the tree and held in memory (some 120 bytes per event); only the input comes in pieces.
    arrays = {}
    for name in ("event_number", "weight", "pass_trigger"):
        arrays[name] = np.empty(entries, dtype=COPIED[name])
    arrays["n_photons"] = np.empty(entries, dtype=np.int32)
    for i in range(1, N_PHOTONS + 1):
        for name in PHOTON:
            arrays[f"ph{i}_{name}"] = np.full(entries, np.nan, dtype=np.float32)
    arrays["n_jets"] = np.empty(entries, dtype=np.int32)
    for i in range(1, N_JETS + 1):
        for name in JET:
            arrays[f"jet{i}_{name}"] = np.full(entries, np.nan, dtype=np.float32)
    for name in ("met", "met_phi"):
        arrays[name] = np.empty(entries, dtype=COPIED[name])

    start = 0
    for piece in tree.iterate(wanted, step_size=STEP, library="ak"):
        stop = start + len(piece)

        for name in COPIED:
            # "safe": fail if a type of the file does not fit into the one asked for
            arrays[name][start:stop] = ak.to_numpy(piece[name]).astype(COPIED[name], casting="safe")

        # Limits as float32, like the branches: what is stored as 2.37 is at the limit and hence not good.
        abs_eta = abs(piece["photon_eta"])
        outside_crack = (abs_eta < np.float32(CRACK[0])) | (abs_eta > np.float32(CRACK[1]))
        good = (
            piece["photon_is_tight"]
            & (piece["photon_pt"] > np.float32(min_photon_pt))
            & (abs_eta < np.float32(MAX_PHOTON_ETA))
            & outside_crack
        )
        arrays["n_photons"][start:stop] = ak.to_numpy(ak.sum(good, axis=1))
        order = ak.argsort(piece["photon_pt"][good], axis=1, ascending=False, stable=True)
        for name, branch in PHOTON.items():
            values = leading(piece[branch][good], order, N_PHOTONS)
            for i in range(N_PHOTONS):
                arrays[f"ph{i + 1}_{name}"][start:stop] = values[:, i]

        hard = piece["jet_pt"] > np.float32(MIN_JET_PT)
        arrays["n_jets"][start:stop] = ak.to_numpy(ak.sum(hard, axis=1))
        order = ak.argsort(piece["jet_pt"][hard], axis=1, ascending=False, stable=True)
        for name, branch in JET.items():
            values = leading(piece[branch][hard], order, N_JETS)
            for i in range(N_JETS):
                arrays[f"jet{i + 1}_{name}"][start:stop] = values[:, i]

        start = stop

if start != entries:
    raise RuntimeError(f"{snakemake.input[0]}: read {start} of {entries} entries")

np.savez(snakemake.output[0], **arrays)

n_photons, n_jets = arrays["n_photons"], arrays["n_jets"]
lines = [
    f"{snakemake.input[0]}: {entries} events, sum of weights {arrays['weight'].sum():.6g}",
    f"good photons: tight, pT > {min_photon_pt:g} GeV, |eta| < {MAX_PHOTON_ETA:g} "
    f"without {CRACK[0]:g} to {CRACK[1]:g}; jets: pT > {MIN_JET_PT:g} GeV",
    f"events with a passed trigger: {int(arrays['pass_trigger'].sum())}",
    "events with 0, 1, 2 or more good photons: "
    f"{int((n_photons == 0).sum())}, {int((n_photons == 1).sum())}, {int((n_photons >= 2).sum())}",
    f"events with 0, 1, 2 or more jets: "
    f"{int((n_jets == 0).sum())}, {int((n_jets == 1).sum())}, {int((n_jets >= 2).sum())}",
    f"{len(arrays)} arrays written to {snakemake.output[0]}",
]
text = "\n".join(lines)
print(text)
if len(snakemake.log) > 0:
    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        log.write(text + "\n")
