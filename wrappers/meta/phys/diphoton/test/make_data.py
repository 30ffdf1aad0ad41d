"""Lay out a folder like the CERN Open Data portal, with toy ntuples of one release: data and a simulated signal.

The toy data are 6000 continuum photon pairs and 400 from H -> γγ, that is before the selection. Those of a Higgs boson
have event numbers from 1,000,000 on.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

HIGGS, CONTINUUM, SIMULATED = 400, 6000, 20_000
FIRST_HIGGS = 1_000_000


def photon_pairs(rng: np.random.Generator, mass: np.ndarray) -> dict[str, np.ndarray]:
    """Let pairs of these masses [GeV] decay; return pt, eta, phi and energy of photons, shape (pairs, 2) each."""
    number = len(mass)
    cos_theta, angle = rng.uniform(-0.6, 0.6, number), rng.uniform(-np.pi, np.pi, number)
    sin_theta = np.sqrt(1 - cos_theta**2)
    direction = np.stack([sin_theta * np.cos(angle), sin_theta * np.sin(angle), cos_theta])
    half = mass / 2
    # a boost along x by the pair's momentum, one along the beam by its rapidity, and any angle around the beam
    transverse, rapidity = rng.exponential(25, number), rng.normal(0, 0.7, number)
    turn = rng.uniform(-np.pi, np.pi, number)
    gamma_beta, gamma = transverse / mass, np.sqrt(1 + (transverse / mass) ** 2)
    columns = []
    for sign in (1, -1):
        x, y, z = sign * half * direction
        energy, x = gamma * half + gamma_beta * x, gamma * x + gamma_beta * half
        z = z * np.cosh(rapidity) + energy * np.sinh(rapidity)
        pt = np.hypot(x, y)
        eta = np.arcsinh(z / pt)
        phi = (np.arctan2(y, x) + turn + np.pi) % (2 * np.pi) - np.pi
        columns.append([pt, eta, phi, pt * np.cosh(eta)])
    pt, eta, phi, energy = np.stack(columns, axis=-1)
    return {"pt": pt, "eta": eta, "phi": phi, "energy": energy}


def peak(rng: np.random.Generator, number: int) -> np.ndarray:
    """Draw masses as a calorimeter sees 125 GeV: a Gaussian with a tail to the left."""
    tail = rng.random(number) < 0.1
    return rng.normal(125, 1.7, number) - tail * rng.exponential(3, number)


def falling(rng: np.random.Generator, number: int) -> np.ndarray:
    """Draw masses of the continuum from 95 to 180 GeV."""
    return 95 - 35 * np.log1p(rng.random(number) * np.expm1(-85 / 35))


def ntuple(
    rng: np.random.Generator, mass: np.ndarray, numbers: np.ndarray, release: str, simulated: bool
) -> dict[str, Any]:
    """Return branches as in the files of a release: in MeV in 2020, in GeV in 2025."""
    old = release == "2020"
    unit = 1000.0 if old else 1.0
    size = len(mass)
    pairs = photon_pairs(rng, mass)
    photon = {
        "pt": pairs["pt"] * unit,
        "eta": pairs["eta"],
        "phi": pairs["phi"],
        "E" if old else "e": pairs["energy"] * unit,
        "ptcone30" if old else "ptcone20": rng.exponential(0.5, (size, 2)) * unit,
        "etcone20" if old else "topoetcone40": rng.exponential(0.5, (size, 2)) * unit,
    }
    photon = {name: ak.from_regular(ak.Array(values.astype(np.float32))) for name, values in photon.items()}
    photon["isTightID"] = ak.from_regular(ak.Array(rng.random((size, 2)) < 0.95))
    weights = rng.choice([-1.0, 1.0], size, p=[0.05, 0.95]) if simulated else np.zeros(size)
    ones = np.ones(size)
    if old:
        constants = {
            "mcWeight": weights,
            "XSection": 0.1 * simulated * ones,
            "SumWeights": weights.sum() * ones,
            **{f"scaleFactor_{name}": ones for name in ("PHOTON", "PhotonTRIGGER", "PILEUP")},
        }
    else:
        constants = {
            "mcWeight": weights,
            **{f"ScaleFactor_{name}": ones for name in ("PHOTON", "PILEUP")},
            "xsec": 44.0 * simulated * ones,
            "filteff": 0.00227 * ones,
            "kfac": ones,
            "sum_of_weights": weights.sum() * ones,
        }
    return {
        "runNumber": np.full(size, 1, dtype=np.int32),
        "eventNumber": numbers.astype(np.int32 if old else np.uint64),
        "channelNumber": np.full(size, 900001 if simulated else 900100, dtype=np.int32),
        **{name: values.astype(np.float32) for name, values in constants.items()},
        "trigP": rng.random(size) < 0.98,
        "photon": ak.zip(photon),
    }


def write(path: str, tree: str, branches: dict[str, Any]) -> None:
    """Write a TTree."""
    with uproot.recreate(path) as file:
        types = {name: getattr(values, "dtype", None) or values.type.content for name, values in branches.items()}
        file.mktree(tree, types).extend(branches)


release = snakemake.wildcards.release
rng = np.random.default_rng(int(release))
mass = np.concatenate([falling(rng, CONTINUUM), peak(rng, HIGGS)])
numbers = np.concatenate([np.arange(CONTINUUM), FIRST_HIGGS + np.arange(HIGGS)])
order = rng.permutation(len(mass))
tree = "mini" if release == "2020" else "analysis"
write(snakemake.output.data, tree, ntuple(rng, mass[order], numbers[order], release, simulated=False))
simulation = ntuple(rng, peak(rng, SIMULATED), np.arange(SIMULATED), release, simulated=True)
write(snakemake.output.signal, tree, simulation)

files = []
for path in (snakemake.output.data, snakemake.output.signal):
    content = Path(path).read_bytes()
    uri = f"root://eospublic.cern.ch//{path.partition('/')[2]}"
    files.append({"uri": uri, "size": len(content), "checksum": f"adler32:{zlib.adler32(content):08x}"})
metadata = {"title": "Toy events", "license": {"attribution": "CC0-1.0"}, "files": files}
Path(snakemake.output.record).write_text(json.dumps({"metadata": metadata}), encoding="utf-8")
