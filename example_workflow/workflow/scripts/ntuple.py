"""Write simulated events as the diphoton ntuples of the ATLAS Open Data 2020 release are laid out.

The tree is called ``mini``; momenta, energies and isolations are in MeV. Of the branches of the release those about
photons, jets, missing momentum, trigger, weights and identity of the event are written. Leptons are not simulated, and
therefore absent. The ragged branches share the counters ``nphoton`` and ``njet``, which the release does not have.

Source: record 15006 of the CERN Open Data portal, doi:10.7483/OPENDATA.ATLAS.B5BJ.3SGS.
"""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import uproot

MEV_PER_GEV = 1000.0
TITLE = "SIMULATION, not ATLAS data: Pythia 8 and a parametrised detector, layout of the 2020 release"

SCALAR_BRANCHES = {
    "runNumber": "int32",
    "eventNumber": "int32",
    "channelNumber": "int32",
    "mcWeight": "float32",
    "XSection": "float32",  # [pb], including the branching ratio
    "SumWeights": "float32",
    "scaleFactor_PILEUP": "float32",
    "scaleFactor_ELE": "float32",
    "scaleFactor_MUON": "float32",
    "scaleFactor_PHOTON": "float32",
    "scaleFactor_TAU": "float32",
    "scaleFactor_BTAG": "float32",
    "scaleFactor_LepTRIGGER": "float32",
    "scaleFactor_PhotonTRIGGER": "float32",
    "trigE": "bool",
    "trigM": "bool",
    "trigP": "bool",  # the diphoton trigger
    "photon_n": "uint32",
    "jet_n": "uint32",
    "met_et": "float32",  # [MeV]
    "met_phi": "float32",
}

PHOTON_BRANCHES = {
    "truthMatched": "bool",
    "trigMatched": "bool",
    "pt": "float32",  # [MeV]
    "eta": "float32",
    "phi": "float32",
    "E": "float32",  # [MeV]
    "isTightID": "bool",
    "ptcone30": "float32",  # [MeV]
    "etcone20": "float32",  # [MeV]
    "convType": "int32",  # 0: unconverted, 1 to 5: converted
    "pt_syst": "float32",  # [MeV], one standard deviation of the energy scale
}

JET_BRANCHES = {
    "pt": "float32",  # [MeV]
    "eta": "float32",
    "phi": "float32",
    "E": "float32",  # [MeV]
}

ENERGIES = ("pt", "E", "ptcone30", "etcone20", "pt_syst")
RELATIVE_SCALE_UNCERTAINTY = 0.005


def to_ntuple(
    events: ak.Array,
    *,
    channel: int,
    cross_section_pb: float,
    sum_of_weights: float,
    is_data: bool,
) -> dict[str, ak.Array]:
    """Arrange events as the branches of the tree.

    Args:
        events: what ``detector.simulate_detector`` returns, energies in GeV.
        channel: number of the sample, 900000 or above so that nobody takes it for one of ATLAS.
        cross_section_pb: cross-section times branching ratio [pb]; 0 for (pseudo-)data.
        sum_of_weights: sum of the weights of all generated events; 0 for (pseudo-)data.
        is_data: (pseudo-)data carry neither truth nor scale factors.
    """
    size = len(events)
    scalars = {
        "runNumber": np.full(size, 900000),
        "eventNumber": np.arange(1, size + 1),
        "channelNumber": np.full(size, channel),
        "mcWeight": np.ones(size),
        "XSection": np.full(size, cross_section_pb),
        "SumWeights": np.full(size, sum_of_weights),
        "trigE": np.zeros(size),
        "trigM": np.zeros(size),
        "trigP": events.trigP,
        "photon_n": ak.num(events.photon),
        "jet_n": ak.num(events.jet),
        "met_et": events.met_et * MEV_PER_GEV,
        "met_phi": events.met_phi,
    }
    for name in SCALAR_BRANCHES:
        if name.startswith("scaleFactor_"):
            has_factor = not is_data and name in events.fields
            scalars[name] = events[name] if has_factor else np.ones(size)
    branches = {name: ak.values_astype(scalars[name], kind) for name, kind in SCALAR_BRANCHES.items()}
    return {
        **branches,
        "photon": _photon_branches(events.photon, is_data=is_data),
        "jet": _in_mev({name: events.jet[name] for name in JET_BRANCHES}, JET_BRANCHES),
    }


def write_ntuple(path: str | Path, ntuple: dict[str, ak.Array]) -> None:
    """Write the tree ``mini`` (a TTree: plain assignment would make it an RNTuple)."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path, compression=uproot.ZLIB(6)) as file:
        tree = file.mktree("mini", {name: array.type.content for name, array in ntuple.items()}, title=TITLE)
        tree.extend(ntuple)


def _photon_branches(photons: ak.Array, *, is_data: bool) -> ak.Array:
    """Return the photons with all fields of the release, energies in MeV."""
    columns = {name: photons[name] for name in photons.fields}
    columns["pt_syst"] = photons.pt * RELATIVE_SCALE_UNCERTAINTY
    columns["trigMatched"] = ak.ones_like(photons.pt)
    columns["truthMatched"] = ak.zeros_like(photons.pt) if is_data else ak.ones_like(photons.pt)
    return _in_mev(columns, PHOTON_BRANCHES)


def _in_mev(columns: dict[str, ak.Array], kinds: dict[str, str]) -> ak.Array:
    """Return columns as records of the types of the release, energies converted from GeV."""
    scaled = {name: array * MEV_PER_GEV if name in ENERGIES else array for name, array in columns.items()}
    return ak.zip({name: ak.values_astype(scaled[name], kind) for name, kind in kinds.items()})
