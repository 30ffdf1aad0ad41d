"""A parametrised detector: from true photons to what the 2020 diphoton ntuples hold.

The energy response was tuned so that the simulated m_yy of gg -> H -> gamma gamma agrees with the official simulation
of the ATLAS Open Data 2020 release: fractions of events per bin of 1.8 GeV to 0.01, double-sided Crystal Ball sigma
2.3 GeV after the official selection. The efficiencies and isolations are plausible shapes, adjusted to the acceptance
times efficiency of 0.35 of that release. Jets are smeared by a calorimeter's resolution, and the missing transverse
momentum by what jets and soft activity leave unmeasured. Neither pile-up nor misidentified jets are simulated.

Energies are in GeV here; ``ntuple.py`` converts to the MeV of the release.
"""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Regions of |eta|: central barrel, outer barrel, inner endcap, outer endcap.
REGION_EDGES = (0.8, 1.37, 1.81)
SAMPLING_TERM = np.array([0.10, 0.13, 0.17, 0.12])  # relative resolution at 1 GeV
CONSTANT_TERM = np.array([0.0144, 0.0216, 0.0339, 0.0261])  # relative resolution at high energy
CONVERTED_FRACTION = np.array([0.22, 0.38, 0.50, 0.45])
CONVERSION_TYPES = (1, 2, 3, 4, 5)
CONVERSION_TYPE_FRACTIONS = (0.18, 0.22, 0.35, 0.15, 0.10)

CONVERTED_RESOLUTION_FACTOR = 1.29
# Energy lost in front of the calorimeter and energy of others added in it: both with power-law tails.
LOSS_FRACTION_CONVERTED = 0.10
LOSS_FRACTION_UNCONVERTED = 0.05
GAIN_FRACTION = 0.04
TAIL_SCALE = 0.06  # of the relative loss or gain
TAIL_POWER = 3.0
MAX_RELATIVE_LOSS = 0.9
ENERGY_SCALE = 1.0004

# Jets: relative resolution, sampling term at 1 GeV and constant term; nothing softer is kept, nothing beside a photon.
JET_SAMPLING_TERM = 0.6
JET_CONSTANT_TERM = 0.05
MIN_JET_PT = 25.0
MIN_JET_PHOTON_DISTANCE = 0.4
SOFT_MISSING_PT = 12.0
"""Spread of each transverse component of the missing momentum from soft activity [GeV]."""

# Preselection of the release: at least two photons, the leading one above 35 GeV.
MIN_PT = 25.0
MIN_LEADING_PT = 35.0
MAX_ABS_ETA = 2.37

# The official selection of the 2020 release.
CRACK = (1.37, 1.52)
MAX_RELATIVE_ISOLATION = 0.065
MIN_RELATIVE_PT = (0.35, 0.25)  # of m_yy, leading and subleading
MASS_WINDOW = (105.0, 160.0)


def simulate_detector(events: ak.Array, rng: Generator) -> ak.Array:
    """Measure photons and jets and keep the events that pass the preselection of the release.

    Args:
        events: lists of true ``photon`` and ``jet`` per event, with ``pt``, ``eta``, ``phi`` and ``E`` [GeV].
        rng: source of all random numbers.

    Returns:
        The kept events with the fields ``photon`` (photons above the preselection, sorted by pt, with ``pt``, ``eta``,
        ``phi``, ``E``, ``convType``, ``isTightID``, ``ptcone30`` and ``etcone20``; energies in GeV), ``jet`` (``pt``,
        ``eta``, ``phi``, ``E``, sorted by pt), ``met_et``, ``met_phi``, ``trigP``, ``scaleFactor_PHOTON``,
        ``scaleFactor_PhotonTRIGGER`` and ``scaleFactor_PILEUP``.
    """
    photons, kept = _preselect(_smear(events.photon, rng))
    photons = _identify(photons, rng)
    jets, missing = _measure_jets(events.jet[kept], photons, rng)
    return ak.zip(
        {
            "photon": photons,
            "jet": jets,
            **missing,
            "trigP": rng.random(len(photons)) < _trigger_efficiency(photons),
            **_scale_factors(photons, rng),
        },
        depth_limit=1,
    )


