"""Blinded rules: who may see their data, and what everybody else sees in the place of the data.

While a rule is authored or repaired, and as long as no person has unblinded it, its jobs run on twins. Twins are made
by the executor `llmagent`; under any other a blinded rule does not run. Unblinding holds for one text of the script and
for runs that begin after it, and Snakemake learns of it by a param, so that it reruns what came from twins.
"""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.blinding.twins import Maker, Twins
from snakemake_executor_plugin_llmagent.blinding.words import in_words
from snakemake_executor_plugin_llmagent.config import NO_SANDBOX, Options, chosen_sandbox
from snakemake_executor_plugin_llmagent.errors import AgentError, ConfigError, NotApproved
from snakemake_executor_plugin_llmagent.lock import Status
from snakemake_executor_plugin_llmagent.protocols import Job, Task
from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.spec import Spec
from snakemake_executor_plugin_llmagent.trail import REJECTED

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.assembly import Assembly
    from snakemake_executor_plugin_llmagent.host.bridge import JobTask
    from snakemake_executor_plugin_llmagent.host.declared import AgentRule

TWINS_VARIABLE = "LLMAGENT_TWINS"
"""By it a Snakemake that the executor starts for one job learns of the twins of that job: path of a JSON file."""
WITHHELD = "(withheld: what a script says of data that are blinded is for persons alone)"
_HERE = threading.local()


# --- who has unblinded what -------------------------------------------------------------------------------------------


def opened_script(script: Path, spec: Spec) -> str:
    """As `lock.opened`, while a Snakefile is parsed: what cannot be read opens nothing, and is complained of later."""
    if spec.blind is None:
        return ""
    try:
        return lock.opened(lock.status(script, spec.digest))
    except (AgentError, OSError):
        return ""


def digest_param(agent: AgentRule) -> str:
    """What stands for a rule in its jobs' params: another value makes Snakemake run them again."""
    parts = [agent.spec.digest]
    if agent.spec.blind is not None:
        parts.append(f"unblinded:{agent.unblinded}" if agent.unblinded else "blinded")
    if agent.rejections:
        parts.append(f"rejected:{agent.rejections}")
    return ":".join(parts)


def times_rejected(script: Path) -> int:
    """How often people have rejected a script of the rule, while a Snakefile is parsed; as for `opened_script`.

    What a rejected script made is not up to date. As the count never falls, what the next script makes is.
    """
    path = lock.lock_path(script)
    try:
        # Reading a lock as YAML takes milliseconds, and each Snakemake that runs one job parses all rules.
        if f"act: {REJECTED}" not in path.read_text(encoding="utf-8"):
            return 0
        found = lock.read_lock(path)
    except (AgentError, OSError, UnicodeDecodeError):
        return 0
    return sum(entry["act"] == REJECTED for entry in found.trail) if found is not None else 0


def made_from_twins(recorded: Iterable[object]) -> bool:
    """Whether params, as Snakemake recorded them for an output, say that its data were hidden when it was made."""
    return any(re.fullmatch(r"'[0-9a-f]{64}:blinded'", str(param)) for param in recorded)


# --- approved scripts -------------------------------------------------------------------------------------------------


def stand_ins(agent: AgentRule, status: Status) -> Mapping[str, Path]:
    """The twins that an approved script has to run on here: path of an input → twin; none for the real data.

    Raises:
        NotApproved: it may not run on the data, and there are no twins here.
    """
    if agent.spec.blind is None:
        return {}
    twins = _twins_here(agent.name)
    if twins:
        return twins
    if not agent.unblinded:
        raise NotApproved(
            f"Agent rule {agent.name} is blinded ({in_words(agent.spec.blind)}), and nobody has unblinded it. Its jobs "
            f"can run on twins of the data with: snakemake --executor llmagent --cores 1\n"
            f"To run it on the data, under any executor: llmagent unblind {agent.name}"
        )
    _stop_if_changed(agent, status)
    return {}


def _stop_if_changed(agent: AgentRule, status: Status) -> None:
    if lock.opened(status) != agent.unblinded:
        raise NotApproved(
            f"The script of agent rule {agent.name} is not the one any more that was unblinded when this run began, so "
            f"the data are closed to it. Look at it with `llmagent show {agent.name}`, then run "
            f"`llmagent unblind {agent.name}`."
        )


def _twins_here(rule: str) -> Mapping[str, Path]:
    known = getattr(_HERE, "twins", None)
    if known is None and (place := os.environ.get(TWINS_VARIABLE)):
        known = Path(place)
    if known is None:
        return {}
    told = json.loads(known.read_text(encoding="utf-8"))
    return {path: Path(twin) for path, twin in told["files"].items()} if told["rule"] == rule else {}


def for_children() -> dict[str, str]:
    """What the environment of a Snakemake has to hold that runs the job of this thread."""
    known = getattr(_HERE, "twins", None)
    return {} if known is None else {TWINS_VARIABLE: str(known)}


