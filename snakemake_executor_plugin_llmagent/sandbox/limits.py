"""What a script may use, from what its rule declares and what the machine has, and what to say when it used more."""

from __future__ import annotations

import fcntl
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

SHARE_OF_MEMORY, SHARE_OF_DISK = 0.8, 0.9
"""What a script may use of the memory there is, and of the disk that is free when it starts, unless its rule says."""
PROCESSES, PROCESSES_PER_THREAD = 256, 64
"""Numerical libraries and `multiprocessing` start several threads for each core, and a few anyway."""
MB, MIB = 1_000_000, 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a script may use, with all processes that it starts; None is no limit.

    Attributes:
        seconds: wall time [s].
        memory: memory of all its processes at once [bytes].
        processes: processes and threads at once.
        disk: what it may write in all [bytes].
        files: how many files and directories it may make.
        file_size: how long one file may become [bytes].
        log: what it may print [bytes].
        open_files: files that one process may hold open.
    """

    seconds: float | None = None
    memory: int | None = None
    processes: int = PROCESSES + PROCESSES_PER_THREAD
    disk: int | None = None
    files: int = 100_000
    file_size: int | None = None
    log: int = 64 * MIB
    open_files: int = 4096


def limits_for(
    resources: Mapping[str, object],
    threads: int,
    timeout: float | None,
    *,
    total_memory: int | None,
    free_disk: int | None,
) -> Limits:
    """The limits of one run of a script.

    Args:
        resources: the job's: `runtime` [min], `mem_mb` or `mem_mib`, `disk_mb` or `disk_mib`, where they are numbers.
        threads: its cores.
        timeout: wall time of a trial [s], None for an approved script.
        total_memory: what there is (`machine_memory()`) [bytes], None if nobody knows.
        free_disk: what is free where it writes (`free_disk()`) [bytes], None if nobody knows.
    """
    runtime = _number(resources, "runtime")
    times = [seconds for seconds in (timeout, None if runtime is None else 60 * runtime) if seconds is not None]
    memory, disk = _bytes(resources, "mem"), _bytes(resources, "disk")
    if memory is None and total_memory is not None:
        memory = int(SHARE_OF_MEMORY * total_memory)
    if disk is None and free_disk is not None:
        disk = int(SHARE_OF_DISK * free_disk)
    return Limits(
        seconds=min(times, default=None),
        memory=memory,
        processes=PROCESSES + PROCESSES_PER_THREAD * max(1, threads),
        disk=disk,
        file_size=disk,
    )


def room_beside(
    resources: Mapping[str, object], threads: int, *, total_memory: int | None, cores: int
) -> Mapping[str, object] | None:
    """What a second run of a script may use beside the first one, where that is less than its rule says.

    Args:
        resources: the job's, as for `limits_for`.
        threads: its cores.
        total_memory: what there is [bytes], None if nobody knows.
        cores: how many are free, the first run's among them.

    Returns:
        Resources that replace the job's; None if there is no room at all.
    """
    if 2 * max(1, threads) > cores:
        return None
    memory = _bytes(resources, "mem")
    if total_memory is None:
        return {}
    if memory is None:
        return {"mem_mb": (1 - SHARE_OF_MEMORY) * total_memory / MB}
    return {} if 2 * memory <= total_memory else None


def free_cores(leases: Path) -> int:
    """How many cores this process may use, without those that scripts have for themselves now.

    Args:
        leases: folder with a file for each core that was ever asked for, locked by whoever has it.
    """
    return sum(_is_free(leases / f"cpu-{core}") for core in os.sched_getaffinity(0))


def _is_free(lease: Path) -> bool:
    try:
        descriptor = os.open(lease, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return True  # nobody has ever asked for it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def as_order(limits: Limits) -> dict[str, float | None]:
    """The limits as a supervisor is told them."""
    return asdict(limits)


def _number(resources: Mapping[str, object], name: str) -> float | None:
    """A resource that is a number; texts such as `<TBD>` and times that a batch system decides about are none."""
    value = resources.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        return None
    return value


def _bytes(resources: Mapping[str, object], name: str) -> int | None:
    for unit, size in (("mb", MB), ("mib", MIB)):
        value = _number(resources, f"{name}_{unit}")
        if value is not None:
            return int(value * size)
    return None


# --- what there is --------------------------------------------------------------------------------------------------


def machine_memory(proc: Path = Path("/proc")) -> int | None:
    """The memory that this process could use at most [bytes]: the machine's, or less where a control group says so."""
    found = list(_cgroup_limits(proc))
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemTotal:"):
            found.append(int(line.split()[1]) * 1024)
    return min(found, default=None)


