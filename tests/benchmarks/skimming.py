"""From jagged events to diphoton masses: the wrappers against a hand-written uproot script, coffea and RDataFrame.

All read the same TTree (22 branches, 1-4 photons, zlib), select the same events and write mass, pT and weights. Each is
a process of its own. The interpreter in LLMAGENT_BENCH_PYTHON may have ROOT and coffea; what it lacks is not measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OTHERS = os.environ.get("LLMAGENT_BENCH_PYTHON", sys.executable)
WRAPPERS = Path(__file__).resolve().parents[2] / "wrappers" / "phys"
EVENTS = 1_000_000
COLD_ROUNDS, LONG_ROUNDS = 5, 3
HAND = "uproot script"

GENERATE = r"""
import sys, ROOT
ROOT.gInterpreter.Declare('''
#include <TFile.h>
#include <TRandom3.h>
#include <TTree.h>
void generate(const char *path, long events) {
  TFile file(path, "RECREATE", "", 101);  // zlib, level 1
  TTree tree("analysis", "analysis");
  TRandom3 random(1);
  int run = 300000, channel = 343981, photons, jets;
  ULong64_t event; float weight, xsec = 0.1, met, met_phi; bool trigger;
  std::vector<float> pt, eta, phi, e, track, calo, jpt, jeta, jphi, je, lpt; std::vector<bool> tight;
  tree.Branch("runNumber", &run); tree.Branch("eventNumber", &event); tree.Branch("channelNumber", &channel);
  tree.Branch("mcWeight", &weight); tree.Branch("xsec", &xsec); tree.Branch("trigP", &trigger);
  tree.Branch("photon_n", &photons); tree.Branch("photon_pt", &pt); tree.Branch("photon_eta", &eta);
  tree.Branch("photon_phi", &phi); tree.Branch("photon_e", &e); tree.Branch("photon_isTightID", &tight);
  tree.Branch("photon_ptcone20", &track); tree.Branch("photon_topoetcone40", &calo);
  tree.Branch("jet_n", &jets); tree.Branch("jet_pt", &jpt); tree.Branch("jet_eta", &jeta);
  tree.Branch("jet_phi", &jphi); tree.Branch("jet_e", &je); tree.Branch("lep_pt", &lpt);
  tree.Branch("met", &met); tree.Branch("met_phi", &met_phi);
  for (long i = 0; i < events; ++i) {
    event = i; trigger = random.Rndm() < 0.8; weight = random.Gaus(1, 0.1) * (random.Rndm() < 0.05 ? -1 : 1);
    for (auto v : {&pt, &eta, &phi, &e, &track, &calo, &jpt, &jeta, &jphi, &je, &lpt}) v->clear();
    tight.clear();
    photons = 1 + random.Integer(4); jets = random.Integer(4);
    for (int k = 0; k < photons; ++k) pt.push_back(20 + random.Exp(40));
    std::sort(pt.rbegin(), pt.rend());
    for (int k = 0; k < photons; ++k) {
      eta.push_back(random.Uniform(-2.5, 2.5)); phi.push_back(random.Uniform(-3.14159, 3.14159));
      e.push_back(pt[k] * std::cosh(eta[k])); tight.push_back(random.Rndm() < 0.75);
      track.push_back(random.Exp(1.5)); calo.push_back(random.Gaus(0.5, 2));
    }
    for (int k = 0; k < jets; ++k) {
      jpt.push_back(25 + random.Exp(40)); jeta.push_back(random.Uniform(-4.5, 4.5));
      jphi.push_back(random.Uniform(-3.14159, 3.14159)); je.push_back(jpt[k] * std::cosh(jeta[k]));
    }
    if (random.Rndm() < 0.1) lpt.push_back(10 + random.Exp(30));
    met = random.Exp(30); met_phi = random.Uniform(-3.14159, 3.14159);
    tree.Fill();
  }
  tree.Write(); file.Close();
}
''')
ROOT.generate(sys.argv[1], int(sys.argv[2]))
"""

# The same arithmetic for uproot and for coffea. It relies on photons being in order of pT, which the wrappers do not.
SELECT = """
import numpy as np, awkward as ak
def select(a):
    a = {name: a[name] for name in NEEDED}
    pt, eta = a["photon_pt"], abs(a["photon_eta"])
    good = a["photon_isTightID"] & (pt > 25) & (eta < 2.37) & ((eta < 1.37) | (eta > 1.52))
    good = good & (a["photon_ptcone20"] < 0.065 * pt) & (a["photon_topoetcone40"] < 0.065 * pt)
    keep = a["trigP"] & (ak.sum(good, axis=1) >= 2)
    good = good[keep]
    one, two = ({n: ak.to_numpy(a["photon_" + n][keep][good][:, k]).astype("f8") for n in ("pt", "eta", "phi")}
                for k in (0, 1))
    cosh, cos = np.cosh(one["eta"] - two["eta"]), np.cos(one["phi"] - two["phi"])
    mass = np.sqrt(2 * one["pt"] * two["pt"] * (cosh - cos))
    final = (one["pt"] > 0.35 * mass) & (two["pt"] > 0.25 * mass) & (mass > 105) & (mass < 160)
    table = {"mass": mass, "pt1": one["pt"], "pt2": two["pt"]}
    table |= {name: ak.to_numpy(a[name][keep]) for name in ("mcWeight", "eventNumber")}
    return {name: values[final] for name, values in table.items()}
