"""A double-sided Crystal Ball over an exponential: the wrapper `zfit/fit` against RooFit, numba-stats and zfit by hand.

All fit the peak's shape to 100,000 simulated events, then its number over 30,000 events of background, unbinned,
compute errors by Hesse and write them to a JSON file. The wrapper also finds its start values itself, compares with the
data in bins, scans a profile and describes the model in HS3. Each is a process of its own. The interpreter in
LLMAGENT_BENCH_PYTHON may have ROOT and numba-stats; what it lacks is not measured.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.skimming import OTHERS, WRAPPERS, has

SIMULATED, SIGNAL, BACKGROUND = 100_000, 300, 30_000
LOW, HIGH = 105.0, 160.0
TRUE = {"mu": 125.0, "sigma": 1.7, "alpha_l": 1.5, "n_l": 5.0, "alpha_r": 1.8, "n_r": 8.0}
TRUE_SLOPE = -0.025
ROUNDS, STEP_ROUNDS = 5, 3
NUMPY, ZFIT, ZFIT_HAND = "wrapper, backend numpy", "wrapper, backend zfit", "zfit by hand"
FASTEST_AIM, ZFIT_AIM = 0.6, 0.7
SAME = 1e-3
"""How far our two backends may be from each other, in errors."""
ALIKE = 0.1
"""How far others may be: with their own tolerances they stop earlier, and Minuit's Hesse transforms limits."""

# Runs a process and says what it took. A child of the large process here would count that one's memory as its own peak.
LAUNCH = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
# What Snakemake gives to a script, without Snakemake: nobody else here has to load that either.
SNAKEMAKE = """
import json, sys, time
from types import SimpleNamespace
class Named(list):
    def __init__(self, values):
        super().__init__(values.values())
        self._names = dict(values)
    def items(self):
        return self._names.items()
    def get(self, name, default=None):
        return self._names.get(name, default)
job = json.loads(sys.argv[1])
snakemake = SimpleNamespace(threads=1, config={}, wildcards=[], resources=[], log=[job["output"]["fit"] + ".log"],
                            **{name: Named(job[name]) for name in ("input", "output", "params")})
"""
WRAPPER = (
    SNAKEMAKE
    + """
import runpy
runpy.run_path(job["wrapper"], init_globals={"snakemake": snakemake})
"""
)
# The wrapper's main(), with a clock at each of its steps.
STEPS = (
    SNAKEMAKE
    + """
marks, last = {}, time.perf_counter()
def mark(name):
    global last
    now = time.perf_counter()
    marks[name], last = marks.get(name, 0.0) + now - last, now
import os
os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1"))
import numpy
mark("import numpy")
with open(job["wrapper"]) as file:
    code = compile(file.read(), job["wrapper"], "exec")
mark("compile the wrapper")
names = {"__name__": "wrapper"}
exec(code, names)
mark("its other imports and classes")
import iminuit
mark("import iminuit")
if job["params"].get("backend") == "zfit":
    names["import_zfit"]()
    mark("import zfit")
if "plot" in job["output"]:
    import matplotlib.figure
    mark("import matplotlib")
depth = 0
def timed(name, title):
    function = names[name]
    def inner(*arguments, **named):
        global depth
        if depth == 0:
            mark("rest")
        depth += 1
        try:
            return function(*arguments, **named)
        finally:
            depth -= 1
            if depth == 0:
                mark(title)
    names[name] = inner
for name, title in (("look", "look"), ("prepare", "read the data"), ("fit_shapes", "fit the shape"),
                    ("with_starts", "start values"), ("Likelihood", "fit"), ("minimise", "fit"), ("tell", "rest"),
                    ("spectra", "spectra"), ("goodness", "spectra"), ("profile", "profile"),
                    ("zfit_check", "check by zfit's densities"), ("write_hs3", "HS3"), ("provenance", "provenance"),
                    ("draw", "plot"), ("save_figure", "plot"), ("write_json", "write JSON")):
    timed(name, title)
last = time.perf_counter()
names["main"](snakemake)
mark("rest")
with open(job["output"]["fit"] + ".marks", "w") as file:
    json.dump(marks, file)
"""
)

