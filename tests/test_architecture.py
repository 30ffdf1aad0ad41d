"""Imports point down, every vendor has one place, and nothing grows too long (DESIGN, layers).

The checker parses sources and imports nothing. It is itself tested on planted violations.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

PACKAGE = "snakemake_executor_plugin_llmagent"
ROOT = Path(__file__).parents[1]

BASE = frozenset(
    {
        "errors",
        "spec",
        "config",
        "keys",
        "providers",
        "decisions",
        "descriptions",
        "protocols",
        "progress",
        "text",
        "syntax",
        "trail",
        "trials",
        "budgets",
        "money",
    }
)
LEAVES = frozenset({"formats", "data", "llm", "sandbox", "lock", "session", "ledger", "pricing"})
BUILT_ON_FORMATS = frozenset({"context", "checks", "probes", "blinding"})
IDEA = frozenset({"prompts", "replies", "briefs", "roles", "taxonomy", "authoring"})
COMPOSED = frozenset(
    {
        "reading", "working", "desk", "earlier", "witness", "metering", "records", "shown", "forecast", "operations",
        "gates", "models", "assembly",
    }
)  # fmt: skip
BELOW_DOORS = BASE | LEAVES | BUILT_ON_FORMATS | IDEA | COMPOSED

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "errors": frozenset(),
    "text": frozenset(),
    "syntax": frozenset(),
    "trail": frozenset(),
    "spec": frozenset({"errors"}),
    "config": frozenset({"errors", "text", "keys", "budgets"}),
    "keys": frozenset({"errors"}),
    "providers": frozenset({"errors", "money"}),
    "budgets": frozenset({"errors"}),
    "money": frozenset({"errors", "spec", "descriptions", "protocols"}),
    "decisions": frozenset({"errors", "spec"}),
    "descriptions": frozenset(),
    "protocols": frozenset({"errors", "spec", "descriptions"}),
    "progress": frozenset({"protocols"}),
    "trials": frozenset({"errors", "spec", "descriptions", "protocols"}),
    **dict.fromkeys(LEAVES, BASE),
    **dict.fromkeys(BUILT_ON_FORMATS, BASE | {"formats"}),
    "checks": BASE | {"formats", "data", "sandbox"},
    "probes": BASE | {"data", "sandbox"},
    "blinding": BASE | {"data"},
    "operations": frozenset({"data"}),
    "prompts": frozenset(),
    "replies": BASE,
    "briefs": BASE,
    "roles": BASE | {"replies", "prompts", "briefs"},
    "taxonomy": BASE,
    "authoring": BASE | {"taxonomy", "briefs", "session", "ledger", "roles", "checks", "probes"},
    "reading": BASE | {"sandbox", "formats"},
    "desk": BASE | {"sandbox", "operations"},
    "working": BASE | {"sandbox", "desk"},
    "earlier": BASE | {"session"},
    "witness": BASE | {"session", "earlier"},
    "shown": BASE | {"context", "blinding", "reading"},
    "forecast": BASE | {"ledger", "prompts", "roles"},
    "records": BASE | {"roles"},
    "metering": BASE | {"ledger", "pricing", "session"},
    "gates": BASE | {"prompts", "data", "checks", "probes", "blinding", "roles", "session", "authoring"},
    "models": BASE | {"llm"},
    "assembly": BELOW_DOORS - {"assembly"},
    "host": BELOW_DOORS,
    "report": BELOW_DOORS,
    "bench": BELOW_DOORS,
    "doctor": BELOW_DOORS,
    "export": BELOW_DOORS,
    "variations": BELOW_DOORS | {"host"},
    "commands": BELOW_DOORS | {"host", "report", "bench", "doctor", "variations", "export"},
    "cli": BELOW_DOORS | {"host", "report", "bench", "doctor", "variations", "commands"},
    "__init__": frozenset({"host"}),
}
"""Part of the package → the other parts that it may import."""

BACKENDS = frozenset({"llm", "sandbox", "formats"})
ASSEMBLING = ("assembly", "models")
"""Parts whose contents `assembly` alone may name (for models: `models`, which works for it), but for these."""
NO_BACKENDS = {
    "formats.render": {"context", "host", "cli", "report"},
    **{f"sandbox.{module}": {"host"} for module in ("collect", "layout", "stages", "trees", "warden")},
    # How an approved script is confined is the same for all backends, of which `walls` alone knows.
    **{
        f"sandbox.{module}": {"host", "reading", "working", "desk"}
        for module in ("caches", "confined", "order", "process")
    },
    "sandbox.limits": {"host", "reading", "doctor"},
    "sandbox.alone": {"host", "reading", "working", "desk"},
    "sandbox.notes": {"desk", "probes"},
    "sandbox.handed": {"desk", "reading", "working"},
    "sandbox.fitness": {"checks"},
    "sandbox.walls": {"host", "doctor"},
    **{f"sandbox.{module}": {"doctor"} for module in ("cgroup", "landlock", "seccomp")},
}
"""Module of a backend part → who else may import it: it serves all backends alike."""

VENDORS = {
    "openai": "llm/openai.py",
    "anthropic": "llm/anthropic.py",
    "uproot": "formats/root.py",
    "awkward": "formats/jagged.py",
    "pyarrow": "formats/parquet.py",
    "h5py": "formats/hdf5.py",
    "PIL": "formats/image.py",
    "genai_prices": "pricing.py",
    "rich": "commands/terminal.py",
    "shtab": "commands/completion.py",
    "matplotlib": "variations/plot.py",
    "jinja2": "report/page.py",
    "pygments": "report/highlight.py",
}
"""Vendor → the one module that may import it."""
WHOLE_FILES = {
    "uproot": "data/rootfile.py",
    "awkward": "data/rootfile.py",
    "pyarrow": "data/parquetfile.py",
    "h5py": "data/arrayfile.py",
    "PIL": "data/arrayfile.py",
}
"""Vendor → the one module that reads and writes whole files with it, where descriptions are not enough."""
COMMON = frozenset({"numpy", "yaml", "markupsafe"})
"""Packages that every part may use."""
SNAKEMAKE = ("snakemake", "snakemake_interface_common", "snakemake_interface_executor_plugins")
ALONE = frozenset(
    {"checks/runner.py", "probes/forks.py"}
    | {
        f"sandbox/{name}.py"
        for name in (
            "alone", "bubblewrap", "cgroup", "descent", "guard", "inotify", "kernel", "landlock", "launch", "launcher",
            "output", "seccomp", "supervisor", "syscalls", "usage", "visible", "warden",
        )
    }
)  # fmt: skip
"""What starts in a process of its own, before anything else is there: standard library and each other only."""
ALSO_ALONE = {"sandbox/output.py": ("text",), "sandbox/alone.py": ("formats.tell", "operations")}
"""Who of them may import something more, which is loaded when it is needed."""

MODULE_LINES, FUNCTION_LINES, INIT_LINES = 400, 80, 30


@dataclass(frozen=True)
class Import:
    """One imported module, its dots, and whether it is imported when its importer is."""

    module: str
    line: int
    relative: bool = False
    at_once: bool = True


def imports(tree: ast.AST, *, at_once: bool = True) -> Iterator[Import]:
    """The modules that a piece of code imports, also by `import_module("…")` and `need("…", …)`.

    What follows `from PACKAGE import` is named in full, whether it is a module or not.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_once=at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            inner = base == PACKAGE or base.startswith(f"{PACKAGE}.")
            names = [f"{base}.{alias.name}" for alias in node.names] if inner else [base]
            yield from (Import(name, node.lineno, node.level > 0, at_once) for name in names)
        elif isinstance(node, ast.Call) and _calls_import(node):
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield Import(name.value, node.lineno, at_once=False)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _only_for_types(node)
        yield from imports(node, at_once=at_once and not inside)


