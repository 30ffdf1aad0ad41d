"""Half of the events for training, half for testing, at random as the rule asks, with its seed."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.model_selection import train_test_split

SHARE_OF_TRAINING = 0.5

table = pq.read_table(snakemake.input.scored)
indices = np.arange(table.num_rows)
train, test = train_test_split(indices, train_size=SHARE_OF_TRAINING, random_state=snakemake.params.seed)
is_train = np.zeros(table.num_rows, dtype=bool)
is_train[train] = True
assert is_train.sum() + len(test) == table.num_rows
weight = table["weight"].to_numpy()
pq.write_table(table.append_column("is_train", pa.array(is_train)), snakemake.output.events)


def summary(mask):
    w = weight[mask]
    return {"events": int(mask.sum()), "yield": float(w.sum()), "error": float(np.sqrt(np.square(w).sum()))}


result = {"train": summary(is_train), "test": summary(~is_train), "total": summary(np.full(len(weight), True)), "seed": snakemake.params.seed}
with open(snakemake.output.summary, "w") as f:
    json.dump(result, f, indent=2)
print(result)
