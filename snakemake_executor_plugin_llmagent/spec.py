"""What an agent rule asks for, and the digest that an approval holds for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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
class Call:
    """A contract or a probe as a rule names it: `fit_valid`, or `chi2_band(0.5, 1.8)`.

    Attributes:
        name: which.
        arguments: name of a parameter → value, those that were given; values are what JSON can hold.
        label: how it is shown, in the words of the rule.
    """

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Blind:
    """What an author may not see of data.

    Attributes:
        windows: column → range [low, high) that is hidden, in the column's own unit.
        mc_only: whether no data input is shown at all; its twin is empty.
        function: a person's `path.py:function` that makes the twin, if that is how.
        inputs: names of the inputs that are data; empty: all that hold a hidden column (or with `mc_only` all).
    """

    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    mc_only: bool = False
    function: Document | None = None
    inputs: tuple[str, ...] = ()


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
        contracts: checks of the library that the rule names.
        probes: probes that the rule names; None: the default ones, empty: none.
        blind: what the author may not see; None: nothing is hidden.
        decide: decisions that the rule makes itself, name of the constant (`FIT_RANGE`) → value.
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
    contracts: tuple[Call, ...] = ()
    probes: tuple[Call, ...] | None = None
    blind: Blind | None = None
    decide: Mapping[str, object] = field(default_factory=dict)
    source_file: str = ""
    line: int = field(default=0)

    @property
    def digest(self) -> str:
        """The sha256 of what the sentence means, as 64 hexadecimal digits.

        It covers the text, the contents of context and check sources, and the names of inputs, outputs, params and
        wildcards with their formats, contracts, probes, what is hidden, and decisions. It does not cover the rule's
        name or place, paths, data, the model or our prompts.
        """
        meaning: dict[str, object] = {
            "version": SPEC_DIGEST_VERSION,
            "text": self.text,
            "inputs": [asdict(slot) for slot in self.inputs],
            "outputs": [asdict(slot) for slot in self.outputs],
            "params": self.params,
            "wildcards": self.wildcards,
            "context": [(document.label, digest_text(document.text)) for document in self.context],
            "checks": [(document.label, digest_text(document.text)) for document in self.checks],
        }
        # Only what is used enters, so that approvals of rules that use none of it hold.
        if self.contracts:
            meaning["contracts"] = [(call.name, call.arguments) for call in self.contracts]
        if self.probes is not None:
            meaning["probes"] = [(call.name, call.arguments) for call in self.probes]
        if self.blind is not None:
            hidden = self.blind.function
            meaning["blind"] = {
                "windows": self.blind.windows, "mc_only": self.blind.mc_only, "inputs": self.blind.inputs,
                "function": None if hidden is None else (hidden.label, digest_text(hidden.text)),
            }  # fmt: skip
        if self.decide:
            meaning["decide"] = self.decide
        return digest_text(json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
