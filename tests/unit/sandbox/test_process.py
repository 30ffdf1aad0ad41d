from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.errors import Cancelled, SandboxUnavailable
from snakemake_executor_plugin_llmagent.protocols import Ending
from snakemake_executor_plugin_llmagent.sandbox import launcher, process
from snakemake_executor_plugin_llmagent.sandbox.process import Limits
from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN, marked
from tests.unit.sandbox.support import alive, number_in, wait_for

ROOT = Path(__file__).parents[3]


class Runner:
    """Runs Python in a directory, marked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = uuid.uuid4().hex
        self.log = folder / "log"
        self.cancelled = threading.Event()

    def command(self, *command: str, seconds: float = 120.0, log_bytes: int = 1 << 20) -> tuple[Ending, int, float]:
        return process.run(
            command,
            directory=self.folder,
            environment={"PATH": os.environ.get("PATH", os.defpath), TOKEN: self.token},
            log=self.log,
            limits=Limits(seconds=seconds, log_bytes=log_bytes),
            cancelled=self.cancelled,
        )

    def python(self, source: str, seconds: float = 120.0, log_bytes: int = 1 << 20) -> tuple[Ending, int, float]:
        return self.command(sys.executable, "-c", textwrap.dedent(source), seconds=seconds, log_bytes=log_bytes)

    @property
    def left(self) -> list[int]:
        return marked(f"{TOKEN}={self.token}")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


CHILDREN = """
    import os, subprocess, sys, time
    def note(name):
        with open(name, "w") as file:
            file.write(f"{os.getpid()}\\n")
    if os.fork() == 0:
        note("forked")
        time.sleep(600)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note("daemon")
            time.sleep(600)
        os._exit(0)
    subprocess.Popen(
        [sys.executable, "-c", "import os, signal, time\\n"
         "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
         "print(os.getpid(), file=open('deaf', 'w'), flush=True)\\ntime.sleep(600)"],
        start_new_session=True,
    )
    while not all(os.path.exists(name) and open(name).read().endswith("\\n") for name in ("forked", "daemon", "deaf")):
        time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("source", "ending", "returncode"),
    [
        ("pass", Ending.EXIT, 0),
        ("raise SystemExit(3)", Ending.EXIT, 3),
        ("raise SystemExit(125)", Ending.EXIT, 125),
        ("raise ValueError('no')", Ending.EXIT, 1),
        ("import os; os.kill(os.getpid(), 15)", Ending.SIGNAL, -15),
        ("import os; os.abort()", Ending.SIGNAL, -6),
    ],
)
def test_how_a_script_ends(runner: Runner, source: str, ending: Ending, returncode: int) -> None:
    found, code, seconds = runner.python(source)
    assert (found, code) == (ending, returncode)
    assert seconds > 0


def test_what_it_prints_goes_to_the_log(runner: Runner) -> None:
    runner.python("import os, sys; print('out', flush=True); os.system('echo child'); print('err', file=sys.stderr)")
    assert runner.log.read_text().split() == ["out", "child", "err"]


def test_nobody_types_anything(runner: Runner) -> None:
    assert runner.python("import sys; assert sys.stdin.read() == ''")[1] == 0


def test_there_are_no_core_dumps_and_no_open_files_of_ours(runner: Runner, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w"):
        ending = runner.python(
            "import os, resource\nassert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)\n"
            "assert not any('secret' in os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd'))"
        )
    assert ending[1] == 0, runner.log.read_text()


def test_what_a_script_leaves_running_is_ended(runner: Runner) -> None:
    assert runner.python(CHILDREN)[:2] == (Ending.EXIT, 0)
    assert wait_for(lambda: not runner.left)
    assert not any(alive(int((runner.folder / name).read_text())) for name in ("forked", "daemon", "deaf"))


def test_a_time_limit_ends_the_whole_tree(runner: Runner) -> None:
    limits = Limits(seconds=600)

    def over_when_all_are_there() -> None:
        if all((runner.folder / name).exists() for name in ("forked", "daemon", "deaf")):
            object.__setattr__(limits, "seconds", 0.0)

    ending, returncode, _ = process.run(
        (sys.executable, "-c", textwrap.dedent(CHILDREN + "\n    time.sleep(600)")),
        directory=runner.folder,
        environment={TOKEN: runner.token},
        log=runner.log,
        limits=limits,
        cancelled=runner.cancelled,
        tick=over_when_all_are_there,
    )
    assert (ending, returncode) == (Ending.TIMEOUT, -signal.SIGKILL)
    assert wait_for(lambda: not runner.left)
    assert not any(alive(number_in(runner.folder / name)) for name in ("forked", "daemon", "deaf"))


def test_a_time_limit_is_kept(runner: Runner) -> None:
    ending, _, seconds = runner.python("import time; time.sleep(600)", seconds=0.5)
    assert ending is Ending.TIMEOUT
    assert 0.5 <= seconds < 60


def test_a_flood_is_stopped(runner: Runner) -> None:
    source = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    ending, _, _ = runner.python(source, log_bytes=1 << 20)
    assert ending is Ending.LOG_FLOOD
    assert runner.left == []


def test_cancelling_ends_the_whole_tree(runner: Runner) -> None:
    def cancel() -> None:
        wait_for(lambda: (runner.folder / "deaf").exists())
        runner.cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled):
        runner.python(CHILDREN + "\n    time.sleep(600)")
    thread.join()
    assert wait_for(lambda: not runner.left)


