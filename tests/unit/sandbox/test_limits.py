from __future__ import annotations

import fcntl
import json
import math
import os
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.sandbox.limits import (
    Limits,
    as_order,
    explain,
    free_cores,
    free_disk,
    limits_for,
    machine_memory,
    room_beside,
)

GB = 1_000_000_000
NAMES = [field.name for field in fields(Limits)]


def limits(resources: dict[str, object] | None = None, threads: int = 1, timeout: float | None = None) -> Limits:
    return limits_for(resources or {}, threads, timeout, total_memory=10 * GB, free_disk=100 * GB)


@pytest.mark.parametrize(
    ("resources", "threads", "cores", "room"),
    [
        ({}, 1, 2, {"mem_mb": 2000}),
        ({}, 1, 1, None),
        ({}, 4, 7, None),
        ({}, 4, 8, {"mem_mb": 2000}),
        ({"mem_mb": 5000}, 1, 2, {}),
        ({"mem_mb": 5001}, 1, 2, None),
    ],
)
def test_room_for_a_second_run(
    resources: dict[str, object], threads: int, cores: int, room: dict[str, object] | None
) -> None:
    found = room_beside(resources, threads, total_memory=10 * GB, cores=cores)
    assert found == (room if room is None else pytest.approx(room))


def test_room_on_a_machine_that_tells_nothing() -> None:
    assert room_beside({"mem_mb": 10**9}, 1, total_memory=None, cores=2) == {}


def test_cores_that_somebody_has_are_not_free(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert free_cores(tmp_path / "cores") == len(cores)
    (tmp_path / "cores").mkdir()
    with (tmp_path / f"cores/cpu-{cores[0]}").open("w") as lease:
        assert free_cores(tmp_path / "cores") == len(cores)
        fcntl.flock(lease, fcntl.LOCK_EX)
        assert free_cores(tmp_path / "cores") == len(cores) - 1
    assert free_cores(tmp_path / "cores") == len(cores)


def test_what_holds_where_nothing_is_declared() -> None:
    assert limits() == Limits(
        seconds=None, memory=8 * GB, processes=320, disk=90 * GB, files=100_000, file_size=90 * GB, log=64 << 20,
        open_files=4096,
    )  # fmt: skip
    assert limits_for({}, 1, None, total_memory=None, free_disk=None) == Limits()
    with pytest.raises(FrozenInstanceError):
        limits().memory = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("resources", "name", "expected"),
    [
        ({"mem_mb": 2000}, "memory", 2 * GB),
        ({"mem_mb": 1.5}, "memory", 1_500_000),
        ({"mem_mib": 1024}, "memory", 1 << 30),
        ({"mem_mb": 2000, "mem_mib": 1908}, "memory", 2 * GB),
        ({"mem_mb": "<TBD>", "mem_mib": 1024}, "memory", 1 << 30),
        ({"mem_mb": 20_000}, "memory", 20 * GB),
        ({"disk_mb": 500}, "disk", 500_000_000),
        ({"disk_mb": 500}, "file_size", 500_000_000),
        ({"disk_mib": 1}, "disk", 1 << 20),
        ({"runtime": 2}, "seconds", 120),
        ({"runtime": 0.5}, "seconds", 30),
    ],
)
def test_resources_that_are_numbers_are_limits(resources: dict[str, object], name: str, expected: float) -> None:
    assert getattr(limits(resources), name) == expected


@pytest.mark.parametrize("value", ["<TBD>", "TBD", "2000", True, False, None, 0, -1, math.nan, math.inf, [1], b"1"])
def test_other_resources_are_no_limits(value: object) -> None:
    assert limits(dict.fromkeys(("mem_mb", "mem_mib", "disk_mb", "disk_mib", "runtime"), value)) == limits()


@pytest.mark.parametrize(
    ("timeout", "runtime", "expected"),
    [(None, None, None), (10.0, None, 10), (None, 1, 60), (10.0, 1, 10), (100.0, 1, 60), (100.0, "<TBD>", 100)],
)
def test_the_smaller_time_holds(timeout: float | None, runtime: object, expected: float | None) -> None:
    assert limits({"runtime": runtime}, timeout=timeout).seconds == expected


@pytest.mark.parametrize(("threads", "expected"), [(0, 320), (1, 320), (4, 512), (64, 4352)])
def test_processes_grow_with_threads(threads: int, expected: int) -> None:
    assert limits(threads=threads).processes == expected


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))


@given(
    st.dictionaries(st.sampled_from(["mem_mb", "mem_mib", "disk_mb", "runtime", "tmpdir", "_cores"]), VALUES),
    st.integers(1, 500),
    st.one_of(st.none(), st.floats(0.1, 1e6)),
)
def test_orders_are_complete_and_sound(resources: dict[str, Any], threads: int, timeout: float | None) -> None:
    order = as_order(limits(resources, threads, timeout))
    assert list(order) == NAMES
    assert json.loads(json.dumps(order, allow_nan=False)) == order
    assert all(value is None or value >= 0 for value in order.values())
    assert all(order[name] is not None for name in ("processes", "files", "log", "open_files"))
    assert timeout is None or (order["seconds"] or math.inf) <= timeout


