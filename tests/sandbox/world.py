"""What an attack can harm: a home with secrets, a project with results, processes and listeners beside them."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.sandbox.listeners import Listeners, free_port, own_address

HERE = Path(__file__).parent
OUTPUT, DIRECTORY = "results/out.txt", "results/tree"
"""The declared outputs of every attack: a file and a `directory()`."""
INPUT = "data/in.csv"

_VICTIM = """
import mmap, os, sys, time
secret = open(sys.argv[1], "rb").read()
held = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 0, prot=mmap.PROT_READ)
os.dup2(os.open(sys.argv[1], os.O_RDONLY), 3)
print(id(secret), flush=True)
parent = os.getppid()
while os.getppid() == parent:
    open(".activity", "w").close()
    time.sleep(0.02)
"""


@dataclass(frozen=True)
class Python:
    """The interpreter that runs the scripts."""

    executable: Path = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    version: str = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass
class World:
    """One attack's surroundings. Everything lies below `root`, but for a ticket in /tmp and what IPC needs."""

    root: Path
    tag: str
    through_link: bool = False
    files: dict[str, Path] = field(default_factory=dict)
    secrets: list[bytes] = field(default_factory=list)
    victim: subprocess.Popen[bytes] | None = None
    servers: list[socket.socket] = field(default_factory=list)

    @property
    def base(self) -> Path:
        return self.root / ("link" if self.through_link else "base")

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def project(self) -> Path:
        return self.base / "project"

    @property
    def trials(self) -> Path:
        """Where stages lie, ours and another job's."""
        return self.project / ".snakemake/llmagent/stages/0a1b2c/d3e4"

    @property
    def stage(self) -> Path:
        return self.trials / "make_plot-77aa"

    @property
    def private(self) -> Path:
        return self.trials / "make_plot-77aa.private"

    @property
    def venv(self) -> Path:
        return self.base / "venv"

    @property
    def site(self) -> Path:
        return self.venv / f"lib/python{Python().version}/site-packages"

    @property
    def script(self) -> Path:
        return self.project / ".snakemake/scripts/tmpk3j2.attack.py"

    @property
    def report(self) -> Path:
        return self.trials / "make_plot-77aa.report.json"

    @property
    def order(self) -> Path:
        return self.trials / "make_plot-77aa.order.json"

    @property
    def log(self) -> Path:
        return self.trials / "make_plot-77aa.log"

    @property
    def shm_name(self) -> str:
        return f"llmagent-{self.tag}"

    @property
    def shm_key(self) -> int:
        return 0x5B000000 + int(self.tag.split("-")[1], 16) % 0xFFFFFF

    def add(self, name: str, path: Path, text: str, mode: int = 0o644) -> None:
        """A file, and its name in the script's view of the world."""
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(mode)
        self.files[name] = path

    def secret(self, name: str, path: Path, mode: int = 0o600) -> None:
        value = f"CANARY-{self.tag}-{name.upper()}"
        self.secrets.append(value.encode())
        self.add(name, path, f"{value}\n", mode)

    @property
    def api_key(self) -> str:
        return f"CANARY-{self.tag}-API-KEY"


def make(
    root: Path, tag: str, attack: Path, listeners: Listeners, *, through_link: bool = False, confined: bool = True
) -> World:
    """Build everything that an attack may want."""
    world = World(root, tag, through_link)
    (root / "base").mkdir(parents=True, mode=0o755)
    if through_link:
        (root / "link").symlink_to("base")
    world.secrets.append(world.api_key.encode())
    _fill_home(world)
    _fill_project(world)
    _fill_venv(world)
    world.stage.mkdir()
    (world.stage / "results").mkdir()
    (world.stage / "data").mkdir()
    (world.stage / INPUT).symlink_to(world.files["input"])
    for name in ("home", "tmp"):
        (world.private / name).mkdir(parents=True, mode=0o700)
    (root / "base/kit").mkdir()
    shutil.copy(HERE / "kit.py", root / "base/kit/kit.py")
    world.script.parent.mkdir(parents=True)
    shutil.copy(attack, world.script)
    world.servers.append(listeners.listen_at(world.home / ".ssh/agent.sock"))
    world.servers.append(listeners.listen_at(world.home / ".ssh/log.sock", socket.SOCK_DGRAM))
    world.servers.append(listeners.listen_at(world.files["input"].parent / "live/service.sock"))
    os.mkfifo(world.project / "data/live/pipe")
    _start_victim(world)
    _describe(world, listeners, confined=confined)
    return world