NEEDED = ["trigP", "mcWeight", "eventNumber", *("photon_" + name for name in
          ("pt", "eta", "phi", "isTightID", "ptcone20", "topoetcone40"))]
def write(parts, path):
    import pyarrow as pa, pyarrow.parquet as pq
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    pq.write_table(pa.table(table), path, compression="zstd")
"""
UPROOT = """
import sys, uproot
executor = uproot.ThreadPoolExecutor(2)
files = {path: "analysis" for path in sys.argv[2:]}
chunks = uproot.iterate(files, NEEDED, step_size="100 MB", decompression_executor=executor)
write([select(chunk) for chunk in chunks], sys.argv[1])
"""
COFFEA = """
import sys, warnings
warnings.simplefilter("ignore")
from coffea.nanoevents import BaseSchema, NanoEventsFactory
parts = []
for path in sys.argv[2:]:
    factory = NanoEventsFactory.from_root({path: "analysis"}, schemaclass=BaseSchema, mode="virtual")
    parts.append(select(factory.events()))
write(parts, sys.argv[1])
"""
RDATAFRAME = r"""
import sys, warnings
warnings.simplefilter("ignore")
import ROOT
ROOT.EnableImplicitMT(2)
ROOT.gInterpreter.Declare('''
using F = const ROOT::RVecF &;
ROOT::RVecI good(F pt, F eta, const ROOT::RVec<bool> &tight, F track, F calo) {
  ROOT::RVecI places;
  for (size_t i = 0; i < pt.size(); ++i) {
    const float a = std::abs(eta[i]);
    if (tight[i] && pt[i] > 25 && a < 2.37f && (a < 1.37f || a > 1.52f) && track[i] < 0.065f * pt[i] &&
        calo[i] < 0.065f * pt[i]) places.push_back(i);
  }
  return places;
}
double pair_mass(F pt, F eta, F phi, const ROOT::RVecI &g) {
  const double deta = double(eta[g[0]]) - eta[g[1]], dphi = double(phi[g[0]]) - phi[g[1]];
  return std::sqrt(2. * pt[g[0]] * pt[g[1]] * (std::cosh(deta) - std::cos(dphi)));
}
''')
frame = ROOT.RDataFrame("analysis", sys.argv[2:])
frame = frame.Filter("trigP")
frame = frame.Define("g", "good(photon_pt, photon_eta, photon_isTightID, photon_ptcone20, photon_topoetcone40)")
frame = frame.Filter("g.size() >= 2").Define("mass", "pair_mass(photon_pt, photon_eta, photon_phi, g)")
frame = frame.Define("pt1", "photon_pt[g[0]]").Define("pt2", "photon_pt[g[1]]")
frame = frame.Filter("pt1 > 0.35 * mass && pt2 > 0.25 * mass && mass > 105 && mass < 160")
frame.Snapshot("events", sys.argv[1], ["mass", "pt1", "pt2", "mcWeight", "eventNumber"])
"""
# What Snakemake gives to a script, without Snakemake: nobody else here has to load that either.
WRAPPER = """
import json, runpy, sys
from types import SimpleNamespace
class Named(list):
    def __init__(self, values, names=()):
        super().__init__(values)
        self._names = dict(names)
    def items(self):
        return self._names.items()
    def get(self, name, default=None):
        return self._names.get(name, default)
job = json.loads(sys.argv[1])
snakemake = SimpleNamespace(
    input=Named(job["input"]), output=Named(job["output"]), log=Named(job["log"]), threads=2,
    params=Named(job["params"].values(), job["params"]), config={}, wildcards=Named([]), resources=Named([]))
