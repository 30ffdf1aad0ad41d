"""What it costs to judge a candidate that is right: checks and usual probes, beside the trial itself."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

from snakemake_executor_plugin_llmagent.assembly import Assembly, Settings
from snakemake_executor_plugin_llmagent.authoring import try_out
from snakemake_executor_plugin_llmagent.config import DEFAULTS, Keys, Options
from snakemake_executor_plugin_llmagent.protocols import Item, Job
from snakemake_executor_plugin_llmagent.roles import Draft
from snakemake_executor_plugin_llmagent.spec import Call, Kind, Slot, Spec
from tests.unit.support import FileTask

EVENTS = 100_000
READ = {
    "npz": "arrays = np.load(snakemake.input.data)\n",
    "parquet": "import pyarrow.parquet as pq\narrays = pq.read_table(snakemake.input.data).to_pandas()\n",
    "root": "import uproot\narrays = uproot.open(snakemake.input.data)['events'].arrays(library='np')\n",
}
SCRIPT = """\
import json
import time

import numpy as np
{read}
mass, weight = np.asarray(arrays["m_yy"]), np.asarray(arrays["weight"])
started = time.process_time()
counts = np.zeros(11)
while True:
    counts = np.bincount(((mass - 105.0) / 5.0).astype(int), weights=weight, minlength=11)
    if time.process_time() - started >= {fixed} + {per_event} * len(mass) / {events}:
        break
result = {{"n_events": len(mass), "yield": float(counts.sum()), "yield_error": float(np.sqrt((weight**2).sum()))}}
with open(snakemake.output.fit, "w") as file:
    json.dump(result, file)
print("done")
"""


@dataclass(frozen=True)
class Cost:
    """Wall time and CPU time [s]: of the trial, and of everything until the verdict of the checks."""

    trial: float
    wall: float
    cpu: float


def judging(root: Path) -> None:
    """Scripts of 1 s and 30 s whose time goes into events, and some whose time does not."""
    generator = np.random.default_rng(1)
    columns = {
        "m_yy": generator.uniform(105.0, 160.0, EVENTS), "weight": generator.uniform(0.5, 1.5, EVENTS),
        "pt": generator.exponential(40.0, EVENTS),
    }  # fmt: skip
    np.savez(root / "in.npz", **columns)  # type: ignore[arg-type]  # its last parameter is no array
    pq.write_table(pa.table(columns), root / "in.parquet")
    with uproot.recreate(root / "in.root") as file:
        file.mktree("events", dict.fromkeys(columns, "float64"))
        file["events"].extend(columns)
    for title, suffix, fixed, per_event, pairs in (
        ("1 s for the events of an archive of NumPy", "npz", 0.0, 0.9, 5),
        ("1 s for the events of a Parquet file", "parquet", 0.0, 0.6, 5),
        ("1 s for the events of a ROOT file", "root", 0.0, 0.6, 5),
        ("1 s whatever the events, NumPy", "npz", 0.9, 0.0, 5),
        ("30 s for the events of a Parquet file", "parquet", 0.0, 30.0, 1),
        ("30 s whatever the events, NumPy", "npz", 30.0, 0.0, 1),
    ):
        source = SCRIPT.format(read=READ[suffix], fixed=fixed, per_event=per_event, events=EVENTS)
        _report(title, root, f"in.{suffix}", source, pairs)


def _report(title: str, root: Path, data: str, source: str, pairs: int) -> None:
    without: list[Cost] = []
    usual: list[Cost] = []
    for _ in range(pairs):
        without.append(_judged(root, data, source, probes=()))
        usual.append(_judged(root, data, source, probes=None))
    trial = statistics.median(cost.trial for cost in without)
    checks = statistics.median(cost.wall / cost.trial - 1 for cost in without)
    probes = statistics.median((one.wall - other.wall) / other.trial for one, other in zip(usual, without, strict=True))
    cpu = statistics.median((one.cpu - other.cpu) / other.trial for one, other in zip(usual, without, strict=True))
    print(
        f"judging, {title}: checks take {checks:.2f}, the usual probes {probes:.2f} more (CPU {cpu:.2f}) "
        f"of a trial of {trial:.2f} s ({pairs} pairs)",
        flush=True,
    )


def _judged(root: Path, data: str, source: str, probes: tuple[Call, ...] | None) -> Cost:
    inputs = (Slot(name="data", kind=Kind.FILE, suffixes=(Path(data).suffix,)),)
    outputs = (Slot(name="fit", kind=Kind.FILE, suffixes=(".json",)),)
    spec = Spec(rule="fit", text="weighted yield of the events", inputs=inputs, outputs=outputs, probes=probes)
    job = Job(
        rule="fit", workdir=root, inputs=(Item(name="data", path=data),),
        outputs=(Item(name="fit", path="results/fit.json"),),
    )  # fmt: skip
    assembly = Assembly(_settings(root))
    try:
        options = Options(model="openai:scripted", slice=0).over(DEFAULTS)
        shop = assembly.workshop(spec, options, lambda *_: None)
        task = FileTask(job, sys.executable)
        shop.context(spec, task)  # before any script is written, inputs are described to its author
        started, before = time.perf_counter(), _cpu()
        attempt = try_out(shop, spec, task, Draft(source=source), number=1)
        wall, cpu = time.perf_counter() - started, _cpu() - before
    finally:
        assembly.close()
    assert attempt.accepted and attempt.execution is not None, attempt.findings
    shown = set(map(str, attempt.evidence["probes"].values()))
    assert all(text.startswith(("passed", "not judged", "not applied")) for text in shown), shown
    return Cost(trial=attempt.execution.seconds, wall=wall, cpu=cpu)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _settings(root: Path) -> Settings:
    return Settings(
        options=DEFAULTS, record=None, read_keys=lambda: Keys(values={"OPENAI_API_KEY": "sk-none"}),
        context_tokens=None, locked=False, workdir=root, environment=dict(os.environ), cancelled=threading.Event(),
    )  # fmt: skip
