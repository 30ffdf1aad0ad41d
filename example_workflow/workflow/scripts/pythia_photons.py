"""Photons and jets of proton-proton collisions at 13 TeV, from Pythia 8.

Only the hard process and initial-state radiation are simulated: multiparton interactions, final-state radiation and
hadronisation are off. That is forty times faster than full events and changes neither the diphoton mass nor the
acceptance visibly. What full events would be needed for, the activity around a photon, is parametrised in
``detector.py``. The jets are the hard quarks and gluons: without showers in the final state each is one jet.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import awkward as ak
import numpy as np

HIGGS_TO_PHOTONS = ("25:m0 = 125.", "25:onMode = off", "25:onIfMatch = 22 22")

GLUON_FUSION = ("HiggsSM:gg2H = on", *HIGGS_TO_PHOTONS)
"""gg -> H -> gamma gamma with a Higgs boson mass of 125 GeV."""

VECTOR_BOSON_FUSION = ("HiggsSM:ff2Hff(t:ZZ) = on", "HiggsSM:ff2Hff(t:WW) = on", *HIGGS_TO_PHOTONS)
"""qq -> qqH -> gamma gamma with a Higgs boson mass of 125 GeV."""

CONTINUUM = (
    "PromptPhoton:ffbar2gammagamma = on",
    "PromptPhoton:gg2gammagamma = on",
    "PhaseSpace:mHatMin = 95.",
    "PhaseSpace:mHatMax = 175.",
    "PhaseSpace:pTHatMin = 27.",
    "SpaceShower:pTmaxMatch = 2",
)
"""Prompt diphotons [GeV] in a range wide enough for a selection of 105 < m < 160 GeV and pT > 0.25 m.

The initial-state shower may be harder than the photons, as it is for Higgs bosons. Otherwise the continuum would have
hardly any jets, and would be told from the signal by them alone.
"""

FAST_MODE = (
    "Print:quiet = on",
    "Beams:eCM = 13000.",
    "Tune:pp = 21",  # ATLAS A14 with NNPDF2.3 LO
    "PartonLevel:MPI = off",
    "PartonLevel:FSR = off",
    "HadronLevel:all = off",
)

MIN_JET_PT = 20.0
"""Quarks and gluons below this transverse momentum [GeV] are dropped; the smallest jet of an ntuple has 25 GeV."""

MAX_JET_ABS_ETA = 4.5
PARTONS = (1, 2, 3, 4, 5, 21)

MIN_PT = 15.0
"""Photons below this transverse momentum [GeV] are dropped; smearing cannot lift them over a cut of 25 GeV."""

EVENTS_PER_BATCH = 20_000


def generate(process: tuple[str, ...], *, n_events: int, seed: int) -> ak.Array:
    """Generate events and keep their photons and jets.

    Args:
        process: Pythia settings that choose the hard process, such as ``GLUON_FUSION``.
        n_events: number of events to generate; events without photons are kept as empty lists.
        seed: random seed, 1 to 900,000,000. The same seed gives the same events.

    Returns:
        One record per event with the lists ``photon`` and ``jet``, each of records ``pt`` [GeV], ``eta``, ``phi`` [rad]
        and ``E`` [GeV].
    """
    generator = _import_pythia().Pythia("", False)
    for setting in (*FAST_MODE, "Random:setSeed = on", f"Random:seed = {seed}", *process):
        if not generator.readString(setting):
            raise ValueError(f"Pythia does not accept the setting {setting!r}")
    if not generator.init():
        raise RuntimeError(f"Pythia could not be initialised for {process!r}")
    batches = [_hard_objects(generator.nextBatch(size)) for size in _batches(max(n_events, 1))]
    return ak.concatenate(batches)[:n_events]


def _import_pythia() -> ModuleType:
    """Return the module ``pythia8mc``, or say how to install it."""
    try:
        import pythia8mc
    except ModuleNotFoundError as error:
        raise SystemExit(
            "The example generates its events with Pythia 8, which is not installed. Install it with\n"
            "    pip install 'snakemake-executor-plugin-llmagent[example]'"
        ) from error
    return pythia8mc


def _batches(n_events: int) -> Iterator[int]:
    """Split a number of events into batches that fit into memory."""
    for start in range(0, n_events, EVENTS_PER_BATCH):
        yield min(EVENTS_PER_BATCH, n_events - start)


def _hard_objects(events: ak.Array) -> ak.Array:
    """Return the final-state photons and jets of a batch of Pythia events."""
    particles = events.prt
    particles = particles[particles.status > 0]
    photons = _momenta(particles[particles.id == 22], min_pt=MIN_PT)
    is_parton = sum((abs(particles.id) == kind for kind in PARTONS[1:]), start=abs(particles.id) == PARTONS[0])
    jets = _momenta(particles[is_parton], min_pt=MIN_JET_PT)
    return ak.zip({"photon": photons, "jet": jets[abs(jets.eta) < MAX_JET_ABS_ETA]}, depth_limit=1)


def _momenta(particles: ak.Array, *, min_pt: float) -> ak.Array:
    """Return pt, eta, phi and E of the particles above a transverse momentum [GeV]."""
    px, py, pz, energy = particles.p.px, particles.p.py, particles.p.pz, particles.p.e
    pt = np.hypot(px, py)
    hard = pt > min_pt
    pt, pz = pt[hard], pz[hard]
    return ak.zip({"pt": pt, "eta": np.arcsinh(pz / pt), "phi": np.arctan2(py[hard], px[hard]), "E": energy[hard]})
