"""The files of a research object, and how they are described."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from snakemake_executor_plugin_llmagent.spec import digest_text

Entity = dict[str, Any]


@dataclass(frozen=True)
class Copies:
    """The files of a crate.

    Attributes:
        folder: the crate.
        root: the project; what lies in it has the same place in the crate.
    """

    folder: Path
    root: Path

    def add(self, path: Path, form: str, about: str) -> Entity | None:
        """Copy a file into the crate; None if it is not there."""
        return self.add_file(path, form, about) if path.is_file() else None

    def add_file(self, path: Path, form: str, about: str) -> Entity:
        """Copy a file into the crate.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        place = self._place(path)
        (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.folder / place)
        return {
            "@id": self.name(path),
            "@type": "File",
            "name": path.name,
            "description": about,
            **({"encodingFormat": form} if form else {}),
            "contentSize": str(path.stat().st_size),
        }

    def add_folder(self, path: Path, about: str) -> Entity:
        """Copy a directory into the crate."""
        place = self._place(path)
        shutil.copytree(path, self.folder / place, dirs_exist_ok=True)
        return {"@id": f"{self.name(path)}/", "@type": "Dataset", "name": path.name, "description": about}

    def name(self, path: Path) -> str:
        """How the crate refers to a file that it has a copy of."""
        return quote(str(self._place(path)))

    def _place(self, path: Path) -> PurePosixPath:
        path = path.parent.resolve() / path.name  # a link keeps its own name and place
        if path.is_relative_to(self.root):
            return PurePosixPath(path.relative_to(self.root))
        return PurePosixPath("elsewhere", digest_text(str(path.parent))[:8], path.name)


def gather(entities: Iterable[Entity]) -> dict[str, Entity]:
    """Entities by their names; where one comes twice, the first says what it is, and the others add to it."""
    found: dict[str, Entity] = {}
    for entity in entities:
        found[entity["@id"]] = {**entity, **found.get(entity["@id"], {})}
    return found


def types(entity: Entity) -> set[str]:
    """What an entity is."""
    kinds = entity["@type"]
    return set(kinds) if isinstance(kinds, list) else {kinds}


def refer(*names: str) -> Entity | list[Entity]:
    """A reference to an entity, or references to some."""
    found = [{"@id": name} for name in names]
    return found[0] if len(found) == 1 else found


def names(entities: Iterable[Entity]) -> list[str]:
    """How entities are referred to."""
    return [entity["@id"] for entity in entities]


def identifier(text: str) -> str:
    """A text as part of the name of an entity."""
    return quote(re.sub(r"\s+", "-", text), safe="")
