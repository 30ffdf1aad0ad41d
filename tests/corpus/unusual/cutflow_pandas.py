import json

import numpy as np
import pandas as pd

CUTS = {
    "all": "index >= 0",
    "trigger": "pass_trigger",
    "two_photons": "n_photons >= 2",
    "crack": "not (1.37 <= abs_eta1 <= 1.52) and not (1.37 <= abs_eta2 <= 1.52)",
    "isolation": "ph1_track_isolation / ph1_pt < @limit and ph2_track_isolation / ph2_pt < @limit",
    "pt": "ph1_pt > 40 and ph2_pt > 30",
    "mass": "105 < m_yy < 160",
}
limit = snakemake.params.max_isolation

with np.load(snakemake.input.arrays) as archive:
    df = pd.DataFrame(dict(archive)).astype({f"ph{i}_{q}": "float64" for i in (1, 2) for q in ("pt", "eta", "phi")})
df = df.assign(
    abs_eta1=lambda d: d.ph1_eta.abs(),
    abs_eta2=lambda d: d.ph2_eta.abs(),
    m_yy=lambda d: np.sqrt(2 * d.ph1_pt * d.ph2_pt * (np.cosh(d.ph1_eta - d.ph2_eta) - np.cos(d.ph1_phi - d.ph2_phi))),
)

rows = []
for name, condition in CUTS.items():
    df = df.query(condition, engine="python")
    rows.append({"cut": name, "events": len(df), "yield": df.weight.sum(), "error": np.sqrt(df.weight.pow(2).sum())})
json.dump({"cutflow": rows}, open(snakemake.output.cutflow, "w"), indent=2)
print(pd.DataFrame(rows).to_string(index=False))
