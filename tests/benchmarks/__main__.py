"""Benchmarks, each as a ratio within one run: `python -m tests.benchmarks [NAME...]`. None fails for being slow.

| name | compares | aim |
|---|---|---|
| executor | 50 trivial shell jobs: `--executor llmagent` against `--executor local` | 1.05 |
| startup | `snakemake --version` and a dry-run: plugin installed against not | 1.05 |
| frozen | 20 jobs of one frozen agent rule against the same script as `script:` | 1.25 |
| second | the same with a script that takes a second | 1.10 |
| sandbox | a script in each sandbox against the same directly: empty (1, 100, 1000 inputs), skim, fit | +80, +60 ms |
| jobs | 200 jobs of the wrapper `uproot/skim` against scripts that import the same packages | 1.10 |
| skimming | wrappers `uproot/skim` and `vector/pairs` against uproot by hand, coffea, RDataFrame | 1, warm 1.3 |
| fitting | wrapper `zfit/fit` against RooFit, numba-stats, zfit by hand | fastest, 0.6 s |
| judging | checks and usual probes of a candidate against its trial: 1 s, 30 s | 0.5 at 1 s |
| ledger | calls reserved and settled a second: 1 thread, 16 threads, 2 processes | 1000 |
| progress | authoring with lines at the bottom of the terminal against without | 1.02 |
| report | the page of 50 rules of 5 attempts: written, size, opened | 3 s, 3 MB, 1 s |
| authoring | 100 jobs through one wildcard agent rule, model scripted: calls, then a rerun | 1 + 1, then 0 |
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.fitting import fitting
from tests.benchmarks.jobs import jobs
from tests.benchmarks.judging import judging
from tests.benchmarks.ledger import ledger
from tests.benchmarks.pages import report
from tests.benchmarks.progress import progress
from tests.benchmarks.sandbox import sandbox
from tests.benchmarks.skimming import skimming
from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team

PAIRS = 7
SCRIPT = """
with open(snakemake.input[0]) as handle:
    text = handle.read()
with open(snakemake.output[0], "w") as handle:
    handle.write(text.upper() + snakemake.wildcards.n)
"""
HIDDEN = """
import sys
sys.path = [path for path in sys.path if path not in ({root!r}, "")]
sys.argv[0] = "snakemake"
from snakemake.cli import main
main()
"""


def measure(name: str, first: Callable[[], None], second: Callable[[], None], pairs: int = PAIRS) -> float:
    """Run two things in turn, after one warm-up of each; prints the medians of the ratios of wall and of CPU time.

    The CPU time (user and system, of child processes) hardly feels what else the machine does.
    """
    for run in (first, second):
        run()
    wall: list[tuple[float, float]] = []
    cpu: list[tuple[float, float]] = []
    for number in range(pairs):
        order = (first, second) if number % 2 else (second, first)
        seconds = {run: _seconds(run) for run in order}
        wall.append((seconds[first][0], seconds[second][0]))
        cpu.append((seconds[first][1], seconds[second][1]))
    for kind, measured in (("wall", wall), ("CPU", cpu)):
        ratios = sorted(one / other for one, other in measured)
        medians = " against ".join(f"{statistics.median(column):.3f} s" for column in zip(*measured, strict=True))
        spread = f"from {ratios[0]:.3f} to {ratios[-1]:.3f} in {pairs} pairs"
        print(f"{name}: {kind} ratio {statistics.median(ratios):.3f} ({spread}; {medians})", flush=True)
    return statistics.median(one / other for one, other in wall)


def _seconds(run: Callable[[], None]) -> tuple[float, float]:
    """Wall time and CPU time of the child processes [s]."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ok(project: Project, *arguments: str, model: str = "") -> None:
    done = project.run(*arguments, model=model) if model or "llmagent" in arguments else project.snakemake(*arguments)
    assert done, done.output


def executor(root: Path) -> None:
    """50 trivial shell jobs."""
    project = Project(root)
    project.snakefile(
        """
        rule all:
            input: expand("out/{n}.txt", n=range(50))
        rule one:
            output: "out/{n}.txt"
            shell: "echo {wildcards.n} > {output}"
        """
    )

    def run(name: str) -> Callable[[], None]:
        return lambda: _ok(project, "--executor", name, "--forceall", "--quiet", "all")

    measure("executor, 50 shell jobs, llmagent against local", run("llmagent"), run("local"))


