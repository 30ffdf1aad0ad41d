"""Numbers that are read out of sentences: binnings, thresholds, windows; and what is not read, for it leaves doubts."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_llmagent.checks.contents.binnings import binnings
from snakemake_executor_plugin_llmagent.checks.contents.kinds import slot_of
from snakemake_executor_plugin_llmagent.checks.contents.quantities import value
from snakemake_executor_plugin_llmagent.checks.contents.thresholds import thresholds, windows_of_columns

PARAMS = {
    "n_bins": 20, "range": [100, 160], "fit": {"low": 110.0}, "min_pt": (40.0, 30.0), "x": 12, "c": 0.2, "name": "a",
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2.5", 2.5), ("100,000", 1e5), ("-1e3", -1e3), ("`params.x`", 12), ("params.range[1]", 160),
        ("snakemake.params.fit.low", 110), ('params.fit["low"]', 110), ("params.min_pt[0]", 40), ("params.name", None),
        ("params.gone", None), ("params.range[7]", None), ("params.x.y", None),
    ],
)  # fmt: skip
def test_numbers_and_parameters(said: str, expected: float | None) -> None:
    assert value(said, PARAMS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in 55 bins from 105 to 160 GeV, with underflow", (105, 160, 55)),
        ("m_yy [GeV] between 105 and 160 GeV in bins of 2.5 GeV: data", (105, 160, 22)),
        ("in 1 GeV bins from 105\nto 160 GeV", (105, 160, 55)),
        ("105–160 GeV with 55 bins", (105, 160, 55)),
        ("105-160 GeV in 2.5 GeV wide bins", (105, 160, 22)),
        ("params.n_bins bins between params.range[0] and params.range[1] GeV", (100, 160, 20)),
        ("from params.fit.low to 160 GeV in bins of 500 MeV", (110, 160, 100)),
        ("60 equally spaced bins between 100,000 MeV and 160,000 MeV", (100, 160, 60)),
        ("20 equal bins in [0, 1]", (0, 1, 20)),
        ("20 bins of m_yy [GeV] from 105 to 125", (105, 125, 20)),
        ("100 to 160 GeV (60 bins)", (100, 160, 60)),
        ("from 105 to 160 GeV with a bin width of 1 GeV", (105, 160, 55)),
        ("bins 5 GeV wide from 100 to 150 GeV", (100, 150, 10)),
        ("-2.5 to 2.5 in 50 bins", (-2.5, 2.5, 50)),
        ("a 55-bin histogram from 105 to 160 GeV", (105, 160, 55)),
    ],
)
def test_binnings(text: str, expected: tuple[float, float, int]) -> None:
    (found,), certain = binnings(text, PARAMS)
    assert (found.low, found.high, found.bins) == pytest.approx(expected)
    assert certain
    assert len(found.edges) == found.bins + 1


def test_several_binnings() -> None:
    found, certain = binnings("m_yy between 105 and 160 GeV in 2.5 GeV bins and pT from 0 to 200 GeV in 20 bins", {})
    assert {(one.high, one.bins) for one in found} == {(160, 22), (200, 20)}
    assert certain
    found, certain = binnings("55 bins from 105 to 160, and a chi2 of 1 GeV bins", {})
    assert len(found) == 1
    assert not certain
    assert binnings("55 bins from 105 to 160, merged until each has 10 events", {}) == ([], False)


@pytest.mark.parametrize(
    "text",
    [
        "a fit between 105 and 160 GeV with a chi2 of 1 GeV bins", "the error of a bin is 3", "10,000 bins",
        "between 105 and 160 GeV in bins of 2 GeV", "with 0, 1, 2 and 3 or more jets in 4 bins",
        "40 bins from 160 to 105", "bins of pT are params.edges", "params.name bins from 0 to 1", "40 variable bins",
    ],
)  # fmt: skip
def test_what_is_no_binning(text: str) -> None:
    assert binnings(text, PARAMS)[0] == []


# --- thresholds -------------------------------------------------------------------------------------------------------

LEADING = "pT of the leading one > params.min_pt[0] and of the subleading one > params.min_pt[1] (both in GeV)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good photons, and jets with pT > 25 GeV, are numbered.", [("jet", None, 25)]),
        (f"Cuts: {LEADING}, 105 < m_yy < 160 GeV.", [(None, 1, 40), (None, 2, 30)]),
        ("A photon is *good* if `photon_is_tight`, its pT is above `params.x`, |eta| < 2.37.", [("photon", None, 12)]),
        ("| `jet1_pt` | float32 | the first four jets with pT > 25 GeV |", [("jet", None, 25)]),
        ("Select photons with pT > 40 and 30 GeV.", [("photon", None, 30)]),
        ("leading photon pT at least 40 GeV and |eta| < 2.37", [("photon", 1, 40)]),
        ("Muons: pT > 25000 MeV, |eta| < 2.4", [("muon", None, 25)]),
        (
            "The leading lepton has pT > 27 GeV, the subleading pT > 10 GeV",
            [("lepton", 1, 27), ("lepton", 2, 10)],
        ),
        (
            "Tracks with pT>0.5 GeV and jets with p_T ≥ 20 GeV",
            [("track", None, 0.5), ("jet", None, 20)],
        ),
        ("Photons need a transverse momentum of at least 22 GeV.", [("photon", None, 22)]),
    ],
)
def test_thresholds(text: str, expected: list[tuple[str | None, int | None, float]]) -> None:
    found = thresholds(f"Select: {text}" if "Cuts" not in text else text, PARAMS, frozenset())
    assert [(one.kind, one.place, one.low) for one in found] == expected


@pytest.mark.parametrize(
    "text",
    [
        "pT / m_yy > 0.35", "isolation (ptcone20) / pT > 3", "the dijet pT > 50 GeV", "pT of the pair > 50 GeV",
        "b-jets with pT > 20 GeV", "photons and b-jets with pT > 20 GeV", "forward jets with pT > 30 GeV",
        "the number of jets with pT > 25 GeV", "photons with pT > 25 GeV or tight", "jets with pT > 0.3 m_jj",
        "veto events with a jet of pT > 30 GeV", "sum of pT > 100 GeV", "events with pT > 100 GeV",
        "no jet with pT > 30 GeV", "`is_hard` (leading jet pT > 200 GeV)", "jets with pT < 30 GeV",
        "`hard` (leading jet pT > 200 GeV)", "efficiency of photons with pT > 30 GeV", "jets with pT > params.name",
        "jets with pT > 25000",
    ],
)  # fmt: skip
def test_what_is_no_threshold(text: str) -> None:
    assert list(thresholds(f"Select {text}", PARAMS, frozenset({"hard"}))) == []


def test_thresholds_without_a_unit_are_uncertain() -> None:
    (said,) = thresholds("Select jets with pT > 25", {}, frozenset())
    assert not said.certain
    assert list(thresholds("jets with pT > 25 GeV", {}, frozenset())) == [], "nobody says what becomes of them"


def test_thresholds_of_the_first_objects() -> None:
    text = "Select events with a jet with pT > 60 GeV and two photons with pT > 25 GeV; keep jets with pT > 20 GeV"
    found = {(one.kind, one.first, one.low) for one in thresholds(text, {}, frozenset())}
    assert found == {("jet", 1, 60), ("photon", 2, 25), ("jet", None, 20)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("105 < m_yy < 160 GeV", ("m_yy", 105, 160)), ("m_yy between 105 and 160 GeV", ("m_yy", 105, 160)),
        ("m_yy in [105, 160] GeV", ("m_yy", 105, 160)), ("`m_yy` from 105–160 GeV", ("m_yy", 105, 160)),
        ("105000 MeV < m_yy < 160000 MeV", ("m_yy", 105, 160)), ("score at least params.c", ("score", 0.2, None)),
        ("a score > 0.5, for the rest score > 0.1", ("score", 0.1, None)),
    ],
)  # fmt: skip
def test_windows_of_columns(text: str, expected: tuple[str, float, float | None]) -> None:
    (found,) = windows_of_columns(f"Select {text}", PARAMS, frozenset({"m_yy", "score"}))
    assert (found.column, found.low, found.high) == expected


@pytest.mark.parametrize(
    "text",
    [
        "not 120 < m_yy < 130", "events outside 120 < m_yy < 130", "the sum of weights with 122 < m_yy < 128",
        "m_yy / 2 > 30", "|m_yy| > 3", "m_yy between 105 and 160 GeV in bins of 1 GeV", "105 < mass < 160",
        "`score` (m_yy > 100)", "fit m_yy between 105 and 160 GeV", "160 < m_yy < 105",
    ],
)  # fmt: skip
def test_what_is_no_window(text: str) -> None:
    assert list(windows_of_columns(f"Select {text}", PARAMS, frozenset({"m_yy", "score"}))) == []


# --- names of columns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pt1", (None, 1)), ("jet1_pt", ("jet", 1)), ("ph2_pt", ("photon", 2)), ("leading_photon_pt", ("photon", 1)),
        ("jetPt", ("jet", None)), ("j1pt", ("jet", 1)), ("pt_sublead", (None, 2)),
    ],
)  # fmt: skip
def test_columns_of_objects(name: str, expected: tuple[str | None, int | None]) -> None:
    found = slot_of(name, frozenset({"pt"}))
    assert found is not None
    assert (found.kind, found.place) == expected


@pytest.mark.parametrize("name", ["pt_yy", "pt1_over_m", "probe_pt", "bjet1_pt", "met", "pt12_jet3", "photon_jet_pt"])
def test_columns_of_something_else(name: str) -> None:
    assert slot_of(name, frozenset({"pt"})) is None
