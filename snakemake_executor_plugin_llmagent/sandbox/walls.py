"""Which walls stand on this machine: each kind has to prove itself before it counts.

A kind counts if a script behind it cannot read a secret, write elsewhere, use the network, signal this process or read
its environment, and can read its input and write its output. What is installed and what a kernel reports say too
little: containers, distributions and site settings forbid the one or the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox import bubblewrap, landlock, layout, process, seccomp
from snakemake_executor_plugin_llmagent.sandbox.limits import Limits, as_order
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Wish, read_report

KINDS = ("bwrap", "bwrap-hostproc", "landlock")
"""What `auto` tries, best first."""
_OLDEST_BWRAP = (0, 4, 0)
_SECONDS = 20.0
_DOUBT_SECONDS = 600.0
"""What did not work may work later (a loaded machine, a new profile), so that is not remembered for long [s]."""
_HINT = """\
No sandbox works on this machine, so scripts of models are not run here. What was tried:
{tried}
Send `llmagent doctor` to whoever looks after the machine: installing bubblewrap, or a kernel with Landlock (5.13 or
later), is enough. Without: --llmagent-sandbox none (or LLMAGENT_SANDBOX=none in the environment) runs scripts with all
your rights."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How a kind of wall did.

    Attributes:
        backend: which.
        works: whether it stood.
        reason: why not; what it is made of if it did.
        seconds: how long the test took [s].
    """

    backend: str
    works: bool
    reason: str
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Walls:
    """What confines scripts here.

    Attributes:
        backend: `bwrap`, `bwrap-hostproc`, `landlock` or `none`.
        bwrap: the program.
        lacks: options that this version of it does not have.
        max_abi: highest version of Landlock that is used; None for what the kernel has.
        tried: what was found out on the way.
    """

    backend: str
    bwrap: str | None = None
    lacks: tuple[str, ...] = ()
    max_abi: int | None = None
    tried: tuple[Tried, ...] = ()


def choose(wanted: str, cache: Path, *, max_abi: int | None = None) -> Walls:
    """The walls that a person asked for, or the best of this machine for `auto`.

    Args:
        wanted: `auto`, one of `KINDS`, or `none`.
        cache: folder where the results of the tests are kept; each machine has its own there.
        max_abi: do as if the kernel had no higher version of Landlock.

    Raises:
        SandboxUnavailable: it does not work here, or none does; says why for each.
    """
    if wanted == "none":
        return Walls(backend="none")
    tried: list[Tried] = []
    for kind in KINDS if wanted == "auto" else (wanted,):
        base = Walls(backend=kind, max_abi=max_abi, bwrap=bwrap_program())
        found, lacks = _remembered(base, cache)
        tried.append(found)
        if found.works:
            return replace(base, lacks=lacks, tried=tuple(tried))
    if wanted != "auto":
        raise SandboxUnavailable(f"The sandbox {wanted} does not work on this machine: {tried[0].reason}")
    raise SandboxUnavailable(_HINT.format(tried="\n".join(f"  {each.backend}: {each.reason}" for each in tried)))


def forget(cache: Path) -> None:
    """Test anew the next time; settings of a machine may have changed."""
    layout.remove(cache / "walls")


def try_all(max_abi: int | None = None) -> tuple[Tried, ...]:
    """Test every kind, also those that `auto` would not come to."""
    found = bwrap_program()
    return tuple(_test(Walls(backend=kind, max_abi=max_abi, bwrap=found))[0] for kind in KINDS)


def _remembered(walls: Walls, cache: Path) -> tuple[Tried, tuple[str, ...]]:
    path = cache / "walls" / f"{_machine(walls)}.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        tried = Tried(**stored["tried"])
        if tried.works or time.time() - path.stat().st_mtime < _DOUBT_SECONDS:
            return tried, tuple(stored["lacks"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never tested here, or half a file of a test that was killed
    tried, lacks = _test(walls)
    with contextlib.suppress(OSError):  # then it is tested again the next time
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({"tried": asdict(tried), "lacks": lacks}), encoding="utf-8")
        new.replace(path)
    return tried, lacks


def _machine(walls: Walls) -> str:
    """A name for all that a result depends on."""
    program = Path(walls.bwrap) if walls.bwrap else None
    facts = [
        walls.backend, walls.max_abi, platform.node(), platform.release(), platform.version(), os.getuid(),
        sys.executable, str(program), program.stat().st_mtime if program else None, _namespaces(), _version(),
    ]  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _version() -> str:
    return metadata.version("snakemake-executor-plugin-llmagent")


def _namespaces() -> str:
    """Which namespaces we are in, and how many there may be: inside a container the answer is another one."""
    names = ("user", "pid", "mnt")
    with contextlib.suppress(OSError):
        limit = Path("/proc/sys/user/max_user_namespaces").read_text()
        return " ".join([limit, *(os.readlink(f"/proc/self/ns/{name}") for name in names)])
    return ""


# --- the test -------------------------------------------------------------------------------------------------------


def _test(walls: Walls) -> tuple[Tried, tuple[str, ...]]:
    """Test a kind, whatever is remembered; also the options that this bubblewrap lacks."""
    started = time.monotonic()
    reason = _missing(walls)
    lacks: tuple[str, ...] = ()
    if not reason and walls.bwrap and walls.backend != "landlock":
        lacks = _lacks(walls.bwrap)
    if not reason:
        reason = _self_test(replace(walls, lacks=lacks))
    seconds = round(time.monotonic() - started, 3)
    return Tried(backend=walls.backend, works=not reason, reason=reason or "works", seconds=seconds), lacks


def _missing(walls: Walls) -> str:
    if not seccomp.known_machine():
        return f"the system calls of {platform.machine()} are not known"
    if walls.backend == "landlock":
        usable = landlock.usable_abi(walls.max_abi)
        return "" if usable else "the kernel has no Landlock, or it is switched off (lsm= of the kernel's command line)"
    if walls.bwrap is None:
        return "bubblewrap (bwrap) is not installed"
    version = bwrap_version(walls.bwrap)
    if version < _OLDEST_BWRAP:
        return f"bubblewrap {'.'.join(map(str, version))} is too old; 0.4.0 or later is needed"
    return ""


def bwrap_program() -> str | None:
    """The bubblewrap that would be used."""
    return shutil.which("bwrap")


def bwrap_version(program: str) -> tuple[int, ...]:
    """The version of a bubblewrap; (0,) if it does not tell."""
    told = _ask(program, "--version").split()
    numbers = told[-1].split(".") if told else []
    return tuple(int(part) for part in numbers) if numbers and all(part.isdigit() for part in numbers) else (0,)


def _lacks(program: str) -> tuple[str, ...]:
    known = _ask(program, "--help").split()
    return tuple(option for option in bubblewrap.OPTIONAL if option not in known)


def _ask(program: str, question: str) -> str:
    try:
        done = subprocess.run((program, question), capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


_CANARY = """
import os, socket, sys
passed = []
def denied(name, attempt):
    try:
        attempt()
    except OSError:
        return
    passed.append(name)
