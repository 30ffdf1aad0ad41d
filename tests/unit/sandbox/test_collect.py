from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox import fitness
from snakemake_executor_plugin_llmagent.sandbox.collect import MISSING, Refused, clear, publish, unfit
from snakemake_executor_plugin_llmagent.spec import Kind


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    stage = tmp_path / "stage"
    (stage / "plots" / "inner").mkdir(parents=True)
    (stage / "fit.json").write_text("new fit")
    (stage / "plots" / "a.png").write_text("new a")
    (stage / "plots" / "inner" / "b.png").write_text("new b")
    return stage


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another device."""
    device = Path("/dev/shm")
    if not os.access(device, os.W_OK) or device.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second device to write to")
    with tempfile.TemporaryDirectory(dir=device) as folder:
        yield Path(folder)


def moves(stage: Path, project: Path) -> list[tuple[Path, Path]]:
    return [(stage / "fit.json", project / "results" / "fit.json"), (stage / "plots", project / "results" / "plots")]


def texts(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


NEW = {"results/fit.json": "new fit", "results/plots/a.png": "new a", "results/plots/inner/b.png": "new b"}
OLD = {"results/fit.json": "old fit", "results/plots/old.png": "old"}


def fill(project: Path) -> None:
    for name, text in OLD.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)


def test_outputs_come_to_their_places(stage: Path, project: Path) -> None:
    publish(moves(stage, project))
    assert texts(project) == NEW
    assert texts(stage) == {}


def test_what_was_there_is_replaced_whole(stage: Path, project: Path) -> None:
    fill(project)
    publish(moves(stage, project))
    assert texts(project) == NEW


def test_a_link_is_replaced_and_not_followed(stage: Path, project: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").write_text("1")
    (project / "results").mkdir(parents=True)
    (project / "results" / "plots").symlink_to(precious)
    (project / "results" / "fit.json").symlink_to(precious / "data")
    publish(moves(stage, project))
    assert texts(project) == NEW
    assert texts(precious) == {"data": "1"}


def test_the_scripts_permissions_do_not_matter(stage: Path, project: Path) -> None:
    (stage / "fit.json").chmod(0o400)
    (stage / "plots" / "inner").chmod(0o500)
    (stage / "plots" / "a.png").chmod(0o777)
    publish(moves(stage, project))
    assert stat.S_IMODE((project / "results" / "fit.json").stat().st_mode) == 0o644
    assert stat.S_IMODE((project / "results" / "plots" / "inner").stat().st_mode) == 0o755
    assert stat.S_IMODE((project / "results" / "plots" / "a.png").stat().st_mode) == 0o644


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o027, 0o640, 0o750), (0o002, 0o664, 0o775)])
def test_the_umask_holds(stage: Path, project: Path, umask: int, file: int, folder: int) -> None:
    before = os.umask(umask)
    try:
        publish(moves(stage, project))
    finally:
        os.umask(before)
    assert stat.S_IMODE((project / "results" / "fit.json").stat().st_mode) == file
    assert stat.S_IMODE((project / "results" / "plots" / "inner").stat().st_mode) == folder


def test_across_devices(stage: Path, elsewhere: Path) -> None:
    fill(elsewhere)
    publish(moves(stage, elsewhere))
    assert texts(elsewhere) == NEW


def cross_device(*arguments: Any, **options: Any) -> Any:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def full_disk(*arguments: Any, **options: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_where_a_rename_cannot_reach(stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(project)
    monkeypatch.setattr(os, "rename", cross_device)
    publish(moves(stage, project))
    assert texts(project) == NEW


@pytest.mark.parametrize("after", range(3))
def test_a_disk_that_fills_up_leaves_what_was_there(
    stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """After so many files were copied."""
    fill(project)
    monkeypatch.setattr(os, "rename", cross_device)
    write, left = os.pwrite, [after]

    def write_some(target: int, data: bytes, start: int) -> int:
        if left[0] == 0:
            write(target, b"half", 0)
            full_disk()
        left[0] -= 1
        return write(target, data, start)

    monkeypatch.setattr(os, "pwrite", write_some)
    with pytest.raises(SandboxUnavailable, match="No space left"):
        publish(moves(stage, project))
    assert texts(project) == OLD
    assert list(project.rglob(".*")) == []


@pytest.mark.parametrize("after", range(4))
def test_what_fails_in_the_end_leaves_what_was_there(
    stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """After so many renamings; two of them move away what was there."""
    fill(project)
    replace, left = Path.replace, [after]

    def replace_some(source: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == -1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", replace_some)
    with pytest.raises(SandboxUnavailable, match="cannot be put in place"):
        publish(moves(stage, project))
    assert texts(project) == OLD


def test_an_output_that_is_missing_moves_none(stage: Path, project: Path) -> None:
    fill(project)
    with pytest.raises(Refused, match=r"none\.json: it is not there"):
        publish([*moves(stage, project), (stage / "none.json", project / "none.json")])
    assert texts(project) == OLD
    assert texts(stage)["fit.json"] == "new fit"


def test_a_place_that_cannot_be_made_moves_none(stage: Path, project: Path) -> None:
    fill(project)
    blocked = project / "results" / "fit.json" / "inner.json"
    with pytest.raises(SandboxUnavailable):
        publish([(stage / "plots", project / "results" / "plots"), (stage / "fit.json", blocked)])
    assert texts(project) == OLD


@pytest.mark.parametrize("after", range(4))
def test_leftovers_of_a_killed_publishing_are_cleared(
    stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    fill(project)
    replace, left = Path.replace, [after]

    class Killed(BaseException):
        pass

    def killed(source: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == -1:
            raise Killed
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            publish(moves(stage, project))
    clear(target for _, target in moves(stage, project))
    assert list(project.rglob(".*")) == []


def test_names_of_any_length(stage: Path, project: Path) -> None:
    name = "n" * 250 + ".json"
    publish([(stage / "fit.json", project / name)])
    assert texts(project) == {name: "new fit"}


def test_long_names_that_begin_alike(stage: Path, project: Path) -> None:
    (stage / "other.json").write_text("other")
    names = ["n" * 240 + ".json", "n" * 240 + ".text", "é" * 125 + ".json"]
    (stage / "third.json").write_text("third")
    publish(
        zip([stage / "fit.json", stage / "other.json", stage / "third.json"], map(project.joinpath, names), strict=True)
    )
    assert texts(project) == dict(zip(names, ["new fit", "other", "third"], strict=True))


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2J", "\udcff\udcfe", "-rf *", "  ", "naïve ☃.json"])
def test_odd_names(stage: Path, project: Path, name: str) -> None:
    (stage / "fit.json").rename(stage / name)
    publish([(stage / name, project / name)], stage=stage)
    assert [path.name for path in project.iterdir()] == [name]


def test_the_way_to_a_target_may_be_a_link_of_the_person(stage: Path, project: Path, tmp_path: Path) -> None:
    (tmp_path / "big disk").mkdir()
    project.mkdir()
    (project / "results").symlink_to(tmp_path / "big disk")
    publish(moves(stage, project))
    assert (tmp_path / "big disk" / "fit.json").read_text() == "new fit"


# --- what a script must not hand out --------------------------------------------------------------------------------


def hard_link(stage: Path, secret: Path) -> None:
    (stage / "fit.json").unlink()
    (stage / "fit.json").hardlink_to(secret)


def hard_link_in_a_tree(stage: Path, secret: Path) -> None:
    (stage / "plots" / "inner" / "c.png").hardlink_to(secret)


def link(stage: Path, secret: Path) -> None:
    (stage / "fit.json").unlink()
    (stage / "fit.json").symlink_to(secret)


def link_in_a_tree(stage: Path, secret: Path) -> None:
    (stage / "plots" / "inner" / "c.png").symlink_to("b.png")


def pipe(stage: Path, secret: Path) -> None:
    (stage / "fit.json").unlink()
    os.mkfifo(stage / "fit.json")


def socket_in_a_tree(stage: Path, secret: Path) -> None:
    os.mknod(stage / "plots" / "socket", stat.S_IFSOCK | 0o600)


def closed(stage: Path, secret: Path) -> None:
    (stage / "fit.json").chmod(0)


def closed_in_a_tree(stage: Path, secret: Path) -> None:
    (stage / "plots" / "inner").chmod(0)


def deep(stage: Path, secret: Path) -> None:
    (stage / "plots" / "/".join("d" * 101)).mkdir(parents=True)


def too_long(stage: Path, secret: Path) -> None:
    (stage / "plots" / "/".join(["d" * 200] * 16)).mkdir(parents=True)


def wrong_kind(stage: Path, secret: Path) -> None:
    (stage / "fit.json").unlink()
    (stage / "fit.json").mkdir()


def other_wrong_kind(stage: Path, secret: Path) -> None:
    (stage / "plots").rename(stage / "moved")
    (stage / "plots").write_text("1")


def escapes(stage: Path, secret: Path) -> None:
    (stage / "plots" / "\x1b[2J\nfine").symlink_to(secret)


@pytest.mark.parametrize(
    ("harm", "name", "reason"),
    [
        (hard_link, "fit.json", "fit.json has 2 names (hard links); write a file of its own"),
        (hard_link_in_a_tree, "plots", "plots/inner/c.png has 2 names (hard links); write a file of its own"),
        (link, "fit.json", "fit.json is a symbolic link; write a regular file"),
        (link_in_a_tree, "plots", "plots/inner/c.png is a symbolic link; write a regular file"),
        (pipe, "fit.json", "fit.json is a special file; write a regular file"),
        (socket_in_a_tree, "plots", "plots/socket is a special file; write a regular file"),
        (closed, "fit.json", "fit.json has permissions 000, which keep even its owner from reading it"),
        (closed_in_a_tree, "plots", "plots/inner has permissions 000, which keep even its owner from reading it"),
        (deep, "plots", "it is deeper than 100 directories"),
        (too_long, "plots", "it holds a path of more than 3000 bytes"),
        (wrong_kind, "fit.json", "fit.json is a directory; write a file"),
        (other_wrong_kind, "plots", "plots is a file; make it a directory"),
        (escapes, "plots", "plots/\\x1b[2J fine is a symbolic link; write a regular file"),
    ],
)
def test_what_is_unfit_is_refused(stage: Path, project: Path, harm: Any, name: str, reason: str) -> None:
    secret = stage.parent / "secret"
    secret.write_text("secret")
    fill(project)
    harm(stage, secret)
    kinds = {"fit.json": Kind.FILE, "plots": Kind.DIRECTORY}
    assert [unfit(stage, inner, kind) for inner, kind in kinds.items() if inner != name] == [None]
    assert unfit(stage, name, kinds[name]) == reason
    with pytest.raises(Refused) as caught:
        publish([(*move, kinds[move[0].name]) for move in moves(stage, project)], stage=stage)
    assert caught.value.refusals == ((project / "results" / name, reason),)
    assert texts(project) == OLD
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == ("secret", 0o644)


def test_all_that_is_unfit_is_named(stage: Path, project: Path) -> None:
    (stage / "fit.json").unlink()
    (stage / "plots" / "b").symlink_to("a.png")
    with pytest.raises(Refused, match=r"fit\.json: it is not there; .*plots: plots/b is a symbolic link"):
        publish(moves(stage, project), stage=stage)


def test_no_directory_on_the_way_may_be_a_link(stage: Path, project: Path, tmp_path: Path) -> None:
    """Also one that leads to where the script may write."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (stage / "out").symlink_to(secret)
    (stage / "twice").symlink_to("plots/inner")
    for inner in ("out/key", "twice/b.png", "twice/../a.png", "plots/../../secret/key", "/etc/passwd", "", "."):
        assert unfit(stage, inner) not in (None, MISSING), inner
    reason = "out is a symbolic link; leave the directories of the outputs as they are"
    with pytest.raises(Refused, match=reason):
        publish([(stage / "out" / "key", project / "key")], stage=stage)
    assert (secret / "key").read_text() == "secret"
    assert unfit(stage, "plots/none/b.png") == MISSING
    assert (
        unfit(stage, "fit.json/b.png") == "fit.json is no directory; leave the directories of the outputs as they are"
    )


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o644])
def test_no_directory_on_the_way_may_be_closed(stage: Path, mode: int) -> None:
    """Not for root either, so that everybody gets the same answer."""
    (stage / "plots" / "inner").chmod(mode)
    for inner in ("plots/inner/b.png", "plots/inner/none"):
        reason = f"plots/inner has permissions {mode:03o}, which keep even its owner from reading it"
        assert unfit(stage, inner) == reason
    stage.chmod(mode)
    assert unfit(stage, "fit.json") == reason.replace("plots/inner", "the working directory")
    stage.chmod(0o755)