def test_an_interrupt_while_waiting_leaves_nothing(runner: Runner) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.run(
            (sys.executable, "-c", "import time; time.sleep(600)"),
            directory=runner.folder,
            environment={TOKEN: runner.token},
            log=runner.log,
            limits=Limits(seconds=600),
            cancelled=runner.cancelled,
            tick=interrupt,
        )
    assert wait_for(lambda: not runner.left)


def test_the_watcher_is_called_while_it_runs_and_at_the_end(runner: Runner) -> None:
    ticks: list[float] = []
    process.run(
        (sys.executable, "-c", "import time; time.sleep(0.5)"),
        directory=runner.folder,
        environment={TOKEN: runner.token},
        log=runner.log,
        limits=Limits(seconds=600),
        cancelled=runner.cancelled,
        tick=lambda: ticks.append(time.monotonic()),
    )
    assert len(ticks) >= 3


# --- what is not the script's fault ---------------------------------------------------------------------------------


def test_a_command_that_does_not_exist_is_not_the_scripts_fault(runner: Runner) -> None:
    with pytest.raises(SandboxUnavailable, match=r"cannot start 'no-such-python': (No such file|Permission denied)"):
        runner.command("no-such-python", "-c", "pass")


def test_a_command_that_may_not_run_is_not_the_scripts_fault(runner: Runner) -> None:
    (runner.folder / "python").write_text("not a program")
    with pytest.raises(SandboxUnavailable, match=r"cannot start .*Permission denied"):
        runner.command(str(runner.folder / "python"))


def test_a_directory_that_is_gone_is_not_the_scripts_fault(runner: Runner) -> None:
    log = runner.log
    runner.folder = runner.folder / "gone"
    runner.log = log
    with pytest.raises(SandboxUnavailable, match="could not be started"):
        runner.python("pass")


def test_the_launcher_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main(["1", "--"]) == launcher.FAILED
    assert launcher.main(["1", "x", "y"]) == launcher.FAILED
    assert "usage" in capsys.readouterr().err


def test_a_launcher_whose_parent_is_gone_starts_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", launcher.__file__, str(os.getppid()), "--", "touch", str(tmp_path / "x")]
    done = subprocess.run(command, check=False, timeout=60)
    assert done.returncode == launcher.FAILED
    assert not (tmp_path / "x").exists()


# --- when we are killed ---------------------------------------------------------------------------------------------

PARENT = """
import os, sys, threading
from pathlib import Path
sys.path.insert(0, {root!r})
from snakemake_executor_plugin_llmagent.sandbox import process
from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN, Warden
warden = Warden()
if {watch}:
    warden.watch()
process.run(
    (sys.executable, "-c", {script!r}), directory=Path({folder!r}),
    environment={{TOKEN: warden.new_token()}}, log=Path({folder!r}, "log"),
    limits=process.Limits(seconds=600), cancelled=threading.Event(),
)
"""


def parent(folder: Path, script: str, *, watch: bool) -> subprocess.Popen[bytes]:
    source = PARENT.format(root=str(ROOT), watch=watch, script=textwrap.dedent(script), folder=str(folder))
    return subprocess.Popen([sys.executable, "-c", source], start_new_session=True)


def test_a_script_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = "import os, time\nprint(os.getpid(), file=open('pid', 'w'), flush=True)\ntime.sleep(600)"
    started = parent(tmp_path, script, watch=False)
    try:
        pid = number_in(tmp_path / "pid")
        assert alive(pid)
    finally:
        started.kill()
        started.wait()
    assert wait_for(lambda: not alive(pid))


def test_its_children_die_too_wherever_they_went(tmp_path: Path) -> None:
    started = parent(tmp_path, CHILDREN + "\n    time.sleep(600)", watch=True)
    try:
        pids = [number_in(tmp_path / name) for name in ("forked", "daemon", "deaf")]
    finally:
        started.kill()
        started.wait()
    assert wait_for(lambda: not any(map(alive, pids)))
