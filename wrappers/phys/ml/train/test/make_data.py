"""Toy events with three features: signal has harder photons that are closer to each other."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def events(random: np.random.Generator, number: int, signal: bool, first: int) -> dict[str, Any]:
    """Return columns of toy events; a twentieth of the signal has a negative weight, as NLO generators give."""
    shift = 1.0 if signal else 0.0
    sign = np.where(random.uniform(size=number) < 0.05, -1.0, 1.0) if signal else np.ones(number)
    return {
        "event_number": np.arange(first, first + number),
        "pt_t": random.exponential(30 + 25 * shift, number),
        "delta_eta": random.normal(0, 1.6 - 0.5 * shift, number),
        "cos_theta_star": random.uniform(0, 1, number) ** (1 + shift),
        "m_yy": random.normal(125, 1.7, number) if signal else random.uniform(105, 160, number),
        "weight": sign * random.uniform(0.8, 1.2, number) * (0.02 if signal else 0.5),
    }


random = np.random.default_rng(7)
pq.write_table(pa.table(events(random, 2000, True, 0)), snakemake.output.signal)
for number, path in enumerate(snakemake.output.background):
    pq.write_table(pa.table(events(random, 2000, False, 100_000 + 2000 * number)), path)
