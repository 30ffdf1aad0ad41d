"""Every Snakemake command imports the plugin: it has to be light, and to work whoever imports what first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("openai", "anthropic", "uproot", "awkward", "numpy", "pyarrow", "rich", "h5py", "PIL", "yaml")


def loaded_after(*modules: str) -> set[str]:
    """The top-level modules in a fresh process after some imports."""
    code = f"""
import importlib, json, sys
for name in {modules!r}:
    importlib.import_module(name)
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_plugin_loads_nothing_heavy() -> None:
    code = """
import pkgutil, sys, json
_all = pkgutil.iter_modules
pkgutil.iter_modules = lambda *a, **k: (m for m in _all(*a, **k) if m.name != "snakemake_executor_plugin_llmagent")
import snakemake.cli
before = set(sys.modules)
import snakemake_executor_plugin_llmagent
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    new = json.loads(done.stdout.splitlines()[-1])
    foreign = [name for name in new if not name.startswith("snakemake_executor_plugin_llmagent")]
    assert "snakemake_executor_plugin_llmagent" in new
    assert not {name.partition(".")[0] for name in foreign} & set(HEAVY)
    assert [name for name in foreign if name.partition(".")[0] not in sys.stdlib_module_names] == []
    assert len(new) < 30


@pytest.mark.parametrize(
    "first",
    [
        "snakemake.cli",
        "snakemake.api",
        "snakemake.common.tests",
        "snakemake_executor_plugin_llmagent",
        "snakemake.parser",
    ],
)
def test_any_order_of_imports(first: str) -> None:
    # `snakemake.workflow` as the first of Snakemake's modules fails by itself, so `snakemake.cli` opens the way.
    loaded = loaded_after(first, "snakemake_executor_plugin_llmagent", "snakemake.cli", "snakemake.workflow")
    assert "snakemake_executor_plugin_llmagent" in loaded
    assert not loaded & {"openai", "anthropic", "uproot", "awkward", "pyarrow", "rich", "h5py"}


def test_keyword_is_there_once() -> None:
    code = """
from snakemake.cli import main
import snakemake_executor_plugin_llmagent as plugin
from snakemake import parser
assert parser.Rule.subautomata["agent"] is parser.rule_run_subautomata["agent"]
assert parser.Checkpoint.subautomata["agent"] is parser.Rule.subautomata["agent"]
assert "agent" not in parser.UseRule.subautomata
kept = parser.Rule.subautomata["agent"]
plugin.add_keyword()
assert parser.Rule.subautomata["agent"] is kept
from snakemake.workflow import Workflow
assert not hasattr(Workflow, "agent")
"""
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
