from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Upper limit on the signal strength mu of a counting experiment with the CLs method. Inputs are events with m_yy [GeV],
score (0 to 1) and weight (data: 1; simulation: normalised to the luminosity of the data, of both signs). The signal
region is params.window[0] < m_yy < params.window[1] (GeV) with score > params.min_score. Observed is the number of
data events, expected signal (mu = 1) and background are sums of weights. The background has a relative uncertainty
params.background_uncertainty (Gaussian, averaged over, truncated at zero). CLs(mu) = P(n <= n_obs | mu s + b) / P(n
<= n_obs | b); the limit is where CLs = 1 - params.confidence_level. Expected limits are those for the median and the
-2, -1, +1, +2 standard deviation quantiles of n under background only. JSON as a limits result, and beside it
`counts` with `observed`, `signal` and `background`.
"""
PARAMS = {"window": [122.0, 128.0], "min_score": 0.8, "confidence_level": 0.95, "background_uncertainty": 0.15}


def make(folder: Path) -> None:
    rng = np.random.default_rng(404)

    def sample(name: str, n: int, mean: float | None, *, signal: bool) -> None:
        events.write_parquet(
            folder / f"data/{name}.parquet",
            {
                "event_number": events.numbers(rng, n),
                "m_yy": events.masses(rng, n, signal=signal),
                "score": rng.beta(5, 2, n) if signal else rng.beta(2, 3, n),
                "weight": np.ones(n) if mean is None else events.weights(rng, n, mean, 0.08),
            },
        )

    sample("data", 20_000, None, signal=False)
    sample("background", 60_000, 1 / 3, signal=False)
    sample("signal", 6_000, 0.006, signal=True)


PROBLEM = Problem(
    text=TEXT,
    inputs={name: f"data/{name}.parquet" for name in ("data", "background", "signal")},
    outputs={"limits": "results/limits.json"},
    params=PARAMS,
    contracts=("limit_ordering", "upper_limit"),
    probes=(
        "half_events(inputs='data')",
        "half_events(inputs='background')",
        "half_events(inputs='signal')",
        "scale_weights(2, inputs='signal', response='moves')",
        "shuffle_events()",
    ),
    make=make,
)
