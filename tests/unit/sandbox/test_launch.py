"""From an order to a process: its environment, limits, cores and walls."""

from __future__ import annotations

import json
import marshal
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.sandbox import bubblewrap, kernel, launch, launcher
from snakemake_executor_plugin_llmagent.sandbox.launch import Launch, secret
from snakemake_executor_plugin_llmagent.sandbox.order import Wish
from tests.unit.sandbox.support import MAIN, WALLED, WITHOUT_PACKAGE, Stand, landlock_abi, need, wait_for

Make = Callable[..., Launch]


@pytest.fixture(params=MAIN)
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    return Stand(tmp_path, request.param)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Launches that start nothing."""
    made: list[Launch] = []
    free = Stand(tmp_path, "none")

    def launch(command: tuple[str, ...] = (sys.executable, "x"), **changes: Any) -> Launch:
        free.order(**changes).write(tmp_path / "order.json")
        made.append(Launch(marshal.loads((tmp_path / "order.json").read_bytes()), list(command)))
        return made[-1]

    yield launch
    for one in made:
        for descriptor in (one.word, one._say, *one._leases):
            os.close(descriptor)


# --- the environment --------------------------------------------------------------------------------------------------


def test_the_environment_is_what_is_named_and_no_more(stand: Stand) -> None:
    done = stand.run(
        "import os, json; print(json.dumps(dict(os.environ)))",
        environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C", "OTHER": "x", "LLMAGENT_TRIAL": "m",
                     "HOME": "/root", "TMPDIR": "/", "LD_PRELOAD": ""},
    )  # fmt: skip
    found = json.loads(done.log)
    found.pop("LC_CTYPE", None)  # Python's own doing
    found.pop("PWD", None)
    assert found == {
        "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C", "HOME": str(stand.home), "TMPDIR": str(stand.tmp),
    }  # fmt: skip


def test_an_environment_manager_may_add_but_no_secrets(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"PATH": "/bin", "KNOWN": "1", "LLMAGENT_TRIAL": "m"}
    added = {
        "CONDA_PREFIX": "/env", "GSL_HOME": "/gsl", "KNOWN": "changed", "AWS_SECRET_ACCESS_KEY": "x", "MY_TOKEN": "x",
        "PGPASSWORD": "x", "PATH": "/env/bin:/bin",
    }  # fmt: skip
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {**before, **added}.items():
        monkeypatch.setenv(name, value)
    made = make(environment=Wish(keep=("PATH",), known=tuple(before), set={"SET": "1"}))
    made._order["environment"]["known"] = sorted(before)
    found = made._environment()
    assert found == {
        "PATH": "/env/bin:/bin", "CONDA_PREFIX": "/env", "GSL_HOME": "/gsl", "SET": "1",
        "HOME": made._order["home"], "TMPDIR": made._order["tmp"],
    }  # fmt: skip
    unmanaged = make(environment=Wish(keep=("PATH",)))
    assert set(unmanaged._environment()) == {"PATH", "HOME", "TMPDIR"}


def test_there_is_always_a_path(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert make()._environment()["PATH"] == os.defpath


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY-SECRET", "X509_USER_PROXY", "https_proxy",
     "SSH_AUTH_SOCK", "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "ACCESSTOKEN", "MYAPIKEY", "API_TOKENS", "GITHUB_PAT",
     "SECRETS", "KRB5CCNAME"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert secret(name, "x")


@pytest.mark.parametrize(
    "name", ["ROOTSYS", "CONDA_PREFIX", "LD_LIBRARY_PATH", "KEYBOARD", "MONKEY", "PATH", "COMPASS_DIR", "GSL_HOME"]
)
def test_names_of_no_secrets(name: str) -> None:
    assert not secret(name, "x")


def test_addresses_with_passwords_are_secrets_whatever_their_name() -> None:
    assert secret("DATABASE_URL", "postgresql://me:word@host/base")
    assert not secret("DOCS_URL", "https://host/a:b@c")


# --- cores ------------------------------------------------------------------------------------------------------------

CORES = "import os; print(sorted(os.sched_getaffinity(0)), flush=True)"
several_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core only")


@several_cores
def test_scripts_that_run_at_once_have_cores_of_their_own(tmp_path: Path) -> None:
    stands = [Stand(tmp_path / str(number), backend) for number, backend in enumerate(("landlock", "none", "bwrap"))]
    every = sorted(os.sched_getaffinity(0))
    leases = tmp_path / "leases"
    first = stands[0].start(f"{CORES}\nimport time; time.sleep(60)", threads=1, leases=leases)
    try:
        assert wait_for(lambda: stands[0].log.exists() and stands[0].log.read_text().endswith("\n"))
        taken = json.loads(stands[0].log.read_text())
        assert len(taken) == 1 and set(taken) < set(every)
        for other in stands[1:]:
            mine = json.loads(other.run(CORES, threads=1, leases=leases).log)
            assert len(mine) == 1 and set(mine) < set(every) and mine != taken
        # Not enough of them are free: none are taken away from anybody.
        if len(every) > 2:
            assert json.loads(stands[1].run(CORES, threads=len(every) - 1, leases=leases).log) != taken
    finally:
        first.terminate()
        first.wait(timeout=30)
    assert sorted(path.name[:4] for path in leases.iterdir()) == ["cpu-"] * len(list(leases.iterdir()))


@several_cores
def test_cores_are_free_again_afterwards(make: Make, tmp_path: Path) -> None:
    every = sorted(os.sched_getaffinity(0))
    leases = tmp_path / "leases"
    free = Stand(tmp_path / "one", "none")
    for _ in range(2):
        assert len(json.loads(free.run(CORES, threads=1, leases=leases).log)) == 1
    held = [make(threads=1, leases=leases)._cpus() for _ in every]
    assert sorted(cpu for found in held if found for cpu in found) == every
    assert make(threads=1, leases=leases)._cpus() is None


@pytest.mark.parametrize("threads", [None, 0, 10_000, len(os.sched_getaffinity(0))])
def test_who_asks_for_all_cores_gets_them(make: Make, tmp_path: Path, threads: int | None) -> None:
    assert make(threads=threads, leases=tmp_path / "leases")._cpus() is None
    assert not (tmp_path / "leases").exists()


@several_cores
def test_without_a_place_for_leases_all_cores_are_used(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert make(threads=1)._cpus() is None
    assert make(threads=1, leases=tmp_path / "file" / "leases")._cpus() is None


# --- limits of the kernel ---------------------------------------------------------------------------------------------


def test_what_the_kernel_is_asked_to_keep(make: Make) -> None:
    limits = make(limits={"memory": 1 << 30, "file_size": 5, "open_files": 64, "processes": 9})._limits()
    assert limits["RLIMIT_CORE"] == (0, 0)
    assert limits["RLIMIT_DATA"] == ((2 << 30) + (2 << 30),) * 2  # programs reserve more than they fill
    assert (limits["RLIMIT_FSIZE"], limits["RLIMIT_NOFILE"]) == ((5, 5), (64, 64))
    assert "RLIMIT_NPROC" not in limits
    assert set(make()._limits()) == {"RLIMIT_CORE", "RLIMIT_MEMLOCK"}


def test_the_kernel_counts_what_the_user_runs_elsewhere(make: Make) -> None:
    need("landlock")
    soft, hard = make(backend="landlock", limits={"processes": 9})._limits()["RLIMIT_NPROC"]
    assert soft == hard > 9
    assert launch._threads_of_others() >= 1


def test_limits_are_lowered_and_never_raised(stand: Stand) -> None:
    source = """
        import resource
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))
        except (ValueError, OSError):
            print("no")
        print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_FSIZE)[0])
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = stand.run(source, limits={"open_files": 128, "file_size": 1 << 20})
    expected = f"(128, 128) {1 << 20}"
    if stand.backend == "none" and os.geteuid() == 0:
        assert done.ending == ("exit", 0)  # nothing is taken away from the superuser without walls
    else:
        assert done.log.splitlines() == ["no", expected]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


