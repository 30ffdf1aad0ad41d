import json
from types import MappingProxyType

import hist
import matplotlib as mpl
import mplhep
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

AXIS = hist.axis.Regular(22, 105, 160, name="m_yy")
STYLE = MappingProxyType({"background": "#5790fc", "signal": "#e42536"})

hists = {}
for name in ("data", *STYLE):
    df = pd.read_parquet(snakemake.input[name])
    hists[name] = hist.Hist(AXIS, storage=hist.storage.Weight()).fill(df.m_yy, weight=df.weight)
data, total = hists["data"], hists["background"] + hists["signal"]
d, t = data.values(), total.values()
dd, tt = np.sqrt(data.variances()), np.sqrt(total.variances())
edges = AXIS.edges

with mpl.rc_context({"font.size": 11, "xtick.direction": "in", "ytick.direction": "in"}):
    figure = Figure(figsize=(7, 6.5))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 1), hspace=0.05)
    main = figure.add_subplot(grid[0])
    ratio = figure.add_subplot(grid[1], sharex=main)
    mplhep.histplot(
        [hists[name] for name in STYLE], ax=main, stack=True, histtype="fill", color=list(STYLE.values()), label=[n.capitalize() for n in STYLE], yerr=False
    )
    main.stairs(t + tt, edges, baseline=t - tt, hatch="////", fill=True, facecolor="none", edgecolor="0.3", lw=0, label="Simulation stat.")
    main.errorbar(AXIS.centers, d, dd, fmt="ko", ms=4, label="Data")
    main.set(ylabel="Events / 2.5 GeV", ylim=(0, 1.35 * max(d.max(), t.max())))
    main.tick_params(labelbottom=False)
    main.legend(ncols=2, frameon=False)
    main.set_title(snakemake.params["label"], loc="left", fontsize=11)
    ratio.fill_between(np.repeat(edges, 2)[1:-1], np.repeat(1 - tt / t, 2), np.repeat(1 + tt / t, 2), color="0.8")
    ratio.errorbar(AXIS.centers, d / t, dd / t, fmt="ko", ms=4)
    ratio.axhline(1, color="k", lw=0.8, ls="--")
    ratio.set(xlabel="$m_{\\gamma\\gamma}$ [GeV]", ylabel="Data / simulation", xlim=(105, 160), ylim=(0.6, 1.4))
    figure.savefig(snakemake.output["plot"], dpi=110)

hists["simulation"] = total
rows = {
    name: {"bin_edges": list(edges), "counts": h.values().tolist(), "errors": np.sqrt(h.variances()).tolist()} for name, h in hists.items()
}
with open(snakemake.output["numbers"], "w") as f:
    json.dump(rows | {"ratio": list(d / t), "ratio_error": list(dd / t)}, f)
print({k: float(np.sum(h.values())) for k, h in hists.items()})
