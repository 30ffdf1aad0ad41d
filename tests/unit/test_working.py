"""Operations behind real walls, in processes of their own and in one that is kept at hand."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent import working
from snakemake_executor_plugin_llmagent.sandbox import process
from snakemake_executor_plugin_llmagent.sandbox.confined import Ground
from snakemake_executor_plugin_llmagent.sandbox.walls import choose
from snakemake_executor_plugin_llmagent.sandbox.warden import marked
from snakemake_executor_plugin_llmagent.working import ConfinedWorker

TOKEN = "working-1"


@pytest.fixture
def worker(tmp_path: Path) -> ConfinedWorker:
    (tmp_path / "project").mkdir()
    ground = Ground(
        project=tmp_path / "project", home=tmp_path / "llmagent", outer=dict(os.environ),
        walls=partial(choose, "auto", tmp_path / "llmagent" / "cache"),
    )  # fmt: skip
    return ConfinedWorker(ground, lambda: tmp_path / "stages" / uuid.uuid4().hex[:8], lambda: TOKEN, threading.Event())


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The operations for which processes were started; `serve` for one that is kept."""
    seen: list[str] = []
    real = process.run

    def run(order: Any, command: Any, **options: Any) -> Any:
        seen.append(command[4] if command[3] == "work" else command[3])
        return real(order, command, **options)

    monkeypatch.setattr(process, "run", run)
    yield seen
    assert not marked(TOKEN), "processes are left"


def an_archive(path: Path, total: float = 6.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x=np.full(3, total / 3))
    return path


def measured(path: Path) -> Mapping[str, object]:
    return {"files": [str(path)], "texts": True}


def the_sum(answer: Any, path: Path) -> float:
    return float(next(value for name, value in answer[str(path)]["numbers"].items() if name.endswith(":sum")))


def test_one_process_for_files_that_are_there_and_for_those_to_come(
    worker: ConfinedWorker, started: list[str], tmp_path: Path
) -> None:
    data, stages = an_archive(tmp_path / "project/in.npz"), tmp_path / "trials"
    stages.mkdir()
    with worker.desk(files=[data], folders=[stages], names=["in.npz", "out.root"]):
        later = an_archive(stages / "one/out.npz", 9.0)
        for path, total in ((data, 6.0), (later, 9.0), (data, 6.0)):
            assert the_sum(worker("measure", measured(path), read=[path]).answer, path) == total
        told: Any = worker.described([later])
        assert [one["format"] for one in told] == ["npz"]
        assert worker("mask", {}, read=[data]).problem, "what fails is told"
        assert started == ["serve"]
    assert the_sum(worker("measure", measured(data), read=[data]).answer, data) == 6.0
    assert started == ["serve", "measure"] and worker.described([data]) is None
    assert list((tmp_path / "stages").glob("*/*")) == []


def test_what_it_writes_is_moved(worker: ConfinedWorker, started: list[str], tmp_path: Path) -> None:
    data = tmp_path / "project/in.npz"
    np.savez(data, x=np.arange(3000.0))
    asked = {"files": [{"path": "in.npz", "place": str(data)}], "entries": 1000, "above": 2000, "size": 1}
    for number in range(2):
        (target := tmp_path / f"copies-{number}").mkdir()
        if number:
            worker("first", asked, read=[data], write=target)
            continue
        with worker.desk(files=[data], folders=[], names=[]):
            worker("first", asked, read=[data], write=target)
    kept = [[len(np.load(file)["x"]) for file in (tmp_path / f"copies-{n}").iterdir()] for n in range(2)]
    assert kept == [[1000], [1000]] and started == ["serve", "first"]


def test_it_sees_no_other_files_and_follows_no_links(
    worker: ConfinedWorker, started: list[str], tmp_path: Path
) -> None:
    data, secret = an_archive(tmp_path / "project/in.npz"), an_archive(tmp_path / "project/secret.npz", 99.0)
    (stages := tmp_path / "trials").mkdir()
    link = stages / "link.npz"
    link.symlink_to(secret)
    with worker.desk(files=[data], folders=[stages], names=[]):
        for place in (secret, link):  # whatever is asked of it, walls are around it
            answer: Any = worker("measure", measured(place), read=[data]).answer
            assert not answer[str(place)]["numbers"]
        assert started == ["serve"]
        assert the_sum(worker("measure", measured(link), read=[link]).answer, link) == 99.0
        assert started == ["serve", "measure"], "what leads elsewhere is no business of it"


def test_who_finds_it_busy_or_gone_starts_a_process(worker: ConfinedWorker, started: list[str], tmp_path: Path) -> None:
    data = an_archive(tmp_path / "project/in.npz")
    answers: list[object] = []

    def ask() -> None:
        answers.append(the_sum(worker("measure", measured(data), read=[data]).answer, data))

    with worker.desk(files=[data], folders=[], names=[]):
        (desk,) = worker._desks
        with desk._asking:  # somebody else asks
            ask()
        assert started == ["serve", "measure"]
        desk._stop.set()
        desk._thread.join()
        ask()
    assert answers == [6.0, 6.0] and started == ["serve", "measure", "measure"]


def test_an_operation_that_takes_too_long_ends_it(
    worker: ConfinedWorker, started: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "LOOK_SECONDS", 0.0)
    data = an_archive(tmp_path / "project/in.npz")
    with worker.desk(files=[data], folders=[], names=[]):
        assert worker.described([data]) is None
        (desk,) = worker._desks
        desk._thread.join()
    assert started == ["serve"]


def test_it_ends_with_the_run(worker: ConfinedWorker, started: list[str], tmp_path: Path) -> None:
    data = an_archive(tmp_path / "project/in.npz")
    with worker.desk(files=[data], folders=[], names=[]):
        (desk,) = worker._desks
        worker._cancelled.set()
        desk._thread.join()
    assert started == ["serve"]


def test_without_a_place_for_it_there_is_none(worker: ConfinedWorker, started: list[str], tmp_path: Path) -> None:
    data = an_archive(tmp_path / "project/in.npz")
    (tmp_path / "stages").touch()  # no folder can be made below it
    with worker.desk(files=[data], folders=[], names=[]):
        assert worker._desks == () and worker.described([data]) is None
    assert started == []
