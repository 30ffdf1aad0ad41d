"""Running one attack: below the supervisor, or in the open."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.sandbox import processes
from tests.sandbox.catalogue import OPEN, Attack, Backend
from tests.sandbox.world import DIRECTORY, INPUT, OUTPUT, Python, Snapshot, World, snapshot

PACKAGE = "snakemake_executor_plugin_llmagent"
ROOT = Path(__file__).parents[2]
LIMITS: Mapping[str, float | None] = {
    "seconds": 4.0, "memory": 120 << 20, "processes": 32, "disk": 20 << 20, "files": 500, "file_size": 8 << 20,
    "log": 256 << 10, "open_files": 256,
}  # fmt: skip
"""Small ones, so that an attack on a limit is over soon."""
_HUNG = 6.0
"""A supervisor that takes so much longer than its time limit hangs [s]."""


@dataclass
class Run:
    """What happened, as far as it can be seen from outside."""

    attack: Attack
    backend: Backend
    world: World
    before: Snapshot
    status: int | None = None
    hung: bool = False
    killed: bool = False
    seconds: float = 0.0
    shown: bytes = b""
    shown_bytes: int = 0
    log: bytes = b""
    report: dict[str, Any] | None = None
    leftovers: list[int] = field(default_factory=list)
    published: str = ""
    cleaning: str = ""
    heard: set[str] = field(default_factory=set)
    reachable: bool = False
    log_bytes: int = 0

    @property
    def confined(self) -> bool:
        return self.backend.name != OPEN.name


def stand_in() -> None:
    """Make the package's sandbox importable without the package itself, which loads Snakemake."""
    if PACKAGE not in sys.modules:
        module = ModuleType(PACKAGE)
        module.__path__ = [str(ROOT / PACKAGE)]
        sys.modules[PACKAGE] = module


def execute(attack: Attack, backend: Backend, world: World) -> Run:
    """Run an attack to its end, or to ours, then put its outputs where they were asked for."""
    (world.order.parent / "x").parent.mkdir(parents=True, exist_ok=True)
    command = [str(world.venv / "bin/python"), "-S", str(world.script)]
    if backend.name == OPEN.name:
        for path, text in ((world.order, "{}"), (world.report, "{}"), (world.log, "")):
            path.write_text(text)
    else:
        world.order.write_text(json.dumps(_order(attack, backend, world)))
        command = [str(Python().executable), "-I", "-S", str(ROOT / PACKAGE / "sandbox/alone.py"), "supervise",
                   str(world.order), "--", *command]  # fmt: skip
    run = Run(attack, backend, world, snapshot(world))
    started = time.monotonic()
    with _environment(attack, world) as (environment, descriptors):
        if backend.name == OPEN.name or attack.kill == "parent":
            command = ["/bin/sh", "-c", '"$@"; exit $?', "sh", *command]
        (_in_terminal if attack.terminal else _in_pipes)(run, command, environment, descriptors)
    run.seconds = time.monotonic() - started
    assert world.victim is not None
    # After a violent end the guard has a moment to clean up; after an ordinary one everything is gone already.
    run.leftovers = processes.left_over({world.victim.pid}, 2.0 if run.killed and run.confined else 0.05)
    if run.confined:
        run.log_bytes = world.log.stat().st_size if world.log.exists() else 0
        run.log = _tail(world.log)
        with contextlib.suppress(OSError, ValueError):
            run.report = json.loads(world.report.read_text())
        if run.report is not None and run.report["ending"] == "exit":
            run.published = _publish(world)
        if not run.leftovers:
            run.cleaning = _clean_up(world)
    else:
        run.log, run.log_bytes = run.shown, run.shown_bytes
    return run


def _tail(path: Path) -> bytes:
    try:
        return path.read_bytes()[-(1 << 20) :]
    except OSError:
        return b""


def _order(attack: Attack, backend: Backend, world: World) -> dict[str, object]:
    inputs = [world.files["input"], *((world.project / "data/live",) if attack.live_input else ())]
    return {
        "backend": backend.wall, "max_abi": backend.max_abi, "stage": str(world.stage),
        "home": str(world.private / "home"), "tmp": str(world.private / "tmp"), "script": str(world.script),
        "readable": [str(path) for path in (*inputs, world.base / "kit", world.base / "world.json")],
        "roots": [str(world.venv)], "guarded": [str(world.project), str(world.home)],
        "environment": {"keep": ["LANG"], "set": _variables(world)},
        "limits": {**LIMITS, **attack.limits}, "threads": attack.threads,
        "watch": [[INPUT, str(world.files["input"])]], "log": str(world.log), "show": attack.show,
        "leases": str(world.root / "leases"),
        "report": str(world.report), "mark": world.tag,
    }  # fmt: skip


