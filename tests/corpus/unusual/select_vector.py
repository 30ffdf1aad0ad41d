# Awkward from the first to the last line: combinations of photons as four-vectors.
import awkward as ak
import numpy as np
import uproot
import vector

vector.register_awkward()

events = uproot.concatenate([f"{path}:mini" for path in snakemake.input], library="ak")
events = events[events.trigP]
photons = ak.zip(
    {
        "pt": ak.values_astype(events.photon_pt, "float64") / 1000,  # MeV -> GeV
        "eta": ak.values_astype(events.photon_eta, "float64"),
        "phi": ak.values_astype(events.photon_phi, "float64"),
        "mass": ak.zeros_like(events.photon_pt, dtype="float64"),
        "track": events.photon_ptcone30 / events.photon_pt,
        "calo": events.photon_etcone20 / events.photon_pt,
        "tight": events.photon_isTightID,
    },
    with_name="Momentum4D",
)
in_barrel, in_endcap = abs(photons.eta) < 1.37, (abs(photons.eta) > 1.52) & (abs(photons.eta) < 2.37)
photons = photons[photons.tight & (in_barrel | in_endcap) & (photons.track < 0.065) & (photons.calo < 0.065)]
photons = photons[ak.argsort(photons.pt, ascending=False)]
events, photons = events[ak.num(photons) >= 2], photons[ak.num(photons) >= 2]
lead, sub = photons[:, 0], photons[:, 1]
pair = lead + sub
min_lead, min_sub = snakemake.params["min_pt"]
ok = (lead.pt > min_lead) & (sub.pt > min_sub) & (pair.mass > 105) & (pair.mass < 160)
print(f"{snakemake.wildcards['sample']}: {len(events)} pairs, {ak.sum(ok)} selected")
weight = ak.values_astype(events.mcWeight, "float64") * events.scaleFactor_PHOTON * events.scaleFactor_PILEUP
ak.to_parquet(
    ak.zip(
        {
            "event_number": ak.values_astype(events.eventNumber, np.uint64), "weight": weight, "m_yy": pair.mass,
            "pt1": lead.pt, "pt2": sub.pt, "eta1": lead.eta, "eta2": sub.eta, "phi1": lead.phi, "phi2": sub.phi,
        }
    )[ok],
    snakemake.output[0],
    extensionarray=False,
)
