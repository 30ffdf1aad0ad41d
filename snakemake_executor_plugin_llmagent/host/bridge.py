"""From a job of Snakemake to a task that candidates can be tried on."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.errors import LockMismatch
from snakemake_executor_plugin_llmagent.host.declared import DIGEST_PARAM, AgentRule
from snakemake_executor_plugin_llmagent.host.withheld import params_without_secrets, secrets_of, without_secrets
from snakemake_executor_plugin_llmagent.protocols import Item, Job, Layout, Program
from snakemake_executor_plugin_llmagent.sandbox.confined import MODULES
from snakemake_executor_plugin_llmagent.spec import Kind, State
from snakemake_executor_plugin_llmagent.text import fenced, one_line

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "GOTO_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
)  # fmt: skip


class JobTask:
    """A Snakemake job as a task; implements `protocols.Task`."""

    def __init__(self, job: Any, script: Path) -> None:
        """Look at a job whose inputs exist; `script` is where its script lies or will."""
        self._job = job
        self._script = script
        self.job = plain_job(job)
        self._settled: set[Path] = set()

    @property
    def environment(self) -> str:
        """The software environment that Snakemake makes for the rule, in words for the author."""
        return _environment(self._job)

    def program(self, source: str, layout: Layout) -> Program:
        """The script with Snakemake's own preamble, its paths as they are inside the stage."""
        preamble = _preamble(self._job, self._script, layout)
        text = preamble + source
        entrance = _entrance(self._job)
        return Program(
            text=text, lines_before=preamble.count("\n"), env=thread_variables(self._job.threads), **vars(entrance)
        )

    def inputs_exist(self) -> bool:
        """Whether the inputs are still there (`temp()` files may be gone)."""
        return all(self.job.real(item).exists() for item in self.job.inputs)

    def bystanders(self) -> frozenset[Path] | None:
        """Files of jobs that are yet to end, scripts that are yet to be written, and temporary files.

        None while a rule runs whose writing nobody keeps apart.
        """
        workflow = self._job.dag.workflow
        started = list(workflow.scheduler.running) if workflow.scheduler is not None else []
        running = [member for job in started for member in (job if job.is_group() else [job])]
        if not all(_is_agent(job) for job in running):
            return None
        files: set[Path] = set()
        for job in list(workflow.dag.jobs):
            # A temporary file goes when the last job that reads it ends, whenever it was written.
            mine = job.temp_output if workflow.dag.noneedrun_finished(job) else _files_of(job)
            files |= {self.job.workdir / str(path) for path in mine}
        at_work = {job.rule.name for job in running}  # a frozen script may be repaired while it runs
        for rule in workflow.rules:
            if hasattr(rule.ruleinfo, "agent") and (rule.name in at_work or self._is_due(rule.ruleinfo.agent)):
                files |= set(_files_of_script(rule.ruleinfo.agent.script))
        return frozenset(files)

    def _is_due(self, agent: AgentRule) -> bool:
        """Whether a script is yet to be written; one that was approved once and is not any more was tampered with."""
        if agent.script in self._settled:
            return False
        try:
            due = lock.status(agent.script, agent.spec.digest).state in (State.MISSING, State.STALE)
        except LockMismatch:
            due = False
        if not due:
            self._settled.add(agent.script)
        return due


