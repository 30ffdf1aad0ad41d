"""Running a supervisor to its end, being told to stop, and being killed."""

from __future__ import annotations

import marshal
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.errors import Cancelled, SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox import process, warden
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Report
from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN, Warden, end_marked, marked
from tests.unit.sandbox.support import CHILDREN, MAIN, NOTES, STAYS, WITHOUT_PACKAGE, Stand, wait_for


class Runner(Stand):
    """Runs scripts as the package does."""

    def __init__(self, folder: Path, backend: str) -> None:
        super().__init__(folder, backend)
        self.cancelled = threading.Event()

    def report_of(self, source: str = "", command: Sequence[str] | None = None, **changes: Any) -> Report:
        """Run a script to its end; `supervisor` is handed on."""
        given = {name: changes.pop(name) for name in ("supervisor", "enter") if name in changes}
        started = self.words(source, command, **changes)
        return process.run(
            self.order(**changes), started[started.index("--") + 1 :], environment=os.environ, token=self.mark,
            cancelled=self.cancelled, **given,
        )  # fmt: skip

    @property
    def left(self) -> list[int]:
        return marked(f"{TOKEN}={self.mark}") + self.running


@pytest.fixture(params=MAIN)
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    return Runner(tmp_path, request.param)


@pytest.fixture
def free(tmp_path: Path) -> Runner:
    """Without walls: what does not depend on them."""
    return Runner(tmp_path, "none")


def test_a_report_is_read(runner: Runner) -> None:
    (runner.folder / "data").write_text("x")
    place = runner.folder / "data"
    report = runner.report_of(f"open({str(place)!r}).read()", readable=(place,), watch=(("data", place),))
    assert (report.backend, report.ending, report.returncode, report.limit) == (runner.backend, "exit", 0, None)
    assert report.access == {"data": (True, True)}
    assert report.seconds > 0 and report.cpu_seconds > 0 and report.peak_memory > 1 << 20
    assert not runner.left


def test_a_limit_is_told(runner: Runner) -> None:
    report = runner.report_of("import time; time.sleep(60)", limits={"seconds": 0.5})
    assert (report.ending, report.limit) == ("timeout", ("seconds", 0.5))


def test_cancelling_ends_the_whole_tree(runner: Runner) -> None:
    def cancel() -> None:
        wait_for(lambda: runner.wrote("ready"))
        runner.cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled, match="cancelled"):
        runner.report_of(STAYS)
    thread.join()
    assert not runner.left
    assert not runner.home.exists() and not runner.tmp.exists()


def test_cancelling_before_it_began_starts_as_good_as_nothing(free: Runner) -> None:
    free.cancelled.set()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        free.report_of("import time; time.sleep(60)")
    assert time.monotonic() - started < 30
    assert not free.left


def test_an_interrupt_while_waiting_leaves_nothing(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        wait_for(lambda: runner.wrote("ready"))
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.report_of(STAYS)
    assert not runner.left


def test_ended_from_outside_is_cancelled(runner: Runner) -> None:
    """`llmagent` and Snakemake end scripts by their mark."""

    def end() -> None:
        wait_for(lambda: runner.wrote("ready"))
        end_marked(f"{TOKEN}={runner.mark}")

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(Cancelled, match="from outside"):
        runner.report_of(STAYS)
    thread.join()
    assert not runner.left


def test_the_script_does_not_carry_the_mark(runner: Runner) -> None:
    """Only those who end all of their processes are asked to end."""
    report = runner.report_of("import os; assert 'LLMAGENT_TRIAL' not in os.environ")
    assert report.returncode == 0


def test_a_supervisor_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE_SECONDS", 0.0)
    source = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", source], start_new_session=True, stdout=subprocess.PIPE
    ) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        process.end(deaf)
        assert deaf.returncode == -signal.SIGKILL


def test_words_before_the_supervisor_enter_an_environment(free: Runner) -> None:
    enter = ("env", "ENTERED=yes", "bash", "-c", 'exec "$@"', "llmagent")
    assert free.report_of("import time; time.sleep(0)", enter=enter).returncode == 0


