"""Run wrappers as users do: by Snakemake with a test Snakefile, or one job in this process with Snakemake's object."""

from __future__ import annotations

import contextlib
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WRAPPERS = Path(__file__).resolve().parents[2] / "wrappers"
SHARED_DATA = WRAPPERS.parent.parent / "shared" / "data"


class WrapperFailed(Exception):
    """A wrapper ended with an error; the text is its log."""


def run_snakefile(wrapper: str, tmp_path: Path, *targets: str, cores: int = 2, options: Sequence[str] = ()) -> Path:
    """Run `test/Snakefile` of a wrapper as the tests of snakemake-wrappers do; return the folder it ran in.

    Args:
        wrapper: its place, such as `phys/uproot/skim` or `meta/phys/diphoton`.
        tmp_path: an empty folder.
        targets: files or rules to make; without any, the first rule.
    """
    folder = tmp_path / "test"
    shutil.copytree(WRAPPERS / wrapper / "test", folder, ignore=shutil.ignore_patterns("results", "logs", ".snakemake"))
    (tmp_path / "master").symlink_to(WRAPPERS)
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", str(cores), "--force", "--nolock"]
    command += ["--printshellcmds", "--show-failed-logs", "--wrapper-prefix", f"file://{tmp_path}/", *options]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONWARNINGS": "", "MPLBACKEND": "agg"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    if done.returncode:
        raise WrapperFailed(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return folder


def call(
    wrapper: str,
    tmp_path: Path,
    *,
    input: Mapping[str, Any] | Sequence[Any] = (),
    output: Mapping[str, Any] | Sequence[Any] = (),
    params: Mapping[str, Any] | None = None,
    threads: int = 1,
    config: Mapping[str, Any] | None = None,
) -> str:
    """Run one job of a wrapper in this process with Snakemake's own `snakemake` object; return its log.

    Args:
        wrapper: its place, such as `phys/uproot/skim`.
        tmp_path: where the log goes.
        input: named or unnamed files; a list as value is a named list of files.
        output: the same.
        params: named params.
        threads: of the job.
        config: the workflow's configuration.

    Raises:
        WrapperFailed: with the log, if it ends with an error.
    """
    from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards
    from snakemake.script import Snakemake

    def named(kind: Any, given: Mapping[str, Any] | Sequence[Any]) -> Any:
        if not isinstance(given, Mapping):
            return kind(toclone=[str(one) for one in given])
        items = kind()
        for name, value in given.items():
            several = isinstance(value, list | tuple)
            start = len(items)
            items.extend([str(one) for one in value] if several else [str(value)])
            items._set_name(name, start, end=len(items) if several else None)
        return items

    parameters = Params()
    for name, value in (params or {}).items():
        parameters.append(value)
        parameters._add_name(name)
    log = tmp_path / "log.txt"
    job = Snakemake(
        input_=named(InputFiles, input),
        output=named(OutputFiles, output),
        params=parameters,
        wildcards=Wildcards(),
        threads=threads,
        resources=ResourceList(),
        log=Log(toclone=[str(log)]),
        config=dict(config or {}),
        rulename="test",
        bench_iteration=None,
    )
    for path in job.output:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        # pytest's own sys.stdout does not lead to descriptor 1, which the wrapper points at its log
        with contextlib.ExitStack() as streams:
            streams.enter_context(contextlib.redirect_stdout(streams.enter_context(open(1, "w", closefd=False))))
            streams.enter_context(contextlib.redirect_stderr(streams.enter_context(open(2, "w", closefd=False))))
            runpy.run_path(str(WRAPPERS / wrapper / "wrapper.py"), init_globals={"snakemake": job})
    except SystemExit as error:
        raise WrapperFailed(log.read_text(encoding="utf-8")) from error
    return log.read_text(encoding="utf-8")
