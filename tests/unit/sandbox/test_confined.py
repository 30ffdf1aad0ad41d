from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.errors import Cancelled, SandboxUnavailable
from snakemake_executor_plugin_llmagent.protocols import Access, Ending, Execution, Item, Layout, Program
from snakemake_executor_plugin_llmagent.sandbox.confined import run_unconfined
from snakemake_executor_plugin_llmagent.sandbox.printed import LOG_CHARACTERS
from tests.unit.conftest import MakeSandbox
from tests.unit.sandbox.support import need
from tests.unit.support import FileTask, a_job


@pytest.fixture
def task(tmp_path: Path) -> FileTask:
    project = tmp_path / "project"
    project.mkdir()
    (project / "data.txt").write_text("12345")
    return FileTask(a_job(project), sys.executable)


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    return tmp_path / "project" / ".snakemake" / "stages" / "one"


COPY = "open(snakemake.output.fit, 'w').write(open(snakemake.input.data).read())\n"


KINDS = pytest.mark.parametrize("wanted", ["bwrap", "bwrap-hostproc", "landlock", "none"])


@KINDS
def test_a_script_runs_in_an_empty_stage(task: FileTask, stage: Path, make_sandbox: MakeSandbox, wanted: str) -> None:
    need(wanted)
    source = "import os\nprint(sorted(os.listdir('.')), os.listdir('results'), os.getcwd())\n" + COPY
    layout, execution = make_sandbox(wanted=wanted).run(task, source, stage)
    assert execution.succeeded, execution.log
    assert execution.log.startswith("['data.txt', 'results'] []")
    assert (layout.stage, layout.inside(task.job.outputs[0]).read_text()) == (stage, "12345")
    assert (execution.strays, execution.changed, execution.limit) == ((), (), "")
    assert execution.access == {"data.txt": Access(opened=True, read=True)}
    assert execution.sandbox.backend == wanted and (execution.sandbox.landlock > 0) == (wanted != "none")
    assert execution.sandbox.limits["processes"] and execution.peak_memory > 1 << 20 and execution.cpu_seconds > 0
    assert [path.name for path in stage.parent.iterdir()] == ["one"]
    assert [path.name for path in task.job.workdir.iterdir() if path.name[0] != "."] == ["data.txt"]


@KINDS
def test_the_project_is_out_of_sight(task: FileTask, stage: Path, make_sandbox: MakeSandbox, wanted: str) -> None:
    need(wanted)
    for name in ("other.txt", "Snakefile"):
        (task.job.workdir / name).write_text("secret")
    source = (
        f"import os\nfor name in ('other.txt', 'Snakefile'):\n    try:\n"
        f"        print(open(os.path.join({str(task.job.workdir)!r}, name)).read())\n"
        "    except OSError as error:\n        print('no')\n"
    )
    _, execution = make_sandbox(wanted=wanted).run(task, source, stage)
    assert execution.log.split() == (["secret"] * 2 if wanted == "none" else ["no"] * 2)


def test_what_the_person_lets_scripts_read(
    task: FileTask, stage: Path, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "jets.txt").write_text("1.02")
    source = f"print(open({str(tmp_path / 'calibration' / 'jets.txt')!r}).read())"
    assert make_sandbox(readable=(tmp_path / "calibration",)).run(task, source, stage)[1].log == "1.02\n"


@pytest.mark.parametrize("wanted", ["landlock", "none"])
def test_a_folder_for_temporary_files_where_snakemake_says(
    task: FileTask, stage: Path, make_sandbox: MakeSandbox, tmp_path: Path, wanted: str
) -> None:
    need(wanted)
    (tmp_path / "fast").mkdir()
    job = a_job(task.job.workdir, resources={"tmpdir": str(tmp_path / "fast")})
    source = f"import tempfile; print(tempfile.mkdtemp().startswith({str(tmp_path / 'fast' / 'llmagent-')!r}))\n" + COPY
    _, execution = make_sandbox(wanted=wanted).run(FileTask(job, sys.executable), source, stage)
    assert execution.succeeded and execution.log == "True\n"
    assert list((tmp_path / "fast").iterdir()) == []