def free_disk(folder: Path) -> int | None:
    """What is free for this user where a folder lies, or will [bytes]."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def _cgroup_limits(proc: Path) -> Iterator[int]:
    """Limits on memory of our control group and of those above it, in both versions of control groups."""
    mounts = [line.split() for line in _lines(proc / "self/mounts")]
    for line in _lines(proc / "self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            file, places = "memory.max", [words[1] for words in mounts if words[2:3] == ["cgroup2"]]
        elif "memory" in controllers.split(","):
            file = "memory.limit_in_bytes"
            places = [words[1] for words in mounts if words[2:3] == ["cgroup"] and "memory" in words[3].split(",")]
        else:
            continue
        for place in places:
            # In a container the mount may begin below the machine's root, and hold only the end of the path or nothing.
            top = Path(place)
            group = Path(os.path.normpath(f"{place}/{path}"))
            for folder in (group, *group.parents):
                for text in _lines(folder / file)[:1]:
                    if text.isdigit():
                        yield int(text)
                if folder == top or not folder.is_relative_to(top):
                    break


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


# --- what to say ----------------------------------------------------------------------------------------------------


def explain(name: str, value: float) -> str:
    """What a script did that ended at a limit, and what helps; for a person and for a model.

    Args:
        name: the limit, an attribute of `Limits`.
        value: its value.
    """
    if name == "seconds":
        runtime = f", `resources: runtime={value / 60:.0f}` always" if value >= 60 and value % 60 == 0 else ""
        return (
            f"It ran longer than its limit of {_time(value)} (`timeout={value:g}` in a trial{runtime}). "
            "Replace loops over events or rows by operations on whole arrays, or raise the limit."
        )
    texts = {
        "memory": f"It used more memory than its limit of {_size(value)} (`resources: mem_mb={value / MB:.0f}`). "
        "Read the file in chunks, or raise the limit.",
        "processes": f"It had more processes and threads at once than its limit of {value:.0f}, which grows with "
        "`threads:` of the rule. Start no more workers than `snakemake.threads`, or raise `threads:`.",
        "disk": f"It wrote more than its limit of {_size(value)} (`resources: disk_mb={value / MB:.0f}`). "
        "Write less, remove temporary files early, or raise the limit.",
        "files": f"It made more files than its limit of {value:.0f}, or folders too deep or closed to look into. "
        "Put the data into fewer files.",
        "file_size": f"It wrote one file longer than its limit of {_size(value)} "
        f"(`resources: disk_mb={value / MB:.0f}`). Write less, or raise the limit.",
        "log": f"It printed more than its limit of {_size(value)}, which cannot be changed. "
        "Print a summary, and not in every iteration.",
        "open_files": f"It held more files open at once than its limit of {value:.0f}, which cannot be changed. "
        "Close files before others are opened, such as with `with`.",
    }
    return texts.get(name, f"It used more than its limit of {value:g} on {name}.")


def _size(value: float) -> str:
    """Bytes as a person reads them, in powers of 1000 as Snakemake's `mem_mb`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:.4g} min" if seconds < 7200 else f"{seconds / 3600:.4g} h"
