# Histogramme pondéré de m_yy, avec pandas et boost-histogram.
import json
from pathlib import Path

import boost_histogram as bh
import pandas as pd
import uhi.io.json

CASES, MINIMUM, MAXIMUM = 55, 105, 160  # GeV

evenements = pd.concat(
    {Path(f).stem: pd.read_parquet(f, columns=["m_yy", "weight"]) for f in snakemake.input["samples"]}, names=["echantillon"]
).rename(columns={"weight": "poids"})
assert evenements.notna().all(axis=None), "valeurs manquantes"

h = bh.Histogram(bh.axis.Regular(CASES, MINIMUM, MAXIMUM), storage=bh.storage.Weight())
h.axes[0].label = "m_yy [GeV]"
h.fill(evenements["m_yy"], weight=evenements["poids"])
Path(snakemake.output["histogram"]).write_text(json.dumps(h, default=uhi.io.json.default))
print(evenements.groupby("echantillon")["poids"].agg(["size", "sum"]))
