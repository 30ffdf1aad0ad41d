"""Diphoton selection as a chain of generators, written piece by piece."""

import logging
import sys
from contextlib import closing
from itertools import starmap

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("select")

GEV = 1000.0  # the ntuples count in MeV
ACCEPTANCE, CRACK = 2.37, (1.37, 1.52)
ISOLATION = {"photon_ptcone30": 0.065, "photon_etcone20": 0.065}
WINDOW = (105.0, 160.0)  # GeV
SCHEMA = pa.schema(
    [("event_number", pa.uint64())]
    + [(n, pa.float64()) for n in ("weight", "m_yy", "pt1", "pt2", "eta1", "eta2", "phi1", "phi2")]
)
EVENT = ("eventNumber", "mcWeight", "scaleFactor_PHOTON", "scaleFactor_PILEUP", "trigP")
PHOTON = ("photon_pt", "photon_eta", "photon_phi", "photon_isTightID", *ISOLATION)


def pieces(paths):
    for path in paths:
        with uproot.open(f"{path}:mini") as tree:
            yield from tree.iterate(EVENT + PHOTON, step_size=5000)


def triggered(chunks):
    for chunk in chunks:
        log.info("%d events", len(chunk))
        yield chunk[chunk.trigP]


def pairs(chunks):
    for chunk in chunks:
        eta = np.abs(chunk.photon_eta)
        good = chunk.photon_isTightID & (eta < ACCEPTANCE) & ~((eta >= CRACK[0]) & (eta <= CRACK[1]))
        for name, most in ISOLATION.items():
            good = good & (chunk[name] < most * chunk.photon_pt)
        photons = ak.zip({c: chunk[f"photon_{c}"] for c in ("pt", "eta", "phi")})[good]
        photons = photons[ak.argsort(photons.pt, ascending=False)]
        two = ak.num(photons) > 1
        yield chunk[two], photons[two][:, 0], photons[two][:, 1]


def tables(event, lead, sub):
    lead_min, sub_min = snakemake.params.min_pt
    as64 = lambda x: np.asarray(x, dtype="f8")
    pt1, pt2 = as64(lead.pt) / GEV, as64(sub.pt) / GEV
    m = np.sqrt(2 * pt1 * pt2 * (np.cosh(as64(lead.eta) - as64(sub.eta)) - np.cos(as64(lead.phi) - as64(sub.phi))))
    keep = (pt1 > lead_min) & (pt2 > sub_min) & (WINDOW[0] < m) & (m < WINDOW[1])
    weight = np.prod([as64(event[n]) for n in EVENT[1:4]], axis=0)
    columns = [np.asarray(event.eventNumber), weight, m, pt1, pt2, *(as64(p[c]) for c in ("eta", "phi") for p in (lead, sub))]
    return pa.table([pa.array(c[keep]) for c in columns], schema=SCHEMA)


def main():
    total = 0
    with closing(pq.ParquetWriter(snakemake.output.events, SCHEMA)) as writer:
        for table in starmap(tables, pairs(triggered(pieces(snakemake.input.ntuples)))):
            writer.write_table(table)
            total += table.num_rows
    log.info("%s: %d events selected", snakemake.wildcards.sample, total)


if __name__ == "__main__":
    main()
