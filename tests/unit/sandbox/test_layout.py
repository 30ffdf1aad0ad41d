from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.protocols import Item, Job
from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.spec import Kind

FILES = ("a/1.txt", "a/b/2.txt", "a/b/c/3.txt", "d/4.txt", "5.txt", "ab/6.txt")
FOLDERS = ("a", "a/b", "a/b/c", "d", "ab", ".")
NEW = ("a/new.txt", "a/b/new.txt", "a/b/c/new.txt", "d/new.txt", "new.txt", "results/x/new.txt", "a/1.txt", "5.txt")
DETOURS = st.sampled_from(["{}", "./{}", "x/../{}", "a/../{}", "{}/"])
INPUTS = st.lists(st.tuples(DETOURS, st.sampled_from(FILES + FOLDERS)), max_size=5)
OUTPUTS = st.lists(st.tuples(DETOURS, st.sampled_from(NEW)), max_size=4, unique_by=lambda pair: pair[1])


def a_job(workdir: Path, inputs: list[str], outputs: list[str], logs: list[str] | None = None) -> Job:
    def items(paths: list[str]) -> tuple[Item, ...]:
        return tuple(Item(name=None, path=path) for path in paths)

    return Job(rule="fit", workdir=workdir, inputs=items(inputs), outputs=items(outputs), logs=items(logs or []))


@contextmanager
def project() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "project"
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        yield root


def paths(chosen: list[tuple[str, str]]) -> list[str]:
    return [detour.format(path) for detour, path in chosen]


@settings(max_examples=60)
@given(INPUTS, OUTPUTS)
def test_a_stage_shows_the_inputs_and_protects_the_project(
    inputs: list[tuple[str, str]], outputs: list[tuple[str, str]]
) -> None:
    with project() as root:
        job = a_job(root, paths(inputs), paths(outputs))
        stage = root / ".snakemake" / "stages" / "one"
        plan = layout.plan(job, stage)
        links = {Path(inner) for inner in plan.links}
        assert not any(one in other.parents for one in links for other in links), "links are disjoint"
        layout.build(plan, job)
        written = {os.path.normpath(item.path) for item in job.outputs}
        for item in job.outputs:
            place = plan.inside(item)
            assert place.parent.resolve().is_relative_to(stage), "no output runs through a link"
            assert not place.exists() and not place.is_symlink(), "outputs begin empty"
            place.write_text("new")
        for item in job.inputs:
            seen = stage / plan.paths[item.path]
            if os.path.normpath(item.path) in written:
                continue
            for file in FILES:
                below = os.path.relpath(file, os.path.normpath(item.path))
                if not below.startswith("..") and file not in written:
                    assert (seen / below if below != "." else seen).read_text() == file
        for name in FILES:
            assert (root / name).read_text() == name, "nothing reached the project"
        assert layout.strays(plan, job) == ()
        layout.remove(stage)
        assert not stage.exists()
        assert sorted(p.relative_to(root).as_posix() for p in root.rglob("*.txt")) == sorted(FILES)


def test_inputs_elsewhere_are_seen_under_their_absolute_path(tmp_path: Path) -> None:
    workdir, stage = tmp_path / "work", tmp_path / "work" / "stage"
    absolute = str(tmp_path / "data" / "x.root")
    plan = layout.plan(a_job(workdir, [absolute, "../data/y.root", "in/../../data/z.root"], []), stage)
    assert plan.links == {}
    assert plan.paths == {
        absolute: absolute,
        "../data/y.root": str(tmp_path / "data" / "y.root"),
        "in/../../data/z.root": str(tmp_path / "data" / "z.root"),
    }


