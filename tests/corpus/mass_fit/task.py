from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Fit the diphoton mass of the data between 105 and 160 GeV with iminuit: a Gaussian signal on an exponential
background, extended unbinned maximum likelihood. The free parameters are `n_signal`, `n_background`, `mean` (120 to
130 GeV) and `slope`; the width of the Gaussian is fixed to the weighted standard deviation of m_yy in the simulated
signal, which has weights of both signs. Input columns: m_yy [GeV], weight (1 for data). Write the fit as JSON, with
HESSE errors, the covariance, and a chi2 of 1 GeV bins for the goodness of fit.
"""


def make(folder: Path) -> None:
    rng = np.random.default_rng(101)
    background, signal = events.masses(rng, 20_000, signal=False), events.masses(rng, 900, signal=True)
    mass = rng.permutation(np.concatenate([background, signal]))
    events.write_parquet(
        folder / "data/selected.parquet",
        {"event_number": events.numbers(rng, len(mass)), "m_yy": mass, "weight": np.ones(len(mass))},
    )
    # Events of worse resolution have smaller weights, as converted photons do.
    wide = rng.random(8000) < 0.5
    simulated = rng.normal(125.0, np.where(wide, 2.6, 1.5))
    weight = events.weights(rng, 8000, 0.11) * np.where(wide, 0.5, 1.5)
    events.write_parquet(
        folder / "data/signal.parquet",
        {"event_number": events.numbers(rng, 8000), "m_yy": simulated, "weight": weight},
    )


PROBLEM = Problem(
    text=TEXT,
    inputs={"data": "data/selected.parquet", "signal": "data/signal.parquet"},
    outputs={"fit": "results/fit.json"},
    contracts=("fit_valid", "chi2_band(0.3, 2.0)", "mass_window(120, 130)"),
    probes=(
        "half_events(inputs='data')",
        "half_events(inputs='signal')",
        "inject_signal(125, 400, column='m_yy', inputs='data')",
        "shuffle_events(tolerance=0.001)",
    ),
    make=make,
)
