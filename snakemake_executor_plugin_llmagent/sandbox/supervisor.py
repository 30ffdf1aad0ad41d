"""Runs one command within walls and limits, watches it from outside, and leaves no process of it behind.

Started by the guard from an order (`order.py` writes it, and says what it holds); writes a report. Standard library
alone, and single-threaded, so that it may fork. Exit status: that of the command (128 + n if signal n ended it),
124 after the time limit, 137 after that of memory, 126 after another limit, 125 if nothing could be run, 143 if
stopped.
"""

from __future__ import annotations

import marshal
import os
import resource
import select
import signal
import sys
import time

from snakemake_executor_plugin_llmagent.sandbox import descent, kernel
from snakemake_executor_plugin_llmagent.sandbox.guard import FAILED, STOPPED, STOPS, clear_away
from snakemake_executor_plugin_llmagent.sandbox.inotify import InputWatch
from snakemake_executor_plugin_llmagent.sandbox.launch import Launch
from snakemake_executor_plugin_llmagent.sandbox.output import Output
from snakemake_executor_plugin_llmagent.sandbox.usage import usage

TYPE_CHECKING = False  # as in `typing`, whose import would take 4 ms
if TYPE_CHECKING:
    from typing import Any

_LOOK_SECONDS, _LOOK_LATER_SECONDS, _DISK_SECONDS = 0.05, 0.25, 0.5
"""How often to look at processes (at first, and once it has run for a while) and at the disk."""
_YOUNG_SECONDS = 5.0
STATUS = {"timeout": 124, "memory": 137, "refused to start": FAILED, "stopped": STOPPED}
"""Ending → exit status; other limits give 126."""
OTHER_LIMIT = 126


def _wake_up(number: int, frame: object) -> None:
    """A signal that is handled ends a wait."""


