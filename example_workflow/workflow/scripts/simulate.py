"""Simulate one sample of diphoton events: a way to make Higgs bosons, or pseudo-data of a given luminosity.

Run by the rule ``simulate``; the functions can be imported as well. Beside the ntuple a small JSON file with the truth
is written: what was generated and what an analysis should find. Only the final check reads it.
"""

import json
import logging
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import detector
import numpy as np
from ntuple import to_ntuple, write_ntuple
from pythia_photons import CONTINUUM, GLUON_FUSION, VECTOR_BOSON_FUSION, generate

PB_PER_FB = 1000.0  # luminosity: 1 / fb = 1000 / pb
SIGNAL_CHANNELS = {"ggH": 900001, "VBF": 900002}
SIGNAL_PROCESSES = {"ggH": GLUON_FUSION, "VBF": VECTOR_BOSON_FUSION}
PSEUDODATA_CHANNEL = 900100

# The simulated continuum falls a little slower than an exponential at both ends of 105 to 160 GeV. Thinned by at most
# five per cent there, it is an exponential, and the fit of the example is unbiased.
CONTINUUM_CURVATURE = 0.045
WINDOW_CENTRE = 132.5  # [GeV]
WINDOW_HALF_WIDTH = 27.5  # [GeV]


def simulate_signal(sample: str, config: Mapping[str, Any]) -> tuple[dict[str, ak.Array], dict[str, Any]]:
    """Simulate one way to make a Higgs boson that decays to two photons.

    Args:
        sample: a key of ``SIGNAL_PROCESSES``.
        config: the section ``simulation`` of the configuration.

    Returns:
        The branches of the ntuple, and the truth about it.
    """
    generated = config["signal_events"][sample]
    cross_section_pb = config["higgs_cross_section_pb"][sample]
    number = SIGNAL_CHANNELS[sample]
    particles = generate(SIGNAL_PROCESSES[sample], n_events=generated, seed=config["seed"] + number)
    events = detector.simulate_detector(particles, np.random.default_rng([config["seed"], number]))
    ntuple = to_ntuple(
        events,
        channel=number,
        cross_section_pb=cross_section_pb,
        sum_of_weights=float(generated),
        is_data=False,
    )
    passed, _ = detector.select(events)
    factors = events.scaleFactor_PHOTON * events.scaleFactor_PhotonTRIGGER * events.scaleFactor_PILEUP
    per_event = config["luminosity_per_fb"] * PB_PER_FB * cross_section_pb / generated
    truth = {
        "generated": generated,
        "written": len(events),
        "selected": int(passed.sum()),
        "selected_yield": float(ak.sum(factors[passed]) * per_event),
    }
    return ntuple, truth


def simulate_pseudodata(config: Mapping[str, Any]) -> tuple[dict[str, ak.Array], dict[str, Any]]:
    """Simulate the continuum with Higgs bosons in it, as many of each as the luminosity makes.

    The Higgs bosons are generated anew: they are statistically independent of the signal samples.

    Args:
        config: the section ``simulation`` of the configuration.

    Returns:
        The branches of the ntuple, and the truth about it.
    """
    seed = config["seed"]
    rng = np.random.default_rng([seed, 1])
    luminosity_per_pb = config["luminosity_per_fb"] * PB_PER_FB
    expected = {
        name: luminosity_per_pb * config["higgs_cross_section_pb"][name] * config["signal_strength"]
        for name in SIGNAL_PROCESSES
    }
    n_higgs = {name: int(rng.poisson(number)) for name, number in expected.items()}
    n_continuum = int(rng.poisson(luminosity_per_pb * config["continuum_cross_section_pb"]))
    higgs = [
        generate(process, n_events=n_higgs[name], seed=seed + 1 + index)
        for index, (name, process) in enumerate(SIGNAL_PROCESSES.items())
    ]
    continuum = generate(CONTINUUM, n_events=n_continuum, seed=seed + 2 + len(higgs))
    if config["exponential_continuum"]:
        continuum = _make_exponential(continuum, rng)
    parts = [detector.lose_like_data(detector.simulate_detector(one, rng), rng) for one in (*higgs, continuum)]
    events = ak.concatenate(parts)
    is_higgs = np.arange(len(events)) < len(events) - len(parts[-1])
    order = rng.permutation(len(events))
    events, is_higgs = events[order], is_higgs[order]
    ntuple = to_ntuple(events, channel=PSEUDODATA_CHANNEL, cross_section_pb=0.0, sum_of_weights=0.0, is_data=True)
    passed, _ = detector.select(events)
    truth = {
        "generated": sum(n_higgs.values()) + n_continuum,
        "written": len(events),
        "selected": int(passed.sum()),
        "selected_higgs": int((passed & is_higgs).sum()),
    }
    return ntuple, truth


def _make_exponential(events: ak.Array, rng: np.random.Generator) -> ak.Array:
    """Drop events as a function of their true diphoton mass until the spectrum is an exponential."""
    events = events[ak.num(events.photon) >= 2]
    photons = events.photon[ak.argsort(events.photon.pt, ascending=False)]
    lead, sub = photons[:, 0], photons[:, 1]
    mass = np.sqrt(2 * lead.pt * sub.pt * (np.cosh(lead.eta - sub.eta) - np.cos(lead.phi - sub.phi)))
    distance = (ak.to_numpy(mass) - WINDOW_CENTRE) / WINDOW_HALF_WIDTH
    return events[rng.random(len(events)) < np.exp(-CONTINUUM_CURVATURE * distance**2)]


SAMPLES = {**{name: partial(simulate_signal, name) for name in SIGNAL_PROCESSES}, "data": simulate_pseudodata}


def main(snakemake: Any) -> None:
    """Simulate the sample of a Snakemake job and write ntuple and truth."""
    logging.basicConfig(filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(message)s")
    sample = snakemake.wildcards.sample
    config = snakemake.params.simulation
    started = time.process_time()
    try:
        ntuple, truth = SAMPLES[sample](config)
    except BaseException as error:
        logging.error("%s", error)
        raise
    write_ntuple(snakemake.output.ntuple, ntuple)
    record = {"simulation": True, "generator": "Pythia 8", "sample": sample, "config": dict(config), **truth}
    Path(snakemake.output.truth).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    logging.info("%s", json.dumps(record, indent=2))
    logging.info("%.1f s of CPU time", time.process_time() - started)


if "snakemake" in globals():
    main(snakemake)  # noqa: F821
