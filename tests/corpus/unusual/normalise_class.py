import json
from contextlib import ExitStack
from functools import cached_property
from types import SimpleNamespace

import awkward as ak
import numpy as np
import uproot

args = SimpleNamespace(
    sample=snakemake.wildcards.sample,
    tree="mini",
    lumi_ipb=1e3 * snakemake.params.luminosity_fb,
    source=snakemake.input.events,
    catalogue=snakemake.input.samples,
    sink=snakemake.output.events,
    summary=snakemake.output.yields,
)


class Sample:
    needed = ("xsec_pb", "k_factor", "filter_efficiency", "sum_of_weights")

    def __init__(self, name, catalogue):
        try:
            entry = catalogue[name]
        except KeyError:
            raise SystemExit(f"sample {name} is not in the catalogue: {', '.join(catalogue)}") from None
        self.xsec, self.k, self.filter, self.sumw = (float(entry[key]) for key in self.needed)

    @cached_property
    def per_weight(self):
        """Expected events at 1 / pb for a generator weight of 1."""
        return self.xsec * self.k * self.filter / self.sumw

    def __matmul__(self, luminosity):
        return self.per_weight * luminosity


with ExitStack() as stack:
    sample = Sample(args.sample, json.load(stack.enter_context(open(args.catalogue))))
    events = stack.enter_context(uproot.open(args.source))[args.tree].arrays()

w = np.asarray(
    (sample @ args.lumi_ipb)
    * ak.values_astype(events.mcWeight, "float64")
    * ak.values_astype(events.scaleFactor_PHOTON, "float64")
    * ak.values_astype(events.scaleFactor_PILEUP, "float64")
)
ak.to_parquet(
    ak.zip({"event_number": events.eventNumber, "m_yy": ak.values_astype(events.m_yy, "float64") * 1e-3, "weight": w}),
    args.sink,
    extensionarray=False,
)
with open(args.summary, "w") as f:
    print(json.dumps({"n_events": w.size, "yield": w.sum(), "yield_error": np.linalg.norm(w)}, indent=2), file=f)
print(args.sample, w.size, w.sum(), np.linalg.norm(w))
