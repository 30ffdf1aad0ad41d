"""Landlock: which version the kernel really takes, and what it leaves."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox import landlock
from tests.unit.sandbox.support import WITHOUT_PACKAGE, landlock_abi

has_landlock = pytest.mark.skipif(not landlock_abi(), reason="the kernel has no Landlock")


def test_the_kernel_is_asked() -> None:
    assert landlock.reported_abi() == landlock_abi()
    assert 0 <= landlock.usable_abi() <= landlock_abi()


@has_landlock
def test_a_limit_holds() -> None:
    assert [landlock.usable_abi(limit) for limit in (-1, 0, 1)] == [0, 0, 1]
    assert landlock.usable_abi(1000) == landlock.usable_abi() >= 1


@pytest.mark.parametrize("number", [errno.EINVAL, errno.E2BIG])
def test_a_version_that_is_reported_but_not_taken(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """As on RHEL 9."""

    def create(abi: int) -> int:
        if abi > 4:
            raise OSError(number, "no")
        return os.open(os.devnull, os.O_RDONLY)

    monkeypatch.setattr(landlock, "reported_abi", lambda: 6)
    monkeypatch.setattr(landlock, "_create", create)
    assert landlock.usable_abi() == 4
    assert landlock.usable_abi(3) == 3


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM])
def test_a_kernel_without(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fails(*arguments: object) -> int:
        raise OSError(number, "no")

    monkeypatch.setattr(landlock, "syscall", fails)
    assert (landlock.reported_abi(), landlock.usable_abi()) == (0, 0)
    monkeypatch.setattr(landlock, "reported_abi", lambda: 3)
    assert landlock.usable_abi() == 0


def test_asking_leaves_nothing_open() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(5):
        landlock.usable_abi()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize(("abi", "rights"), [(1, 13), (2, 14), (3, 15), (4, 15), (5, 16), (6, 16), (9, 16)])
def test_what_a_version_knows(abi: int, rights: int) -> None:
    assert landlock.file_rights(abi) == (1 << rights) - 1


def test_what_scripts_get_in_their_own_folders() -> None:
    for right in ("MAKE_CHAR", "MAKE_BLOCK", "MAKE_SOCK", "MAKE_FIFO", "IOCTL_DEV"):
        assert not landlock.WRITE_AND_RUN & getattr(landlock, right)
    assert not landlock.READ_AND_RUN & ~(landlock.READ_FILE | landlock.READ_DIR | landlock.EXECUTE)


RESTRICT = f"""
{WITHOUT_PACKAGE}
import os
from snakemake_executor_plugin_llmagent.sandbox import kernel, landlock
folder, abi = sys.argv[1], int(sys.argv[2])
kernel.no_new_privileges()
rules = [
    (folder + "/readable", landlock.READ), (folder + "/file", landlock.WRITE_AND_RUN),
    (folder + "/gone", landlock.READ),
    (folder + "/link", landlock.READ), (folder + "/writable", landlock.WRITE), (folder + "/dangling", landlock.READ),
]
missing = landlock.restrict(rules, abi)
def can(action):
    try:
        action()
    except PermissionError:
        return False
    return True
print([os.path.basename(name) for name in missing], *(int(can(action)) for action in (
    lambda: open(folder + "/readable/x").read(),
    lambda: open(folder + "/readable/x", "a"),
    lambda: open(folder + "/file", "a"),
    lambda: open(folder + "/behind").read(),
    lambda: open(folder + "/link").read(),
    lambda: open(folder + "/secret").read(),
    lambda: open(folder + "/writable/new", "w"),
    lambda: os.mkfifo(folder + "/writable/fifo"),
    lambda: open(folder + "/new", "w"),
)))
"""


@has_landlock
@pytest.mark.parametrize("abi", range(1, landlock.HIGHEST + 1))
def test_what_rules_leave(tmp_path: Path, abi: int) -> None:
    """A rule for what is not there is passed over; one for a link is one for what it leads to."""
    if landlock.usable_abi() < abi:
        pytest.skip(f"the kernel has no version {abi}")
    for name in ("readable", "writable"):
        (tmp_path / name).mkdir()
    for name in ("readable/x", "file", "behind", "secret"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("behind")
    (tmp_path / "dangling").symlink_to("nowhere")
    done = subprocess.run(
        [sys.executable, "-c", RESTRICT, str(tmp_path), str(abi)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "['gone', 'dangling'] 1 0 1 1 1 0 1 0 0\n", done.stderr