def test_a_directory_on_the_way_may_be_closed_for_writing(stage: Path, project: Path) -> None:
    (stage / "plots" / "inner").chmod(0o500)
    publish([(stage / "plots" / "inner" / "b.png", project / "b.png")], stage=stage)
    assert texts(project) == {"b.png": "new b"}


def test_a_stage_that_is_gone(tmp_path: Path) -> None:
    assert unfit(tmp_path / "none", "fit.json") == MISSING


def test_a_tree_may_have_so_many_members(stage: Path) -> None:
    assert unfit(stage, "plots", max_entries=3) is None
    assert unfit(stage, "plots", max_entries=2) == "it holds more than 2 files and directories"
    assert unfit(stage, "plots", max_depth=1) == "it is deeper than 1 directories"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_files_of_others_are_refused(stage: Path) -> None:
    os.chown(stage / "fit.json", 12345, -1)
    assert unfit(stage, "fit.json") == "fit.json belongs to another user (12345)"
    # Some network file systems give everything to somebody else, the stage too.
    os.chown(stage, 12345, -1)
    assert unfit(stage, "fit.json") is None


@pytest.mark.parametrize("copied", [False, True])
def test_special_permissions_are_lost(
    stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    (stage / "fit.json").chmod(0o6755)
    (stage / "plots" / "inner").chmod(0o3777)
    (stage / "plots" / "a.png").chmod(0o4777)
    if copied:
        monkeypatch.setattr(os, "rename", cross_device)
    publish(moves(stage, project))
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (project / "results").rglob("*")}
    assert modes == {"fit.json": 0o644, "plots": 0o755, "inner": 0o755, "a.png": 0o644, "b.png": 0o644}


