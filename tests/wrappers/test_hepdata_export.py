"""`phys/hepdata/export`: the tables that come out, read back as YAML, and HEPData's own validator."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import yaml
from hepdata_validator.full_submission_validator import FullSubmissionValidator
from PIL import Image

from tests.wrappers.kit import WrapperFailed, call, run_snakefile

PLACE = "phys/hepdata/export"
PARAMS: dict[str, Any] = {
    "abstract": "We looked.",
    "reactions": ["P P --> HIGGS X"],
    "observables": ["N"],
    "cmenergies": [13000],
}
FLOW = {
    "cutflow": [
        {"cut": "all", "events": 123456, "yield": 5.5, "error": 1.5},
        {"cut": "pt", "events": 0, "yield": 0, "error": 0},
    ]
}


def load(folder: Path, name: str) -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load((folder / name).read_text())
    return table


def column(table: dict[str, Any], **qualifiers: Any) -> list[dict[str, Any]]:
    """Values of the one dependent variable with these qualifiers."""
    chosen = [
        one["values"]
        for one in table["dependent_variables"]
        if qualifiers.items() <= {q["name"]: q["value"] for q in one.get("qualifiers", [])}.items()
    ]
    assert len(chosen) == 1
    values: list[dict[str, Any]] = chosen[0]
    return values


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_snakefile(tmp_path: Path) -> None:
    folder = run_snakefile(PLACE, tmp_path) / "results" / "submission"
    assert FullSubmissionValidator().validate(archive=str(folder.parent / "submission.tar.gz"))
    (folder / ".snakemake_timestamp").unlink(missing_ok=True)
    head, *tables = yaml.safe_load_all((folder / "submission.yaml").read_text())
    assert head["comment"].startswith("A search for Higgs bosons")
    named = {one["name"]: one for one in tables}
    names = ["Diphoton mass", "cutflow", "fit parameters", "fit covariance", "fit spectrum", "limit", "significance"]
    assert list(named) == names
    assert named["Diphoton mass"]["location"] == "Figure 1"
    assert [one["location"] for one in named["Diphoton mass"]["additional_resources"]] == ["m_yy.png", "thumb_m_yy.png"]
    with Image.open(folder / "thumb_m_yy.png") as image:
        assert image.size == (240, 160)
    keywords = {one["name"]: one["values"] for one in named["limit"]["keywords"]}
    assert keywords["reactions"] == ["P P --> HIGGS < GAMMA GAMMA > X"] and keywords["cmenergies"] == [13000.0]

    mass = load(folder, "diphoton_mass.yaml")
    (axis,) = mass["independent_variables"]
    assert axis["header"] == {"name": "m_yy", "units": "GeV"}
    assert [(one["low"], one["high"]) for one in axis["values"]] == [(105, 120), (120, 130), (130, 160)]
    data = column(mass, PROCESS="data")
    assert [one["value"] for one in data] == [2, 1, 1]
    # Garwood's interval of two events: -1.292 +2.638
    assert data[0]["errors"] == [{"asymerror": {"minus": -1.2918, "plus": 2.6379}, "label": "stat"}]
    background = column(mass, PROCESS="background", LUMINOSITY="10 fb-1")
    assert background[0]["value"] == 1.0
    statistic, systematic = background[0]["errors"]
    assert statistic == {"symerror": round(np.sqrt(2 * 0.25), 5), "label": "stat"}
    assert systematic == {"asymerror": {"minus": -0.05, "plus": 0.1}, "label": "sys,scale"}

    parameters = load(folder, "fit_parameters.yaml")
    assert [one["value"] for one in parameters["independent_variables"][0]["values"]] == ["mu", "mass"]
    assert column(parameters)[1] == {"value": 125.0, "errors": [{"symerror": 0.3, "label": "fit"}]}
    matrix = load(folder, "fit_covariance.yaml")
    assert [one["header"]["name"] for one in matrix["dependent_variables"]] == ["Covariance", "Correlation"]
    assert [one["value"] for one in matrix["dependent_variables"][0]["values"]] == [0.16, 0.012, 0.012, 0.09]
    assert [one["value"] for one in column(load(folder, "fit_spectrum.yaml"), PROCESS="fitted total")] == [2.5, 1.5]
    limit = load(folder, "limit.yaml")
    assert [one["value"] for one in limit["independent_variables"][0]["values"]] == [
        "Observed", "Expected -2 sigma", "Expected -1 sigma", "Expected", "Expected +1 sigma", "Expected +2 sigma",
    ]  # fmt: skip
    assert [one["value"] for one in column(limit)] == [2.1, 0.5, 0.7, 1.0, 1.4, 1.9]
    assert limit["dependent_variables"][0]["header"]["name"] == "95% CL upper limit on signal strength"
    assert [one["value"] for one in column(load(folder, "significance.yaml"))] == [2.85, 2.56, 0.0022]

    with tarfile.open(folder.parent / "submission.tar.gz") as archive:
        held = {one.name: archive.extractfile(one) for one in archive.getmembers()}
        assert all(one.mtime == 0 and one.uid == 0 and not one.uname for one in archive.getmembers())
        assert sorted(held) == sorted(one.name for one in folder.iterdir())
        assert all(file and file.read() == (folder / name).read_bytes() for name, file in held.items())


def test_the_archive_is_the_same_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "flow.json", FLOW)
    for place in ("a", "b"):
        call(PLACE, tmp_path, input=[path], output=[tmp_path / place / "s.tar.gz"], params=PARAMS)
    first, second = ((tmp_path / place / "s.tar.gz").read_bytes() for place in ("a", "b"))
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        texts = [file.read() for one in archive.getmembers() if (file := archive.extractfile(one))]
    assert not any(str(tmp_path).encode() in one for one in texts)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "b", "flow.json", "log.txt"], "nothing else is left"


def test_counts_keep_all_digits_and_zeros_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    call(PLACE, tmp_path, input=[write(tmp_path / "flow.json", FLOW)], output=[folder], params=PARAMS)
    table = load(folder, "flow.yaml")
    assert [one["value"] for one in table["dependent_variables"][0]["values"]] == [123456, 0]
    assert table["dependent_variables"][1]["values"][0] == {
        "value": 5.5,
        "errors": [{"symerror": 1.5, "label": "stat"}],
    }


def test_two_dimensions_and_a_histogram_without_processes(tmp_path: Path) -> None:
    histogram = (
        hist.Hist.new.Reg(2, 0, 2, name="x", label="x").Var([0, 1, 4], name="y", label="y [GeV]").Weight(name="map")
    )
    histogram.fill(x=[0.5, 1.5, 1.5], y=[2, 0.5, 0.5], weight=[-1.0, 2.0, 3.0])
    from wrappers.common.histograms import write_histograms

    write_histograms(tmp_path / "h.json", {"map": histogram}, {})
    call(PLACE, tmp_path, input=[tmp_path / "h.json"], output=[tmp_path / "out"], params=PARAMS)
    table = load(tmp_path / "out", "map.yaml")
    rows = [[(one["low"], one["high"]) for one in axis["values"]] for axis in table["independent_variables"]]
    assert rows == [[(0, 1), (0, 1), (1, 2), (1, 2)], [(0, 1), (1, 4), (0, 1), (1, 4)]]
    assert [one["value"] for one in column(table)] == [0, -1, 5, 0]
    assert column(table)[2]["errors"] == [{"symerror": round(np.sqrt(13), 4), "label": "stat"}]


def test_other_files_are_attached_and_missing_numbers_are_dashes(tmp_path: Path) -> None:
    limit = write(tmp_path / "limit.json", {"observed": None, "expected": {"0": 1.0, "1": None}})
    other = write(tmp_path / "workspace.json", {"channels": []})
    (tmp_path / "notes.txt").write_text("x")
    log = call(PLACE, tmp_path, input=[limit, other, tmp_path / "notes.txt"], output=[tmp_path / "out"], params=PARAMS)
    assert "workspace.json: no histogram" in log
    names = {one.name for one in (tmp_path / "out").iterdir()}
    assert {"workspace.json", "notes.txt", "provenance.json"} <= names
    assert [one["value"] for one in column(load(tmp_path / "out", "limit.yaml"))] == [1.0, "-"]


def test_an_old_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old.yaml").write_text("a: 1")
    call(PLACE, tmp_path, input=[write(tmp_path / "flow.json", FLOW)], output=[folder], params=PARAMS)
    assert not (folder / "old.yaml").exists() and (folder / "flow.yaml").exists()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"abstract": None}, "'abstract' is missing"),
        ({"abstract": " "}, "abstract is empty"),
        ({"reactions": None}, "'reactions' is missing"),
        ({"reactions": "P P"}, "reactions: a list is needed"),
        ({"observables": []}, "observables: a list is needed"),
        ({"cmenergies": 13000}, "cmenergies: a list is needed"),
        ({"tables": {"flwo": {}}}, "there is no table 'flwo'. Did you mean flow?"),
        ({"tables": {"flow": {"nme": "x"}}}, "there is no 'nme'. Did you mean name"),
        ({"tables": {"flow": {"image": "x.png"}}}, "no image 'x.png' in the input"),
        ({"tables": {"flow": {"name": "x" * 65}}}, "more than 64 letters"),
        ({"keyword": []}, "there is no 'keyword'"),
    ],
)
def test_wrong_params(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "flow.json", FLOW)
    given = {name: one for name, one in {**PARAMS, **params}.items() if one is not None}
    with pytest.raises(WrapperFailed) as caught:
        call(PLACE, tmp_path, input=[path], output=[tmp_path / "s.tar.gz"], params=given)
    assert message in str(caught.value) and "Traceback" not in str(caught.value)
    assert not (tmp_path / "s.tar.gz").exists()


def test_wrong_files(tmp_path: Path) -> None:
    flow, twin = write(tmp_path / "flow.json", FLOW), tmp_path / "sub" / "flow.json"
    twin.parent.mkdir()
    write(twin, FLOW)
    for inputs, output, message in (
        ([flow, twin], "s.tar.gz", "two tables have the name 'flow'"),
        ([flow], "s.zip", "a submission is a .tar.gz file"),
        ([], "s.tar.gz", "name results"),
        ([write(tmp_path / "x.json", {"a": 1})], "s.tar.gz", "none of the .json files holds"),
        ([write(tmp_path / "y.json", {"cutflow": [{"cut": "a"}]})], "s.tar.gz", "y.json: cutflow: KeyError: 'events'"),
    ):
        with pytest.raises(WrapperFailed, match=message):
            call(PLACE, tmp_path, input=inputs, output=[tmp_path / output], params=PARAMS)
