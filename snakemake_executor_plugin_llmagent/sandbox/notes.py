"""Short files that are put into a stage while something runs in it."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path


class Notes:
    """What a program in a stage is told by and by, by the names of files; for several threads.

    What is said before the stage is there is put into it as soon as it is.
    """

    def __init__(self) -> None:
        """Say nothing yet."""
        self._said: dict[str, str] = {}
        self._stage: Path | None = None
        self._saying = threading.Lock()

    def take(self, stage: Path) -> None:
        """Put everything into a stage from now on; into the folder around it the program cannot write."""
        with self._saying:
            self._stage = stage
            for name in self._said:
                self._write(stage, name)

    def leave(self) -> None:
        """Put nothing more into the stage, which is about to be removed."""
        with self._saying:
            self._stage = None

    def say(self, name: str, text: str) -> None:
        """Put a file into the stage, all at once."""
        with self._saying:
            self._said[name] = text
            if self._stage is not None:
                self._write(self._stage, name)

    def unsay(self, name: str) -> None:
        """Take a file away again, for which no room on the disk is needed."""
        with self._saying:
            self._said.pop(name, None)
            if self._stage is not None:
                with suppress(IsADirectoryError, PermissionError):
                    (self._stage / name).unlink(missing_ok=True)

    def said(self, name: str) -> bool:
        """Whether this is said."""
        return name in self._said

    def _write(self, stage: Path, name: str) -> None:
        made = stage.with_name(f"{stage.name}.{name}")
        made.write_text(self._said[name], encoding="utf-8")
        # A link that a program has put there is replaced, not followed; one that stands in its own way hears nothing.
        with suppress(IsADirectoryError, PermissionError):
            made.rename(stage / name)
