"""Histograms of a made-up search: a signal and two backgrounds in a signal and a control region, with variations."""

import json
from pathlib import Path

import hist
import numpy as np
from uhi.io.json import default

SIGNAL, TOP, OTHER = "signal", "top", "other"
random = np.random.default_rng(12)
axis = hist.axis.Regular(8, 100.0, 180.0, name="mass", label="$m$ [GeV]")
centres = axis.centers


def shape(peak, width):
    """Return a peak, or (without width) a falling spectrum; sums to one."""
    values = np.exp(-0.5 * ((centres - peak) / width) ** 2) if width else np.exp(-(centres - 100) / peak)
    return values / values.sum()


def region(expected):
    """Return a histogram mass x process x systematic of one region, filled from expected yields per process."""
    processes = [*expected, "data"]
    systematics = ["nominal", "scale_up", "scale_down", "tune_up"]
    filled = hist.Hist(
        axis,
        hist.axis.StrCategory(processes, name="process"),
        hist.axis.StrCategory(systematics, name="systematic"),
        storage=hist.storage.Weight(),
    )
    view = filled.view(flow=False)
    tilt = (centres - centres.mean()) / 400
    for place, (process, (events, form)) in enumerate(expected.items()):
        nominal = events * form
        for number, factor in enumerate((1, 1.03 + tilt / 4, 0.97 - tilt / 4, 1 + 0.5 * tilt)):
            if process == OTHER and number == 3:
                continue  # this variation was not made for this process
            view["value"][:, place, number] = nominal * factor
            view["variance"][:, place, number] = nominal * factor * 0.05
    total = sum(events * form for events, form in expected.values())
    counts = random.poisson(total)
    view["value"][:, -1, 0] = counts
    view["variance"][:, -1, 0] = counts
    return filled


histograms = {
    "signal_region": region({SIGNAL: (60, shape(140, 8)), TOP: (400, shape(40, 0)), OTHER: (200, shape(80, 0))}),
    "control_region": region({SIGNAL: (2, shape(140, 8)), TOP: (1500, shape(40, 0)), OTHER: (150, shape(80, 0))}),
}
path = Path(snakemake.output[0])
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps({"histograms": histograms}, default=default), encoding="utf-8")