def startup(root: Path) -> None:
    """What the plugin costs people who do not use it."""
    project = Project(root)
    project.snakefile(
        """
        rule all:
            input: "a.txt"
        rule one:
            output: "a.txt"
            shell: "echo > {output}"
        """
    )
    here = str(Path(__file__).resolve().parents[2])
    without = HIDDEN.format(root=here)
    with_plugin = HIDDEN.format(root="/nowhere")

    def run(code: str, *arguments: str) -> Callable[[], None]:
        def once() -> None:
            subprocess.run((sys.executable, "-c", code, *arguments), cwd=project.root, capture_output=True, check=True)

        return once

    known = subprocess.run(
        (sys.executable, "-c", without, "--help"), cwd=project.root, capture_output=True, text=True, check=True
    ).stdout
    assert "--llmagent-model" not in known, "the plugin could not be hidden"
    for title, arguments in (("--version", ("--version",)), ("dry-run", ("-n", "--quiet", "all"))):
        first, second = run(with_plugin, *arguments), run(without, *arguments)
        measure(f"startup, snakemake {title}, installed against not", first, second, 15)


def second(root: Path) -> None:
    """20 jobs of one script that takes a second."""
    frozen(root, "import time\ntime.sleep(1)\n" + SCRIPT, pairs=3)


def frozen(root: Path, script: str = SCRIPT, pairs: int = PAIRS) -> None:
    """20 jobs of one script."""
    project = Project(root)
    project.write("in.txt", "hello\n")
    project.write("plain.py", script)
    project.snakefile(
        """
        rule agents:
            input: expand("a/{n}.txt", n=range(20))
        rule scripts:
            input: expand("s/{n}.txt", n=range(20))
        rule by_agent:
            input: "in.txt"
            output: "a/{n}.txt"
            agent: "upper case, and the number"
        rule by_script:
            input: "in.txt"
            output: "s/{n}.txt"
            script: "plain.py"
        """
    )
    with ScriptedModel(team(script)) as server:
        project.uses(server)
        _ok(project, "agents", model="openai:scripted")
    measure(
        "frozen, 20 jobs, agent rule against script rule, local executor",
        lambda: _ok(project, "--forceall", "--quiet", "all", "--", "agents"),
        lambda: _ok(project, "--forceall", "--quiet", "all", "--", "scripts"),
        pairs,
    )
    measure(
        "frozen, 20 jobs, agent rule against script rule, llmagent executor",
        lambda: _ok(project, "--executor", "llmagent", "--forceall", "--quiet", "all", "--", "agents"),
        lambda: _ok(project, "--executor", "llmagent", "--forceall", "--quiet", "all", "--", "scripts"),
        pairs,
    )


def authoring(root: Path) -> None:
    """100 jobs, one authoring."""
    project = Project(root)
    project.write("in.txt", "hello\n")
    project.snakefile(
        """
        rule all:
            input: expand("a/{n}.txt", n=range(100))
        rule by_agent:
            input: "in.txt"
            output: "a/{n}.txt"
            agent: "upper case, and the number"
        """
    )
    with ScriptedModel(team(SCRIPT)) as server:
        project.uses(server)
        started = time.perf_counter()
        _ok(project, model="openai:scripted")
        roles = [asked.role for asked in server.requests]
        print(f"authoring, 100 jobs: calls {roles.count('coder')} + {roles.count('supervisor')}, "
              f"{time.perf_counter() - started:.1f} s", flush=True)  # fmt: skip
        assert sorted(roles) == ["coder", "supervisor"]
        done = project.run()
        assert done and "Nothing to be done" in done.output, done.output
        print(f"authoring, run again: {len(server.requests) - len(roles)} calls, nothing to be done", flush=True)


BENCHMARKS: dict[str, Callable[[Path], None]] = {
    "executor": executor, "startup": startup, "frozen": frozen, "second": second, "sandbox": sandbox,
    "jobs": jobs, "skimming": skimming, "fitting": fitting, "authoring": authoring, "judging": judging,
    "ledger": ledger,
    "progress": lambda root: progress(root, measure),
    "report": report,
}  # fmt: skip


def main(names: list[str]) -> None:
    """Run the benchmarks of these names, or all."""
    for name in names or list(BENCHMARKS):
        with tempfile.TemporaryDirectory(prefix="llmagent-bench-") as folder:
            root = Path(folder) / "project"
            root.mkdir()
            BENCHMARKS[name](root)


if __name__ == "__main__":
    main(sys.argv[1:])
