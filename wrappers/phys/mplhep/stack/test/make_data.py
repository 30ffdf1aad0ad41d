"""Write toy histograms, as hist/fill does: data, two backgrounds and a signal, with one variation."""

import json
from pathlib import Path

import hist
import numpy as np
from uhi.io.json import default

axes = [
    hist.axis.Regular(22, 105, 160, name="m_yy", label=r"$m_{\gamma\gamma}$ [GeV]"),
    hist.axis.StrCategory(["data", "diphoton", "photon_jet", "ggH"], name="process", overflow=False),
    hist.axis.StrCategory(["nominal", "scale_up", "scale_down"], name="systematic", overflow=False),
]
histogram = hist.Hist(*axes, storage=hist.storage.Weight(), name="m_yy")
for systematic, shift in (("nominal", 1.0), ("scale_up", 1.03), ("scale_down", 0.97)):
    random = np.random.default_rng(2)
    for process, n, weight in (("diphoton", 20_000, 0.1), ("photon_jet", 10_000, 0.05)):
        mass = 105 + random.exponential(30, n)
        histogram.fill(m_yy=mass, process=process, systematic=systematic, weight=weight * shift)
    signal = random.normal(125, 1.7, 4000)
    histogram.fill(m_yy=signal, process="ggH", systematic=systematic, weight=0.02 * shift)
    data = np.concatenate([105 + random.exponential(30, 2500), random.normal(125, 1.7, 80)])
    histogram.fill(m_yy=data, process="data", systematic=systematic)
document = {"histograms": {"m_yy": histogram}}
Path(snakemake.output[0]).write_text(json.dumps(document, default=default))
