"""Events that are gone, there twice, made up, mixed, or were never looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.contents.columns import arrays_aligned, columns_vary
from snakemake_executor_plugin_llmagent.checks.contents.events import events_left, events_once, rows_asked_for
from snakemake_executor_plugin_llmagent.checks.contents.events_mixed import rows_belong
from snakemake_executor_plugin_llmagent.checks.contents.objects import objects_as_told
from tests.unit.checks.test_contents_files import N, a_case, events, said, some

FLOW = [{"cut": "all", "events": N}, {"cut": "pt", "events": 0}]
SLOW = [{"cut": cut, "events": n} for cut, n in (("all", N), ("pt", 60), ("mass", 5), ("tight", 0))]
NONE = some(events(), slice(0, 0))
AXIS = np.linspace(100, 160, 7)


# --- output.no_events -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"a.parquet": NONE}, ["error output.no_events"]),
        ({"a.parquet": NONE, "b.npz": {"x": np.zeros(0), "y": np.zeros(0)}}, ["error output.no_events"]),
        ({"a.parquet": NONE, "b.parquet": events()}, ["warning output.no_events"]),
        ({"a.parquet": NONE, "c.json": {"cutflow": SLOW}}, ["warning output.no_events"]),
        ({"a.parquet": some(events(), slice(3))}, []),
        ({"c.json": {"cutflow": FLOW}}, ["error output.no_events"]),
        ({"c.json": {"cutflow": SLOW}}, ["warning output.no_events"]),
        ({"c.json": {"one": {"cutflow": FLOW}, "two": {"cutflow": FLOW[:1]}}}, ["warning output.no_events"]),
        ({"c.json": {"cutflow": FLOW[:1]}}, []),
        ({"h.root": {"h": (np.zeros(6), AXIS)}}, ["error output.no_events"]),
        ({"h.json": {"bin_edges": [0, 1, 2], "counts": [0, 0]}}, ["error output.no_events"]),
        ({"h.root": {"h": (np.zeros(6), AXIS), "g": (np.ones(6), AXIS)}}, ["warning output.no_events"]),
        ({"h.root": {"g": (np.ones(6), AXIS)}}, []),
    ],
)
def test_selections_keep_events(tmp_path: Path, outputs: dict[str, Any], expected: list[str]) -> None:
    assert said(events_left, a_case(tmp_path, {"in.parquet": events()}, outputs)) == expected


def test_nothing_of_nothing_is_right(tmp_path: Path) -> None:
    outputs = {"a.parquet": NONE, "h.root": {"h": (np.zeros(6), AXIS)}}
    assert said(events_left, a_case(tmp_path, {"in.parquet": NONE}, outputs)) == []
    few = a_case(tmp_path, {"few.parquet": some(events(), slice(50))}, {"a.parquet": NONE})
    assert said(events_left, few) == ["warning output.no_events"]
    assert said(events_left, a_case(tmp_path, {"in.parquet": events()}, {"a.parquet": NONE}, slice=N)) == [
        "warning output.no_events"
    ]


# --- output.rows ------------------------------------------------------------------------------------------------------

EACH = "One entry per event of the tree, in its order."


def test_rows_for_all_events(tmp_path: Path) -> None:
    half = some(events(), slice(N // 2))
    inputs = {"signal:a.parquet": events(), "signal:b.parquet": half, "data:d.parquet": some(events(), slice(7))}
    whole = {"signal:s.parquet": events(N + N // 2), "data:d.npz": some(events(), slice(7)), "t.json": [{"a": 1}] * 3}
    assert said(rows_asked_for, a_case(tmp_path, inputs, whole, text=EACH)) == []
    assert said(rows_asked_for, a_case(tmp_path, inputs, {"s.parquet": some(events(), slice(99))}, text=EACH)) == [
        "error output.rows"
    ]
    assert said(rows_asked_for, a_case(tmp_path, inputs, {"s.parquet": half}, text="one row per selected event")) == []


# --- events.duplicated ------------------------------------------------------------------------------------------------


def test_events_are_there_once(tmp_path: Path) -> None:
    twice = some(events(), np.r_[0:N, 0:N])
    assert said(events_once, a_case(tmp_path, {"in.parquet": events()}, {"a.parquet": twice})) == [
        "error events.duplicated", "warning events.duplicated",
    ]  # fmt: skip
    one = some(events(), np.r_[0 : N - 500, 0:1])
    assert said(events_once, a_case(tmp_path, {"in.parquet": events()}, {"a.parquet": one})) == [
        "warning events.duplicated"
    ]
    assert said(events_once, a_case(tmp_path, {"in.parquet": events()}, {"a.parquet": events()})) == []


def test_events_that_may_be_there_twice(tmp_path: Path) -> None:
    """Objects of an event, bootstrap replicas, samples that count from one each, inputs with duplicates."""
    twice = some(events(), np.r_[0:200, 0:200])
    objects = {**twice, "photon_pt": np.linspace(20, 200, 400)}
    inputs = {"in.parquet": events()}
    assert said(events_once, a_case(tmp_path, inputs, {"a.parquet": objects})) == []
    assert said(events_once, a_case(tmp_path, inputs, {"a.parquet": twice}, text="Make a bootstrap replica.")) == []
    both = {"one.parquet": events(), "two.parquet": {**events(), "pt_yy": np.zeros(N)}}
    assert said(events_once, a_case(tmp_path, both, {"a.parquet": twice})) == []
    lists = {"tree.root": {"t": {"event": np.arange(N), "n": np.arange(N)}}}
    assert said(events_once, a_case(tmp_path, lists, {"a.parquet": {"x": np.arange(5 * N)}})) == []


# --- rows and their events --------------------------------------------------------------------------------------------


def ntuple(n: int = N, unit: float = 1.0) -> dict[str, Any]:
    """Events with lists of photons that are in no order."""
    ak = pytest.importorskip("awkward")
    rng = np.random.default_rng(3)
    counts = np.full(n, 3)
    lists = {
        "photon_pt": rng.exponential(40.0, 3 * n) * unit + 20 * unit, "photon_eta": rng.uniform(-2.3, 2.3, 3 * n),
        "photon_phi": rng.uniform(-3.1, 3.1, 3 * n),
    }  # fmt: skip
    jagged = {name: ak.unflatten(values.astype(np.float32), counts) for name, values in lists.items()}
    flat = {name: values for name, values in events(n).items() if name != "event_number"}
    return {"eventNumber": events(n)["event_number"], **flat, **jagged}


def pairs(tree: dict[str, Any], rows: Any = slice(None), unit: float = 1.0) -> dict[str, Any]:
    """The two photons of highest pT of each event."""
    ak = pytest.importorskip("awkward")
    order = ak.argsort(tree["photon_pt"], axis=1, ascending=False)
    columns: dict[str, Any] = {"event_number": tree["eventNumber"], "weight": tree["weight"], "m_yy": tree["m_yy"]}
    for quantity in ("pt", "eta", "phi"):
        for number in (0, 1):
            values = ak.to_numpy(tree[f"photon_{quantity}"][order][:, number]).astype(float)
            columns[f"{quantity}{number + 1}"] = values * (unit if quantity == "pt" else 1.0)
    return some(columns, rows)


def test_rows_hold_what_belongs_to_their_event(tmp_path: Path) -> None:
    tree = ntuple(unit=1000.0)
    right = pairs(tree, np.nonzero(np.arange(N) % 3)[0], unit=1e-3)
    shuffled = some(right, np.random.default_rng(4).permutation(len(right["pt1"])))
    inputs = {"in.root": {"t": tree}}
    for table in (right, shuffled):
        assert said(rows_belong, a_case(tmp_path, inputs, {"a.parquet": table})) == []
    rolled = {**right, "m_yy": np.roll(right["m_yy"], 1)}
    assert said(rows_belong, a_case(tmp_path, inputs, {"b.parquet": rolled})) == ["error events.mixed"]
    assert said(rows_belong, a_case(tmp_path, inputs, {"b.parquet": rolled}, text="Shuffle m_yy.")) == []
    calibrated = {**right, "m_yy": right["m_yy"] * np.random.default_rng(1).normal(1, 0.01, len(right["m_yy"]))}
    assert said(rows_belong, a_case(tmp_path, inputs, {"c.parquet": calibrated})) == []


def test_quantities_of_one_object_belong_together(tmp_path: Path) -> None:
    ak = pytest.importorskip("awkward")
    tree = ntuple()
    inputs = {"in.root": {"t": tree}}
    unsorted = {**pairs(tree), "eta1": ak.to_numpy(tree["photon_eta"][:, 0]).astype(float)}
    assert said(rows_belong, a_case(tmp_path, inputs, {"a.parquet": unsorted})) == ["error events.mixed"]
    others = {**pairs(tree), "phi1": np.roll(pairs(tree)["phi1"], 5)}
    assert said(rows_belong, a_case(tmp_path, inputs, {"b.parquet": others})) == ["error events.mixed"]
    assert said(rows_belong, a_case(tmp_path, inputs, {"c.parquet": pairs(tree)})) == []


def test_numbers_of_events_are_those_of_the_input(tmp_path: Path) -> None:
    table = some(events(), slice(0, None, 2))
    inputs = {"in.parquet": events()}
    lost = {**table, "event_number": table["event_number"].astype(np.float32).astype(np.uint64)}
    assert said(rows_belong, a_case(tmp_path, inputs, {"a.parquet": lost})) == ["error events.unknown"]
    invented = {**table, "event_number": np.arange(len(table["m_yy"]))}
    assert said(rows_belong, a_case(tmp_path, inputs, {"b.parquet": invented})) == ["warning events.unknown"]
    counted = {**{k: v for k, v in table.items() if k != "event_number"}, "event": np.arange(len(table["m_yy"]))}
    assert said(rows_belong, a_case(tmp_path, inputs, {"c.parquet": counted})) == []


def test_runs_tell_events_apart(tmp_path: Path) -> None:
    one = {**events(), "event_number": np.arange(N), "run": np.full(N, 1)}
    other = {**events(), "event_number": np.arange(N), "run": np.full(N, 2), "m_yy": events()["m_yy"] + 1}
    both = {name: np.concatenate([one[name], other[name]]) for name in one}
    inputs = {"one.parquet": one, "other.parquet": other}
    assert said(rows_belong, a_case(tmp_path, inputs, {"a.parquet": both})) == []
    mixed = {**both, "m_yy": np.sort(both["m_yy"])}
    assert said(rows_belong, a_case(tmp_path, inputs, {"b.parquet": mixed})) == ["error events.mixed"]
    without = {name: values for name, values in mixed.items() if name != "run"}
    assert said(rows_belong, a_case(tmp_path, inputs, {"c.parquet": without})) == []


def test_all_events_of_a_file_are_looked_at(tmp_path: Path) -> None:
    table = events()
    first = some(table, np.nonzero((table["pt_yy"] > 20) & (np.arange(N) < N // 2))[0])
    whole = some(table, np.nonzero(table["pt_yy"] > 20)[0])
    assert said(rows_belong, a_case(tmp_path, {"in.parquet": table}, {"a.parquet": first})) == ["error events.partial"]
    assert said(rows_belong, a_case(tmp_path, {"in.parquet": table}, {"b.parquet": whole})) == []


def test_events_that_differ_may_be_left_out(tmp_path: Path) -> None:
    """Sorted events, a trigger that was switched off, another period."""
    table = events()
    early = np.arange(N) < N // 2
    for name, values in {
        "m_yy": np.sort(table["m_yy"]), "trigger": early, "period": np.where(early, 1, 2),
        "time": np.arange(N, dtype=float),
    }.items():  # fmt: skip
        inputs = {**table, name: values}
        chosen = some(inputs, np.nonzero(early & (table["pt_yy"] > 20))[0])
        assert said(rows_belong, a_case(tmp_path, {"in.parquet": inputs}, {"a.parquet": chosen})) == [], name


# --- columns ----------------------------------------------------------------------------------------------------------


def test_columns_vary_as_in_the_input(tmp_path: Path) -> None:
    inputs = {"in.parquet": events(met=np.linspace(0, 90, N), kind=np.repeat([1.0, 2.0], N // 2))}
    outputs = {"met": np.full(N, 37.2)}
    still = a_case(tmp_path, inputs, {"a.parquet": {**events(), **outputs}})
    assert said(columns_vary, still) == ["error output.column_constant"]
    padded = a_case(tmp_path, inputs, {"b.parquet": {**events(), "met": np.full(N, -999.0)}})
    assert said(columns_vary, padded) == ["warning output.column_constant"]
    computed = a_case(tmp_path, inputs, {"c.parquet": {**events(), "cos_theta": np.full(N, 0.0)}})
    assert said(columns_vary, computed) == ["warning output.column_constant"]


def test_columns_that_may_stand_still(tmp_path: Path) -> None:
    inputs = {"in.parquet": events(met=np.linspace(0, 90, N), kind=np.repeat([1.0, 2.0], N // 2))}
    fine = {
        **events(), "met": np.linspace(0, 90, N), "kind": np.full(N, 1.0), "n_photons": np.full(N, 2),
        "xsec": np.full(N, 0.1), "label": np.full(N, 1.0), "weight": np.full(N, 0.3), "pass_trigger": np.full(N, True),
    }  # fmt: skip
    assert said(columns_vary, a_case(tmp_path, inputs, {"a.parquet": fine})) == []
    few = {**some(events(), slice(10)), "met": np.full(10, 3.3)}
    assert said(columns_vary, a_case(tmp_path, inputs, {"b.parquet": few})) == []


def test_arrays_of_one_table_are_equally_long(tmp_path: Path) -> None:
    three = {name: np.linspace(0, 1, 500) for name in ("a", "b", "c")}
    short = a_case(tmp_path, None, {"a.npz": {**three, "d": np.linspace(0, 1, 497)}})
    assert said(arrays_aligned, short) == ["warning output.misaligned"]
    told = a_case(tmp_path, None, {"b.npz": {**three, "d": np.linspace(0, 1, 497)}}, text="arrays of equal length")
    assert said(arrays_aligned, told) == ["error output.misaligned"]


def test_arrays_that_may_have_other_lengths(tmp_path: Path) -> None:
    """Edges, offsets, members of lists with their counts, something else altogether."""
    three = {name: np.linspace(0, 1, 500) for name in ("a", "b", "c")}
    counts = np.ones(500, dtype=int)
    counts[:3] = 2
    jagged = {**three, "counts": counts, "members": np.random.default_rng(1).random(503)}
    others = {**three, "edges": np.linspace(0, 1, 501), "short": np.arange(9.0), "scalar": np.float64(3)}
    for held in (jagged, others, three):
        assert said(arrays_aligned, a_case(tmp_path, None, {"a.npz": held})) == []


# --- objects ----------------------------------------------------------------------------------------------------------

FALLING = "Photons are numbered by falling pT; what an event does not have is NaN."


def objects(n: int = N) -> dict[str, Any]:
    rng = np.random.default_rng(6)
    pt = np.sort(rng.exponential(40.0, (n, 2)), axis=1)[:, ::-1] + 20
    eta, phi = rng.uniform(-1.3, 1.3, (n, 2)), rng.uniform(-3.1, 3.1, (n, 2))
    mass = np.sqrt(2 * pt[:, 0] * pt[:, 1] * (np.cosh(eta[:, 0] - eta[:, 1]) - np.cos(phi[:, 0] - phi[:, 1])))
    second = np.where(rng.random(n) < 0.9, 1.0, np.nan)
    return {
        "ph1_pt": pt[:, 0], "ph2_pt": pt[:, 1] * second, "ph1_eta": eta[:, 0], "ph2_eta": eta[:, 1] * second,
        "ph1_phi": phi[:, 0], "ph2_phi": phi[:, 1] * second, "m_yy": mass * second,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"ph1_pt": objects()["ph1_pt"][::-1]}, ["error objects.order", "warning objects.mass"]),
        ({"ph2_eta": objects()["ph1_eta"]}, ["error objects.same", "warning objects.mass"]),
        ({"m_yy": objects()["m_yy"] * 1000}, []),
        ({"m_yy": objects()["m_yy"][::-1]}, ["warning objects.mass"]),
    ],
)
def test_objects_are_as_told(tmp_path: Path, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(objects_as_told, a_case(tmp_path, None, {"a.npz": {**objects(), **changes}}, text=FALLING)) == expected


def test_what_is_missing_is_nan_if_it_is_said(tmp_path: Path) -> None:
    zeros = {name: np.nan_to_num(values) for name, values in objects().items()}
    assert said(objects_as_told, a_case(tmp_path, None, {"a.npz": zeros}, text=FALLING)) == [
        "error output.missing_as_number"
    ]
    for text in ("The input has NaN where an object is missing.", FALLING + " `jet_pt` is 0 without such a jet.", ""):
        assert said(objects_as_told, a_case(tmp_path, None, {"a.npz": zeros}, text=text)) == []


def test_cuts_on_the_crack_are_applied(tmp_path: Path) -> None:
    spread = {**objects(), "ph1_eta": np.random.default_rng(1).uniform(-2.3, 2.3, N)}
    del spread["m_yy"]

    def told(text: str, **more: Any) -> list[str]:
        return said(objects_as_told, a_case(tmp_path, None, {"a.npz": {**spread, **more}}, text=text))

    for crack in ("not in the crack 1.37 to 1.52", "excluding 1.37 < |eta| < 1.52", "neither in 1.4442-1.566"):
        assert told(f"Select photons, {crack}") == ["error cut.not_applied"], crack
        assert told(f"Select photons, {crack}", is_good=np.ones(N, bool)) == [], crack
    assert told("Select photons; efficiency in 1.37 to 1.52") == []
    assert told("n_good counts photons not in 1.37 to 1.52") == ["warning cut.not_applied"]


def test_the_highest_need_not_be_in_order(tmp_path: Path) -> None:
    swapped = {**objects(), "ph1_pt": objects()["ph1_pt"][::-1]}
    del swapped["m_yy"]
    text = "the two photons of highest pT, ph1 the one with the larger eta"
    assert said(objects_as_told, a_case(tmp_path, None, {"a.npz": swapped}, text=text)) == ["warning objects.order"]
