from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.checks import file_checks, run_checks
from snakemake_executor_plugin_llmagent.checks.files import inputs_opened, outputs_written, project_untouched
from snakemake_executor_plugin_llmagent.protocols import Access, Finding, Item, Severity
from snakemake_executor_plugin_llmagent.spec import Kind
from tests.unit.conftest import MakeSandbox
from tests.unit.support import FileTask, a_job, a_spec, a_trial, an_execution, names

FILE = Item(name="fit", path="fit.txt")
FOLDER = Item(name="plots", path="plots", kind=Kind.DIRECTORY)


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    stage = tmp_path / "stage"
    stage.mkdir()
    return stage


# --- outputs --------------------------------------------------------------------------------------------------------


def nothing(place: Path) -> None:
    pass


def filled(place: Path) -> None:
    place.mkdir()
    (place / "a.txt").write_text("1")


def linked_inside(place: Path) -> None:
    filled(place)
    (place / "b.txt").symlink_to(place / "a.txt")


def pipe(place: Path) -> None:
    os.mkfifo(place)


def pipe_inside(place: Path) -> None:
    place.mkdir()
    os.mkfifo(place / "pipe")


def hard_linked(place: Path) -> None:
    (place.parent / "secret").write_text("1")
    place.hardlink_to(place.parent / "secret")


def hard_linked_inside(place: Path) -> None:
    filled(place)
    hard_linked(place / "b.txt")


def closed(place: Path) -> None:
    place.write_text("1")
    place.chmod(0)


def linked_to(target: str) -> Callable[[Path], None]:
    return lambda place: place.symlink_to(target)


@pytest.mark.parametrize(
    ("item", "make", "expected"),
    [
        (FILE, lambda place: place.write_text("1"), []),
        (FILE, nothing, ["output.missing"]),
        (FILE, lambda place: place.touch(), ["output.empty"]),
        (FILE, linked_to("/etc/passwd"), ["output.not_regular"]),
        (FILE, linked_to("nowhere"), ["output.not_regular"]),
        (FILE, linked_to("fit.txt"), ["output.not_regular"]),
        (FILE, pipe, ["output.not_regular"]),
        (FILE, hard_linked, ["output.not_regular"]),
        (FILE, closed, ["output.not_regular"]),
        (FILE, filled, ["output.not_file"]),
        (FOLDER, filled, []),
        (FOLDER, nothing, ["output.missing"]),
        (FOLDER, lambda place: place.mkdir(), ["output.empty"]),
        (FOLDER, lambda place: place.write_text("1"), ["output.not_directory"]),
        (FOLDER, linked_to("/etc"), ["output.not_regular"]),
        (FOLDER, linked_inside, ["output.not_regular"]),
        (FOLDER, pipe_inside, ["output.not_regular"]),
        (FOLDER, hard_linked_inside, ["output.not_regular"]),
    ],
)
def test_outputs(stage: Path, item: Item, make: Callable[[Path], object], expected: list[str]) -> None:
    make(stage / item.path)
    findings = list(outputs_written(a_trial(stage, outputs=[item])))
    assert names(findings) == expected
    assert all(f"`{item.path}` (`snakemake.output.{item.name}`)" in finding.message for finding in findings)


def test_a_link_is_named_as_one(stage: Path) -> None:
    (stage / "fit.txt").symlink_to("/etc/passwd")
    (finding,) = outputs_written(a_trial(stage, outputs=[FILE]))
    assert "fit.txt is a symbolic link; write a regular file" in finding.message


