"""Write small results of each kind, and a plot."""

import json
from pathlib import Path

import hist
import numpy as np
from PIL import Image
from uhi.io.json import default

out = snakemake.output
histogram = hist.Hist(
    hist.axis.Variable([105, 120, 130, 160], name="m_yy", label="m_yy [GeV]"),
    hist.axis.StrCategory(["data", "background"], name="process", overflow=False),
    hist.axis.StrCategory(["nominal", "scale_up", "scale_down"], name="systematic", overflow=False),
    storage=hist.storage.Weight(),
    name="m_yy",
)
for systematic, factor in (("nominal", 1.0), ("scale_up", 1.1), ("scale_down", 0.95)):
    histogram.fill(m_yy=[110, 110, 125, 150], process="data", systematic=systematic)
    histogram.fill(m_yy=[110, 115, 125, 140], process="background", systematic=systematic, weight=0.5 * factor)
spectrum = {"category": "", "observable": "m_yy", "unit": "GeV", "edges": [105, 130, 160], "counts": [3, 1]}
spectrum |= {"variances": [3, 1], "total": [2.5, 1.5], "components": {"signal": [1.0, 0.0], "background": [1.5, 1.5]}}
documents = {
    out.histograms: {"histograms": {"m_yy": histogram}},
    out.cutflow: {
        "cutflow": [
            {"cut": "all", "events": 10, "yield": 5.5, "error": 1.5},
            {"cut": "pt > 25 GeV", "events": 4, "yield": 2.0, "error": 1.0},
        ]
    },
    out.fit: {
        "valid": True,
        "parameters": {
            "mu": {"value": 1.1, "error": 0.4, "limits": [None, None]},
            "mass": {"value": 125.0, "error": 0.3, "limits": [120, 130]},
        },
        "covariance": [[0.16, 0.012], [0.012, 0.09]],
        "correlation": [[1.0, 0.1], [0.1, 1.0]],
        "spectra": [spectrum],
    },
    out.limit: {"observed": 2.1, "expected": {"-2": 0.5, "-1": 0.7, "0": 1.0, "1": 1.4, "2": 1.9}, "cl": 0.95},
    out.significance: {"z_obs": 2.85, "z_exp": 2.56, "p0": 0.0022},
}
for path, document in documents.items():
    Path(path).write_text(json.dumps(document, default=default))
shades = np.linspace(0, 255, 600 * 400 * 3).reshape(400, 600, 3).astype(np.uint8)
Image.fromarray(shades).save(out.plot)
