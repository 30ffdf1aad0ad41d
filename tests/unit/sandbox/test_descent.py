"""Finding, measuring and ending processes. What ends all descendants runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox import descent
from tests.unit.sandbox.support import WITHOUT_PACKAGE, wait_for

SLEEPS = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
TREE = [
    sys.executable, "-I", "-S", "-c",
    "import subprocess, sys, threading, time\n"
    "threading.Thread(target=lambda: subprocess.run([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)']))"
    ".start()\nsubprocess.run([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)'])",
]  # fmt: skip
"""A process with two children, one of them a thread's."""


def test_descendants() -> None:
    with subprocess.Popen(TREE) as started:
        try:
            assert wait_for(lambda: len(descent.descendants(started.pid)) == 2)
            assert sorted(descent._descendants_by_table(started.pid)) == sorted(descent.descendants(started.pid))
            assert {started.pid, *descent.descendants(started.pid)} <= set(descent.descendants(os.getpid()))
        finally:
            for pid in (started.pid, *descent.descendants(started.pid)):
                os.kill(pid, 9)


def test_a_kernel_without_lists_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(SLEEPS) as started:
        monkeypatch.setattr(descent, "_children", lambda pid: None)
        assert started.pid in descent.descendants(os.getpid())
        started.kill()


def test_who_is_gone_has_none() -> None:
    with subprocess.Popen(SLEEPS) as started:
        started.kill()
        assert wait_for(lambda: descent.is_zombie(started.pid))
    assert descent.descendants(started.pid) == []
    assert descent.is_zombie(started.pid)
    assert descent.measure([started.pid]) == (0, 0)
    assert descent.proportional_memory([started.pid]) == 0
    assert not descent.is_zombie(os.getpid())


def test_memory_and_threads() -> None:
    source = (
        "import threading, time\nheld = b'x' * (50 << 20)\n"
        "for _ in range(3): threading.Thread(target=time.sleep, args=(60,)).start()\nprint(flush=True)"
    )
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", source], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        memory, threads = descent.measure([started.pid])
        proportional = descent.proportional_memory([started.pid])
        started.kill()
    assert 50 << 20 <= memory < 100 << 20
    assert threads in (3, 4)
    assert 50 << 20 <= proportional <= memory + (1 << 20)


@pytest.mark.parametrize("name", ["x", ") R 1 (", "a b", ")"])
def test_names_of_programs_do_not_mislead(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([str(program), "60"]) as started:
        fields = descent._stat(started.pid)
        assert int(fields[1]) == os.getpid()
        started.kill()


def ended(source: str) -> list[str]:
    """What a process says that started others and ended them all."""
    code = f"""{WITHOUT_PACKAGE}
import os, signal, subprocess, time
from snakemake_executor_plugin_llmagent.sandbox import descent, kernel
kernel.adopt_orphans()
def start(code="import time; time.sleep(60)", **options):
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", code], **options)
{source}
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_all_are_ended() -> None:
    source = """
orphan = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)'], start_new_session=True).pid)"
start(orphan, stdout=subprocess.DEVNULL).wait()
for number in (signal.SIGTERM, signal.SIGINT):
    start(f"import signal, time; signal.signal({int(number)}, signal.SIG_IGN); time.sleep(60)", start_new_session=True)
stopped = start(); os.kill(stopped.pid, signal.SIGSTOP)
zombie = start("pass"); time.sleep(0.3)
print(descent.end_all(), descent.descendants(os.getpid()), descent.end_all())
"""  # noqa: E501
    assert ended(source) == ["4", "[]", "0"]


def test_those_that_go_on_starting_others_are_ended_too() -> None:
    source = """
start("import os, time\\nwhile True:\\n    if os.fork() == 0:\\n        time.sleep(0.01); os.fork(); os._exit(0)\\n    time.sleep(0.005)")
time.sleep(0.3)
print(descent.end_all() > 0, descent.descendants(os.getpid()))
"""  # noqa: E501
    assert ended(source) == ["True", "[]"]


def test_who_cannot_be_ended_is_told() -> None:
    source = """
child = start()
descent._send = lambda pid, number: None
try:
    descent.end_all(seconds=0.1)
except TimeoutError as error:
    print(str(error).replace(" ", "-"))
child.kill()
"""
    assert ended(source) == ["1-processes-could-not-be-ended"]


def test_signals_to_nobody_are_no_errors() -> None:
    descent._send(2**22 + 1, 9)
