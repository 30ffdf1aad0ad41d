from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Expected and observed significance of a counting experiment. Data (weight 1) and simulated signal (normalised to the
luminosity of the data, weights of both signs) have m_yy [GeV] and weight. Window: 122 < m_yy < 128 GeV. The
background in the window is the number of data events in the sidebands 110 to 120 and 130 to 140 GeV (upper ends
excluded), scaled by the ratio of the widths. With s the sum of signal weights in the window, b the background and n
the data in the window: z_exp = sqrt(2 ((s + b) ln(1 + s/b) - s)), z_obs = sign(n - b) sqrt(2 (n ln(n/b) - (n - b))),
p0 the one-sided p-value of z_obs. Write a significance result as JSON.
"""


def make(folder: Path) -> None:
    rng = np.random.default_rng(909)
    mass = rng.permutation(
        np.concatenate([events.masses(rng, 20_000, signal=False), events.masses(rng, 180, signal=True)])
    )
    events.write_parquet(
        folder / "data/data.parquet",
        {"event_number": events.numbers(rng, len(mass)), "m_yy": mass, "weight": np.ones(len(mass))},
    )
    events.write_parquet(
        folder / "data/signal.parquet",
        {
            "event_number": events.numbers(rng, 20_000),
            "m_yy": events.masses(rng, 20_000, signal=True),
            "weight": events.weights(rng, 20_000, 0.0075, 0.12),
        },
    )


PROBLEM = Problem(
    text=TEXT,
    inputs={"data": "data/data.parquet", "signal": "data/signal.parquet"},
    outputs={"significance": "results/significance.json"},
    contracts=("significance",),
    probes=(
        "half_events(inputs='data')",
        "half_events(inputs='signal')",
        "scale_weights(2, inputs='signal', response='moves')",
        "inject_signal(125, 100, column='m_yy', inputs='data')",
    ),
    make=make,
)
