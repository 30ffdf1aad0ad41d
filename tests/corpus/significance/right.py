import json
import math

import pyarrow.parquet as pq

WINDOW = (122.0, 128.0)  # GeV, ends excluded
SIDEBANDS = ((110.0, 120.0), (130.0, 140.0))  # GeV, upper ends excluded


def read(path):
    table = pq.read_table(path, columns=["m_yy", "weight"])
    return table["m_yy"].to_numpy(), table["weight"].to_numpy()


def in_window(m):
    return (m > WINDOW[0]) & (m < WINDOW[1])


m_data, w_data = read(snakemake.input.data)
m_signal, w_signal = read(snakemake.input.signal)
if (abs(w_data - 1.0) > 1e-9).any():
    raise ValueError("the data have weights other than 1")

n = int(in_window(m_data).sum())
n_sidebands = sum(int(((m_data >= low) & (m_data < high)).sum()) for low, high in SIDEBANDS)
width_sidebands = sum(high - low for low, high in SIDEBANDS)
b = n_sidebands * (WINDOW[1] - WINDOW[0]) / width_sidebands
s = float(w_signal[in_window(m_signal)].sum())
if b <= 0 or s <= 0 or n <= 0:
    raise ValueError(f"n = {n}, b = {b:g} and s = {s:g} have to be positive")

z_exp = math.sqrt(2.0 * ((s + b) * math.log1p(s / b) - s))
z_obs = math.copysign(math.sqrt(max(2.0 * (n * math.log(n / b) - (n - b)), 0.0)), n - b)
p0 = 0.5 * math.erfc(z_obs / math.sqrt(2.0))

result = {
    "z_obs": z_obs,
    "z_exp": z_exp,
    "p0": p0,
    "observed": n,
    "background": b,
    "signal": s,
}
with open(snakemake.output.significance, "w", encoding="utf-8") as out:
    json.dump(result, out, indent=2, allow_nan=False)

print(f"{len(m_data)} data events, {n} in the window, {n_sidebands} in the sidebands")
print(f"b = {b:.1f}, s = {s:.2f}: z_obs = {z_obs:.2f}, z_exp = {z_exp:.2f}, p0 = {p0:.3g}")
