from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.sandbox import snapshot

NOBODY: frozenset[Path] = frozenset()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("a.txt", "sub/b.txt", ".git/c", ".snakemake/d", "sub/__pycache__/e.pyc"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text("1")
    return tmp_path / "p"


def test_nothing_happened(project: Path) -> None:
    assert snapshot.changes(snapshot.take(project), snapshot.take(project), NOBODY) == ()


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda p: (p / "a.txt").write_text("22"), "a.txt"),
        (lambda p: os.utime(p / "a.txt", ns=(1, 1)), "a.txt"),
        (lambda p: (p / "sub" / "b.txt").unlink(), "sub/b.txt"),
        (lambda p: (p / "new.txt").touch(), "new.txt"),
        (lambda p: (p / "link").symlink_to("a.txt"), "link"),
        (lambda p: (p / ".git" / "c").write_text("22"), None),
        (lambda p: (p / ".snakemake" / "x").write_text("22"), None),
        (lambda p: (p / "sub" / "__pycache__" / "e.pyc").write_text("22"), None),
        (lambda p: (p / "empty").mkdir(), None),
        (lambda p: (p / "a.txt").read_text(), None),
    ],
)
def test_what_counts_as_a_change(project: Path, action: Any, expected: str | None) -> None:
    before = snapshot.take(project)
    action(project)
    found = snapshot.changes(before, snapshot.take(project), NOBODY)
    assert found == (() if expected is None else (str(project / expected),))


def test_a_file_replaced_by_one_of_the_same_size_and_time(project: Path) -> None:
    times = (project / "a.txt").stat()
    before = snapshot.take(project)
    (project / "z.txt").write_text("2")
    (project / "z.txt").replace(project / "a.txt")
    os.utime(project / "a.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert snapshot.changes(before, snapshot.take(project), NOBODY) == (str(project / "a.txt"),)


def test_files_elsewhere_are_looked_at_if_asked(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("1")
    before = snapshot.take(project, also=[other, tmp_path / "none"])
    other.write_text("22")
    assert snapshot.changes(before, snapshot.take(project, also=[other]), NOBODY) == (str(other),)


def test_what_belongs_to_others_is_left_out(project: Path) -> None:
    before = snapshot.take(project)
    (project / "a.txt").write_text("22")
    (project / "sub" / "new.txt").touch()
    after = snapshot.take(project)
    assert snapshot.changes(before, after, frozenset({project / "a.txt", project / "sub"})) == ()
    assert snapshot.changes(before, after, frozenset({project / "sub"})) == (str(project / "a.txt"),)


def test_what_others_are_just_writing_is_left_out(project: Path) -> None:
    before = snapshot.take(project)
    (project / ".fit.lock.yaml.x7_abc").write_text("half")
    after = snapshot.take(project)
    assert snapshot.changes(before, after, frozenset({project / ".fit.lock.yaml"})) == ()
    assert snapshot.changes(before, after, NOBODY) == (str(project / ".fit.lock.yaml.x7_abc"),)
    (project / "fit.x7").write_text("1")
    assert snapshot.changes(after, snapshot.take(project), frozenset({project / "fit"})) == (str(project / "fit.x7"),)


def test_a_large_project_is_not_compared(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MAX_FILES", 1)
    assert snapshot.take(project) is None
    assert snapshot.changes(None, {}, NOBODY) is snapshot.changes({}, None, NOBODY) is None
    assert snapshot.changes({}, {}, None) is None


def test_files_that_vanish_while_we_look_are_no_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another job of the run removes its temporary files whenever it likes."""
    real = os.scandir

    def vanishing(folder: Any) -> Any:
        found = list(real(folder))
        (project / "a.txt").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(os, "scandir", vanishing)
    taken = snapshot.take(project)
    assert taken is not None and project / "a.txt" not in taken