# --- walls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", WALLED)
def test_inside_walls(tmp_path: Path, backend: str) -> None:
    """What is elsewhere cannot be read or written; what was named can."""
    stand = Stand(tmp_path / "room", backend)
    (tmp_path / "input").write_text("input")
    (tmp_path / "secret").write_text("secret")
    source = f"""
        import os
        def tried(action):
            try:
                return action()
            except OSError as error:
                return type(error).__name__
        print(open({str(tmp_path / "input")!r}).read())
        print(tried(lambda: open({str(tmp_path / "secret")!r}).read()))
        print(tried(lambda: open({str(tmp_path / "input")!r}, "a").close()))
        print(tried(lambda: open({str(stand.folder / "order.json")!r}).read()))
        print(tried(lambda: open("/proc/{os.getpid()}/environ").read()))
        for folder in (".", os.environ["HOME"], os.environ["TMPDIR"]):
            open(folder + "/new", "w").write("x")
        os.symlink("new", "link"); os.rename("new", "renamed"); os.mkdir("folder")
    """
    done = stand.run(source, readable=(tmp_path / "input",))
    assert done.ending == ("exit", 0), done.log
    said = done.log.splitlines()
    assert said[0] == "input"
    assert all(line in ("PermissionError", "FileNotFoundError", "OSError") for line in said[1:]), said
    assert (stand.stage / "renamed").exists() and (stand.home / "new").exists() and (stand.tmp / "new").exists()
    assert done.report["abi"] == min(landlock_abi(), done.report["abi"]) >= 0


