"""Write small files with the branches of ATLAS Open Data: a simulated sample of each release, and data of 2020."""

from typing import Any

import awkward as ak
import numpy as np
import uproot

EVENTS = 2000


def photons(rng: np.random.Generator, *, old: bool) -> dict[str, Any]:
    """Return the photons of the events; momenta are in MeV in the 2020 layout (`old`), else in GeV."""
    counts = rng.integers(2, 4, EVENTS)
    size = int(counts.sum())
    unit = 1000.0 if old else 1.0
    pt, eta = rng.exponential(30, size) + 25, rng.uniform(-2.4, 2.4, size)
    columns = {
        "pt": (pt * unit).astype(np.float32),
        "eta": eta.astype(np.float32),
        "phi": rng.uniform(-np.pi, np.pi, size).astype(np.float32),
        "E" if old else "e": (pt * np.cosh(eta) * unit).astype(np.float32),
        "isTightID": rng.random(size) < 0.8,
        "ptcone30" if old else "ptcone20": (rng.exponential(1, size) * unit).astype(np.float32),
        "etcone20" if old else "topoetcone40": (rng.exponential(1, size) * unit).astype(np.float32),
    }
    if old:
        columns["convType"] = rng.integers(0, 6, size).astype(np.int32)
    return {"photon": ak.unflatten(ak.zip(columns), counts)}


def identity(run: int, channel: int) -> dict[str, Any]:
    """Return the numbers of the events."""
    return {
        "runNumber": np.full(EVENTS, run, dtype=np.int32),
        "eventNumber": np.arange(1, EVENTS + 1, dtype=np.int32),
        "channelNumber": np.full(EVENTS, channel, dtype=np.int32),
    }


def of_2020(rng: np.random.Generator, channel: int, cross_section: float, sum_of_weights: float) -> dict[str, Any]:
    """Return events in the layout of 2020; data have neither cross section nor sum of weights."""
    simulated = sum_of_weights > 0
    numbers = {
        "mcWeight": rng.choice([-28.3, 28.3], EVENTS, p=[0.02, 0.98]) if simulated else np.zeros(EVENTS),
        "XSection": np.full(EVENTS, cross_section),
        "SumWeights": np.full(EVENTS, sum_of_weights),
    }
    for name in ("PHOTON", "PhotonTRIGGER", "PILEUP"):
        numbers[f"scaleFactor_{name}"] = rng.normal(1, 0.03, EVENTS) if simulated else np.ones(EVENTS)
    floats = {name: values.astype(np.float32) for name, values in numbers.items()}
    return {**identity(284500, channel), **floats, "trigP": rng.random(EVENTS) < 0.9, **photons(rng, old=True)}


def of_2025(rng: np.random.Generator) -> dict[str, Any]:
    """Return simulated events in the layout of 2025."""
    floats = {
        "mcWeight": rng.normal(28, 1, EVENTS),
        "ScaleFactor_PHOTON": rng.normal(1, 0.03, EVENTS),
        "ScaleFactor_PILEUP": rng.normal(1, 0.1, EVENTS),
    }
    doubles = {"xsec": 28.3, "filteff": 0.00227, "kfac": 1.717, "sum_of_weights": 5.6e7}
    return {
        **identity(284500, 343981),
        "eventNumber": np.arange(1, EVENTS + 1, dtype=np.uint64) + 2**40,
        **{name: values.astype(np.float32) for name, values in floats.items()},
        **{name: np.full(EVENTS, value) for name, value in doubles.items()},
        "trigP": rng.random(EVENTS) < 0.3,
        **photons(rng, old=False),
    }


def write(path: str, tree: str, branches: dict[str, Any]) -> None:
    """Write a TTree."""
    with uproot.recreate(path) as file:
        types = {name: getattr(values, "dtype", None) or values.type.content for name, values in branches.items()}
        file.mktree(tree, types).extend(branches)


rng = np.random.default_rng(2020)
write(snakemake.output.ggh_2020, "mini", of_2020(rng, 343981, 0.102, 55922617.63))
write(snakemake.output.tth_2020, "mini", of_2020(rng, 341081, 0.0000026433864, 485440.0))
write(snakemake.output.data_2020, "mini", of_2020(rng, 0, 0.0, 0.0))
write(snakemake.output.ggh_2025, "analysis", of_2025(rng))
