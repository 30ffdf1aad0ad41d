"""Ctrl-C, SIGTERM and kill -9 at every stage: everything ends soon, and nothing half-made is left."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.lock import digest_script, lock_path, read_lock
from snakemake_executor_plugin_llmagent.sandbox.stages import Stages
from tests.loopback import Asked, Reply, ScriptedModel, hang, say
from tests.workflow.processes import leftovers, processes_of, seconds_until_gone, wait_for
from tests.workflow.project import APPROVE, Project, end, fenced, team

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")

ENDS_WITHIN = 4.0
"""The product takes less than 2 s; the rest is for a slow machine [s]."""
SNAKEFILE = """
from pathlib import Path
beside = Path(workflow.basedir).parent
rule total:
    input: "in.csv"
    output: "out.json"
    params: slow=str(beside / "signs" / "slow"), started=str(beside / "started")
    agent: "sum column x", readable=[str(beside / "signs")]
"""
# Once there is a file `slow`, it writes half of its output and stays, with a child that hears no signal.
SCRIPT = """
import csv, json, os, signal, subprocess, sys, time
with open(snakemake.input[0]) as handle:
    total = sum(float(row["x"]) for row in csv.DictReader(handle))
with open(snakemake.output[0], "w") as handle:
    if os.path.exists(snakemake.params.slow):
        handle.write('{"total"')
        handle.flush()
        deaf = "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)"
        code = f"import signal, sys, time\\n{deaf}\\nopen(sys.argv[1], 'w').close()\\ntime.sleep(120)"
        subprocess.Popen([sys.executable, "-c", code, os.path.abspath("started")], start_new_session=True)
        time.sleep(120)
    json.dump({"total": total}, handle)
"""
SIGNALS: dict[str, Callable[[int], None]] = {
    "SIGINT": lambda pid: os.kill(pid, signal.SIGINT),
    "SIGINT-to-group": lambda pid: os.killpg(pid, signal.SIGINT),
    "SIGTERM": lambda pid: os.kill(pid, signal.SIGTERM),
}


def interruptible() -> None:
    """Whoever runs the tests in the background of a shell lets them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin(project: Project, *arguments: str) -> subprocess.Popen[str]:
    fixed = ("--executor", "llmagent", "--llmagent-model", "openai:scripted", "--cores", "2")
    return project.start(*fixed, *arguments, preexec_fn=interruptible)


def new_project(root: Path, server: ScriptedModel) -> Project:
    (root / "project").mkdir(parents=True)
    (root / "signs").mkdir()
    project = Project(root / "project")
    project.snakefile(SNAKEFILE)
    project.write("in.csv", "x,y\n1,2\n3,4\n")
    project.uses(server)
    return project


def interrupt(project: Project, send: Callable[[int], None], started: Callable[[], object]) -> float:
    """Interrupt a run once it has come so far; returns how long it took to end, its processes included [s]."""
    process = begin(project)
    try:
        wait_for(lambda: started() or process.poll() is not None, "the run comes so far")
        assert process.poll() is None, process.communicate()[0]
        sent = time.monotonic()
        send(process.pid)
        output, _ = process.communicate(timeout=30)
        seconds_until_gone(project.root)
        seconds = time.monotonic() - sent
    finally:
        end(process)
    assert process.returncode != 0, output
    # A script hears a Ctrl-C of the terminal itself, and says so in its own words.
    assert all(".snakemake/scripts/" in rest[:200] for rest in output.split("Traceback")[1:]), output
    assert seconds < ENDS_WITHIN, output
    return seconds


def script_runs(project: Project) -> bool:
    """Whether a script has come so far that its child is deaf."""
    return any((project.root / ".snakemake/llmagent/stages").rglob("started"))


def all_signals(projects: dict[str, Project], started: Callable[[Project], object]) -> None:
    """Interrupt one run by each signal; and the next command finds a project in good order."""

    def one(name: str) -> float:
        project = projects[name]
        seconds = interrupt(project, SIGNALS[name], lambda: started(project))
        assert not (project / "out.json").exists()
        assert leftovers(project.root) == []
        if name == "SIGINT":
            again = project.snakemake("-n", "--executor", "llmagent")
            assert again, again.output
            assert "total" in again.output
        assert list((project / ".snakemake/locks").glob("*")) == []
        return seconds

    with ThreadPoolExecutor(len(projects)) as pool:
        print({name: round(seconds, 2) for name, seconds in zip(projects, pool.map(one, projects), strict=True)})


