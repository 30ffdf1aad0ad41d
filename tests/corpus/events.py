"""Small events that look like those of an analysis: a peak on a continuum, weights of both signs, ragged lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, Any]
FIRST_EVENT = 3_100_000_000
"""Event numbers start beyond what single precision and 31 bits can tell apart."""


def masses(rng: np.random.Generator, n: int, *, signal: bool, low: float = 85.0, high: float = 190.0) -> Any:
    """Masses [GeV]: a peak at 125 with two resolutions, or a falling continuum."""
    if signal:
        return rng.normal(125.0, np.where(rng.random(n) < 0.5, 1.4, 2.4))
    slope = 0.025
    u = rng.random(n)
    return low - np.log(1 - u * (1 - np.exp(-slope * (high - low)))) / slope


def decays(rng: np.random.Generator, mass: Any) -> tuple[Any, Any, Any]:
    """pT, eta, phi, each of shape (events, 2), of two photons from a moving particle of these masses."""
    n = len(mass)
    pt, y, phi = rng.exponential(30.0, n) + 1.0, rng.normal(0.0, 0.9, n), rng.uniform(-np.pi, np.pi, n)
    transverse = np.hypot(mass, pt)
    parent = np.stack([pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(y)], axis=1)
    energy = transverse * np.cosh(y)
    cos, angle = rng.uniform(-1, 1, n), rng.uniform(-np.pi, np.pi, n)
    sin = np.sqrt(1 - cos**2)
    axis = np.stack([sin * np.cos(angle), sin * np.sin(angle), cos], axis=1)
    beta = parent / energy[:, None]
    gamma = energy / mass
    photons = []
    for sign in (1.0, -1.0):
        p = sign * axis * (mass / 2)[:, None]
        along = (beta * p).sum(axis=1)
        factor = gamma**2 / (gamma + 1) * along + gamma * mass / 2
        photons.append(p + factor[:, None] * beta)
    both = np.stack(photons, axis=1)
    pts = np.hypot(both[:, :, 0], both[:, :, 1])
    return pts, np.arcsinh(both[:, :, 2] / pts), np.arctan2(both[:, :, 1], both[:, :, 0])


def weights(rng: np.random.Generator, n: int, mean: float = 1.0, negative: float = 0.1) -> Any:
    """Weights of a generator: of various sizes, some of them negative, on average `mean`."""
    size = rng.gamma(9.0, 1 / 9.0, n)
    sign = np.where(rng.random(n) < negative, -1.0, 1.0)
    return mean * size * sign / (1 - 2 * negative)


def numbers(rng: np.random.Generator, n: int) -> Any:
    """Event numbers: unique, large, in no order."""
    return (FIRST_EVENT + rng.permutation(np.arange(n)) * 3).astype(np.uint64)


def photons(rng: np.random.Generator, mass: Any, unit: float = 1.0) -> tuple[Arrays, Any]:
    """Ragged lists of photons in no order, with a third one or a lost one here and there, and how many each event has.

    Args:
        rng: where numbers come from.
        mass: of the pair [GeV].
        unit: of energies in the result, 1000 for MeV.
    """
    n = len(mass)
    pt, eta, phi = decays(rng, mass)
    third = np.stack([rng.exponential(12.0, n) + 10, rng.normal(0, 1.3, n), rng.uniform(-np.pi, np.pi, n)], axis=1)
    kept = np.stack([np.ones(n, bool), rng.random(n) < 0.9, rng.random(n) < 0.15], axis=1)
    columns = [np.concatenate([pair, third[:, i : i + 1]], axis=1) for i, pair in enumerate((pt, eta, phi))]
    order = np.argsort(rng.random((n, 3)), axis=1)
    columns = [np.take_along_axis(column, order, axis=1) for column in columns]
    kept = np.take_along_axis(kept, order, axis=1)
    counts = kept.sum(axis=1)
    flat_pt, flat_eta, flat_phi = (column[kept] for column in columns)
    m = len(flat_pt)
    isolation = flat_pt * rng.exponential(0.025, m)
    return {
        "pt": (flat_pt * unit).astype(np.float32), "eta": flat_eta.astype(np.float32),
        "phi": flat_phi.astype(np.float32), "tight": rng.random(m) < 0.88,
        "track_isolation": (isolation * unit).astype(np.float32),
        "calo_isolation": (flat_pt * rng.normal(0.01, 0.025, m) * unit).astype(np.float32),
    }, counts  # fmt: skip


def jets(rng: np.random.Generator, n: int, unit: float = 1.0) -> tuple[Arrays, Any]:
    """Ragged lists of jets in no order, and how many each event has."""
    counts = rng.poisson(1.3, n)
    m = int(counts.sum())
    return {
        "pt": ((rng.exponential(35.0, m) + 20.0) * unit).astype(np.float32),
        "eta": rng.normal(0.0, 1.8, m).astype(np.float32),
        "phi": rng.uniform(-np.pi, np.pi, m).astype(np.float32),
    }, counts  # fmt: skip


def lists(flat: Any, counts: Any) -> Any:
    """A ragged array."""
    import awkward as ak

    return ak.unflatten(flat, counts)


def write_tree(path: Path, name: str, columns: Mapping[str, Any]) -> None:
    """Write a TTree, ragged columns with counters `nCOLUMN`."""
    import uproot

    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        types = {key: array.type.content if hasattr(array, "layout") else array.dtype for key, array in columns.items()}
        file.mktree(name, types)
        file[name].extend(dict(columns))


def write_parquet(path: Path, columns: Mapping[str, Any]) -> None:
    """Write a flat table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)


def write_npz(path: Path, columns: Mapping[str, Any]) -> None:
    """Write arrays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **dict(columns))


def write_json(path: Path, document: Any) -> None:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")
