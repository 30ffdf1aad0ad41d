"""What goes wrong around authoring: models, disks, folders, other Snakemakes; each with a clear end."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loopback import (
    Asked,
    Reply,
    ScriptedModel,
    empty,
    garbage,
    refuse,
    status,
    truncated,
)
from tests.workflow.processes import leftovers, wait_for
from tests.workflow.project import APPROVE, Done, Project, end, fenced, team

SUM = """
import csv, json
with open(snakemake.input[0]) as handle:
    total = sum(float(row["x"]) for row in csv.DictReader(handle))
with open(snakemake.output[0], "w") as handle:
    json.dump({"total": total}, handle)
"""
CRASH = SUM.replace('row["x"]', 'row["energy"]')
SNAKEFILE = """
rule total:
    input: "in.csv"
    output: "out.json"
    agent: "sum column x"
"""


@pytest.fixture
def table(project: Project) -> Project:
    project.snakefile(SNAKEFILE)
    project.write("in.csv", "x,y\n1,2\n3,4\n")
    return project


def written(project: Project) -> list[str]:
    """What lies in the folder of scripts."""
    return sorted(path.name for path in project.root.glob("agents/*"))


# --- attempts -------------------------------------------------------------------------------------------------------


def test_attempts_run_out(table: Project) -> None:
    table.snakefile(
        """
        rule all:
            input: expand("out_{kind}.json", kind="abc")
        rule total:
            input: "in.csv"
            output: "out_{kind}.json"
            log: "logs/{kind}.log"
            retries: 2
            agent: "sum column x"
        """
    )
    with ScriptedModel(team(CRASH)) as server:
        table.uses(server)
        done = table.run("--keep-going")
        assert [asked.role for asked in server.requests] == ["coder"] * 5
    assert done.returncode == 1
    assert not list(table.root.glob("out_*"))
    assert written(table) == []
    (session,) = (table / ".snakemake/llmagent/sessions/total").iterdir()
    for number in range(1, 6):
        assert 'row["energy"]' in (session / f"attempt-{number}/script.py").read_text()
        assert "KeyError: 'energy'" in (session / f"attempt-{number}/log.txt").read_text()
    assert "was accepted in 5 attempts" in done.output
    assert "run.failed: " in done.output and "KeyError: 'energy'" in done.output
    assert str(session) in done.output
    logs = [path.read_text() for path in (table / "logs").glob("*.log")]
    assert any("was accepted in 5 attempts" in log for log in logs)
    assert leftovers(table.root) == []


# --- models ---------------------------------------------------------------------------------------------------------

OPINION = "Looks fine to me."
RIGHT = fenced(SUM)
Turns = list[Reply | str]
# case: what the coder and the supervisor reply in turn (the last again and again), calls of each, part of the message
CASES: dict[str, tuple[Turns, Turns, int, int, str]] = {
    "limit": ([status(429), RIGHT], [APPROVE], 2, 1, ""),
    "hiccup": ([status(500), status(500), RIGHT], [APPROVE], 3, 1, ""),
    "down": ([status(500, "out of order")], [APPROVE], 5, 0, "out of order. The trouble is on the provider's side"),
    "nocode": (["I would sum it.", RIGHT], [APPROVE], 2, 1, ""),
    "empty": ([empty(), RIGHT], [APPROVE], 2, 1, ""),
    "short": ([truncated(), RIGHT], [APPROVE], 2, 1, ""),
    "refusal": ([refuse("I sum nothing.")], [APPROVE], 1, 0, "declined to write the script: I sum nothing."),
    "vague": ([RIGHT], [OPINION, APPROVE], 1, 2, ""),
    "vaguer": ([RIGHT], [OPINION, OPINION, APPROVE], 2, 3, ""),
    "mute": ([RIGHT], [refuse("I judge nothing.")], 1, 1, "declined to answer: I judge nothing."),
}
GARBAGE_CALLS = {"openai": 1, "anthropic": 2}
"""A stream that breaks off is asked for once more."""


def by_case(replies: dict[str, tuple[Turns, Turns]], seen: Counter[tuple[str, str]]) -> Callable[[Asked], Reply | str]:
    def answer(asked: Asked) -> Reply | str:
        found = re.search(r"the case (\w+):", asked.text)
        assert found is not None
        case, role = found[1], asked.role
        turns = replies[case][role == "supervisor"]
        number = seen[case, role]
        seen[case, role] += 1
        return turns[min(number, len(turns) - 1)]

    return answer


@contextmanager
def closed_port() -> Iterator[str]:
    """An address where nobody listens, and nobody else can meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize(("provider", "other"), [("openai", "anthropic"), ("anthropic", "openai")])
