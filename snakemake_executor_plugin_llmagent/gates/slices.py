"""First entries of large inputs, so that a script that is wrong costs seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.data.kinds import format_of
from snakemake_executor_plugin_llmagent.protocols import Job, Task
from snakemake_executor_plugin_llmagent.spec import Kind
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trials import Slice, StandIn, Worker

USUAL_ENTRIES = 50_000
"""How many entries a slice has, where nobody chose."""
LARGE_ENTRIES, LARGE_BYTES = 200_000, 50_000_000
"""Where nobody chose, inputs of more entries or bytes are large."""
WORTH_A_LOOK = 1_000_000
"""Shorter files cannot be large [bytes]."""
CAN_BE_CUT = ("root", "parquet", "npz", "npy", "csv", "json")


class Slicer:
    """Makes slices, each once."""

    def __init__(self, worker: Worker, folder: Path, wanted: int | None) -> None:
        """Prepare.

        Args:
            worker: cuts files.
            folder: where copies are put; need not exist.
            wanted: how many entries are kept, 0 for all; None: the usual number, of large inputs only.
        """
        self._worker = worker
        self._folder = folder
        self._wanted = wanted
        self._known: dict[object, tuple[Mapping[str, Path], str]] = {}

    def __call__(self, task: Task) -> Slice | None:
        """The task on the first entries of its large inputs; None if it has none, or they cannot be cut."""
        files = self._worth_a_look(task.job)
        if self._wanted == 0 or not files:
            return None
        key = tuple((path, str(place), place.stat().st_mtime_ns) for path, place in files.items())
        if key not in self._known:
            self._known[key] = self._cut(files)
        copies, label = self._known[key]
        return Slice(task=StandIn(task, copies), entries=self.entries, label=label) if copies else None

    @property
    def entries(self) -> int:
        """How many entries are kept."""
        return USUAL_ENTRIES if self._wanted is None else self._wanted

    def _worth_a_look(self, job: Job) -> dict[str, Path]:
        files = {item.path: job.real(item) for item in job.inputs if item.kind is Kind.FILE}
        files = {path: place for path, place in files.items() if place.is_file() and format_of(place) in CAN_BE_CUT}
        least = 0 if self._wanted else WORTH_A_LOOK
        return files if any(place.stat().st_size >= least for place in files.values()) else {}

    def _cut(self, files: Mapping[str, Path]) -> tuple[Mapping[str, Path], str]:
        chosen = self._wanted is not None
        question = {
            "files": [{"path": path, "place": str(place)} for path, place in files.items()],
            "entries": self.entries,
            "above": self.entries if chosen else LARGE_ENTRIES,
            "size": 0 if chosen else LARGE_BYTES,
        }
        place = self._folder / str(len(self._known))
        place.mkdir(parents=True)
        worked = self._worker("first", question, read=files.values(), write=place)
        try:
            answer: Any = worked.answer
            copies = {path: place / Path(str(answer["files"][path])).name for path in files if path in answer["files"]}
            total = {path: int(answer["entries"][path]) for path in copies}
        except (KeyError, TypeError, ValueError):
            return {}, ""
        if not copies or not all(copy.is_file() for copy in copies.values()):
            return {}, ""
        largest = max(total, key=lambda path: total[path])
        others = f" and of {len(copies) - 1} more inputs" if len(copies) > 1 else ""
        return copies, f"the first {self.entries:,} of {total[largest]:,} entries of `{one_line(largest)}`{others}"
