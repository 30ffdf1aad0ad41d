"""The first sandbox: an empty stage directory, a clean environment, a process group of its own, a time limit.

It keeps scripts apart and clean; it does not defend against a hostile one (docs/isolation.md has the table).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.protocols import Execution, Job, Layout, Task
from snakemake_executor_plugin_llmagent.sandbox import environment, layout, process, snapshot
from snakemake_executor_plugin_llmagent.sandbox.inotify import InputWatch
from snakemake_executor_plugin_llmagent.sandbox.process import Limits
from snakemake_executor_plugin_llmagent.sandbox.warden import Warden
from snakemake_executor_plugin_llmagent.text import clean, shorten

LOG_CHARACTERS = 16_000
"""How much of what a script printed is kept in an execution [characters]."""
LINE_CHARACTERS = 1_000
"""How much of one line is kept [characters]; Snakemake's lines in front of a script hold whole pickled objects."""
ROOM_BYTES = 1 << 20
"""Where not even this much can be written, the disk is full [bytes]."""


class StagedSandbox:
    """Runs scripts in stage directories."""

    name = "staged"

    def __init__(
        self, *, outer: Mapping[str, str], cache: Path, limits: Limits, warden: Warden, cancelled: threading.Event
    ) -> None:
        """Prepare to run scripts.

        Args:
            outer: the environment of this process; an allow list of it reaches scripts.
            cache: a directory that all scripts of the project share, for fonts and the like.
            limits: what a script may use.
            warden: ends scripts if this process is killed.
            cancelled: set when everything has to end.
        """
        self._outer = dict(outer)
        self._cache = cache
        self._limits = limits
        self._warden = warden
        self._cancelled = cancelled

    def run(self, task: Task, source: str, stage: Path) -> tuple[Layout, Execution]:
        """Run a script for a job in an empty stage directory and wait for it."""
        job = task.job
        attic = stage.with_name(f"{stage.name}.private")
        try:
            plan = layout.plan(job, stage)
            layout.build(plan, job)
            for folder in (attic / "home", attic / "tmp", self._cache):
                folder.mkdir(parents=True, exist_ok=True)
            self._warden.watch()
            execution = self._run(task, source, plan, attic)
            if not execution.succeeded:
                _prove_there_is_room(stage)
        except OSError as error:
            raise SandboxUnavailable(f"The stage {stage} cannot be used: {error}.") from error
        finally:
            layout.remove(attic)
        return plan, execution

    def _run(self, task: Task, source: str, plan: Layout, attic: Path) -> Execution:
        job = task.job
        program = task.program(source, plan)
        # Python looks for modules beside the script: `select.py` there would hide the standard library's.
        script = attic / f"trial.{job.rule}.py"
        script.write_text(program.text, encoding="utf-8")
        log = attic / "log"
        clean_env = environment.clean_environment(
            self._outer, home=attic / "home", scratch=attic / "tmp", cache=self._cache,
            token=self._warden.new_token(), added=program.env,
        )  # fmt: skip
        inputs = [(item.path, job.real(item)) for item in job.inputs]
        before, others_before = _surroundings(job), task.bystanders()
        with InputWatch(inputs) as watch:
            ending, returncode, seconds = process.run(
                tuple(part.replace("{script}", str(script)) for part in program.command),
                directory=plan.stage, environment=clean_env, log=log,
                limits=self._limits, cancelled=self._cancelled, tick=watch.drain,
            )  # fmt: skip
            access = watch.access()
        others = task.bystanders()
        others = None if others_before is None or others is None else others_before | others
        return Execution(
            ending=ending,
            returncode=returncode,
            seconds=seconds,
            log=_readable_log(log, _Names(script=script, stage=plan.stage, lines_before=program.lines_before)),
            access=access,
            strays=layout.strays(plan, job),
            changed=snapshot.changes(before, _surroundings(job), others),
            sandbox=self.name,
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


def _surroundings(job: Job) -> snapshot.Snapshot | None:
    return snapshot.take(job.workdir, also=(job.real(item) for item in job.inputs))


@dataclass(frozen=True)
class _Names:
    """What stands for our places in what a script printed.

    Attributes:
        script, stage: our places.
        lines_before: how many lines of ours stand before the script's own first line.
    """

    script: Path
    stage: Path
    lines_before: int

    @property
    def name(self) -> str:
        """The script as the author knows it."""
        return self.script.name.removeprefix("trial.")

    def apply(self, text: str) -> str:
        """The text with the script's own name, its own line numbers, and paths as the author knows them."""
        pattern = re.compile(re.escape(str(self.script)) + r"(?P<mark>\", line |:)(?P<line>\d+)")
        text = pattern.sub(self._place, text)
        return text.replace(str(self.script), self.name).replace(f"{self.stage}{os.sep}", "")

    def _place(self, match: re.Match[str]) -> str:
        return f"{self.name}{match['mark']}{max(1, int(match['line']) - self.lines_before)}"


def _readable_log(log: Path, names: _Names) -> str:
    """What a script printed, harmless and bounded."""
    size = log.stat().st_size
    with log.open("rb") as handle:
        data = handle.read(LOG_CHARACTERS * 2)
        if size > len(data):
            handle.seek(max(len(data), size - LOG_CHARACTERS * 2))
            data += b"\n[...]\n" + handle.read()
    text = clean(names.apply(data.decode("utf-8", errors="replace")))
    lines = (line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]} [...]" for line in text.split("\n"))
    return shorten("\n".join(lines), LOG_CHARACTERS)
