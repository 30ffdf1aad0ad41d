from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Divide scored events into categories by their score, with the boundaries params.boundaries: category 0 holds score <
first boundary, the last one everything from the last boundary on; the lower boundary belongs to a category. Every
event belongs to exactly one category. Outputs: `events`, a parquet file with the rows and columns of the input in
their order and the new column `category` (int); and `summary`, a JSON file with `categories`, a list of {category,
low, high, events, yield, error} (low of the first is 0, high of the last is 1; yield is the sum of the weights, of
both signs; error the square root of the sum of squared weights), and `total` with events, yield and error of all
events.
"""


def make(folder: Path) -> None:
    rng = np.random.default_rng(707)
    n = 20_000
    events.write_parquet(
        folder / "data/scored.parquet",
        {
            "event_number": events.numbers(rng, n),
            "m_yy": events.masses(rng, n, signal=True),
            # Scores are stored with three digits, so some lie exactly on a boundary; a few are 1.
            "score": np.round(rng.beta(2.2, 1.6, n), 3),
            "n_jets": rng.poisson(1.4, n).astype(np.int32),
            "weight": events.weights(rng, n, 0.017, 0.12),
        },
    )


PROBLEM = Problem(
    text=TEXT,
    inputs={"scored": "data/scored.parquet"},
    outputs={"events": "results/categorised.parquet", "summary": "results/categories.json"},
    params={"boundaries": [0.3, 0.6, 0.85]},
    contracts=("yields_conserved", "weights_sum('weight')"),
    probes=("half_events()", "scale_weights(2)", "shuffle_events()"),
    make=make,
)
