"""The operation as a whole, its gate, and the page that describes it."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snakemake_executor_plugin_llmagent.checks as package
from snakemake_executor_plugin_llmagent.checks.case import Case, Found, case_of
from snakemake_executor_plugin_llmagent.checks.catalogue import CONTRACTS
from snakemake_executor_plugin_llmagent.checks.contents import CONTENT_CHECKS
from snakemake_executor_plugin_llmagent.checks.contracts import BY_RERUN, IMPLEMENTATIONS
from snakemake_executor_plugin_llmagent.checks.examine import examine
from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.gates.contents import contents_gate, question
from snakemake_executor_plugin_llmagent.host.names import CHECK, Named
from snakemake_executor_plugin_llmagent.protocols import Item, Layout, Severity, Trial
from snakemake_executor_plugin_llmagent.sandbox.confined import Ground
from snakemake_executor_plugin_llmagent.sandbox.walls import choose
from snakemake_executor_plugin_llmagent.spec import Blind, Call
from snakemake_executor_plugin_llmagent.trials import Worked
from snakemake_executor_plugin_llmagent.working import ConfinedWorker
from tests.unit.checks.test_contents_documents import a_fit, changed
from tests.unit.checks.test_contents_files import N, events, some, weights, write
from tests.unit.support import FileTask, a_job, a_spec, an_execution

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
SEVERITIES = {("error",): "error", ("warning",): "warning", ("error", "warning"): "error, warning"}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    told = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return {"name": name, "arguments": arguments, "label": f"{name}({told})" if told else name}


def asked(folder: Path, inputs: dict[str, Any], outputs: dict[str, Any], *contracts: dict[str, Any]) -> dict[str, Any]:
    def files(held: dict[str, Any], side: str) -> list[dict[str, Any]]:
        return [
            {"name": None, "path": name, "place": str(write(folder / side / name, one))} for name, one in held.items()
        ]

    return {
        "text": "fit m_yy", "source": "", "inputs": files(inputs, "in"), "outputs": files(outputs, "out"), "params": {},
        "wildcards": {}, "slice": 0, "contracts": list(contracts),
    }  # fmt: skip


# --- the operation ----------------------------------------------------------------------------------------------------


def test_right_files_pass(tmp_path: Path) -> None:
    table = some(events(), np.nonzero(events()["m_yy"] > 130)[0])
    told = examine(
        asked(tmp_path, {"in.parquet": events()}, {"fit.json": a_fit(), "t.parquet": table}, call("fit_valid"))
    )
    assert told == {"findings": [], "results": {"fit_valid": "passed"}}
    assert json.loads(json.dumps(told)) == told


def test_what_is_found_is_told_with_its_result(tmp_path: Path) -> None:
    outputs = {"fit.json": changed("valid", False), "t.parquet": {**events(), "weight": np.ones(N)}}
    question = asked(
        tmp_path, {"in.parquet": events()}, outputs,
        call("fit_valid"), call("chi2_band", high=0.5), call("closure", parameter="mu", truth=1), call("stable_seed"),
    )  # fmt: skip
    told = examine(question)
    assert [(one["check"], one["warning"]) for one in told["findings"]] == [
        ("weights.all_one", False), ("fit.not_converged", True), ("contract.fit_valid", False),
        ("contract.chi2_band", False), ("contract.closure", False),
    ]  # fmt: skip
    assert told["results"].keys() == {"fit_valid", "chi2_band(high=0.5)", "closure(parameter='mu', truth=1)"}
    assert told["results"]["closure(parameter='mu', truth=1)"].startswith(
        "The check `closure(parameter='mu', truth=1)` needs"
    )


def test_nothing_that_stumbles_takes_the_others_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbles(case: Case) -> Iterator[Found]:
        yield Found(check="first", message="found before")
        raise KeyError("x")

    module = "snakemake_executor_plugin_llmagent.checks.examine"
    monkeypatch.setattr(f"{module}.CONTENT_CHECKS", (stumbles, *CONTENT_CHECKS))
    monkeypatch.setattr(f"{module}.IMPLEMENTATIONS", {**IMPLEMENTATIONS, "pulls": stumbles})
    told = examine(asked(tmp_path, {}, {"a.json": changed("valid", False)}, call("pulls"), call("fit_valid")))
    assert [(one["check"], one["warning"]) for one in told["findings"]] == [
        ("first", False), ("contents.unexamined", True), ("fit.not_converged", True), ("contract.pulls", False),
        ("contract.fit_valid", False),
    ]  # fmt: skip
    assert "could not be carried out: KeyError" in told["results"]["pulls"]


STRANGE: dict[str, Any] = {
    "numbers.json": {"valid": True, "parameters": {"a": {"value": 1e308, "error": 1e-308, "limits": ["x", None]}}},
    "large.json": {"n": 10**400, "yield": -(10**400), "yield_error": 10**400, "n_events": 10**400},
    "lists.json": [[], {}, None, [{"cutflow": [{"cut": None, "events": None}]}], {"cutflow": {"a": []}}],
    "flows.json": {"cutflow": [{}], "a": {"cutflow": {}}, "b": {"cutflow": 3}, "c": {"cutflow": [{"yield": 1}, {}]}},
    "shapes.json": {"covariance": [[1], [2, 3]], "valid": 3, "parameters": [], "gof": {"chi2": "x", "ndf": True}},
    "fit.json": {"fmin": 0, "parameters": {"a": {"value": None}}, "covariance": [[0.0]], "correlation": [[None]]},
    "text.json": "125 GeV",
    "z.json": {"z_obs": 1e308, "p0": 0, "observed": -1, "background": 1e-300, "signal": "s", "profile": {"values": []}},
    "limits.json": {"expected": {"-2": "a", "0": None, "2": []}, "observed": {}},
    "edges.json": {"bin_edges": [1, 1, 1], "counts": [0, 0], "errors": [0, 0], "data": [1, 2], "data_error": [None, 1]},
    "scalars.npz": {"weight": np.float64(3), "event": np.zeros((3, 2)), "m_yy": np.zeros(0), "t": np.array(["a", "b"])},
    "objects.npz": {"weight": np.full(30, np.inf), "event_number": np.full(30, np.nan), "m_yy": np.full(30, -np.inf)},
    "complex.npz": {"weight": np.ones(30, complex), "pt1": np.ones(30, bool), "pt2": np.ones(30, np.uint8)},
    "empty.csv": {"a": []},
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_strange_files_break_no_check(tmp_path: Path, name: str) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "mass_window": {"low": 1, "high": 2},
        "closure": {"parameter": "a", "truth": 1},
        "column_range": {"column": "a", "low": 0},
    }
    contracts = [call(contract, **arguments.get(contract, {})) for contract in CONTRACTS]
    told = examine(asked(tmp_path, {name: STRANGE[name]}, {name: STRANGE[name]}, *contracts))
    broken = [one["message"] for one in told["findings"] if "could not be carried out" in one["message"]]
    assert not broken


def test_only_what_is_needed_is_loaded(tmp_path: Path) -> None:
    """A document alone is judged without the libraries of other formats."""
    question = asked(tmp_path, {"in.json": {"a": 1}}, {"fit.json": a_fit()}, call("fit_valid"))
    (tmp_path / "question.json").write_text(json.dumps(question))
    program = (
        "import json, sys; from snakemake_executor_plugin_llmagent.checks.examine import examine\n"
        f"examine(json.load(open({str(tmp_path / 'question.json')!r}))); print(*sys.modules)"
    )
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert not {"pyarrow", "uproot", "awkward", "PIL", "h5py", "scipy"} & set(done.stdout.split())


# --- the gate ---------------------------------------------------------------------------------------------------------


def a_trial(folder: Path, outputs: dict[str, Any], *contracts: str, **job: Any) -> Trial:
    project, stage = folder / "project", folder / "stage"
    write(project / "data/ggH.parquet", events())
    for name, held in outputs.items():
        write(stage / name, held)
    items = tuple(Item(name=None, path=name) for name in outputs)
    return Trial(
        spec=a_spec(contracts=tuple(Call(name=name, label=name) for name in contracts), text="select"), source="",
        job=a_job(project, inputs=(Item(name=None, path="data/ggH.parquet"),), outputs=items, **job),
        layout=Layout(stage=stage, links={}, paths={name: name for name in outputs}), execution=an_execution(),
    )  # fmt: skip


def a_bench(folder: Path, worker: Any) -> Bench:
    return Bench(worker=worker, sandbox=None, folder=lambda: folder, discard=lambda path: None, tell=print)  # type: ignore[arg-type]


def confined(folder: Path) -> ConfinedWorker:
    (folder / "project").mkdir(exist_ok=True)
    ground = Ground(
        project=folder / "project", home=folder / "llmagent", outer=dict(os.environ),
        walls=partial(choose, "auto", folder / "llmagent" / "cache"),
    )  # fmt: skip
    return ConfinedWorker(
        ground, lambda: folder / "stages" / uuid.uuid4().hex[:8], lambda: "examine-1", threading.Event()
    )


def test_behind_walls(tmp_path: Path) -> None:
    wildcards = {"sample": "ggH"}
    siblings = ({"sample": "VBF"}, {"sample": "ttH"})
    table = {**events(), "weight": np.ones(N)}
    trial = a_trial(
        tmp_path, {"out/ggH.parquet": table, "fit_ggH.json": a_fit()}, "fit_valid", "pulls", wildcards=wildcards,
        siblings=siblings,
    )  # fmt: skip
    write(tmp_path / "project/out/VBF.parquet", table)
    write(tmp_path / "project/data/VBF.parquet", events(met=np.arange(N)))
    evidence = contents_gate(a_bench(tmp_path, confined(tmp_path))).judge(FileTask(trial.job, "python"), trial)
    told = {finding.check: finding.severity for finding in evidence.findings}
    assert told == {
        "weights.all_one": Severity.ERROR, "output.identical": Severity.ERROR, "contract.pulls": Severity.ERROR,
    }  # fmt: skip
    assert evidence.results["fit_valid"] == "passed"
    assert "Looked in `out/ggH.parquet`" in str(evidence.results["pulls"])


def test_the_question_holds_what_a_case_is_made_of(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, {"a.json": {"x": 1}}, "pulls", params={"cuts": {"pt": (1, 2)}, "path": tmp_path})
    told = json.loads(json.dumps(question(trial)))
    case = case_of(told)
    assert case.params == {"cuts": {"pt": [1, 2]}, "path": str(tmp_path)}
    assert (case.inputs[0].label, case.outputs[0].contents is not None) == ("`data/ggH.parquet`", True)
    assert told["contracts"] == [{"name": "pulls", "arguments": {}, "label": "pulls"}]


def test_contracts_are_not_asked_of_the_first_entries_alone(tmp_path: Path) -> None:
    from dataclasses import replace

    trial = replace(a_trial(tmp_path, {"a.json": {"x": 1}}, "pulls"), slice=1000)
    assert (question(trial)["contracts"], question(trial)["slice"]) == ([], 1000)


def test_the_question_says_whether_the_data_are_masked(tmp_path: Path) -> None:
    from dataclasses import replace

    trial = a_trial(tmp_path, {"a.json": {"x": 1}})
    masked = replace(trial, spec=replace(trial.spec, blind=Blind(mc_only=True, inputs=("data",))))
    assert [case_of(question(one)).blinded for one in (trial, masked)] == [False, True]


def test_what_nobody_could_look_at_has_not_passed(tmp_path: Path) -> None:
    def broken(*arguments: Any, **options: Any) -> Worked:
        return Worked(problem="ended (memory)")

    for contracts, severity in (((), Severity.WARNING), (("pulls",), Severity.ERROR)):
        trial = a_trial(tmp_path, {"a.json": {"x": 1}}, *contracts)
        evidence = contents_gate(a_bench(tmp_path, broken)).judge(FileTask(trial.job, "python"), trial)
        (finding,) = evidence.findings
        assert (finding.check, finding.severity) == ("contents.unexamined", severity)
        assert "ended (memory)" in finding.message


# --- names and the page -----------------------------------------------------------------------------------------------


def declared(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(CONTRACTS[name]).parameters)


def test_declarations_and_implementations_agree() -> None:
    assert set(IMPLEMENTATIONS) | BY_RERUN == set(CONTRACTS)
    assert not BY_RERUN & set(IMPLEMENTATIONS)
    for name, function in IMPLEMENTATIONS.items():
        parameters = dict(inspect.signature(function).parameters)
        del parameters["case"]
        assert {key: str(one) for key, one in parameters.items()} == {
            key: str(one) for key, one in declared(name).items()
        }


@pytest.mark.parametrize("name", CONTRACTS)
def test_contracts_can_be_named_in_a_snakefile(name: str) -> None:
    named = Named(CHECK, CONTRACTS[name])
    given = {key: 1 for key, one in declared(name).items() if one.default is one.empty}
    ready = named(**given)
    assert ready.call.name == name
    assert (CONTRACTS[name].__doc__ or "").count("\n\n") == 1


def found_in_source() -> dict[str, set[str]]:
    """Name of each check that contents, contracts and files are told by → its severities."""
    told: dict[str, set[str]] = {}
    folder = Path(package.__file__).parent
    files = [*folder.glob("contents/*.py"), *folder.glob("contracts/*.py")]
    for path in (*files, folder / "content.py", folder / "files.py", folder / "run.py", folder / "examine.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Found", "Finding"):
                keywords = {one.arg: one.value for one in node.keywords}
                name = keywords["check"]
                if isinstance(name, ast.Constant):
                    told.setdefault(str(name.value), set()).update(_severities(keywords))
    return told


def _severities(keywords: dict[str | None, ast.expr]) -> set[str]:
    if "warning" in keywords:
        value = keywords["warning"]
        return {"warning"} if isinstance(value, ast.Constant) else {"error", "warning"}
    if "severity" in keywords:
        value = keywords["severity"]
        return {value.attr.lower()} if isinstance(value, ast.Attribute) else {"error", "warning"}
    return {"error"}


def test_every_check_is_on_the_page() -> None:
    rows = dict(re.findall(r"^\| `([a-z.0-9_]+)` \| ([a-z, ]+) \|", PAGE, re.MULTILINE))
    found = {name: SEVERITIES[tuple(sorted(told))] for name, told in found_in_source().items()}
    assert "`contents.unexamined` says" in PAGE
    del found["contents.unexamined"]
    assert {name for name in found if name.startswith("contract.")} == {f"contract.{name}" for name in IMPLEMENTATIONS}
    told = {name: severity for name, severity in rows.items() if not name.startswith("script.")}
    assert told == {name: severity for name, severity in found.items() if not name.startswith("contract.")}


def test_every_contract_is_on_the_page() -> None:
    table = PAGE.partition("| contract |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)(\(.*?\))?` \| (.+) \|$", table, re.MULTILINE)
    assert [name for name, _, _ in rows] == list(CONTRACTS)
    for name, arguments, _ in rows:
        signature = ", ".join(
            key if one.default is one.empty else f"{key}={one.default!r}" for key, one in declared(name).items()
        )
        assert (arguments or "()") == f"({signature})"


def test_examples_on_the_page_can_be_written(tmp_path: Path) -> None:
    names = {name: Named(CHECK, function) for name, function in CONTRACTS.items()}
    lists = re.findall(r"checks=(\[.*?\])", PAGE)
    assert len(lists) == 6
    for text in lists:
        assert eval(text, {"__builtins__": {}}, names)


def test_weights_of_these_tests_have_both_signs() -> None:
    assert 0.05 < float(np.mean(weights() < 0)) < 0.15
