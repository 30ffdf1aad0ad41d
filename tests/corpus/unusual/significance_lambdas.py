from json import dumps
from math import copysign, erfc, log, sqrt
from pathlib import Path

import pyarrow.dataset as ds

within = lambda lo, hi: (ds.field("m_yy") >= lo) & (ds.field("m_yy") < hi)
count = lambda path, cut: ds.dataset(path).count_rows(filter=cut)
yield_ = lambda path, cut: sum(ds.dataset(path).to_table(filter=cut)["weight"].to_pylist())
q0 = lambda n, b: 2 * (n * log(n / b) - n + b)

window = (ds.field("m_yy") > 122) & (ds.field("m_yy") < 128)
data, signal = snakemake.input
if any(w != 1 for w in ds.dataset(data).to_table(columns=["weight"])["weight"].to_pylist()):
    raise ValueError("weights of data")

n, s = count(data, window), yield_(signal, window)
b = (count(data, within(110, 120)) + count(data, within(130, 140))) * 6 / 20
z = copysign(sqrt(max(q0(n, b), 0)), n - b)
answer = dict(z_obs=z, z_exp=sqrt(2 * ((s + b) * log(1 + s / b) - s)), p0=erfc(z / sqrt(2)) / 2, observed=n, background=b, signal=s)
Path(snakemake.output[0]).write_text(dumps(answer))
print(answer)
