"""The texts that a rule's script has had: approved ones are kept by their digest, and git may know more."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from snakemake_executor_plugin_llmagent.lock import Lock, digest_script, write_atomically

MOST_COMMITS = 200
"""How many commits of a script are looked through."""


def keep(home: Path, source: str) -> None:
    """Keep a text of a script below the plugin's folder, so that it can be compared with later.

    Raises:
        OSError: it cannot be written.
    """
    place = _place(home, digest_script(source))
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, source)


def last_approved(found: Lock | None) -> str:
    """The digest of the text of a rule's script that was approved last; empty if none was."""
    if found is None:
        return ""
    return found.script_digest if found.approval is not None else found.replaces


def find(home: Path, script: Path, digest: str) -> str | None:
    """The text with a digest: kept here, or in one of the last commits of the script; None if nobody has it.

    Args:
        home: the plugin's folder in the working directory.
        script: where the script lies.
        digest: sha256 of the text [hexadecimal], line ends normalised.
    """
    kept = _kept(_place(home, digest))
    if digest_script(kept) == digest:
        return kept
    for commit in _git(script, "log", "--format=%H", f"-{MOST_COMMITS}", "--", script.name).split():
        text = _git(script, "show", f"{commit}:./{script.name}")
        if digest_script(text) == digest:
            return text
    return None


def unified(before: str, after: str, name: str) -> Sequence[str]:
    """The lines that differ between the approved text and another one, as `diff -u` shows them."""
    lines = before.splitlines(), after.splitlines()
    return list(difflib.unified_diff(*lines, f"{name} (approved)", f"{name} (this one)", lineterm=""))


def _kept(place: Path) -> str:
    """A text that was kept; empty if it was not, on this machine, or is damaged."""
    try:
        return place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _place(home: Path, digest: str) -> Path:
    return home / "scripts" / f"{digest}.py"


def _git(script: Path, *arguments: str) -> str:
    """What git answers in the script's folder; empty if there is no git, no repository or no such thing."""
    command = ("git", "-c", "core.quotePath=false", *arguments)
    try:
        done = subprocess.run(command, cwd=script.parent, capture_output=True, check=False)
        return done.stdout.decode("utf-8") if done.returncode == 0 else ""
    except (OSError, UnicodeDecodeError):
        return ""
