"""Ragged to flat, each output described by a word and told apart by `match`."""

import time
from contextlib import contextmanager

import awkward as ak
import numpy as np
import uproot

WANTED = (
    "event_number weight pass_trigger n_photons ph1_pt ph1_eta ph1_phi ph2_pt ph2_eta ph2_phi n_jets jet1_pt jet1_eta jet1_phi met"
).split()


@contextmanager
def timed(what):
    start = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - start:.2f} s")


def column(name, ph, jet, ev):
    match name.split("_"):
        case ["n", "photons"]:
            return ak.to_numpy(ak.num(ph)).astype("i4")
        case ["n", "jets"]:
            return ak.to_numpy(ak.num(jet)).astype("i4")
        case [("ph1" | "ph2" | "jet1") as who, quantity]:
            source, index = (ph, int(who[-1]) - 1) if who.startswith("ph") else (jet, 0)
            first = ak.firsts(source[quantity][:, index : index + 1])
            return ak.to_numpy(ak.fill_none(first, np.nan)).astype("f4")
        case _:
            return ak.to_numpy(ev[name])


collected = {name: [] for name in WANTED}
with timed("all"):
    for ev in uproot.iterate({snakemake.input.ntuple: "events"}, step_size="1 MB"):
        ph = ak.zip({q: ev[f"photon_{q}"] for q in ("pt", "eta", "phi", "is_tight")})
        ph = ph[ph.is_tight & (ph.pt > snakemake.params.min_photon_pt)]
        ph = ph[ak.argsort(ph.pt, ascending=False)]
        jet = ak.zip({q: ev[f"jet_{q}"] for q in ("pt", "eta", "phi")})
        jet = jet[jet.pt > 25]
        jet = jet[ak.argsort(-jet.pt)]
        for name, parts in collected.items():
            parts.append(column(name, ph, jet, ev))

with open(snakemake.output.arrays, "wb") as sink:
    np.savez(sink, **{name: np.concatenate(parts) for name, parts in collected.items()})
print(snakemake.wildcards.sample, sum(map(len, collected["weight"])), "events")
