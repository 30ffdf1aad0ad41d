"""The lock beside an approved script: what it is approved for, by whom, on which evidence.

Three files make one rule's record, and they change together:

1. the new script is written under a hidden name, 2. the lock that names its digest replaces the old lock,
3. the hidden file replaces the script. Whoever finds a hidden script that fits the lock finishes step 3, so that a
process killed at any point leaves either the old pair or the new one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.errors import LockMismatch
from snakemake_executor_plugin_llmagent.spec import State, digest_text
from snakemake_executor_plugin_llmagent.trail import in_words, rejection

MOST_LISTED = 100
"""How many inputs a lock lists by path; it is a file that people read."""
LOCK_VERSION = 1
"""Raised when a reader of the old version would misread the new one."""


@dataclass(frozen=True, kw_only=True)
class Approval:
    """Who said that a script may run.

    Attributes:
        by: `checks`, or `person`.
        name: the person's name, None for checks.
        time: when, in UTC, ISO 8601.
    """

    by: str
    name: str | None
    time: str


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What a script is approved for.

    Attributes:
        rule: the rule as it was named.
        spec_text, spec_digest: what was asked for.
        script_digest: sha256 of the script [hexadecimal], line ends normalised.
        approval: who approved it; None while it waits for a person.
        models: role → asked and reported model.
        attempts: how many candidates were tried.
        usage: tokens used by the session.
        cost: what that cost, `usd` (None if the price of a model is unknown) and `tokens`.
        python, packages: interpreter version, and versions of the packages that the script imports.
        sandbox: what confined the trial (`sandbox_record`).
        run: what was seen of the trial (`run_record`).
        checks: check → `passed` or its warning.
        evidence: gate → what it has shown (contracts, probes, cross-check).
        blind: what the author could not see (`hidden`), and who unblinded the rule when (`unblinded`), if anybody.
        review: verdict and comments of the supervisor, None without one.
        decisions: what the sentence left open and how the author decided.
        session: path of the session relative to the working directory, and its digest.
        replaces: digest of the script that was approved before this one, empty if none was.
        trail: what people did with the scripts of the rule, oldest first.
        created: when it was written, in UTC, ISO 8601.
    """

    rule: str
    spec_text: str
    spec_digest: str
    script_digest: str
    approval: Approval | None
    created: str
    models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    attempts: int = 0
    usage: Mapping[str, int] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    blind: Mapping[str, Any] = field(default_factory=dict)
    review: Mapping[str, str] | None = None
    decisions: tuple[Mapping[str, Any], ...] = ()
    session: Mapping[str, str] = field(default_factory=dict)
    replaces: str = ""
    trail: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a rule's script and why.

    Attributes:
        state: one of the five states.
        reason: one line for people.
        source: the script as it lies there, None if missing.
        lock: the lock as it lies there, None if missing.
    """

    state: State
    reason: str
    source: str | None = None
    lock: Lock | None = None


def sandbox_record(backend: str, landlock: int | None, limits: Mapping[str, float | None]) -> dict[str, Any]:
    """What confined a trial.

    Args:
        backend: the walls.
        landlock: version of the kernel's Landlock, None or 0 without.
        limits: what the script might use, by name.
    """
    return {"backend": backend, "landlock": landlock or None, "limits": dict(limits)}


def run_record(
    *, seconds: float, cpu_seconds: float, peak_memory: float, opened: Mapping[str, bool | None]
) -> dict[str, Any]:
    """What was seen of a trial.

    Args:
        seconds: wall time [s].
        cpu_seconds: time on all cores [s].
        peak_memory: the most memory at once [bytes].
        opened: declared input → whether the script opened it; None, which is listed nowhere, if nobody could see.
    """

    def listed(which: bool) -> list[str]:
        paths = [path for path, value in opened.items() if value is which]
        more = len(paths) - MOST_LISTED
        return [*paths[:MOST_LISTED], f"… {more} more"] if more > 0 else paths

    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "peak_memory_mb": round(peak_memory / 1e6),
        "opened": listed(True),
        "not_opened": listed(False),
    }


def digest_script(source: str) -> str:
    """The sha256 of a script, the same whatever git makes of its line ends."""
    return digest_text(source.replace("\r\n", "\n").replace("\r", "\n"))


def lock_path(script: Path) -> Path:
    """Where the lock of a script lies: `fit.py` → `fit.lock.yaml`."""
    return script.with_name(f"{script.stem}.lock.yaml")


def status(script: Path, spec_digest: str) -> Status:
    """Compare a rule's spec with the script and lock that lie there.

    Raises:
        LockMismatch: the lock cannot be read.
    """
    lock, source = _read_pair(script)
    if source is None:
        return Status(state=State.MISSING, reason="no script has been written yet", lock=lock)
    if lock is None:
        return Status(state=State.EDITED, reason="the script has no lock: it was put there by hand", source=source)
    if lock.spec_digest != spec_digest:
        state, reason = State.STALE, "what the rule asks for has changed since the script was approved"
    elif rejected := rejection(lock.trail, lock.script_digest):
        state, reason = State.STALE, in_words(rejected)
    elif lock.approval is None:
        # Before anything else: a script that nobody has approved does not become the user's own by a changed blank.
        changed = lock.script_digest != digest_script(source)
        state = State.AWAITING
        reason = "the script waits for a person's approval" + (", and was changed by hand meanwhile" if changed else "")
    elif lock.script_digest != digest_script(source):
        state, reason = State.EDITED, "the script was changed by hand since it was approved"
    else:
        state, reason = State.FROZEN, f"approved by {lock.approval.name or lock.approval.by}, {lock.approval.time}"
    return Status(state=state, reason=reason, source=source, lock=lock)


def opened(status: Status) -> str:
    """The digest of the frozen script to which a person has opened the data of a blinded rule; empty if nobody has."""
    found = status.lock.blind.get("unblinded") if status.lock is not None else None
    if status.lock is None or status.state is not State.FROZEN or not isinstance(found, Mapping):
        return ""
    return status.lock.script_digest if found.get("script_digest") == status.lock.script_digest else ""


def _read_pair(script: Path) -> tuple[Lock | None, str | None]:
    """The lock and the script that belong together, also while another process replaces them."""
    while True:
        lock = read_lock(lock_path(script))
        finish_freezing(script, lock)
        source = _read_script(script)
        if read_lock(lock_path(script)) == lock:
            return lock, source


def _read_script(script: Path) -> str | None:
    try:
        return script.read_text(encoding="utf-8") if script.exists() else None
    except UnicodeDecodeError as error:
        raise LockMismatch(f"The script {script} is not a text in UTF-8 ({error}). Save it as UTF-8.") from error


def freeze(script: Path, source: str, lock: Lock) -> None:
    """Put an approved script and its lock in place, both or none.

    Raises:
        OSError: a file cannot be written.
    """
    script.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(script)
    waiting = _hidden(script)
    try:
        write_atomically(waiting, source)
        write_lock(lock_path(script), lock)
    except BaseException:
        # Interrupted just after the new lock was put there, going on is the only way that leaves a pair.
        with contextlib.suppress(LockMismatch, OSError):
            finish_freezing(script, read_lock(lock_path(script)))
        waiting.unlink(missing_ok=True)
        raise
    with contextlib.suppress(FileNotFoundError):  # whoever looked meanwhile has finished it for us
        waiting.replace(script)


def _clear_leftovers(script: Path) -> None:
    """Remove what killed processes left half-written."""
    beginnings = (f"{_hidden(script).name}", f".{lock_path(script).name}.")
    for path in script.parent.iterdir():
        if path.name.startswith(beginnings):
            path.unlink(missing_ok=True)


def finish_freezing(script: Path, lock: Lock | None) -> None:
    """Finish what a killed process began, if it had come far enough; where that is not allowed, change nothing."""
    waiting = _hidden(script)
    if lock is None or not waiting.exists():
        return
    try:
        if digest_script(waiting.read_text(encoding="utf-8")) == lock.script_digest:
            waiting.replace(script)
    except UnicodeDecodeError:
        return  # not written by us
    except OSError:
        return  # a read-only checkout; the state that lies there is reported as it is


def _hidden(script: Path) -> Path:
    return script.with_name(f".{script.name}.new")


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock, whole or not at all."""
    import yaml

    record = {"version": LOCK_VERSION, **asdict(lock)}
    header = "# Written by snakemake-executor-plugin-llmagent. Commit it beside the script it belongs to.\n"
    body = yaml.dump(record, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=120)
    write_atomically(path, header + body)


