from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Histogram m_yy [GeV] of all samples together, weighted with the column `weight` (the product of generator weight and
scale factors, of both signs), in 55 bins from 105 to 160 GeV, with underflow and overflow. The error of a bin is the
square root of the sum of squared weights. Write it in UHI's JSON serialisation, with m_yy [GeV] as the label of the
axis.
"""
SAMPLES = {"ggF": (9000, 0.03, 0.12, True), "VBF": (5000, 0.004, 0.02, True), "continuum": (8000, 1.3, 0.0, False)}


def make(folder: Path) -> None:
    rng = np.random.default_rng(303)
    for name, (n, mean, negative, signal) in SAMPLES.items():
        weight = events.weights(rng, n, mean, negative)
        events.write_parquet(
            folder / f"data/{name}.parquet",
            {
                "event_number": events.numbers(rng, n),
                "m_yy": events.masses(rng, n, signal=signal),
                "n_jets": rng.poisson(1.2, n).astype(np.int32),
                "weight": weight,
                "weight_pileup_up": weight * rng.normal(1.05, 0.1, n),
            },
        )


PROBLEM = Problem(
    text=TEXT,
    inputs={"samples": tuple(f"data/{name}.parquet" for name in SAMPLES)},
    outputs={"histogram": "results/m_yy.json"},
    contracts=("poisson_errors", "yields_conserved"),
    probes=("half_events()", "scale_weights(2)", "shuffle_events()"),
    make=make,
)