def _fill_home(world: World) -> None:
    home = world.home
    home.mkdir(mode=0o700)
    (home / ".ssh").mkdir(mode=0o700)
    world.secret("ssh", home / ".ssh/id_rsa")
    world.secret("netrc", home / ".netrc")
    world.secret("globus", home / ".globus/userkey.pem")
    world.secret("conda", home / ".condarc")
    world.secret("conda_token", home / ".continuum/anaconda-client/tokens/https.token")
    world.secret("conda_environment", home / "miniforge3/envs/ana/etc/conda/env_vars.d/secrets.json")
    (home / ".current").symlink_to("miniforge3/envs/ana")
    world.secret("ticket", Path(f"/tmp/krb5cc_{world.tag}"))
    world.add("bashrc", home / ".bashrc", "# bashrc\n")
    world.add("activity", home / ".activity", "")
    world.add("inherited", home / ".inherited", "")
    world.add("font_cache", home / ".cache/matplotlib/fontlist-v390.json", "{}")
    world.add("numba_cache", home / ".cache/numba/fit.py311.nbi", "index")


def _fill_project(world: World) -> None:
    project, trials = world.project, world.trials
    world.add("input", project / INPUT, "x\n1\n2\n3\n")
    (project / "data/live").mkdir()
    world.add("live_file", project / "data/live/one.csv", "x\n1\n")
    world.secret("undeclared", project / "data/undeclared.csv", 0o644)
    world.add("snakefile", project / "Snakefile", f"# CANARY-{world.tag}-SNAKEFILE\nrule all: ...\n")
    world.add("metadata", project / ".snakemake/metadata/cmVzdWx0cw==", f'{{"code": "CANARY-{world.tag}-METADATA"}}')
    world.add("locks", project / ".snakemake/locks/0.input.lock", "data/in.csv\n")
    world.add("lock", project / "agents.lock", f"# CANARY-{world.tag}-LOCK\nsha256 deadbeef\n")
    world.add("agent", project / "agents/other_rule.py", f"# CANARY-{world.tag}-AGENT\n")
    world.add("session", project / ".snakemake/llmagent/sessions/other/prompt.md", f"CANARY-{world.tag}-SESSION\n")
    world.add("ledger", project / ".snakemake/llmagent/ledger.jsonl", f'{{"key": "CANARY-{world.tag}-LEDGER"}}\n')
    world.add("cache", project / ".snakemake/llmagent/cache/abc.json", f'{{"reply": "CANARY-{world.tag}-CACHE"}}\n')
    world.add("other_output", project / "results/other.csv", f"CANARY-{world.tag}-OTHER-OUTPUT\n")
    world.add("sibling", trials / "other_rule-33bb/results/partial.csv", f"CANARY-{world.tag}-SIBLING\n")
    world.add("sibling_private", trials / "other_rule-33bb.private/tmp/part", f"CANARY-{world.tag}-SIBLING-TMP\n")
    world.add("sibling_order", trials / "other_rule-33bb.order.json", "{}")
    for name in ("SNAKEFILE", "METADATA", "LOCK", "AGENT", "SESSION", "LEDGER", "CACHE", "SIBLING", "OTHER-OUTPUT"):
        world.secrets.append(f"CANARY-{world.tag}-{name}".encode())


def _fill_venv(world: World) -> None:
    """A virtual environment that its user may write to, as they are."""
    python = Python()
    world.site.mkdir(parents=True)
    (world.venv / "bin").mkdir()
    (world.venv / "bin/python").symlink_to(python.executable)
    (world.venv / "pyvenv.cfg").write_text(f"home = {python.executable.parent}\ninclude-system-site-packages = false\n")
    world.add("module", world.site / "installed.py", "value = 1\n")