def test_outputs_elsewhere_get_a_place_of_their_own_inside(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    job = a_job(tmp_path / "work", [], ["/data/x.root", "../y.root", "../other/y.root"], ["/logs/fit.log"])
    plan = layout.plan(job, stage)
    layout.build(plan, job)
    places = [plan.inside(item) for item in (*job.outputs, *job.logs)]
    assert len(set(places)) == 4
    assert [place.name for place in places] == ["x.root", "y.root", "y.root", "fit.log"]
    for place in places:
        assert place.parent.is_dir() and place.resolve().is_relative_to(stage)


def test_an_input_that_is_an_output_too_is_not_linked(tmp_path: Path) -> None:
    """As with an update of a file in place; a link would let the script write the real one."""
    plan = layout.plan(a_job(tmp_path, ["x.json"], ["x.json"]), tmp_path / "stage")
    assert plan.links == {}


def test_an_input_directory_that_holds_an_output_becomes_real(tmp_path: Path) -> None:
    (tmp_path / "results" / "old").mkdir(parents=True)
    (tmp_path / "results" / "data.txt").write_text("1")
    job = a_job(tmp_path, ["results"], ["results/plots/fit.png"])
    plan = layout.plan(job, tmp_path / "stage")
    assert plan.links == {
        "results/old": tmp_path / "results" / "old",
        "results/data.txt": tmp_path / "results" / "data.txt",
    }
    layout.build(plan, job)
    assert (tmp_path / "stage" / "results" / "plots").is_dir()
    assert not (tmp_path / "stage" / "results").is_symlink()


def test_the_folder_of_a_directory_output_exists_and_it_does_not(tmp_path: Path) -> None:
    job = Job(rule="fit", workdir=tmp_path, outputs=(Item(name=None, path="a/plots", kind=Kind.DIRECTORY),))
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    assert (tmp_path / "stage" / "a").is_dir() and not (tmp_path / "stage" / "a" / "plots").exists()


def test_a_stage_is_never_used_twice(tmp_path: Path) -> None:
    job = a_job(tmp_path, [], [])
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    with pytest.raises(FileExistsError):
        layout.build(plan, job)


def test_strays_are_found_and_bounded(tmp_path: Path) -> None:
    job = a_job(tmp_path, ["in.txt"], ["out.txt"], ["fit.log"])
    (tmp_path / "in.txt").write_text("1")
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    for name in ("out.txt", "fit.log", "b.txt", "deep/er/a.txt"):
        (plan.stage / name).parent.mkdir(parents=True, exist_ok=True)
        (plan.stage / name).touch()
    assert layout.strays(plan, job) == ("b.txt", "deep/er/a.txt")
    for number in range(50):
        (plan.stage / f"s{number}").touch()
    assert len(layout.strays(plan, job)) == 20


def test_what_lies_in_a_directory_output_is_no_stray(tmp_path: Path) -> None:
    job = Job(rule="fit", workdir=tmp_path, outputs=(Item(name=None, path="plots", kind=Kind.DIRECTORY),))
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    (plan.stage / "plots" / "inner").mkdir(parents=True)
    (plan.stage / "plots" / "inner" / "a.png").touch()
    assert layout.strays(plan, job) == ()


def test_a_stage_is_removed_however_it_was_left(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    (stage / "locked" / "inner").mkdir(parents=True)
    (stage / "locked" / "inner" / "file").write_text("1")
    os.mkfifo(stage / "pipe")
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "data.txt").write_text("1")
    (stage / "link").symlink_to(keep)
    deep = stage
    for _ in range(40):
        deep = deep / ("d" * 50)
    deep.mkdir(parents=True)
    (stage / "locked" / "inner").chmod(0)
    (stage / "locked").chmod(0)
    layout.remove(stage)
    assert not stage.exists()
    assert (keep / "data.txt").read_text() == "1"
    layout.remove(stage)


def test_a_very_deep_tree_is_removed(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    here = os.open(stage, os.O_RDONLY)
    try:
        for _ in range(1100):
            os.mkdir("deep", dir_fd=here)
            inner = os.open("deep", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    layout.remove(stage)
    assert not stage.exists()