def _problem(error: Exception) -> str:
    """What is wrong with a text, in one line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark is not None and problem else " ".join(str(error).split())


def read_lock(path: Path) -> Lock | None:
    """Read a lock; None if there is none.

    Raises:
        LockMismatch: it is not a lock, or one of a later version.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _read_lock(path, (found.st_mtime_ns, found.st_size, found.st_ino))


@lru_cache(maxsize=256)
def _read_lock(path: Path, identity: tuple[int, int, int]) -> Lock:  # noqa: ARG001
    """Read a lock that has this identity; every job of a rule looks at it several times."""
    import yaml

    advice = "Restore it from version control, or delete it: the script then counts as yours."
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # dates such as 2025-99-99 are a ValueError
        raise LockMismatch(f"The lock {path} is not valid YAML ({_problem(error)}). {advice}") from error
    except OSError as error:
        raise LockMismatch(f"The lock {path} cannot be read: {error.strerror}.") from error
    if not isinstance(record, dict) or "version" not in record:
        raise LockMismatch(f"The file {path} is not a lock. {advice}")
    if record["version"] != LOCK_VERSION:
        raise LockMismatch(
            f"The lock {path} has version {record['version']!r}; this plugin reads version {LOCK_VERSION}. "
            "Upgrade snakemake-executor-plugin-llmagent."
        )
    return _from_record(path, {name: value for name, value in record.items() if name != "version"})


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "rule": str, "spec_text": str, "spec_digest": str, "script_digest": str, "approval": (dict, type(None)),
    "created": str, "models": dict, "attempts": int, "usage": dict, "cost": dict, "python": str, "packages": dict,
    "sandbox": (dict, str), "run": dict, "checks": dict, "evidence": dict, "blind": dict,
    "review": (dict, type(None)), "decisions": list, "session": dict, "replaces": str, "trail": list,
}  # fmt: skip
_WITHIN: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "sandbox": {"backend": str, "landlock": (int, type(None)), "limits": dict},
    "run": {
        "seconds": (int, float), "cpu_seconds": (int, float), "peak_memory_mb": (int, float), "opened": list,
        "not_opened": list,
    },
}  # fmt: skip