def test_while_a_model_is_asked(tmp_path: Path) -> None:
    with ScriptedModel(lambda asked: hang(120)) as server:
        projects = {name: new_project(tmp_path / name, server) for name in SIGNALS}
        # The three share a server, so each has to be asked for before any of them is interrupted.
        all_signals(projects, lambda project: len(server.requests) == len(SIGNALS))
        assert len(server.requests) == len(SIGNALS)
    assert not [path for project in projects.values() for path in project.root.glob("agents/*")]


def test_while_a_trial_runs(tmp_path: Path) -> None:
    with ScriptedModel(team(SCRIPT)) as server:
        projects = {name: new_project(tmp_path / name, server) for name in SIGNALS}
        for project in projects.values():
            (project.root.parent / "signs/slow").touch()
        all_signals(projects, script_runs)
    assert not [path for project in projects.values() for path in project.root.glob("agents/*")]


def test_while_a_frozen_script_runs(tmp_path: Path) -> None:
    with ScriptedModel(team(SCRIPT)) as server:
        first = new_project(tmp_path / "first", server)
        done = first.run()
        assert done, done.output
        (first / "out.json").unlink()
        projects = {}
        for name in SIGNALS:
            shutil.copytree(first.root, tmp_path / name / "project")
            (tmp_path / name / "signs").mkdir()
            (tmp_path / name / "signs/slow").touch()
            projects[name] = Project(tmp_path / name / "project", dict(first.env))
        asked = len(server.requests)
        all_signals(projects, script_runs)
        assert len(server.requests) == asked, "a script that was interrupted is not one to repair"


def test_commands_of_other_rules_end_too(tmp_path: Path) -> None:
    with ScriptedModel(lambda asked: hang(120)) as server:
        project = new_project(tmp_path, server)
        project.snakefile(
            SNAKEFILE
            + """
rule shell:
    output: "shell.txt"
    shell: "touch {output}; sleep 120; true"
rule run:
    output: "run.txt"
    run:
        Path(output[0]).touch()
        shell("sleep 120; true")
rule all:
    default_target: True
    input: "out.json", "shell.txt", "run.txt"
"""
        )
        process = begin(project, "--cores", "3")
        try:
            wait_for(lambda: server.requests and all((project / f"{n}.txt").exists() for n in ("shell", "run")), "jobs")
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
            seconds_until_gone(project.root)
            assert time.monotonic() - sent < ENDS_WITHIN
        finally:
            end(process)


# --- kill -9 --------------------------------------------------------------------------------------------------------

TWO_RULES = """
rule all:
    input: "a.json", "b.json"
rule a:
    input: "in.csv"
    output: "a.json"
    agent: "sum column x"
rule b:
    input: "a.json"
    output: "b.json"
    agent: "double the total"
"""
DOUBLE = """
import json, time
time.sleep(0.2)
total = json.load(open(snakemake.input[0]))["total"]
json.dump({"total": 2 * total}, open(snakemake.output[0], "w"))
"""
SLOW_SUM = """
import csv, json, time
time.sleep(0.2)
total = sum(float(row["x"]) for row in csv.DictReader(open(snakemake.input[0])))
json.dump({"total": total}, open(snakemake.output[0], "w"))
"""


def slow_answer(asked: Asked) -> Reply:
    if asked.role == "supervisor":
        return hang(0.2, then=say(APPROVE))
    return hang(0.3, then=say(fenced(DOUBLE if "double the total" in asked.text else SLOW_SUM)))


def kill_and_recover(root: Path, moment: float) -> float:
    """Kill a run so long after its first question to the model [s], and run again; returns how long orphans lived."""
    with ScriptedModel(slow_answer) as server:
        project = new_project(root, server)
        project.snakefile(TWO_RULES)
        process = begin(project)
        try:
            wait_for(lambda: server.requests or process.poll() is not None, "the first question")
            time.sleep(moment)
            process.kill()
            process.wait()
            orphans = seconds_until_gone(project.root)
        finally:
            end(process)
        for rule in ("a", "b"):
            assert_nothing_half_frozen(project / f"agents/{rule}.py")
        for marker in (project / ".snakemake/locks").glob("*"):
            marker.unlink()  # what `--unlock` does, which is tried once below
        done = project.run("--rerun-incomplete")
        assert done, done.output
    assert project.json("a.json") == {"total": 4.0}
    assert project.json("b.json") == {"total": 8.0}
    for rule in ("a", "b"):
        script = project / f"agents/{rule}.py"
        lock = read_lock(lock_path(script))
        assert lock is not None and lock.script_digest == digest_script(script.read_text())
    assert leftovers(project.root) == []
    return orphans


