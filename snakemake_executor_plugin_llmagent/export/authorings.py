"""How a script came about, as entities of a research object (Process Run Crate 0.5).

Each authoring is an action: by means of a model, from the file that states the sentence, to a script and its lock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from snakemake_executor_plugin_llmagent.export.files import Copies, Entity, identifier, names, refer
from snakemake_executor_plugin_llmagent.export.run import as_snakemake
from snakemake_executor_plugin_llmagent.lock import Lock, lock_path
from snakemake_executor_plugin_llmagent.session import EVENTS, Story
from snakemake_executor_plugin_llmagent.spec import Spec

REPOSITORY = "https://github.com/snakemake-llmagent/snakemake-executor-plugin-llmagent"
"""The plugin, by means of which scripts were written."""


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


def describe_authoring(copies: Copies, one: Authored) -> Iterator[Entity]:
    """What a crate says of a rule; its files are copied meanwhile."""
    source = copies.add(Path(one.spec.source_file), "text/x-python", "Defines the rule.")
    source = as_snakemake(source) if source is not None else None
    about = f"Written by a model for rule {one.rule}: {one.lock.spec_text}"
    script = copies.add_file(one.script, "text/x-python", about)
    lock = copies.add_file(lock_path(one.script), "application/yaml", "What the script was approved for.")
    script |= {"@type": ["File", "SoftwareSourceCode"], "programmingLanguage": "Python"}
    session, models = list(_session(copies.folder, one)), list(_models(one))
    yield from (*([source] if source else []), script, lock, *session, *models)
    yield {
        "@id": f"#authoring-{identifier(one.rule)}",
        "@type": "CreateAction",
        "name": f"Authoring of the script of rule {one.rule}",
        "description": f"{one.lock.attempts} attempts; tokens: {dict(one.lock.usage)}",
        **_times(one),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "instrument": refer(*dict.fromkeys([REPOSITORY, *names(models)])),
        **({"object": {"@id": source["@id"]}} if source else {}),
        "result": refer(*names([script, lock, *session[:1]])),
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
    for role, model in one.lock.models.items():
        asked, reported = model.get("asked", ""), model.get("reported", "")
        yield {
            "@id": f"#model-{identifier(reported or asked)}",
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
    person = f"#person-{identifier(approval.name or 'unknown')}"
    yield {"@id": person, "@type": "Person", "name": approval.name or "unknown"}
    yield {
        "@id": f"#approval-{identifier(one.rule)}",
        "@type": "AssessAction",
        "name": f"Approval of the script of rule {one.rule}",
        "agent": {"@id": person},
        "object": {"@id": script["@id"]},
        "endTime": approval.time,
    }