class Supervisor:
    """One run of one command."""

    def __init__(self, order: dict[str, Any], command: list[str]) -> None:
        """Read the order."""
        self._order = order
        self._limits: dict[str, Any] = order["limits"]
        self._launch = Launch(order, command)
        self._output = Output(order["log"], self._limits["log"], show=order["show"])
        self._started = time.monotonic()
        self._report: dict[str, Any] = {
            "backend": order["backend"], "abi": self._launch.abi, "ending": "exit", "returncode": None, "limit": None,
            "peak_memory": 0, "processes": 0, "leftovers": 0, "refusal": "", "walls": False,
        }  # fmt: skip
        self._stopped = False

    def run(self) -> int:
        """Run it to its end, or to ours; returns the exit status."""
        kernel.adopt_orphans()
        guard = os.getppid()
        wakeup, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        for number in STOPS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, _wake_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        with InputWatch(tuple(pair) for pair in self._order["watch"]) as watch:
            self._started = time.monotonic()
            child = self._launch.start(self._output)
            self._watch_over(child, wakeup, watch)
            self._end(child)
            watch.drain()
            self._report["access"] = watch.access()
        self._finish()
        if os.getppid() != guard:
            clear_away(self._order)
        return self._status()

    def _stop(self, number: int, frame: object) -> None:  # noqa: ARG002
        self._stopped = True

    # --- while it runs ------------------------------------------------------------------------------------------

    def _watch_over(self, child: int, wakeup: int, watch: InputWatch) -> None:
        """Wait for the end of the command, or of our patience."""
        poll = select.poll()
        for descriptor in (wakeup, self._launch.word, *self._output.descriptors):
            poll.register(descriptor, select.POLLIN)
        look, disk = self._started + _LOOK_SECONDS, self._started + _DISK_SECONDS
        while not self._stopped:
            now = time.monotonic()
            limit = self._limits["seconds"]
            if limit is not None and now - self._started > limit:
                return self._over("timeout", "seconds", limit)
            if now >= look:
                watch.drain()
                self._look_at_processes()
                look = now + (_LOOK_SECONDS if now - self._started < _YOUNG_SECONDS else _LOOK_LATER_SECONDS)
            if now >= disk:
                self._look_at_disk()
                # Many files take long to look at: at most a tenth of the time goes into it.
                disk = time.monotonic() + max(_DISK_SECONDS, 10 * (time.monotonic() - now))
            if self._output.dropped > self._limits["log"]:
                self._over("log flood", "log", self._limits["log"])
            if self._report["limit"] is not None:
                return None
            for descriptor, _ in poll.poll(1000 * max(0.0, min(look, disk) - time.monotonic())):
                if descriptor == wakeup:
                    os.read(wakeup, 4096)
                    if self._has_ended(child):
                        return None
                elif descriptor == self._launch.word:
                    if not self._launch.hear():
                        poll.unregister(descriptor)
                elif not self._output.take(descriptor):
                    poll.unregister(descriptor)
        return None

    def _has_ended(self, child: int) -> bool:
        """Whether the command has ended; orphans of it that have are counted on the way."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == child:
                self._report["returncode"] = os.waitstatus_to_exitcode(status)
                return True
            if pid == 0:
                return False

    def _look_at_processes(self) -> None:
        pids = descent.descendants(os.getpid())
        memory, threads = descent.measure(pids)
        shared = descent.shared_memory(pids) if self._launch.in_namespaces else 0
        memory += shared
        limit = self._limits["memory"]
        if limit is not None and memory > limit:
            # Pages that several processes share were counted for each.
            memory = descent.proportional_memory(pids) + shared
            if memory > limit:
                self._over("memory", "memory", limit)
        self._report["peak_memory"] = max(self._report["peak_memory"], memory)
        self._report["processes"] = max(self._report["processes"], threads)
        limit = self._limits["processes"]
        if limit is not None and threads > limit:
            self._over("processes", "processes", limit)

    def _look_at_disk(self) -> None:
        order = self._order
        if self._limits["files"] is None and self._limits["disk"] is None:
            return None
        used, entries = usage((order["stage"], order["tmp"], order["home"]))
        used += descent.unnamed_files(descent.descendants(os.getpid()))
        for name, ending, value in (("files", "files", entries), ("disk", "disk", used)):
            limit = self._limits[name]
            if limit is not None and value > limit:
                return self._over(ending, name, limit)
        return None

    def _over(self, ending: str, name: str, value: float) -> None:
        if self._report["limit"] is None:
            self._report["ending"] = ending
            self._report["limit"] = {"name": name, "value": value}

    # --- afterwards ---------------------------------------------------------------------------------------------

    def _end(self, child: int) -> None:
        """Leave no process behind, and find out how the command ended."""
        if self._report["returncode"] is None:
            self._kill(child)
        try:
            self._report["leftovers"] = descent.end_all()
        except TimeoutError as error:
            self._report["refusal"] = str(error)
        self._output.close()
        self._launch.hear()
        self._look_at_disk()
        self._kernels_limit()
        if self._stopped and self._report["limit"] is None:
            self._report["ending"] = "stopped"
        elif not self._launch.ready and self._report["limit"] is None:
            self._report["ending"] = "refused to start"
            self._report["refusal"] = self._launch.refusal or self._output.tail() or "no reason was given"
        elif self._report["ending"] == "exit" and (self._report["returncode"] or 0) < 0:
            self._report["ending"] = "signal"

    def _kill(self, child: int) -> None:
        try:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            return
        self._report["returncode"] = os.waitstatus_to_exitcode(status)

    def _kernels_limit(self) -> None:
        """What the kernel itself has ended, where there is a control group."""
        group = self._launch.group
        if group is None:
            return
        name = group.ended_by()
        if name is not None and self._limits[name] is not None and self._report["returncode"] != 0:
            self._over(name, name, self._limits[name])
        self._report["peak_memory"] = max(self._report["peak_memory"], group.peak_memory())
        group.close()

    def _finish(self) -> None:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        code = self._report["returncode"]
        if self._launch.in_namespaces and isinstance(code, int) and 128 < code <= 128 + signal.NSIG:
            self._report["returncode"] = 128 - code  # bubblewrap reports a signal as a shell does
            if self._report["ending"] == "exit":
                self._report["ending"] = "signal"
        self._report |= {
            "walls": self._launch.ready,
            "seconds": time.monotonic() - self._started,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "peak_memory": max(self._report["peak_memory"], used.ru_maxrss * 1024),
            "log_bytes": self._output.kept,
            "log_dropped": self._output.dropped,
        }
        new = f"{self._order['report']}.new"
        with open(new, "wb") as handle:
            handle.write(self._told())
        os.replace(new, self._order["report"])

    def _told(self) -> bytes:
        """The report in the form that the order had."""
        if not self._order.get("json"):
            return marshal.dumps(self._report, 2)
        import json

        return json.dumps(self._report).encode()

    def _status(self) -> int:
        ending, code = self._report["ending"], self._report["returncode"]
        if ending in STATUS:
            return STATUS[ending]
        if self._report["limit"] is not None:
            return OTHER_LIMIT
        if code is None:
            print("llmagent: nobody knows how the script ended", file=sys.stderr)
            return FAILED
        return int(code) if code >= 0 else 128 - int(code)