# --- what is not the script's fault -----------------------------------------------------------------------------------


def test_a_program_that_is_not_there(runner: Runner) -> None:
    with pytest.raises(SandboxUnavailable, match=r"could not be set up: .*there is no program no-such-python"):
        runner.report_of(command=["no-such-python", "-c", "pass"])


def test_a_program_that_may_not_run(runner: Runner) -> None:
    place = runner.stage / "python"
    place.write_text("not a program")
    with pytest.raises(SandboxUnavailable, match="there is no program"):
        runner.report_of(command=[str(place)])


def test_a_program_that_is_none(runner: Runner) -> None:
    place = runner.stage / "python"
    place.write_bytes(b"\x7fELF and nothing more")
    place.chmod(0o755)
    for _ in range(3):
        with pytest.raises(SandboxUnavailable, match="Exec format error"):
            runner.report_of(command=[str(place)])


def test_a_program_whose_interpreter_is_out_of_sight(tmp_path: Path) -> None:
    """Landlock does not let it run, although it can be seen to be there."""
    runner = Runner(tmp_path / "room", "landlock")
    (tmp_path / "hidden").mkdir()
    hidden = tmp_path / "hidden" / "interpreter"
    hidden.write_bytes(Path("/bin/true").read_bytes())
    place = runner.stage / "program"
    place.write_text(f"#!{hidden}\n")
    for path in (hidden, place):
        path.chmod(0o755)
    for _ in range(3):
        with pytest.raises(SandboxUnavailable, match="Permission denied"):
            runner.report_of(command=[str(place)])


def test_a_stage_that_is_gone(free: Runner) -> None:
    free.stage.rmdir()
    with pytest.raises(SandboxUnavailable, match="could not be started"):
        free.report_of("pass")


def test_a_python_that_is_not_there(free: Runner) -> None:
    with pytest.raises(SandboxUnavailable, match="could not be started"):
        free.report_of("pass", supervisor=("/no/such/python", "alone.py"))


def test_a_supervisor_that_fails_says_why(free: Runner) -> None:
    with pytest.raises(SandboxUnavailable, match=r"ended without a report: .*No such file"):
        free.report_of("pass", log=free.folder / "gone" / "log")
    with pytest.raises(SandboxUnavailable, match="can't open file"):
        free.report_of("pass", supervisor=(sys.executable, "/no/such/alone.py"))


def test_an_unknown_way_into_an_environment_says_why(free: Runner) -> None:
    with pytest.raises(SandboxUnavailable, match="no such environment"):
        free.report_of("pass", enter=("sh", "-c", "echo no such environment >&2; exit 1", "llmagent"))


def test_walls_that_cannot_be_built(tmp_path: Path) -> None:
    runner = Runner(tmp_path, "bwrap")
    with pytest.raises(SandboxUnavailable, match=r"sandbox bwrap could not be set up: .*no-bwrap"):
        runner.report_of("pass", bwrap=str(tmp_path / "no-bwrap"))
    with pytest.raises(SandboxUnavailable, match="no reason was given"):
        runner.report_of("pass", bwrap="/bin/false")


# --- when we are killed -----------------------------------------------------------------------------------------------

PARENT = """
{before}
import threading
from pathlib import Path
from snakemake_executor_plugin_llmagent.sandbox import process
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Wish
from snakemake_executor_plugin_llmagent.sandbox.warden import Warden
warden = Warden()
if {watch}:
    warden.watch()
paths = dict(stage=Path({folder!r}, "stage"), home=Path({folder!r}, "home"), tmp=Path({folder!r}, "tmp"))
order = Order(
    backend={backend!r}, script=Path({folder!r}, "script.py"), log=Path({folder!r}, "log"),
    report=Path({folder!r}, "report.json"), environment=Wish(keep=("PATH",)), limits={limits!r}, **paths,
)
process.run(
    order, (sys.executable, str(order.script), {mark!r}), environment={{"PATH": "/usr/bin:/bin"}},
    token=warden.new_token(), cancelled=threading.Event(),
)
"""