def _calls_import(node: ast.Call) -> bool:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return called in ("import_module", "need", "__import__") and bool(node.args)


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def violations(sources: Mapping[str, str]) -> list[str]:
    """What is wrong with a package, given as path below it → source."""
    modules = {_module(path) for path in sources}
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for path, source in sources.items():
        tree = ast.parse(source)
        found += _lengths(path, source, tree)
        graph[_module(path)] = set()
        for each in imports(tree):
            where = f"{path}:{each.line}"
            if each.relative:
                found.append(f"{where}: relative import")
            elif each.module == PACKAGE or each.module.startswith(f"{PACKAGE}."):
                target = _known(each.module.removeprefix(PACKAGE).removeprefix("."), modules)
                found += [f"{where}: {problem}" for problem in _own(path, target)]
                if each.at_once:
                    graph[_module(path)].add(target)
            else:
                found += [f"{where}: {problem}" for problem in _foreign(path, each.module)]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"modules import each other: {' -> '.join(error.args[1])}")
    return found


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _known(name: str, modules: set[str]) -> str:
    """The module that a dotted name leads to, which may end in something defined there."""
    while name and name not in modules and "." in name:
        name = name.rpartition(".")[0]
    return name or "__init__"


def _part(path: str) -> str:
    return PurePosixPath(path).parts[0].removesuffix(".py")