def test_models_in_trouble(table: Project, provider: str, other: str) -> None:
    cases: dict[str, tuple[Turns, Turns, int, int, str]] = {
        **CASES,
        "garbage": (
            [garbage()],
            [APPROVE],
            GARBAGE_CALLS[provider],
            0,
            "Does " if provider == "openai" else "broke off",
        ),
    }
    failing = {case for case, (*_, message) in cases.items() if message} | {"gone"}
    rules = [
        f'rule {case}:\n    input: "in.csv"\n    output: "{case}.json"\n    agent: "the case {case}: sum x"\n'
        for case in cases
    ]
    rules.append(
        f'rule gone:\n    input: "in.csv"\n    output: "gone.json"\n    agent: "sum x", model="{other}:gone"\n'
    )
    targets = [f"{case}.json" for case in (*cases, "gone")]
    table.snakefile("\n".join(rules))
    seen: Counter[tuple[str, str]] = Counter()
    script = by_case({case: (coder, supervisor) for case, (coder, supervisor, *_) in cases.items()}, seen)
    with ScriptedModel(script) as server, closed_port() as nowhere:
        table.uses(server, other)
        table.uses(server, provider)
        table.env[f"{other.upper()}_BASE_URL"] = nowhere
        done = table.run("--keep-going", *targets, model=f"{provider}:scripted", cores=len(targets))
    assert done.returncode == 1
    one_line = " ".join(done.output.split())
    for case, (_, _, coder, supervisor, message) in cases.items():
        assert (case, seen[case, "coder"], seen[case, "supervisor"]) == (case, coder, supervisor), done.output
        assert message in one_line
        assert (table / f"{case}.json").exists() == (case not in failing), case
    assert f"{other}:gone gave no answer" in done.output and f"{other.upper()}_BASE_URL" in done.output
    assert not (table / "gone.json").exists()
    assert written(table) == sorted(
        f"{case}{end}" for case in cases if case not in failing for end in (".lock.yaml", ".py")
    )
    assert "reply.no_code" in done.output and "reply.empty" in done.output and "reply.truncated" in done.output
    assert "review.malformed" in done.output
    assert leftovers(table.root) == []


# --- other Snakemakes -----------------------------------------------------------------------------------------------


def test_one_author_among_several_snakemakes(table: Project, tmp_path: Path) -> None:
    asked_once, go = threading.Event(), threading.Event()

    def answer(asked: Asked) -> str:
        if asked.role == "supervisor":
            return APPROVE
        asked_once.set()
        go.wait(120)
        return fenced(SUM)

    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(table / "in.csv", other)
    options = ("--executor", "llmagent", "--llmagent-model", "openai:scripted", "--cores", "1")

    def at_work(folder: Path, number: int) -> bool:
        logs = [path.read_text() for path in (folder / ".snakemake/log").glob("*.log")]
        return sum("rule total:" in log for log in logs) >= number

    with ScriptedModel(answer) as server:
        table.uses(server)
        processes = [table.start(*options)]
        try:
            wait_for(asked_once.is_set, "the model is asked")
            # The first holds the directory; the second says so, the third does not care, the fourth is elsewhere.
            processes.append(table.start(*options, "--nolock"))
            snakefile = ("--snakefile", str(table / "Snakefile"))
            processes.append(table.start(*options, *snakefile, "--directory", str(other)))
            locked = table.run()
            assert not locked and "--unlock" in locked.output
            wait_for(lambda: at_work(table.root, 2) and at_work(other, 1), "the others wait for the author")
            go.set()
            for process in processes:
                output, _ = process.communicate(timeout=120)
                assert process.returncode == 0, output
        finally:
            go.set()
            for process in processes:
                end(process)
        assert [asked.role for asked in server.requests] == ["coder", "supervisor"]
    assert (other / "out.json").read_text() == table.read("out.json") == '{"total": 4.0}'
    assert written(table) == ["total.lock.yaml", "total.py"]
    assert leftovers(table.root) == leftovers(other) == []


# --- disks and folders ----------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own on a folder; the test is skipped where that is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root and the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


LARGE = SUM + '\nopen(snakemake.output[0], "a").write(" " * (4 << 20))\n'


def test_full_disk(table: Project) -> None:
    with small_disk(table.root, "size=3m"):
        table.snakefile(SNAKEFILE)
        table.write("in.csv", "x,y\n1,2\n3,4\n")
        with ScriptedModel(team(LARGE)) as server:
            table.uses(server)
            done = table.run()
            assert len(server.requests) == 1, "another script would not help"
        assert done.returncode == 1
        assert "No space left on device" in done.output
        assert "Traceback" not in done.output
        assert not (table / "out.json").exists()
        assert written(table) == []
        assert leftovers(table.root) == []


