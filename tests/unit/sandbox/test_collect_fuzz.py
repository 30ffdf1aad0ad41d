"""Random stages, as a hostile script might leave them, against a small model of what may be taken."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.sandbox.collect import Refused, clear, publish, unfit
from snakemake_executor_plugin_llmagent.spec import Kind

NAMES = ("a", "b", "c", "\udcff\udcfe", "two\nlines", "\x1b[2J", "ä ☃", "-rf", "..a")
NAME = st.sampled_from(NAMES)
MODES = st.sampled_from([0o644, 0o600, 0o400, 0o000, 0o4755, 0o1777, 0o2777, 0o500, 0o300])
LINKS = ("a", "..", ".", "../../secret", "../../secret/key", "{root}/secret/key", "{root}/project", "nowhere", "/")


@dataclass(frozen=True)
class Node:
    """Something in a stage."""

    what: str
    mode: int = 0o644
    text: bytes = b""
    number: int = 0
    members: dict[str, Node] = field(default_factory=dict)


FILE = st.builds(Node, what=st.just("file"), mode=MODES, text=st.binary(max_size=20))
LEAF = st.one_of(
    FILE,
    FILE,
    st.builds(Node, what=st.sampled_from(["fifo", "socket"])),
    st.builds(Node, what=st.just("link"), number=st.integers(0, len(LINKS) - 1)),
    st.builds(Node, what=st.sampled_from(["hard link", "hard link to secret"])),
    st.builds(Node, what=st.just("deep"), number=st.sampled_from([3, 99, 100, 101, 102, 400])),
)
TREE = st.recursive(
    LEAF,
    lambda inner: st.builds(
        Node, what=st.just("folder"), mode=MODES, members=st.dictionaries(NAME, inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
SOUND = st.recursive(
    st.builds(Node, what=st.just("file"), text=st.binary(max_size=20)),
    lambda inner: st.builds(
        Node, what=st.just("folder"), mode=st.just(0o755), members=st.dictionaries(NAME, inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
STAGES = st.one_of(st.dictionaries(NAME, TREE, max_size=4), st.dictionaries(NAME, SOUND, min_size=1, max_size=4))
WANTED = st.lists(
    st.tuples(st.lists(NAME, min_size=1, max_size=2), st.sampled_from([Kind.FILE, Kind.DIRECTORY])),
    min_size=1,
    max_size=3,
)


def make(members: dict[str, Node], folder: Path, root: Path) -> None:
    for name, node in members.items():
        place = folder / name
        if node.what == "file":
            place.write_bytes(node.text)
            place.chmod(node.mode)
        elif node.what in ("fifo", "socket"):
            os.mknod(place, 0o644 | (stat.S_IFIFO if node.what == "fifo" else stat.S_IFSOCK))
        elif node.what == "link":
            place.symlink_to(LINKS[node.number].format(root=root))
        elif node.what == "hard link to secret":
            place.hardlink_to(root / "secret" / "key")
        elif node.what == "hard link":
            first = root / "stages" / "one" / "hard"
            first.touch()
            place.hardlink_to(first)
        elif node.what == "deep":
            place.mkdir()
            dig(place, node.number - 1)
        else:
            place.mkdir()
            make(node.members, place, root)
            place.chmod(node.mode)


def dig(place: Path, levels: int) -> None:
    here = os.open(place, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)


# --- the model ------------------------------------------------------------------------------------------------------


def fits(members: dict[str, Node], way: list[str], kind: Kind) -> bool:
    """What should be taken, by what was made rather than by what is on the disk."""
    node = None
    for number, name in enumerate(way):
        node = members.get(name)
        if node is None or (number < len(way) - 1 and not may_be_entered(node)):
            return False
        members = node.members
    assert node is not None
    return (node.what in ("folder", "deep")) is (kind is Kind.DIRECTORY) and sound(node, 0)


def may_be_entered(node: Node) -> bool:
    return node.what == "folder" and node.mode & 0o500 == 0o500


def sound(node: Node, depth: int) -> bool:
    if node.what == "file":
        return node.mode & 0o400 != 0
    if node.what == "deep":
        return depth + node.number - 1 <= 100
    if node.what != "folder" or node.mode & 0o500 != 0o500:
        return False
    if any(unicodedata.category(each) in ("Cc", "Cf") for name in node.members for each in name):
        return False
    return (depth < 100 or not node.members) and all(sound(member, depth + 1) for member in node.members.values())


def contents(node: Node) -> object:
    """What a file or a tree holds."""
    if node.what == "file":
        return node.text
    if node.what == "deep":
        inner: object = {}
        for _ in range(node.number - 1):
            inner = {"d": inner}
        return inner
    return {name: contents(member) for name, member in node.members.items()}


def on_disk(place: Path) -> object:
    found = place.lstat()
    if stat.S_ISDIR(found.st_mode):
        assert stat.S_IMODE(found.st_mode) == 0o755
        return {member.name: on_disk(member) for member in place.iterdir()}
    assert stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and stat.S_IMODE(found.st_mode) == 0o644
    return place.read_bytes()


def snapshot(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for place in (folder, *sorted(folder.rglob("*"))):
        state = place.lstat()
        text = place.read_bytes() if stat.S_ISREG(state.st_mode) else b""
        # A name that the script gave it elsewhere changes nothing about a file.
        found[str(place)] = (state.st_mode, state.st_uid, state.st_size, state.st_ino, text)
    return found


@contextmanager
def a_place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name in ("stages/one", "secret", "project/old/results"):
            (root / name).mkdir(parents=True)
        (root / "secret" / "key").write_text("secret")
        (root / "secret" / "key").chmod(0o600)
        (root / "project" / "Snakefile").write_text("rule all:")
        (root / "project" / "old" / "results" / "0").write_text("before")
        try:
            yield root
        finally:
            layout.remove(root / "stages" / "one")


def targets(root: Path, wanted: list[tuple[list[str], Kind]]) -> list[tuple[Path, Path, Kind]]:
    """Some lie where something was before."""
    stage, project = root / "stages" / "one", root / "project" / "old" / "results"
    return [(stage.joinpath(*way), project / str(number), kind) for number, (way, kind) in enumerate(wanted)]


def disjoint(wanted: list[tuple[list[str], Kind]]) -> list[tuple[list[str], Kind]]:
    result: list[tuple[list[str], Kind]] = []
    for way, kind in wanted:
        if not any(way[: len(other)] == other[: len(way)] for other, _ in result):
            result.append((way, kind))
    return result


def cross_device(*arguments: Any, **options: Any) -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


# --- properties -----------------------------------------------------------------------------------------------------


def check(members: dict[str, Node], wanted: list[tuple[list[str], Kind]]) -> None:
    with a_place() as root:
        stage, project = root / "stages" / "one", root / "project"
        make(members, stage, root)
        secret, before = snapshot(root / "secret"), snapshot(project)
        moves = targets(root, wanted)
        expected = [fits(members, way, kind) for way, kind in wanted]
        assert [unfit(stage, "/".join(way), kind) is None for way, kind in wanted] == expected
        if all(expected):
            publish(moves, stage=stage)
            for (way, _), (_, target, _) in zip(wanted, moves, strict=True):
                node = Node(what="folder", members=members)
                for name in way:
                    node = node.members[name]
                assert on_disk(target) == contents(node)
        else:
            with pytest.raises(Refused) as caught:
                publish(moves, stage=stage)
            refused = [target for (_, target, _), fit in zip(moves, expected, strict=True) if not fit]
            assert [target for target, _ in caught.value.refusals] == refused
            assert str(caught.value).isprintable()
            assert snapshot(project) == before
        assert snapshot(root / "secret") == secret
        clear(target for _, target, _ in moves)
        left = {place.name for place in project.rglob("*")} - {"0"}
        assert left == {"Snakefile", "old", "results"}, "nothing but the targets was made"
        layout.remove(stage)
        assert not os.path.lexists(stage)
        assert snapshot(root / "secret") == secret


@settings(max_examples=120)
@given(STAGES, WANTED.map(disjoint))
def test_only_what_is_fit_leaves_a_stage(members: dict[str, Node], wanted: list[tuple[list[str], Kind]]) -> None:
    check(members, wanted)


@settings(max_examples=60)
@given(STAGES.filter(bool), st.data())
def test_only_what_is_fit_leaves_a_stage_when_it_was_written(members: dict[str, Node], data: st.DataObject) -> None:
    """Asks for what is there, by the kind it has."""
    wanted: list[tuple[list[str], Kind]] = []
    for name, node in members.items():
        inner = data.draw(st.sampled_from(["", *node.members])) if node.members else ""
        found = node.members[inner] if inner else node
        kind = Kind.DIRECTORY if found.what in ("folder", "deep") else Kind.FILE
        wanted.append(([name, inner] if inner else [name], kind))
    check(members, wanted)


@settings(max_examples=60)
@given(
    st.dictionaries(NAME, SOUND, min_size=1, max_size=3),
    st.sampled_from(["rename", "replace", "pwrite", "fchmod", "mkdir", "open"]),
    st.booleans(),
    st.integers(0, 12),
    st.sampled_from([errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EXDEV]),
)
def test_a_disk_that_fails_leaves_what_was_there(
    members: dict[str, Node], name: str, across: bool, after: int, number: int
) -> None:
    """A call fails once, some time; the outputs come whole, or what was there before is still there."""
    assume(all(sound(node, 0) for node in members.values()))
    with a_place() as root, pytest.MonkeyPatch.context() as patch:
        stage, project = root / "stages" / "one", root / "project"
        make(members, stage, root)
        before = snapshot(project)
        kinds = {member: Kind.FILE if node.what == "file" else Kind.DIRECTORY for member, node in members.items()}
        moves = targets(root, [([member], kind) for member, kind in kinds.items()])
        if across:
            patch.setattr(os, "rename", cross_device)
        call, left = getattr(os, name), [after]

        def failing(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                raise OSError(number, os.strerror(number))
            return call(*arguments, **options)

        with pytest.MonkeyPatch.context() as fault:
            fault.setattr(os, name, failing)
            try:
                publish(moves, stage=stage)
                done = True
            except SandboxUnavailable:
                done = False
        if done:
            assert [on_disk(target) for _, target, _ in moves] == [contents(node) for node in members.values()]
        else:
            after_it = snapshot(project)
            assert {place: state for place, state in after_it.items() if place in before} == before
            assert len(after_it) == len(before), "no half of a file is left"
