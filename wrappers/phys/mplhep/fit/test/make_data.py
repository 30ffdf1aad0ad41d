"""Write a toy fit result, as zfit/fit does: a peak at 125 GeV on a falling background in two categories."""

import json
from math import erf, exp, pi, sqrt
from pathlib import Path

import numpy as np

random = np.random.default_rng(5)
edges = np.linspace(105, 160, 56)
x = np.linspace(105, 160, 300)
spectra = []
for category, n_signal, n_background in (("central", 150.0, 3000.0), ("forward", 60.0, 5000.0)):
    peak = [0.5 * (1 + erf((edge - 125) / (1.7 * sqrt(2)))) for edge in edges]
    norm = 1 - exp(-55 / 30)
    tail = [(1 - exp(-(edge - 105) / 30)) / norm for edge in edges]
    components = {"signal": n_signal * np.diff(peak), "background": n_background * np.diff(tail)}
    total = components["signal"] + components["background"]
    counts = random.poisson(total)
    curves = {
        "signal": n_signal * np.exp(-0.5 * ((x - 125) / 1.7) ** 2) / (1.7 * sqrt(2 * pi)),
        "background": n_background * np.exp(-(x - 105) / 30) / 30 / norm,
    }
    curve = {
        "x": x.tolist(),
        "total": sum(curves.values()).tolist(),
        "components": {name: one.tolist() for name, one in curves.items()},
    }
    spectra.append(
        {
            "category": category,
            "observable": "m_yy",
            "unit": "GeV",
            "edges": edges.tolist(),
            "counts": counts.tolist(),
            "variances": counts.tolist(),
            "total": total.tolist(),
            "components": {name: one.tolist() for name, one in components.items()},
            "pulls": ((counts - total) / np.sqrt(total)).tolist(),
            "curve": curve,
        }
    )
parameters = {
    "mu_signal": {"value": 1.04, "error": 0.21, "limits": [None, None]},
    "mass": {"value": 125.03, "error": 0.31, "limits": [120, 130]},
    "sigma": {"value": 1.7, "error": 0, "limits": [None, None]},
}
result = {"valid": True, "parameters": parameters, "gof": {"chi2": 98.1, "ndf": 104, "p": 0.64}, "spectra": spectra}
Path(snakemake.output[0]).write_text(json.dumps(result))