def _variables(world: World) -> dict[str, str]:
    return {
        "ATTACK_WORLD": str(world.base / "world.json"),
        "PYTHONPATH": str(world.base / "kit"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@contextlib.contextmanager
def _environment(attack: Attack, world: World) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """A person's environment, secrets included, and descriptors that somebody forgot to close."""
    environment = {**os.environ, "API_KEY": world.api_key, "CONDA_TOKEN": world.api_key, "HOME": str(world.home),
                   "MPLCONFIGDIR": str(world.home / ".cache/matplotlib"), **_variables(world)}  # fmt: skip
    secret, writable, home = world.files["ssh"], world.files["inherited"], world.home
    opened = [
        os.open(secret, os.O_RDONLY),
        _open_at(700, secret),
        _open_at(701, writable, os.O_RDWR),
        _open_at(702, home),
    ]
    try:
        yield environment, tuple(opened)
    finally:
        for descriptor in opened:
            with contextlib.suppress(OSError):  # some attacks work on the descriptors of their parent, which is this
                os.close(descriptor)


def _open_at(number: int, path: Path, flags: int = os.O_RDONLY) -> int:
    descriptor = os.open(path, flags)
    os.dup2(descriptor, number)
    os.close(descriptor)
    return number


def _in_pipes(run: Run, command: list[str], environment: dict[str, str], descriptors: tuple[int, ...]) -> None:
    """Run with pipes, as the plugin does."""
    process = subprocess.Popen(
        command, cwd=run.world.project, env=environment, pass_fds=descriptors, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        if run.attack.typed:
            process.stdin.write(b"typed by a person\n")
            process.stdin.flush()
        else:
            process.stdin.close()
    os.set_blocking(process.stdout.fileno(), False)
    _attend(run, process.pid, process.stdout.fileno(), process.poll)
    process.stdout.close()
    with contextlib.suppress(OSError):
        process.stdin.close()
    run.status = process.returncode


def _in_terminal(run: Run, command: list[str], environment: dict[str, str], descriptors: tuple[int, ...]) -> None:
    """Run with a controlling terminal, as a person does."""
    pid, master = pty.fork()
    if pid == 0:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        os.chdir(run.world.project)
        os.execve(command[0], command, environment)
    status: list[int] = []

    def poll() -> int | None:
        if not status:
            with contextlib.suppress(ChildProcessError):
                ended, code = os.waitpid(pid, os.WNOHANG)
                status.extend([os.waitstatus_to_exitcode(code)] if ended else [])
        return status[0] if status else None

    os.set_blocking(master, False)
    _attend(run, pid, master, poll)
    os.close(master)
    run.status = poll()


def _attend(run: Run, pid: int, output: int, poll: Callable[[], int | None]) -> None:
    """Keep what is shown, kill whom the attack says, and end what does not end."""
    attack = run.attack
    limit = {**LIMITS, **attack.limits}["seconds"] or 0.0
    deadline = time.monotonic() + (limit + _HUNG if run.confined else attack.open_seconds)
    knocker = threading.Thread(target=_knock, args=(run, poll), daemon=True)
    if attack.knock:
        knocker.start()
    ended = os.pidfd_open(pid)
    watched = [output, ended]
    while True:
        ready, _, _ = select.select(watched, [], [], 0.01 if attack.kill else 0.05)
        if output in ready and not _keep(run, output):
            watched.remove(output)
        if attack.kill and not run.killed and _is_ready(run):
            run.killed = True
            _kill(run, pid)
        if poll() is not None:
            break
        if time.monotonic() > deadline:
            run.hung = True
            os.kill(pid, signal.SIGKILL)
            while poll() is None:
                time.sleep(0.01)
            break
    os.close(ended)
    _keep(run, output)
    if attack.knock:
        knocker.join()


def _keep(run: Run, output: int, most: int = 2 << 20) -> bool:
    """Take what can be read now, of very much only the beginning and the end; False at the end of the stream."""
    try:
        while data := os.read(output, 1 << 18):
            run.shown_bytes += len(data)
            run.shown += data
            if len(run.shown) > most:
                run.shown = run.shown[:1000] + run.shown[-(most // 2) :]
    except BlockingIOError:
        return True
    except OSError:  # how a terminal ends
        return False
    return False


def _is_ready(run: Run) -> bool:
    here = run.world.stage if run.confined else run.world.project
    return (here / "results/ready").exists()


def _kill(run: Run, pid: int) -> None:
    """Kill a part of the machinery from outside; in the open it is always the script's parent."""
    whom = [pid]
    if run.confined and run.attack.kill in ("supervisor", "both"):
        supervisor = processes.descendants(pid)[0]
        whom = [supervisor] if run.attack.kill == "supervisor" else [pid, supervisor]
    for each in whom:
        os.kill(each, signal.SIGTERM if run.attack.kill == "stop" else signal.SIGKILL)


def _knock(run: Run, poll: Callable[[], int | None]) -> None:
    """Try to reach a server that the script may have opened."""
    import socket

    world = json.loads((run.world.root / "base/world.json").read_text())
    while poll() is None and not run.reachable:
        try:
            with socket.create_connection(("127.0.0.1", world["free_port"]), 0.3):
                run.reachable = True
        except OSError:
            time.sleep(0.05)


def _clean_up(world: World) -> str:
    """Remove the stage as the package does; says what it could not."""
    stand_in()
    from tests.sandbox import published

    return published.cleans_up(world.stage) or published.cleans_up(world.private)


def _publish(world: World) -> str:
    """Put outputs in place as the package does; says what it refused."""
    stand_in()
    from tests.sandbox import published

    return published.publish(world.stage, [(world.stage / name, world.project / name) for name in (OUTPUT, DIRECTORY)])
