from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Turn events with ragged lists of photons and jets (tree `events`, energies in GeV already, lists in no order) into an
npz file of one-dimensional arrays, one entry per event of the tree, in its order. Photons are good if photon_is_tight
and pT > params.min_photon_pt (GeV); good photons, and jets with pT > 25 GeV, are numbered by falling pT. Arrays:
`event_number` (uint64), `weight` (float64, both signs), `pass_trigger` (bool), `n_photons` (good ones), `ph1_pt`,
`ph1_eta`, `ph1_phi`, the same with `ph2_`, `n_jets`, `jet1_pt`, `jet1_eta`, `jet1_phi`, `met`. What an event does not
have is NaN. The files may be large: read them in pieces.
"""


def make(folder: Path) -> None:
    rng = np.random.default_rng(1111)
    n = 20_000
    photons, n_photons = events.photons(rng, events.masses(rng, n, signal=False))
    jets, n_jets = events.jets(rng, n)
    events.write_tree(
        folder / "data/VBF.root",
        "events",
        {
            "event_number": events.numbers(rng, n),
            "weight": events.weights(rng, n, 0.004, 0.08),
            "pass_trigger": rng.random(n) < 0.95,
            "photon_pt": events.lists(photons["pt"], n_photons),
            "photon_eta": events.lists(photons["eta"], n_photons),
            "photon_phi": events.lists(photons["phi"], n_photons),
            "photon_is_tight": events.lists(photons["tight"], n_photons),
            "jet_pt": events.lists(jets["pt"], n_jets),
            "jet_eta": events.lists(jets["eta"], n_jets),
            "jet_phi": events.lists(jets["phi"], n_jets),
            "met": rng.exponential(22.0, n).astype(np.float32),
        },
    )


PROBLEM = Problem(
    text=TEXT,
    inputs={"ntuple": "data/{sample}.root"},
    outputs={"arrays": "results/{sample}.npz"},
    params={"min_photon_pt": 25.0},
    wildcards={"sample": "VBF"},
    contracts=("weights_sum('weight')",),
    probes=None,
    make=make,
)