def _own(path: str, target: str) -> Iterator[str]:
    here, there = _part(path), target.partition(".")[0]
    if here not in MAY_IMPORT:
        yield f"{here!r} has no layer; give it one in {Path(__file__).name}"
    elif path in ALONE:
        if f"{target.replace('.', '/')}.py" not in ALONE and target not in ALSO_ALONE.get(path, ()):
            yield f"{path} runs alone and imports {target}"
    elif here != there and there not in MAY_IMPORT[here]:
        yield f"{here} must not import {there}"
    elif (
        here != there
        and there in BACKENDS
        and here not in ("assembly", "models")
        and here not in NO_BACKENDS.get(target, ())
    ):
        yield f"{here} names the backend {target}; only assembly may"


def _foreign(path: str, module: str) -> Iterator[str]:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return
    if path in ALONE:
        yield f"{path} runs alone and imports {top}"
    elif top in SNAKEMAKE:
        if _part(path) not in ("host", "__init__"):
            yield f"only host may import {top}"
    elif top in VENDORS:
        if path not in (VENDORS[top], WHOLE_FILES.get(top)):
            yield f"only {VENDORS[top]} may import {top}"
    elif top not in COMMON:
        yield f"nothing says who may import {top}; name its one place in {Path(__file__).name}"


def _lengths(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    lines = len(source.splitlines())
    if lines > MODULE_LINES:
        yield f"{path}: {lines} lines"
    if path == "__init__.py" and lines > INIT_LINES:
        yield f"{path}: {lines} lines in the package's __init__"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines"


@cache
def package() -> Mapping[str, str]:
    folder = ROOT / PACKAGE
    files = (path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_the_package_keeps_its_layers() -> None:
    assert len(package()) > 20
    assert violations(package()) == []


def test_every_vendor_has_its_place() -> None:
    """A place that no longer uses its vendor would let the rule go stale."""
    tops = {
        path: {each.module.partition(".")[0] for each in imports(ast.parse(text))} for path, text in package().items()
    }
    unused = {vendor for vendor, place in VENDORS.items() if vendor not in tops.get(place, ())}
    assert unused == set()


def test_settings_are_read_by_snakemake_at_run_time() -> None:
    """Snakemake builds options from the types of the fields, so they must not become strings."""
    for path in ("__init__.py", "host/settings.py"):
        assert "__future__" not in {each.module for each in imports(ast.parse(package()[path]))}


def test_wrappers_import_nothing_of_the_plugin() -> None:
    for path in (ROOT / "wrappers").rglob("*.py"):
        modules = {each.module for each in imports(ast.parse(path.read_text(encoding="utf-8")))}
        assert not any(module.startswith(PACKAGE) for module in modules), path


def test_importing_the_plugin_loads_no_vendor() -> None:
    """Every `snakemake` command imports the plugin, used or not."""
    program = "import sys, snakemake.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert PACKAGE in loaded
    assert loaded.isdisjoint(VENDORS)


SOUND = {
    "__init__.py": f"from {PACKAGE}.host.executor import Executor",
    "errors.py": "class AgentError(Exception): pass",
    "spec.py": "import hashlib",
    "protocols.py": f"from {PACKAGE}.spec import Spec",
    "text.py": "import unicodedata",
    "formats/__init__.py": f"from {PACKAGE}.formats import root",
    "formats/root.py": "def read():\n    import uproot",
    "formats/render.py": f"from {PACKAGE}.protocols import Table",
    "llm/__init__.py": f"def open_model():\n    from {PACKAGE}.llm.openai import OpenAIModel",
    "llm/openai.py": f"import openai\nfrom {PACKAGE}.errors import AgentError\nfrom {PACKAGE}.llm import open_model",
    "sandbox/collect.py": "",
    "sandbox/staged.py": f"from {PACKAGE}.protocols import Sandbox",
    "sandbox/launcher.py": "import os",
    "session.py": f"from {PACKAGE}.spec import digest_text",
    "lock.py": "import yaml",
    "context.py": f"from {PACKAGE}.formats.render import render",
    "checks/__init__.py": f"from {PACKAGE}.protocols import Check",
    "checks/files.py": f"from {PACKAGE}.checks import run_checks",
    "roles.py": f"from {PACKAGE} import prompts\nfrom {PACKAGE}.protocols import Model",
    "prompts/__init__.py": "",
    "authoring.py": f"from {PACKAGE} import checks\nfrom {PACKAGE}.session import Session",
    "assembly.py": f"from {PACKAGE}.llm.openai import OpenAIModel\nfrom {PACKAGE}.sandbox.confined import Confined",
    "host/executor.py": f"import snakemake\nfrom {PACKAGE}.assembly import A\nfrom {PACKAGE}.sandbox.collect import p",
    "cli.py": f"from {PACKAGE} import lock\nfrom {PACKAGE}.host.executor import Executor",
}


def test_the_checker_accepts_what_is_allowed() -> None:
    assert violations(SOUND) == []


@pytest.mark.parametrize(
    ("path", "line", "expected"),
    [
        ("errors.py", f"from {PACKAGE}.spec import Spec", "errors must not import spec"),
        ("text.py", f"import {PACKAGE}.errors", "text must not import errors"),
        ("protocols.py", f"from {PACKAGE} import formats", "protocols must not import formats"),
        ("formats/root.py", f"from {PACKAGE}.llm import open_model", "formats must not import llm"),
        ("llm/openai.py", f"from {PACKAGE}.session import Session", "llm must not import session"),
        ("sandbox/staged.py", f"from {PACKAGE} import lock", "sandbox must not import lock"),
        ("session.py", f"from {PACKAGE}.lock import Lock", "session must not import lock"),
        ("checks/files.py", f"from {PACKAGE}.sandbox.confined import S", "checks names the backend sandbox"),
        ("checks/files.py", f"from {PACKAGE}.formats.root import read", "checks names the backend formats.root"),
        ("context.py", f"from {PACKAGE}.formats import describe", "context names the backend formats"),
        ("context.py", f"def f():\n    from {PACKAGE} import checks", "context must not import checks"),
        ("roles.py", f"from {PACKAGE}.authoring import author", "roles must not import authoring"),
        ("authoring.py", f"from {PACKAGE}.sandbox.confined import S", "authoring must not import sandbox"),
        ("authoring.py", f"from {PACKAGE}.assembly import Assembly", "authoring must not import assembly"),
        ("assembly.py", f"from {PACKAGE}.host.executor import Executor", "assembly must not import host"),
        ("host/executor.py", f"from {PACKAGE} import cli", "host must not import cli"),
        ("host/executor.py", f"from {PACKAGE}.llm.openai import O", "host names the backend llm.openai"),
        ("host/executor.py", f"from {PACKAGE}.sandbox.landlock import S", "host names the backend sandbox"),
        ("cli.py", f"import {PACKAGE}.llm.openai", "cli names the backend llm.openai"),
        ("__init__.py", f"from {PACKAGE} import cli", "__init__ must not import cli"),
        ("cli.py", f"import {PACKAGE}", "cli must not import __init__"),
        ("cli.py", "import snakemake", "only host may import snakemake"),
        ("lock.py", "def f():\n    from snakemake.io import x", "only host may import snakemake"),
        ("assembly.py", "from snakemake_interface_common import x", "only host may import snakemake_interface_common"),
        ("assembly.py", "import openai", "only llm/openai.py may import openai"),
        ("formats/render.py", "import uproot.reading", "only formats/root.py may import uproot"),
        ("formats/render.py", "from importlib import import_module\nimport_module('h5py')", "only formats/hdf5.py"),
        ("formats/render.py", "need('pyarrow.parquet', 'pyarrow')", "only formats/parquet.py may import pyarrow"),
        ("lock.py", "import requests", "nothing says who may import requests"),
        ("formats/render.py", "from . import root", "relative import"),
        ("formats/render.py", "from .root import read", "relative import"),
        ("sandbox/launcher.py", f"from {PACKAGE}.errors import AgentError", "runs alone"),
        ("sandbox/launcher.py", "import numpy", "runs alone"),
        ("checks/__init__.py", f"from {PACKAGE}.checks.files import f", "modules import each other"),
        ("novel.py", f"from {PACKAGE} import errors", "'novel' has no layer"),
        ("lock.py", "x = 1\n" * 401, "402 lines"),
        ("__init__.py", "x = 1\n" * 30, "lines in the package's __init__"),
        ("lock.py", "def long():\n" + "    pass\n" * 80, "long has 81 lines"),
    ],
)
def test_the_checker_finds_planted_violations(path: str, line: str, expected: str) -> None:
    found = violations({**SOUND, path: f"{SOUND.get(path, '')}\n{line}"})
    assert any(expected in problem for problem in found), found
    assert all(expected in problem or problem.startswith("modules import each other") for problem in found), found
