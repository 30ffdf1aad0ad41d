"""What a person sees of authoring at a terminal, and what logger plugins get to know."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import Asked, Pace, Reply, ScriptedModel, piecewise, say
from tests.terminal import Console
from tests.workflow.project import APPROVE, SNAKEMAKE, Project, fenced, team

SNAKEFILE = """
rule all:
    input: "a.txt", "b.txt", "noise.txt"
rule fit_a:
    output: "a.txt"
    agent: "write a"
rule 規則:
    output: "b.txt"
    agent: "write b"
rule noise:
    output: "noise.txt"
    shell: "for number in $(seq 40); do echo noise-$number; done; touch {output}"
"""
ONE = 'rule fit_a:\n    output: "a.txt"\n    agent: "write a"\n'
SCRIPT = "open(snakemake.output[0], 'w').write('x' * 100)  # " + "as it was asked for, and no more than that, " * 4
AUTHOR = ("--executor", "llmagent", "--llmagent-model", "openai:scripted", "--cores", "4")
TAKES_LINES = b"\x1b7"


def begin(project: Project, *arguments: str, width: int = 80, height: int = 24, term: str = "xterm") -> Console:
    env = {**project.environment(), "TERM": term}
    return Console((*SNAKEMAKE, *AUTHOR, *arguments), cwd=project.root, env=env, width=width, height=height)


def paced(pace: Pace) -> Callable[[Asked], Reply]:
    """The first rule's script comes in pieces, everything else at once."""
    half = len(fenced(SCRIPT)) // 2

    def answer(asked: Asked) -> Reply:
        if asked.role == "supervisor":
            return say(APPROVE)
        if "write a" in asked.text:
            return piecewise(fenced(SCRIPT)[:half], fenced(SCRIPT)[half:], pace=pace)
        return say(fenced(SCRIPT))

    return answer


def lines_about(console: Console, rule: str) -> list[str]:
    return [line for line in console.terminal.text.split("\n") if line.startswith(f"Agent rule {rule}:")]


@pytest.mark.parametrize("width", [80, 200, 40])
def test_a_line_for_each_rule_below_everything_else(project: Project, width: int) -> None:
    project.snakefile(SNAKEFILE)
    pace = Pace()
    with ScriptedModel(paced(pace)) as server:
        project.uses(server)
        with begin(project, width=width) as console:
            console.until(lambda: any("fit_a  attempt 1 of 5" in line for line in console.bottom), "the line of fit_a")
            console.until(lambda: "done in" in console.terminal.text, "the end of the other rule")
            console.until(lambda: "(Rule: noise)" in console.terminal.text, "the end of the noise")
            pace.release()
            tokens = f"~{(len(fenced(SCRIPT)) // 2) // 4} tokens"
            if width > 40:
                console.until(lambda: tokens in console.bottom[-1], "what has come of the script")
            console.until(lambda: len(console.bottom) == 1, "one line alone")
            (line,) = console.bottom
            attempt = ("fit_a  attempt 1 of 5", "fit_a  1/5") if width == 40 else "fit_a  attempt 1 of 5"
            assert line.startswith(attempt) and "writes" in line and len(line) < width
            assert ("openai:scripted" in line) is (width > 40)
            pace.release()
            assert console.wait() == 0
            terminal = console.terminal
    assert terminal.scrolls_all
    assert "attempt 1 of" not in terminal.text, "phases are told at the bottom alone"
    # Nothing of what the job printed is lost or mixed with anything.
    noise = [line for line in terminal.text.split("\n") if "noise-" in line]
    assert noise == [f"noise-{number}" for number in range(1, 41)]
    assert terminal.text.replace("\n", "").count(" tokens[") == 2, "what each has used"
    (log,) = (project / ".snakemake/log").glob("*.snakemake.log")
    assert "Agent rule fit_a: attempt 1 of 5: openai:scripted writes" in log.read_text()


def test_ctrl_c_and_a_change_of_size(project: Project) -> None:
    project.snakefile(ONE)
    pace = Pace()
    with ScriptedModel(paced(pace)) as server:
        project.uses(server)
        with begin(project) as console:
            console.until(lambda: console.bottom and "writes" in console.bottom[0], "the line")
            console.resize(60, 12)
            console.until(lambda: console.bottom and "writes" in console.bottom[0], "the line at its new place")
            assert console.terminal.region == (0, 10)
            console.type(b"\x03")
            assert console.wait() != 0
            assert console.terminal.scrolls_all
            assert "writes" not in console.terminal.text, console.terminal.text
            pace.release(2)


def test_no_script_accepted(project: Project) -> None:
    project.snakefile(ONE)
    with ScriptedModel(team("raise ValueError('no')")) as server:
        project.uses(server)
        with begin(project, "--llmagent-max-attempts", "2", width=120) as console:
            assert console.wait() != 0
            terminal = console.terminal
    assert terminal.scrolls_all
    assert "Agent rule fit_a: attempt 2: error: run.failed" in terminal.text
    assert "Agent rule fit_a: failed after" in terminal.text
    assert "No script for rule fit_a was accepted in 2 attempts" in terminal.text


@pytest.mark.parametrize(
    ("arguments", "term", "told"),
    [
        (("--quiet", "all"), "xterm", False),
        (("--quiet",), "xterm", False),
        (("--quiet", "progress"), "xterm", True),
        ((), "dumb", True),
    ],
)
def test_terminals_that_are_left_alone(project: Project, arguments: tuple[str, ...], term: str, told: bool) -> None:
    project.snakefile(ONE)
    with ScriptedModel(team(SCRIPT)) as server:
        project.uses(server)
        with begin(project, *arguments, term=term) as console:
            assert console.wait() == 0, console.terminal.text
            said = lines_about(console, "fit_a")
            assert TAKES_LINES not in console.raw
    assert any("accepted" in line for line in said) is told
    phases = any("writes" in line for line in said)
    assert phases is (not arguments), "phases are progress"


