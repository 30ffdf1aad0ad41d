# From ragged lists of photons and jets to one-dimensional arrays, one entry per event.
import awkward as ak
import numpy as np
import uproot

MIN_JET_PT = 25.0  # GeV, from the rule
N_PHOTONS, N_JETS = 2, 1  # that get arrays, from the rule
STEP_SIZE = "100 MB"  # of the pieces that are read

FLAT = {"event_number": np.uint64, "weight": np.float64, "pass_trigger": np.bool_, "met": np.float32}
KINEMATICS = ["pt", "eta", "phi"]
BRANCHES = list(FLAT) + [f"{kind}_{v}" for kind in ("photon", "jet") for v in KINEMATICS] + ["photon_is_tight"]
TYPES = {
    "event_number": np.uint64, "weight": np.float64, "pass_trigger": np.bool_,
    "n_photons": np.int32,
    **{f"ph{i + 1}_{v}": np.float32 for i in range(N_PHOTONS) for v in KINEMATICS},
    "n_jets": np.int32,
    **{f"jet{i + 1}_{v}": np.float32 for i in range(N_JETS) for v in KINEMATICS},
    "met": np.float32,
}

LINES = []


def say(text):
    LINES.append(text)
    print(text)


def leading(objects, good, number, prefix):
    """Arrays of the good objects of highest pT, NaN where an event has not as many."""
    objects = objects[good]
    # stable: objects of equal pT keep the order of the tree
    order = ak.argsort(objects["pt"], axis=1, ascending=False, stable=True)
    arrays = {}
    for v in KINEMATICS:
        padded = ak.pad_none(objects[v][order], number, axis=1, clip=True)
        values = ak.to_numpy(ak.fill_none(padded, np.nan)).astype(np.float32)
        for i in range(number):
            arrays[f"{prefix}{i + 1}_{v}"] = values[:, i]
    return arrays


min_photon_pt = float(snakemake.params.min_photon_pt)  # GeV
pieces = {name: [] for name in TYPES}
with uproot.open(snakemake.input.ntuple) as file:
    tree = file["events"]
    missing = [branch for branch in BRANCHES if branch not in tree.keys()]
    if missing:
        raise KeyError(f"tree 'events' in {snakemake.input.ntuple} lacks {missing}")
    n_entries = tree.num_entries
    for events in tree.iterate(BRANCHES, step_size=STEP_SIZE, library="ak"):
        photons = ak.zip({v: events[f"photon_{v}"] for v in KINEMATICS})
        jets = ak.zip({v: events[f"jet_{v}"] for v in KINEMATICS})
        good_photon = events["photon_is_tight"] & (photons["pt"] > min_photon_pt)
        good_jet = jets["pt"] > MIN_JET_PT
        arrays = {name: ak.to_numpy(events[name]) for name in FLAT}
        arrays["n_photons"] = ak.to_numpy(ak.sum(good_photon, axis=1))
        arrays["n_jets"] = ak.to_numpy(ak.sum(good_jet, axis=1))
        arrays |= leading(photons, good_photon, N_PHOTONS, "ph")
        arrays |= leading(jets, good_jet, N_JETS, "jet")
        for name, kind in TYPES.items():
            pieces[name].append(arrays[name].astype(kind))

result = {name: np.concatenate(pieces[name]) if pieces[name] else np.empty(0, kind) for name, kind in TYPES.items()}
wrong = {name: len(values) for name, values in result.items() if len(values) != n_entries}
if wrong:
    raise RuntimeError(f"the tree has {n_entries} entries, the arrays {wrong}")
np.savez_compressed(snakemake.output.arrays, **result)

say(f"{snakemake.wildcards.sample}: {n_entries} events in {len(pieces['weight'])} pieces, "
    f"sum of weights {result['weight'].sum():.4f}, {np.count_nonzero(result['weight'] < 0)} of negative weight, "
    f"{np.count_nonzero(result['pass_trigger'])} pass the trigger")
say(f"good photons: tight, pT > {min_photon_pt:g} GeV; events with at least 1: "
    f"{np.count_nonzero(result['n_photons'] >= 1)}, 2: {np.count_nonzero(result['n_photons'] >= 2)}")
say(f"jets: pT > {MIN_JET_PT:g} GeV; events with at least 1: {np.count_nonzero(result['n_jets'] >= 1)}")
for name in ("ph1_pt", "ph2_pt", "jet1_pt", "met"):
    values = result[name][np.isfinite(result[name])]
    if len(values):
        say(f"{name}: {values.min():.2f} .. {values.max():.2f} GeV, {n_entries - len(values)} NaN")

if snakemake.log:
    with open(snakemake.log[0], "w") as file:
        file.write("\n".join(LINES) + "\n")