runpy.run_path(job["wrapper"], init_globals={"snakemake": snakemake})
"""
GOOD = (
    "photon_isTightID and photon_pt > 25 and abs(photon_eta) < 2.37 and "
    "(abs(photon_eta) < 1.37 or abs(photon_eta) > 1.52) and "
    "photon_ptcone20 < 0.065 * photon_pt and photon_topoetcone40 < 0.065 * photon_pt"
)
KEEP = ["mcWeight", "eventNumber"]
ACCEPT = "pt1 > 0.35 * mass and pt2 > 0.25 * mass and 105 < mass < 160"
PAIRS: dict[str, Any] = {
    "objects": "photon", "unit": "GeV", "accept": ACCEPT, "keep": KEEP, "columns": ["mass", "pt1", "pt2"],
}  # fmt: skip
TWO_JOBS = {
    "define": {"good": GOOD, **{f"y_{name}": f"photon_{name}[good]" for name in ("pt", "eta", "phi")}},
    "cut": ["trigP", "sum(good) >= 2"],
    "keep": [*KEEP, "y_pt", "y_eta", "y_phi"],
}
BY_DEFINE = {
    "define": {
        "good": GOOD,
        # float64, as all others compute the mass: 1.0 alone would stay float32.
        **{f"{name}{n + 1}": f"photon_{name}[good][:, {n}] + 0 * eventNumber"
           for name in ("pt", "eta", "phi") for n in (0, 1)},
        "mass": "sqrt(2 * pt1 * pt2 * (cosh(eta1 - eta2) - cos(phi1 - phi2)))",
    },
    "cut": ["trigP", "sum(good) >= 2", ACCEPT],
    "keep": [*KEEP, "mass", "pt1", "pt2"],
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What a way took: wall time [s], largest peak of its processes [MB], its events and the sum of their masses."""

    seconds: float
    megabytes: float
    events: int
    total: float


def process(*command: str) -> float:
    """Run a process; return its peak of resident memory [MB]."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, errors.decode()
    return usage.ru_maxrss / 1024


def job(wrapper: str, inputs: Sequence[Path], output: Path, params: Mapping[str, Any]) -> float:
    """Run a wrapper in a new process."""
    order = {
        "wrapper": str(WRAPPERS / wrapper / "wrapper.py"), "input": [str(path) for path in inputs],
        "output": [str(output)], "log": [f"{output}.log"], "params": params,
    }  # fmt: skip
    return process(sys.executable, "-c", WRAPPER, json.dumps(order))


def script(python: str, text: str, suffix: str = ".parquet") -> Callable[[Sequence[Path], Path], tuple[float, Path]]:
    """Return what runs a script in a new process."""

    def run(inputs: Sequence[Path], folder: Path) -> tuple[float, Path]:
        output = folder / f"out{suffix}"
        return process(python, "-c", text, str(output), *map(str, inputs)), output

    return run


def skim_and_pairs(inputs: Sequence[Path], folder: Path) -> tuple[float, Path]:
    """Two jobs with a file between them."""
    first = job("uproot/skim", inputs, folder / "skimmed.parquet", TWO_JOBS)
    params = {**PAIRS, "objects": {"pt": "y_pt", "eta": "y_eta", "phi": "y_phi", "mass": 0}}
    return max(
        first, job("vector/pairs", [folder / "skimmed.parquet"], folder / "out.parquet", params)
    ), folder / "out.parquet"


def pairs_alone(inputs: Sequence[Path], folder: Path) -> tuple[float, Path]:
    """One job: `vector/pairs` reads the ntuple."""
    params = {**PAIRS, "cut": "trigP", "select": GOOD}
    return job("vector/pairs", inputs, folder / "out.parquet", params), folder / "out.parquet"


def skim_alone(inputs: Sequence[Path], folder: Path) -> tuple[float, Path]:
    """One job: `uproot/skim` computes the mass too."""
    return job("uproot/skim", inputs, folder / "out.parquet", BY_DEFINE), folder / "out.parquet"


def ways() -> dict[str, Callable[[Sequence[Path], Path], tuple[float, Path]]]:
    """Return all ways that are installed."""
    found: dict[str, Callable[[Sequence[Path], Path], tuple[float, Path]]] = {
        "uproot/skim, then vector/pairs": skim_and_pairs,
        "vector/pairs alone": pairs_alone,
        "uproot/skim alone": skim_alone,
        HAND: script(sys.executable, SELECT + UPROOT),
    }
    for name, module, text, suffix in (
        ("coffea", "coffea", SELECT + COFFEA, ".parquet"), ("RDataFrame", "ROOT", RDATAFRAME, ".root"),
    ):  # fmt: skip
        if has(module):
            found[name] = script(OTHERS, text, suffix)
        else:
            print(f"skim, {name}: not installed (LLMAGENT_BENCH_PYTHON names an interpreter that has it)")
    return found


def has(module: str) -> bool:
    """Tell whether the other interpreter has a module."""
    return subprocess.run((OTHERS, "-c", f"import {module}"), capture_output=True, check=False).returncode == 0


def measured(way: Callable[[Sequence[Path], Path], tuple[float, Path]], inputs: Sequence[Path], folder: Path) -> Run:
    """Run a way once."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    megabytes, output = way(inputs, folder)
    seconds = time.perf_counter() - started
    # In a process of its own: this one stays small, because children count its memory at their start as their own.
    text = (
        "import sys, numpy as np, uproot, pyarrow.parquet as pq\n"
        "path = sys.argv[1]\n"
        "root = path.endswith('.root')\n"
        "table = uproot.open(path)['events'] if root else pq.read_table(path)\n"
        "m = table['mass'].array(library='np') if root else table['mass'].to_numpy()\n"
        "print(len(m), repr(float(np.sort(m).sum())))"
    )
    done = subprocess.run((sys.executable, "-c", text, str(output)), capture_output=True, text=True, check=True)
    events, total = done.stdout.split()
    return Run(seconds, megabytes, int(events), float(total))


