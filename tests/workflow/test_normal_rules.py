"""Rules without `agent:` run as if the plugin were not there, and with its executor as with the local one."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workflow import sink
from tests.workflow.project import Done, Project

HIDE = """
import pkgutil

_all = pkgutil.iter_modules


def _others(*arguments, **options):
    return (found for found in _all(*arguments, **options) if found.name != "snakemake_executor_plugin_llmagent")


pkgutil.iter_modules = _others
"""
Make = Callable[[str], Project]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Projects with the whole workflow, each with a cache of its own."""

    def made(name: str) -> Project:
        root = tmp_path / name
        root.mkdir()
        project = Project(root)
        sink.write(project)
        store = tmp_path / f"{name}-store"
        store.mkdir()
        project.env["SNAKEMAKE_OUTPUT_CACHE"] = str(store)
        return project

    return made


def hide_plugin(project: Project) -> None:
    """Let no process that this project starts see the plugin."""
    folder = project.root.parent / f"{project.root.name}-hidden"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDE)
    project.env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


def tree(project: Project) -> dict[str, tuple[str, str | bytes]]:
    """Every file outside `.snakemake`: its mode, and its contents where no clock is in them."""
    found: dict[str, tuple[str, str | bytes]] = {}
    for path in sorted(project.root.rglob("*")):
        name = str(path.relative_to(project.root))
        if not name.startswith(".snakemake"):
            timed = name.startswith("benchmarks/") or path.is_dir() or path.is_symlink()
            contents = "link" if path.is_symlink() else "" if timed else path.read_bytes()
            found[name] = (stat.filemode(path.stat().st_mode), contents)
    return found


def jobs(done: Done) -> list[str]:
    """The jobs of a run in alphabetic order: rule and reason."""
    return sorted(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", done.output, re.MULTILINE))


def test_same_as_local_and_as_without_the_plugin(make: Make) -> None:
    hidden, local, ours = make("hidden"), make("local"), make("ours")
    hide_plugin(hidden)
    runs = {
        "hidden": hidden.snakemake("--cache", cores=3),
        "local": local.snakemake("--cache", cores=3),
        "ours": ours.snakemake("--executor", "llmagent", "--cache", cores=3),
    }
    for name, done in runs.items():
        assert done, (name, done.output)
        assert "all went well" in done.output
    reference = tree(hidden)
    assert reference["out/retried.txt"][1] == b"2\n"
    assert reference["out/piped.txt"][1] == b"1\n2\n3\n4\n5\n"
    assert reference["out/kept.txt"][0] == "-r--r--r--"
    assert tree(local) == reference
    assert tree(ours) == reference
    assert jobs(runs["ours"]) == jobs(runs["local"]) == jobs(runs["hidden"])
    assert len(ours.read("benchmarks/measured.tsv").splitlines()) == 3
    assert not (ours / ".snakemake/llmagent").exists()
    # What one executor made needs nothing from the other: metadata, code and params are the same.
    for project, executor in ((local, "llmagent"), (ours, "local")):
        again = project.snakemake("--executor", executor, cores=3)
        assert again and "Nothing to be done" in again.output, again.output
    # The between-workflow cache of one serves the other.
    taken = make("taken")
    taken.env["SNAKEMAKE_OUTPUT_CACHE"] = ours.env["SNAKEMAKE_OUTPUT_CACHE"]
    done = taken.snakemake("out/cached.txt", "out/cached_run.txt", "--executor", "llmagent", "--cache")
    assert done, done.output
    stored = sorted(Path(ours.env["SNAKEMAKE_OUTPUT_CACHE"]).iterdir())
    assert len(stored) == 2
    assert (taken / "out/cached.txt").is_symlink()
    assert (taken / "out/cached.txt").resolve() in stored


def test_compiled_the_same_without_the_plugin(make: Make) -> None:
    hidden, ours = make("hidden"), make("ours")
    hide_plugin(hidden)

    def plain(text: str, project: Project) -> str:
        return text.replace(str(project.root), "")

    with_it = plain(ours.snakemake("--print-compilation").output, ours)
    assert "@workflow.rule" in with_it
    assert with_it == plain(hidden.snakemake("--print-compilation").output, hidden)
    (hidden / "Snakefile").write_text('rule a:\n    output: "a"\n    agent: "sum"\n')
    unknown = hidden.snakemake("-n")
    assert unknown.returncode == 1
    assert "Unexpected keyword agent" in unknown.output


@pytest.mark.parametrize("options", [(), ("--keep-going", "--show-failed-logs")], ids=["stops", "keep-going"])
def test_failures_are_the_same(make: Make, options: tuple[str, ...]) -> None:
    local, ours = make("local"), make("ours")
    arguments = ("-s", "Failing", *options)
    runs = {
        "local": local.snakemake("--executor", "local", *arguments, cores=1),
        "ours": ours.snakemake("--executor", "llmagent", *arguments, cores=1),
    }
    for done in runs.values():
        assert done.returncode == 1, done.output
        assert "something failed" in done.output
    reference = tree(local)
    assert "bad.txt" not in reference and "worse.txt" not in reference
    assert tree(ours) == reference
    kinds = {name: set(re.findall(r"^Error in rule (\w+)", done.output, re.MULTILINE)) for name, done in runs.items()}
    assert kinds["ours"] == kinds["local"]
    if options:
        assert kinds["ours"] == {"bad", "worse"}
        assert "why" in runs["ours"].output


def test_notebook(make: Make) -> None:
    nbformat: Any = pytest.importorskip("nbformat")
    programs = Path(sys.executable).parent
    if shutil.which("jupyter-nbconvert", path=programs) is None:
        pytest.skip("notebooks need jupyter-nbconvert beside Python")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    notebook["cells"] = [nbformat.v4.new_code_cell("open(snakemake.output[0], 'w').write('noted')")]
    for executor in ("local", "llmagent"):
        project = make(executor)
        project.env["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        project.snakefile('rule noted:\n    output: "noted.txt"\n    notebook: "note.py.ipynb"\n', "Notebook")
        project.write("note.py.ipynb", nbformat.writes(notebook))
        done = project.snakemake("-s", "Notebook", "--executor", executor)
        assert done, done.output
        assert project.read("noted.txt") == "noted"