# Start values are the same for all; the wrapper looks for its own.
COMMON = f"""
import json, sys
import numpy as np
LOW, HIGH = {LOW}, {HIGH}
SIMULATION, DATA, OUTPUT = sys.argv[1:]
START = {{"mu": 124.5, "sigma": 2.0, "alpha_l": 1.2, "n_l": 4.0, "alpha_r": 1.5, "n_r": 6.0,
          "n_signal": 100.0, "n_background": 30000.0, "lam": -0.02}}
LIMITS = {{"mu": (LOW, HIGH), "sigma": (0.5, 10.0), "alpha_l": (0.3, 5.0), "n_l": (1.05, 50.0), "alpha_r": (0.3, 5.0),
           "n_r": (1.05, 50.0), "n_signal": (-10000.0, 100000.0), "n_background": (0.0, 1000000.0), "lam": (-1.0, 0.0)}}
SHAPE, YIELDS = list(START)[:6], list(START)[6:]
simulation, data = np.load(SIMULATION)["m_yy"], np.load(DATA)["m_yy"]
def write(shape, fit):
    with open(OUTPUT, "w") as file:
        json.dump({{"shape": shape, "fit": fit}}, file, indent=2)
"""
ROOFIT = (
    COMMON
    + """
import ROOT
ROOT.RooMsgService.instance().setGlobalKillBelow(ROOT.RooFit.WARNING)
x = ROOT.RooRealVar("m_yy", "m_yy", LOW, HIGH)
p = {name: ROOT.RooRealVar(name, name, START[name], *LIMITS[name]) for name in START}
signal = ROOT.RooCrystalBall("signal", "signal", x, *(p[name] for name in SHAPE))
background = ROOT.RooExponential("background", "background", x, p["lam"])
def result(names):
    return {name: [p[name].getVal(), p[name].getError()] for name in names}
signal.fitTo(ROOT.RooDataSet.from_numpy({"m_yy": simulation}, [x]), PrintLevel=-1)
shape = result(SHAPE)
for name in SHAPE:
    p[name].setConstant(True)
model = ROOT.RooAddPdf("model", "model", [signal, background], [p["n_signal"], p["n_background"]])
model.fitTo(ROOT.RooDataSet.from_numpy({"m_yy": data}, [x]), Extended=True, PrintLevel=-1)
write(shape, result(YIELDS))
"""
)
NUMBA = (
    COMMON
    + """
from iminuit import Minuit
from iminuit.cost import ExtendedUnbinnedNLL, UnbinnedNLL
from numba_stats import crystalball_ex, truncexpon
EDGES = np.array([LOW, HIGH])
def density(x, mu, sigma, alpha_l, n_l, alpha_r, n_r):
    arguments = (alpha_l, n_l, sigma, alpha_r, n_r, sigma, mu)
    low, high = crystalball_ex.cdf(EDGES, *arguments)
    return crystalball_ex.pdf(x, *arguments) / (high - low)
def fit(cost, names):
    minuit = Minuit(cost, **{name: START[name] for name in names})
    for name in names:
        minuit.limits[name] = LIMITS[name]
    minuit.migrad()
    minuit.hesse()
    assert minuit.valid
    return {name: [minuit.values[name], minuit.errors[name]] for name in names}
shape = fit(UnbinnedNLL(simulation, density), SHAPE)
known = density(data, *(value for value, _ in shape.values()))
def extended(x, n_signal, n_background, lam):
    falling = truncexpon.pdf(x, LOW, HIGH, LOW, -1 / lam)
    return n_signal + n_background, n_signal * known + n_background * falling
write(shape, fit(ExtendedUnbinnedNLL(data, extended), YIELDS))
"""
)
ZFIT_BY_HAND = (
    COMMON
    + """
import zfit
obs = zfit.Space("m_yy", LOW, HIGH)
p = {name: zfit.Parameter(name, START[name], *LIMITS[name]) for name in START}
mu, sigma, alpha_l, n_l, alpha_r, n_r, n_signal, n_background, lam = p.values()
def fit(loss):
    result = zfit.minimize.Minuit().minimize(loss)
    errors = result.hesse()
    assert result.valid
    return {one.name: [float(result.params[one]["value"]), float(errors[one]["error"])] for one in result.params}
signal = zfit.pdf.DoubleCB(obs=obs, mu=mu, sigma=sigma, alphal=alpha_l, nl=n_l, alphar=alpha_r, nr=n_r)
shape = fit(zfit.loss.UnbinnedNLL(model=signal, data=zfit.Data.from_numpy(obs=obs, array=simulation)))
for name in SHAPE:
    p[name].floating = False
background = zfit.pdf.Exponential(lam, obs=obs).create_extended(n_background)
model = zfit.pdf.SumPDF([signal.create_extended(n_signal), background])
write(shape, fit(zfit.loss.ExtendedUnbinnedNLL(model=model, data=zfit.Data.from_numpy(obs=obs, array=data))))
"""
)