def test_what_a_rule_allows_ends_a_script(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    job = a_job(task.job.workdir, resources={"mem_mb": 150, "disk_mb": 50})
    source = "held = b'x' * 400_000_000\nimport time; time.sleep(60)\n"
    execution = make_sandbox().run(FileTask(job, sys.executable), source, stage)[1]
    assert execution.ending is Ending.MEMORY
    assert "mem_mb=150" in execution.limit and not execution.succeeded


def test_what_it_did_not_declare_is_told(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    execution = make_sandbox().run(task, COPY + "open('stray.txt', 'w').close()\n", stage)[1]
    assert execution.succeeded and execution.strays == ("stray.txt",)


def test_without_walls_changes_elsewhere_are_seen(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    (task.job.workdir / "other.txt").write_text("other")
    source = f"open({str(task.job.workdir / 'other.txt')!r}, 'w').write('changed')\n" + COPY
    execution = make_sandbox(wanted="none").run(task, source, stage)[1]
    assert execution.changed == (str(task.job.workdir / "other.txt"),) or execution.changed == ("other.txt",)


def test_a_program_of_the_persons_own(tmp_path: Path) -> None:
    """A check of a rule: its whole environment, a limit of time, and nothing left."""
    log = tmp_path / "log"

    def run(source: str, seconds: float = 60.0) -> Ending:
        return run_unconfined(
            (sys.executable, "-c", source), directory=tmp_path, log=log, seconds=seconds, token="t",
            environment={**os.environ, "MINE": "1"}, cancelled=threading.Event(),
        )  # fmt: skip

    assert run("import os; print(os.environ['MINE'], os.environ['PATH'], os.getcwd())") is Ending.EXIT
    assert log.read_text() == f"1 {os.environ['PATH']} {tmp_path}\n"
    assert run("import time; time.sleep(60)", seconds=0.5) is Ending.TIMEOUT
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_lines_and_places_are_as_the_author_knows_them(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    source = "import os\n\ndef f():\n    raise ValueError(os.path.abspath('results/x'))\n\nf()\n"
    _, execution = make_sandbox().run(task, source, stage)
    assert (execution.ending, execution.returncode) == (Ending.EXIT, 1)
    assert 'File "fit.py", line 6, in <module>' in execution.log
    assert 'File "fit.py", line 4, in f' in execution.log
    assert "ValueError: results/x" in execution.log
    assert str(stage) not in execution.log


def test_syntax_errors_and_warnings_have_the_authors_lines_too(
    task: FileTask, stage: Path, make_sandbox: MakeSandbox
) -> None:
    source = "import warnings\nwarnings.warn('careful')\neval('1 +')\n"
    _, execution = make_sandbox().run(task, source, stage)
    assert "fit.py:2: UserWarning: careful" in execution.log
    assert 'File "fit.py", line 3' in execution.log


@pytest.mark.parametrize("rule", ["select", "numbers", "json", "site"])
def test_a_rule_may_be_named_like_a_module(task: FileTask, stage: Path, make_sandbox: MakeSandbox, rule: str) -> None:
    job = a_job(task.job.workdir, rule=rule)
    _, execution = make_sandbox().run(FileTask(job, sys.executable), f"import {rule}, subprocess, json\n" + COPY, stage)
    assert execution.succeeded, execution.log


def test_escape_codes_and_odd_bytes_in_a_log_are_harmless(
    task: FileTask, stage: Path, make_sandbox: MakeSandbox
) -> None:
    source = "import os\nos.write(1, b'\\x1b[2Jtitle\\x1b]0;x\\x07 \\xff \\xe2\\x80\\xae end \\x00\\n')\n"
    _, execution = make_sandbox().run(task, source, stage)
    assert "\\x1b[2Jtitle\\x1b]0;x\\x07 \ufffd \\u202e end \\x00" in execution.log
    assert "\x1b" not in execution.log


def test_a_long_log_keeps_both_ends(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    source = "print('FIRST')\nfor n in range(50000): print('line', n)\nprint('LAST')\n"
    _, execution = make_sandbox().run(task, source, stage)
    assert execution.log.startswith("FIRST\n")
    assert execution.log.rstrip().endswith("LAST")
    assert len(execution.log) < LOG_CHARACTERS + 200


def test_a_silent_script_has_an_empty_log(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    assert make_sandbox().run(task, "pass\n", stage)[1].log == ""


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        ("import time; time.sleep(600)", Ending.TIMEOUT),
        ("import os; os.kill(os.getpid(), 9)", Ending.SIGNAL),
        ("import sys; sys.exit(2)", Ending.EXIT),
    ],
)
def test_how_it_ended(task: FileTask, stage: Path, make_sandbox: MakeSandbox, source: str, ending: Ending) -> None:
    execution = make_sandbox(seconds=1 if ending is Ending.TIMEOUT else 120).run(task, source, stage)[1]
    assert execution.ending is ending
    assert not execution.succeeded


def test_cancelling_ends_it(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    cancelled = threading.Event()
    timer = threading.Timer(0.5, cancelled.set)
    timer.start()
    with pytest.raises(Cancelled):
        make_sandbox(cancelled=cancelled).run(task, "import time; time.sleep(600)", stage)
    timer.join()
    assert not stage.with_name("one.private").exists()


def test_a_stage_that_is_not_empty_is_refused(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    stage.mkdir(parents=True)
    with pytest.raises(SandboxUnavailable, match="cannot be used"):
        make_sandbox().run(task, COPY, stage)


def test_a_python_that_is_not_there_is_not_the_scripts_fault(
    task: FileTask, stage: Path, make_sandbox: MakeSandbox
) -> None:
    with pytest.raises(SandboxUnavailable, match="there is no program"):
        make_sandbox().run(FileTask(task.job, "/no/such/python"), COPY, stage)


def test_a_full_disk_is_not_the_scripts_fault(
    task: FileTask, stage: Path, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(self: Path, *arguments: object, **options: object) -> object:
        if self.name.endswith(".room"):
            raise OSError(28, "No space left on device")
        return real(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(SandboxUnavailable, match="No space left"):
        make_sandbox().run(task, "raise OSError(28, 'No space left on device')\n", stage)


def test_a_job_with_paths_of_every_kind(tmp_path: Path, stage: Path, make_sandbox: MakeSandbox) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "far.txt").write_text("far")
    (project / "near.txt").write_text("near")
    inputs = (
        Item(name="near", path="./near.txt"),
        Item(name="far", path=str(tmp_path / "far.txt")),
        Item(name="up", path="../far.txt"),
    )
    outputs = (Item(name="near", path="results/near.txt"), Item(name="far", path=str(tmp_path / "out" / "far.txt")))
    source = (
        "read = lambda p: open(p).read()\n"
        "open(snakemake.output.near, 'w').write(read(snakemake.input.near))\n"
        "open(snakemake.output.far, 'w').write(read(snakemake.input.far) + read(snakemake.input.up))\n"
    )
    task = FileTask(a_job(project, inputs=inputs, outputs=outputs), sys.executable)
    layout, execution = make_sandbox().run(task, source, stage)
    assert execution.succeeded, execution.log
    assert [layout.inside(item).read_text() for item in outputs] == ["near", "farfar"]
    assert not (tmp_path / "out").exists()
    assert all(access.opened for access in execution.access.values())


def test_thread_counts_of_the_job_reach_the_script(task: FileTask, stage: Path, make_sandbox: MakeSandbox) -> None:
    class Threaded(FileTask):
        def program(self, source: str, layout: Layout) -> Program:
            program = super().program(source, layout)
            return Program(
                text=program.text, python=program.python, lines_before=2, env={"OMP_NUM_THREADS": "3"}
            )  # fmt: skip

    source = "import os; print(os.environ['OMP_NUM_THREADS'])\n"
    execution: Execution = make_sandbox().run(Threaded(task.job, sys.executable), source, stage)[1]
    assert execution.log == "3\n"