def thread_variables(threads: int) -> dict[str, str]:
    """What tells numerical libraries how many cores they may use."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


def _files_of(job: Any) -> Iterable[Any]:
    return (*job.output, *job.log, *([job.benchmark] if job.benchmark else []))


def _files_of_script(script: Path) -> Iterable[Path]:
    """What is written when a script is; `snapshot.changes` knows the temporary names of hidden ones."""
    locked = lock.lock_path(script)
    hidden = (f".{script.name}.new", f".{locked.name}", f".{script.stem}.authoring")
    yield from (script, locked, *(script.with_name(name) for name in hidden))
    yield from script.parent.glob(f"{glob.escape(script.stem)}.edited-*.py")


def _is_agent(job: Any) -> bool:
    return hasattr(getattr(job.rule, "ruleinfo", None), "agent")


def plain_job(job: Any) -> Job:
    """A job of Snakemake in plain values."""
    workdir = Path.cwd()
    shown = params_without_secrets(script_params(job.params), secrets_of(job.dag.workflow))
    params = dict(_named(shown))
    return Job(
        rule=job.rule.name,
        workdir=workdir,
        inputs=tuple(_items(job.input, lambda path: Kind.DIRECTORY if (workdir / path).is_dir() else Kind.FILE)),
        outputs=tuple(_items(_written_by_script(job), _output_kind(job))),
        logs=tuple(_items(job.log, lambda _: Kind.FILE)),
        params=params,
        wildcards=dict(job.wildcards_dict),
        siblings=_siblings(job),
        threads=job.threads,
        resources={name: value for name, value in job.resources.items() if not name.startswith("_")},
    )


def approved_job(rule: Any, workdir: Path, *, input: Any, output: Any, log: Any, threads: int, resources: Any) -> Job:
    """What the run of an approved script needs to know of its job, from what Snakemake hands to a rule's body."""
    from snakemake.io import is_flagged

    # The paths that a body gets have lost their flags; the rule's patterns stand in the same order.
    patterns = list(zip(rule.output, output, strict=True))
    directories = {str(path) for pattern, path in patterns if is_flagged(pattern, "directory")}
    touched = {str(path) for pattern, path in patterns if is_flagged(pattern, "touch")}
    outputs = _items(output, lambda path: Kind.DIRECTORY if path in directories else Kind.FILE)
    return Job(
        rule=rule.name,
        workdir=workdir,
        inputs=tuple(_items(input, lambda path: Kind.DIRECTORY if (workdir / path).is_dir() else Kind.FILE)),
        outputs=tuple(item for item in outputs if item.path not in touched),
        logs=tuple(_items(log, lambda _: Kind.FILE)),
        threads=threads,
        resources={name: value for name, value in resources.items() if not name.startswith("_")},
    )


def _siblings(job: Any) -> tuple[dict[str, str], ...]:
    """Wildcards of the other jobs of the rule in this run."""
    others = (other for other in list(job.dag.jobs) if other.rule is job.rule and other is not job)
    return tuple(sorted((dict(other.wildcards_dict) for other in others), key=lambda values: sorted(values.items())))


def _named(namedlist: Any) -> Iterable[tuple[str, Any]]:
    for index, (name, value) in enumerate(namedlist._allitems()):
        yield (name if name is not None else f"[{index}]"), value


def _items(namedlist: Any, kind: Callable[[str], Kind]) -> Iterable[Item]:
    plain = namedlist._plainstrings()
    for name, value in plain._allitems():
        for path in value if isinstance(value, list) else [value]:
            yield Item(name=name, path=str(path), kind=kind(str(path)))


def _written_by_script(job: Any) -> Any:
    """The outputs that the script has to write; `touch()` outputs are made by Snakemake."""
    touched = {str(path) for path in job.touch_output}
    if not touched:
        return job.output
    from snakemake.iocontainers import OutputFiles

    kept = OutputFiles()
    for name, value in job.output._allitems():
        if str(value) not in touched:
            kept.append(value)
            if name is not None:
                kept._add_name(name)
    return kept


def _output_kind(job: Any) -> Callable[[str], Kind]:
    directories = {str(path) for path in job.output if path.is_directory}
    return lambda path: Kind.DIRECTORY if path in directories else Kind.FILE


def _preamble(job: Any, script: Path, layout: Layout) -> str:
    from snakemake.script import PythonScript
    from snakemake.sourcecache import LocalSourceFile

    secrets = secrets_of(job.dag.workflow)
    preamble: str = PythonScript.generate_preamble(
        path=LocalSourceFile(str(script)), cache_path=None, source=None, basedir=job.rule.basedir,
        input_=as_seen(job.input, layout), output=as_seen(job.output, layout),
        params=params_without_secrets(script_params(job.params), secrets),
        wildcards=job.wildcards, threads=job.threads, resources=resources_inside(job.resources, layout),
        log=as_seen(job.log, layout), config=without_secrets(job.rule.module_globals["config"], secrets),
        rulename=job.rule.name, conda_env=None, container_img=None, singularity_args=None, env_modules=None,
        bench_record=None, jobid=job.jobid, bench_iteration=None,
        cleanup_scripts=True, shadow_dir=None, is_local=False,
    )  # fmt: skip
    return preamble + with_modules(layout)


