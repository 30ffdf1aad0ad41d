# a script without a single function
import json
import matplotlib
matplotlib.use("agg")
from pylab import *
import pandas

bins = arange(105, 160 + 0.1, 2.5)
x = (bins[1:] + bins[:-1]) / 2
d = pandas.read_parquet(snakemake.input.data)
b = pandas.read_parquet(snakemake.input.background)
s = pandas.read_parquet(snakemake.input.signal)
nd, _ = histogram(d.m_yy, bins, weights=d.weight)
nb, _ = histogram(b.m_yy, bins, weights=b.weight)
ns, _ = histogram(s.m_yy, bins, weights=s.weight)
vd, _ = histogram(d.m_yy, bins, weights=d.weight**2)
vb, _ = histogram(b.m_yy, bins, weights=b.weight**2)
vs, _ = histogram(s.m_yy, bins, weights=s.weight**2)
mc = nb + ns
emc = sqrt(vb + vs)
ed = sqrt(vd)

figure(figsize=(6.4, 6.4))
subplot2grid((4, 1), (0, 0), rowspan=3)
bar(x, nb, width=2.5, color="lightblue", label="background")
bar(x, ns, width=2.5, bottom=nb, color="salmon", label="signal")
bar(x, 2 * emc, width=2.5, bottom=mc - emc, fill=False, hatch="xxxx", linewidth=0, edgecolor="gray", label="MC stat.")
errorbar(x, nd, yerr=ed, fmt="k.", label="data")
xlim(105, 160)
xticks([])
ylabel("events / 2.5 GeV")
ylim(0, 1.4 * nd.max())
legend(title=snakemake.params.label)
subplot2grid((4, 1), (3, 0))
bar(x, 2 * emc / mc, width=2.5, bottom=1 - emc / mc, fill=False, hatch="xxxx", linewidth=0, edgecolor="gray")
errorbar(x, nd / mc, yerr=ed / mc, fmt="k.")
axhline(1, color="gray")
xlim(105, 160)
ylim(0.5, 1.5)
xlabel("$m_{\\gamma\\gamma}$ [GeV]")
ylabel("data / MC")
savefig(snakemake.output.plot, dpi=100)

e = bins.tolist()
json.dump(
    {"data": {"bin_edges": e, "counts": nd.tolist(), "errors": ed.tolist()},
     "background": {"bin_edges": e, "counts": nb.tolist(), "errors": sqrt(vb).tolist()},
     "signal": {"bin_edges": e, "counts": ns.tolist(), "errors": sqrt(vs).tolist()},
     "simulation": {"bin_edges": e, "counts": mc.tolist(), "errors": emc.tolist()},
     "ratio": (nd / mc).tolist(), "ratio_error": (ed / mc).tolist()},
    open(snakemake.output.numbers, "w"),
)
print("data", nd.sum(), "mc", mc.sum())
