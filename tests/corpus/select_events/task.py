from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Select diphoton events from the ntuples of one sample (several files, tree `mini`; energies and momenta are in MeV,
lists of photons are in no order). A photon is good if it is tight, |eta| < 2.37 and not in the crack 1.37 to 1.52,
track isolation (ptcone30) / pT < 0.065 and calorimeter isolation (etcone20) / pT < 0.065. Take events with the
diphoton trigger (trigP) and at least two good photons; the two of highest pT are the pair. Cuts: pT of the leading
one > params.min_pt[0] and of the subleading one > params.min_pt[1] (both in GeV), 105 < m_yy < 160 GeV (massless
photons). Write a parquet file with one row per selected event: `event_number` (uint64), `weight` = mcWeight *
scaleFactor_PHOTON * scaleFactor_PILEUP, `m_yy`, `pt1`, `pt2` [GeV], `eta1`, `eta2`, `phi1`, `phi2`.
"""
NAMES = {
    "pt": "photon_pt", "eta": "photon_eta", "phi": "photon_phi", "tight": "photon_isTightID",
    "track_isolation": "photon_ptcone30", "calo_isolation": "photon_etcone20",
}  # fmt: skip


def make(folder: Path) -> None:
    rng = np.random.default_rng(202)
    n = 21_000
    mass = np.concatenate([events.masses(rng, n // 2, signal=False), events.masses(rng, n - n // 2, signal=True)])
    mass = rng.permutation(mass)
    number = events.numbers(rng, n)
    for part, rows in enumerate(np.array_split(np.arange(n), 3), start=1):
        flat, counts = events.photons(rng, mass[rows], unit=1000.0)
        events.write_tree(
            folder / f"data/ggF_{part}.root",
            "mini",
            {
                "eventNumber": number[rows],
                "mcWeight": events.weights(rng, len(rows), 28.0, 0.12).astype(np.float32),
                "scaleFactor_PHOTON": rng.normal(0.97, 0.03, len(rows)).astype(np.float32),
                "scaleFactor_PILEUP": rng.gamma(20.0, 1 / 20.0, len(rows)).astype(np.float32),
                "trigP": rng.random(len(rows)) < 0.94,
                **{branch: events.lists(flat[name], counts) for name, branch in NAMES.items()},
            },
        )


PROBLEM = Problem(
    text=TEXT,
    inputs={"ntuples": tuple(f"data/{{sample}}_{part}.root" for part in (1, 2, 3))},
    outputs={"events": "results/selected/{sample}.parquet"},
    params={"min_pt": [40.0, 30.0]},
    wildcards={"sample": "ggF"},
    contracts=("mass_window(105, 160, column='m_yy')",),
    probes=(
        "half_events()",
        "scale_weights(2, column='mcWeight')",
        "shuffle_events()",
        "drop_branch('scaleFactor_PHOTON')",
    ),
    make=make,
)
