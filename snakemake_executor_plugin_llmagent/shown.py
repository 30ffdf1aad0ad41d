"""What models are shown of a job and of what came out of it."""

from __future__ import annotations

from pathlib import Path

from snakemake_executor_plugin_llmagent.blinding.twins import TwinTask
from snakemake_executor_plugin_llmagent.context import (
    build_context,
    importable_packages,
    python_version,
    render_description,
    representatives,
)
from snakemake_executor_plugin_llmagent.protocols import Picture, Task, Trial
from snakemake_executor_plugin_llmagent.reading import ConfinedReader
from snakemake_executor_plugin_llmagent.spec import Spec
from snakemake_executor_plugin_llmagent.text import one_line, shorten

FURTHER_PLACES = """\
## Further places

The script may read these files and folders too, besides its inputs. Modules and packages among them can be imported by
their names."""
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
MOST_PICTURES, MOST_PICTURE_BYTES = 6, 4 << 20
"""How many images a reviewer is shown, and how large one may be [bytes]."""
OUTPUT_VIEW_CHARACTERS = 20_000
"""How much of its outputs a reviewer is shown [characters]."""


def describe_job(reader: ConfinedReader, readable: tuple[str, ...], spec: Spec, task: Task, *, max_tokens: int) -> str:
    """All that a coder is told of a rule and its inputs, within a number of tokens."""
    reader.read_ahead([task.job.real(item) for item in representatives(task.job.inputs)])
    context = build_context(
        spec, task.job, describe=reader, packages=importable_packages(), python_version=python_version(),
        max_tokens=max_tokens, interpreter_note=task.environment,
    )  # fmt: skip
    parts = [context.text]
    if isinstance(task, TwinTask):
        parts.append(task.note)
    if readable:
        parts.append(FURTHER_PLACES + "\n\n" + "\n".join(f"- `{one_line(place, 1000)}`" for place in readable))
    return "\n\n".join(parts)


def show_outputs(reader: ConfinedReader, trial: Trial) -> str:
    """The outputs of a trial as a reviewer sees them."""
    if trial.layout is None:
        return "(the script did not run)"
    parts = []
    for item in trial.job.outputs:
        place = trial.layout.inside(item)
        shown = render_description(reader(place)) if place.exists() else "was not written"
        parts.append(f"{item.path}\n{shown}")
    return shorten("\n\n".join(parts), OUTPUT_VIEW_CHARACTERS)


def pictures(trial: Trial) -> tuple[Picture, ...]:
    """The images among the outputs of a trial, as they are."""
    found: list[Picture] = []
    for item in trial.job.outputs if trial.layout is not None else ():
        assert trial.layout is not None
        media_type = PICTURES.get(Path(item.path).suffix.lower())
        place = trial.layout.inside(item)
        if media_type and place.is_file() and place.stat().st_size <= MOST_PICTURE_BYTES and len(found) < MOST_PICTURES:
            found.append(Picture(name=item.path, media_type=media_type, data=place.read_bytes()))
    return tuple(found)
