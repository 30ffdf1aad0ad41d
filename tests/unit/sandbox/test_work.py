"""What analyses do works in every sandbox."""

from __future__ import annotations

import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.protocols import Item
from tests.unit.conftest import MakeSandbox
from tests.unit.support import FileTask, a_job

WORK = {
    "uproot and awkward": """
        import awkward as ak, numpy as np, uproot
        with uproot.recreate("events.root") as file:
            file["events"] = {"x": np.arange(100.0), "n": ak.Array([[1, 2], []] * 50)}
        with uproot.open("events.root") as file:
            arrays = file["events"].arrays()
        assert ak.sum(arrays["n"]) == 150 and float(ak.sum(arrays["x"])) == 4950
    """,
    "pyarrow": """
        import pyarrow as pa, pyarrow.parquet as pq, pyarrow.compute as pc
        pq.write_table(pa.table({"x": list(range(1000))}), "x.parquet")
        assert pc.sum(pq.read_table("x.parquet")["x"]).as_py() == 499500
    """,
    "pandas": """
        import pandas as pd
        pd.DataFrame({"x": [1, 2, 3]}).to_csv("x.csv")
        assert pd.read_csv("x.csv")["x"].sum() == 6
    """,
    "h5py": """
        import h5py, numpy as np
        with h5py.File("x.h5", "w") as file:
            file["x"] = np.arange(10)
        with h5py.File("x.h5") as file:
            assert file["x"][:].sum() == 45
    """,
    "matplotlib": """
        import matplotlib.pyplot as plt
        figure, axes = plt.subplots()
        axes.plot([1, 2], [3, 4], label=r"$m_{\\gamma\\gamma}$")
        axes.legend()
        figure.savefig("x.png"), figure.savefig("x.pdf")
    """,
    "iminuit and scipy": """
        import numpy as np
        from iminuit import Minuit, cost
        from scipy import stats
        data = stats.norm(1, 2).rvs(1000, random_state=1)
        minuit = Minuit(cost.UnbinnedNLL(data, stats.norm.pdf), 0.5, 1.5)
        minuit.limits[1] = (0.1, 10)
        assert minuit.migrad().valid
    """,
    "threads": """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(lambda n: n * n, range(100))) == 328350
    """,
    "asyncio and programs": """
        import asyncio, subprocess
        async def main():
            process = await asyncio.create_subprocess_exec("echo", "here", stdout=subprocess.PIPE)
            return (await process.communicate())[0]
        assert asyncio.run(main()) == b"here\\n"
    """,
    "temporary files": """
        import shutil, tempfile, pathlib
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "a").write_text("1")
            shutil.copy2(pathlib.Path(folder, "a"), pathlib.Path(folder, "b"))
            pathlib.Path(folder, "b").chmod(0o600)
    """,
    "pool of processes": """
        import multiprocessing
        def square(n):
            return n * n
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert sum(pool.map(square, range(10))) == 285
    """,
    "processes with pipes": """
        import multiprocessing
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=lambda: theirs.send(42))
        process.start()
        assert ours.recv() == 42
        process.join()
    """,
}
FIT = """
    import numpy as np, zfit
    rng = np.random.default_rng(1)
    obs = zfit.Space("m", 105, 160)
    mu, sigma = zfit.Parameter("mu", 124, 110, 150), zfit.Parameter("sigma", 2, 0.5, 10)
    model = zfit.pdf.Gauss(mu, sigma, obs=obs)
    data = zfit.Data(rng.normal(125, 2, 2000), obs=obs)
    result = zfit.minimize.Minuit().minimize(zfit.loss.UnbinnedNLL(model, data))
    assert result.valid and abs(float(mu.value()) - 125) < 0.3
"""
NOT_THERE = {"pool of processes": ("landlock",)}
"""What does not work where; docs/isolation.md says so too."""
NEEDS = {"pyarrow": "pyarrow", "pandas": "pandas", "h5py": "h5py", "matplotlib": "matplotlib",
         "iminuit and scipy": "iminuit"}  # fmt: skip


def attempt(tmp_path: Path, make_sandbox: MakeSandbox, wanted: str, source: str) -> str:
    """Run a script for a job; returns what it printed, empty if it ended well."""
    (tmp_path / "project").mkdir()
    job = a_job(tmp_path / "project", inputs=(), outputs=(Item(name=None, path="out.txt"),))
    source = textwrap.dedent(source) + "\nopen('out.txt', 'w').write('done')\n"
    _, execution = make_sandbox(wanted=wanted).run(FileTask(job, sys.executable), source, tmp_path / "stage")
    return "" if execution.succeeded else execution.log


@pytest.mark.parametrize("wanted", ["bwrap", "landlock"])
@pytest.mark.parametrize("work", WORK)
def test_work(tmp_path: Path, make_sandbox: MakeSandbox, work: str, wanted: str) -> None:
    if work in NEEDS and find_spec(NEEDS[work]) is None:
        pytest.skip(f"{NEEDS[work]} is not installed")
    log = attempt(tmp_path, make_sandbox, wanted, WORK[work])
    if wanted in NOT_THERE.get(work, ()):
        assert "PermissionError" in log
    else:
        assert not log, log


@pytest.mark.skipif(find_spec("zfit") is None, reason="zfit is not installed")
@pytest.mark.parametrize("wanted", ["bwrap", "landlock"])
def test_a_fit_with_tensorflow(tmp_path: Path, make_sandbox: MakeSandbox, wanted: str) -> None:
    log = attempt(tmp_path, make_sandbox, wanted, FIT)
    assert not log, log


def test_fonts_are_looked_for_once(tmp_path: Path, make_sandbox: MakeSandbox) -> None:
    """The second script finds the list that was made for it, and no script can change what others find."""
    if find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    (tmp_path / "project").mkdir()
    sandbox = make_sandbox()
    source = """
        import os, pathlib
        folder = pathlib.Path(os.environ["MPLCONFIGDIR"])
        print("FOUND", len(list(folder.glob("fontlist*.json"))))
        import matplotlib.font_manager
        for place in folder.glob("fontlist*.json"):
            place.write_text("spoilt")
    """
    job = a_job(tmp_path / "project", inputs=())
    for number in range(3):
        task = FileTask(job, sys.executable)
        _, execution = sandbox.run(task, textwrap.dedent(source), tmp_path / f"stage{number}")
        assert execution.succeeded, execution.log
        assert f"FOUND {min(number, 1)}" in execution.log
    for place in (tmp_path / "llmagent/cache/matplotlib").iterdir():
        assert place.read_text().startswith("{")
