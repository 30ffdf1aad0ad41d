"""A workflow and its run as entities of a research object (Workflow RO-Crate 1.0, Workflow Run Crate 0.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mimetypes import MimeTypes
from pathlib import Path
from urllib.parse import quote

from snakemake_executor_plugin_llmagent.export.files import Copies, Entity, identifier, names, refer

LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
RUN = "#run"
_HOME = "https://snakemake.readthedocs.io"
_FORMS = MimeTypes()  # without what this machine adds to them


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """A file or a directory that a run took or made.

    Attributes:
        path: as the rules give it.
        place: where it lies.
        about: what it is, in a sentence.
        slots: names of the inputs or outputs of rules that it is.
        withheld: why the crate must have no copy of it; empty if it may.
    """

    path: str
    place: Path
    about: str
    slots: tuple[str, ...]
    withheld: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a workflow, or several that made its results together.

    Attributes:
        about: what is known of it, in words.
        inputs: what it took and no rule makes.
        results: what the default target asks for and is there.
        start, end: when it began and ended, in UTC, ISO 8601; empty if nobody knows.
        person: who ran it; empty if nobody says.
    """

    about: str
    inputs: tuple[RunFile, ...]
    results: tuple[RunFile, ...]
    start: str = ""
    end: str = ""
    person: str = ""


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A workflow.

    Attributes:
        snakefile: its main Snakefile.
        included: the other ones.
        snakemake: the version of Snakemake that read it.
        largest: up to which size the crate has copies of what its run took and made [bytes].
        run: None if nothing is known of one.
    """

    snakefile: Path
    included: tuple[Path, ...]
    snakemake: str
    largest: int
    run: Run | None = None


def describe_workflow(copies: Copies, workflow: Workflow, scripts: Sequence[str]) -> Iterator[Entity]:
    """What a crate says of a workflow and its run, the workflow first; their files are copied meanwhile.

    Args:
        copies: the files of the crate.
        workflow: the workflow.
        scripts: names of the scripts that its agent rules run.
    """
    main = copies.add_file(workflow.snakefile, "text/x-python", "The workflow.")
    run = workflow.run
    taken, made = (run.inputs, run.results) if run else ((), ())
    inputs, outputs = _parameters("input", taken), _parameters("output", made)
    yield {
        **main,
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "programmingLanguage": {"@id": LANGUAGE},
        "hasPart": refer(*scripts),
        **({"input": refer(*names(inputs))} if inputs else {}),
        **({"output": refer(*names(outputs))} if outputs else {}),
    }
    yield {
        "@id": LANGUAGE, "@type": "ComputerLanguage", "name": "Snakemake", "url": {"@id": _HOME},
        "identifier": {"@id": _HOME}, "version": workflow.snakemake,
    }  # fmt: skip
    for path in workflow.included:
        included = copies.add(path, "text/x-python", "Included by the workflow.")
        if included is not None:
            yield as_snakemake(included)
    yield from (*inputs, *outputs)
    if run is not None:
        objects = [_data(copies, "input", file, workflow.largest) for file in taken]
        results = [_data(copies, "output", file, workflow.largest) for file in made]
        yield from (*objects, *results, *_action(run, main, names(objects), names(results)))


def as_snakemake(source: Entity) -> Entity:
    """A file as one that Snakemake reads."""
    return {**source, "@type": ["File", "SoftwareSourceCode"], "programmingLanguage": {"@id": LANGUAGE}}


def _action(run: Run, main: Entity, objects: Sequence[str], results: Sequence[str]) -> Iterator[Entity]:
    person = f"#person-{identifier(run.person)}" if run.person else ""
    if person:
        yield {"@id": person, "@type": "Person", "name": run.person}
    yield {
        "@id": RUN,
        "@type": "CreateAction",
        "name": f"Run of the workflow {main['name']}",
        "description": run.about,
        "instrument": {"@id": main["@id"]},
        **({"agent": {"@id": person}} if person else {}),
        **({"startTime": run.start} if run.start else {}),
        **({"endTime": run.end} if run.end else {}),
        **({"object": refer(*objects)} if objects else {}),
        "result": refer(*results),
    }


def _parameters(kind: str, files: Sequence[RunFile]) -> list[Entity]:
    """The inputs or outputs of rules that files are."""
    found: dict[str, set[str]] = {}
    for file in files:
        for slot in file.slots:
            found.setdefault(slot, set()).add("Dataset" if file.place.is_dir() else "File")
    return [
        {
            "@id": _parameter(kind, slot), "@type": "FormalParameter", "additionalType": _one(sorted(kinds)),
            "name": slot, "description": f"An {kind} of a rule of the workflow.",
        }
        for slot, kinds in sorted(found.items())
    ]  # fmt: skip


def _one(kinds: list[str]) -> str | list[str]:
    return kinds[0] if len(kinds) == 1 else kinds


def _parameter(kind: str, slot: str) -> str:
    return f"#{kind}-{identifier(slot)}"


def _data(copies: Copies, kind: str, file: RunFile, largest: int) -> Entity:
    """A file or directory that a run took or made, with a copy in the crate if there may be one."""
    why = file.withheld or _too_much(file.place, largest)
    entity = _not_copied(file, why) if why else _copied(copies, file)
    return {**entity, "exampleOfWork": refer(*(_parameter(kind, slot) for slot in file.slots))}


def _not_copied(file: RunFile, why: str) -> Entity:
    return {
        "@id": f"#file-{identifier(file.path)}", "@type": "CreativeWork", "name": file.path,
        "description": f"{file.about} No copy is in this crate: {why}.",
    }  # fmt: skip


def _copied(copies: Copies, file: RunFile) -> Entity:
    if file.place.is_dir():
        entity = copies.add_folder(file.place, file.about)
    else:
        entity = copies.add_file(file.place, _FORMS.guess_type(file.place.name)[0] or "", file.about)
    moved = entity["@id"].rstrip("/") != quote(file.path.rstrip("/"))
    return {**entity, "alternateName": file.path} if moved else entity


def _too_much(place: Path, largest: int) -> str:
    """Why a file or directory is too much to be copied; empty if it is not."""
    files = [path for path in place.rglob("*") if not path.is_dir()] if place.is_dir() else [place]
    if place.is_dir() and any(path.is_symlink() for path in place.rglob("*")):
        return "it holds links"
    if not all(path.is_file() for path in files):
        return "it is, or holds, something else than files"
    size = sum(path.stat().st_size for path in files)
    return f"it has {size} bytes" if size > largest else ""
