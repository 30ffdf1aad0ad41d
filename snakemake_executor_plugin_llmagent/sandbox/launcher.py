"""Builds the walls around itself and becomes the script. Nothing runs unless every wall stands.

Standard library alone. It is forked from the supervisor, or started inside a bubblewrap; the supervisor hears over a
pipe that the walls stand, or why not. The script never has this pipe.
"""

from __future__ import annotations

import marshal
import os
import resource

from snakemake_executor_plugin_llmagent.sandbox import kernel, landlock, seccomp

TYPE_CHECKING = False  # as in `typing`, whose import would take 4 ms
if TYPE_CHECKING:
    from typing import Any, NoReturn

READY = b"+"
"""What is said when the walls stand; anything else is why they do not."""
FAILED = 125
_SIGKILL = 9


def launch(arguments: list[str]) -> int:
    """Follow the plan that an inherited descriptor holds; never comes back."""
    with open(int(arguments[0]), "rb") as handle:
        plan = marshal.load(handle)
    become(plan)


def become(plan: dict[str, Any]) -> NoReturn:
    """Confine this process and become the command.

    Args:
        plan: `command`, `directory`, `environment`, `limits` (name of an `RLIMIT_` → soft and hard), `session` (whether
            to begin one), `rules` and `abi` of Landlock (0: none), `required` (whether it must not run without),
            `filter` of seccomp (or None), `say` (descriptor of the pipe), `outer` (whether the command is only the next
            wall), `keep` (more descriptors to hand on), `cpus` (or None), `group` (file to join a control group by, or
            None).
    """
    say = int(plan["say"])
    try:
        _confine(plan)
        command = plan["command"]
        _must_be_a_program(command[0], plan["environment"].get("PATH", ""))
        for descriptor in (say, *plan["keep"]):
            os.set_inheritable(descriptor, plan["outer"])
        if not plan["outer"]:
            os.write(say, READY)
        os.execvpe(command[0], command, plan["environment"])
    except BaseException as error:
        os.write(say, f"{type(error).__name__}: {error}".encode(errors="replace"))
    os._exit(FAILED)


def _confine(plan: dict[str, Any]) -> None:
    if plan["required"] and not plan["abi"]:
        raise OSError("the kernel has no Landlock here, or it is switched off")
    if plan["group"]:
        with open(plan["group"], "w") as handle:
            handle.write("0")  # this process
    kernel.close_descriptors(keep=(int(plan["say"]), *plan["keep"]))
    if plan["session"]:
        os.setsid()
        kernel.signal_at_parents_death(_SIGKILL)
    for name, (soft, hard) in plan["limits"].items():
        _limit(getattr(resource, name), soft, hard)
    if plan["cpus"]:
        os.sched_setaffinity(0, plan["cpus"])
    os.umask(0o077)
    if plan["walls"]:
        kernel.leave_session_keyring()
        kernel.drop_capabilities()
        kernel.no_new_privileges()
    os.chdir(plan["directory"])
    # Whatever is needed later is loaded while it can still be read.
    instructions = _instructions(plan["filter"])
    if plan["abi"]:
        landlock.restrict(plan["rules"], plan["abi"])
    if instructions:
        seccomp.load(instructions)


def _instructions(wanted: dict[str, Any] | None) -> list[seccomp.Instruction]:
    return seccomp.build(os.uname().machine, pid=os.getpid(), **wanted) if wanted is not None else []


def _limit(which: int, soft: int, hard: int) -> None:
    """Lower a limit; nobody may raise it again."""
    _, highest = resource.getrlimit(which)
    if highest != resource.RLIM_INFINITY:
        hard = min(hard, highest)
    resource.setrlimit(which, (min(soft, hard), hard))


def _must_be_a_program(name: str, path: str) -> None:
    places = [name] if "/" in name else [os.path.join(folder, name) for folder in path.split(":")]
    if not any(os.access(place, os.X_OK) for place in places):
        raise FileNotFoundError(f"there is no program {name}")