def _start_victim(world: World) -> None:
    """A process of the same user that has the secret open, mapped, in memory and in its environment."""
    world.victim = subprocess.Popen(
        [str(Python().executable), "-I", "-S", "-c", _VICTIM, str(world.files["ssh"]), f"--token={world.api_key}"],
        cwd=world.home, env={"API_KEY": world.api_key}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert world.victim.stdout is not None
    world.files["victim_memory"] = Path(world.victim.stdout.readline().decode().strip())


def _describe(world: World, listeners: Listeners, *, confined: bool) -> None:
    assert world.victim is not None
    facts: dict[str, object] = {name: str(path) for name, path in world.files.items()}
    facts |= {
        "tag": world.tag, "base": str(world.base), "home": str(world.home), "project": str(world.project),
        "stage": str(world.stage), "trials": str(world.trials), "private": str(world.private),
        "report": str(world.report), "order": str(world.order), "log": str(world.log), "script": str(world.script),
        "site": str(world.site), "victim": world.victim.pid, "harness": os.getpid(), "tcp": listeners.tcp,
        "udp": listeners.udp, "address": own_address(), "abstract": listeners.abstract,
        "agent_socket": str(world.home / ".ssh/agent.sock"), "log_socket": str(world.home / ".ssh/log.sock"),
        "live": str(world.project / "data/live"), "shm_name": world.shm_name, "shm_key": world.shm_key,
        "free_port": free_port(), "confined": confined, "output": OUTPUT, "directory": DIRECTORY,
        "descriptor_device": os.makedev(1, 3), "python": str(Python().executable),
    }  # fmt: skip
    (world.root / "base/world.json").write_text(json.dumps(facts))


Snapshot = dict[str, tuple[object, ...]]


def snapshot(world: World) -> Snapshot:
    """What everything outside the stage is like: kind, mode, times, attributes, contents."""
    real = world.root / "base"
    own = {real / place.relative_to(world.base) for place in (world.stage, world.private)}
    written = {real / place.relative_to(world.base) for place in (world.report, world.order, world.log)}
    skipped = own | written | {real / "project/results", real / "home/.activity"}
    found: Snapshot = {}
    pending = [real]
    while pending:
        path = pending.pop()
        if path in skipped:
            continue
        facts = path.lstat()
        content: object = None
        if stat.S_ISREG(facts.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(facts.st_mode):
            content = str(path.readlink())
        elif stat.S_ISDIR(facts.st_mode):
            pending += path.iterdir()
        # A directory's time tells nothing: the supervisor itself may make files beside the stage.
        times = facts.st_mtime_ns if not stat.S_ISDIR(facts.st_mode) else 0
        attributes = [] if stat.S_ISLNK(facts.st_mode) else os.listxattr(path)
        found[str(path.relative_to(real))] = (oct(facts.st_mode), facts.st_uid, times, content, *attributes)
    return found | {"project/results/other.csv": _content(real / "project/results/other.csv")}


def _content(path: Path) -> tuple[object, ...]:
    try:
        return (path.read_text(), path.lstat().st_mode)
    except OSError as error:
        return (error.errno,)


def unmake(world: World, listeners: Listeners) -> None:
    """Remove it all, whatever was done to it, but for its folder."""
    if world.victim is not None:
        with contextlib.suppress(OSError):
            os.kill(world.victim.pid, signal.SIGCONT)
        world.victim.kill()
        world.victim.wait()
        if world.victim.stdout is not None:
            world.victim.stdout.close()
    for server in world.servers:
        listeners.forget(server)
    Path(f"/tmp/krb5cc_{world.tag}").unlink(missing_ok=True)
    for left in Path("/dev/shm").glob(f"{world.shm_name}*"):
        with contextlib.suppress(OSError):
            left.unlink()


def remove(folder: Path) -> None:
    """Remove a folder that may be hostile."""
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
    for _ in range(20):
        if not folder.exists():
            return
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], stderr=subprocess.DEVNULL, check=False)
        if not folder.exists():
            return
        _loosen(folder)
        subprocess.run(["chmod", "-R", "u+rwX", str(folder)], stderr=subprocess.DEVNULL, check=False)
        time.sleep(0.05)


def _loosen(folder: Path) -> None:
    """Take away the flags that keep root from removing a file."""
    set_flags, extents = 0x40086602, 0x80000
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                descriptor = os.open(f"{place}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
                with contextlib.closing(os.fdopen(descriptor)):
                    fcntl.ioctl(descriptor, set_flags, struct.pack("l", extents))


def shared_memory(key: int) -> int:
    """A System V segment with a secret in it, or -1."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    identity = int(libc.shmget(key, 4096, 0o1600))
    if identity >= 0:
        place = libc.shmat(identity, None, 0)
        ctypes.memmove(place, b"CANARY-SHARED-MEMORY\0", 21)
        libc.shmdt(ctypes.c_void_p(place))
    return identity


def forget_shared_memory(identity: int) -> None:
    if identity >= 0:
        ctypes.CDLL(None).shmctl(identity, 0, None)


def fill_keyring() -> None:
    """Put a secret into a session keyring of our own; it goes when we go."""
    keyctl, add_key = (250, 248) if platform.machine() == "x86_64" else (219, 217)
    join_session, session_keyring = 1, -3
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(keyctl, join_session, None)
    libc.syscall(add_key, b"user", b"llmagent_attack", b"CANARY-KEYRING", ctypes.c_size_t(14), session_keyring)
