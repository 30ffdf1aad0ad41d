"""The attacks' own machinery: whatever ends it, nothing of it is left on the machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox import available, batches, processes
from tests.sandbox.catalogue import BACKENDS, OPEN

WORKER = Path(__file__).with_name("worker.py")


def _wait_for(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _interruptible() -> None:
    """Whoever runs the tests in the background of a shell lets them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="llma", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("backend", ["landlock", OPEN.name])
def test_worker_that_is_stopped_leaves_nothing(
    tmp_path: Path, short: Path, backend: str, number: signal.Signals
) -> None:
    wall = next((each for each in BACKENDS if each.name == backend), OPEN)
    if reason := available.reason_against(wall):
        pytest.skip(reason)
    folder = short
    order = {"checkout": str(batches.ROOT), "backend": backend, "attacks": ["wait_for_a_stopped_child"]}
    (tmp_path / "order.json").write_text(json.dumps(order | {"folder": str(folder)}))
    worker = subprocess.Popen(
        [sys.executable, "-I", str(WORKER), str(tmp_path / "order.json"), str(tmp_path / "result.json")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=_interruptible,
    )  # fmt: skip
    assert _wait_for(lambda: len(processes.descendants(worker.pid)) > 2)
    worker.send_signal(number)
    shown, _ = worker.communicate(timeout=30)
    assert worker.returncode != 0, shown
    assert list(folder.iterdir()) == []
    left = batches.left_behind_by(worker.pid, folder)
    # A signal between making a ticket and noting it leaves that one file, which holds nothing.
    tickets = [name for name in left if name.startswith("/tmp/krb5cc_")]
    for name in tickets:
        Path(name).unlink(missing_ok=True)
    assert len(tickets) <= 1 and left == tickets


def test_batch_that_leaves_something_is_noticed(tmp_path: Path) -> None:
    program = "import time; time.sleep(30)"
    stray = subprocess.Popen([sys.executable, "-c", program, f"{tmp_path}/0/base/home"])
    try:
        assert _wait_for(lambda: batches.left_behind_by(1, tmp_path) == [f"process {stray.pid}"])
    finally:
        stray.kill()
        stray.wait()
