"""What a confined process hands back, whatever it has put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox.handed import read_text, take_files


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    made = tmp_path / "precious"
    made.mkdir()
    (made / "key").write_text("mine")
    return made


def test_an_answer_is_an_ordinary_file(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "answer").write_text("told")
    (tmp_path / "link").symlink_to(precious / "key")
    (tmp_path / "endless").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    names = ("answer", "link", "endless", "pipe", "precious", "nothing")
    assert [read_text(tmp_path / name) for name in names] == ["told", None, None, None, None, None]


def test_ordinary_files_are_taken(tmp_path: Path, precious: Path) -> None:
    source, target = tmp_path / "written", tmp_path / "copies"
    source.mkdir()
    target.mkdir()
    (source / "copy.npz").write_text("numbers")
    (source / "link").symlink_to(precious / "key")
    (source / "also-mine").hardlink_to(precious / "key")
    (source / "folder").mkdir()
    (source / "folder/inner").touch()
    os.mkfifo(source / "pipe")
    take_files(source, target)
    assert {path.name: path.read_text() for path in target.iterdir()} == {"copy.npz": "numbers"}
    assert (precious / "key").read_text() == "mine"


@pytest.mark.parametrize("what", ["link", "file", "nothing"])
def test_another_folder_in_its_place_is_left_alone(tmp_path: Path, precious: Path, what: str) -> None:
    source, target = tmp_path / "written", tmp_path / "copies"
    target.mkdir()
    if what == "link":
        source.symlink_to(precious)
    elif what == "file":
        source.write_text("no folder")
    take_files(source, target)
    assert list(target.iterdir()) == [] and (precious / "key").read_text() == "mine"
