"""Scripts and how they came about as a research object: a Process Run Crate (Workflow Run RO-Crate, version 0.5).

Each authoring is an action: by means of a model, from the file that states the sentence, to a script and its lock. The
crate holds copies of all of these and of the sessions, so that it says the same wherever it is taken.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.lock import Lock, lock_path
from snakemake_executor_plugin_llmagent.session import EVENTS, Story, utc_now
from snakemake_executor_plugin_llmagent.spec import Spec, digest_text

METADATA = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
REPOSITORY = "https://github.com/snakemake-llmagent/snakemake-executor-plugin-llmagent"

Entity = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Authored:
    """A rule with a script.

    Attributes:
        rule: its name.
        spec: what it asks for.
        script: where its script lies.
        lock: what that was approved for.
        story: the session it came from; None if that is not there any more.
    """

    rule: str
    spec: Spec
    script: Path
    lock: Lock
    story: Story | None


def write_crate(folder: Path, authored: Sequence[Authored], root: Path) -> None:
    """Write a crate into a new folder.

    Args:
        folder: where it goes.
        authored: the rules.
        root: the project; what lies in it has the same place in the crate.

    Raises:
        ConfigError: the folder is there already, and not empty.
        OSError: a file cannot be copied or written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is there already, and not empty. Name another folder with --output.")
    folder.mkdir(parents=True, exist_ok=True)
    entities: dict[str, Entity] = {}
    for one in authored:
        for entity in _entities(_Copies(folder, root.resolve()), one):
            entities.setdefault(entity["@id"], entity)
    graph = [_descriptor(), _root(authored, entities), *entities.values(), *_always()]
    text = json.dumps({"@context": CONTEXT, "@graph": graph}, indent=2, ensure_ascii=False)
    (folder / METADATA).write_text(text + "\n", encoding="utf-8")


def _descriptor() -> Entity:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }


def _root(authored: Sequence[Authored], entities: dict[str, Entity]) -> Entity:
    kinds = {name: _types(entity) for name, entity in entities.items()}
    rules = ", ".join(one.rule for one in authored)
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Scripts of the agent rules {rules}",
        "description": "Scripts that language models wrote from sentences in a Snakemake workflow, the locks that say "
        "what each was approved for, and the sessions in which they came about.",
        "datePublished": utc_now(),
        "license": {"@id": "#license"},
        "conformsTo": {"@id": PROFILE},
        "hasPart": [{"@id": name} for name, types in kinds.items() if types & {"File", "Dataset"}],
        "mentions": [{"@id": name} for name, types in kinds.items() if types & {"CreateAction", "AssessAction"}],
    }


def _types(entity: Entity) -> set[str]:
    kinds = entity["@type"]
    return set(kinds) if isinstance(kinds, list) else {kinds}


def _always() -> list[Entity]:
    text = "The plugin of Snakemake that had the scripts written, run, checked and reviewed."
    return [
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": "#license", "@type": "CreativeWork", "name": "Not stated", "description": "As the project's files."},
        {
            "@id": REPOSITORY, "@type": "SoftwareApplication", "name": "snakemake-executor-plugin-llmagent",
            "description": text, "url": REPOSITORY, "softwareVersion": _version(),
        },
    ]  # fmt: skip


def _version() -> str:
    from importlib import metadata

    return metadata.version("snakemake-executor-plugin-llmagent")


@dataclass(frozen=True)
class _Copies:
    """The files of a crate."""

    folder: Path
    root: Path

    def add(self, path: Path, form: str, about: str) -> Entity | None:
        """Copy a file into the crate; None if it is not there."""
        if not path.is_file():
            return None
        place = self._place(path.resolve())
        (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.folder / place)
        return {
            "@id": quote(str(place)),
            "@type": "File",
            "name": path.name,
            "description": about,
            "encodingFormat": form,
            "contentSize": str(path.stat().st_size),
        }

    def _place(self, path: Path) -> PurePosixPath:
        if path.is_relative_to(self.root):
            return PurePosixPath(path.relative_to(self.root))
        return PurePosixPath("elsewhere", digest_text(str(path.parent))[:8], path.name)


def _entities(copies: _Copies, one: Authored) -> Iterator[Entity]:
    """What a crate says of a rule; its files are copied meanwhile."""
    source = copies.add(Path(one.spec.source_file), "text/x-python", "Defines the rule.")
    if source is not None:
        source |= {"@type": ["File", "SoftwareSourceCode"], "programmingLanguage": "Snakemake"}
    about = f"Written by a model for rule {one.rule}: {one.lock.spec_text}"
    script = copies.add(one.script, "text/x-python", about)
    lock = copies.add(lock_path(one.script), "application/yaml", "What the script was approved for.")
    assert script is not None and lock is not None
    script |= {"@type": ["File", "SoftwareSourceCode"], "programmingLanguage": "Python"}
    session, models = list(_session(copies.folder, one)), list(_models(one))
    yield from (*([source] if source else []), script, lock, *session, *models)
    yield {
        "@id": f"#authoring-{_identifier(one.rule)}",
        "@type": "CreateAction",
        "name": f"Authoring of the script of rule {one.rule}",
        "description": f"{one.lock.attempts} attempts; tokens: {dict(one.lock.usage)}",
        **_times(one),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "instrument": [{"@id": REPOSITORY}, *({"@id": model["@id"]} for model in models)],
        **({"object": {"@id": source["@id"]}} if source else {}),
        "result": [{"@id": entity["@id"]} for entity in (script, lock, *session[:1])],
    }
    yield from _approval(one, script)


def _times(one: Authored) -> dict[str, str]:
    if one.story is None or not one.story.events:
        return {"endTime": one.lock.created}
    return {"startTime": one.story.events[0]["time"], "endTime": one.lock.created}


def _session(folder: Path, one: Authored) -> Iterator[Entity]:
    if one.story is None:
        return
    place = PurePosixPath("sessions", one.rule, one.story.directory.name)
    shutil.copytree(one.story.directory, folder / place, dirs_exist_ok=True)
    events = quote(str(place / EVENTS))
    yield {
        "@id": f"{quote(str(place))}/",
        "@type": "Dataset",
        "name": f"Session of rule {one.rule}",
        "description": "Everything that was asked, answered, run and found while the script was written.",
        "hasPart": {"@id": events},
    }
    yield {
        "@id": events,
        "@type": "File",
        "name": f"Events of the session of rule {one.rule}",
        "description": "One event a line.",
        "encodingFormat": "application/jsonl",
    }


def _models(one: Authored) -> Iterator[Entity]:
    for role, names in one.lock.models.items():
        asked, reported = names.get("asked", ""), names.get("reported", "")
        yield {
            "@id": f"#model-{_identifier(reported or asked)}",
            "@type": "SoftwareApplication",
            "name": reported or asked,
            "description": f"Language model, asked as {asked}; here the {role}",
            "softwareVersion": reported or asked,
        }


def _approval(one: Authored, script: Entity) -> Iterator[Entity]:
    """Who approved the script, if a person did."""
    approval = one.lock.approval
    if approval is None or approval.by != "person":
        return
    person = f"#person-{_identifier(approval.name or 'unknown')}"
    yield {"@id": person, "@type": "Person", "name": approval.name or "unknown"}
    yield {
        "@id": f"#approval-{_identifier(one.rule)}",
        "@type": "AssessAction",
        "name": f"Approval of the script of rule {one.rule}",
        "agent": {"@id": person},
        "object": {"@id": script["@id"]},
        "endTime": approval.time,
    }


def _identifier(text: str) -> str:
    return quote(re.sub(r"\s+", "-", text), safe="")