def test_without_walls_nothing_is_taken_away(tmp_path: Path) -> None:
    stand = Stand(tmp_path / "room", "none")
    (tmp_path / "other").write_text("other")
    done = stand.run(f"print(open({str(tmp_path / 'other')!r}).read())")
    assert (done.log, done.report["abi"]) == ("other\n", 0)


@pytest.mark.parametrize("backend", ["landlock", "bwrap-hostproc"])
def test_nothing_runs_without_the_wall_that_was_asked_for(tmp_path: Path, backend: str) -> None:
    done = Stand(tmp_path, backend).run("open('ran', 'w')", max_abi=0)
    assert (done.status, done.report["ending"], done.report["walls"]) == (125, "refused to start", False)
    assert "Landlock" in done.report["refusal"]
    assert not (tmp_path / "stage" / "ran").exists()


@pytest.mark.parametrize("abi", range(1, 7))
def test_an_old_landlock_holds_too(tmp_path: Path, abi: int) -> None:
    """What it lacks, the filter of system calls makes up for."""
    need("landlock")
    if landlock_abi() < abi:
        pytest.skip(f"the kernel has no version {abi}")
    stand = Stand(tmp_path / "room", "landlock")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    readable = tmp_path / "readable"
    readable.write_text("readable")
    source = f"""
        import os, socket
        secret, readable = {str(secret)!r}, {str(readable)!r}
        assert open(readable).read() == "readable"
        for action in (
            lambda: open(secret).read(), lambda: os.open(secret, 3 | os.O_TRUNC), lambda: os.open(secret, os.O_TRUNC),
            lambda: os.truncate(secret, 0), lambda: os.open(readable, os.O_TRUNC), lambda: os.truncate(readable, 0),
            lambda: os.open(readable, 3 | os.O_TRUNC), lambda: os.kill(os.getppid(), 0), lambda: socket.socket(),
        ):
            try:
                action()
            except OSError:
                continue
            raise AssertionError("it came through")
        for mode in ("w", "w+", "a", "x"):
            open("new" + mode, mode).write("x")
        open("neww", "w").write("again")
    """
    done = stand.run(source, max_abi=abi, readable=(readable,))
    assert done.ending == ("exit", 0), done.log
    assert done.report["abi"] == abi
    assert (secret.read_text(), readable.read_text()) == ("secret", "readable")


def test_a_script_that_is_a_link(stand: Stand, tmp_path: Path) -> None:
    """What is readable is so under both of its names."""
    (tmp_path / "real").write_text("text")
    (tmp_path / "link").symlink_to("real")
    done = stand.run(f"print(open({str(tmp_path / 'link')!r}).read())", readable=(tmp_path / "link",))
    assert done.log == "text\n"


