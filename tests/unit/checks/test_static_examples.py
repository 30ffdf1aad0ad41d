"""The checks of syntax trees stop no right script: those of the example, and whatever Python they are shown."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from snakemake_executor_plugin_llmagent.checks import run_checks, static_checks, stops
from snakemake_executor_plugin_llmagent.checks.static import tree_checks
from snakemake_executor_plugin_llmagent.protocols import Describe, Item, Trial
from tests.unit.checks.static_support import holding, trial
from tests.unit.support import a_job, a_spec, a_trial, names

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / "example_workflow/workflow"
SELECTED = (
    "event_number", "weight", "m_yy", "pt_yy", "pt1_over_m", "pt2_over_m", "eta1", "eta2", "phi1", "phi2", "delta_eta",
    "cos_theta_star", "n_jets", "jet1_pt", "jet2_pt", "m_jj", "delta_eta_jj", "met",
)  # fmt: skip
NTUPLE = (
    "event_number", "weight", "pass_trigger", "met", "met_phi", "photon_is_tight", "photon_pt", "photon_eta",
    "photon_phi", "photon_track_isolation", "photon_calo_isolation", "jet_pt", "jet_eta", "jet_phi",
)  # fmt: skip
PLOT: Mapping[str, object] = {"plot_label": "simulation"}

RULES: Mapping[str, tuple[Sequence[str], Sequence[str], Mapping[str, object], Describe]] = {
    "summarise": (["a.root"], ["n.json", "n.md"], {}, holding(*NTUPLE)),
    "to_arrays": (["a.root"], ["a.npz"], {"min_photon_pt": 25.0}, holding(*NTUPLE)),
    "preprocess": (["a.npz"], ["s.parquet", "c.json"], {"cuts": {"calo_isolation": 0.065}}, holding("x", form="csv")),
    "separate": (
        ["s.parquet", "d.parquet"], ["s.parquet", "d.parquet", "m.json", "s.png"], PLOT,
        holding(*SELECTED, form="parquet", table=""),
    ),
    "categorise": (
        ["s.parquet", "d.parquet"], ["c.json", "c.png"], {**PLOT, "max_categories": 4},
        holding("event_number", "weight", "m_yy", "score", form="parquet", table=""),
    ),
    "fit_myy": (["d.parquet"], ["f.json", "f.png"], PLOT, holding(*SELECTED, form="parquet", table="")),
    "fit_atlas": (["m.json"], ["f.json", "f.png"], PLOT, holding("counts", form="json")),
}  # fmt: skip


def example(rule: str, text: str | None = None) -> tuple[Trial, Describe]:
    """A script of the example as it was approved: with its sentence, its params and its decisions."""
    inputs, outputs, params, describe = RULES[rule]
    lock = yaml.safe_load((WORKFLOW / f"agents/{rule}.lock.yaml").read_text(encoding="utf-8"))
    specification = WORKFLOW / f"specs/{rule}.md"
    written = specification.read_text(encoding="utf-8") if specification.exists() else lock["spec_text"]
    job = a_job(
        Path("/project"), inputs=tuple(Item(name=None, path=path) for path in inputs),
        outputs=tuple(Item(name=None, path=path) for path in outputs), params=params,
    )  # fmt: skip
    candidate = a_trial(
        Path("/stage"), spec=a_spec(rule=rule, text=written if text is None else text, params=tuple(params)), job=job,
        source=(WORKFLOW / f"agents/{rule}.py").read_text(encoding="utf-8"), decisions=tuple(lock["decisions"]),
        layout=None, execution=None,
    )  # fmt: skip
    return candidate, describe


def test_every_script_of_the_example_is_looked_at() -> None:
    assert {path.stem for path in (WORKFLOW / "agents").glob("*.py")} == RULES.keys()


@pytest.mark.parametrize("rule", RULES)
def test_the_scripts_of_the_example_pass(rule: str) -> None:
    candidate, describe = example(rule)
    for checks in (static_checks(describe), static_checks()):
        findings = run_checks(checks, candidate)
        # It holds the whole range of its input as a text, which only says so.
        assert names(findings) == (["decision.unused"] if rule == "fit_atlas" else [])
        assert not stops(findings)


@pytest.mark.parametrize("rule", RULES)
def test_they_pass_with_any_sentence(rule: str) -> None:
    """No check of these needs the sentence to excuse a right script."""
    for text in ("do it", "events have weights", "no weights"):
        candidate, describe = example(rule, text)
        assert not stops(run_checks(tree_checks(describe), candidate))


def test_scripts_of_wrappers_pass() -> None:
    """Long programs by people, of which some draw random numbers because the person who names them asks for it."""
    wrappers = sorted((ROOT / "wrappers/phys").glob("*/*/wrapper.py"))
    assert len(wrappers) > 10
    for path in wrappers:
        source = path.read_text(encoding="utf-8")
        if len(source) < 50_000:
            candidate = trial("", "train with a fixed seed, or throw toys", outputs=("x.json", "x.png"))
            findings = run_checks(tree_checks(None), replace(candidate, source=source))
            assert not stops(findings), (path, findings)


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "-" * 90_000 + "1",
        "x = 1" + " + 1" * 2000,
        "x = [" + "1," * 20_000 + "]",
        "x = " + "f(" * 90 + "snakemake.input" + ")" * 90,
        "x = 9 ** 9 ** 9 ** 9\ny = 10 ** 1000000\nz = 'a' * 10 ** 9\nw = range(10 ** 30)\n",
        "".join(f"d{k} = {{'a': d{k + 1}, 'b': d{k + 1}}}\n" for k in range(60)) + "d60 = {'mu': 2}\njson.dump(d0, f)",
        "".join(f"a{k} = a{k + 1} + a{k + 1}\n" for k in range(60)) + "a60 = [1, 2]\nprint(a0)",
        "".join(f"x{k} = x{k + 1}\n" for k in range(400)) + "x400 = snakemake.input[0]",
        "".join(f"def f{k}():\n    return f{k + 1}()\n" for k in range(200)) + "def f200():\n    return f0()\n",
        "x = {}\nx['a'] = x\ny = [x]\nx['b'] = y\ndef g():\n    return {'k': g(), 'x': x}\njson.dump(g(), f)\n",
        "a, *b, (c, d) = snakemake.input\nfor (i, (j, k)), *l in b:\n    pass\n(e := a)\n",
        "match snakemake.input:\n    case [a, *b]:\n        pass\n    case {'x': y, **z}:\n        pass\n",
        "async def f():\n    async with open(snakemake.input[0]) as g:\n        async for x in g:\n"
        "            yield x\n",
        "try:\n    pass\nexcept* ValueError:\n    pass\n",
        "lambda *a, b=1, **c: (a, b, c)\nclass C(snakemake.input): x: int\n",
        "del snakemake.input\nglobal q\nx = y = z = ...\nx: int\n",
        "",
    ],
)  # fmt: skip
def test_no_script_is_too_odd(source: str) -> None:
    for describe in (None, holding("x")):
        for checked in run_checks(tree_checks(describe), trial(source, decisions=[{"name": "X"}])):
            assert checked.message


def test_the_standard_library_is_read_without_an_error() -> None:
    """What a check says of it is of no interest; that it says anything at all and ends is."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(folder.glob("*.py"))[:40]:
        source = path.read_text(encoding="utf-8", errors="replace")
        if len(source) < 30_000:
            run_checks(tree_checks(holding("x")), trial(source.replace("self.", "snakemake.input.")))
