from __future__ import annotations

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.formats.numbers import column, spans, unit_in


@pytest.mark.parametrize(
    ("title", "unit"),
    [
        ("photon pt [MeV]", "MeV"),
        ("E_{T} (GeV)", "GeV"),
        (" m_{#gamma#gamma} [GeV]", "GeV"),
        ("cross section [1/GeV^2]", "1/GeV^2"),
        ("mass [GeV/c^2]", "GeV/c^2"),
        ("length [m]", "m"),
        ("mass (m)", None),
        ("Jet_Px[NJet]", None),
        ("charge (sign of the track)", None),
        ("no unit", None),
        ("", None),
        (None, None),
    ],
)
def test_unit_in_title(title: str | None, unit: str | None) -> None:
    assert unit_in(title) == unit


def test_odd_values_are_counted_and_left_out_of_the_range() -> None:
    found = column("x", np.array([1.0, 3.0, np.nan, np.inf]), n_missing=1)
    assert (found.minimum, found.maximum, found.mean) == (1.0, 3.0, 2.0)
    assert (found.n_values, found.n_nonfinite, found.n_distinct_capped) == (5, 3, 2)


def test_constant_empty_and_hopeless_columns() -> None:
    assert column("x", np.ones(9)).n_distinct_capped == 1
    assert column("x", np.empty(0)).minimum is None
    nothing = column("x", np.array([np.nan, np.nan]))
    assert (nothing.minimum, nothing.n_values, nothing.n_nonfinite) == (None, 2, 2)


def test_the_largest_numbers_have_a_range_but_no_mean() -> None:
    found = column("x", np.full(3, np.finfo(np.float64).max))
    assert found.maximum == np.finfo(np.float64).max
    assert found.mean is None


def test_half_precision_does_not_overflow() -> None:
    found = column("x", np.full(100, 60000, dtype=np.float16))
    assert found.mean == pytest.approx(60000, rel=1e-3)
    assert found.type == "float16"


def test_long_doubles_beyond_the_range_of_a_double_count_as_infinite() -> None:
    found = column("x", np.array([1.0, np.finfo(np.longdouble).max], dtype=np.longdouble))
    assert found.maximum == 1.0
    assert found.n_nonfinite == (1 if np.finfo(np.longdouble).max > np.finfo(np.float64).max else 0)


def test_spans_cover_all_or_the_start_and_the_middle() -> None:
    assert spans(10, 10) == [(0, 10)]
    assert spans(0, 10) == [(0, 0)]
    assert spans(100, 10) == [(0, 5), (50, 55)]
