"""A workflow whose agent rules are written in several attempts by a scripted model: something to tell in reports."""

from __future__ import annotations

from collections import defaultdict

from tests.loopback import Asked, Reply, say
from tests.workflow.project import APPROVE, Project, fenced
from tests.workflow.scripts import rule_of

SNAKEFILE = """
rule all:
    input: "results/fit.json", "results/spectrum.png", "results/yields.json"

rule simulate:
    output: data="results/data.csv"
    script: "simulate.py"

rule select:
    input: data="results/data.csv"
    output: events="results/selected.csv"
    agent:
        "select the events with a mass from 105 to 160 GeV; keep mass and weight", crosscheck="openai:second"

rule count:
    input: events="results/selected.csv"
    output: yields="results/yields.json"
    agent: "the weighted yield and its error, in and beside the window from 120 to 130 GeV"

rule fit:
    input: events="results/selected.csv"
    output: fit="results/fit.json", plot=report("results/spectrum.png", category="Fit")
    agent: "mean and width of the peak, with a plot of the spectrum"
"""
SIMULATE = """
import numpy as np

generator = np.random.default_rng(7)
mass = np.concatenate([generator.normal(125.0, 2.0, 400), 100 + generator.exponential(30.0, 3000)])
weight = generator.uniform(0.5, 1.5, len(mass))
np.savetxt(snakemake.output.data, np.column_stack([mass, weight]), delimiter=",", header="mass,weight", comments="")
"""
SELECT = """
import numpy as np

MASS_RANGE = (105.0, 160.0)  # GeV

table = np.genfromtxt(snakemake.input.data, delimiter=",", names=True)
kept = table[(table["mass"] >= MASS_RANGE[0]) & (table["mass"] < MASS_RANGE[1])]
print(f"kept {len(kept)} of {len(table)} events")
np.savetxt(
    snakemake.output.events, np.column_stack([kept["mass"], kept["weight"]]), delimiter=",", header="mass,weight",
    comments="", fmt="%.6f",
)
"""
SELECT_OTHERWISE = """
import csv

with open(snakemake.input.data) as source, open(snakemake.output.events, "w") as sink:
    sink.write("mass,weight\\n")
    for row in csv.DictReader(source):
        if 105.0 <= float(row["mass"]) < 160.0:
            sink.write(f"{float(row['mass']):.6f},{float(row['weight']):.6f}\\n")
"""
COUNT = '''
"""Weighted yields in and beside a window."""

import json

import numpy as np

WINDOW = (120.0, 130.0)  # GeV

events = np.genfromtxt(snakemake.input.events, delimiter=",", names=True)
inside = (events["mass"] >= WINDOW[0]) & (events["mass"] < WINDOW[1])


def summed(chosen):
    """Sum of weights with its error."""
    weights = events["weight"][chosen]
    error = float((weights**2).sum() ** 0.5)
    return {"n_events": int(chosen.sum()), "yield": float(weights.sum()), "yield_error": error}


with open(snakemake.output.yields, "w") as file:
    json.dump({"window": summed(inside), "sidebands": summed(~inside)}, file, indent=1)
'''
COUNT_CRASHES = COUNT.replace('events["weight"]', 'events["w"]')
COUNT_UNWEIGHTED = COUNT.replace("float(weights.sum())", "float(len(weights))").replace(
    "float((weights**2).sum() ** 0.5)", "float(len(weights) ** 0.5)"
)
COUNT_TWICE = COUNT.replace('"sidebands": summed(~inside)', '"sidebands": summed(events["mass"] > 0)')
REVISE = (
    '{"verdict": "revise", "comments": "`sidebands` holds every event, the window included: `summed(events[\\"mass\\"] '
    '> 0)` in line 21. The rule asks for the yield beside the window; use `~inside`."}'
)
FIT = """
import json

import matplotlib.pyplot as plt
import numpy as np

RANGE = (120.0, 130.0)  # GeV
BINS = 55

events = np.genfromtxt(snakemake.input.events, delimiter=",", names=True)
near = (events["mass"] >= RANGE[0]) & (events["mass"] < RANGE[1])
mass, weight = events["mass"][near], events["weight"][near]
mean = float(np.average(mass, weights=weight))
width = float(np.average((mass - mean) ** 2, weights=weight) ** 0.5)
count = float(weight.sum() ** 2 / (weight**2).sum())
parameters = {
    "mean": {"value": mean, "error": width / count**0.5},
    "width": {"value": width, "error": width / (2 * count) ** 0.5},
}
with open(snakemake.output.fit, "w") as file:
    json.dump({"parameters": parameters, "n_events": int(near.sum())}, file)
figure, axes = plt.subplots(figsize=(6, 4))
axes.hist(events["mass"], bins=BINS, weights=events["weight"], range=(105, 160), histtype="step")
axes.axvline(mean, linestyle="--", color="tab:red")
axes.set_xlabel("mass [GeV]")
axes.set_ylabel("weighted events / GeV")
figure.savefig(snakemake.output.plot, dpi=150)
"""
DECISIONS = """\
```yaml
decisions:
  - name: RANGE
    value: [120.0, 130.0]
    unit: GeV
    alternatives: [[118.0, 132.0], [122.0, 128.0]]
    reason: around the peak
  - name: BINS
    value: 55
    alternatives: [110]
    reason: one bin is 1 GeV, in the plot alone
```

"""
DRAFTS = {
    "select": (SELECT,),
    "count": (COUNT_CRASHES, COUNT_UNWEIGHTED, COUNT_TWICE, COUNT),
    "fit": (FIT.replace("plt.subplots", "plt.subplot_grid"), FIT),
}


class Author:
    """A model that writes the drafts of each rule in order, and reviews them."""

    def __init__(self) -> None:
        self._written: defaultdict[str, int] = defaultdict(int)

    def __call__(self, asked: Asked) -> Reply | str:
        rule = rule_of(asked)
        if asked.model == "second":
            return fenced(SELECT_OTHERWISE)
        if asked.role == "supervisor":
            return REVISE if rule == "count" and self._written[rule] < len(DRAFTS[rule]) else APPROVE
        number = self._written[rule]
        self._written[rule] += 1
        draft = DRAFTS[rule][min(number, len(DRAFTS[rule]) - 1)]
        return say((DECISIONS if rule == "fit" else "") + fenced(draft), input=5000 + 900 * number, output=700)


def write(project: Project) -> None:
    """Write the workflow."""
    project.snakefile(SNAKEFILE)
    project.write("simulate.py", SIMULATE)
