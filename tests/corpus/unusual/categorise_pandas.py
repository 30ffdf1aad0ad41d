import json

import numpy as np
import pandas as pd

edges = [0.0, *snakemake.params.boundaries, 1.0]
scored = pd.read_parquet(snakemake.input.scored)
# pd.cut leaves out the upper end: the last one is moved behind 1
scored["category"] = pd.cut(scored.score, [*edges[:-1], np.inf], right=False, labels=False).astype("int64")

grouped = scored.assign(w2=scored.weight**2).groupby("category").agg(events=("weight", "size"), total=("weight", "sum"), w2=("w2", "sum"))
grouped = grouped.reindex(range(len(edges) - 1), fill_value=0)
scored.to_parquet(snakemake.output.events, index=False)
rows = [
    {"category": i, "low": edges[i], "high": edges[i + 1], "events": int(r.events), "yield": r.total, "error": r.w2**0.5}
    for i, r in enumerate(grouped.itertuples())
]
total = {"events": len(scored), "yield": scored.weight.sum(), "error": (scored.weight**2).sum() ** 0.5}
with open(snakemake.output.summary, "w") as f:
    json.dump({"categories": rows, "total": total}, f, indent=2)
print(grouped)