YIELDS = ("n_signal", "n_background", "lam")
Result = Mapping[str, tuple[float, float]]
"""Value and error of each parameter: the shape's six from simulation, the other three from data."""


@dataclass(frozen=True)
class Run:
    """What a process took: wall time and CPU time [s], peak memory [MB]; and what it found."""

    seconds: float
    cpu: float
    megabytes: float
    result: Result


def launch(*command: str) -> tuple[float, float, float]:
    """Run a process; return its wall time and CPU time [s] and its peak of resident memory [MB]."""
    done = subprocess.run(
        (sys.executable, "-S", "-E", "-c", LAUNCH, *command), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds, cpu, megabytes = map(float, done.stdout.split())
    return seconds, cpu, megabytes


def order(folder: Path, backend: str, output: Mapping[str, str], **params: Any) -> str:
    """Return what a wrapper's process is told."""
    return json.dumps(
        {
            "wrapper": str(WRAPPERS / "zfit" / "fit" / "wrapper.py"),
            "input": {"data": str(folder / "data.npz"), "signal": str(folder / "simulation.npz")},
            "output": dict(output),
            "params": {"model": "DSCB + exp", "observable": "m_yy", "range": [LOW, HIGH], "backend": backend, **params},
        }
    )


def wrapped(backend: str) -> Callable[[Path], Run]:
    """Return what runs the wrapper."""

    def run(folder: Path) -> Run:
        output = folder / f"wrapper-{backend}.json"
        used = launch(sys.executable, "-c", WRAPPER, order(folder, backend, {"fit": str(output)}))
        document = json.loads(output.read_text(encoding="utf-8"))
        shape = document["shape_fits"]["signal"]
        assert document["valid"] and shape["valid"], output
        rows = {**shape["parameters"], **{name: document["parameters"][name] for name in YIELDS}}
        return Run(*used, {name: (row["value"], row["error"]) for name, row in rows.items()})

    return run


def script(python: str, text: str) -> Callable[[Path], Run]:
    """Return what runs a script."""

    def run(folder: Path) -> Run:
        output = folder / "script.json"
        used = launch(python, "-c", text, str(folder / "simulation.npz"), str(folder / "data.npz"), str(output))
        document = json.loads(output.read_text(encoding="utf-8"))
        return Run(
            *used, {name: (value, error) for name, (value, error) in {**document["shape"], **document["fit"]}.items()}
        )

    return run


def ways() -> dict[str, Callable[[Path], Run]]:
    """Return all ways that are installed."""
    found = {NUMPY: wrapped("numpy")}
    if subprocess.run((sys.executable, "-c", "import zfit"), capture_output=True, check=False).returncode == 0:
        found |= {ZFIT: wrapped("zfit"), ZFIT_HAND: script(sys.executable, ZFIT_BY_HAND)}
    else:
        print("fit, zfit: not installed")
    for name, module, text in (("RooFit", "ROOT", ROOFIT), ("iminuit + numba-stats", "numba_stats", NUMBA)):
        if has(module):
            found[name] = script(OTHERS, text)
        else:
            print(f"fit, {name}: not installed (LLMAGENT_BENCH_PYTHON names an interpreter that has it)")
    return found


def generate(folder: Path) -> int:
    """Write simulation and pseudo-data by inverted cumulative distributions; return the number of data."""
    rng = np.random.default_rng(42)

    def peak(number: int) -> np.ndarray:
        grid = np.linspace(LOW, HIGH, 200_001)
        t = (grid - TRUE["mu"]) / TRUE["sigma"]
        density = np.exp(-0.5 * t * t)
        for side, alpha, n in ((-1, TRUE["alpha_l"], TRUE["n_l"]), (1, TRUE["alpha_r"], TRUE["n_r"])):
            tail = side * t > alpha
            density[tail] = np.exp(-0.5 * alpha**2) * (alpha / n * (n / alpha - alpha + side * t[tail])) ** -n
        sums = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
        return np.interp(rng.random(number), sums / sums[-1], grid)

    def falling(number: int) -> np.ndarray:
        low, high = math.exp(TRUE_SLOPE * LOW), math.exp(TRUE_SLOPE * HIGH)
        return np.asarray(np.log(low + rng.random(number) * (high - low)) / TRUE_SLOPE)

    np.savez(folder / "simulation.npz", m_yy=peak(SIMULATED))
    signal, background = rng.poisson(SIGNAL), rng.poisson(BACKGROUND)
    data = rng.permutation(np.concatenate([peak(signal), falling(background)]))
    np.savez(folder / "data.npz", m_yy=data)
    return len(data)


def fitting(root: Path) -> None:
    """A shape from 100,000 simulated events, then 300 signal events over 30,000 of background, cold."""
    number = generate(root)
    found = ways()
    runs: dict[str, list[Run]] = {name: [] for name in found}
    for turn in range(ROUNDS + 1):
        for name in list(found) if turn % 2 else reversed(found):
            run = found[name](root)
            if turn:  # the first round warms up
                runs[name].append(run)
    load = "/".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"fit: {SIMULATED:,} simulated events, then {number:,} events; medians of {ROUNDS} rounds; load {load}")
    for name in found:
        print(summary(name, runs), flush=True)
    fastest = min(found, key=lambda name: statistics.median(run.seconds for run in runs[name]))
    ours = statistics.median(run.seconds for run in runs[NUMPY])
    print(f"fit: the fastest is {fastest}; {NUMPY} {ours:.2f} s (aim: the fastest, {FASTEST_AIM} s)")
    if ZFIT in found:
        print(f"fit: {ZFIT} against {ZFIT_HAND} {ratio(runs[ZFIT], runs[ZFIT_HAND]):.2f} (aim {ZFIT_AIM})")
    for name in found:
        if name != NUMPY:
            print(
                agreement(name, runs[name][0].result, runs[NUMPY][0].result, SAME if name == ZFIT else ALIKE),
                flush=True,
            )
    for backend in ("numpy", "zfit") if ZFIT in found else ("numpy",):
        print(f"fit, inside the wrapper, backend {backend}: {steps(root, backend)}", flush=True)


