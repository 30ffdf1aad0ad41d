"""What a sandbox costs: each against the same script run directly, in turn, as medians."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.sandbox.limits import Limits, as_order
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Wish, read_report
from snakemake_executor_plugin_llmagent.sandbox.process import supervisor_command
from snakemake_executor_plugin_llmagent.sandbox.walls import KINDS

ROUNDS = 21
NOTHING = "pass\n"
SKIM = """
import numpy as np, uproot
with uproot.open("events.root") as file:
    arrays = file["events"].arrays(["pt", "eta", "weight"], library="np")
kept = (arrays["pt"] > 25) & (np.abs(arrays["eta"]) < 2.4)
with uproot.recreate("out.root") as file:
    file["events"] = {name: values[kept] for name, values in arrays.items()}
"""
FIT = """
import numpy as np, zfit
rng = np.random.default_rng(1)
data = np.concatenate([rng.normal(125, 2, 2000), rng.exponential(40, 20000) + 105])
obs = zfit.Space("m", 105, 160)
mu, sigma = zfit.Parameter("mu", 124, 110, 150), zfit.Parameter("sigma", 2, 0.5, 10)
slope, fraction = zfit.Parameter("slope", -0.02, -1, 0), zfit.Parameter("fraction", 0.1, 0, 1)
model = zfit.pdf.SumPDF([zfit.pdf.Gauss(mu, sigma, obs=obs), zfit.pdf.Exponential(slope, obs=obs)], fracs=fraction)
result = zfit.minimize.Minuit().minimize(zfit.loss.UnbinnedNLL(model, zfit.Data(data, obs=obs)))
open("out.txt", "w").write(str(result.valid))
"""


class Stand:
    """A script with some inputs, run directly or in a sandbox."""

    def __init__(self, root: Path, source: str, inputs: int = 1) -> None:
        """Make its files; folder by folder, as samples lie."""
        self.root = root
        self.script = root / "script.py"
        root.mkdir(parents=True)
        self.script.write_text(source)
        self.inputs = [root / "data" / f"sample{number}" / "in.txt" for number in range(inputs)]
        for path in self.inputs:
            path.parent.mkdir(parents=True)
            path.write_text("1\n")

    def link(self, path: Path) -> None:
        """One more input, seen under its own name."""
        self.inputs.append(path)

    def stage(self) -> Path:
        """A new stage with links to the inputs that need one."""
        stage = self.root / "stage"
        layout.remove(stage)
        stage.mkdir()
        for path in self.inputs:
            if path.parent == self.root:
                (stage / path.name).symlink_to(path)
        return stage

    def directly(self) -> None:
        """Run it as any script."""
        subprocess.run((sys.executable, str(self.script)), cwd=self.stage(), check=True, stdout=subprocess.DEVNULL)

    def inside(self, backend: str) -> None:
        """Run it in a sandbox, supervisor and all."""
        stage = self.stage()
        for name in ("home", "tmp"):
            layout.remove(self.root / name)
            (self.root / name).mkdir()
        order = Order(
            backend=backend, bwrap="bwrap", stage=stage, home=self.root / "home", tmp=self.root / "tmp",
            script=self.script, log=self.root / "log", report=self.root / "report.json", readable=tuple(self.inputs),
            limits=as_order(Limits(memory=8 << 30, disk=4 << 30)), environment=Wish(keep=("PATH",)),
            watch=tuple((str(path), path) for path in self.inputs),
        )  # fmt: skip
        order.write(self.root / "order.json")
        command = (*supervisor_command(self.root / "order.json"), sys.executable, str(self.script))
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, cwd=self.root)
        report = read_report(self.root / "report.json", "")
        assert done.returncode == 0 and report.ending == "exit", (report, (self.root / "log").read_text())


def compare(name: str, stand: Stand, rounds: int = ROUNDS) -> None:
    """Print the medians, differences and ratios of all ways to run a script."""
    ways: dict[str, Callable[[], None]] = {"directly": stand.directly}
    for backend in ("none", *KINDS):
        ways[backend] = lambda backend=backend: stand.inside(backend)  # type: ignore[misc]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, run in ways.items():
            started = time.perf_counter()
            run()
            if number:  # the first round warms up
                seconds[way].append(time.perf_counter() - started)
    for way, measured in seconds.items():
        median = statistics.median(measured)
        pairs = [one - other for one, other in zip(measured, seconds["directly"], strict=True)]
        ratio = statistics.median(one / other for one, other in zip(measured, seconds["directly"], strict=True))
        best = min(measured) - min(seconds["directly"])
        print(f"{name}, {way}: {1000 * median:.0f} ms, {1000 * statistics.median(pairs):+.0f} ms (median of pairs), "
              f"ratio {ratio:.2f}, best {1000 * best:+.0f} ms", flush=True)  # fmt: skip


def sandbox(root: Path) -> None:
    """Scripts that do nothing, with 1, 100 and 1000 inputs; a skim of ROOT files; a fit."""
    for inputs in (1, 100, 1000):
        compare(
            f"empty script, {inputs} inputs", Stand(root / str(inputs), NOTHING, inputs), 21 if inputs < 1000 else 7
        )
    import numpy as np
    import uproot

    stand = Stand(root / "skim", SKIM)
    rng = np.random.default_rng(1)
    columns = {name: rng.normal(30, 10, 1_000_000).astype("float32") for name in ("pt", "eta", "weight")}
    with uproot.recreate(stand.root / "events.root") as file:
        file["events"] = columns
    stand.link(stand.root / "events.root")
    compare("uproot skim of a million events", stand, 7)
    try:
        import zfit  # noqa: F401
    except ImportError:
        print("zfit fit: not measured, zfit is not installed")
        return
    compare("zfit fit", Stand(root / "fit", FIT), 3)