@pytest.mark.parametrize("name", ["secret", "missing", ""])
def test_a_directory_on_the_way_that_became_a_link(stage: Path, tmp_path: Path, name: str) -> None:
    """What lies behind it is not the script's, and is not looked at."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "secret").write_text("1")
    (stage / "results").symlink_to(tmp_path / "results")
    item = Item(name="fit", path=f"results/{name or 'deep/er'}")
    (finding,) = outputs_written(a_trial(stage, outputs=[item]))
    assert finding.check == "output.not_regular"
    assert "cannot be taken: results is a symbolic link; leave the directories" in finding.message


def test_several_names_are_told(stage: Path) -> None:
    hard_linked(stage / "fit.txt")
    (finding,) = outputs_written(a_trial(stage, outputs=[FILE]))
    assert "fit.txt has 2 names (hard links); write a file of its own." in finding.message


def test_odd_names_are_shown_harmless(stage: Path) -> None:
    filled(stage / "plots")
    (stage / "plots" / "\x1b[2J\n\udcff").symlink_to("/etc/passwd")
    (finding,) = outputs_written(a_trial(stage, outputs=[FOLDER]))
    assert "plots/\\x1b[2J \\udcff is a symbolic link" in finding.message
    assert finding.message.isprintable()


def test_what_was_written_instead_is_told(stage: Path) -> None:
    trial = a_trial(stage, outputs=[FILE], execution=an_execution(strays=("Fit.txt", "a\x1b[2J\nb.txt")))
    (finding,) = outputs_written(trial)
    assert "It wrote instead: `Fit.txt`, `a\\x1b[2J b.txt`." in finding.message


def test_every_output_is_looked_at(stage: Path) -> None:
    (stage / "b.txt").touch()
    items = [Item(name=None, path="a.txt"), Item(name=None, path="b.txt")]
    assert names(outputs_written(a_trial(stage, outputs=items))) == ["output.missing", "output.empty"]


def test_what_the_script_locked_is_a_finding(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(stage / "plots")

    def locked(self: Path) -> Iterable[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", locked)
    (finding,) = outputs_written(a_trial(stage, outputs=[FOLDER]))
    assert finding.check == "output.not_readable"
    assert "Permission denied" in finding.message


def test_what_did_not_run_has_no_findings(stage: Path) -> None:
    assert run_checks(file_checks(), a_trial(stage, layout=None, execution=None)) == ()


# --- inputs: what was seen ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        (Access(opened=True, read=True), []),
        (Access(opened=True, read=False), []),
        (Access(opened=None, read=None), []),
        (None, []),
        (Access(opened=False, read=False), ["input.unopened"]),
    ],
)
def test_inputs_that_nobody_opened(stage: Path, access: Access | None, expected: list[str]) -> None:
    (stage.parent / "data.txt").write_text("1")
    seen = {} if access is None else {"data.txt": access}
    trial = a_trial(stage, execution=an_execution(access=seen))
    findings = list(inputs_opened(trial))
    assert names(findings) == expected
    assert all("`data.txt` (`snakemake.input.data`)" in finding.message for finding in findings)


def test_an_empty_input_only_says_that_something_is_done(stage: Path) -> None:
    (stage.parent / "data.txt").touch()
    trial = a_trial(stage, execution=an_execution(access={"data.txt": Access(opened=False, read=False)}))
    assert list(inputs_opened(trial)) == []


# --- inputs: with the real sandbox ----------------------------------------------------------------------------------

IN = "path = snakemake.input.data\n"
READERS = {
    "open": ("data.txt", "open(path).read()"),
    "subprocess": ("data.txt", "import subprocess\nsubprocess.run(['cat', path], check=True)"),
    "child that outlives its parent's call": (
        "data.txt",
        "import os\nif os.fork() == 0:\n    open(path).read()\n    os._exit(0)\nos.wait()",
    ),
    "mmap": (
        "data.txt",
        "import mmap\nwith open(path, 'rb') as f:\n    mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:3]",
    ),
    "memmap": ("data.npy", "import numpy\nnumpy.load(path, mmap_mode='r').sum()"),
    "uproot": ("data.root", "import uproot\nuproot.open(path)['t']['x'].array()"),
    "pyarrow": ("data.parquet", "import pyarrow.parquet\npyarrow.parquet.read_table(path)"),
    "h5py": ("data.h5", "import h5py\nh5py.File(path)['x'][:]"),
    "directory": ("folder", "import pathlib\n[p.read_text() for p in pathlib.Path(path).glob('*.txt')]"),
    "deep in a directory": ("folder", "import pathlib\n[p.read_text() for p in pathlib.Path(path).glob('*/*')]"),
}
FORGERS = {
    "nothing": ("data.txt", "pass"),
    "stat": ("data.txt", "import os\nos.stat(path), os.path.exists(path), os.path.getsize(path)"),
    "listing": ("data.txt", "import os\nos.listdir('.')"),
    "copy of the name": ("data.root", "str(path)"),
    "a directory": ("folder", "str(path)"),
    "stat of a directory": ("folder", "import os\nos.path.isdir(path), os.path.exists(path + '/a.txt')"),
}


def make_input(project: Path, name: str) -> None:
    path = project / name
    if name == "folder":
        (path / "inner").mkdir(parents=True)
        (path / "a.txt").write_text("1")
        (path / "inner" / "b.txt").write_text("2")
    elif name.endswith(".npy"):
        numpy = pytest.importorskip("numpy")
        numpy.save(path, numpy.arange(10.0))
    elif name.endswith(".root"):
        uproot, numpy = pytest.importorskip("uproot"), pytest.importorskip("numpy")
        with uproot.recreate(path) as file:
            file["t"] = {"x": numpy.arange(10.0)}
    elif name.endswith(".parquet"):
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table({"x": [1.0, 2.0]}), path)
    elif name.endswith(".h5"):
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["x"] = [1.0, 2.0]
    else:
        path.write_text("12345")


def observed(tmp_path: Path, make_sandbox: MakeSandbox, name: str, source: str) -> list[Finding]:
    project = tmp_path / "project"
    project.mkdir()
    make_input(project, name)
    task = FileTask(a_job(project, inputs=(Item(name="data", path=name),)), sys.executable)
    text = f"{IN}{source}\nopen(snakemake.output.fit, 'w').write('1')\n"
    layout, execution = make_sandbox().run(task, text, tmp_path / "stages" / "one")
    assert execution.succeeded, execution.log
    trial = a_trial(tmp_path, job=task.job, source=text, layout=layout, execution=execution)
    return list(run_checks(file_checks(), trial))


@pytest.mark.parametrize("way", READERS)
def test_reading_is_seen_whatever_reads(tmp_path: Path, make_sandbox: MakeSandbox, way: str) -> None:
    assert observed(tmp_path, make_sandbox, *READERS[way]) == []


@pytest.mark.parametrize("way", FORGERS)
def test_a_script_that_does_not_read_is_caught(tmp_path: Path, make_sandbox: MakeSandbox, way: str) -> None:
    assert names(observed(tmp_path, make_sandbox, *FORGERS[way])) == ["input.unopened"]


# --- what else was written ------------------------------------------------------------------------------------------


def test_an_untouched_project(stage: Path) -> None:
    assert list(project_untouched(a_trial(stage))) == []


def test_strays(stage: Path) -> None:
    strays = tuple(f"s{number}" for number in range(7))
    (finding,) = project_untouched(a_trial(stage, execution=an_execution(strays=strays)))
    assert finding.check == "project.stray"
    assert "`s0`, `s1`, `s2`, `s3`, `s4` and 2 more" in finding.message


@pytest.mark.parametrize(
    ("changed", "expected", "severity"),
    [
        ("data.txt", "input.changed", Severity.ERROR),
        ("folder/inner/b.txt", "input.changed", Severity.ERROR),
        ("folder", "input.changed", Severity.ERROR),
        ("notes.txt", "project.changed", Severity.WARNING),
        ("named.txt", "project.changed", Severity.ERROR),
        ("folder2/b.txt", "project.changed", Severity.WARNING),
    ],
)
def test_files_that_changed(stage: Path, changed: str, expected: str, severity: Severity) -> None:
    """What the script names is its doing; anything else a person may have saved meanwhile."""
    inputs = (Item(name="data", path="data.txt"), Item(name="folder", path="folder"))
    project = stage.parent
    trial = a_trial(
        stage,
        job=a_job(project, inputs=inputs),
        source="open('named.txt', 'w')",
        execution=an_execution(changed=(str(project / changed),)),
    )
    (finding,) = project_untouched(trial)
    assert (finding.check, finding.severity) == (expected, severity)
    assert f"`{changed}`" in finding.message


def test_a_script_that_writes_into_the_project_is_caught(tmp_path: Path, make_sandbox: MakeSandbox) -> None:
    """Where nothing keeps it from doing so."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "data.txt").write_text("1")
    (project / "config.yaml").write_text("a: 1")
    task = FileTask(a_job(project), sys.executable)
    source = (
        "open('left.txt', 'w').write('x')\n"
        "open(snakemake.input.data, 'a').write('2')\n"
        f"open({str(project / 'config.yaml')!r}, 'a').write('b: 2')\n"
        "open(snakemake.output.fit, 'w').write('1')\n"
    )
    layout, execution = make_sandbox(wanted="none").run(task, source, tmp_path / "stages" / "one")
    trial = a_trial(tmp_path, spec=a_spec(), job=task.job, source=source, layout=layout, execution=execution)
    findings = run_checks(file_checks(), trial)
    assert names(findings) == ["project.stray", "input.changed", "project.changed"]
    assert [finding.severity for finding in findings] == [Severity.ERROR] * 3


def test_what_other_jobs_write_meanwhile_is_theirs(tmp_path: Path, make_sandbox: MakeSandbox) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "data.txt").write_text("1")
    other = project / "results" / "other.txt"
    other.parent.mkdir()
    source = (
        "open(snakemake.input.data).read()\n"
        f"open({str(other)!r}, 'w').write('1')\n"
        "open(snakemake.output.fit, 'w').write('1')\n"
    )
    for number, (bystanders, expected) in enumerate(
        [(frozenset({other}), []), (frozenset({other.parent}), []), (None, []), (frozenset(), ["project.changed"])]
    ):
        other.unlink(missing_ok=True)
        task = FileTask(a_job(project), sys.executable, bystanders)
        layout, execution = make_sandbox(wanted="none").run(task, source, tmp_path / "stages" / str(number))
        trial = a_trial(tmp_path, job=task.job, source=source, layout=layout, execution=execution)
        assert names(run_checks(file_checks(), trial)) == expected
