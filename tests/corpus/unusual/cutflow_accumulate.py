from itertools import accumulate
from json import dump
from operator import and_

import numpy as np

with np.load(snakemake.input.arrays) as f:
    a = {k: f[k] for k in f.files}

ph = [{q: a[f"ph{i}_{q}"].astype("f8") for q in ("pt", "eta", "phi", "track_isolation")} for i in (1, 2)]
m2 = 2 * ph[0]["pt"] * ph[1]["pt"] * (np.cosh(ph[0]["eta"] - ph[1]["eta"]) - np.cos(ph[0]["phi"] - ph[1]["phi"]))
both = lambda test: np.logical_and.reduce([test(p) for p in ph])
steps = {
    "all": np.ones_like(a["weight"], dtype=bool),
    "trigger": a["pass_trigger"],
    "two_photons": a["n_photons"] > 1,
    "crack": both(lambda p: ~((np.abs(p["eta"]) >= 1.37) & (np.abs(p["eta"]) <= 1.52))) & ~np.isnan(ph[1]["eta"]),
    "isolation": both(lambda p: p["track_isolation"] < snakemake.params.max_isolation * p["pt"]),
    "pt": (ph[0]["pt"] > 40) & (ph[1]["pt"] > 30),
    "mass": (m2 > 105**2) & (m2 < 160**2),
}
flow = [
    {"cut": name, "events": int(mask.sum()), "yield": float((w := a["weight"][mask]).sum()), "error": float(np.sqrt(w @ w))}
    for name, mask in zip(steps, accumulate(steps.values(), and_))
]
with open(snakemake.output.cutflow, "w") as out:
    dump({"cutflow": flow}, out)
print(*flow, sep="\n")
