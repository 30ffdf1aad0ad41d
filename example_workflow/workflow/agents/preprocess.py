import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MASS_WINDOW = (105.0, 160.0)  # GeV, from the rule, both limits excluded
NO_JET = 0.0  # from the rule: value of jet quantities in events without the jet

NEEDED = [
    "event_number", "weight", "pass_trigger", "n_photons", "n_jets", "met",
    *(f"ph{i}_{q}" for i in (1, 2) for q in ("pt", "eta", "phi", "track_isolation", "calo_isolation")),
    *(f"jet{i}_{q}" for i in (1, 2) for q in ("pt", "eta", "phi")),
]  # fmt: skip
AS_THEY_ARE = ("event_number", "pass_trigger", "n_photons", "n_jets")

source = snakemake.input[0]
cuts = snakemake.params.cuts
max_track_isolation = float(cuts["track_isolation"])
max_calo_isolation = float(cuts["calo_isolation"])
min_relative_pt_1, min_relative_pt_2 = (float(x) for x in cuts["relative_pt"])
# cuts["min_photon_pt"] is not among the cuts of this rule: n_photons and ph1, ph2 count photons above it already.


def pair_mass(pt1, eta1, phi1, pt2, eta2, phi2):
    """Invariant mass of two massless particles."""
    squared = 2 * pt1 * pt2 * (np.cosh(eta1 - eta2) - np.cos(phi1 - phi2))
    return np.sqrt(np.maximum(squared, 0))  # rounding can make it slightly negative for collinear particles


def require(condition, message):
    if not condition:
        raise ValueError(f"{source}: {message}")


with np.load(source, allow_pickle=False) as archive:
    missing = [name for name in NEEDED if name not in archive.files]
    require(not missing, f"arrays {missing} are missing")
    # Everything that is computed with goes to double precision first.
    a = {name: archive[name] if name in AS_THEY_ARE else archive[name].astype(np.float64) for name in NEEDED}

n = len(a["event_number"])
require(all(array.shape == (n,) for array in a.values()), "the arrays are not one-dimensional and of equal length")
require(a["pass_trigger"].dtype == np.bool_, "pass_trigger is not boolean")
require(np.isfinite(a["weight"]).all(), "there are weights which are not finite")

two_photons = a["n_photons"] == 2
for i in (1, 2):
    for q in ("pt", "eta", "phi", "track_isolation", "calo_isolation"):
        require(
            np.isfinite(a[f"ph{i}_{q}"][two_photons]).all(),
            f"ph{i}_{q} is not finite in some events with two photons",
        )

# Events without two photons have NaN here. A comparison with NaN is false, and they fail `two_photons` anyway.
with np.errstate(invalid="ignore", divide="ignore"):
    pt1, pt2 = a["ph1_pt"], a["ph2_pt"]
    m_yy = pair_mass(pt1, a["ph1_eta"], a["ph1_phi"], pt2, a["ph2_eta"], a["ph2_phi"])
    isolated = (
        (a["ph1_track_isolation"] / pt1 < max_track_isolation)
        & (a["ph2_track_isolation"] / pt2 < max_track_isolation)
        & (a["ph1_calo_isolation"] / pt1 < max_calo_isolation)
        & (a["ph2_calo_isolation"] / pt2 < max_calo_isolation)
    )
    relative = (pt1 / m_yy > min_relative_pt_1) & (pt2 / m_yy > min_relative_pt_2)
    in_window = (m_yy > MASS_WINDOW[0]) & (m_yy < MASS_WINDOW[1])

steps = [
    ("all", np.ones(n, dtype=bool)),
    ("trigger", a["pass_trigger"]),
    ("two_photons", two_photons),
    ("isolation", isolated),
    ("relative_pt", relative),
    ("mass_window", in_window),
]
selected = np.ones(n, dtype=bool)
cutflow = []
for name, passed in steps:
    selected = selected & passed
    weights = a["weight"][selected]
    cutflow.append({
        "cut": name,
        "events": int(selected.sum()),
        "yield": float(weights.sum()),
        "error": float(np.sqrt((weights**2).sum())),
    })

s = {name: array[selected] for name, array in a.items()}
m = m_yy[selected]
pt1, pt2 = s["ph1_pt"], s["ph2_pt"]
eta1, eta2 = s["ph1_eta"], s["ph2_eta"]
phi1, phi2 = s["ph1_phi"], s["ph2_phi"]
pt_yy = np.hypot(pt1 * np.cos(phi1) + pt2 * np.cos(phi2), pt1 * np.sin(phi1) + pt2 * np.sin(phi2))
cos_theta_star = np.abs(np.sinh(eta1 - eta2)) / np.sqrt(1 + (pt_yy / m) ** 2) * 2 * pt1 * pt2 / m**2

# Jets: only what n_jets says to be absent becomes 0, never a NaN that should not be there.
for i in (1, 2):
    has = s["n_jets"] >= i
    for q in ("pt", "eta", "phi"):
        require(
            np.array_equal(np.isfinite(s[f"jet{i}_{q}"]), has),
            f"jet{i}_{q} and n_jets disagree on which events have such a jet",
        )
jet1_pt = np.where(s["n_jets"] >= 1, s["jet1_pt"], NO_JET)
jet2_pt = np.where(s["n_jets"] >= 2, s["jet2_pt"], NO_JET)
dijet = s["n_jets"] >= 2
m_jj = np.full(len(m), NO_JET)
delta_eta_jj = np.full(len(m), NO_JET)
m_jj[dijet] = pair_mass(*(s[f"jet{i}_{q}"][dijet] for i in (1, 2) for q in ("pt", "eta", "phi")))
delta_eta_jj[dijet] = np.abs(s["jet1_eta"][dijet] - s["jet2_eta"][dijet])

columns = {
    "event_number": s["event_number"],
    "weight": s["weight"],
    "m_yy": m,
    "pt_yy": pt_yy,
    "pt1_over_m": pt1 / m,
    "pt2_over_m": pt2 / m,
    "eta1": eta1,
    "eta2": eta2,
    "phi1": phi1,
    "phi2": phi2,
    "delta_eta": np.abs(eta1 - eta2),
    "cos_theta_star": cos_theta_star,
    "n_jets": s["n_jets"],
    "jet1_pt": jet1_pt,
    "jet2_pt": jet2_pt,
    "m_jj": m_jj,
    "delta_eta_jj": delta_eta_jj,
    "met": s["met"],
}
for name, values in columns.items():
    require(np.isfinite(values).all(), f"{name} is not finite in some selected events")

pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), snakemake.output.events)
with open(snakemake.output.cutflow, "w", encoding="utf-8") as out:
    json.dump({"cutflow": cutflow}, out, indent=2, allow_nan=False)
    out.write("\n")

lines = [
    f"{source}: {n} events, {len(m)} selected",
    f"isolation / pT: track < {max_track_isolation:g}, calorimeter < {max_calo_isolation:g}; "
    f"pT / m_yy > {min_relative_pt_1:g}, {min_relative_pt_2:g}; {MASS_WINDOW[0]:g} < m_yy < {MASS_WINDOW[1]:g} GeV",
    *(f"{c['cut']:12s} {c['events']:9d} events, yield {c['yield']:.6g} +- {c['error']:.3g}" for c in cutflow),
]
if len(m):
    lines.append(f"m_yy of the selected events: median {np.median(m):.3f} GeV; with two jets or more: {int(dijet.sum())}")
text = "\n".join(lines)
print(text)
if len(snakemake.log) > 0:
    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        log.write(text + "\n")