def test_a_copy_has_no_attributes(stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        os.setxattr(stage / "fit.json", "user.mark", b"1")
    except OSError:
        pytest.skip("this file system has no attributes")
    monkeypatch.setattr(os, "rename", cross_device)
    publish(moves(stage, project))
    assert os.listxattr(project / "results" / "fit.json") == []


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("data", [[], [(0, b"head")], [(5 << 30, b"middle")], [(0, b"head"), (1 << 40, b"tail")]])
def test_holes_stay_holes(
    stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch, data: list[tuple[int, bytes]], copied: bool
) -> None:
    size = (1 << 40) + 4
    with (stage / "fit.json").open("wb") as handle:
        handle.truncate(size)
        for start, piece in data:
            handle.seek(start)
            handle.write(piece)
    if copied:
        monkeypatch.setattr(os, "rename", cross_device)
    publish([(stage / "fit.json", project / "fit.json")])
    found = (project / "fit.json").stat()
    assert (found.st_size, found.st_blocks * 512 < 1 << 20) == (size, True)
    with (project / "fit.json").open("rb") as handle:
        for start, piece in data:
            handle.seek(start)
            assert handle.read(len(piece)) == piece


def test_a_file_system_that_knows_no_holes(stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(descriptor: int, position: int, how: int) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    data = os.urandom(3 << 20)
    (stage / "fit.json").write_bytes(data)
    monkeypatch.setattr(os, "rename", cross_device)
    monkeypatch.setattr(os, "lseek", unknown)
    publish([(stage / "fit.json", project / "fit.json")])
    assert (project / "fit.json").read_bytes() == data


def test_what_changes_while_it_is_taken(stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left to do so; should there be somebody, nothing that is not ours is touched."""
    fill(project)
    secret = stage.parent / "secret"
    secret.write_text("secret")
    look = fitness._Judge.look

    def swapping(judge: Any, name: str, *arguments: Any, **options: Any) -> None:
        look(judge, name, *arguments, **options)
        if name == "fit.json":
            hard_link(stage, secret)

    monkeypatch.setattr(fitness._Judge, "look", swapping)
    with pytest.raises(SandboxUnavailable, match=r"'fit\.json' changed while it was taken"):
        publish(moves(stage, project))
    assert texts(project) == OLD
    assert stat.S_IMODE(secret.stat().st_mode) == 0o644