def ratio(first: Sequence[Run], second: Sequence[Run]) -> float:
    """Return the median over rounds of the ratio of wall times."""
    return statistics.median(one.seconds / other.seconds for one, other in zip(first, second, strict=True))


def summary(name: str, runs: Mapping[str, Sequence[Run]]) -> str:
    """Return a line: wall, CPU, memory, and wall against our default in the same round."""
    wall, cpu, memory = (
        statistics.median(getattr(run, what) for run in runs[name]) for what in ("seconds", "cpu", "megabytes")
    )
    best = min(run.seconds for run in runs[name])
    return (
        f"fit, {name}: cold {wall:.2f} s (best {best:.2f}, CPU {cpu:.2f}), {ratio(runs[name], runs[NUMPY]):.1f} of the "
        f"{NUMPY}; peak memory {memory:.0f} MB"
    )


def agreement(name: str, result: Result, ours: Result, aim: float) -> str:
    """Return a line: the largest differences of values and of errors, in our errors; all must be alike."""
    values = {one: abs(result[one][0] - value) / error for one, (value, error) in ours.items()}
    errors = {one: abs(result[one][1] - error) / error for one, (_, error) in ours.items()}
    first, second = max(values, key=lambda one: values[one]), max(errors, key=lambda one: errors[one])
    assert values[first] < ALIKE and errors[second] < ALIKE, (name, result, ours)
    good = values[first] <= aim and errors[second] <= aim
    return (
        f"fit, {name} against the {NUMPY}: values within {values[first]:.1e} of an error ({first}), errors within "
        f"{errors[second]:.1e} ({second}); aim {aim:g}: {'yes' if good else 'NO'}"
    )


def steps(folder: Path, backend: str) -> str:
    """Return how long each step takes, of a process that also draws a plot and writes HS3: medians, longest first."""
    output = {
        name: str(folder / f"steps.{suffix}")
        for name, suffix in (("fit", "json"), ("hs3", "hs3.json"), ("plot", "png"))
    }
    all_marks: list[dict[str, float]] = []
    for _ in range(STEP_ROUNDS):
        seconds, _, _ = launch(sys.executable, "-c", STEPS, order(folder, backend, output))
        marks = json.loads(Path(f"{output['fit']}.marks").read_text(encoding="utf-8"))
        all_marks.append({**marks, "start and end of Python": seconds - sum(marks.values())})
    medians = {name: statistics.median(marks[name] for marks in all_marks) for name in all_marks[0]}
    parts = [f"{name} {medians[name]:.3f}" for name in sorted(medians, key=lambda one: -medians[one])]
    return f"{', '.join(parts)} s"
