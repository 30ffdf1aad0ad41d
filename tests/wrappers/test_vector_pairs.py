"""`phys/vector/pairs`: pairs and their kinematics against plain loops, boosts and formulas; what is refused."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
import vector

from tests.wrappers import kit

WRAPPER = "phys/vector/pairs"
RESULTS = ["mass", "pt", "delta_eta", "delta_phi", "cos_theta_star", "pt_t", "pt1", "pt2"]
RESULTS += ["eta1", "eta2", "phi1", "phi2"]


def sample(number: int = 200, seed: int = 3, most: int = 5) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    lengths = {name: random.integers(0, most, number) for name in ("photon", "jet")}
    columns: dict[str, Any] = {"event_number": np.arange(number), "weight": random.normal(0.5, 1, number)}
    for name, counts in lengths.items():
        total = int(counts.sum())
        values = {
            "pt": 20 + random.exponential(40, total),
            "eta": random.uniform(-3, 3, total),
            "phi": random.uniform(-math.pi, math.pi, total),
            "mass": random.exponential(8, total),
            "charge": random.choice([-1, 1], total),
            "good": random.random(total) < 0.7,
        }
        columns |= {f"{name}_{key}": ak.unflatten(value, counts) for key, value in values.items()}
    return columns


def write(path: Path, columns: dict[str, Any]) -> Path:
    if path.suffix == ".parquet":
        ak.to_parquet(ak.zip(columns, depth_limit=1), path, row_group_size=97)
    else:
        with uproot.recreate(path) as file:
            file.mktree("events", columns)
    return path


def pairs(tmp_path: Path, events: dict[str, Any], /, **params: Any) -> dict[str, np.ndarray]:
    source = write(tmp_path / "in.parquet", events)
    out = tmp_path / "out.npz"
    params = {"objects": "photon", "unit": "GeV", **params}
    kit.call(WRAPPER, tmp_path, input=[source], output=[out], params=params)
    with np.load(out) as file:
        return {name: file[name] for name in file.files if name != "provenance"}


def refused(tmp_path: Path, **params: Any) -> str:
    source = write(tmp_path / "in.parquet", sample(20))
    given = {"objects": "photon", "unit": "GeV", **params}
    with pytest.raises(kit.WrapperFailed) as error:
        kit.call(WRAPPER, tmp_path, input=[source], output=[tmp_path / "out.npz"], params=given)
    assert "Traceback" not in str(error.value)
    assert not (tmp_path / "out.npz").exists()
    return str(error.value)


def four(columns: dict[str, Any], name: str, event: int, place: int, mass: float | None = None) -> Any:
    values = {key: float(columns[f"{name}_{key}"][event][place]) for key in ("pt", "eta", "phi", "mass")}
    return vector.obj(**{**values, "mass": values["mass"] if mass is None else mass})


def collins_soper(one: Any, two: Any) -> float:
    """Boost to the rest frame of the pair, and measure against the axis that halves the angle of the beams there."""
    total = one + two
    beams = [vector.obj(px=0.0, py=0.0, pz=sign, E=1.0).boostCM_of_p4(total) for sign in (1.0, -1.0)]
    first, second = (np.array([beam.px, beam.py, beam.pz]) / beam.p for beam in beams)
    axis = (first - second) / np.linalg.norm(first - second)
    rest = one.boostCM_of_p4(total)
    return float(abs(np.array([rest.px, rest.py, rest.pz]) @ axis / rest.p))


def across_thrust(one: Any, two: Any) -> float:
    first, second = np.array([one.px, one.py]), np.array([two.px, two.py])
    axis = (first - second) / np.linalg.norm(first - second)
    total = first + second
    return float(abs(total[0] * axis[1] - total[1] * axis[0]))


def by_hand(one: Any, two: Any) -> dict[str, float]:
    total = one + two
    delta = one.phi - two.phi
    return {
        "mass": total.mass, "pt": total.pt, "delta_eta": one.eta - two.eta,
        "delta_phi": math.atan2(math.sin(delta), math.cos(delta)), "cos_theta_star": collins_soper(one, two),
        "pt_t": across_thrust(one, two), "pt1": one.pt, "pt2": two.pt, "eta1": one.eta, "eta2": two.eta,
        "phi1": one.phi, "phi2": two.phi,
    }  # fmt: skip


def same(found: dict[str, np.ndarray], expected: list[dict[str, float]]) -> None:
    assert len(expected) > 20
    for name in RESULTS:
        np.testing.assert_allclose(found[name], [row[name] for row in expected], rtol=1e-9, atol=1e-9, err_msg=name)


def ranked(columns: dict[str, Any], name: str, event: int, good: bool = True) -> list[int]:
    places = [n for n, one in enumerate(columns[f"{name}_good"][event]) if one or not good]
    return sorted(places, key=lambda place: -float(columns[f"{name}_pt"][event][place]))


def test_snakefile(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    with uproot.open(folder / "data/photons.root") as file:
        data = file["events"].arrays()
    expected = []
    for event in data:
        pt, eta, phi = (np.asarray(event[f"photon_{key}"], dtype=np.float64) for key in ("pt", "eta", "phi"))
        good = np.asarray(event.photon_is_tight) & (pt > 25000) & (np.abs(eta) < 2.37)
        pt, eta, phi = pt[good] / 1000, eta[good], phi[good]
        if len(pt) < 2:
            continue
        one, two = np.argsort(-pt)[:2]
        mass = math.sqrt(2 * pt[one] * pt[two] * (math.cosh(eta[one] - eta[two]) - math.cos(phi[one] - phi[two])))
        if pt[one] > 0.35 * mass and pt[two] > 0.25 * mass and 105 < mass < 160:
            expected.append((int(event.event_number), float(event.weight), mass))
    table = pq.read_table(folder / "results/diphoton.parquet")
    assert table["event_number"].to_pylist() == [row[0] for row in expected]
    np.testing.assert_allclose(table["m_yy"].to_numpy(), [row[2] for row in expected], rtol=1e-12)
    assert len(expected) > 100
    flow = json.loads((folder / "results/diphoton_cutflow.json").read_text())
    weights = np.array([row[1] for row in expected])
    assert flow["n_events"] == len(expected) == flow["cutflow"][-1]["events"]
    assert flow["cutflow"][0]["events"] == 3000
    assert math.isclose(flow["yield"], weights.sum(), rel_tol=1e-12)
    assert math.isclose(flow["yield_error"], math.sqrt((weights**2).sum()), rel_tol=1e-12)
    provenance = json.loads(table.schema.metadata[b"provenance"])
    assert provenance["wrapper"] == WRAPPER
    with uproot.open(folder / "results/dimuon.root") as file:
        muons = file["events"].arrays(library="np")
        assert file.classnames(cycle=False)["events"] == "TTree"
    source = ak.from_parquet(folder / "data/muons.parquet")
    best = {}
    for event in source:
        p4: list[Any] = [vector.obj(pt=float(a), eta=float(b), phi=float(c), mass=0.1057)
              for a, b, c in zip(event.Muon_pt, event.Muon_eta, event.Muon_phi, strict=True)]  # fmt: skip
        masses = [(p4[a] + p4[b]).mass for a, b in itertools.combinations(range(len(p4)), 2)
                  if p4[a].pt > 10 and p4[b].pt > 10 and event.Muon_charge[a] != event.Muon_charge[b]]  # fmt: skip
        if masses:
            best[int(event.event)] = min(masses, key=lambda mass: abs(mass - 91.19))
    assert muons["event"].tolist() == list(best)
    np.testing.assert_allclose(muons["mumu_mass"], list(best.values()), rtol=1e-9)


def test_leading_pair_is_found_in_any_order_of_the_objects(tmp_path: Path) -> None:
    columns = sample()
    found = pairs(tmp_path, columns, select="photon_good", keep=["event_number"], step_size=37)
    expected, events = [], []
    for event in range(200):
        places = ranked(columns, "photon", event)
        if len(places) > 1:
            expected.append(by_hand(*(four(columns, "photon", event, place, 0.0) for place in places[:2])))
            events.append(event)
    assert found["event_number"].tolist() == events
    same(found, expected)


def test_massive_objects(tmp_path: Path) -> None:
    columns = sample()
    found = pairs(tmp_path, columns, objects="jet")
    expected = [
        by_hand(*(four(columns, "jet", event, place) for place in ranked(columns, "jet", event, good=False)[:2]))
        for event in range(200)
        if len(columns["jet_pt"][event]) > 1
    ]
    same(found, expected)


def test_energy_instead_of_mass_and_mev(tmp_path: Path) -> None:
    columns = sample()
    jets = {key: columns.pop(f"jet_{key}") for key in ("pt", "eta", "mass")}
    columns["jet_pt"], columns["jet_eta"] = jets["pt"] * 1000, jets["eta"]
    columns["jet_E"] = np.sqrt((jets["pt"] * np.cosh(jets["eta"])) ** 2 + jets["mass"] ** 2) * 1000
    found = pairs(tmp_path, columns, objects="jet", unit="MeV", require="== 2")
    columns |= {"jet_pt": jets["pt"], "jet_mass": jets["mass"]}
    chosen = [event for event in range(200) if len(columns["jet_pt"][event]) == 2]
    expected = [by_hand(*(four(columns, "jet", event, place) for place in ranked(columns, "jet", event, good=False)))
                for event in chosen]  # fmt: skip
    assert len(chosen) > 20
    np.testing.assert_allclose(found["mass"], [row["mass"] for row in expected], rtol=1e-7)
    np.testing.assert_allclose(found["pt"], [row["pt"] for row in expected], rtol=1e-9)


@pytest.mark.parametrize("charge", [None, "opposite", "same"])
@pytest.mark.parametrize("pair", ["leading", "best"])
def test_choice_of_pair(tmp_path: Path, pair: str, charge: str | None) -> None:
    columns = sample(most=6)
    target = {"target": 91.0} if pair == "best" else {}
    found = pairs(
        tmp_path, columns, pair=pair, charge=charge, select="photon_good", columns=["mass", "index1", "index2"],
        keep=["event_number"], **target,
    )  # fmt: skip
    sign = {None: 0, "opposite": -1, "same": 1}[charge]
    expected = []
    for event in range(200):
        charges = columns["photon_charge"][event]
        options = [
            (event, a, b, (four(columns, "photon", event, a, 0.0) + four(columns, "photon", event, b, 0.0)).mass)
            for a, b in itertools.combinations(ranked(columns, "photon", event), 2)
            if sign in (0, charges[a] * charges[b])
        ]
        if options:
            expected.append(options[0] if pair == "leading" else min(options, key=lambda one: abs(one[3] - 91)))
    assert len(expected) > 30
    columns_found = (found[name].tolist() for name in ("event_number", "index1", "index2"))
    assert list(zip(*columns_found, strict=True)) == [row[:3] for row in expected]
    np.testing.assert_allclose(found["mass"], [row[3] for row in expected], rtol=1e-9)


@pytest.mark.parametrize("pair", ["leading", "best"])
def test_mixed_pairs(tmp_path: Path, pair: str) -> None:
    columns = sample()
    found = pairs(
        tmp_path, columns, objects=["photon", "jet"], mass=[0, None], select=["photon_good", "jet_pt > 30"],
        pair=pair, target=80 if pair == "best" else None,
    )  # fmt: skip
    expected = []
    for event in range(200):
        jets = [n for n in ranked(columns, "jet", event, good=False) if columns["jet_pt"][event][n] > 30]
        options = [
            (four(columns, "photon", event, a, 0.0), four(columns, "jet", event, b))
            for a, b in itertools.product(ranked(columns, "photon", event), jets)
        ]
        if options:
            best = options[0] if pair == "leading" else min(options, key=lambda one: abs((one[0] + one[1]).mass - 80))
            expected.append(by_hand(*best))
    same(found, expected)


def test_nearly_collinear_photons_have_the_right_mass(tmp_path: Path) -> None:
    distance = np.array([1e-3, 1e-6, 1e-9])
    columns = {
        "photon_pt": ak.Array([[100.0, 50.0]] * 3),
        "photon_eta": ak.Array([[0.0, float(one)] for one in distance]),
        "photon_phi": ak.Array([[math.pi, -math.pi]] * 3),
    }
    found = pairs(tmp_path, columns)
    np.testing.assert_allclose(found["mass"], math.sqrt(5000) * distance, rtol=1e-6)
    np.testing.assert_allclose(found["delta_phi"], 0, atol=1e-15)


def test_two_equal_momenta_give_no_nan(tmp_path: Path) -> None:
    columns = {f"photon_{key}": ak.Array([[50.0, 50.0] if key == "pt" else [1.0, 1.0]]) for key in ("pt", "eta", "phi")}
    found = pairs(tmp_path, columns)
    assert found["mass"][0] == found["cos_theta_star"][0] == found["pt_t"][0] == 0


def test_select_with_event_columns_and_reductions(tmp_path: Path) -> None:
    columns = sample()
    by_event = pairs(tmp_path, columns, select="photon_good & (photon_pt > 40 + weight)", keep=["event_number"])
    cut = columns["photon_good"] & (columns["photon_pt"] > 40 + columns["weight"])
    assert by_event["event_number"].tolist() == np.flatnonzero(ak.sum(cut, axis=1) >= 2).tolist()
    share = pairs(tmp_path, columns, select="photon_pt > 0.3 * sum(photon_pt)", keep=["event_number"])
    cut = columns["photon_pt"] > 0.3 * ak.sum(columns["photon_pt"], axis=1)
    assert share["event_number"].tolist() == np.flatnonzero(ak.sum(cut, axis=1) >= 2).tolist()


def test_names_and_kept_object_columns(tmp_path: Path) -> None:
    columns = sample()
    accept = "charge1 > 0 and weight > 0 and pt1_over_mass > 0.3"
    names: dict[str, Any] = {"prefix": "yy_", "rename": {"mass": "m_yy"}}
    found = pairs(tmp_path, columns, keep=["weight"], keep_objects=["photon_charge"], accept=accept, **names)
    kept = {"yy_charge1", "yy_charge2", "m_yy", "weight"}
    assert set(found) == {f"yy_{name}" for name in RESULTS if name != "mass"} | kept
    assert set(found["yy_charge1"]) == {1}
    assert set(found["yy_charge2"]) == {-1, 1}
    assert (found["weight"] > 0).all()
    assert (found["yy_pt1"] > 0.3 * found["m_yy"]).all()


def test_explicit_columns(tmp_path: Path) -> None:
    columns = sample()
    named = pairs(tmp_path, columns)
    renamed = {name.replace("photon_", "g:"): values for name, values in columns.items()}
    mapping = {"pt": "g:pt", "eta": "g:eta", "phi": "g:phi", "mass": 0}
    found = pairs(tmp_path, renamed, objects=mapping)
    assert (found["mass"] == named["mass"]).all()


def test_objects_without_a_finite_momentum_are_left_out(tmp_path: Path) -> None:
    values = {"pt": [[50.0, math.nan, 40.0], [-5.0, 60.0], [math.inf, 70.0, 30.0]]}
    columns = {f"photon_{key}": ak.Array(values["pt"]) * (key == "pt") for key in ("pt",)}
    columns |= {f"photon_{key}": ak.zeros_like(columns["photon_pt"]) for key in ("eta", "phi")}
    found = pairs(tmp_path, columns)
    assert found["pt1"].tolist() == [50, 70]
    assert "2 objects have no finite pT" in (tmp_path / "log.txt").read_text()


def test_nothing_passes_and_no_events_at_all(tmp_path: Path) -> None:
    found = pairs(tmp_path, sample(), select="photon_pt > 1e6", keep=["event_number"])
    assert {len(values) for values in found.values()} == {0}
    none = {name: values[:0] for name, values in sample(10).items()}
    found = pairs(tmp_path, none, keep=["event_number"])
    assert set(found) == {*RESULTS, "event_number"}
    assert {len(values) for values in found.values()} == {0}


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".root"])
def test_same_bytes_again_in_any_number_of_threads(tmp_path: Path, suffix: str) -> None:
    source = write(tmp_path / "in.root", sample())
    for number in (1, 2):
        output = [tmp_path / str(number) / f"out{suffix}"]
        params = {"objects": "photon", "unit": "GeV", "tree": "events"}
        kit.call(WRAPPER, tmp_path, input=[source, source], output=output, params=params, threads=number)
    one, two = ((tmp_path / str(number) / f"out{suffix}") for number in (1, 2))
    if suffix == ".root":
        with uproot.open(one) as first, uproot.open(two) as second:
            assert first["provenance"] == second["provenance"]
            assert ak.array_equal(first["events"].arrays(), second["events"].arrays())
            assert first["events"].num_entries > 100
    else:
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"unit": None}, "'unit' is missing"),
        ({"unit": "gev"}, "none of GeV, MeV"),
        ({"unit": "MeV"}, "are they in GeV?"),
        ({"objects": "photn"}, "Did you mean photon"),
        ({"objects": {"pt": "photon_pt"}}, "no column for eta, phi"),
        ({"objects": {"pt": "photon_pt", "eta": "a", "phi": "b", "m": "c"}}, "objects has no 'm'"),
        ({"objects": ["photon", "jet"], "select": "photon_good"}, "select must be a list of two"),
        ({"objects": "jet", "mass": 0, "energy": "jet_e"}, "not both"),
        ({"select": "photn_pt > 3"}, "Did you mean photon_pt"),
        ({"select": "photon_pt"}, "not a condition"),
        ({"select": "jet_pt > 3"}, "is no condition on each of the objects"),
        ({"require": "< 3"}, 'is not like ">= 2"'),
        ({"require": 1}, "nor at least 2"),
        ({"pair": "best"}, "needs target"),
        ({"target": 91}, 'pair="best" only'),
        ({"charge": "plus"}, "none of opposite, same"),
        ({"keep": ["weigth"]}, "Did you mean weight"),
        ({"keep": ["photon_pt"]}, "keep_objects is for lists"),
        ({"keep_objects": ["jet_pt"]}, "belongs to none of photon"),
        ({"accept": "m > 100"}, "no column 'm'"),
        ({"rename": {"m": "m_yy"}}, "there is no result 'm'"),
        ({"rename": {"pt": "mass"}}, "two output columns are called 'mass'"),
        ({"objects": {"pt": "photon_pt", "eta": "jet_eta", "phi": "photon_phi", "mass": 0}}, "not of the same objects"),
        ({"objects": {"pt": "weight", "eta": "photon_eta", "phi": "photon_phi", "mass": 0}}, "one value per event"),
        ({"objects": {"pt": "photon_pt", "eta": "photon_eta", "phi": "photon_phi"}}, "or give their mass"),
        ({"energy": "photon_good", "objects": "jet"}, "not of the same objects"),
        ({"energy": "photon_mass"}, "it is no energy"),
        ({"colums": ["mass"]}, "Did you mean columns"),
    ],
)
def test_refused(tmp_path: Path, params: dict[str, Any], words: str) -> None:
    assert words in refused(tmp_path, **params)


def test_gev_that_are_mev(tmp_path: Path) -> None:
    columns = sample()
    columns["photon_pt"] = columns["photon_pt"] * 1000
    with pytest.raises(kit.WrapperFailed, match=r"are they in MeV\?"):
        pairs(tmp_path, columns)
    assert not (tmp_path / "out.npz").exists()


def test_outputs_that_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", sample(10))
    params = {"objects": "photon", "unit": "GeV"}
    for output, words in (
        ([tmp_path / "out.csv"], "not to '.csv'"),
        ([tmp_path / "out.npy"], "pairs are written to"),
        ({"table": tmp_path / "a.npz", "cutflow": tmp_path / "b.md"}, "is a .json file"),
        ([tmp_path / "a.npz", tmp_path / "b.npz"], "one table is written"),
    ):
        with pytest.raises(kit.WrapperFailed, match=words):
            kit.call(WRAPPER, tmp_path, input=[source], output=output, params=params)
