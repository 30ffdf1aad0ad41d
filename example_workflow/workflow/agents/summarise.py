import json
import os
import re

import awkward as ak
import numpy as np
import uproot

# Statistics are made from the first entries of each tree, as the rule asks.
MAX_ENTRIES = 100_000

# The unit of energies is told from the photons: pT >= 25 GeV is stated by the rule.
PHOTON_PT_BRANCH = "photon_pt"
PHOTON_PT_MIN_GEV = 25.0
PHOTON_PT_TOLERANCE = 1e-3  # relative, for rounding at the threshold
# Design energy of one LHC beam (LHC Design Report, CERN-2004-003): no particle can have more.
MAX_ENERGY_GEV = 7000.0
UNITS_IN_GEV = {"keV": 1e-6, "MeV": 1e-3, "GeV": 1.0, "TeV": 1e3}
# Names of branches that hold energies, momenta, masses or isolations (sums of energies).
ENERGY_NAME = (
    r"(?:^|_)(?:pt|et|e|m|mass|met|mpx|mpy|px|py|pz|(?:topo)?(?:pt|et|ptvar)cone\d*)(?:_syst)?$"
)

TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD")


def find_trees(file):
    """Names (without cycle) and newest cycles of all trees, in the order of the file."""
    newest = {}
    for key, classname in file.classnames(recursive=True, cycle=True).items():
        if "RNTuple" in classname:
            raise ValueError(f"{file.file_path}: {key} is an RNTuple, this script reads TTrees only")
        if classname not in TREE_CLASSES:
            continue
        name, cycle = key.rsplit(";", 1)
        # ROOT keeps older backups of a tree under lower cycles: only the newest one counts.
        if name not in newest or int(cycle) > newest[name]:
            newest[name] = int(cycle)
    return newest


def numbers_of(branch, stop):
    """All numbers of a branch as a flat array; None if it holds neither numbers nor lists of them."""
    # Groups of branches and unreadable classes have no numbers of their own.
    if type(branch.interpretation).__name__ in ("UnknownInterpretation", "AsGrouped"):
        return None
    array = branch.array(entry_stop=stop, library="ak")
    content = array.type.content
    while isinstance(content, (ak.types.ListType, ak.types.RegularType)):
        if content.parameters.get("__array__") is not None:  # strings are lists of characters
            return None
        content = content.content
    if not isinstance(content, ak.types.NumpyType) or content.parameters.get("__array__") is not None:
        return None
    dtype = np.dtype(content.primitive)
    if dtype.kind not in "biuf":
        return None
    flat = np.asarray(ak.to_numpy(ak.ravel(array)))
    return flat.astype(np.uint8 if dtype.kind == "b" else dtype, copy=False)


def statistics(values):
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size == 0:
        return {"min": None, "mean": None, "max": None}
    # item() keeps integers exact; the mean is summed in double precision.
    return {
        "min": finite.min().item(),
        "mean": float(np.mean(finite, dtype=np.float64)),
        "max": finite.max().item(),
    }


def tell_unit(branches):
    """Unit of energies in a tree (or None), and a sentence which says how it was told."""
    if PHOTON_PT_BRANCH not in branches:
        return None, f"The unit of energies cannot be told: there is no branch `{PHOTON_PT_BRANCH}`."
    low = branches[PHOTON_PT_BRANCH].get("min")
    high = branches[PHOTON_PT_BRANCH].get("max")
    if low is None or high is None:
        return None, f"The unit of energies cannot be told: `{PHOTON_PT_BRANCH}` has no finite values."
    fitting = [
        unit
        for unit, in_gev in UNITS_IN_GEV.items()
        if low * in_gev >= PHOTON_PT_MIN_GEV * (1 - PHOTON_PT_TOLERANCE)
        and high * in_gev <= MAX_ENERGY_GEV
    ]
    span = f"`{PHOTON_PT_BRANCH}` goes from {low:.6g} to {high:.6g}"
    tested = ", ".join(UNITS_IN_GEV)
    condition = (
        f"all photons have at least {PHOTON_PT_MIN_GEV:g} GeV and none has more than "
        f"{MAX_ENERGY_GEV:g} GeV (the design energy of an LHC beam)"
    )
    if len(fitting) != 1:
        which = " and ".join(fitting) if fitting else "none"
        return None, (
            f"The unit of energies cannot be told: {span}; of {tested}, "
            f"these fit the condition that {condition}: {which}."
        )
    unit = fitting[0]
    return unit, (
        f"Energies are in **{unit}**: {span}, and of {tested} only {unit} fits the condition that {condition}. "
        f"For the other energies (told by their names) the same unit is assumed, if none of their values exceeds "
        f"{MAX_ENERGY_GEV:g} GeV in it; the table says \"as `{PHOTON_PT_BRANCH}`\" there."
    )