def with_modules(layout: Layout) -> str:
    """A line that lets a script import modules that the person has made readable; after all others."""
    if layout.tmp is None:
        return ""
    return f"sys.path.append({str(layout.tmp / MODULES)!r})\n"


def as_seen(files: Any, layout: Layout) -> Any:
    """Inputs, outputs or logs with their paths as they are inside a stage."""
    return type(files)(toclone=files._plainstrings(), custom_map=lambda path: layout.paths.get(str(path), str(path)))


def resources_inside(resources: Any, layout: Layout) -> Any:
    """A job's resources with the script's own folder for temporary files."""
    if layout.tmp is None or "tmpdir" not in resources.keys():  # noqa: SIM118 (it iterates over its values)
        return resources
    inside = type(resources)()
    for name, value in resources._allitems():
        inside.append(str(layout.tmp) if name == "tmpdir" else value)
        if name is not None:
            inside._add_name(name)
    return inside


def script_params(params: Any) -> Any:
    """The params as the rule's author wrote them, without the digest that the directive added."""
    from snakemake.iocontainers import Params

    if DIGEST_PARAM not in params.keys():  # noqa: SIM118 (a `Params` iterates over its values)
        return params
    plain = Params()
    for name, value in params._allitems():
        if name == DIGEST_PARAM:
            continue
        plain.append(value)
        if name is not None:
            plain._add_name(name)
    return plain


@dataclass(frozen=True)
class Entrance:
    """How the rule's software environment is entered; see `protocols.Program`."""

    enter: tuple[str, ...] = ()
    python: str = sys.executable
    managed: bool = False
    container: Mapping[str, str] | None = None


def _entrance(job: Any) -> Entrance:
    """How the rule's Python is started: directly, or inside the environment that Snakemake made for the rule."""
    settings = job.dag.workflow.deployment_settings
    methods = {method.name for method in settings.deployment_method}
    if "CONDA" in methods and job.conda_env is not None:
        from snakemake.deployment.conda import Conda

        conda = Conda(container_img=None, prefix_path=job.dag.workflow.conda_base_path)
        return Entrance(_in_bash(conda.shellcmd(job.conda_env.address, COMMAND)), "python", managed=True)
    if "ENV_MODULES" in methods and job.env_modules is not None:
        return Entrance(_in_bash(job.env_modules.shellcmd(COMMAND)), "python", managed=True)
    if "APPTAINER" in methods and job.container_img_path is not None:
        from snakemake.deployment import singularity

        inside = singularity.shellcmd(
            job.container_img_path, COMMAND, args=settings.apptainer_args, is_python_script=True
        )
        # It ends with `sh -c COMMAND`, which gets arguments of its own.
        return Entrance(_in_bash(f'{inside} llmagent "$@"'), "python", container=container_places())
    return Entrance()


COMMAND = 'exec "$@"'
"""In a shell: become what follows, whatever characters are in it."""


def container_places() -> dict[str, str]:
    """Where Snakemake shows its own packages, and ours beside them, inside a container."""
    from snakemake.common import get_snakemake_searchpaths
    from snakemake.deployment.singularity import get_snakemake_searchpath_mountpoints

    places = zip(get_snakemake_searchpaths(), get_snakemake_searchpath_mountpoints(), strict=True)
    return {str(outside): str(inside) for outside, inside in places}


def _in_bash(command: str) -> tuple[str, ...]:
    """A command of bash that finds what follows in `$@`."""
    return ("bash", "-c", command, "llmagent")


def _environment(job: Any) -> str:
    methods = {method.name for method in job.dag.workflow.deployment_settings.deployment_method}
    note = "The script does not run in this Python but in the environment of its rule, with the packages of that one"
    if "CONDA" in methods and job.conda_env is not None:
        content = getattr(job.conda_env, "content", b"")
        text = content.decode(errors="replace") if isinstance(content, bytes) else str(content)
        return f"{note}, made with conda:\n\n{fenced(text, 'yaml')}"
    if "ENV_MODULES" in methods and job.env_modules is not None:
        return f"{note}, made with environment modules: {one_line(str(job.env_modules))}."
    if "APPTAINER" in methods and job.container_img_path is not None:
        return f"{note}, the container {one_line(str(job.container_img_url or job.container_img_path))}."
    return ""