# --- what there is --------------------------------------------------------------------------------------------------


def a_machine(folder: Path, *, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """A `/proc` with 16 GiB, and control groups."""
    proc = folder / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal:       16777216 kB\nMemFree:         1000000 kB\n")
    (proc / "self/cgroup").write_text(groups)
    (proc / "self/mounts").write_text(mounts.replace("/sys/fs/cgroup", str(folder / "cgroup")))
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc


V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
V1 = "cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
WHOLE = 16 << 30


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "expected"),
    [
        ("", "", {}, WHOLE),
        ("0::/job/step\n", V2, {"job/step/memory.max": f"{2 << 30}\n"}, 2 << 30),
        ("0::/job/step\n", V2, {"job/step/memory.max": "max\n", "job/memory.max": f"{3 << 30}\n"}, 3 << 30),
        ("0::/job/step\n", V2, {"job/step/memory.max": f"{3 << 30}\n", "job/memory.max": f"{2 << 30}\n"}, 2 << 30),
        ("0::/job\n", V2, {"job/memory.max": "max\n"}, WHOLE),
        ("0::/job\n", V2, {"job/memory.max": f"{64 << 30}\n"}, WHOLE),
        ("0::/\n", V2, {"memory.max": f"{1 << 30}\n"}, 1 << 30),
        ("0::/../../host/path\n", V2, {"memory.max": f"{1 << 30}\n"}, WHOLE),
        ("4:memory:/job\n0::/\n", V1 + V2, {"memory/job/memory.limit_in_bytes": f"{2 << 30}\n"}, 2 << 30),
        ("4:cpu,memory:/docker/1f\n", V1, {"memory/memory.limit_in_bytes": f"{2 << 30}\n"}, 2 << 30),
        ("4:memory:/\n", V1, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, WHOLE),
        ("3:cpu:/job\n", V1, {"cpu/job/memory.limit_in_bytes": "5\n"}, WHOLE),
        ("nonsense\n", "nonsense\n", {}, WHOLE),
    ],
)
def test_memory_is_that_of_the_machine_or_of_the_control_group(
    tmp_path: Path, groups: str, mounts: str, files: dict[str, str], expected: int
) -> None:
    assert machine_memory(a_machine(tmp_path, groups=groups, mounts=mounts, files=files)) == expected


def test_here(tmp_path: Path) -> None:
    assert (machine_memory() or 0) > 1 << 26
    assert machine_memory(tmp_path) is None
    free = free_disk(tmp_path / "not" / "made" / "yet")
    assert free is not None and free > 0


# --- what to say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "pieces"),
    [
        ("memory", 2 * GB, ("more memory than its limit of 2.0 GB (`resources: mem_mb=2000`)", "in chunks", "raise")),
        ("seconds", 3600, ("its limit of 60 min (`timeout=3600` in a trial, `resources: runtime=60` always)", "raise")),
        ("seconds", 30, ("longer than its limit of 30 s (`timeout=30` in a trial)", "raise the limit")),
        ("seconds", 86_400.0, ("limit of 24 h (`timeout=86400` in a trial, `resources: runtime=1440` always)",)),
        ("processes", 320, ("processes and threads at once than its limit of 320", "`threads:`")),
        ("disk", 90 * GB, ("wrote more than its limit of 90.0 GB (`resources: disk_mb=90000`)", "raise the limit")),
        ("file_size", 5_000_000, ("longer than its limit of 5.0 MB (`resources: disk_mb=5`)", "raise the limit")),
        ("files", 100_000, ("more files than its limit of 100000", "fewer files")),
        ("log", 64 << 20, ("printed more than its limit of 67.1 MB", "not in every iteration")),
        ("open_files", 4096, ("more files open at once than its limit of 4096", "`with`")),
        ("colour", 3, ("more than its limit of 3 on colour",)),
    ],
)
def test_a_limit_is_explained(name: str, value: float, pieces: tuple[str, ...]) -> None:
    text = explain(name, value)
    assert all(piece in text for piece in pieces), text
    assert text.startswith("It ") and text.endswith(".") and "\n" not in text


def test_every_limit_has_an_explanation() -> None:
    assert not any("on " + name in explain(name, 5) for name in NAMES)


@pytest.mark.parametrize(("value", "shown"), [(1, "1 bytes"), (1500, "1.5 kB"), (2e12, "2.0 TB"), (5e15, "5000.0 TB")])
def test_sizes_are_shown_in_fitting_units(value: float, shown: str) -> None:
    assert f"its limit of {shown} " in explain("disk", value)
