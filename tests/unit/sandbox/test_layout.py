from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def open_files() -> int:
    return len(names(Path("/proc/self/fd")))


def dig(place: Path, levels: int, name: str = "d") -> None:
    here = os.open(place, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        here, above = os.open(name, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    data = os.open("data", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.close(data)
    os.close(here)


@pytest.mark.parametrize(("levels", "name"), [(4000, "d"), (300, "d" * 200)])
def test_a_tree_beyond_every_limit_is_removed(tmp_path: Path, levels: int, name: str) -> None:
    stage, keep = tmp_path / "stage", tmp_path / "keep"
    stage.mkdir()
    keep.mkdir()
    (keep / "data").touch()
    for number in range(3):
        (stage / f"{number}").mkdir()
        dig(stage / f"{number}", levels, name)
        (stage / f"{number}" / "link").symlink_to(keep)
        (stage / f"{number}").chmod(0)
    before = open_files()
    layout.remove(stage)
    assert names(tmp_path) == ["keep"]
    assert names(keep) == ["data"]
    assert open_files() == before


def test_a_link_or_a_file_instead_of_a_stage(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (tmp_path / "link").symlink_to(keep)
    (tmp_path / "file").touch()
    for name in ("link", "file", "none"):
        layout.remove(tmp_path / name)
    assert names(tmp_path) == ["keep"]


def test_where_directories_cannot_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    (tmp_path / "stage" / "a" / "b").mkdir(parents=True)
    dig(tmp_path / "stage" / "a" / "b", 1100)
    monkeypatch.setattr(os, "rename", refused)
    layout.remove(tmp_path / "stage")
    assert names(tmp_path) == []


def test_what_cannot_be_removed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    (tmp_path / "stage" / "a").mkdir(parents=True)
    (tmp_path / "stage" / "a" / "file").touch()
    for name in ("unlink", "rename", "rmdir"):
        monkeypatch.setattr(os, name, refused)
    monkeypatch.setattr(subprocess, "run", refused)
    layout.remove(tmp_path / "stage")
    assert (tmp_path / "stage" / "a" / "file").exists()


@pytest.mark.parametrize(("levels", "name"), [(4000, "d"), (60, "d" * 100)])
def test_strays_in_the_depth(tmp_path: Path, levels: int, name: str) -> None:
    job = a_job(tmp_path, [], ["out.txt"])
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    dig(plan.stage, levels, name)
    (found,) = layout.strays(plan, job)
    assert found == ("d/" * 101 if levels > 100 else f"{name}/" * levels + "data")
    layout.remove(plan.stage)


def test_links_are_strays_and_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data").touch()
    job = a_job(tmp_path, ["in"], ["out.txt"])
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    (plan.stage / "etc").symlink_to("/etc")
    (plan.stage / "\udcff\n\x1b").touch()
    os.mkfifo(plan.stage / "pipe")
    (plan.stage / "empty").mkdir()
    assert layout.strays(plan, job) == ("etc", "pipe", "\udcff\n\x1b")
    layout.remove(plan.stage)
    assert layout.strays(plan, job) == ()


# --- plans ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b.txt", "two\nlines", "ä ☃", "\udcff", "-rf", "outside/x", "outside"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    """Also those that our own folders have."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("1")
    absolute = ["/data/x.root", f"/data/{Path(name).name}", "/other/x.root", "/other/../data/y.root/"]
    job = a_job(tmp_path, [name], [*absolute, f"new/{name}"])
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    places = [plan.inside(item) for item in job.outputs]
    assert len(set(places)) == 5
    assert (plan.stage / plan.paths[name]).read_text() == "1"
    for place in places:
        place.write_text("new")
        assert place.resolve() == place
    assert [place.name for place in places] == ["x.root", Path(name).name, "x.root", "y.root", Path(name).name]
    assert layout.strays(plan, job) == ()
    assert (tmp_path / name).read_text() == "1"


def test_an_input_directory_that_is_called_as_our_own(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    job = a_job(tmp_path, ["outside"], ["/data/x.root"])
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    plan.inside(job.outputs[0]).write_text("new")
    assert names(tmp_path / "outside") == []


def test_an_absolute_input_below_the_working_directory(tmp_path: Path) -> None:
    path = str(tmp_path / "in" / "x.txt")
    job = a_job(tmp_path, [path, "in/x.txt"], [str(tmp_path / "out.txt")])
    plan = layout.plan(job, tmp_path / "stage")
    assert plan.paths[path] == path
    assert plan.links == {"in/x.txt": tmp_path / "in" / "x.txt"}
    assert plan.paths[str(tmp_path / "out.txt")] == "outside/0/out.txt"


def test_an_input_inside_an_output_directory_is_seen_elsewhere(tmp_path: Path) -> None:
    """A link in an output directory could not be taken with it."""
    folder = Item(name=None, path="plots/new", kind=Kind.DIRECTORY)
    job = Job(rule="fit", workdir=tmp_path, inputs=a_job(tmp_path, ["plots/new/x"], []).inputs, outputs=(folder,))
    plan = layout.plan(job, tmp_path / "stage")
    assert plan.links == {}
    assert plan.paths == {"plots/new": "plots/new", "plots/new/x": str(tmp_path / "plots" / "new" / "x")}


def test_the_parent_of_a_directory_that_is_a_link(tmp_path: Path) -> None:
    """The kernel goes up from where the link leads to."""
    (tmp_path / "work").mkdir()
    (tmp_path / "disk" / "run1").mkdir(parents=True)
    (tmp_path / "disk" / "x.txt").write_text("right")
    (tmp_path / "work" / "x.txt").write_text("wrong")
    (tmp_path / "work" / "run").symlink_to(tmp_path / "disk" / "run1")
    job = a_job(tmp_path / "work", ["run/../x.txt", "../work/x.txt"], [])
    plan = layout.plan(job, tmp_path / "stage")
    layout.build(plan, job)
    assert (plan.stage / plan.paths["run/../x.txt"]).read_text() == "right"
    assert (plan.stage / plan.paths["../work/x.txt"]).read_text() == "wrong"


def test_a_working_directory_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.txt").write_text("1")
    (tmp_path / "link").symlink_to("real")
    job = a_job(tmp_path / "link", ["x.txt"], ["y.txt"])
    plan = layout.plan(job, tmp_path / "link" / "stage")
    layout.build(plan, job)
    assert plan.links == {"x.txt": tmp_path / "link" / "x.txt"}
    assert (plan.stage / "x.txt").read_text() == "1"
    plan.inside(job.outputs[0]).touch()
    assert layout.strays(plan, job) == ()


def test_the_working_directory_as_an_input_does_not_show_our_own_folder(tmp_path: Path) -> None:
    for name in (".snakemake", "data"):
        (tmp_path / name).mkdir()
    plan = layout.plan(a_job(tmp_path, ["."], ["y.txt"]), tmp_path / ".snakemake" / "stage")
    assert plan.links == {"data": tmp_path / "data"}


def test_many_files_are_planned_quickly(tmp_path: Path) -> None:
    inputs = [f"data/{number % 50}/{number}.root" for number in range(3000)]
    started = time.process_time()
    plan = layout.plan(a_job(tmp_path, inputs, [f"out/{number}" for number in range(1000)]), tmp_path / "stage")
    assert len(plan.links) == 3000
    assert time.process_time() - started < 3


# --- where links lead -----------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "eos" / "run1").mkdir(parents=True)
    (tmp_path / "eos" / "run1" / "x.root").touch()
    (tmp_path / "eos" / "y.root").touch()
    (tmp_path / "data" / "inner").mkdir(parents=True)
    (tmp_path / "data" / "own.root").touch()
    return tmp_path / "data"


def test_a_plain_input_leads_nowhere(data: Path) -> None:
    assert layout.targets(data) == layout.targets(data / "own.root") == layout.targets(data / "none") == ()


def test_links_lead_elsewhere(data: Path, tmp_path: Path) -> None:
    (data / "inner" / "y.root").symlink_to("../../eos/y.root")
    (data / "run1").symlink_to(tmp_path / "eos" / "run1")
    (data / "same").symlink_to("inner")
    (data / "loop").symlink_to("loop")
    (data / "all").symlink_to(".")
    (data / "gone").symlink_to("nowhere")
    (data / "self").symlink_to("/proc/self/environ")
    assert set(layout.targets(data)) == {tmp_path / "eos" / "y.root", tmp_path / "eos" / "run1"}
    assert layout.targets(data / "run1") == (tmp_path / "eos" / "run1",)
    assert layout.targets(data / "loop") == layout.targets(data / "gone") == ()


def test_links_that_lead_to_links(data: Path, tmp_path: Path) -> None:
    """A place is needed by the name in the link, which the sandbox shows, and by its real one."""
    (tmp_path / "user").symlink_to("eos")
    (tmp_path / "far").mkdir()
    (tmp_path / "eos" / "run1" / "far").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(data)
    (data / "run1").symlink_to(tmp_path / "user" / "run1")
    assert layout.targets(data) == (tmp_path / "user" / "run1", tmp_path / "eos" / "run1", tmp_path / "far")


def test_an_input_below_a_link(data: Path, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(".")
    (data / "a").symlink_to("own.root")
    assert layout.targets(tmp_path / "here" / "data") == ()
    (data / "b").symlink_to(data / "own.root")
    assert layout.targets(tmp_path / "here" / "data") == (data / "own.root",)


def test_links_are_bounded(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (tmp_path / "eos" / f"{number}").touch()
        (data / f"{number}").symlink_to(tmp_path / "eos" / f"{number}")
    assert len(layout.targets(data)) == 30
    assert len(layout.targets(data, limit=7)) == 7
    monkeypatch.setattr(layout, "MAX_SEEN", 10)
    assert len(layout.targets(data)) <= 10