def test_quiet_about_rules(project: Project) -> None:
    project.snakefile(ONE)
    with ScriptedModel(team(SCRIPT)) as server:
        project.uses(server)
        with begin(project, "--quiet", "rules", "--nocolor") as console:
            assert console.wait() == 0, console.terminal.text
            assert [line for line in lines_about(console, "fit_a") if "has no known price" not in line] == []
            assert TAKES_LINES in console.raw, "the line at the bottom is progress"
            assert b"\x1b[3" not in console.raw, "it has no colours"


UNPRICED = (
    "has no known price: its tokens are counted, its cost is not. If it costs something, or nothing, say so with "
    "--llmagent-prices."
)


def test_a_log_that_goes_to_a_file(project: Project) -> None:
    """Whatever else is a terminal, the bottom belongs to where the log goes."""
    project.snakefile(ONE)
    with ScriptedModel(team(SCRIPT)) as server:
        project.uses(server)
        command = ("sh", "-c", f'exec "$@" 2> {project.root}/stderr.txt', "sh", *SNAKEMAKE, *AUTHOR)
        with Console(command, cwd=project.root, env=project.environment()) as console:
            assert console.wait() == 0
            assert TAKES_LINES not in console.raw
    assert "\x1b" not in project.read("stderr.txt")
    said = [line for line in project.read("stderr.txt").split("\n") if line.startswith("Agent rule")]
    assert [line.partition(": ")[2] for line in said[:-1]] == [
        "write a",
        f"openai:scripted {UNPRICED}",
        "attempt 1 of 5: openai:scripted writes",
        "the script runs",
        "checks: contents",
        *(["checks: probes"] if "checks: probes" in "".join(said) else []),
        "openai:scripted reviews",
        "attempt 1: accepted",
    ]


PLUGIN = """
import json, pathlib
from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    def __post_init__(self): pass
    def emit(self, record):
        if getattr(record, "event", None) == "llmagent":
            with pathlib.Path("records.jsonl").open("a") as file:
                file.write(json.dumps(record.llmagent) + "\\n")
    writes_to_stream = property(lambda self: False)
    writes_to_file = property(lambda self: False)
    has_filter = property(lambda self: True)
    has_formatter = property(lambda self: True)
    needs_rulegraph = property(lambda self: False)
"""


def test_logger_plugins_get_values(project: Project) -> None:
    project.snakefile(ONE)
    folder = project.root / "plugins/snakemake_logger_plugin_noting"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(PLUGIN)
    project.env["PYTHONPATH"] = str(folder.parent)
    with ScriptedModel(team("raise ValueError('no')", SCRIPT)) as server:
        project.uses(server)
        done = project.run("--logger", "noting", "--quiet", "all")
        assert done, done.output
    records = [json.loads(line) for line in project.read("records.jsonl").splitlines()]
    assert all(record.keys() == records[0].keys() for record in records)
    assert {(record["version"], record["rule"]) for record in records} == {(1, "fit_a")}
    notes = [record for record in records if record["kind"] == "note"]
    assert len(notes) == 1  # that the model has no known price
    records = [record for record in records if record not in notes]
    told = [(record["kind"], record["phase"], record["attempt"]) for record in records]
    assert told[:4] == [
        ("begin", None, None),
        ("phase", "writes", 1),
        ("phase", "runs", 1),
        ("finding", None, 1),
    ]
    assert ("phase", "writes", 2) in told and told[-2:] == [("accepted", None, 2), ("end", None, 2)]
    found = [finding for record in records if record["kind"] == "finding" for finding in record["findings"]]
    (failed,) = [finding for finding in found if finding["check"] == "run.failed"]
    assert failed["severity"] == "error" and "ValueError" in failed["message"]
    assert records[1]["model"] == "openai:scripted" and records[1]["attempts"] == 5
    end = records[-1]
    assert end["detail"] == "done" and end["seconds"] > 0 and end["cost"] is None
    assert end["tokens"]["input_tokens"] > records[3]["tokens"]["input_tokens"] > 0
    assert end["tokens"].keys() == {
        "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "cache_write_tokens",
    }  # fmt: skip


# --- under another terminal -----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize("width", [80, 200])
def test_in_tmux(project: Project, width: int, tmp_path: Path) -> None:
    """The same in a terminal that is not ours: what is kept at the bottom, and what has scrolled."""
    project.snakefile(SNAKEFILE)
    pace = Pace()
    tmux = ("tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null")

    def seen(*more: str) -> str:
        done = subprocess.run([*tmux, "capture-pane", "-p", *more], capture_output=True, text=True, check=True)
        return done.stdout

    with ScriptedModel(paced(pace)) as server:
        project.uses(server)
        # Signals that the run has ended, and keeps the window.
        command = f"{sys.executable} -m snakemake {' '.join(AUTHOR)}; tmux -S {tmp_path}/tmux wait-for -S done; cat"
        size = ("-x", str(width), "-y", "24")
        subprocess.run(
            [*tmux, "new-session", "-d", *size, command], check=True, cwd=project.root, env=project.environment()
        )
        try:
            pace.release(2)
            subprocess.run([*tmux, "wait-for", "done"], check=True, timeout=120)
            whole = seen("-S", "-")
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)
    noise = [line for line in whole.split("\n") if "noise-" in line]
    assert noise == [f"noise-{number}" for number in range(1, 41)], whole
    assert "attempt 1 of" not in whole and "規則: done in" in whole, whole
