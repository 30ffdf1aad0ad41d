from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Cut flow of diphoton events as JSON. The input is an npz file of arrays of equal length, one entry per event, energies
in GeV, NaN where an event has no such photon. Cuts, in this order and cumulative: `all` (every event), `trigger`
(pass_trigger), `two_photons` (n_photons >= 2), `crack` (neither photon with 1.37 <= |eta| <= 1.52), `isolation`
(track isolation / pT < params.max_isolation for both), `pt` (ph1_pt > 40 and ph2_pt > 30), `mass` (105 < m_yy < 160).
m_yy is the mass of the two photons, taken as massless. `events` counts, `yield` adds up the weights (of both signs),
`error` is the square root of the sum of squared weights.
"""


def make(folder: Path) -> None:
    rng = np.random.default_rng(505)
    n = 20_000
    mass = rng.permutation(
        np.concatenate([events.masses(rng, n // 2, signal=False), events.masses(rng, n - n // 2, signal=True)])
    )
    pt, eta, phi = events.decays(rng, mass)
    order = np.argsort(-pt, axis=1)
    pt, eta, phi = (np.take_along_axis(column, order, axis=1) for column in (pt, eta, phi))
    n_photons = np.where(rng.random(n) < 0.85, 2, np.where(rng.random(n) < 0.3, 3, 1)).astype(np.int32)
    lost = n_photons < 2
    columns: dict[str, object] = {
        "event_number": events.numbers(rng, n),
        "weight": events.weights(rng, n, 0.021, 0.12),
        "pass_trigger": rng.random(n) < 0.93,
        "n_photons": n_photons,
    }
    for i in (0, 1):
        isolation = pt[:, i] * rng.exponential(0.025, n)
        for name, values in (("pt", pt[:, i]), ("eta", eta[:, i]), ("phi", phi[:, i]), ("track_isolation", isolation)):
            values = values.astype(np.float32)
            values[lost & (i == 1)] = np.nan
            columns[f"ph{i + 1}_{name}"] = values
    events.write_npz(folder / "data/ggF.npz", columns)


PROBLEM = Problem(
    text=TEXT,
    inputs={"arrays": "data/{sample}.npz"},
    outputs={"cutflow": "results/cutflow_{sample}.json"},
    params={"max_isolation": 0.065},
    wildcards={"sample": "ggF"},
    contracts=(
        "cutflow_monotonic",
        "poisson_errors",
    ),
    probes=("half_events()", "scale_weights(2)", "shuffle_events()"),
    make=make,
)
