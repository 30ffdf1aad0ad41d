"""The verdict on a run: what somebody outside saw counts more than what the script said."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.sandbox import processes
from tests.sandbox.runs import Run
from tests.sandbox.world import DIRECTORY, OUTPUT, snapshot

_SAID = re.compile(rb"^ATTACK (\w+)(?: (.*))?$", re.MULTILINE)
_TERMINAL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]")
"""What a terminal would obey, as bytes of UTF-8: control characters and changes of the writing direction."""
_MOST_OF_LOG = 2 << 20
"""More of what a script prints must not be kept, whatever the beginning and the end of it are [bytes]."""


@dataclass(frozen=True)
class Verdict:
    """How it ended: `escaped`, `blocked`, `broken` when it proves nothing, or `worked` for what is no attack."""

    word: Literal["escaped", "blocked", "broken", "worked"]
    why: str


def judge(run: Run) -> Verdict:
    """Weigh the evidence."""
    said = [(word.decode(), (note or b"").decode(errors="replace")) for word, note in _SAID.findall(run.log)]
    word, note = said[-1] if said else ("", "")
    evidence = list(_evidence(run))
    if evidence:
        return Verdict("escaped", "; ".join(evidence)[:600])
    if run.attack.honest and word == "WORKED":
        arrived = (run.world.project / OUTPUT).exists()
        return Verdict("worked", note) if arrived else Verdict("broken", f"no output: {run.published}")
    if word == "ESCAPED":
        return Verdict("escaped", note)
    told = f"{word} {note}".strip()
    tail = run.log[-400:].decode(errors="replace")
    if run.confined and not run.killed:
        if run.report is None:
            return Verdict("broken", f"no report; status {run.status}; shown: {run.shown[-400:]!r}")
        ending = run.report["ending"]
        if ending not in run.attack.endings:
            return Verdict("broken", f"ended by {ending!r}, {run.report.get('refusal')}: {tail}; {run.shown[-300:]!r}")
        told = f"ended by {ending!r}; {told}"
        if ending != "exit":
            return Verdict("blocked", told)
    if not run.attack.silent and word not in ("BLOCKED", "TRIED"):
        return Verdict("broken", f"the script did not say how it went: {tail}")
    return Verdict("blocked", told or f"status {run.status}")


def _evidence(run: Run) -> Iterator[str]:
    """What somebody outside can see."""
    yield from _harm_to_files(run)
    yield from _harm_to_victim(run)
    yield from _harm_to_outputs(run)
    yield from _leaks(run)
    if run.leftovers:
        yield f"{len(run.leftovers)} processes are left over"
    if run.cleaning:
        yield f"the stage cannot be removed: {run.cleaning}"
    if run.hung:
        yield "it did not end in time"
    if run.reachable:
        yield "its server was reached from outside"
    if any(run.world.tag in words for words in run.heard):
        yield "a listener outside heard it"
    if list(Path("/dev/shm").glob(f"{run.world.shm_name}*")):
        yield "a file is left in /dev/shm"
    if not run.killed and run.status is not None and run.status < 0:
        yield f"its parent was ended by signal {-run.status}"
    if run.confined and not run.killed and run.report is None and run.status != 125:
        yield f"there is no report that can be read (status {run.status})"
    if special := _SPECIAL.get(run.attack.name):
        yield from special(run)


def _harm_to_files(run: Run) -> Iterator[str]:
    try:
        after = snapshot(run.world)
    except OSError as error:
        yield f"the project cannot be read any more: {error}"
        return
    changed = sorted(name for name in {*run.before, *after} if run.before.get(name) != after.get(name))
    if changed:
        yield f"changed outside: {', '.join(changed[:5])!r}"


def _harm_to_victim(run: Run) -> Iterator[str]:
    victim = run.world.victim
    assert victim is not None
    if victim.poll() is not None:
        yield f"another process was ended (status {victim.returncode})"
        return
    if processes.state(victim.pid) in "Tt":
        yield "another process was stopped"
    if os.getpriority(os.PRIO_PROCESS, victim.pid) != os.getpriority(os.PRIO_PROCESS, 0):
        yield "another process was slowed down"
    if os.sched_getaffinity(victim.pid) != os.sched_getaffinity(0):
        yield "another process was bound to other CPUs"


def _harm_to_outputs(run: Run) -> Iterator[str]:
    """What is wrong with what lies where the outputs were asked for."""
    results = run.world.project / "results"
    pending = [*results.iterdir()] if results.is_dir() else []
    asked = {run.world.project / OUTPUT, run.world.project / DIRECTORY, results / "other.csv"}
    if results.is_symlink():
        yield "the folder of the outputs is a link"
    for path in pending:
        if run.confined and path not in asked:
            yield f"nobody asked for {path.name!r}"
    while pending:
        path = pending.pop()
        try:
            facts = path.lstat()
            if stat.S_ISDIR(facts.st_mode):
                pending += path.iterdir()
                continue
        except OSError as error:
            yield f"what lies there cannot be read: {error.strerror}"
            continue
        if stat.S_ISLNK(facts.st_mode):
            target = str(path.readlink())
            if target.startswith("/") or not path.resolve().is_relative_to(results.resolve()):
                yield f"{path.name!r} is a link to {target!r}"
            continue
        if not stat.S_ISREG(facts.st_mode):
            yield f"{path.name!r} is not a regular file ({oct(facts.st_mode)})"
            continue
        if facts.st_mode & 0o6000:
            yield f"{path.name!r} has mode {oct(facts.st_mode)}"
        if path.name != "other.csv":
            yield from _strange_about(path, facts)
        if facts.st_nlink != 1:
            yield f"{path.name!r} has {facts.st_nlink} names"
        if facts.st_size > 64 << 20:
            yield f"{path.name!r} has {facts.st_size} bytes"
        if path.name != "other.csv" and _holds_secret(run, path.read_bytes() if facts.st_size < 64 << 20 else b""):
            yield f"{path.name!r} holds a secret"


def _strange_about(path: Path, facts: os.stat_result) -> Iterator[str]:
    """Marks on an output that its script may not set."""
    if abs(facts.st_mtime - time.time()) > 1e6:
        yield f"{path.name!r} is from another time"
    if facts.st_mode & 0o022:
        yield f"{path.name!r} can be written by others ({oct(facts.st_mode)})"
    if attributes := os.listxattr(path):
        yield f"{path.name!r} has attributes: {attributes}"


def _holds_secret(run: Run, data: bytes) -> bool:
    return any(secret in data for secret in run.world.secrets)


def _leaks(run: Run) -> Iterator[str]:
    if _holds_secret(run, run.log) or _holds_secret(run, run.shown):
        yield "it printed a secret"


# --- attacks of which only somebody who knows them can tell ---------------------------------------------------------


def _changed_the_machinery(run: Run) -> Iterator[str]:
    if "TAMPERED" in run.world.order.read_text():
        yield "the order was changed"
    if b"TAMPERED" in run.log.split(b"ATTACK TRIED")[0]:
        yield "the log was changed"


def _obeyed_by_a_terminal(run: Run) -> Iterator[str]:
    if match := _TERMINAL.search(run.shown):
        yield f"what was shown holds {match.group()!r}"


def _flooded(run: Run) -> Iterator[str]:
    if run.log_bytes > _MOST_OF_LOG:
        yield f"the log holds {run.log_bytes} bytes"
    if run.shown_bytes > 2 * _MOST_OF_LOG:
        yield f"{run.shown_bytes} bytes were shown"


def _believed(status: int) -> Callable[[Run], Iterator[str]]:
    """An exit status that looks like the supervisor's own must be taken for what it is."""

    def look(run: Run) -> Iterator[str]:
        if run.report is not None and (
            # Within a namespace a signal and its exit status look the same.
            run.report["ending"] not in ("exit", "signal")
            or run.report["returncode"] not in (status, 128 - status)
            or run.report.get("refusal")
            or run.report.get("limit")
        ):
            yield f"the supervisor believed it: {run.report}"

    return look


