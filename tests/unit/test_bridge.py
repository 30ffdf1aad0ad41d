"""How a rule's Python is started; the rest of the bridge is tested with real Snakemake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.deployment import conda, singularity
from snakemake.deployment.env_modules import EnvModules

from snakemake_executor_plugin_llmagent.host.bridge import Entrance, _entrance, container_places, thread_variables


def job(method: str, **changes: Any) -> Any:
    """As much of a job as says how its Python is started."""
    settings = SimpleNamespace(deployment_method=[SimpleNamespace(name=method)], apptainer_args="")
    workflow = SimpleNamespace(deployment_settings=settings, conda_base_path=None)
    values = {"conda_env": None, "env_modules": None, "container_img_path": None, **changes}
    return SimpleNamespace(dag=SimpleNamespace(workflow=workflow), **values)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A conda and an apptainer that do nothing but what they are there for, and a Python that says what it is given."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "activate").write_text('export ACTIVATED="$1"\n')
    (folder / "python").write_text('#!/bin/sh\nprintf \'%s|\' "${ACTIVATED-}" "$@"\n')
    (folder / "singularity").write_text('#!/bin/sh\nwhile [ "$1" != image.sif ]; do shift; done\nshift\nexec "$@"\n')
    for tool in folder.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def said(entrance: Entrance, script: str, **env: str) -> str:
    """What Python says when a command is run as the sandbox runs it."""
    done = subprocess.run(
        [*entrance.enter, entrance.python, script, "a b"], env={**os.environ, **env}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


PATHS = pytest.mark.parametrize("script", ["/p/trial.py", '/my project/it\'s $HOME `x` "y"/trial; true.py'])


@PATHS
def test_conda(tools: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Conda:
        def __init__(self, **options: Any) -> None: ...

        def bin_path(self) -> str:
            return str(tools)

        shellcmd = conda.Conda.shellcmd

    monkeypatch.setattr(conda, "Conda", Conda)
    entrance = _entrance(job("CONDA", conda_env=SimpleNamespace(address="/envs/fit")))
    assert said(entrance, script) == f"/envs/fit|{script}|a b|"
    assert (entrance.managed, entrance.container) == (True, None)


@PATHS
@pytest.mark.usefixtures("tools")
def test_env_modules(script: str) -> None:
    entrance = _entrance(job("ENV_MODULES", env_modules=EnvModules("root/6.30")))
    assert said(entrance, script, **{"BASH_FUNC_module%%": "() { export ACTIVATED=$2; }"}) == f"root/6.30|{script}|a b|"
    assert (entrance.managed, entrance.container) == (True, None)


@PATHS
@pytest.mark.usefixtures("tools")
def test_containers(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(singularity, "Singularity", lambda: SimpleNamespace(binary="singularity"))
    entrance = _entrance(job("APPTAINER", container_img_path="image.sif"))
    assert said(entrance, script) == f"|{script}|a b|"
    assert not entrance.managed
    assert entrance.container == container_places() != {}


@pytest.mark.parametrize(
    "changes",
    [
        {"conda_env": SimpleNamespace(address="/envs/fit")}, {"env_modules": EnvModules("root/6.30")},
        {"container_img_path": "image.sif"},
    ],
    ids=["conda", "modules", "container"],
)  # fmt: skip
def test_what_the_person_did_not_switch_on_is_not_entered(changes: dict[str, Any]) -> None:
    """A rule may name an environment; whether it is used is said on the command line."""
    for method in ("NONE", *({"CONDA", "ENV_MODULES", "APPTAINER"} - {_method(changes)})):
        assert _entrance(job(method, **changes)) == Entrance(enter=(), python=sys.executable)


def _method(changes: dict[str, Any]) -> str:
    names = {"conda_env": "CONDA", "env_modules": "ENV_MODULES", "container_img_path": "APPTAINER"}
    return names[next(iter(changes))]


@PATHS
@pytest.mark.usefixtures("tools")
def test_a_supervisor_runs_inside_of_what_is_entered(script: str) -> None:
    """The words before the supervisor's take the supervisor in."""
    entrance = _entrance(job("ENV_MODULES", env_modules=EnvModules("root/6.30")))
    words = [*entrance.enter, "env", "OTHER=1", "sh", "-c", 'printf "%s|" "$ACTIVATED" "$OTHER" "$@"', "x", script]
    env = {**os.environ, "BASH_FUNC_module%%": "() { export ACTIVATED=$2; }"}
    assert subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout == f"root/6.30|1|{script}|"


@pytest.mark.parametrize(("threads", "text"), [(1, "1"), (8, "8")])
def test_libraries_are_told_how_many_threads(threads: int, text: str) -> None:
    told = thread_variables(threads)
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} <= set(told) and set(told.values()) == {text}