def test_disk_that_is_full_from_the_start(table: Project) -> None:
    with small_disk(table.root, "size=1m"):
        table.snakefile(SNAKEFILE)
        table.write("in.csv", "x,y\n1,2\n3,4\n")
        table.env["HOME"] = str(table.root.parent)
        with (table / "ballast").open("wb") as ballast:
            ballast.write(bytes(900 << 10))
        with ScriptedModel(team(SUM)) as server:
            table.uses(server)
            done = table.run()
        assert done.returncode == 1 or table.json("out.json") == {"total": 4.0}
        if not done:
            assert "No space left on device" in done.output
            assert not (table / "out.json").exists()
            assert written(table) == []
        assert leftovers(table.root) == []


def test_full_disk_of_the_scripts(table: Project) -> None:
    with small_disk(table / "agents", f"size={os.sysconf('SC_PAGE_SIZE')}"):
        (table / "agents/ballast").write_text("x")
        with ScriptedModel(team(SUM)) as server:
            table.uses(server)
            done = table.run()
        assert done.returncode == 1
        one_line = " ".join(done.output.split())
        assert "cannot be stored" in one_line and "No space left on device" in one_line
        assert "Traceback" not in done.output
        assert not (table / "out.json").exists()
        assert written(table) == ["ballast"]
        assert leftovers(table.root) == []


def assert_told_before_any_model(table: Project) -> None:
    with ScriptedModel(team(SUM)) as server:
        table.uses(server)
        done = table.run()
        assert server.requests == []
    assert done.returncode == 1
    assert f"Scripts cannot be stored in {table / 'agents'}" in done.output
    assert not (table / "out.json").exists()


def test_a_file_where_the_folder_of_scripts_belongs(table: Project) -> None:
    (table / "agents").touch()
    assert_told_before_any_model(table)


def test_read_only_folder_of_scripts(table: Project) -> None:
    if os.geteuid() == 0:
        with small_disk(table / "agents", "ro"):
            assert_told_before_any_model(table)
    else:
        (table / "agents").mkdir(mode=0o555)
        assert_told_before_any_model(table)


def test_home_that_cannot_be_written(table: Project, tmp_path: Path) -> None:
    # Below a file nobody can make a folder, not even root.
    (tmp_path / "file").touch()
    environment = {"HOME": str(tmp_path / "file/home"), "XDG_CACHE_HOME": ""}
    table.write("plain.smk", "rule plain:\n    output: 'plain.txt'\n    shell: 'touch {output}'\n")
    with ScriptedModel(team(SUM)) as server:
        table.uses(server)
        table.env.update(environment)
        plain = table.snakemake("-s", "plain.smk")
        done = table.run()
    # Snakemake itself comes first: where it works without a home, so do we; where it does not, it says so.
    assert done.returncode == plain.returncode, plain.output + done.output
    if done:
        assert table.json("out.json") == {"total": 4.0}
    else:
        assert str(tmp_path / "file") in done.output


# --- locked, repaired, embedded -------------------------------------------------------------------------------------


def test_locked(table: Project) -> None:
    rule = 'rule {0}:\n    input: "up.csv"\n    output: "{0}.json"\n    agent: "sum column x{1}"{2}\n'
    upstream = 'rule up:\n    input: "in.csv"\n    output: "up.csv"\n    shell: "cp {input} {output}"\n'
    person = ', approve="person"'
    kinds = ("frozen", "stale", "edited", "awaiting", "missing")
    table.snakefile(upstream + "".join(rule.format(kind, "", person * (kind == "awaiting")) for kind in kinds))
    with ScriptedModel(team(SUM)) as server:
        table.uses(server)
        table.run("--keep-going", *(f"{kind}.json" for kind in kinds if kind != "missing"))
        stale = [rule.format(kind, " again" * (kind == "stale"), person * (kind == "awaiting")) for kind in kinds]
        table.snakefile(upstream + "".join(stale))
        with (table / "agents/edited.py").open("a") as script:
            script.write("\n# by hand\n")
        assert table.states() == {kind: kind for kind in kinds}
        for path in table.root.glob("*.json"):
            path.unlink()
        (table / "up.csv").unlink()
        asked = len(server.requests)
        done = table.run("--llmagent-locked", *(f"{kind}.json" for kind in kinds))
        assert done.returncode == 1
        for kind in kinds:
            assert (f"agent rule {kind} is {kind}, not frozen" in done.output) == (kind != "frozen"), done.output
        assert not (table / "up.csv").exists(), "no job may have run"
        frozen = table.run("--llmagent-locked", "frozen.json", model="")
        assert frozen, frozen.output
        assert len(server.requests) == asked
    assert table.json("frozen.json") == {"total": 4.0}


