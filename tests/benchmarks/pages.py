"""What a page about a large workflow costs: to be written, to be kept, to be opened."""

from __future__ import annotations

import resource
import statistics
import time
from pathlib import Path

from tests import browser, sample
from tests.workflow.project import Project

RULES, ATTEMPTS, LINES = 50, 5, 200
RUNS = 3
LOADED = "(() => { const told = performance.getEntriesByType('navigation')[0]; return told.loadEventEnd; })()"


def report(root: Path) -> None:
    """`llmagent report` for 50 rules whose scripts took 5 attempts each."""
    sample.make(root, rules=RULES, attempts=ATTEMPTS, lines=LINES)
    project = Project(root)
    walls, cpus = [], []
    for _ in range(RUNS):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = project.llmagent("report")
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done, done.output
        walls.append(wall)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    page = root / "llmagent-report.html"
    print(
        f"report, {RULES} rules of {ATTEMPTS} attempts: written in {statistics.median(walls):.2f} s (fastest "
        f"{min(walls):.2f} s; CPU {min(cpus):.2f} s), {page.stat().st_size / 1e6:.2f} MB",
        flush=True,
    )
    if browser.found() is None:
        print("report: not opened, because there is no Chromium here", flush=True)
        return
    with browser.Browser() as chromium:
        chromium.open("about:blank")
        opened = [chromium.open(page).evaluate(LOADED) / 1000 for _ in range(RUNS)]
    print(f"report: opened in {statistics.median(opened):.2f} s (fastest {min(opened):.2f} s)", flush=True)
