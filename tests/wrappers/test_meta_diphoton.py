"""The meta-wrapper diphoton: from ntuples of both releases to a fit, and every way to load it."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from tests.wrappers import kit

META = "meta/phys/diphoton"
FIRST_HIGGS = 1_000_000
"""Toy data have event numbers from here on where a Higgs boson decayed."""


@pytest.mark.parametrize(
    "release, background",
    [("2020", {"n_background", "lam"}), ("2025", {"n_background", "c1", "c2", "c3", "c4"})],
)
def test_the_injected_signal_is_found(tmp_path: Path, release: str, background: set[str]) -> None:
    folder = kit.run_snakefile(META, tmp_path, f"results/{release}/fit.png")
    results = folder / "results" / release
    table = {name: column.to_numpy() for name, column in zip(*columns(results / "pairs" / "data.parquet"), strict=True)}
    higgs = table["event_number"] >= FIRST_HIGGS
    assert 200 < higgs.sum() < 400
    assert len(table["m_yy"]) > 8 * higgs.sum()
    check_selection(table, release)

    fit = json.loads((results / "fit.json").read_text())
    assert fit["valid"]
    free = {name for name, one in fit["parameters"].items() if one["error"]}
    assert free == {"n_signal"} | background, "the shape of the signal comes from the simulation"
    number, error = (fit["parameters"]["n_signal"][key] for key in ("value", "error"))
    assert abs(number - higgs.sum()) < 2 * error
    assert 0.05 * higgs.sum() < error < 0.15 * higgs.sum()
    assert number + fit["parameters"]["n_background"]["value"] == pytest.approx(len(higgs), abs=0.5)
    assert fit["parameters"]["mu"]["value"] == pytest.approx(125, abs=0.2)
    check_yield(folder, results, release)
    check_plot(tmp_path, results, f"n_signal = {number:.0f} ± {error:.0f}")


def check_selection(table: dict[str, Any], release: str) -> None:
    """Each cut is kept, and is near an event that just passed it: it is neither forgotten nor tighter."""
    mass, first, second = (table[name] for name in ("m_yy", "pt1", "pt2"))
    isolation = 0.065 if release == "2020" else 0.055
    lows = {
        "mass": (mass, 105, 0.1),
        "leading share": (first / mass, 0.35, 0.2),
        "other share": (second / mass, 0.25 if release == "2020" else 0.35, 0.01),
        "leading pT": (first, 0 if release == "2020" else 50, 60),
        "other pT": (second, 25 if release == "2020" else 30, 10),
    }
    for name, (values, low, near) in lows.items():
        assert low < values.min() < low + near, name
    assert 159.5 < mass.max() < 160, "in GeV, whatever the ntuple has"
    for number in (1, 2):
        share = table[f"track_isolation{number}"] / table[f"pt{number}"]
        assert 0.6 * isolation < share.max() < isolation
        calorimeter = (table[f"calo_isolation{number}"] / table[f"pt{number}"]).max()
        assert (calorimeter < 0.065) == (release == "2020"), "the analysis of 2025 has no such cut"
        eta = np.abs(table[f"eta{number}"])
        assert 2.2 < eta.max() < 2.37
        assert not ((eta >= 1.37) & (eta <= 1.52)).any(), "the crack"


def columns(path: Path) -> tuple[list[str], list[Any]]:
    table = pq.read_table(path)
    return table.column_names, table.columns


def check_yield(folder: Path, results: Path, release: str) -> None:
    """The simulation is scaled to 10 /fb and cut down step by step; nothing is lost between the steps."""
    normalised = json.loads((results / "normalised" / f"toy_signal_{release}.json").read_text())
    cross_section = 0.1 if release == "2020" else 44 * 0.00227
    assert normalised["yield"] == pytest.approx(10_000 * cross_section, rel=1e-4)
    skimmed = json.loads((results / "skimmed" / f"toy_signal_{release}.json").read_text())
    pairs = json.loads((results / "pairs" / "signal.json").read_text())
    assert skimmed["cutflow"][0]["yield"] == pytest.approx(normalised["yield"], rel=1e-6)
    assert skimmed["cutflow"][-1]["yield"] == pytest.approx(pairs["cutflow"][0]["yield"], rel=1e-6)
    triggered = skimmed["cutflow"][1]["events"] / skimmed["cutflow"][0]["events"]
    assert 0.97 < triggered < 0.99 if release == "2020" else triggered == 1, "2025 has no diphoton trigger"
    yields = [row["yield"] for row in (*skimmed["cutflow"], *pairs["cutflow"])]
    assert yields == sorted(yields, reverse=True)
    assert 0.6 < yields[-1] / yields[0] < 0.9
    assert not (results / "normalised" / f"toy_signal_{release}.parquet").exists(), "large and temporary"
    assert (folder / "logs" / release / "fit.log").read_text().strip()


def check_plot(tmp_path: Path, results: Path, found: str) -> None:
    assert (results / "fit.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(results / "fit.png") as image:
        assert json.loads(image.info["provenance"])["params"]["status"] == "Toy Data"
        pixels = np.asarray(image.convert("RGB")).astype(int)
    dark = (pixels.max(axis=2) < 60).mean(axis=1)
    red = (np.abs(pixels - np.array([0xBD, 0x1F, 0x01])).max(axis=2) < 30).any(axis=0)
    assert (dark > 0.002).mean() > 0.3, "points, axes and words, from top to bottom"
    assert red.mean() > 0.7, "the fitted curve goes from side to side"
    kit.call(
        "phys/mplhep/fit",
        tmp_path,
        input=[results / "fit.json"],
        output=[tmp_path / "fit.svg"],
        params={"status": "Toy Data"},
    )
    words = re.findall(r"<!-- (.*?) -->", (tmp_path / "fit.svg").read_text(), flags=re.DOTALL)
    assert any(found in one for one in words)
    assert not any("all" in one.split() for one in words), "there are no categories"


@functools.cache
def official() -> set[str]:
    records = runpy.run_path(str(kit.WRAPPERS / "phys/opendata/fetch/wrapper.py"))["RECORDS"]
    return {file.name for record in records.values() for file in record.files}


SNAKEFILE = """
module diphoton:
    {how}
    config: {config}
    pathvars:
        logs="logs/diphoton",
