"""What a script printed, as the author and the person read it: bounded, harmless, with names that they know."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_llmagent.text import clean, shorten

LOG_CHARACTERS = 16_000
"""How much of what a script printed is kept in an execution [characters]."""
LINE_CHARACTERS = 1_000
"""How much of one line is kept [characters]; Snakemake's lines in front of a script hold whole pickled objects."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_TEMPORARY = re.compile(r"/\S*?/llmagent-[a-z0-9_]{8}(?![a-z0-9_])")
"""What differs from run to run although nothing else does: a question to a model should read the same then."""


@dataclass(frozen=True)
class Names:
    """What stands for our places in what a script printed.

    Attributes:
        script, stage: our places.
        lines_before: how many lines of ours stand before the script's own first line.
    """

    script: Path
    stage: Path
    lines_before: int

    @property
    def name(self) -> str:
        """The script as the author knows it."""
        return self.script.name.removeprefix("trial.")

    def apply(self, text: str) -> str:
        """The text with the script's own name, its own line numbers, and paths as the author knows them."""
        pattern = re.compile(re.escape(str(self.script)) + r"(?P<mark>\", line |:)(?P<line>\d+)")
        text = pattern.sub(self._place, text)
        text = text.replace(str(self.script), self.name).replace(f"{self.stage}.private/home", "~")
        text = re.sub(re.escape(str(self.stage)) + r"(?![\w./-])", ".", text.replace(f"{self.stage}{os.sep}", ""))
        return _TEMPORARY.sub("/tmp", _ADDRESS.sub(" at 0x…", text))

    def _place(self, match: re.Match[str]) -> str:
        return f"{self.name}{match['mark']}{max(1, int(match['line']) - self.lines_before)}"


def readable_log(log: Path, names: Names) -> str:
    """What a script printed, harmless and bounded."""
    size = log.stat().st_size
    with log.open("rb") as handle:
        data = handle.read(LOG_CHARACTERS * 2)
        if size > len(data):
            handle.seek(max(len(data), size - LOG_CHARACTERS * 2))
            data += b"\n[...]\n" + handle.read()
    text = clean(names.apply(data.decode("utf-8", errors="replace")))
    lines = (line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]} [...]" for line in text.split("\n"))
    return shorten("\n".join(lines), LOG_CHARACTERS)
