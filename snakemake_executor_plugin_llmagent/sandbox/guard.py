"""The guard: a process that outlives the supervisor, and the supervisor it. Standard library alone.

A supervisor that is killed could not end the script's processes. It is therefore a child of a guard, which adopts them
then and ends them. If the guard is killed, the supervisor hears of it from the kernel and ends everything itself.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys

from snakemake_executor_plugin_llmagent.sandbox import descent, kernel

TYPE_CHECKING = False  # as in `typing`, whose import would take 4 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

STOPPED, FAILED = 143, 125
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def supervise(arguments: list[str]) -> int:
    """Run a command as an order says; returns the exit status (see `supervisor`)."""
    path, separator, *command = arguments if len(arguments) > 2 else ("", "")
    if separator != "--" or not command:
        print("usage: alone.py supervise ORDER.json -- COMMAND...", file=sys.stderr)
        return FAILED
    try:
        order = read_order(path)
    except (OSError, ValueError, EOFError, TypeError) as error:
        print(f"llmagent: the sandbox has no order: {error}", file=sys.stderr)
        return FAILED
    try:
        os.setsid()  # whoever kills the whole group of the one who started us ends us by the way of that one's death
    except PermissionError:
        pass  # we lead one already
    kernel.adopt_orphans()
    kernel.signal_at_parents_death(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    supervisor = os.fork()
    if supervisor == 0:
        _supervise(order, command)

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        try:
            os.kill(supervisor, signal.SIGTERM)
        except ProcessLookupError:
            pass  # it has just ended

    for number in STOPS:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    _, status = os.waitpid(supervisor, 0)
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    try:
        descent.end_all()
    except TimeoutError as error:
        print(f"llmagent: {error}", file=sys.stderr)
    result = os.WEXITSTATUS(status) if os.WIFEXITED(status) else STOPPED
    if result == STOPPED:
        clear_away(order)
    return result


def read_order(path: str) -> dict[str, Any]:
    """An order, in the form that Python reads fastest, or as JSON."""
    with open(path, "rb") as handle:
        data = handle.read()
    if data.startswith(b'{"'):
        import json

        return {**json.loads(data), "json": True}
    order: dict[str, Any] = marshal.loads(data)
    return order


def clear_away(order: dict[str, str]) -> None:
    """Remove the private folders of a script: whoever gave the order may be dead."""
    for words in (("chmod", "-R", "u+rwX", "--"), ("rm", "-rf", "--")):
        os.spawnvpe(os.P_WAIT, words[0], [*words, order["tmp"], order["home"]], {"PATH": os.defpath})


def _supervise(order: dict[str, object], command: list[str]) -> None:
    """Be the supervisor; never comes back."""
    status, guard = FAILED, os.getppid()
    try:
        kernel.signal_at_parents_death(signal.SIGTERM)
        if os.getppid() != guard:
            os._exit(STOPPED)  # it died before we could ask
        os.setsid()
        from snakemake_executor_plugin_llmagent.sandbox.supervisor import Supervisor

        status = Supervisor(order, command).run()
    except BaseException as error:
        print(f"llmagent: the sandbox failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)
