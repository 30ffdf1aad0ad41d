import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

TREE = "mini"
PB_PER_INVERSE_FB = 1000.0  # 1 fb^-1 = 1000 pb^-1
MEV = 1e-3  # GeV, m_yy of the tree is in MeV (stated by the rule)
SCALE_FACTORS = ("scaleFactor_PHOTON", "scaleFactor_PILEUP")

sample = snakemake.wildcards.sample
luminosity_pb = float(snakemake.params.luminosity_fb) * PB_PER_INVERSE_FB

with open(snakemake.input.samples, encoding="utf-8") as handle:
    samples = json.load(handle)
if sample not in samples:
    raise KeyError(f"{snakemake.input.samples} has no sample {sample!r}, only {sorted(samples)}")
info = samples[sample]

branches = ["eventNumber", "mcWeight", "m_yy", *SCALE_FACTORS]
with uproot.open(snakemake.input.events) as file:
    tree = file[TREE]
    missing = [name for name in branches if name not in tree]
    if missing:
        raise KeyError(f"{snakemake.input.events}: tree {TREE} has no branches {missing}")
    arrays = tree.arrays(branches, library="np")

sum_of_weights = float(info["sum_of_weights"])
if sum_of_weights <= 0:
    raise ValueError(f"{sample}: the sum of weights is {sum_of_weights:g}")
scale = (
    luminosity_pb * float(info["xsec_pb"]) * float(info["k_factor"]) * float(info["filter_efficiency"]) / sum_of_weights
)

weight = arrays["mcWeight"].astype(float) * scale
for name in SCALE_FACTORS:
    weight = weight * arrays[name].astype(float)
if not np.isfinite(weight).all():
    raise ValueError(f"{sample}: there are weights that are not finite")

columns = {
    "event_number": arrays["eventNumber"].astype(np.uint64),
    "m_yy": arrays["m_yy"].astype(float) * MEV,
    "weight": weight,
}
pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), snakemake.output.events)

yields = {
    "n_events": len(weight),
    "yield": float(weight.sum()),
    "yield_error": float(np.sqrt((weight**2).sum())),
}
with open(snakemake.output.yields, "w", encoding="utf-8") as out:
    json.dump(yields, out, indent=2, allow_nan=False)

print(f"{sample}: scale {scale:.6g} per unit of mcWeight at {luminosity_pb:g} pb^-1")
print(f"{yields['n_events']} events, yield {yields['yield']:.4f} +- {yields['yield_error']:.4f}")
