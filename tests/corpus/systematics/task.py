from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Templates of m_yy for the fit: histograms of 40 bins from 105 to 145 GeV with the weights (of both signs) and errors
from the sum of squared weights, written as TH1 into one ROOT file under the names `nominal`, `scale_up`,
`scale_down`, `pileup_up`, `pileup_down`. The photon energy scale is varied by params.scale_uncertainty, which
multiplies m_yy by 1 +- it, with the nominal weight; pile-up is varied by using the columns weight_pileup_up and
weight_pileup_down in the place of weight. m_yy is in GeV.
"""


def make(folder: Path) -> None:
    rng = np.random.default_rng(1212)
    n = 20_000
    mass, weight = events.masses(rng, n, signal=True), events.weights(rng, n, 0.018, 0.1)
    pileup = rng.normal(0.06, 0.03, n)
    events.write_parquet(
        folder / "data/signal.parquet",
        {
            "event_number": events.numbers(rng, n),
            "m_yy": mass,
            "weight": weight,
            "weight_pileup_up": weight * (1 + pileup),
            "weight_pileup_down": weight * (1 - 0.8 * pileup),
        },
    )


PROBLEM = Problem(
    text=TEXT,
    inputs={"signal": "data/signal.parquet"},
    outputs={"templates": "results/templates.root"},
    params={"scale_uncertainty": 0.005},
    contracts=("variation_moves(largest={'scale': 0.01, 'pileup': 0.1})", "poisson_errors"),
    probes=("half_events()", "scale_weights(2)", "shuffle_events()"),
    make=make,
)