def _from_record(path: Path, record: dict[str, Any]) -> Lock:
    if isinstance(record.get("sandbox"), str):  # as the first locks have it
        record["sandbox"] = {"backend": record["sandbox"]} if record["sandbox"] else {}
    wrong = [*_wrong(record, _TYPES)]
    for name, types in _WITHIN.items():
        if name not in wrong:
            wrong += [f"{name}.{each}" for each in _wrong(record.get(name, {}), types)]
    if wrong:
        raise LockMismatch(f"The lock {path} has entries that are unknown or of a wrong type: {', '.join(wrong)}.")
    try:
        approval = record.pop("approval")
        decisions, trail = tuple(record.pop("decisions", ())), tuple(record.pop("trail", ()))
        approved = None if approval is None else Approval(**approval)
        return Lock(**record, approval=approved, decisions=decisions, trail=trail)
    except (TypeError, KeyError) as error:
        raise LockMismatch(f"The lock {path} lacks or has an unknown entry: {error}.") from error


def _wrong(record: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]]) -> Iterator[str]:
    """Entries that are unknown or of a wrong type."""
    for name, value in record.items():
        if name not in types or not isinstance(value, types[name]):
            yield str(name)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader, at any time, sees the old one or the new one.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name.removeprefix('.')}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask, read without changing it (changing it races with other threads)."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o022


def _dumper() -> type[Any]:
    """YAML that a person can read: texts of several lines as blocks, everything else as usual."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def as_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        # As a block, a text with other line ends would not come back as it was.
        odd = any(end in text for end in "\r\x85\u2028\u2029\ufeff")
        return dumper.represent_scalar(
            "tag:yaml.org,2002:str", text, style='"' if odd else "|" if "\n" in text else None
        )

    Dumper.add_representer(str, as_text)
    return Dumper
