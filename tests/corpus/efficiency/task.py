from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Efficiency of the tight identification against pT by tag and probe in Z -> ee, in data and simulation, and the scale
factor data / simulation. One row per pair: probe_pt and m_ee in MeV, tag_charge, probe_charge, probe_is_tight, weight
(data: 1; simulation: of both signs). Take pairs of opposite charge with 81 < m_ee < 101 GeV. The efficiency in a bin
is the sum of weights of the probes that pass over that of all; bins of probe pT are params.pt_edges (GeV). Errors are
binomial, with the effective number of entries (sum w)^2 / sum w^2 of all probes; the scale factor has both relative
errors in quadrature. JSON with `bins`, a list of {low, high, efficiency_data, error_data, efficiency_mc, error_mc,
scale_factor, scale_factor_error}.
"""


def make(folder: Path) -> None:
    rng = np.random.default_rng(1010)
    for name, n, plateau in (("data", 20_000, 0.86), ("simulation", 30_000, 0.92)):
        pt = 25 + rng.exponential(22.0, n)
        same = rng.random(n) < 0.12  # pairs of equal charge are background: flat in mass, seldom tight
        tag = rng.choice([-1, 1], n)
        z = rng.normal(91.2, 2.8, n)
        mass = np.where(same | (rng.random(n) < 0.06), rng.uniform(60, 120, n), z)
        efficiency = np.where(same, 0.35, plateau - 0.25 * np.exp(-(pt - 25) / 12))
        weight = np.ones(n) if name == "data" else events.weights(rng, n, 0.7, 0.07) * np.where(pt > 50, 0.6, 1.2)
        events.write_parquet(
            folder / f"data/{name}.parquet",
            {
                "event_number": events.numbers(rng, n),
                "tag_charge": tag.astype(np.int8),
                "probe_charge": np.where(same, tag, -tag).astype(np.int8),
                "probe_pt": (pt * 1000).astype(np.float32),
                "probe_is_tight": rng.random(n) < efficiency,
                "m_ee": (mass * 1000).astype(np.float32),
                "weight": weight,
            },
        )


PROBLEM = Problem(
    text=TEXT,
    inputs={"data": "data/data.parquet", "simulation": "data/simulation.parquet"},
    outputs={"efficiency": "results/efficiency.json"},
    params={"pt_edges": [25.0, 30.0, 35.0, 45.0, 60.0, 100.0]},
    contracts=("efficiency_in_unit_interval",),
    probes=(
        "half_events(inputs='data')",
        "half_events(inputs='simulation')",
        "shuffle_events()",
    ),
    make=make,
)