use rule * from diphoton as diphoton_*
"""


def snakemake(
    folder: Path, how: str, config: dict[str, Any], *arguments: str, more: str = ""
) -> subprocess.CompletedProcess[str]:
    (folder / "Snakefile").write_text(SNAKEFILE.format(how=how, config=config) + more, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--show-failed-logs", "--nolock", *arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONWARNINGS": "", "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=120
    )


LOCAL = f'meta_wrapper: "file:{kit.WRAPPERS}/{META}"'


@pytest.mark.parametrize("config, data, signal", [({}, 4, 4), ({"release": 2025}, 16, 7)], ids=["2020", "2025"])
def test_official_samples_are_known_to_fetch(tmp_path: Path, config: dict[str, Any], data: int, signal: int) -> None:
    done = snakemake(tmp_path, LOCAL, config, "--dry-run", "results/fit.png")
    assert done.returncode == 0, done.stdout + done.stderr
    named = re.findall(r"rule diphoton_fetch:\n    output: resources/ntuples/(\S+)", done.stdout + done.stderr)
    assert set(named) <= official()
    simulated = [name for name in named if "mc_" in name]
    assert (len(named) - len(simulated), len(simulated)) == (data, signal)
    assert len(set(named)) == len(named)
    assert any("ggH125" in name for name in simulated)


def test_own_data_need_words(tmp_path: Path) -> None:
    done = snakemake(tmp_path, LOCAL, {"data": ["a.root"]}, "--dry-run", "results/fit.png")
    assert done.returncode != 0
    assert "beside `data` the module needs luminosity and status" in done.stdout + done.stderr
    own = {"data": ["a.root"], "luminosity": 1.5, "status": "Open Data"}
    done = snakemake(tmp_path, LOCAL, own, "--dry-run", "--printshellcmds", "results/fit.png")
    assert done.returncode == 0, done.stdout + done.stderr


def test_used_wrappers_are_those_of_the_rules() -> None:
    text = (kit.WRAPPERS / META / "meta_wrapper.smk").read_text(encoding="utf-8")
    used = re.findall(r'WRAPPER\.replace\("TOOL/TASK", "([\w/]+)"\)', text)
    listed = yaml.safe_load((kit.WRAPPERS / META / "used_wrappers.yaml").read_text(encoding="utf-8"))["wrappers"]
    assert [f"phys/{one}" for one in used] == listed
    assert all((kit.WRAPPERS / one / "wrapper.py").is_file() for one in listed)
    assert len(used) == text.count("\nrule ") == text.count("wrapper:\n")


MIRRORED = """
use rule fetch from diphoton as diphoton_fetch with:
    params:
        record=900001,
        mirror="mirror",
