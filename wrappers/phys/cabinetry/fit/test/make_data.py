"""A made-up search as a HistFactory workspace: signal and control region, a signal and two backgrounds."""

import json
from pathlib import Path

import numpy as np

edges = {"SR": list(range(100, 181, 10)), "CR": [100, 140, 180]}
random = np.random.default_rng(5)


def peak(low, high):
    """Return the share of a triangle around 140 GeV in a bin."""
    cumulative = np.interp(
        [low, high], np.linspace(120, 160, 201), np.linspace(0, 1, 201) ** 2 * (3 - 2 * np.linspace(0, 1, 201))
    )
    return float(np.diff(cumulative)[0])


def falling(low, high, slope):
    """Return the share of a falling exponential in a bin."""
    return float(np.exp(-(low - 100) / slope) - np.exp(-(high - 100) / slope)) / (1 - np.exp(-80 / slope))


def sample(name, channel, events, share, modifiers):
    """Return one sample with the statistical errors of its simulation."""
    bins = list(zip(edges[channel][:-1], edges[channel][1:], strict=True))
    data = [events * share(*one) for one in bins]
    shift = [1 + 0.04 * (low + high - 280) / 80 for low, high in bins]
    shape = {
        "hi_data": [one * (1.02 * by) for one, by in zip(data, shift, strict=True)],
        "lo_data": [one * (0.98 / by) for one, by in zip(data, shift, strict=True)],
    }
    found = [
        *modifiers,
        {"name": "scale", "type": "histosys", "data": shape},
        {"name": f"staterror_{channel}", "type": "staterror", "data": [float(np.sqrt(0.1 * one)) for one in data]},
    ]
    return {"name": name, "data": data, "modifiers": found}


def channel(name, signal, top, other):
    """Return the three samples of a channel."""
    mu, k_top = ({"name": one, "type": "normfactor", "data": None} for one in ("mu", "k_top"))
    xsec = {"name": "other_xsec", "type": "normsys", "data": {"hi": 1.1, "lo": 0.92}}
    lumi = {"name": "lumi", "type": "lumi", "data": None}
    samples = [
        sample("signal", name, signal, peak, [mu, lumi]),
        sample("top", name, top, lambda low, high: falling(low, high, 40), [k_top]),
        sample("other", name, other, lambda low, high: falling(low, high, 80), [lumi, xsec]),
    ]
    return {"name": name, "samples": samples}


channels = [channel("SR", 60, 400, 200), channel("CR", 2, 1500, 150)]
observations = [
    {"name": one["name"], "data": random.poisson(np.sum([part["data"] for part in one["samples"]], axis=0)).tolist()}
    for one in channels
]
parameters = [
    {"name": "mu", "inits": [1.0], "bounds": [[0.0, 10.0]]},
    {"name": "lumi", "auxdata": [1.0], "sigmas": [0.017], "inits": [1.0], "bounds": [[0.8, 1.2]]},
]
measurement = {"name": "measurement", "config": {"poi": "mu", "parameters": parameters}}
workspace = {"channels": channels, "observations": observations, "measurements": [measurement], "version": "1.0.0"}
axes = [
    {"name": name, "observable": "mass", "label": "$m$ [GeV]", "unit": "GeV", "edges": of} for name, of in edges.items()
]
for path, document in zip(snakemake.output, (workspace, {"channels": axes}), strict=True):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(document), encoding="utf-8")
