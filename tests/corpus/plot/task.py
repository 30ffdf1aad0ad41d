from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Plot m_yy [GeV] between 105 and 160 GeV in bins of 2.5 GeV: data as points with error bars over the stack of the
simulated background and signal (weights of both signs, normalised to the luminosity), the statistical error of the
simulation as a hatched band, and below the ratio data / simulation with the errors of the data. Axis titles with
unit, legend, and params.label in the figure. Beside the PNG, write what is
drawn as JSON: `data`, `background`, `signal` and `simulation`, each with `bin_edges`, `counts` and `errors`, and the
lists `ratio` and `ratio_error`.
"""


def make(folder: Path) -> None:
    rng = np.random.default_rng(808)

    def sample(name: str, mass: object, weight: object, n: int) -> None:
        events.write_parquet(
            folder / f"data/{name}.parquet",
            {"event_number": events.numbers(rng, n), "m_yy": mass, "weight": weight},
        )

    mass = rng.permutation(
        np.concatenate([events.masses(rng, 9000, signal=False), events.masses(rng, 400, signal=True)])
    )
    sample("data", mass, np.ones(len(mass)), len(mass))
    sample("background", events.masses(rng, 20_000, signal=False), events.weights(rng, 20_000, 0.46, 0.1), 20_000)
    sample("signal", events.masses(rng, 6_000, signal=True), events.weights(rng, 6_000, 0.06, 0.1), 6_000)


PROBLEM = Problem(
    text=TEXT,
    inputs={name: f"data/{name}.parquet" for name in ("data", "background", "signal")},
    outputs={"plot": "results/m_yy.png", "numbers": "results/m_yy.json"},
    params={"label": "Simulation, 13 TeV"},
    contracts=("poisson_errors",),
    probes=(
        "half_events(inputs='data')",
        "scale_weights(2, inputs=['background', 'signal'], response='moves')",
        "shuffle_events()",
    ),
    make=make,
)
