"""Checks of what a script read and wrote, without looking inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from snakemake_executor_plugin_llmagent.protocols import Finding, Item, Severity, Trial
from snakemake_executor_plugin_llmagent.sandbox.fitness import MISSING, unfit
from snakemake_executor_plugin_llmagent.spec import Kind
from snakemake_executor_plugin_llmagent.text import one_line


def label(item: Item, place: str) -> str:
    """How a message names a file: `results/fit.json (output.fit)`."""
    return f"`{item.path}`" + (f" (`{place}.{item.name}`)" if item.name else "")


def outputs_written(trial: Trial) -> Iterable[Finding]:
    """Every declared output is there, is what was declared, and is not empty."""
    if trial.layout is None:
        return
    for item in trial.job.outputs:
        place = trial.layout.inside(item)
        try:
            yield from _output(item, place, trial)
        except OSError as error:
            name = label(item, "snakemake.output")
            yield Finding(check="output.not_readable", message=f"The output {name} cannot be read: {error.strerror}.")


def _output(item: Item, place: Path, trial: Trial) -> Iterable[Finding]:
    assert trial.layout is not None
    name = label(item, "snakemake.output")
    # What the collector would refuse is refused here already, by the same judge.
    reason = unfit(trial.layout.stage, trial.layout.paths[item.path])
    if reason == MISSING:
        strays = trial.execution.strays if trial.execution else ()
        instead = f" It wrote instead: {_listed(strays)}." if strays else ""
        yield Finding(check="output.missing", message=f"The script did not write {name}.{instead}")
    elif reason:
        yield Finding(check="output.not_regular", message=f"The output {name} cannot be taken: {reason}.")
    elif item.kind is Kind.DIRECTORY:
        if not place.is_dir():
            yield Finding(check="output.not_directory", message=f"The output {name} has to be a directory.")
        elif not any(place.iterdir()):
            yield Finding(check="output.empty", message=f"The output directory {name} is empty.")
    elif place.is_dir():
        yield Finding(check="output.not_file", message=f"The output {name} has to be a file, not a directory.")
    elif place.stat().st_size == 0:
        yield Finding(check="output.empty", message=f"The output {name} is empty (0 bytes).")


def inputs_opened(trial: Trial) -> Iterable[Finding]:
    """Every declared input was opened while the script ran, as seen from outside."""
    if trial.execution is None:
        return
    for item in trial.job.inputs:
        access = trial.execution.access.get(item.path)
        if access is None or access.opened is not False or _is_marker(trial.job.real(item)):
            continue
        yield Finding(
            check="input.unopened",
            message=f"The script never opened {label(item, 'snakemake.input')}, which the rule declares as an input. "
            "Use it; do not replace it by numbers or data of your own.",
        )


def _is_marker(path: Path) -> bool:
    """Whether an input is an empty file, which only says that something is done."""
    try:
        return path.is_file() and path.stat().st_size == 0
    except OSError:
        return False


def project_untouched(trial: Trial) -> Iterable[Finding]:
    """Nothing but the declared outputs was written in the project."""
    execution = trial.execution
    if execution is None:
        return
    if execution.strays:
        yield Finding(
            check="project.stray",
            message=f"The script wrote files that the rule does not declare: {_listed(execution.strays)}. "
            "Write the declared outputs only, and temporary files with `tempfile`.",
        )
    inputs = {trial.job.real(item) for item in trial.job.inputs}
    changed = execution.changed or ()
    spoiled = [path for path in changed if not inputs.isdisjoint((Path(path), *Path(path).parents))]
    if spoiled:
        names = _listed([_relative(path, trial.job.workdir) for path in spoiled])
        yield Finding(check="input.changed", message=f"The script changed its inputs: {names}. Only read them.")
    elsewhere = [path for path in changed if path not in spoiled]
    # Somebody may have saved a file in an editor meanwhile; what the script names is the script's doing.
    named = [path for path in elsewhere if Path(path).name in trial.source]
    for paths, severity in ((named, Severity.ERROR), ([p for p in elsewhere if p not in named], Severity.WARNING)):
        if paths:
            names = _listed([_relative(path, trial.job.workdir) for path in paths])
            yield Finding(
                check="project.changed",
                severity=severity,
                message=f"While the script ran, files changed that are none of its outputs: {names}.",
            )


def _listed(names: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(f"`{one_line(name)}`" for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def _relative(path: str, workdir: Path) -> str:
    try:
        return str(Path(path).relative_to(workdir))
    except ValueError:
        return path
