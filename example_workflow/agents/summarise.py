"""Summary of ROOT files: trees, branches and the ranges of the photon quantities.

Writes the same content as JSON and as Markdown.
"""

import json
import re

import awkward as ak
import numpy as np
import uproot

# --- choices -----------------------------------------------------------------------
TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD")  # classes of objects that count as trees
# Photon quantities: all branches photon_* and the counter nphoton. Event-level scale
# factors (scaleFactor_PHOTON, scaleFactor_PhotonTRIGGER) are not photon quantities.
PHOTON_BRANCH_PATTERN = re.compile(r"^n?photon(_|$)")
# Units as stored, by the convention of the ATLAS Open Data 2020 release; the ROOT files
# themselves do not state units.
STORED_UNITS = {
    "photon_pt": "MeV",
    "photon_E": "MeV",
    "photon_ptcone30": "MeV",
    "photon_etcone20": "MeV",
    "photon_pt_syst": "MeV",
    "photon_phi": "rad",
    "photon_eta": "1",
    "photon_truthMatched": "1 (flag)",
    "photon_trigMatched": "1 (flag)",
    "photon_isTightID": "1 (flag)",
    "photon_convType": "1 (category code)",
    "photon_n": "1 (count)",
    "nphoton": "1 (count)",
}
UNKNOWN_UNIT = "unknown"  # a photon branch that is not in STORED_UNITS, value as stored
# Energies are reported in GeV: stored unit -> (reported unit, factor). All other values
# are reported as stored.
REPORTED_UNITS = {"MeV": ("GeV", 1.0e-3)}
MEDIAN_PT_BRANCH = "photon_pt"  # this branch is used to check the assumed unit
MEDIAN_PT_MEV = (5.0e3, 5.0e6)  # MeV, its stored median must be inside, else the unit is wrong
WEIGHTING = "unweighted, all entries, no selection, every photon counts once"
NON_FINITE = "counted, left out of minimum, mean and maximum"
SIGNIFICANT_DIGITS = 6  # in the Markdown text; the JSON file has full precision


def photon_summary(branch, name, where):
    """Minimum, mean and maximum of all values of one branch."""
    array = branch.array(library="ak")
    per = "event" if array.ndim == 1 else "photon"
    values = ak.to_numpy(ak.flatten(array, axis=None))
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{where}: photon branch {name!r} is not numeric ({branch.typename})")
    if values.dtype.kind == "b":
        values = values.astype(np.int64)

    stored_unit = STORED_UNITS.get(name, UNKNOWN_UNIT)
    unit, factor = REPORTED_UNITS.get(stored_unit, (stored_unit, None))
    finite = values[np.isfinite(values)]
    minimum = mean = maximum = None  # stays None (null) only if there is no value at all
    if len(finite):
        minimum = finite.min().item()
        maximum = finite.max().item()
        mean = float(np.mean(finite, dtype=np.float64))
        if factor is not None:
            minimum, mean, maximum = (factor * v for v in (minimum, mean, maximum))

    if name == MEDIAN_PT_BRANCH and len(finite):
        median = float(np.median(finite.astype(np.float64)))
        if not MEDIAN_PT_MEV[0] <= median <= MEDIAN_PT_MEV[1]:
            raise ValueError(
                f"{where}: the median of {name} is {median:g}, outside of {MEDIAN_PT_MEV}; "
                "the assumed unit MeV is not credible"
            )
    return {
        "name": name,
        "unit": unit,
        "stored_unit": stored_unit,
        "per": per,
        "values": int(len(values)),
        "non_finite": int(len(values) - len(finite)),
        "min": minimum,
        "mean": mean,
        "max": maximum,
    }


def tree_summary(tree, tree_name, path):
    where = f"{path}:{tree_name}"
    branches = []
    photons = []
    for name, branch in tree.items():
        branches.append({"name": name, "type": branch.typename, "title": branch.title})
        short_name = name.split("/")[-1]
        if PHOTON_BRANCH_PATTERN.search(short_name) and len(branch.branches) == 0:
            photons.append(photon_summary(branch, short_name, where))
    return {
        "name": tree_name,
        "title": tree.title,
        "entries": int(tree.num_entries),
        "branches": branches,
        "photon_quantities": photons,
    }


