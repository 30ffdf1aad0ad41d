# No arrays: lists, bisect and comprehensions.
import json
from bisect import bisect_right
from collections import defaultdict
from math import fsum, hypot

import pyarrow as pa
import pyarrow.parquet as pq

cuts = list(snakemake.params.boundaries)
table = pq.read_table(snakemake.input.scored)
scores, weights = table["score"].to_pylist(), table["weight"].to_pylist()
assert all(0 <= s <= 1 for s in scores)

labels = [bisect_right(cuts, s) for s in scores]
content = defaultdict(list)
for label, w in zip(labels, weights, strict=True):
    content[label].append(w)

describe = lambda ws: {"events": len(ws), "yield": fsum(ws), "error": hypot(*ws)}
summary = {
    "categories": [
        {"category": c, "low": lo, "high": hi, **describe(content[c])} for c, (lo, hi) in enumerate(zip([0.0, *cuts], [*cuts, 1.0]))
    ],
    "total": describe(weights),
}
pq.write_table(table.append_column("category", pa.array(labels, pa.int8())), snakemake.output.events)
with open(snakemake.output.summary, "w") as out:
    json.dump(summary, out)
for row in summary["categories"]:
    print(row)
