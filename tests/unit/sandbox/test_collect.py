from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox.collect import clear, publish


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
    monkeypatch.setattr(Path, "rename", cross_device)
    publish(moves(stage, project))
    assert texts(project) == NEW


@pytest.mark.parametrize("after", range(3))
def test_a_disk_that_fills_up_leaves_what_was_there(
    stage: Path, project: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """After so many files were copied."""
    fill(project)
    monkeypatch.setattr(Path, "rename", cross_device)
    copy, left = shutil.copyfile, [after]

    def copy_some(source: Any, target: Any, **options: Any) -> Any:
        if left[0] == 0:
            Path(target).write_text("half")
            full_disk()
        left[0] -= 1
        return copy(source, target, **options)

    monkeypatch.setattr(shutil, "copyfile", copy_some)
    with pytest.raises(SandboxUnavailable, match="No space left"):
        publish(moves(stage, project))
    assert texts(project) == OLD


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
    with pytest.raises(SandboxUnavailable, match="cannot be put in place"):
        publish([*moves(stage, project), (stage / "none.json", project / "none.json")])
    assert texts(project) == OLD


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