def lose_like_data(events: ak.Array, rng: Generator) -> ak.Array:
    """Drop events so that simulation times scale factors describes what is left.

    Simulated photons are found a little more often than those of pseudo-data; the scale factors of photons and trigger
    correct for it. Whoever forgets them predicts about five per cent too many events.
    """
    kept = rng.random(len(events)) < events.scaleFactor_PHOTON * events.scaleFactor_PhotonTRIGGER
    return events[kept]


def select(events: ak.Array) -> tuple[NDArray[np.bool_], Floats]:
    """Apply the official selection of the 2020 release, to know what an analysis should find.

    Returns:
        Which events pass, and m_yy [GeV] of every event (NaN without exactly two good photons).
    """
    photons = events.photon
    eta = abs(photons.eta)
    fiducial = (eta < MAX_ABS_ETA) & ((eta < CRACK[0]) | (eta > CRACK[1]))
    good = photons[photons.isTightID & (photons.pt > MIN_PT) & fiducial]
    two = ak.to_numpy(ak.num(good) == 2)
    pairs = ak.mask(good, two)
    lead, sub = pairs[:, 0], pairs[:, 1]
    mass = np.sqrt(2 * lead.pt * sub.pt * (np.cosh(lead.eta - sub.eta) - np.cos(lead.phi - sub.phi)))
    isolated = True
    for photon in (lead, sub):
        isolated = isolated & (photon.ptcone30 < MAX_RELATIVE_ISOLATION * photon.pt)
        isolated = isolated & (photon.etcone20 < MAX_RELATIVE_ISOLATION * photon.pt)
    hard = (lead.pt > MIN_RELATIVE_PT[0] * mass) & (sub.pt > MIN_RELATIVE_PT[1] * mass)
    in_window = (mass > MASS_WINDOW[0]) & (mass < MASS_WINDOW[1])
    passed = ak.fill_none(events.trigP & isolated & hard & in_window, False)
    return ak.to_numpy(passed), ak.to_numpy(ak.fill_none(mass, np.nan)).astype(np.float64)


def _smear(photons: ak.Array, rng: Generator) -> ak.Array:
    """Convert photons in the tracker and measure their energies."""
    flat = ak.flatten(photons)
    energy = ak.to_numpy(flat.E)
    region = _region(flat)
    converted = rng.random(len(flat)) < CONVERTED_FRACTION[region]
    kind = rng.choice(CONVERSION_TYPES, size=len(flat), p=CONVERSION_TYPE_FRACTIONS)
    resolution = np.hypot(SAMPLING_TERM[region] / np.sqrt(energy), CONSTANT_TERM[region])
    resolution = resolution * np.where(converted, CONVERTED_RESOLUTION_FACTOR, 1.0)
    loss = _tail(np.where(converted, LOSS_FRACTION_CONVERTED, LOSS_FRACTION_UNCONVERTED), rng)
    gain = _tail(np.full(len(flat), GAIN_FRACTION), rng)
    core = 1 + resolution * rng.standard_normal(len(flat))
    response = ENERGY_SCALE * (core - np.minimum(loss, MAX_RELATIVE_LOSS) + gain)
    measured = {
        "pt": flat.pt * response,
        "eta": flat.eta,
        "phi": flat.phi,
        "E": energy * response,
        "convType": np.where(converted, kind, 0),
    }
    return ak.unflatten(ak.zip(measured), ak.num(photons))


def _tail(fraction: Floats, rng: Generator) -> Floats:
    """Return a relative change of energy that is zero but for the given fraction of photons."""
    affected = rng.random(len(fraction)) < fraction
    return np.where(affected, TAIL_SCALE * rng.pareto(TAIL_POWER, len(fraction)), 0.0)


def _preselect(photons: ak.Array) -> tuple[ak.Array, ak.Array]:
    """Keep measured photons and events as the release does; return them, and which events were kept."""
    photons = photons[(photons.pt > MIN_PT) & (abs(photons.eta) < MAX_ABS_ETA)]
    photons = photons[ak.argsort(photons.pt, ascending=False)]
    kept = (ak.num(photons) >= 2) & (ak.fill_none(ak.firsts(photons.pt), 0.0) > MIN_LEADING_PT)
    return photons[kept], kept


