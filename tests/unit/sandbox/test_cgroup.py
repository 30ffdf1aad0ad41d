"""Control groups of version 2, as files in a folder: what is written there is what the kernel would be told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox import cgroup


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mount with a group of ours below one that is delegated."""
    mount = tmp_path / "cgroup"
    own = mount / "user.slice" / "session"
    own.mkdir(parents=True)
    for folder, given in ((mount, "cpu memory pids"), (own.parent, "memory pids"), (own, "")):
        (folder / "cgroup.subtree_control").write_text(given + "\n")
    monkeypatch.setattr(cgroup, "_mount", lambda: str(mount))
    monkeypatch.setattr(cgroup, "_own", lambda: "/user.slice/session")
    return mount


def control(folder: Path, given: str) -> None:
    (folder / "cgroup.subtree_control").write_text(given)


def test_where_nothing_is_delegated_there_are_none(tree: Path) -> None:
    control(tree / "user.slice", "cpu\n")
    assert not cgroup.available()
    assert cgroup.make("llmagent-1", memory=1, processes=1) is None
    assert [place.name for place in (tree / "user.slice").iterdir() if place.is_dir()] == ["session"]


@pytest.mark.parametrize("lacks", ["memory", "pids"])
def test_both_are_needed(tree: Path, lacks: str) -> None:
    control(tree / "user.slice", "memory pids".replace(lacks, ""))
    assert not cgroup.available()


def test_the_nearest_is_taken(tree: Path) -> None:
    group = cgroup.make("llmagent-1", memory=1000, processes=7)
    assert group is not None
    assert group.folder == str(tree / "user.slice" / "llmagent-1")
    assert group.door == str(tree / "user.slice" / "llmagent-1" / "cgroup.procs")
    control(tree / "user.slice" / "session", "pids memory cpu")
    nearest = cgroup.make("llmagent-2", memory=None, processes=None)
    assert nearest is not None and nearest.folder == str(tree / "user.slice" / "session" / "llmagent-2")
    assert list(Path(nearest.folder).iterdir()) == []


def test_limits_are_told_to_the_kernel(tree: Path) -> None:
    group = cgroup.make("llmagent-1", memory=1000, processes=7)
    assert group is not None
    written = {place.name: place.read_text() for place in Path(group.folder).iterdir()}
    assert written == {"memory.max": "1000", "pids.max": "7"}


def test_a_group_that_is_there_already_is_not_taken(tree: Path) -> None:
    (tree / "user.slice" / "llmagent-1").mkdir()
    assert cgroup.make("llmagent-1", memory=1, processes=1) is None


def test_a_kernel_that_refuses_a_limit(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(folder: str, name: str, text: str) -> None:
        raise PermissionError(13, name)

    monkeypatch.setattr(cgroup, "_write", refuses)
    assert cgroup.make("llmagent-1", memory=1, processes=1) is None
    assert not (tree / "user.slice" / "llmagent-1").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_groups_of_others_are_no_place(tree: Path) -> None:
    (tree / "user.slice").chmod(0o555)
    try:
        assert not cgroup.available()
    finally:
        (tree / "user.slice").chmod(0o755)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"memory.events": "low 0\nmax 5\noom 3\noom_kill 0\noom_group_kill 0\n", "pids.events": "max 0\n"}, None),
        ({"memory.events": "max 5\noom 3\noom_kill 2\n"}, "memory"),
        ({"memory.events": "oom_group_kill 1\noom_kill 0\n"}, None),
        ({"pids.events": "max 12\n"}, "processes"),
        ({"memory.events": "oom_kill 1\n", "pids.events": "max 12\n"}, "memory"),
    ],
)
def test_what_the_kernel_has_ended(tmp_path: Path, files: dict[str, str], expected: str | None) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cgroup.Group(str(tmp_path)).ended_by() == expected


@pytest.mark.parametrize(("text", "expected"), [("123456\n", 123456), ("", 0), ("max\n", 0), (None, 0)])
def test_the_most_memory(tmp_path: Path, text: str | None, expected: int) -> None:
    if text is not None:
        (tmp_path / "memory.peak").write_text(text)
    assert cgroup.Group(str(tmp_path)).peak_memory() == expected


def test_a_group_that_is_gone_is_closed(tmp_path: Path) -> None:
    cgroup.Group(str(tmp_path / "gone")).close()
    (tmp_path / "group").mkdir()
    group = cgroup.Group(str(tmp_path / "group"))
    # Here `cgroup.kill` becomes a file, so that the folder cannot be removed as the kernel's can.
    group.close()
    assert (tmp_path / "group" / "cgroup.kill").read_text() == "1"


def test_a_mount_at_the_top(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where our own group is the root."""
    monkeypatch.setattr(cgroup, "_own", lambda: "/")
    assert cgroup._candidates() == [str(tree)]
    monkeypatch.setattr(cgroup, "_own", lambda: None)
    assert cgroup._candidates() == []
    monkeypatch.setattr(cgroup, "_own", lambda: "/user.slice")
    monkeypatch.setattr(cgroup, "_mount", lambda: None)
    assert cgroup._candidates() == []


def test_this_machine_is_asked() -> None:
    """Whatever the answer: nothing is left."""
    assert cgroup._mount() is None or Path(str(cgroup._mount())).is_dir()
    group = cgroup.make(f"llmagent-test-{os.getpid()}", memory=1 << 30, processes=10)
    assert (group is None) or cgroup.available()
    if group is not None:
        group.close()
        assert not Path(group.folder).exists()
