"""What lines at the bottom of a terminal cost: the same run on a terminal that has them, and on one that has not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.loopback import Asked, Reply, ScriptedModel, piecewise
from tests.terminal import Console
from tests.workflow.project import APPROVE, SNAKEMAKE, Project, fenced

RULES = 4
SCRIPT = f"""
import time
time.sleep(1)
with open(snakemake.output[0], "w") as handle:
    handle.write("x")
# {"a remark, " * 400}
"""
ARGUMENTS = (
    "--executor", "llmagent", "--llmagent-model", "openai:scripted", "--llmagent-supervisor", "none", "--cores", "2",
    "--forceall",
)  # fmt: skip


def progress(root: Path, measure: Callable[..., float]) -> None:
    """Author rules whose scripts take a second, from replies in a thousand pieces."""
    project = Project(root)
    rules = "".join(f'rule r{n}:\n    output: "{n}.txt"\n    agent: "write {n}"\n' for n in range(RULES))
    wanted = ", ".join(f'"{n}.txt"' for n in range(RULES))
    project.snakefile(f"rule all:\n    input: {wanted}\n{rules}")
    reply = fenced(SCRIPT)
    pieces = [reply[start : start + 4] for start in range(0, len(reply), 4)]

    def answer(asked: Asked) -> Reply | str:
        return APPROVE if asked.role == "supervisor" else piecewise(*pieces)

    def run(term: str) -> None:
        for left in project.root.glob("agents/*"):
            left.unlink()
        with Console((*SNAKEMAKE, *ARGUMENTS), cwd=root, env={**project.environment(), "TERM": term}) as console:
            assert console.wait() == 0, console.terminal.text
            assert (b"\x1b7" in console.raw) is (term == "xterm")

    with ScriptedModel(answer) as server:
        project.uses(server)
        measure("progress", partial(run, "xterm"), partial(run, "dumb"), pairs=5)