def _measure_jets(jets: ak.Array, photons: ak.Array, rng: Generator) -> tuple[ak.Array, dict[str, Floats]]:
    """Smear jets, and return those of the ntuple and the missing transverse momentum [GeV]."""
    flat = ak.flatten(jets)
    energy = ak.to_numpy(flat.E)
    resolution = np.hypot(JET_SAMPLING_TERM / np.sqrt(energy), JET_CONSTANT_TERM)
    response = np.clip(1 + resolution * rng.standard_normal(len(flat)), 0.1, None)
    unmeasured = ak.to_numpy(flat.pt) * (1 - response)
    phi = ak.to_numpy(flat.phi)
    counts = ak.num(jets)
    missing = [
        ak.to_numpy(ak.sum(ak.unflatten(unmeasured * direction, counts), axis=1))
        + rng.normal(0.0, SOFT_MISSING_PT, len(jets))
        for direction in (np.cos(phi), np.sin(phi))
    ]
    measured = ak.zip({"pt": flat.pt * response, "eta": flat.eta, "phi": flat.phi, "E": flat.E * response})
    measured = ak.unflatten(measured, counts)
    pairs = ak.cartesian({"jet": measured, "photon": photons}, nested=True)
    turn = np.abs((pairs.jet.phi - pairs.photon.phi + np.pi) % (2 * np.pi) - np.pi)
    beside = ak.any(np.hypot(pairs.jet.eta - pairs.photon.eta, turn) < MIN_JET_PHOTON_DISTANCE, axis=-1)
    measured = measured[(measured.pt > MIN_JET_PT) & ~beside]
    measured = measured[ak.argsort(measured.pt, ascending=False)]
    return measured, {"met_et": np.hypot(*missing), "met_phi": np.arctan2(missing[1], missing[0])}


def _identify(photons: ak.Array, rng: Generator) -> ak.Array:
    """Add tight identification and the two isolation sums [GeV]."""
    flat = ak.flatten(photons)
    size = len(flat)
    tight_efficiency = 0.915 * (1 - np.exp(-(ak.to_numpy(flat.pt) - 10.0) / 12.0))
    tracks = np.where(rng.random(size) < 0.75, 0.0, rng.exponential(1.2, size))
    clusters = rng.normal(0.3, 1.0, size) + np.where(rng.random(size) < 0.1, rng.exponential(2.0, size), 0.0)
    flat = ak.with_field(flat, rng.random(size) < tight_efficiency, "isTightID")
    flat = ak.with_field(flat, tracks, "ptcone30")
    flat = ak.with_field(flat, clusters, "etcone20")
    return ak.unflatten(flat, ak.num(photons))


def _trigger_efficiency(photons: ak.Array) -> Floats:
    """Return the efficiency of the diphoton trigger (35 and 25 GeV) per event."""
    leading = 1 - 0.5 * np.exp(-(ak.to_numpy(photons.pt[:, 0]) - MIN_LEADING_PT) / 2.0)
    subleading = 1 - 0.5 * np.exp(-(ak.to_numpy(photons.pt[:, 1]) - MIN_PT) / 2.0)
    return 0.99 * leading * subleading


def _scale_factors(photons: ak.Array, rng: Generator) -> dict[str, Floats]:
    """Return the corrections of simulation to data per event."""
    pair = photons[:, :2]
    flat = ak.flatten(pair)
    per_photon = np.array([0.985, 0.980, 0.970, 0.975])[_region(flat)] - 0.005 * (flat.convType > 0)
    return {
        "scaleFactor_PHOTON": ak.to_numpy(per_photon).reshape(-1, 2).prod(axis=1),
        "scaleFactor_PhotonTRIGGER": np.where(ak.to_numpy(pair.pt[:, 1]) < 30.0, 0.980, 0.990),
        "scaleFactor_PILEUP": rng.gamma(shape=16.0, scale=1 / 16.0, size=len(photons)),  # mean 1, spread 0.25
    }


def _region(flat_photons: ak.Array) -> NDArray[np.intp]:
    """Return the index of the region of |eta| of each photon."""
    return np.digitize(np.abs(ak.to_numpy(flat_photons.eta)), REGION_EDGES)
