"""What Snakemake and a wrapper cost per job: 200 small skims against scripts that only import what a skim imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import uproot

JOBS = 200
CORES = 2
WRAPPERS = Path(__file__).resolve().parents[2] / "wrappers"
SNAKEFILE = """
rule all:
    input: expand("out/{{n}}.parquet", n=range({jobs}))
rule skim:
    input: "in/{{n}}.root"
    output: "out/{{n}}.parquet"
    log: "logs/{{n}}.log"
    {work}
"""
SKIM = 'params: cut="pt > 20"\n    wrapper: "file:{wrappers}/phys/uproot/skim"'
IMPORTS = """
import awkward, numpy, pyarrow, pyarrow.parquet, uproot
open(snakemake.output[0], "w").close()
"""
EMPTY = 'open(snakemake.output[0], "w").close()\n'


def jobs(folder: Path, number: int = JOBS) -> None:
    """Time three workflows of as many jobs in turn, twice each, and print seconds per job and ratios.

    Args:
        folder: an empty folder.
        number: of jobs.
    """
    _prepare(folder, number)
    works = {
        "skim": SKIM.format(wrappers=WRAPPERS),
        "imports": f'script: "{folder}/imports.py"',
        "empty": f'script: "{folder}/empty.py"',
    }
    best = dict.fromkeys(works, float("inf"))
    for _ in range(2):
        for work, text in works.items():
            (folder / "Snakefile").write_text(SNAKEFILE.format(jobs=number, work=text), encoding="utf-8")
            best[work] = min(best[work], _run(folder) / number)
    for work, seconds in best.items():
        print(f"  {work:8} {seconds:.3f} s per job on {CORES} cores")
    print(f"  skim against a script with its imports: {best['skim'] / best['imports']:.3f} (aim 1.1)")
    print(f"  skim against an empty script: {best['skim'] / best['empty']:.3f}")


def _prepare(folder: Path, number: int) -> None:
    (folder / "in").mkdir()
    with uproot.recreate(folder / "in" / "0.root") as file:
        file.mktree("events", {"pt": "float64"}).extend({"pt": np.linspace(0.0, 100.0, 1000)})
    for index in range(1, number):
        shutil.copy(folder / "in" / "0.root", folder / "in" / f"{index}.root")
    (folder / "imports.py").write_text(IMPORTS, encoding="utf-8")
    (folder / "empty.py").write_text(EMPTY, encoding="utf-8")


def _run(folder: Path) -> float:
    shutil.rmtree(folder / "out", ignore_errors=True)
    shutil.rmtree(folder / ".snakemake", ignore_errors=True)
    command = [sys.executable, "-m", "snakemake", "--cores", str(CORES), "--quiet", "all", "--executor", "local"]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started
