"""What a supervisor is told, and what it tells: values on our side of two files.

The files are `marshal`'s: reading JSON would take the supervisor longer than all that it does with it. Nobody but us
writes them; scripts cannot reach them. (A supervisor that is told in JSON answers in JSON.)
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The environment of a script.

    Attributes:
        keep: names of variables that are kept of the supervisor's own environment.
        known: names that an environment manager (conda, modules) has not added; what it did add, secrets aside, is kept
            too. None where there is no such manager.
        set: variables that are set.
    """

    keep: tuple[str, ...]
    known: tuple[str, ...] | None = None
    set: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a supervisor is to run, within which walls; all paths are absolute.

    Attributes:
        backend: `bwrap`, `bwrap-hostproc`, `landlock` or `none`.
        bwrap, bwrap_lacks: the program, and options that it does not have.
        max_abi: do as if the kernel had no higher version of Landlock.
        stage: the working directory, writable.
        home, tmp: private folders, writable.
        script: the file that is run.
        readable: inputs and other files and directories that may be read.
        roots: directories with software, beside what the supervisor's own Python needs.
        guarded: directories that must not become visible as a whole by way of software (the project, the home).
        environment: the script's environment.
        limits: see `limits.Limits`, by name; None is no limit.
        threads: how many cores it may use; None for all.
        leases: folder in which scripts agree on who uses which core.
        watch: declared name and real place of inputs whose use is observed.
        log: file that gets what is printed.
        show: whether to print it too.
        report: file that gets the report.
    """

    backend: str
    stage: Path
    home: Path
    tmp: Path
    script: Path
    log: Path
    report: Path
    environment: Wish
    limits: Mapping[str, float | None]
    bwrap: str | None = None
    bwrap_lacks: tuple[str, ...] = ()
    max_abi: int | None = None
    readable: tuple[Path, ...] = ()
    roots: tuple[Path, ...] = ()
    guarded: tuple[Path, ...] = ()
    threads: int | None = None
    leases: Path | None = None
    watch: tuple[tuple[str, Path], ...] = ()
    show: bool = False

    def write(self, path: Path) -> None:
        """Write it where the supervisor reads it."""
        path.write_bytes(marshal.dumps(_plain(asdict(self)), 2))


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a supervisor saw.

    Attributes:
        backend, abi: the walls; version of Landlock, 0 without.
        ending: `exit`, `signal`, `timeout`, `memory`, `processes`, `files`, `disk`, `log flood`, `stopped` or
            `refused to start`.
        returncode: exit status, negative signal number; None if it never ran.
        limit: the limit that ended it, its name and value, or None.
        refusal: why nothing was run.
        seconds, cpu_seconds: wall time and time on all cores [s].
        peak_memory: the most that all its processes held at once, as far as was seen [bytes].
        processes: the most threads at once, as far as was seen.
        access: declared input → opened and read, each None if it could not be observed.
        leftovers: processes that were still there when the command had ended, and were killed.
        log_bytes, log_dropped: how much of what was printed was kept and left out [bytes].
    """

    backend: str
    abi: int
    ending: str
    returncode: int | None
    limit: tuple[str, float] | None
    refusal: str
    seconds: float
    cpu_seconds: float
    peak_memory: int
    processes: int
    access: Mapping[str, tuple[bool | None, bool | None]]
    leftovers: int = 0
    log_bytes: int = 0
    log_dropped: int = 0


def _plain(value: Any) -> Any:
    """A value without any type of ours: what every Python reads, also the one of a container."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, PurePath) else value


def read_report(path: Path, otherwise: str) -> Report:
    """Read a report.

    Args:
        path: where it lies.
        otherwise: what is known about the end of a supervisor that wrote none.

    Raises:
        SandboxUnavailable: there is none, because the supervisor itself failed or was killed.
    """
    try:
        found: dict[str, Any] = marshal.loads(path.read_bytes())
    except (OSError, ValueError, EOFError, TypeError):
        raise SandboxUnavailable(f"The sandbox ended without a report: {otherwise or 'it was killed'}.") from None
    limit = found["limit"]
    return Report(
        **{name: found[name] for name in Report.__dataclass_fields__ if name not in ("limit", "access")},
        limit=None if limit is None else (limit["name"], limit["value"]),
        access={name: (opened, read) for name, (opened, read) in found["access"].items()},
    )