secret, outside, port, process = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
denied("read a file elsewhere", lambda: open(secret).read())
try:
    open(outside, "w")  # may seem to work where /tmp is its own
except OSError:
    pass
denied("opened a TCP connection", lambda: socket.create_connection(("127.0.0.1", port), 2))
denied("sent UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)))
denied("signalled another process", lambda: os.kill(process, 0))
denied("read another process's environment", lambda: open(f"/proc/{process}/environ", "rb").read())
open("out.txt", "w").write(open("in.txt").read())
print("passed:", ", ".join(passed))
"""


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="llmagent-walls-")).resolve()
    try:
        yield folder
    finally:
        layout.remove(folder)


def _self_test(walls: Walls) -> str:
    """Why a kind does not hold; empty if it does."""
    with _folder() as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        order = _order(folder, walls)
        order.write(folder / "order.json")
        (folder / "secret").write_text("secret")
        (folder / "in.txt").write_text("input")
        (order.stage / "in.txt").symlink_to(folder / "in.txt")
        order.script.write_text(_CANARY)
        values = (folder / "secret", folder / "new", listener.getsockname()[1], os.getpid())
        said = _run(folder, (sys.executable, str(order.script), *map(str, values)))
        try:
            report = read_report(order.report, said)
        except SandboxUnavailable as error:
            return str(error)
        if report.ending == "refused to start":
            return report.refusal
        log = order.log.read_text(errors="replace").strip()
        result = order.stage / "out.txt"
        if report.returncode != 0 or not result.exists() or result.read_text() != "input":
            return f"a script could not do its work there: {(log or report.ending).splitlines()[-1]}"
        came_through = log.rpartition("passed:")[2].strip()
        if (folder / "new").exists():
            came_through = ", ".join(filter(None, (came_through, "wrote elsewhere")))
        return f"a script {came_through}" if came_through else ""


def _run(folder: Path, command: Sequence[str]) -> str:
    """Run the self-test's supervisor; returns what it complained about."""
    try:
        done = subprocess.run(
            (*process.supervisor_command(folder / "order.json"), *command), capture_output=True, text=True,
            stdin=subprocess.DEVNULL, cwd=folder, timeout=2 * _SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it did not end within {2 * _SECONDS:.0f} s"
    return (done.stdout + done.stderr).strip()


def _order(folder: Path, walls: Walls) -> Order:
    for name in ("stage", "home", "tmp"):
        (folder / name).mkdir()
    limits = Limits(seconds=_SECONDS, memory=1 << 30, processes=64, disk=1 << 26, files=1000, log=1 << 20)
    return Order(
        backend=walls.backend, bwrap=walls.bwrap, bwrap_lacks=walls.lacks, max_abi=walls.max_abi,
        stage=folder / "stage", home=folder / "home", tmp=folder / "tmp", script=folder / "script.py",
        log=folder / "log", report=folder / "report.json", limits=as_order(limits),
        environment=Wish(keep=("PATH", "LD_LIBRARY_PATH")), readable=(folder / "in.txt",), guarded=(Path.home(),),
    )  # fmt: skip
