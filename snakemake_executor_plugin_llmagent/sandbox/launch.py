"""From an order to a process within walls. Standard library alone."""

from __future__ import annotations

import fcntl
import marshal
import os
import sys

from snakemake_executor_plugin_llmagent.sandbox import alone, bubblewrap, cgroup, landlock, launcher, visible

TYPE_CHECKING = False  # as in `typing`, whose import would take 4 ms
if TYPE_CHECKING:
    from typing import Any

    from snakemake_executor_plugin_llmagent.sandbox.output import Output

_INFINITY = -1
_MEMLOCK = 64 << 20
_DATA_FACTOR, _DATA_BYTES = 2, 2 << 30
"""A process may reserve so much more than it may use: TensorFlow reserves twice what it fills."""


_SECRET_PARTS = (
    "token", "secret", "passw", "passphrase", "credential", "apikey", "privatekey", "accesskey", "proxy",
)  # fmt: skip
_SECRET_WORDS = frozenset({"key", "keys", "auth", "pat", "pwd", "pass", "cookie", "cookies", "bearer", "krb5ccname"})


class Launch:
    """Starts the command of an order, and hears whether its walls stand.

    Attributes:
        abi: version of Landlock in force, 0 if none.
        in_namespaces: whether bubblewrap keeps processes, network and files apart.
        ready: whether the walls stood when the command was started.
        refusal: why they did not.
        word: descriptor on which that is said.
        group: the control group, if there is one.
    """

    def __init__(self, order: dict[str, Any], command: list[str]) -> None:
        """Work out the walls; nothing is started yet."""
        self._order = order
        self._command = command
        self.in_namespaces = order["backend"] in ("bwrap", "bwrap-hostproc")
        self.walls = order["backend"] != "none"
        self.abi = landlock.usable_abi(order.get("max_abi")) if self.walls else 0
        self.ready = False
        self.refusal = ""
        self.group: cgroup.Group | None = None
        self._said = b""
        self.word, self._say = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._leases: list[int] = []
        self._found: tuple[list[str], list[str]] | None = None

    # --- starting -----------------------------------------------------------------------------------------------

    def start(self, output: Output) -> int:
        """Start the process; returns its number."""
        limits = self._order["limits"]
        self.group = cgroup.make(
            f"llmagent-{os.getpid()}", memory=limits["memory"], processes=limits["processes"]
        )  # fmt: skip
        plan = self._plan()
        if self.in_namespaces:
            plan = self._outside(plan)
        child = os.fork()
        if child == 0:
            self._become(plan, output)
        os.close(self._say)
        output.close_entrances()
        return child

    def _become(self, plan: dict[str, Any], output: Output) -> None:
        """Be the child; never comes back."""
        try:
            import signal

            for name in ("TERM", "INT", "HUP", "CHLD", "PIPE", "XFSZ"):
                signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output.stdout, 1)
            os.dup2(output.stderr, 2)
            launcher.become(plan)
        finally:
            os._exit(alone.FAILED)

    def hear(self) -> bool:
        """Take in what the launcher says; False once there is nobody who could say more."""
        try:
            part = os.read(self.word, 4096)
        except BlockingIOError:
            return True
        self._said += part
        # Something after the word is why the command, which was to come next, did not.
        self.ready = self._said == launcher.READY
        self.refusal = "" if self.ready else self._said.removeprefix(launcher.READY).decode(errors="replace")
        return bool(part)

    # --- plans --------------------------------------------------------------------------------------------------

    def _plan(self) -> dict[str, Any]:
        """What the launcher does, in the innermost place."""
        order = self._order
        environment, cpus = self._environment(), self._cpus()
        return {
            "command": self._command, "directory": order["stage"], "environment": environment, "say": self._say,
            "limits": self._limits(), "session": not self.in_namespaces, "walls": self.walls, "abi": self.abi,
            "rules": self._rules(environment) if self.walls else [], "filter": self._filter(bool(cpus)),
            "required": order["backend"] in ("landlock", "bwrap-hostproc"), "cpus": cpus,
            "outer": False, "keep": [], "group": self.group.door if self.group and not self.in_namespaces else None,
        }  # fmt: skip

    def _outside(self, inner: dict[str, Any]) -> dict[str, Any]:
        """What the launcher does outside of bubblewrap, which starts it once more inside."""
        order = self._order
        software, readable = self._places(inner["environment"])
        place = os.path.dirname(os.path.abspath(__file__))
        plan = os.memfd_create("plan", 0)
        os.write(plan, marshal.dumps(inner, 2))
        os.lseek(plan, 0, os.SEEK_SET)
        command = bubblewrap.arguments(
            program=order.get("bwrap") or "bwrap", lacks=order.get("bwrap_lacks") or [],
            software=[*software, place], readable=self._bound(readable),
            writable=[order["stage"], order["home"], order["tmp"]], directory=order["stage"],
            host_proc=order["backend"] == "bwrap-hostproc", shm_bytes=self._shm_bytes(),
        )  # fmt: skip
        command += [sys.executable, "-I", "-S", alone.__file__, "launch", str(plan)]
        return {
            **inner, "command": command, "directory": "/", "environment": {"PATH": os.defpath}, "limits": {},
            "session": True, "walls": False, "abi": 0, "filter": None, "required": False, "cpus": None, "outer": True,
            "keep": [plan], "group": self.group.door if self.group else None,
        }  # fmt: skip

    def _shm_bytes(self) -> int:
        memory = self._order["limits"]["memory"]
        return bubblewrap.SHM_BYTES if memory is None else min(bubblewrap.SHM_BYTES, memory)

    def _environment(self) -> dict[str, str]:
        """What is kept of our own environment by name, what an environment manager added, and what the order sets."""
        wanted = self._order["environment"]
        keep, known = set(wanted["keep"]), wanted.get("known")
        kept = {name: value for name, value in os.environ.items() if name in keep or name.startswith("LC_")}
        if known is not None:
            added = (name for name in os.environ if name not in known and not secret(name, os.environ[name]))
            kept |= {name: os.environ[name] for name in added if name != "LLMAGENT_TRIAL"}
        private = {"HOME": self._order["home"], "TMPDIR": self._order["tmp"]}
        return {"PATH": os.defpath, **kept, **private, **wanted["set"]}

    def _places(self, environment: dict[str, str]) -> tuple[list[str], list[str]]:
        """Software, and files and directories that may be read; looked for once."""
        if self._found is None:
            self._found = self._look_for_places(environment)
        return self._found

    def _look_for_places(self, environment: dict[str, str]) -> tuple[list[str], list[str]]:
        order = self._order
        guarded = order["guarded"]
        roots = [*visible.own_python(), *order["roots"], *self._python_of_command(environment)]
        software = visible.software([*roots, *visible.from_environment(environment, guarded)], guarded)
        readable = [order["script"], *order["readable"]]
        readable += [real for place in readable if (real := os.path.realpath(place)) != place]
        return software, [place for place in dict.fromkeys(readable) if os.path.exists(place)]

    def _python_of_command(self, environment: dict[str, str]) -> list[str]:
        """The places of the Python that is to run, if it is another one than ours (conda, environment modules)."""
        name = self._command[0]
        folders = [""] if "/" in name else environment["PATH"].split(":")
        found = [program for folder in folders if os.access(program := os.path.join(folder, name), os.X_OK)]
        return visible.python_places(found[0]) if found else []

    def _rules(self, environment: dict[str, str]) -> list[tuple[str, int]]:
        order = self._order
        software, readable = self._places(environment)
        shared: tuple[str, ...] = ()
        if self.in_namespaces:
            # A rule for the whole of a place would also cover what is bound below it.
            shown = (*software, *self._bound(readable))
            shared = tuple(top for top in visible.SHARED if not any(visible.is_within(place, top) for place in shown))
        return visible.rules(
            software=software, readable=readable, writable=[order["stage"], order["home"], order["tmp"]],
            shared=shared, proc=order["backend"] == "bwrap",
        )  # fmt: skip

    def _bound(self, readable: list[str]) -> list[str]:
        """What bubblewrap shows of what may be read; where Landlock names the files, directories will do."""
        return bubblewrap.few(readable) if self.abi and len(readable) > bubblewrap.MANY else readable

    def _filter(self, pinned: bool) -> dict[str, Any] | None:
        if not self.walls:
            return None
        highest = landlock.HIGHEST
        return {
            "sockets": self.in_namespaces, "metadata": self.in_namespaces, "pinned": pinned,
            "abi": highest if self.in_namespaces else self.abi,
        }  # fmt: skip

    def _limits(self) -> dict[str, tuple[int, int]]:
        """Limits that the kernel keeps for each process."""
        wanted = self._order["limits"]
        made = {"RLIMIT_CORE": (0, 0), "RLIMIT_MEMLOCK": (_MEMLOCK, _MEMLOCK)}
        if wanted["file_size"] is not None:
            made["RLIMIT_FSIZE"] = (wanted["file_size"],) * 2
        if wanted["open_files"] is not None:
            made["RLIMIT_NOFILE"] = (wanted["open_files"],) * 2
        if wanted["processes"] is not None and self.walls:
            # Outside of a user namespace the kernel counts whatever else the user runs on this machine.
            others = 0 if self.in_namespaces else _threads_of_others()
            made["RLIMIT_NPROC"] = (wanted["processes"] + others,) * 2
        if wanted["memory"] is not None:
            made["RLIMIT_DATA"] = (_DATA_FACTOR * wanted["memory"] + _DATA_BYTES,) * 2
        return made

    def _cpus(self) -> list[int] | None:
        """Cores for this script alone, as long as every script asks so; None if there are not enough free ones."""
        threads, folder = self._order.get("threads"), self._order.get("leases")
        allowed = sorted(os.sched_getaffinity(0))
        if not threads or threads >= len(allowed) or not folder:
            return None
        start = os.getpid() % len(allowed)
        allowed = allowed[start:] + allowed[:start]
        found = [cpu for cpu in allowed if len(self._leases) < threads and self._lease(folder, cpu)]
        if len(found) < threads:
            for descriptor in self._leases:
                os.close(descriptor)
            self._leases = []
            return None
        return found

    def _lease(self, folder: str, cpu: int) -> bool:
        try:
            os.makedirs(folder, exist_ok=True)
            descriptor = os.open(os.path.join(folder, f"cpu-{cpu}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._leases.append(descriptor)
        return True


def secret(name: str, value: str) -> bool:
    """Whether a variable is named like a secret, or holds an address with a password."""
    lowered = name.lower().replace("-", "_")
    address = value.partition("://")[2].partition("/")[0]
    return (
        any(part in lowered for part in _SECRET_PARTS)
        or any(word in _SECRET_WORDS for word in lowered.split("_"))
        or ("@" in address and ":" in address)
    )


def _threads_of_others() -> int:
    """How many threads there are on this machine; not fewer than the user's, and quickly told."""
    try:
        with open("/proc/loadavg") as handle:
            return int(handle.read().split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 10_000