def unit_of(name, is_float, stats, unit):
    """Text for the column 'unit' of one branch."""
    if unit is None or not is_float or stats.get("max") is None:
        return ""
    leaf = re.split(r"[/.]", name)[-1]
    if name == PHOTON_PT_BRANCH:
        return unit
    if not re.search(ENERGY_NAME, leaf, flags=re.IGNORECASE):
        return ""
    if max(abs(stats["min"]), abs(stats["max"])) * UNITS_IN_GEV[unit] > MAX_ENERGY_GEV:
        return "not told"
    return f"{unit} (as `{PHOTON_PT_BRANCH}`)"


def cell(text):
    return " ".join(str(text).split()).replace("|", "\\|")


def number(value):
    if value is None:
        return "none"
    return str(value) if isinstance(value, int) else f"{value:.6g}"


files = {}
page = ["# Contents of the ROOT files", ""]
report = []

page += [
    f"Min, mean and max are of all finite values (also of those in lists) in the first {MAX_ENTRIES:,} entries of a "
    "tree, or in all if it has fewer. Events are not weighted. Booleans count as 0 and 1. "
    "A dash stands for branches that hold no numbers, \"none\" for branches without finite values.",
    "",
]

for path in snakemake.input:
    file_name = os.path.basename(path)
    if file_name in files:
        raise ValueError(f"two inputs have the same name {file_name}: they cannot both be keys of the summary")
    trees = {}
    page += [f"## `{file_name}`", ""]
    with uproot.open(path) as file:
        newest = find_trees(file)
        if not newest:
            page += ["This file has no trees.", ""]
            report.append(f"{file_name}: no trees")
        for tree_name, cycle in newest.items():
            tree = file[f"{tree_name};{cycle}"]
            entries = int(tree.num_entries)
            used = min(entries, MAX_ENTRIES)
            branches = {}
            floats = set()
            for branch_name, branch in tree.iteritems(recursive=True, full_paths=True):
                if branch_name in branches:
                    raise ValueError(f"{path}: two branches of {tree_name} have the name {branch_name}")
                entry = {"type": branch.typename}
                values = numbers_of(branch, used)
                if values is not None:
                    entry.update(statistics(values))
                    if values.dtype.kind == "f":
                        floats.add(branch_name)
                branches[branch_name] = entry
            trees[tree_name] = {"title": tree.title, "entries": entries, "branches": branches}

            unit, how = tell_unit(branches)
            page += [
                f"Tree `{tree_name}`: {entries:,} entries, numbers below from "
                + ("all of them." if used == entries else f"the first {used:,}."),
                "",
                f"Title: {cell(tree.title) or '(empty)'}",
                "",
                how,
                "",
                "| branch | type | min | mean | max | unit |",
                "|---|---|---:|---:|---:|---|",
            ]
            for branch_name, entry in branches.items():
                if "min" in entry:
                    shown = [number(entry[key]) for key in ("min", "mean", "max")]
                else:
                    shown = ["–"] * 3
                text = unit_of(branch_name, branch_name in floats, entry, unit)
                page.append(
                    f"| `{cell(branch_name)}` | `{cell(entry['type'])}` | " + " | ".join(shown) + f" | {text} |"
                )
            page.append("")
            report.append(
                f"{file_name}: tree {tree_name}, {entries} entries ({used} used for the numbers), "
                f"{len(branches)} branches, unit of energies: {unit or 'not told'}"
            )
    files[file_name] = {"trees": trees}

with open(snakemake.output.json, "w", encoding="utf-8") as out:
    json.dump({"files": files}, out, indent=2, allow_nan=False)
    out.write("\n")
with open(snakemake.output.markdown, "w", encoding="utf-8") as out:
    out.write("\n".join(page).rstrip("\n") + "\n")

text = "\n".join(report)
print(text)
if len(snakemake.log) > 0:
    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        log.write(text + "\n")
