"""How a rule's Python is started; the rest of the bridge is tested with real Snakemake."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.deployment import conda, singularity
from snakemake.deployment.env_modules import EnvModules

from snakemake_executor_plugin_llmagent.host.bridge import _command


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


def said(command: tuple[str, ...], script: str, **env: str) -> str:
    """What Python says when a command is run as the sandbox runs it."""
    parts = [part.replace("{script}", script) for part in command]
    done = subprocess.run(parts, env={**os.environ, **env}, capture_output=True, text=True, check=False)
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
    command = _command(job("CONDA", conda_env=SimpleNamespace(address="/envs/fit")))
    assert said(command, script) == f"/envs/fit|{script}|"


@PATHS
@pytest.mark.usefixtures("tools")
def test_env_modules(script: str) -> None:
    command = _command(job("ENV_MODULES", env_modules=EnvModules("root/6.30")))
    assert said(command, script, **{"BASH_FUNC_module%%": "() { export ACTIVATED=$2; }"}) == f"root/6.30|{script}|"


@PATHS
@pytest.mark.usefixtures("tools")
def test_containers(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(singularity, "Singularity", lambda: SimpleNamespace(binary="singularity"))
    command = _command(job("APPTAINER", container_img_path="image.sif"))
    assert said(command, script) == f"|{script}|"
