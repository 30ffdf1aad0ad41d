import hist
import numpy as np
import pyarrow.parquet as pq
import uproot

N_BINS, LOW, HIGH = 40, 105.0, 145.0  # GeV, from the rule
COLUMNS = ["m_yy", "weight", "weight_pileup_up", "weight_pileup_down"]

scale_uncertainty = float(snakemake.params.scale_uncertainty)

missing = set(COLUMNS) - set(pq.read_schema(snakemake.input.signal).names)
if missing:
    raise KeyError(f"{snakemake.input.signal} has no columns {sorted(missing)}")
table = pq.read_table(snakemake.input.signal, columns=COLUMNS)
events = {name: table[name].to_numpy() for name in COLUMNS}
m_yy = events["m_yy"]

variations = {
    "nominal": (m_yy, events["weight"]),
    "scale_up": (m_yy * (1 + scale_uncertainty), events["weight"]),
    "scale_down": (m_yy * (1 - scale_uncertainty), events["weight"]),
    "pileup_up": (m_yy, events["weight_pileup_up"]),
    "pileup_down": (m_yy, events["weight_pileup_down"]),
}


def template(mass, weight):
    histogram = hist.Hist(
        hist.axis.Regular(N_BINS, LOW, HIGH, name="m_yy", label="m_yy [GeV]"), storage=hist.storage.Weight()
    )
    histogram.fill(mass, weight=weight)
    return histogram


with uproot.recreate(snakemake.output.templates) as file:
    for name, (mass, weight) in variations.items():
        histogram = template(mass, weight)
        file[name] = histogram
        centres = histogram.axes[0].centers
        mean = (centres * histogram.values()).sum() / histogram.values().sum()
        error = np.sqrt(histogram.variances().sum())
        print(f"{name:12s} yield {histogram.values().sum():.4f} +- {error:.4f}, mean {mean:.3f} GeV")
