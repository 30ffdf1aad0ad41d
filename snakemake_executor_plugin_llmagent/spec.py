"""What an agent rule asks for, and the digest that an approval holds for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

SPEC_DIGEST_VERSION = 1


def digest_text(text: str) -> str:
    """The sha256 of a text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class State(StrEnum):
    """The states of an agent rule."""

    FROZEN = "frozen"
    EDITED = "edited"
    STALE = "stale"
    MISSING = "missing"
    AWAITING = "awaiting"


class Kind(StrEnum):
    """What one entry of `input:` or `output:` stands for."""

    FILE = "file"
    FILES = "files"
    DIRECTORY = "directory"
    COMPUTED = "computed"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One declared input or output, by what it means to a script and not by where it lies.

    Moving `results/` elsewhere does not change a slot; another name or another format does.

    Attributes:
        name: the keyword in the rule, or None for a positional entry.
        kind: a file, a list of files, a directory, or what a function will say.
        suffixes: the file formats, such as `(".parquet",)`, sorted and unique; empty where unknown.
    """

    name: str | None
    kind: Kind
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text that belongs to what a rule asks for: a context file or the source of a check.

    Attributes:
        label: how the rule names it, such as `notes/binning.md` or `checks/fit.py:converged`.
        path: where it lies.
        text: its contents when the Snakefile was parsed.
    """

    label: str
    path: Path
    text: str


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What an agent rule asks for.

    Attributes:
        rule: name of the rule.
        text: the sentence.
        inputs: declared inputs.
        outputs: declared outputs.
        params: names of the rule's params, in order; positional ones as `[0]`.
        wildcards: names of the wildcards, sorted.
        context: extra files for the coder to read.
        checks: sources of the rule's own checks.
        source_file: the file that defines the rule.
        line: line of the rule in that file.
    """

    rule: str
    text: str
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()
    params: tuple[str, ...] = ()
    wildcards: tuple[str, ...] = ()
    context: tuple[Document, ...] = ()
    checks: tuple[Document, ...] = ()
    source_file: str = ""
    line: int = field(default=0)

    @property
    def digest(self) -> str:
        """The sha256 of what the sentence means, as 64 hexadecimal digits.

        It covers the text, the contents of context and check sources, and the names of inputs, outputs, params and
        wildcards with their formats. It does not cover the rule's name or place, paths, data, the model or our prompts.
        """
        meaning = {
            "version": SPEC_DIGEST_VERSION,
            "text": self.text,
            "inputs": [asdict(slot) for slot in self.inputs],
            "outputs": [asdict(slot) for slot in self.outputs],
            "params": self.params,
            "wildcards": self.wildcards,
            "context": [(document.label, digest_text(document.text)) for document in self.context],
            "checks": [(document.label, digest_text(document.text)) for document in self.checks],
        }
        return digest_text(json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
