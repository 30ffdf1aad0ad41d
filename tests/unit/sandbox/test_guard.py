"""A supervisor and its guard, started as scripts are, with real processes behind real walls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox import alone
from tests.unit.sandbox.support import CHILDREN, MAIN, NOTES, STAYS, Stand, wait_for

walled = pytest.mark.parametrize("backend", ["bwrap", "landlock"])


@pytest.fixture(params=MAIN)
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    return Stand(tmp_path, request.param)


# --- how a script ends ------------------------------------------------------------------------------------------------

FORGERY = """
import os, sys
for number in range(3, 100):
    try:
        os.write(number, b"FileNotFoundError: there is no program python")
    except OSError:
        pass
print("llmagent: the sandbox failed: OSError", flush=True)
print('{"ending": "refused to start", "refusal": "no"}', file=sys.stderr, flush=True)
"""


@pytest.mark.parametrize("code", [0, 3, 124, 125, 126])
def test_a_script_that_exits_is_never_taken_for_one_that_was_ended(stand: Stand, code: int) -> None:
    done = stand.run(f"{FORGERY}\nos._exit({code})\n")
    assert (done.status, *done.ending) == (code, "exit", code)
    assert (done.report["limit"], done.report["refusal"], done.report["walls"]) == (None, "", True)
    assert "the sandbox failed" in done.log and done.stdout == done.stderr == b""


@pytest.mark.parametrize("code", [137, 143])
def test_a_script_that_exits_as_a_shell_says_signals(stand: Stand, code: int) -> None:
    """Bubblewrap tells a signal by such a status too: there the two cannot be told apart."""
    done = stand.run(f"{FORGERY}\nos._exit({code})\n")
    assert done.status == code
    assert done.ending == (("signal", 128 - code) if stand.backend == "bwrap" else ("exit", code))
    assert (done.report["limit"], done.report["refusal"]) == (None, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT])
def test_a_signal(stand: Stand, number: signal.Signals) -> None:
    done = stand.run(f"import os; os.kill(os.getpid(), {int(number)})")
    assert (done.status, *done.ending) == (128 + number, "signal", -number)


def test_a_script_that_raises_says_so_in_the_log(stand: Stand) -> None:
    done = stand.run("raise ValueError('no')")
    assert (done.status, *done.ending) == (1, "exit", 1)
    assert "ValueError: no" in done.log


@walled
def test_a_walled_script_cannot_end_those_that_watch_it(tmp_path: Path, backend: str) -> None:
    source = (
        "import os\ntry:\n    os.kill(os.getppid(), 9)\nexcept OSError as error:\n    print(error)\nprint('goes on')"
    )
    done = Stand(tmp_path, backend).run(source)
    assert done.ending == ("exit", 0)
    assert done.log.endswith("goes on\n") and ("not permitted" in done.log or backend == "bwrap")
    assert done.report["refusal"] == ""


# --- limits -----------------------------------------------------------------------------------------------------------


def test_wall_time(stand: Stand) -> None:
    done = stand.run(f"import signal; signal.signal(15, signal.SIG_IGN)\n{STAYS}", limits={"seconds": 2.0})
    assert (done.status, done.report["ending"]) == (124, "timeout")
    assert done.report["limit"] == {"name": "seconds", "value": 2.0}
    assert 2.0 <= done.report["seconds"] < 30
    assert done.report["returncode"] == -signal.SIGKILL
    assert not stand.running


MEGABYTES = {
    "one process": "held = b'x' * (400 << 20)\nimport time; time.sleep(60)",
    "the whole tree": "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n        held = b'x' * (100 << 20)\n"
    "        time.sleep(60)\ntime.sleep(60)",
}


@pytest.mark.parametrize("which", MEGABYTES)
def test_memory(stand: Stand, which: str) -> None:
    limit = 200 << 20
    done = stand.run(MEGABYTES[which], limits={"memory": limit})
    assert (done.status, done.report["ending"]) == (137, "memory")
    assert done.report["limit"] == {"name": "memory", "value": limit}
    assert limit < done.report["peak_memory"] < 4 * limit
    assert not stand.running


def test_pages_that_processes_share_count_once(stand: Stand) -> None:
    source = "import os, time\nheld = b'x' * (100 << 20)\nfor _ in range(4):\n    if os.fork() == 0:\n" \
        "        time.sleep(0.5)\n        os._exit(0)\ntime.sleep(0.5)"  # fmt: skip
    done = stand.run(source, limits={"memory": 300 << 20})
    assert done.ending == ("exit", 0)


@pytest.mark.parametrize(
    "source",
    [
        "import threading, time\n"
        "for _ in range(60): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "time.sleep(60)",
        "import os, time\nfor _ in range(60):\n    if os.fork() == 0:\n        time.sleep(60)\ntime.sleep(60)",
    ],
    ids=["threads", "processes"],
)
def test_processes_and_threads(stand: Stand, source: str) -> None:
    """For an ordinary user the kernel refuses what is too much; the superuser is watched."""
    done = stand.run(source, limits={"processes": 30, "seconds": 20.0})
    if done.report["ending"] == "processes":
        assert (done.status, done.report["limit"]) == (126, {"name": "processes", "value": 30})
    else:
        assert done.report["returncode"] == 1 and (
            "can't start new thread" in done.log or "BlockingIOError" in done.log
        )
    assert not stand.running


@pytest.mark.parametrize("after", ["", "\nimport time; time.sleep(60)"], ids=["at its end", "while it runs"])
@pytest.mark.parametrize(
    ("source", "name", "value"),
    [
        ("for n in range(300): open(str(n), 'w').close()", "files", 200),
        ("import os\nfor n in range(300): os.makedirs(f'a/{n}')", "files", 200),
        ("open('big', 'wb').write(b'x' * (8 << 20))", "disk", 4 << 20),
        ("import os; open(os.environ['TMPDIR'] + '/big', 'wb').write(b'x' * (8 << 20))", "disk", 4 << 20),
    ],
    ids=["files", "directories", "stage", "temporary"],
)
def test_files_and_disk(tmp_path: Path, source: str, name: str, value: int, after: str) -> None:
    done = Stand(tmp_path, "none").run(source + after, limits={name: value})
    assert (done.status, done.report["ending"]) == (126, name)
    assert done.report["limit"] == {"name": name, "value": value}


@walled
def test_files_and_disk_behind_walls(tmp_path: Path, backend: str) -> None:
    source = "import time\nfor n in range(300): open(str(n), 'w').close()\ntime.sleep(60)"
    done = Stand(tmp_path, backend).run(source, limits={"files": 200, "disk": 1 << 30})
    assert (done.status, done.report["ending"]) == (126, "files")


def test_no_file_grows_beyond_its_limit(stand: Stand) -> None:
    done = stand.run("open('big', 'wb').write(b'x' * (3 << 20))", limits={"file_size": 1 << 20})
    assert done.ending == ("exit", 1)
    assert "File too large" in done.log
    assert (stand.stage / "big").stat().st_size <= 1 << 20


def test_open_files_are_limited(stand: Stand) -> None:
    done = stand.run("held = [open('/dev/null') for _ in range(100)]", limits={"open_files": 64})
    assert done.ending == ("exit", 1)
    assert "Too many open files" in done.log


def test_a_flood_is_stopped(stand: Stand) -> None:
    done = stand.run("import os\nwhile True: os.write(1, b'x' * 65536)", limits={"log": 4 << 20})
    assert (done.status, done.report["ending"]) == (126, "log flood")
    assert done.report["limit"] == {"name": "log", "value": 4 << 20}
    assert stand.log.stat().st_size < 2 << 20
    assert done.report["log_dropped"] >= 4 << 20


# --- what is reported -------------------------------------------------------------------------------------------------


def test_a_report(stand: Stand, tmp_path: Path) -> None:
    for name in ("read", "opened", "untouched"):
        (tmp_path / name).write_text("x" * 100)
    source = f"""
        import time
        open({str(tmp_path / "read")!r}).read()
        open({str(tmp_path / "opened")!r}).close()
        held = b"x" * (150 << 20)
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
        print("done")
    """
    names = ("read", "opened", "untouched")
    done = stand.run(
        source, readable=tuple(tmp_path / name for name in names),
        watch=(*((name, tmp_path / name) for name in names), ("gone", tmp_path / "gone")),
    )  # fmt: skip
    report = done.report
    assert done.ending == ("exit", 0)
    assert report["backend"] == stand.backend
    assert (report["abi"] > 0) == (stand.backend != "none")
    assert report["access"] == {
        "read": (True, True), "opened": (True, False), "untouched": (False, False), "gone": (None, None),
    }  # fmt: skip
    assert 0.5 <= report["cpu_seconds"] < 5
    assert report["seconds"] >= 0.5
    assert 150 << 20 <= report["peak_memory"] < 400 << 20
    assert 1 <= report["processes"] < 20
    assert (report["log_bytes"], report["log_dropped"]) == (5, 0)


def test_what_it_prints_goes_to_the_log_in_order(stand: Stand) -> None:
    done = stand.run(
        "import os, sys; print('out', flush=True); os.system('echo child'); print('err', file=sys.stderr, flush=True)\n"
        "os.write(1, b'\\xff\\n')"
    )
    assert stand.log.read_bytes() == b"out\nchild\nerr\n\xff\n"
    assert done.stdout == done.stderr == b""


def test_nobody_types_anything_and_nothing_of_ours_is_open(stand: Stand, tmp_path: Path) -> None:
    source = """
        import os, resource, sys
        assert sys.stdin.read() == ""
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        print(sorted(os.listdir("/proc/self/fd"), key=int)) if os.access("/proc/self/fd", os.R_OK) else print("-")
        held = []
        for number in range(3, 200):
            try:
                held.append((number, os.fstat(number).st_size))
            except OSError:
                pass
        assert len(held) <= 1, held  # the script itself, at most
    """
    with (tmp_path / "secret").open("w") as held:
        words = stand.words(source)
        done = subprocess.run(
            words, cwd=stand.stage, stdin=subprocess.PIPE, pass_fds=(held.fileno(),), timeout=60, check=False
        )
    assert done.returncode == 0, stand.log.read_text()


# --- nothing is left behind -------------------------------------------------------------------------------------------


def test_what_a_script_leaves_running_is_ended(stand: Stand) -> None:
    done = stand.run(CHILDREN)
    assert done.ending == ("exit", 0)
    assert stand.wrote(*NOTES) and not stand.running
    assert done.report["leftovers"] >= 3 or stand.backend == "bwrap"


def test_a_daemon_that_holds_the_output_open_delays_nothing(stand: Stand) -> None:
    started = time.monotonic()
    done = stand.run("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\nprint('end')")
    assert (done.ending, done.log) == (("exit", 0), "end\n")
    assert time.monotonic() - started < 20
    assert not stand.running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_guard_that_is_told_to_stop(stand: Stand, number: signal.Signals) -> None:
    guard = stand.start(STAYS)
    assert wait_for(lambda: stand.wrote("ready") or guard.poll() is not None)
    guard.send_signal(number)
    assert guard.wait(timeout=30) == 143
    assert not stand.running
    assert stand.outcome(143).report["ending"] == "stopped"
    assert not stand.home.exists() and not stand.tmp.exists()
    assert stand.stage.exists()


def test_private_folders_are_removed_whatever_is_in_them(stand: Stand) -> None:
    deep = "import os\nos.chdir(os.environ['HOME'])\nfor _ in range(300): os.mkdir('d' * 50); os.chdir('d' * 50)\n" \
        "os.chdir(os.environ['TMPDIR']); os.mkdir('closed'); open('closed/x', 'w').close(); os.chmod('closed', 0)\n" \
        f"os.chdir({str(stand.stage)!r})\n"  # fmt: skip
    guard = stand.start(deep + STAYS)
    assert wait_for(lambda: stand.wrote("ready") or guard.poll() is not None)
    guard.terminate()
    assert guard.wait(timeout=30) == 143
    assert not stand.home.exists() and not stand.tmp.exists()


def test_a_supervisor_that_is_killed_leaves_nothing(stand: Stand) -> None:
    guard = stand.start(STAYS)
    assert wait_for(lambda: stand.wrote("ready") or guard.poll() is not None)
    first, supervisor = stand.supervising
    assert first == guard.pid
    os.kill(supervisor, signal.SIGKILL)
    assert guard.wait(timeout=30) == 143
    assert not stand.running
    assert not stand.home.exists() and not stand.tmp.exists()
    assert not stand.report.exists()


def test_a_guard_that_is_killed_leaves_nothing_running(stand: Stand) -> None:
    guard = stand.start(STAYS)
    assert wait_for(lambda: stand.wrote("ready") or guard.poll() is not None)
    guard.kill()
    guard.wait()
    assert wait_for(lambda: not stand.running and not stand.supervising)
    assert stand.outcome(0).report["ending"] == "stopped"


def test_a_parent_that_is_killed_leaves_nothing(stand: Stand) -> None:
    words = stand.words(STAYS)
    source = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    parent = subprocess.Popen([sys.executable, "-I", "-S", "-c", source, *words], cwd=stand.stage)
    try:
        assert wait_for(lambda: stand.wrote("ready"))
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(lambda: not stand.running and not stand.supervising)
    assert not stand.home.exists() and not stand.tmp.exists()


@pytest.mark.parametrize("backend", ["landlock", "none"])
def test_a_supervisor_that_fails_leaves_nothing(tmp_path: Path, backend: str) -> None:
    """Here because of a limit that is no number, which it sees when it first looks."""
    stand = Stand(tmp_path, backend)
    try:
        done = stand.run(f"{CHILDREN}\ntime.sleep(20)", limits={"files": "many"})
        assert (done.status, done.report["ending"]) == (125, "no report")
        assert done.stderr.startswith(b"llmagent: the sandbox failed: TypeError")
        assert wait_for(lambda: not stand.running, seconds=1.0)
    finally:
        for pid in stand.running:
            os.kill(pid, signal.SIGKILL)


def test_a_log_that_cannot_be_written_ends_nothing(stand: Stand) -> None:
    """The disk is full: what the script itself writes will say so."""
    done = stand.run("import sys; print('x' * 100); sys.exit(3)", log=Path("/dev/full"))
    assert done.ending == ("exit", 3)
    assert done.report["log_dropped"] >= 100


# --- what a person sees meanwhile -------------------------------------------------------------------------------------


def test_what_is_shown_is_harmless_and_apart(stand: Stand) -> None:
    source = """
        import os, sys, time
        os.write(1, b"\\x1b[2Jclear \\x1b]0;title\\x07 \\xe2\\x80\\xae bidi\\n")
        os.write(1, b"10 %\\r20 %\\rdone\\r\\n")
        os.write(2, b"warning \\xff\\x00\\n")
        for part in (b"\\xe2", b"\\x82", b"\\xac \\xf0\\x9f", b"\\x98\\x80\\n", b"\\xe2\\x82"):
            os.write(1, part)
            time.sleep(0.05)
    """
    done = stand.run(source, show=True)
    assert done.stdout.decode() == (
        "\\x1b[2Jclear \\x1b]0;title\\x07 \\u202e bidi\n10 %\n20 %\ndone\n\u20ac \U0001f600\n\ufffd"
    )
    assert done.stderr.decode() == "warning \ufffd\\x00\n"
    assert b"\x1b[2J" in stand.log.read_bytes()


def test_a_line_end_that_is_split_is_one(tmp_path: Path) -> None:
    source = "import os, time\nos.write(1, b'a\\r')\ntime.sleep(0.2)\nos.write(1, b'\\nb\\n')"
    done = Stand(tmp_path, "none").run(source, show=True)
    assert done.stdout.replace(b"\n\n", b"\n") == b"a\nb\n"


def test_nobody_has_to_listen(stand: Stand) -> None:
    source = "import time\nfor n in range(2000): print('line', n, flush=n % 500 == 0)\nprint('end')"
    reader, writer = os.pipe()
    os.close(reader)
    words = stand.words(source, show=True)
    with os.fdopen(writer, "wb") as sink:
        done = subprocess.run(words, cwd=stand.stage, stdout=sink, stderr=sink, timeout=60, check=False)
    assert done.returncode == 0
    assert stand.log.read_text().endswith("end\n")


def test_a_reader_who_does_not_read_does_not_keep_a_script_going(tmp_path: Path) -> None:
    """Such as a pager that waits for a key."""
    stand = Stand(tmp_path, "none")
    reader, writer = os.pipe()
    source = "import time\nprint('x' * 1000000, flush=True)\ntime.sleep(60)"
    guard = subprocess.Popen(stand.words(source, show=True, limits={"seconds": 1.0}), cwd=stand.stage, stdout=writer)
    os.close(writer)
    try:
        assert guard.wait(timeout=10) == 124
    finally:
        os.close(reader)
        guard.wait(timeout=30)


# --- how it is called -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [(), ("supervise",), ("supervise", "o.json"), ("supervise", "o.json", "--"), ("supervise", "o.json", "x", "y"),
     ("describe",), ("other",)],
)  # fmt: skip
def test_it_says_how_it_is_used(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", alone.__file__, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == alone.FAILED
    assert done.stderr == "usage: alone.py supervise ORDER.json -- COMMAND...\n"