def file_summary(path):
    with uproot.open(path) as root_file:
        classes = root_file.classnames(recursive=True, cycle=False)
        names = [name for name, cls in classes.items() if cls in TREE_CLASSES]
        if not names:
            raise ValueError(f"{path}: the file has no tree, only {classes}")
        # without a cycle number, the newest cycle of a tree is read
        trees = [tree_summary(root_file[name], name, path) for name in names]
    return {"file": path, "trees": trees}


def text(value):
    """Text for one cell of a Markdown table."""
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def number(value):
    if value is None:
        return "no values"
    if isinstance(value, int):
        return str(value)
    return f"{value:.{SIGNIFICANT_DIGITS}g}"


# --- read --------------------------------------------------------------------------
files = [file_summary(str(path)) for path in snakemake.input]
n_photon_quantities = sum(len(t["photon_quantities"]) for f in files for t in f["trees"])
if n_photon_quantities == 0:
    raise ValueError("no tree of any input has a branch with a photon quantity")

conventions = {
    "photon_branches": PHOTON_BRANCH_PATTERN.pattern,
    "units": "convention of the ATLAS Open Data 2020 release, not stated in the files; "
    "energies are stored in MeV and reported in GeV",
    "statistics": WEIGHTING,
    "non_finite_values": NON_FINITE,
}

# --- write JSON --------------------------------------------------------------------
with open(snakemake.output.json, "w", encoding="utf-8") as out:
    json.dump({"conventions": conventions, "files": files}, out, indent=2, allow_nan=False)
    out.write("\n")

# --- write Markdown ----------------------------------------------------------------
lines = [
    "# Summary of the ROOT files",
    "",
    f"Photon quantities: {WEIGHTING}. "
    f"Units: {conventions['units']}. Values that are not finite: {NON_FINITE}.",
    "",
    "| file | tree | title | entries | branches |",
    "|---|---|---|---:|---:|",
]
for f in files:
    for t in f["trees"]:
        lines.append(
            f"| {text(f['file'])} | {text(t['name'])} | {text(t['title'])} "
            f"| {t['entries']} | {len(t['branches'])} |"
        )
for f in files:
    lines += ["", f"## `{f['file']}`"]
    for t in f["trees"]:
        lines += [
            "",
            f"### Tree `{t['name']}`",
            "",
            f"- title: {text(t['title'])}",
            f"- entries: {t['entries']}",
            "",
            "Photon quantities:",
            "",
        ]
        if t["photon_quantities"]:
            lines += [
                "| quantity | unit | stored in | one value per | values | not finite "
                "| minimum | mean | maximum |",
                "|---|---|---|---|---:|---:|---:|---:|---:|",
            ]
            for q in t["photon_quantities"]:
                lines.append(
                    f"| {text(q['name'])} | {q['unit']} | {q['stored_unit']} | {q['per']} "
                    f"| {q['values']} "
                    f"| {q['non_finite']} | {number(q['min'])} | {number(q['mean'])} "
                    f"| {number(q['max'])} |"
                )
        else:
            lines.append("none in this tree")
        lines += ["", "Branches:", "", "| branch | type |", "|---|---|"]
        for b in t["branches"]:
            lines.append(f"| {text(b['name'])} | `{text(b['type'])}` |")
with open(snakemake.output.markdown, "w", encoding="utf-8") as out:
    out.write("\n".join(lines) + "\n")

# --- report ------------------------------------------------------------------------
for f in files:
    for t in f["trees"]:
        photons = t["photon_quantities"]
        print(
            f"{f['file']}: tree {t['name']!r}, {t['entries']} entries, "
            f"{len(t['branches'])} branches, {len(photons)} photon quantities"
        )
        unknown = [q["name"] for q in photons if q["unit"] == UNKNOWN_UNIT]
        if unknown:
            print(f"  WARNING: unit unknown: {', '.join(unknown)}")
        not_finite = [q["name"] for q in photons if q["non_finite"]]
        if not_finite:
            print(f"  WARNING: values that are not finite: {', '.join(not_finite)}")
        for q in photons:
            print(
                f"  {q['name']:<22} {number(q['min'])} .. {number(q['max'])}, "
                f"mean {number(q['mean'])}, unit {q['unit']}"
            )
