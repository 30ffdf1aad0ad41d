"""Running scripts of models: in an empty stage, within walls and limits, watched from outside."""

from __future__ import annotations

import os
import site
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.protocols import Access, Confinement, Ending, Execution, Job, Layout, Task
from snakemake_executor_plugin_llmagent.sandbox import alone, caches, environment, layout, limits, process, snapshot
from snakemake_executor_plugin_llmagent.sandbox.environment import everything
from snakemake_executor_plugin_llmagent.sandbox.limits import Limits
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Report
from snakemake_executor_plugin_llmagent.sandbox.printed import Names, readable_log
from snakemake_executor_plugin_llmagent.sandbox.walls import Walls, forget
from snakemake_executor_plugin_llmagent.sandbox.warden import Warden

MODULES = "modules"
"""Folder below the script's own for temporary files where it finds modules of the person's."""
LEASES = "cores"
"""Folder of the plugin's in which scripts take cores for themselves."""
ROOM_BYTES = 1 << 20
"""Where not even this much can be written, the disk is full [bytes]."""
PROCESSES_OF_READERS = 128
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Looking at a file is no work for several cores."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all scripts of a run have in common.

    Attributes:
        project: the working directory, of which scripts see nothing but their files.
        home: folder of the plugin in it, for what is never committed.
        outer: the environment of this process; an allow list of it reaches scripts.
        readable: places that scripts may read beside their inputs.
        walls: finds out, when first needed, what confines scripts here.
    """

    project: Path
    home: Path
    outer: Mapping[str, str] = field(repr=False)
    readable: tuple[Path, ...] = ()
    walls: Callable[[], Walls]

    @property
    def cache(self) -> Path:
        """What is prepared once for all scripts."""
        return self.home / "cache"


@dataclass(frozen=True, kw_only=True)
class Room:
    """A stage and the private folders beside it, for one run of one script.

    Attributes:
        layout: how the job's files look from inside.
        attic: folder of what the script does not see: order, report, log.
        home, tmp: the script's own folders.
    """

    layout: Layout
    attic: Path
    home: Path
    tmp: Path

    @property
    def log(self) -> Path:
        """What the script printed."""
        return self.attic / "log"

    @property
    def order(self) -> Path:
        """What the supervisor is told."""
        return self.attic / "order.json"

    @property
    def report(self) -> Path:
        """What the supervisor saw."""
        return self.attic / "report.json"


@contextmanager
def room(job: Job, stage: Path) -> Iterator[Room]:
    """A stage with the job's inputs, and private folders that are gone afterwards; the stage stays.

    Raises:
        SandboxUnavailable: nothing can be made there.
    """
    attic = stage.with_name(f"{stage.name}.private")
    tmp: Path | None = None
    try:
        plan = layout.plan(job, stage)
        try:
            (attic / "home").mkdir(parents=True)
            tmp = _scratch(job, attic)
            (tmp / "cache").mkdir()
            plan = Layout(stage=plan.stage, links=plan.links, paths=plan.paths, tmp=tmp)
            layout.build(plan, job)
        except OSError as error:
            raise SandboxUnavailable(f"The stage {stage} cannot be used: {error}.") from error
        yield Room(layout=plan, attic=attic, home=attic / "home", tmp=tmp)
    finally:
        layout.remove(attic)
        if tmp is not None:
            layout.remove(tmp)


def _scratch(job: Job, attic: Path) -> Path:
    """A private folder for temporary files, where Snakemake says that such files belong."""
    wanted = job.resources.get("tmpdir")
    if isinstance(wanted, str) and os.access(wanted, os.W_OK | os.X_OK):
        return Path(tempfile.mkdtemp(prefix="llmagent-", dir=wanted)).resolve()
    (attic / "tmp").mkdir()
    return attic / "tmp"


def order(
    ground: Ground,
    place: Room,
    job: Job,
    script: Path,
    *,
    bounds: Limits,
    added: Mapping[str, str],
    managed: bool = False,
    container: Mapping[str, str] | None = None,
    show: bool = False,
) -> Order:
    """What a supervisor is told about a script.

    Args:
        ground: what is common to all scripts.
        place: what is this one's.
        job: its files.
        script: the file to run.
        bounds: what it may use.
        added: variables for its environment.
        managed: whether conda or environment modules change the environment on the way.
        container: where software of ours lies inside a container, if it runs in one (there → inside).
        show: whether what it prints goes to the terminal too.
    """
    walls = ground.walls()
    _offer_modules(ground, place)
    inputs = [(item.path, job.real(item)) for item in job.inputs]
    readable = [real for _, real in inputs]
    guarded = (ground.project, Path.home())
    readable += [target for real in readable for target in layout.targets(real) if not _shows(target, guarded)]
    roots = _packages(guarded)
    if container is not None:
        # Snakemake shows all places of its Python in there, the project too if it was started in it.
        roots = [inside for outside, inside in container.items() if not _shows(Path(outside), guarded)]
    return Order(
        backend=_inside(walls) if container else walls.backend, bwrap=walls.bwrap, bwrap_lacks=walls.lacks,
        max_abi=walls.max_abi, stage=place.layout.stage, home=place.home, tmp=place.tmp, script=script, log=place.log,
        report=place.report, limits=limits.as_order(bounds), readable=(*readable, *ground.readable),
        roots=tuple(map(Path, roots)),
        guarded=guarded, threads=job.threads, leases=ground.home / LEASES,
        environment=environment.wish(scratch=place.tmp / "cache", managed=managed, outer=ground.outer, added=added),
        watch=tuple(inputs), show=show,
    )  # fmt: skip


def _offer_modules(ground: Ground, place: Room) -> None:
    """Make Python modules and packages among what may be read importable: nobody can list the folders they lie in."""
    folder = place.tmp / MODULES
    folder.mkdir(exist_ok=True)
    for real in ground.readable:
        if real.suffix == ".py" or real.is_dir():
            with suppress(FileExistsError):  # two of one name: the first counts, as on any search path
                (folder / real.name).symlink_to(real)


def told_to_read(
    ground: Ground, folder: Path, paths: Sequence[Path], seconds: float | None, folders: Sequence[Path] = ()
) -> Order:
    """What a supervisor is told about a program of ours that reads files which nobody trusts.

    Args:
        ground: what is common to all scripts.
        folder: an empty folder; its `stage` is where the program runs and may write.
        paths: the files.
        seconds: how long it may take [s], None for as long as nobody ends it.
        folders: existing folders whose files it may read too, also those to come, but not where links in them lead.
    """
    walls = ground.walls()
    for name in ("stage", "home", "tmp"):
        (folder / name).mkdir()
    guarded = (ground.project, Path.home())
    memory = limits.machine_memory()
    bounds = Limits(
        seconds=seconds, memory=None if memory is None else memory // 2, disk=1 << 30, file_size=1 << 30,
        processes=PROCESSES_OF_READERS,
    )  # fmt: skip
    ours = Path(alone.__file__).parents[1]
    return Order(
        backend=walls.backend, bwrap=walls.bwrap, bwrap_lacks=walls.lacks, max_abi=walls.max_abi,
        stage=folder / "stage", home=folder / "home", tmp=folder / "tmp", script=ours, log=folder / "log",
        report=folder / "report.json", limits=limits.as_order(bounds), guarded=guarded,
        readable=(*paths, *folders, *(to for path in paths for to in layout.targets(path) if not _shows(to, guarded))),
        roots=(*map(Path, _packages(guarded)), ours),
        environment=environment.wish(
            scratch=folder / "tmp", managed=False, outer=ground.outer, added=dict.fromkeys(ONE_THREAD, "1")
        ),
    )  # fmt: skip


def _inside(walls: Walls) -> str:
    """What confines a script inside a container, where no namespaces can be made."""
    return "none" if walls.backend == "none" else "landlock"


def _packages(guarded: tuple[Path, ...]) -> list[str]:
    """Where this Python finds packages."""
    users = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [*site.getsitepackages(), *users, *_python_path(guarded)]


def _python_path(guarded: tuple[Path, ...]) -> list[str]:
    """Places of packages that the person's Python knows beside its own (packages installed in place, for example).

    The project itself is none, even if it is on the path because Snakemake was started there.
    """
    found = [Path(place).resolve() for place in sys.path if place and Path(place).is_dir()]
    return [str(place) for place in found if not _shows(place, guarded)]


def _shows(place: Path, guarded: tuple[Path, ...]) -> bool:
    """Whether a place is guarded, or something guarded lies in it."""
    return any(kept.resolve().is_relative_to(place.resolve()) for kept in guarded)


def in_container(path: str, container: Mapping[str, str]) -> str:
    """Where one of our files lies inside a container.

    Raises:
        SandboxUnavailable: it is not there.
    """
    for outside, inside in container.items():
        if path.startswith(outside.rstrip("/") + "/"):
            return inside.rstrip("/") + path[len(outside.rstrip("/")) :]
    raise SandboxUnavailable(
        f"The container does not show {path}, so that its scripts cannot be confined. Install the plugin beside "
        "Snakemake, which shows its own packages to containers."
    )


class ConfinedSandbox:
    """Runs candidates; implements `protocols.Sandbox`."""

    def __init__(self, *, ground: Ground, timeout: float, warden: Warden, cancelled: threading.Event) -> None:
        """Prepare to run scripts.

        Args:
            ground: what all scripts have in common.
            timeout: wall time of one run [s]; a rule's `runtime` may be shorter.
            warden: ends scripts if this process is killed.
            cancelled: set when everything has to end.
        """
        self._ground = ground
        self._timeout = timeout
        self._warden = warden
        self._cancelled = cancelled

    def run(self, task: Task, source: str, stage: Path) -> tuple[Layout, Execution]:
        """Run a script for a job in an empty stage directory and wait for it."""
        with room(task.job, stage) as place:
            self._warden.watch()
            try:
                execution = self._run(task, source, place)
                if not execution.succeeded:
                    _prove_there_is_room(stage)
            except SandboxUnavailable:
                forget(self._ground.cache)  # what once held may not any more
                raise
            except OSError as error:
                raise SandboxUnavailable(f"The stage {stage} cannot be used: {error}.") from error
            return place.layout, execution

    def _run(self, task: Task, source: str, place: Room) -> Execution:
        job, ground = task.job, self._ground
        program = task.program(source, place.layout)
        # Python looks for modules beside the script: `select.py` there would hide the standard library's.
        script = place.attic / f"trial.{job.rule}.py"
        script.write_text(program.text, encoding="utf-8")
        bounds = limits.limits_for(
            job.resources, job.threads, self._timeout, total_memory=limits.machine_memory(),
            free_disk=limits.free_disk(place.layout.stage),
        )  # fmt: skip
        told = order(
            ground, place, job, script, bounds=bounds, added=program.env, managed=program.managed,
            container=program.container,
        )  # fmt: skip
        caches.prepare(ground.cache, place.tmp / "cache", ground.outer)
        unconfined = told.backend == "none"
        before, others_before = _surroundings(job, unconfined), task.bystanders()
        report = process.run(
            told, (program.python, str(script)), environment=ground.outer, token=self._warden.new_token(),
            cancelled=self._cancelled, enter=program.enter, supervisor=supervisor_of(program.container),
        )  # fmt: skip
        caches.learn(ground.cache, place.tmp / "cache")
        others = task.bystanders()
        others = None if others_before is None or others is None else others_before | others
        changed: tuple[str, ...] | None = ()
        if unconfined:
            changed = snapshot.changes(before, _surroundings(job, unconfined), others)
        names = Names(script=script, stage=place.layout.stage, lines_before=program.lines_before)
        return _execution(report, readable_log(place.log, names), layout.strays(place.layout, job), changed, bounds)


def supervisor_of(container: Mapping[str, str] | None) -> tuple[str, str]:
    """The Python and the program that supervise."""
    if container is None:
        return sys.executable, alone.__file__
    return "python", in_container(alone.__file__, container)


def _execution(
    report: Report, log: str, strays: tuple[str, ...], changed: tuple[str, ...] | None, bounds: Limits
) -> Execution:
    assert report.returncode is not None
    return Execution(
        ending=Ending(report.ending),
        returncode=report.returncode,
        seconds=report.seconds,
        cpu_seconds=report.cpu_seconds,
        peak_memory=report.peak_memory,
        log=log,
        access={name: Access(opened=opened, read=read) for name, (opened, read) in report.access.items()},
        strays=strays,
        changed=changed,
        limit="" if report.limit is None else limits.explain(*report.limit),
        sandbox=Confinement(backend=report.backend, landlock=report.abi, limits=limits.as_order(bounds)),
    )


def _prove_there_is_room(stage: Path) -> None:
    """Tell a script that failed from a disk that is full: no better script would help.

    Raises:
        OSError: nothing can be written.
    """
    probe = stage.with_name(f"{stage.name}.room")
    try:
        with probe.open("wb") as handle:
            handle.write(bytes(ROOM_BYTES))
            handle.flush()
            os.fsync(handle.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _surroundings(job: Job, unconfined: bool) -> snapshot.Snapshot | None:
    """What a script could change; behind walls that is nothing."""
    return snapshot.take(job.workdir, also=(job.real(item) for item in job.inputs)) if unconfined else None


def run_unconfined(
    command: tuple[str, ...],
    *,
    directory: Path,
    log: Path,
    seconds: float,
    token: str,
    environment: Mapping[str, str],
    cancelled: threading.Event,
) -> Ending:
    """Run a program of the person's own to its end or to a limit of time; none of its processes is left behind.

    Raises:
        Cancelled: `cancelled` was set.
        SandboxUnavailable: nothing was run.
    """
    with tempfile.TemporaryDirectory(prefix="llmagent-aside-", dir=log.parent) as folder:
        beside = Path(folder)
        told = Order(
            backend="none", stage=directory, home=beside, tmp=beside, script=beside, log=log,
            report=beside / "report.json", environment=everything(environment),
            limits={**limits.as_order(Limits(seconds=seconds)), "processes": None, "files": None, "open_files": None},
        )  # fmt: skip
        report = process.run(told, command, environment=environment, token=token, cancelled=cancelled)
    return Ending(report.ending)
