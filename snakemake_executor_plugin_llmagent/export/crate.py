"""A workflow, its run and how its scripts came about as a research object: a Workflow Run RO-Crate, version 0.5.

The crate holds copies of Snakefiles, scripts, locks, sessions and of what the run took and made, so that it says the
same wherever it is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.export.authorings import REPOSITORY, Authored, describe_authoring
from snakemake_executor_plugin_llmagent.export.files import Copies, Entity, gather, names, refer, types
from snakemake_executor_plugin_llmagent.export.run import Workflow, describe_workflow
from snakemake_executor_plugin_llmagent.session import utc_now

METADATA = "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
CONTEXT = f"{SPECIFICATION}/context"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
RUN_PROFILE = {"https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5")}
"""What a crate conforms to, and what one in which the workflow was run conforms to beside that: name and version."""


def write_crate(folder: Path, authored: Sequence[Authored], workflow: Workflow, root: Path) -> None:
    """Write a crate into a new folder.

    Args:
        folder: where it goes.
        authored: the rules.
        workflow: the workflow that they belong to.
        root: the project; what lies in it has the same place in the crate.

    Raises:
        ConfigError: the folder is there already, and not empty.
        OSError: a file cannot be copied or written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is there already, and not empty. Name another folder with --output.")
    folder.mkdir(parents=True, exist_ok=True)
    copies = Copies(folder, root.resolve())
    written = [entity for one in authored for entity in describe_authoring(copies, one)]
    scripts = list(dict.fromkeys(copies.name(one.script) for one in authored))
    whole = list(describe_workflow(copies, workflow, scripts))
    entities = gather([*whole, *written])
    profiles = PROFILES | RUN_PROFILE if workflow.run else PROFILES
    graph = [
        _descriptor(), _root(authored, entities, main=whole[0]["@id"], profiles=list(profiles)), *entities.values(),
        *_always(profiles),
    ]  # fmt: skip
    text = json.dumps({"@context": CONTEXT, "@graph": graph}, indent=2, ensure_ascii=False)
    (folder / METADATA).write_text(text + "\n", encoding="utf-8")


def _descriptor() -> Entity:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": refer(SPECIFICATION, WORKFLOW_CRATE),
        "about": {"@id": "./"},
    }


def _root(
    authored: Sequence[Authored], entities: Mapping[str, Entity], *, main: str, profiles: Sequence[str]
) -> Entity:
    rules = ", ".join(one.rule for one in authored)
    files = [entity for entity in entities.values() if types(entity) & {"File", "Dataset"}]
    actions = [entity for entity in entities.values() if types(entity) & {"CreateAction", "AssessAction"}]
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"A workflow with scripts of the agent rules {rules}",
        "description": "A Snakemake workflow, scripts that language models wrote from sentences in it, the locks that "
        "say what each was approved for, and the sessions in which they came about.",
        "datePublished": utc_now(),
        "license": {"@id": "#license"},
        "conformsTo": refer(*profiles),
        "mainEntity": {"@id": main},
        "hasPart": refer(*names(files)),
        "mentions": refer(*names(actions)),
    }


def _always(profiles: Mapping[str, tuple[str, str]]) -> list[Entity]:
    text = "The plugin of Snakemake that had the scripts written, run, checked and reviewed."
    return [
        *(
            {"@id": profile, "@type": "CreativeWork", "name": name, "version": version}
            for profile, (name, version) in profiles.items()
        ),
        {"@id": "#license", "@type": "CreativeWork", "name": "Not stated", "description": "As the project's files."},
        {
            "@id": REPOSITORY, "@type": "SoftwareApplication", "name": "snakemake-executor-plugin-llmagent",
            "description": text, "url": REPOSITORY,
            "softwareVersion": metadata.version("snakemake-executor-plugin-llmagent"),
        },
    ]  # fmt: skip
