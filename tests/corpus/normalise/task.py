from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus import events
from tests.corpus.problems import Problem

TEXT = """\
Normalise the simulated sample {sample} to the luminosity params.luminosity_fb (fb^-1). The input `events` is a tree
`mini` of events that passed the skim; the sum of the generator weights before the skim, the cross section in pb
(branching ratio included; the branching ratio is listed for reference only), the k-factor and the filter efficiency
stand in the JSON file `samples` under the name of the sample. The weight of an event is mcWeight * scaleFactor_PHOTON
* scaleFactor_PILEUP * luminosity * xsec_pb * k_factor * filter_efficiency / sum_of_weights. Outputs: `events`, a
parquet file with event_number, m_yy (GeV; in the tree it is in MeV) and weight, one row per event; and `yields`, a
JSON file with n_events, yield and yield_error (square root of the sum of squared weights).
"""
SAMPLES = {
    "ggF": {
        "dsid": 343981, "xsec_pb": 0.0642, "branching_ratio": 0.00227, "k_factor": 1.717, "filter_efficiency": 0.943,
        "sum_of_weights": 0.0, "generator": "PowhegPythia8",
    },
    "VBF": {
        "dsid": 346214, "xsec_pb": 0.00858, "branching_ratio": 0.00227, "k_factor": 1.0, "filter_efficiency": 0.98,
        "sum_of_weights": 3441426.137, "generator": "PowhegPythia8",
    },
}  # fmt: skip


def make(folder: Path) -> None:
    rng = np.random.default_rng(606)
    n = 20_000
    weight = events.weights(rng, n, 28.3, 0.12).astype(np.float32)
    # The skim kept 62 % of the weights that were generated.
    SAMPLES["ggF"]["sum_of_weights"] = round(float(weight.sum(dtype=float)) / 0.62, 3)
    events.write_json(folder / "data/samples.json", SAMPLES)
    events.write_tree(
        folder / "data/ggF.root",
        "mini",
        {
            "eventNumber": events.numbers(rng, n),
            "mcWeight": weight,
            "scaleFactor_PHOTON": rng.normal(0.96, 0.03, n).astype(np.float32),
            "scaleFactor_PILEUP": rng.gamma(20.0, 1.04 / 20.0, n).astype(np.float32),
            "m_yy": (events.masses(rng, n, signal=True) * 1000).astype(np.float32),
        },
    )


PROBLEM = Problem(
    text=TEXT,
    inputs={"events": "data/{sample}.root", "samples": "data/samples.json"},
    outputs={"events": "results/{sample}.parquet", "yields": "results/{sample}_yields.json"},
    params={"luminosity_fb": 36.1},
    wildcards={"sample": "ggF"},
    contracts=(
        "weights_sum('weight', total=2320, tolerance=0.1)",
        "mass_window(80, 200, column='m_yy')",
        "poisson_errors",
    ),
    probes=(
        "half_events()",
        "scale_weights(2, column='mcWeight')",
        "shuffle_events()",
        "drop_branch('scaleFactor_PILEUP')",
    ),
    make=make,
)