"""


def fetch_and_normalise(folder: Path, how: str) -> None:
    """Run the first two rules on a file that the test's own data script makes."""
    from snakemake.iocontainers import OutputFiles, Wildcards

    names = {"data": "eos/toy_data_2020.root", "signal": "eos/toy_signal_2020.root", "record": "api/records/900001"}
    output, wildcards = OutputFiles(), Wildcards(toclone=["2020"])
    wildcards._add_name("release")
    for name, place in names.items():
        (folder / "mirror" / place).parent.mkdir(parents=True, exist_ok=True)
        output.append(f"mirror/{place}")
        output._add_name(name)
    job = type("Job", (), {"output": output, "wildcards": wildcards})()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runpy.run_path(str(kit.WRAPPERS / META / "test" / "make_data.py"), init_globals={"snakemake": job})
    config = {"data": ["toy_data_2020.root"], "luminosity": 10, "status": "Toy Data"}
    target = "results/normalised/toy_data_2020.json"
    done = snakemake(folder, how, config, "--notemp", target, more=MIRRORED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((folder / target).read_text())["n_events"] == 6400
    assert (folder / "logs/diphoton/fetch/toy_data_2020.log").is_file()


def test_used_from_a_folder_with_a_sign_in_its_name(tmp_path: Path) -> None:
    copy_wrappers(tmp_path / "me@home" / "wrappers")
    fetch_and_normalise(tmp_path, f'meta_wrapper: "file:me@home/wrappers/{META}"')


def copy_wrappers(to: Path) -> None:
    """Copy what the first two rules need."""
    for name in ("phys/opendata/fetch", "phys/opendata/normalise"):
        (to / name).mkdir(parents=True)
        for file in ("wrapper.py", "environment.yaml"):
            shutil.copy(kit.WRAPPERS / name / file, to / name)
    (to / META).mkdir(parents=True)
    shutil.copy(kit.WRAPPERS / META / "meta_wrapper.smk", to / META)


def test_used_from_a_tag_of_a_repository(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    copy_wrappers(repository / "wrappers")
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "wrappers"], ["tag", "v0.1.0"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    for path in repository.glob("wrappers/*/*/*/wrapper.py"):
        path.write_text("raise SystemExit('not the tagged file')", encoding="utf-8")
    smk = f"git+file://{repository}/wrappers/{META}/meta_wrapper.smk@v0.1.0"
    fetch_and_normalise(tmp_path, f'snakefile: "{smk}"')


@pytest.fixture
def served() -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(kit.WRAPPERS))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_used_by_url(tmp_path: Path, served: str) -> None:
    fetch_and_normalise(tmp_path, f'meta_wrapper: "{served}/{META}"')
