import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SCORE_RANGE = (0.0, 1.0)

boundaries = [float(value) for value in snakemake.params.boundaries]
if boundaries != sorted(set(boundaries)) or not boundaries:
    raise ValueError(f"boundaries have to increase: {boundaries}")
edges = [SCORE_RANGE[0], *boundaries, SCORE_RANGE[1]]

table = pq.read_table(snakemake.input.scored)
for name in ("score", "weight"):
    if name not in table.column_names:
        raise KeyError(f"{snakemake.input.scored} has no column {name!r}")
score = table["score"].to_numpy()
weight = table["weight"].to_numpy()
if score.min() < SCORE_RANGE[0] or score.max() > SCORE_RANGE[1]:
    raise ValueError(f"scores from {score.min():g} to {score.max():g} are not within 0 to 1")

# The lower boundary belongs to a category.
category = np.digitize(score, boundaries).astype(np.int32)


def sums(selected):
    kept = weight[selected]
    return {
        "events": len(kept),
        "yield": float(kept.sum()),
        "error": float(np.sqrt((kept**2).sum())),
    }


summary = {
    "categories": [
        {"category": i, "low": edges[i], "high": edges[i + 1], **sums(category == i)} for i in range(len(edges) - 1)
    ],
    "total": sums(np.ones(len(weight), dtype=bool)),
}

pq.write_table(table.append_column("category", pa.array(category)), snakemake.output.events)
with open(snakemake.output.summary, "w", encoding="utf-8") as out:
    json.dump(summary, out, indent=2, allow_nan=False)

for row in summary["categories"]:
    print(f"{row['category']}: {row['low']:g} to {row['high']:g}, {row['events']} events, {row['yield']:.3f} +- {row['error']:.3f}")
