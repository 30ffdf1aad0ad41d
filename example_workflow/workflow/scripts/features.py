"""Add what the jets of an event say to its pair of photons.

Run by the rule ``reference_features``.
"""

import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def jet_features(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return number, momenta, mass and distance of the leading jets.

    Args:
        arrays: ``n_jets`` and ``jet1_pt``, ``jet1_eta``, ``jet1_phi``, the same with ``jet2_``; NaN without such a jet.

    Returns:
        ``n_jets``, ``jet1_pt``, ``jet2_pt`` [GeV], ``m_jj`` [GeV] of the two as massless, ``delta_eta_jj``; 0 where
        there is none.
    """
    pt1, pt2, eta1, eta2, phi1, phi2 = (
        arrays[f"jet{number}_{quantity}"].astype(np.float64) for quantity in ("pt", "eta", "phi") for number in (1, 2)
    )
    mass = np.sqrt(np.maximum(2 * pt1 * pt2 * (np.cosh(eta1 - eta2) - np.cos(phi1 - phi2)), 0))
    columns = {"jet1_pt": pt1, "jet2_pt": pt2, "m_jj": mass, "delta_eta_jj": np.abs(eta1 - eta2)}
    return {"n_jets": arrays["n_jets"], **{name: np.nan_to_num(column) for name, column in columns.items()}}


def main(snakemake: Any) -> None:
    """Join the pairs of a sample with its jets by event number."""
    logging.basicConfig(filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(message)s")
    pairs = pq.read_table(snakemake.input.pairs)
    with np.load(snakemake.input.arrays) as file:
        arrays = {name: file[name] for name in file.files if name != "provenance"}
    order = np.argsort(arrays["event_number"], kind="stable")
    wanted = pairs.column("event_number").to_numpy()
    rows = order[np.searchsorted(arrays["event_number"], wanted, sorter=order)]
    if not np.array_equal(arrays["event_number"][rows], wanted):
        raise SystemExit("an event of the pairs is not among the arrays")
    # the wrapper's distance of the photons has a sign
    place = pairs.column_names.index("delta_eta")
    pairs = pairs.set_column(place, "delta_eta", pa.array(np.abs(pairs.column("delta_eta").to_numpy())))
    for name, column in jet_features({name: array[rows] for name, array in arrays.items()}).items():
        pairs = pairs.append_column(name, pa.array(column))
    pq.write_table(pairs, snakemake.output[0], compression="zstd")
    logging.info("%d events", pairs.num_rows)


if "snakemake" in globals():
    main(snakemake)  # noqa: F821