@contextmanager
def _here(rule: str, twins: Twins, folder: Path) -> Iterator[None]:
    """Within it, and in this thread, the approved script of a rule runs on twins."""
    note = folder / "twins.json"
    told: dict[str, Any] = {"rule": rule, "files": {path: str(twin) for path, twin in twins.files.items()}}
    note.write_text(json.dumps(told), encoding="utf-8")
    _HERE.twins = note
    try:
        yield
    finally:
        del _HERE.twins


# --- at the desk ------------------------------------------------------------------------------------------------------


class Blinds:
    """Keeps the data of blinded rules from whoever must not see them; does nothing for other rules."""

    def __init__(
        self, assembly: Assembly, options: Callable[[AgentRule], Options], tell: Callable[[str, str], None]
    ) -> None:
        """Work for the rules of a run; `tell` says something about a rule."""
        self._assembly = assembly
        self._options = options
        self._tell = tell

    def seen(self, agent: AgentRule, task: Task, folder: Path) -> Task:
        """A task as models, and scripts on trial, may see it; twins lie in a new folder below `folder`.

        Raises:
            ConfigError: what is to be hidden cannot be hidden.
        """
        if agent.spec.blind is None:
            return task
        return self._twins(agent, task.job, folder / f"twins-{uuid.uuid4().hex}").task(task, agent.spec.blind)

    def all_seen(self, agent: AgentRule, tasks: Iterable[JobTask], folder: Path) -> list[Task]:
        """Those of some tasks whose inputs are still there, as with `seen`."""
        return [self.seen(agent, task, folder) for task in tasks if task.inputs_exist()]

    @contextmanager
    def running(self, agent: AgentRule, task: Task) -> Iterator[None]:
        """Within it an approved script sees what it may.

        Raises:
            ConfigError: what is to be hidden cannot be hidden.
            NotApproved: the data were opened to another script.
        """
        if agent.spec.blind is None:
            yield
            return
        if agent.unblinded:
            _stop_if_changed(agent, lock.status(agent.script, agent.spec.digest))
            yield
            return
        folder = self._assembly.stages.new_folder()
        try:
            twins = self._twins(agent, task.job, folder / "twins")
            self._tell(
                agent.name,
                f"BLINDED ({in_words(agent.spec.blind)}): this job runs on twins of its data, and so are its outputs. "
                f"To open the data to the script: llmagent unblind {agent.name}",
            )
            with _here(agent.name, twins, folder):
                yield
        finally:
            layout.remove(folder)

    def what_failed(self, agent: AgentRule, error: Exception) -> str:
        """What may be written down about the failure of an approved script."""
        return WITHHELD if agent.unblinded else str(error)

    def stop_if_opened(self, agent: AgentRule, *, mended: bool) -> None:
        """End a repair of a script that failed on data that were opened to it: models cannot see why.

        Raises:
            NotApproved: always, for such a rule.
        """
        if not agent.unblinded:
            return
        if mended:
            raise NotApproved(
                f"The script of agent rule {agent.name} failed, and was mended on twins of its data. The data are "
                f"closed to the new script. Look at it with `llmagent show {agent.name}`, then run "
                f"`llmagent unblind {agent.name}`."
            )
        raise NotApproved(
            f"The script of agent rule {agent.name} fails on its data, and not on their twins, which are all that a "
            f"model may see. What it said stands above, for you alone. Mend {agent.script} by hand (then `llmagent "
            f"approve {agent.name}` and `llmagent unblind {agent.name}`), or say in the rule what it has to cope with."
        )

    def _twins(self, agent: AgentRule, job: Job, folder: Path) -> Twins:
        options = self._options(agent)
        if chosen_sandbox(options, self._assembly.settings.options) == NO_SANDBOX:
            raise ConfigError(
                f"Agent rule {agent.name} is blinded, but the sandbox is switched off: a script could read the data "
                "behind its twins. Run it with a sandbox."
            )
        worker, run_aside = self._assembly.hands(options)
        twins = Maker(agent.spec, worker, run_aside).make(job, folder)
        _stop_at_detours(agent, job, twins, options)
        return twins


def _stop_at_detours(agent: AgentRule, job: Job, twins: Twins, options: Options) -> None:
    """Refuse to run where something else that scripts or models see shows the data.

    Raises:
        ConfigError: something does.
    """
    kept = {item.path: Path(os.path.realpath(job.real(item))) for item in job.inputs if item.path in twins.files}
    others = [(f"its input {item.path}", job.real(item)) for item in job.inputs if item.path not in kept]
    others += [(f"`readable` ({place})", Path(place)) for place in options.readable]
    others += [(f"`context` ({document.label})", document.path) for document in agent.spec.context]
    for label, path in others:
        for place in (path, *layout.targets(path)):
            for name, data in kept.items():
                if _shows(Path(os.path.realpath(place)), data):
                    raise ConfigError(f"Agent rule {agent.name} is blinded, but {label} shows the data of {name}.")


def _shows(place: Path, data: Path) -> bool:
    if place == data or place in data.parents or data in place.parents:
        return True
    return place.is_file() and data.is_file() and place.samefile(data)