def assert_nothing_half_frozen(script: Path) -> None:
    lock = read_lock(lock_path(script))
    waiting = script.with_name(f".{script.name}.new")
    scripts = [path.read_text() for path in (script, waiting) if path.exists()]
    if lock is None:
        assert not script.exists()
    else:
        assert lock.script_digest in [digest_script(source) for source in scripts]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(20)
    moments = [chance.uniform(0.0, 3.5) for _ in range(10)]
    with ThreadPoolExecutor(3) as pool:
        orphans = list(pool.map(kill_and_recover, [tmp_path / f"{number}" for number in range(10)], moments))
    print([round(seconds, 2) for seconds in orphans])
    assert max(orphans) < ENDS_WITHIN


@pytest.mark.parametrize("frozen", [False, True], ids=["trial", "frozen"])
def test_killed_while_a_script_runs(tmp_path: Path, frozen: bool) -> None:
    with ScriptedModel(team(SCRIPT)) as server:
        project = new_project(tmp_path, server)
        if frozen:
            done = project.run()
            assert done, done.output
            (project / "out.json").unlink()
        (tmp_path / "signs/slow").touch()
        process = begin(project)
        try:
            wait_for(lambda: script_runs(project) or process.poll() is not None, "the script runs")
            assert len(processes_of(project.root)) >= 3
            process.kill()
            process.wait()
            assert seconds_until_gone(project.root) < ENDS_WITHIN
        finally:
            end(process)
        (tmp_path / "signs/slow").unlink()
        locked = project.run("--rerun-incomplete")
        assert not locked and "--unlock" in locked.output
        assert project.snakemake("--unlock")
        done = project.run("--rerun-incomplete")
        assert done, done.output
    assert project.json("out.json") == {"total": 4.0}
    assert leftovers(project.root) == []


# --- a person's own check -------------------------------------------------------------------------------------------

CHECK = """
import pathlib, signal, subprocess, sys, time
def stays(job):
    deaf = "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)"
    code = f"import signal, sys, time\\n{deaf}\\nopen(sys.argv[1], 'w').close()\\ntime.sleep(120)"
    subprocess.Popen([sys.executable, "-c", code, job.params["started"]], start_new_session=True)
    time.sleep(120)
"""


def with_check(project: Project) -> Project:
    project.write("checks/stays.py", CHECK)
    project.snakefile(SNAKEFILE.replace('"sum column x"', '"sum column x", checks=["checks/stays.py:stays"]'))
    return project


def test_while_a_check_runs(tmp_path: Path) -> None:
    with ScriptedModel(team(SCRIPT)) as server:
        projects = {name: with_check(new_project(tmp_path / name, server)) for name in SIGNALS}
        all_signals(projects, lambda project: (project.root.parent / "started").exists())
    assert not [path for project in projects.values() for path in project.root.glob("agents/*")]


def test_killed_while_a_check_runs(tmp_path: Path) -> None:
    with ScriptedModel(team(SCRIPT)) as server:
        project = with_check(new_project(tmp_path, server))
        process = begin(project)
        try:
            wait_for(lambda: (tmp_path / "started").exists() or process.poll() is not None, "the check runs")
            assert len(processes_of(project.root)) >= 3
            process.kill()
            process.wait()
            assert seconds_until_gone(project.root) < ENDS_WITHIN
        finally:
            end(process)


def test_a_check_has_the_time_limit_of_the_rule(tmp_path: Path) -> None:
    with ScriptedModel(team(SCRIPT)) as server:
        project = with_check(new_project(tmp_path, server))
        done = project.run("--llmagent-timeout", "8")
        assert not done and "did not end within the time limit of the rule" in done.output, done.output
        seconds_until_gone(project.root)


# --- stages ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Path]:
    """A folder of stages of a process that was killed."""
    code = (
        "import os, pathlib, signal, sys\n"
        "from snakemake_executor_plugin_llmagent.sandbox.stages import Stages\n"
        "stages = Stages(pathlib.Path(sys.argv[1]))\n"
        "stages.new_folder().mkdir()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    yield left


def test_stages_of_the_dead_are_removed_and_those_of_the_living_stay(killed: Path) -> None:
    living = Stages(killed.parent)
    folder = living.new_folder()
    folder.mkdir()
    assert not killed.exists()
    other = Stages(killed.parent)
    other.new_folder()
    assert folder.exists()
    living.close()
    assert not folder.exists()
    other.close()
    assert list(killed.parent.iterdir()) == []