def _cannot_be_removed(run: Run) -> Iterator[str]:
    if run.confined:
        return  # the package was asked
    try:
        shutil.rmtree(run.world.project / "results")
    except (OSError, RecursionError) as error:
        yield f"it cannot be removed: {error}"


def _set_inode_flags(run: Run) -> Iterator[str]:
    get_flags, no_dump = 0x80086601, 0x40
    for name in ("input", "bashrc"):
        with run.world.files[name].open() as handle, contextlib.suppress(OSError):
            (flags,) = struct.unpack("l", fcntl.ioctl(handle, get_flags, bytes(8)))
            if flags & no_dump:
                yield f"the inode flags of {name} were changed"


def _typed_into_the_terminal(run: Run) -> Iterator[str]:
    if b"INJECTED" in run.shown:
        yield "it typed into the terminal"


def _wrote_to_the_terminal(run: Run) -> Iterator[str]:
    if b"WRITTEN-TO-TERMINAL" in run.shown:
        yield "it wrote to the terminal"


def _published_strange_names(run: Run) -> Iterator[str]:
    for folder, names, files in os.walk(run.world.project / "results"):
        for name in (*names, *files):
            if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
                yield f"{folder} got a file named {name!r}"


_SPECIAL: Mapping[str, Callable[[Run], Iterator[str]]] = {
    "tamper_supervisor_files": _changed_the_machinery,
    "ansi_in_log": _obeyed_by_a_terminal,
    "stray_names_with_escapes": _obeyed_by_a_terminal,
    "directory_names_with_escapes": _published_strange_names,
    "stdout_flood": _flooded,
    "print_without_newline": _flooded,
    "forged_refusal": _believed(125),
    "forged_timeout": _believed(124),
    "forged_memory_limit": _believed(137),
    "forged_stop_by_signal": _believed(143),
    "deep_nesting_cleanup_dos": _cannot_be_removed,
    "chmod_000_in_stage": _cannot_be_removed,
    "fill_behind_closed_doors": _cannot_be_removed,
    "immutable_files_in_stage": _cannot_be_removed,
    "inode_flags_of_input": _set_inode_flags,
    "tiocsti": _typed_into_the_terminal,
    "tioclinux": _typed_into_the_terminal,
    "dev_tty_write": _wrote_to_the_terminal,
}
