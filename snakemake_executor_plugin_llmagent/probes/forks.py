"""Runs a script several times, in processes forked off one that has loaded its libraries once.

This text is put in front of a call of `run` and started inside the walls, by the Python of the rule's own software
environment: standard library alone, and nothing of the package.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import linecache
import os
import signal
import sys
import time
import traceback
import types
from typing import Any

FIT_TO_FORK = (
    "awkward", "awkward_cpp", "boost_histogram", "fsspec", "h5py", "hist", "histoprint", "iminuit", "matplotlib",
    "mplhep", "numpy", "pandas", "particle", "pyarrow", "pyhf", "scipy", "snakemake", "snakemake_interface_common",
    "uproot", "vector", "yaml",
)  # fmt: skip
"""Libraries that work in a process that was forked after they were loaded."""
NEVER = ("antigravity", "idlelib", "this", "tkinter", "turtle", "turtledemo")
PACE, GO = "pace.json", "go"
"""Files of whoever has started this: how fast to go on, and one that is taken away when nothing is to go on any more
(which needs no room on the disk)."""
REPORT = "report.json"
PAUSE = 0.003


def run(runs: list[dict[str, str]], libraries: list[str], free: float, unsure: list[int]) -> None:
    """Run scripts one after the other, and write down how they ended.

    Args:
        runs: `folder` (where it runs) and `text` (what) of each; the first is always begun.
        libraries: what to load before.
        free: CPU time of all but the first that may be used before the pace is known [s].
        unsure: numbers of runs that may be left out, as the pace will say.
    """
    _load(libraries)
    report: list[dict[str, float] | None] = []
    used = last = 0.0
    for number, one in enumerate(runs):
        if number and not _is_next(number, used + last, free, unsure):
            report.append(None)
            continue
        gc.freeze()
        ended = _run(one["folder"], one["text"], learn=not number)
        report.append(ended)
        _write([*report, *[None] * (len(runs) - len(report))])
        if number:
            last = ended["cpu"]
            used += last
        elif len(runs) > 1:
            last = ended["cpu"] - _learn(one["folder"])


def _write(report: list[dict[str, float] | None]) -> None:
    """Write down how runs have ended; if this process is ended, what is there holds."""
    with open(f"{REPORT}.part", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(report, file)
    os.replace(f"{REPORT}.part", REPORT)  # noqa: PTH105


def _pace() -> dict[str, Any] | None:
    """`first` and `seconds` (wall time that the first run, and each other, may take), `budget` (CPU time of all but the
    first: no run is begun that would use more, if it takes as long as the last), and `skip` (runs that are left out).

    None as long as nobody has said.
    """
    try:
        with open(PACE, encoding="utf-8") as file:  # noqa: PTH123 (a light start)
            return dict(json.load(file))
    except FileNotFoundError:
        return None


def _is_enough() -> bool:
    return not os.path.exists(GO)  # noqa: PTH110


def _is_next(number: int, used: float, free: float, unsure: list[int]) -> bool:
    """Whether a run is begun, which has to be known first."""
    while not _is_enough():
        pace = _pace()
        if pace is not None:
            return used <= pace["budget"] and number not in pace["skip"]
        if used <= free and number not in unsure:
            return True
        time.sleep(PAUSE)
    return False


def _run(folder: str, text: str, *, learn: bool) -> dict[str, float]:
    started = time.monotonic()
    child = os.fork()
    if not child:
        _be(folder, text, learn=learn)
    late, pace = False, _pace()
    while True:
        pid, status, used = os.wait4(child, os.WNOHANG)
        if pid:
            break
        pace = pace or _pace()
        over = pace is not None and time.monotonic() - started > pace["first" if learn else "seconds"]
        if (over or _is_enough()) and not late:
            late = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(PAUSE)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    return {
        "status": code, "late": float(late), "seconds": time.monotonic() - started,
        "cpu": used.ru_utime + used.ru_stime,
    }  # fmt: skip


def _be(folder: str, text: str, *, learn: bool) -> None:
    """Become the script; never returns."""
    status = 1
    try:
        os.setsid()
        log = os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        where = os.getcwd()  # noqa: PTH109
        os.chdir(folder)
        status = _execute(text)
        if learn:
            with open(f"{where}/{folder}.modules", "w", encoding="utf-8") as file:  # noqa: PTH123
                json.dump({"modules": list(sys.modules), "path": sys.path}, file)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _execute(text: str) -> int:
    module: Any = types.ModuleType("__main__")
    module.__file__ = "script.py"
    sys.modules["__main__"] = module
    linecache.cache["script.py"] = (len(text), None, text.splitlines(True), "script.py")
    status = 0
    try:
        exec(compile(text, "script.py", "exec"), module.__dict__)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = 0 if end.code is None else end.code & 0xFF if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    # What is still open is closed, and so written, as at the end of a process.
    module.__dict__.clear()
    gc.collect()
    return status


def _learn(folder: str) -> float:
    """Load what the first run has loaded, so that the others need not; returns the CPU time that it took."""
    started = time.process_time()
    try:
        with open(f"{folder}.modules", encoding="utf-8") as file:  # noqa: PTH123
            told = json.load(file)
    except (OSError, ValueError):
        return 0.0  # it ended before it could tell
    sys.path += [place for place in told["path"] if place not in sys.path]
    _load(told["modules"])
    return time.process_time() - started


def _load(libraries: list[str]) -> None:
    known = getattr(sys, "stdlib_module_names", ())
    for name in libraries:
        top = name.partition(".")[0]
        if name in sys.modules or top in NEVER or not (top in FIT_TO_FORK or top in known):
            continue
        try:
            importlib.import_module(name)
        except Exception:  # the script itself says what it lacks
            continue
