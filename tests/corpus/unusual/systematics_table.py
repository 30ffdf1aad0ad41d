# Variations as a table of (mass, weight) functions, histogrammed with numpy and written by uproot.
import boost_histogram as bh
import pandas as pd
import uproot

δ = snakemake.params.scale_uncertainty
VARIATIONS = {
    "nominal": (lambda e: e.m_yy, lambda e: e.weight),
    **{f"scale_{side}": (lambda e, f=1 + sign * δ: f * e.m_yy, lambda e: e.weight) for side, sign in (("up", +1), ("down", -1))},
    **{f"pileup_{side}": (lambda e: e.m_yy, lambda e, c=f"weight_pileup_{side}": e[c]) for side in ("up", "down")},
}
ereignisse = pd.read_parquet(snakemake.input.signal)
with uproot.recreate(snakemake.output.templates) as root:
    for name, (x, w) in VARIATIONS.items():
        h = bh.Histogram(bh.axis.Regular(40, 105, 145), storage=bh.storage.Weight())
        root[name] = h.fill(x(ereignisse), weight=w(ereignisse))
        print(f"{name:<12} {h.sum().value:10.3f} ± {h.sum().variance ** 0.5:.3f}")
