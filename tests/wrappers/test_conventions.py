"""All wrappers keep the conventions of snakemake-wrappers, can be used in every way, and stand on their own."""

from __future__ import annotations

import ast
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.wrappers.kit import WRAPPERS
from wrappers import catalogue, embed
from wrappers.common.job import VERSION

ROOT = WRAPPERS.parent
ALL = sorted(path.parent.relative_to(WRAPPERS).as_posix() for path in WRAPPERS.glob("phys/*/*/wrapper.py"))
META = sorted(path.parent.relative_to(WRAPPERS).as_posix() for path in WRAPPERS.glob("meta/*/*/meta_wrapper.smk"))
NAMED = {
    "phys/uproot/inspect",
    "phys/uproot/skim",
    "phys/vector/pairs",
    "phys/awkward/flatten",
    "phys/opendata/fetch",
    "phys/opendata/normalise",
    "phys/hist/fill",
    "phys/zfit/fit",
    "phys/stats/significance",
    "phys/stats/limit",
    "phys/stats/categorise",
    "phys/pyhf/workspace",
    "phys/cabinetry/fit",
    "phys/ml/train",
    "phys/ml/apply",
    "phys/mplhep/stack",
    "phys/mplhep/fit",
    "phys/hepdata/export",
}
STANDARD_NAMES = set(sys.stdlib_module_names)


def read_yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def test_all_wrappers_are_there() -> None:
    assert set(ALL) >= NAMED
    assert META


def test_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION


def test_common_parts_are_embedded_as_they_are() -> None:
    for name in ALL:
        text = (WRAPPERS / name / "wrapper.py").read_text(encoding="utf-8")
        assert embed.embedded(text) == text, f"{name}: run python wrappers/embed.py"


def test_a_part_that_is_missing_or_out_of_order_is_an_error() -> None:
    block = "# --- common: {} ---\n# --- end of common ---\n"
    assert "class Table" in embed.embedded(block.format("job") + block.format("tables"))
    with pytest.raises(ValueError, match="'tables' needs job before it"):
        embed.embedded(block.format("tables") + block.format("job"))
    with pytest.raises(OSError, match=r"nothing\.py"):
        embed.embedded(block.format("nothing"))


def test_catalogue_is_up_to_date() -> None:
    page = (WRAPPERS / "README.md").read_text(encoding="utf-8")
    assert catalogue.renewed(page) == page, "run python wrappers/catalogue.py"
    assert all(f"`{name}`" in page for name in [*ALL, *META])


@pytest.mark.parametrize("name", [*ALL, *META])
def test_meta(name: str) -> None:
    meta = read_yaml(WRAPPERS / name / "meta.yaml")
    wanted = {"name", "description", "authors"} | ({"url", "output"} if name in ALL else set())
    if name in ALL and name != "phys/opendata/fetch":  # it takes no file
        wanted.add("input")
    allowed = wanted | {"url", "input", "output", "params", "notes", "pathvars"}
    assert wanted <= set(meta) <= allowed
    assert isinstance(meta["authors"], list)
    assert "@" not in "".join(meta["authors"])
    if name in ALL:
        assert meta["url"].startswith("https://")
        assert all(isinstance(meta[key], dict | list) for key in ("input", "output", "params") if key in meta)


@pytest.mark.parametrize("name", ALL)
def test_environment(name: str) -> None:
    environment = read_yaml(WRAPPERS / name / "environment.yaml")
    assert environment["channels"][0] == "conda-forge"
    assert environment["channels"][-1] == "nodefaults"
    for dependency in environment["dependencies"]:
        if isinstance(dependency, dict):
            assert all(re.fullmatch(r"[\w.-]+ ?==? ?\d+(\.\d+)+", one) for one in dependency["pip"]), dependency
        else:
            assert re.fullmatch(r"[\w.-]+ =\d+(\.\d+)+", dependency), dependency


@pytest.mark.parametrize("name", ALL)
def test_file_stands_alone(name: str) -> None:
    """Imports are of the standard library, or of packages that the environment names or brings."""
    text = (WRAPPERS / name / "wrapper.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    for header in ("__author__", "__copyright__", "__license__"):
        assert re.search(rf"^{header} = ", text, re.MULTILINE), header
    assert text.rstrip().endswith('if "snakemake" in globals():\n    main(snakemake)')
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {"snakemake_executor_plugin_llmagent", "wrappers", "tests", "pickle", "dill"} & imported
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


@pytest.mark.parametrize("name", [*ALL, *META])
def test_snakefile_passes_the_linter(name: str, tmp_path: Path) -> None:
    folder = WRAPPERS / name / "test"
    command = [sys.executable, "-m", "snakemake", "--lint", "-s", str(folder / "Snakefile"), "-d", str(tmp_path)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONWARNINGS": ""}
    (tmp_path / "master").symlink_to(WRAPPERS)
    command += ["--wrapper-prefix", f"file://{tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (folder / "Snakefile").read_text(encoding="utf-8")
    if name in ALL:
        assert f'"master/{name}"' in text
        assert text.count("log:") >= text.count("wrapper:") >= 1


SNAKEFILE = """
rule all:
    input: "ntuple.json"
rule inspect:
    input: "events.root"
    output: "ntuple.json"
    log: "inspect.log"
    wrapper: "{where}/phys/uproot/inspect"
"""


@pytest.fixture
def events(tmp_path: Path) -> Path:
    uproot = pytest.importorskip("uproot")
    import numpy as np

    with uproot.recreate(tmp_path / "events.root") as file:
        file.mktree("mini", {"pt": "float64"}).extend({"pt": np.arange(4.0)})
    return tmp_path


def run_with(where: str, folder: Path) -> None:
    (folder / "Snakefile").write_text(SNAKEFILE.format(where=where), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--show-failed-logs", "--nolock"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONWARNINGS": "", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"entries": 4' in (folder / "ntuple.json").read_text(encoding="utf-8")


def test_used_from_a_folder(events: Path) -> None:
    run_with(f"file:{WRAPPERS}", events)


def test_used_from_a_tag_of_a_repository(events: Path) -> None:
    repository = events / "repository"
    place = repository / "wrappers" / "phys" / "uproot" / "inspect"
    place.mkdir(parents=True)
    for name in ("wrapper.py", "environment.yaml", "meta.yaml"):
        (place / name).write_bytes((WRAPPERS / "phys" / "uproot" / "inspect" / name).read_bytes())
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "wrappers"], ["tag", "v0.1.0"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    (events / "Snakefile").unlink(missing_ok=True)
    snakefile = SNAKEFILE.replace("{where}/phys/uproot/inspect", "{where}/wrappers/phys/uproot/inspect@v0.1.0")
    (place / "wrapper.py").write_text("raise SystemExit('not the tagged file')", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "SNAKEFILE", snakefile)
        run_with(f"git+file://{repository}", events)


@pytest.fixture
def served() -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(WRAPPERS.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_used_by_url(events: Path, served: str) -> None:
    run_with(f"{served}/wrappers", events)
