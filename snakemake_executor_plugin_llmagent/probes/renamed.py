"""A task whose inputs have other names; what they hold is the same."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.protocols import Item, Layout, Program, Task
from snakemake_executor_plugin_llmagent.spec import Kind

FOLDER = "renamed-inputs"


class Renamed:
    """A task with other names of its inputs, as the script sees them; implements `Task`."""

    def __init__(self, task: Task, inputs: Collection[str] | None) -> None:
        """Rename inputs that are files: those of these names (or paths), or all."""
        self._task = task
        job = task.job
        chosen = [item for item in job.inputs if item.kind is Kind.FILE and _is_chosen(item, inputs)]
        self._names = {item.path: f"{FOLDER}/{number:03}{_suffix(item)}" for number, item in enumerate(chosen)}
        items = tuple(replace(item, path=self._names.get(item.path, item.path)) for item in job.inputs)
        places = {self._names[item.path]: job.real(item) for item in chosen}
        self.job = replace(job, inputs=items, stand_ins={**job.stand_ins, **places})

    @property
    def names(self) -> dict[str, str]:
        """Path as the rule gives it → as the script sees it."""
        return self._names

    @property
    def environment(self) -> str:
        """The software environment, as for the task itself."""
        return self._task.environment

    def program(self, source: str, layout: Layout) -> Program:
        """Make a script ready to run, with the new names in the place of those that the rule gives."""
        paths = {old: layout.paths[new] for old, new in self._names.items()}
        return self._task.program(source, replace(layout, paths={**layout.paths, **paths}))

    def bystanders(self) -> frozenset[Path] | None:
        """Files that other jobs may be writing."""
        return self._task.bystanders()


def _is_chosen(item: Item, inputs: Collection[str] | None) -> bool:
    return inputs is None or item.name in inputs or item.path in inputs


def _suffix(item: Item) -> str:
    suffixes = Path(item.path).suffixes
    packed = suffixes[-1:] in ([".gz"], [".xz"], [".zst"], [".bz2"])
    return "".join(suffixes[-2:] if packed else suffixes[-1:])
