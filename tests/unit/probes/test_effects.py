"""What the usual probes look for: columns and params that a sentence asks for, shapes of results, fingerprints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.data.contents import Array, Contents, Sheet
from snakemake_executor_plugin_llmagent.data.fingerprint import fingerprints
from snakemake_executor_plugin_llmagent.probes import params, shapes
from snakemake_executor_plugin_llmagent.probes.mentions import mentions, patterns, taken
from snakemake_executor_plugin_llmagent.probes.wanted import asked_for, columns


@pytest.mark.parametrize(
    ("name", "text", "asked"),
    [
        ("m_yy", "histogram of m_yy", True),
        ("m_yy", "histogram of m_yyy", False),
        ("ph2_track_isolation", "track isolation / pT < 0.065 for both", True),
        ("photon_isTightID", "a photon is good if it is tight", True),
        ("truth_mass", "histogram of m_yy, without truth_mass", False),
        ("branching_ratio", "the branching_ratio is listed for reference only", False),
        ("score", "not more than 3 jets; by score", True),
    ],
)
def test_what_a_sentence_asks_for(name: str, text: str, asked: bool) -> None:
    assert asked_for(name, text) is asked


def test_columns_that_a_script_has_in_lists_only() -> None:
    script = 'ALL = ["pt", "eta", "phi"]\nx = table["pt"]\ny = [a[f"ph{i}_{k}"] for i in (1, 2)]\nz = "eta > 2"\n'
    loose = [name for name in mentions(script) if name not in taken(script)]
    found = ("pt", "eta", "phi", "ph1_pt", "jet1_pt")
    assert patterns(script) == (r"ph\w+_\w+",)
    assert columns(found, loose, patterns(script), "pt, eta, phi, ph1_pt, jet1_pt") == ["ph1_pt", "phi"]


def test_parameters_that_may_rightly_change_nothing() -> None:
    given = {
        "lumi": 36.1,
        "seed": 1,
        "max_events": 100,
        "max_pt": 3.0,
        "edges": [1.0, 2.0],
        "title": "m",
        "blind": True,
    }
    assert params.candidates(given) == ["lumi", "max_pt", "edges"]
    assert params.copies([1.0, 2.0], [2.0, 4.0], {"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 3.0}) == {"a"}


def test_windows_are_taken_from_sentences_on_sidebands() -> None:
    text = "Window: 122 < m_yy < 128 GeV, the background from the sidebands"
    window = shapes.window_of(text)
    assert window is not None and (window.column, window.centre) == ("m_yy", 125.0)
    assert shapes.window_of(text.replace("sidebands", "simulation")) is None
    assert shapes.window_of(f"{text}, and 0 < pt < 50") is None, "which of both?"


def test_shapes() -> None:
    before = {"observed": 100.0, "background": 90.0, "z_obs": 1.0}
    moved = {**before, "observed": 50.0}
    assert list(shapes.constant_background(before, moved)) == ["background"]
    assert list(shapes.constant_background(before, {**moved, "background": 45.0})) == []
    assert list(shapes.deaf_to_data(before, moved)) == [("observed", "z_obs")]
    assert list(shapes.deaf_to_data(before, {**moved, "z_obs": 0.1})) == []
    assert list(shapes.follows_window(before, {**before, "observed": 150.0, "background": 91.0})) == [
        ("observed", "background")
    ]
    assert list(shapes.follows_window(before, {**before, "observed": 150.0})) == []


def test_fingerprints_see_the_order_of_rows(tmp_path: Path) -> None:
    def of(**values: list[float]) -> dict[str, str]:
        sheet = Sheet(name="", entries=2, columns={n: Array(values=np.array(v)) for n, v in values.items()})
        return fingerprints(Contents(path=tmp_path / "x.parquet", format="parquet", sheets=(sheet,)))

    one, other = of(a=[1.0, 2.0], b=[3.0, 4.0]), of(a=[2.0, 1.0], b=[3.0, 4.0])
    assert one == of(a=[1.0, 2.0], b=[3.0, 4.0])
    assert {name for name in one if one[name] != other[name]} == {"a"}
