import json

import numpy as np

CRACK = (1.37, 1.52)  # |eta|, both ends belong to the crack
MIN_PT = (40.0, 30.0)  # GeV
MASS_WINDOW = (105.0, 160.0)  # GeV, ends excluded
PHOTON = ("pt", "eta", "phi", "track_isolation")

max_isolation = float(snakemake.params.max_isolation)
source = snakemake.input.arrays

wanted = ["weight", "pass_trigger", "n_photons", *(f"ph{i}_{name}" for i in (1, 2) for name in PHOTON)]
with np.load(source, allow_pickle=False) as archive:
    missing = [name for name in wanted if name not in archive.files]
    if missing:
        raise KeyError(f"{source} has no arrays {missing}")
    a = {name: archive[name] for name in wanted}
n = len(a["weight"])
if any(len(array) != n for array in a.values()):
    raise ValueError(f"{source}: arrays of different lengths")

weight = a["weight"].astype(float)
pt1, eta1, phi1, iso1 = (a[f"ph1_{name}"].astype(float) for name in PHOTON)
pt2, eta2, phi2, iso2 = (a[f"ph2_{name}"].astype(float) for name in PHOTON)


def outside_crack(eta):
    return (np.abs(eta) < CRACK[0]) | (np.abs(eta) > CRACK[1])


# Events without a second photon have NaN there; every comparison with NaN is false, as it should be.
m_yy = np.sqrt(np.maximum(2 * pt1 * pt2 * (np.cosh(eta1 - eta2) - np.cos(phi1 - phi2)), 0.0))

cuts = {
    "all": np.ones(n, dtype=bool),
    "trigger": a["pass_trigger"].astype(bool),
    "two_photons": a["n_photons"] >= 2,
    "crack": outside_crack(eta1) & outside_crack(eta2),
    "isolation": (iso1 / pt1 < max_isolation) & (iso2 / pt2 < max_isolation),
    "pt": (pt1 > MIN_PT[0]) & (pt2 > MIN_PT[1]),
    "mass": (m_yy > MASS_WINDOW[0]) & (m_yy < MASS_WINDOW[1]),
}

passed = np.ones(n, dtype=bool)
cutflow = []
for name, cut in cuts.items():
    passed = passed & cut
    kept = weight[passed]
    cutflow.append(
        {
            "cut": name,
            "events": int(passed.sum()),
            "yield": float(kept.sum()),
            "error": float(np.sqrt((kept**2).sum())),
        }
    )

with open(snakemake.output.cutflow, "w", encoding="utf-8") as out:
    json.dump({"cutflow": cutflow}, out, indent=2, allow_nan=False)

print(f"{snakemake.wildcards.sample}: {n} events")
for row in cutflow:
    print(f"{row['cut']:12s} {row['events']:8d} {row['yield']:12.4f} +- {row['error']:.4f}")