def parent(runner: Runner, *, watch: bool) -> subprocess.Popen[bytes]:
    runner.words(STAYS)
    source = PARENT.format(
        before=WITHOUT_PACKAGE, watch=watch, folder=str(runner.folder), backend=runner.backend, mark=runner.mark,
        limits=dict(runner.order().limits),
    )  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", source], start_new_session=True)


@pytest.mark.parametrize("watch", [False, True])
def test_scripts_end_with_the_process_that_started_them(runner: Runner, watch: bool) -> None:
    started = parent(runner, watch=watch)
    try:
        assert wait_for(lambda: runner.wrote("ready"))
        assert runner.wrote(*NOTES)
    finally:
        started.kill()
        started.wait()
    assert wait_for(lambda: not runner.running and not runner.supervising)
    assert wait_for(lambda: not runner.home.exists() and not runner.tmp.exists())


def test_a_warden_outlives_a_run_that_is_killed(free: Runner) -> None:
    """Even if the supervisor does not hear of its parent's end, as inside a container."""
    guard = subprocess.Popen(
        free.words(STAYS), cwd=free.stage, env={**os.environ, TOKEN: f"{free.mark}-1"}, start_new_session=True
    )
    try:
        assert wait_for(lambda: free.wrote("ready"))
        source = (
            f"{WITHOUT_PACKAGE}\n"
            "from snakemake_executor_plugin_llmagent.sandbox.warden import Warden\n"
            f"warden = Warden(); warden.mark = {free.mark!r}; warden.watch()\n"
            "import os; os.kill(os.getpid(), 9)\n"
        )
        killed = subprocess.run([sys.executable, "-c", source], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert guard.wait(timeout=30) == 143
    finally:
        guard.kill()
        guard.wait()
    assert wait_for(lambda: not free.left)


@pytest.mark.timeout(30)
def test_a_warden_is_let_go_while_a_forked_process_holds_its_pipe() -> None:
    mine = Warden()
    mine.watch()
    other = os.fork()
    if other == 0:
        time.sleep(60)
        os._exit(0)
    try:
        mine.close()
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)


def test_a_warden_that_is_let_go_ends_nobody(free: Runner) -> None:
    mine = Warden()
    mine.watch()
    mine.watch()
    stays = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"], env={TOKEN: mine.new_token()}
    )
    try:
        mine.close()
        mine.close()
        time.sleep(0.1)
        assert stays.poll() is None
        assert wait_for(lambda: marked(f"{TOKEN}={mine.mark}") == [stays.pid])
        mine.end_scripts()
        assert stays.wait(timeout=10) == -signal.SIGTERM
    finally:
        stays.kill()
        stays.wait()
    assert marked(f"{TOKEN}={mine.mark}") == []


def test_marks_differ() -> None:
    one, other = Warden(), Warden()
    assert len({one.new_token(), one.new_token(), other.new_token()}) == 3
    assert one.new_token().startswith(one.mark)


def test_a_warden_is_deaf_to_what_ends_a_run(tmp_path: Path) -> None:
    words = [sys.executable, "-I", "-S", warden.__file__, f"{TOKEN}=nobody-{tmp_path.name}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as started:
        assert started.stdin is not None

        def ignores() -> bool:
            status = Path(f"/proc/{started.pid}/status").read_text()
            ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
            return all(ignored >> (number - 1) & 1 for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))

        assert wait_for(ignores)
        started.terminate()
        started.stdin.write(warden.DONE)
        started.stdin.close()
        assert started.wait(timeout=30) == 0


def test_the_order_is_what_was_asked_for(free: Runner) -> None:
    """An order is plain data, all paths absolute."""
    order = free.order(watch=(("a", free.stage),), limits={"memory": 5})
    assert isinstance(order, Order)
    free.report_of(CHILDREN)
    written = marshal.loads((free.folder / "order.json").read_bytes())
    assert (written["backend"], written["stage"][0]) == ("none", "/")
