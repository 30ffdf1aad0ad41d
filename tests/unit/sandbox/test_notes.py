"""What a program in a stage is told by and by."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox.notes import Notes


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    made = tmp_path / "stage"
    made.mkdir()
    return made


def test_what_is_said_before_and_after_the_stage_is_there(stage: Path) -> None:
    notes = Notes()
    notes.say("pace", "1")
    notes.take(stage)
    assert (stage / "pace").read_text() == "1" and notes.said("pace") and not notes.said("end")
    notes.say("pace", "2")
    notes.say("end", "")
    assert {path.name: path.read_text() for path in stage.iterdir()} == {"pace": "2", "end": ""}
    assert [path.name for path in stage.parent.iterdir()] == ["stage"]


def test_after_the_end_nothing_is_written(stage: Path) -> None:
    notes = Notes()
    notes.take(stage)
    notes.leave()
    notes.say("end", "")
    assert list(stage.iterdir()) == []


def test_a_link_in_the_place_of_a_note_leads_nowhere(stage: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (stage / "pace").symlink_to(precious)
    (stage / "end").symlink_to(tmp_path / "made-by-a-link")
    (stage / "more").mkdir()
    notes = Notes()
    notes.take(stage)
    for name in ("pace", "end", "more"):
        notes.say(name, "said")
    assert precious.read_text() == "mine" and not (tmp_path / "made-by-a-link").exists()
    assert (stage / "pace").read_text() == (stage / "end").read_text() == "said" and (stage / "more").is_dir()