def skimming(root: Path) -> None:
    """A million jagged events, cold; the slope up to three million; the memory of ten million."""
    if not has("ROOT"):
        print("skim: not measured, ROOT is needed to write the events (LLMAGENT_BENCH_PYTHON)")
        return
    process(OTHERS, "-c", GENERATE, str(root / "events.root"), str(EVENTS))
    links = [root / f"events{number}.root" for number in range(10)]
    for link in links:
        link.symlink_to(root / "events.root")
    found = ways()
    runs: dict[tuple[str, int], list[Run]] = {}
    for files, rounds in ((1, COLD_ROUNDS + 1), (3, LONG_ROUNDS)):
        for number in range(rounds):
            names = list(found) if number % 2 else list(reversed(found))
            one = {name: measured(found[name], links[:files], root / "work") for name in names}
            agree(one)
            if files > 1 or number:  # the first round warms up
                for name, run in one.items():
                    runs.setdefault((name, files), []).append(run)
    first = runs[HAND, 1][0]
    load = "/".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"skim: {EVENTS:,} events, {first.events:,} selected by all, sum of masses {first.total:.6g} GeV; load {load}"
    )
    for name in found:
        print(summary(name, runs), flush=True)
    for name in list(found)[:4]:
        long = measured(found[name], links, root / "work")
        short = statistics.median(run.megabytes for run in runs[name, 1])
        print(f"skim, {name}: peak memory of {10 * EVENTS:,} events {long.megabytes:.0f} MB, "
              f"of {EVENTS:,} {short:.0f} MB, ratio {long.megabytes / short:.2f}", flush=True)  # fmt: skip


def agree(runs: Mapping[str, Run]) -> None:
    """All ways select the same events and find the same masses."""
    first = runs[HAND]
    for name, run in runs.items():
        assert run.events == first.events, (name, run, first)
        assert abs(run.total / first.total - 1) < 1e-7, (name, run, first)


def summary(name: str, runs: Mapping[tuple[str, int], Sequence[Run]]) -> str:
    """Return a line: cold, per event, and both against the hand-written script in the same round."""
    cold = [run.seconds for run in runs[name, 1]]
    ratio = statistics.median(a / b.seconds for a, b in zip(cold, runs[HAND, 1], strict=True))
    slopes, others = (
        [(run.seconds - statistics.median(one.seconds for one in runs[way, 1])) / 2 for run in runs[way, 3]]
        for way in (name, HAND)
    )
    slope = statistics.median(a / b for a, b in zip(slopes, others, strict=True))
    memory = statistics.median(run.megabytes for run in runs[name, 1])
    return (
        f"skim, {name}: cold {statistics.median(cold):.2f} s (best {min(cold):.2f}), {ratio:.2f} of the {HAND}; "
        f"each further million events {statistics.median(slopes):.2f} s, {slope:.2f} of it; peak memory {memory:.0f} MB"
    )