def test_a_repair_that_fails_spares_the_jobs_that_need_none(table: Project) -> None:
    table.snakefile(
        """
        rule total:
            input: "{kind}.csv"
            output: "{kind}.json"
            retries: 1
            agent: "sum column x of {kind}", max_attempts=2
        """
    )
    for kind in "ac":
        table.write(f"{kind}.csv", "x,y\n1,2\n3,4\n")
    table.write("b.csv", "energy,y\n1,2\n3,4\n")
    with ScriptedModel(team(SUM)) as server:
        table.uses(server)
        assert table.run("a.json")
        lock = table.read("agents/total.lock.yaml")
        asked = len(server.requests)
        done = table.run("--keep-going", "--prioritize", "b.json", "--", "b.json", "c.json", cores=1)
        assert done.returncode == 1
        # Two attempts, not again for `retries: 1`.
        assert [request.role for request in server.requests[asked:]] == ["coder", "coder"]
    assert not (table / "b.json").exists()
    assert table.json("c.json") == {"total": 4.0}
    assert table.read("agents/total.lock.yaml") == lock
    assert leftovers(table.root) == []


def test_a_repair_has_to_serve_the_jobs_of_the_old_script(table: Project) -> None:
    table.snakefile(
        """
        rule total:
            input: "{kind}.csv"
            output: "{kind}.json"
            agent: "sum column x of {kind}"
        """
    )
    table.write("a.csv", "x,y\n1,2\n3,4\n")
    table.write("b.csv", "energy,y\n1,2\n3,5\n")
    both = SUM.replace('row["x"]', 'row["x" if "x" in row else "energy"]')
    with ScriptedModel(team(SUM, CRASH, both)) as server:
        table.uses(server)
        done = table.run("--prioritize", "a.json", "--", "a.json", "b.json", cores=1)
        assert done, done.output
        last = [asked for asked in server.requests if asked.role == "coder"][-1]
        assert "With kind=a, where the last script worked" in last.text
    assert table.json("a.json") == table.json("b.json") == {"total": 4.0}
    assert table.states() == {"total": "frozen"}


EMBEDDED = """
import os, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, ResourceSettings

before = dict(os.environ)
works = True
try:
    with SnakemakeApi(OutputSettings()) as api:
        workflow = api.workflow(resource_settings=ResourceSettings(cores=1), snakefile=Path("Snakefile"))
        workflow.dag().execute_workflow(executor="llmagent", executor_settings=None)
except Exception as error:
    works = False
    print("ENDED", error)
changed = {name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}
print("CHANGED", sorted(changed))
sys.exit(0 if works else 3)
"""


def embedded(project: Project) -> Done:
    return project._run((sys.executable, "-c", EMBEDDED))


def test_embedded_in_a_program(table: Project) -> None:
    with ScriptedModel(team(SUM)) as server:
        table.uses(server)
        refused = embedded(table)
        assert refused.returncode == 3
        assert "no model is chosen" in refused.output
        assert "CHANGED []" in refused.output
        assert table.run()
        (table / "out.json").unlink()
        done = embedded(table)
    assert done, done.output
    assert "CHANGED []" in done.output
    assert table.json("out.json") == {"total": 4.0}


def test_a_job_overtaken_by_a_repair_runs_again(table: Project) -> None:
    # `slow` starts with the old script and is still at work when `odd` has it repaired.
    table.snakefile(
        """
        rule total:
            input: "{kind}.csv"
            output: "{kind}.json"
            params: pace=lambda wildcards: f"{workflow.basedir}/{wildcards.kind}.pace"
            agent: "sum column x of {kind}"
        """
    )
    for kind in ("first", "slow"):
        table.write(f"{kind}.csv", "x,y\n1,2\n3,4\n")
    table.write("odd.csv", "energy,y\n1,2\n3,4\n")
    waits = "import pathlib, time\nwhile pathlib.Path(snakemake.params.pace).exists():\n    time.sleep(0.05)\n"
    marks = '\npathlib.Path(snakemake.output[0]).open("a").write(" ")\n'
    mended = waits + SUM.replace('row["x"]', 'row["x" if "x" in row else "energy"]') + marks

    def answer(asked: Asked) -> str:
        if asked.role == "supervisor":
            return APPROVE
        return fenced(mended if "KeyError: 'x'" in asked.text else waits + SUM)

    with ScriptedModel(answer) as server:
        table.uses(server)
        assert table.run("first.json")
        pace = table.write("slow.pace", "")
        before = table.read("agents/total.py")
        process = table.start(
            "--executor", "llmagent", "--llmagent-model", "openai:scripted", "--llmagent-sandbox", "none",
            "--cores", "2", "slow.json", "odd.json",
        )  # fmt: skip
        try:
            wait_for(lambda: table.read("agents/total.py") != before or process.poll() is not None, "the repair")
            assert process.poll() is None
            pace.unlink()
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output
        finally:
            end(process)
    assert table.read("odd.json") == table.read("slow.json") == '{"total": 4.0} '