@pytest.mark.parametrize("where", ["input", "software"])
def test_what_is_below_tmp_is_shown(tmp_path: Path, where: str) -> None:
    """Inside a bubblewrap /tmp is another one."""
    stand = Stand(tmp_path / "room", "bwrap")
    folder = tmp_path / "shown" / "deep"
    folder.mkdir(parents=True)
    (folder / "x").write_text("text")
    changes: dict[str, Any] = {"readable": (folder,)} if where == "input" else {"roots": (folder,)}
    (tmp_path / "other").touch()
    source = f"import os\nprint(open({str(folder / 'x')!r}).read())\nprint(os.path.exists({str(tmp_path / 'other')!r}))"
    assert stand.run(source, **changes).log == "text\nFalse\n"


@pytest.mark.parametrize("count", [1, bubblewrap.MANY, bubblewrap.MANY + 1])
def test_directories_are_bound_only_where_landlock_names_the_files(make: Make, tmp_path: Path, count: int) -> None:
    need("landlock")
    named = [str(tmp_path / "data" / f"{number}.root") for number in range(count)]
    made = make(backend="bwrap")
    assert made._bound(named) == (named if count <= bubblewrap.MANY else [str(tmp_path / "data")])
    made.abi = 0
    assert made._bound(named) == named


# --- the launcher by itself -------------------------------------------------------------------------------------------


def launched(plan: dict[str, Any]) -> tuple[int, bytes]:
    """The status of a process that follows a plan, and what it said."""
    reader, writer = os.pipe()
    whole = {
        "command": ["true"], "directory": "/", "environment": {"PATH": os.defpath}, "say": writer, "limits": {},
        "session": False, "walls": False, "abi": 0, "rules": [], "filter": None, "cpus": None, "outer": False,
        "keep": [], "group": None, "required": False, **plan,
    }  # fmt: skip
    source = (
        f"{WITHOUT_PACKAGE}\n"
        "from snakemake_executor_plugin_llmagent.sandbox import launcher\n"
        f"launcher.become({whole!r})\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", source], pass_fds=(writer,), check=False)
    os.close(writer)
    with os.fdopen(reader, "rb") as handle:
        return done.returncode, handle.read()


def test_it_says_that_the_walls_stand() -> None:
    assert launched({}) == (0, launcher.READY)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"command": ["no-such-program"]}, b"FileNotFoundError: there is no program no-such-program"),
        ({"command": ["/no/such"]}, b"FileNotFoundError: there is no program /no/such"),
        ({"directory": "/no/such/folder"}, b"FileNotFoundError: "),
        ({"limits": {"RLIMIT_NONSENSE": (1, 1)}}, b"AttributeError: "),
        ({"cpus": [100_000]}, b"OSError: "),
        ({"group": "/no/such/group"}, b"FileNotFoundError: "),
        ({"required": True}, b"OSError: "),
        ({"rules": [("/", 1)], "abi": 1}, b"PermissionError: " if os.geteuid() else b""),
    ],
    ids=str,
)
def test_it_says_why_they_do_not(plan: dict[str, Any], said: bytes) -> None:
    if "abi" in plan:
        need("landlock")
    status, text = launched(plan)
    if said:
        assert (status, text[: len(said)]) == (launcher.FAILED, said)


def test_a_program_that_is_known_to_be_none_is_told_after_all() -> None:
    status, text = launched({"command": [str(Path(__file__).parent)]})
    assert status == launcher.FAILED and text.startswith(launcher.READY) and b"Permission denied" in text


def test_the_superuser_is_none_any_more() -> None:
    """Behind walls there are no capabilities, whoever one is."""
    source = (
        "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))])"
    )
    code = (
        f"{WITHOUT_PACKAGE}\n"
        "from snakemake_executor_plugin_llmagent.sandbox import kernel\n"
        "kernel.drop_capabilities(); kernel.no_new_privileges(); kernel.leave_session_keyring()\n"
        f"import os; os.execv(sys.executable, [sys.executable, '-c', {source!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    effective, bounding, no_new = json.loads(done.stdout.replace("'", '"'))
    assert (effective, no_new) == ("0" * 16, "1")
    if os.geteuid() == 0:
        assert bounding == "0" * 16


def test_system_calls_that_fail_raise() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        kernel.syscall(3, -1) if os.uname().machine == "x86_64" else kernel.syscall(57, -1)
    with pytest.raises(OSError, match=r"prctl\(9999\)"):
        kernel.prctl(9999)
