"""Runs attacks against one kind of wall, as the user who starts it: `python -I worker.py ORDER.json RESULT.json`.

The order names the checkout, the backend, the attacks and an empty folder; the result has a verdict for each. A process
of its own, because it adopts all orphans (whoever survives an attack is found among its descendants), and because tests
that run as root have it run as somebody else. Standard library alone: that user may not see our environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sandbox.catalogue import Attack, Backend
    from tests.sandbox.listeners import Listeners


def main(order_file: str, result_file: str) -> None:
    """Run what was ordered."""
    order = json.loads(Path(order_file).read_text())
    sys.path.insert(0, order["checkout"])
    sys.dont_write_bytecode = True
    from tests.sandbox import available, processes, runs
    from tests.sandbox.catalogue import ATTACKS, BACKENDS, HONEST, OPEN

    # Whoever ends us, or the tests that started us: everything is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("worker: stopped"))
    processes.when_parent_ends(signal.SIGTERM)
    runs.stand_in()
    os.umask(0o022)
    backend = next(each for each in (*BACKENDS, OPEN) if each.name == order["backend"])
    result: dict[str, object] = {"unavailable": available.reason_against(backend), "verdicts": {}}
    if result["unavailable"] is None:
        processes.adopt_orphans()
        attacks = {attack.name: attack for attack in (*ATTACKS, *HONEST)}
        result["verdicts"] = _try_all([attacks[name] for name in order["attacks"]], backend, Path(order["folder"]))
    Path(result_file).write_text(json.dumps(result))


def _try_all(attacks: list[Attack], backend: Backend, folder: Path) -> dict[str, object]:
    from tests.sandbox.listeners import Listeners
    from tests.sandbox.world import fill_keyring, remove

    fill_keyring()
    listeners = Listeners()
    verdicts: dict[str, object] = {}
    # To remove folders takes a disk's time; the next attack need not wait.
    with ThreadPoolExecutor(1) as remover:
        for number, attack in enumerate(attacks):
            started = time.monotonic()
            place = folder / f"{number}"
            try:
                word, why, report = _try_one(number, attack, backend, place, listeners)
            except Exception:  # the harness failed: say where, and go on with the next
                word, why, report = "broken", traceback.format_exc(), None
            finally:
                remover.submit(remove, place)
            seconds = round(time.monotonic() - started, 3)
            verdicts[attack.name] = {"word": word, "why": why, "report": report, "seconds": seconds}
    listeners.close()
    return verdicts


def _try_one(
    number: int, attack: Attack, backend: Backend, folder: Path, listeners: Listeners
) -> tuple[str, str, dict[str, Any] | None]:
    from tests.sandbox import processes, runs, world
    from tests.sandbox.judge import judge

    tag = f"T{os.getpid()}n{number}-{os.urandom(4).hex()}"
    made = world.make(
        folder, tag, attack.script, listeners, through_link=attack.through_link, confined=backend.name != "open"
    )
    segment = world.shared_memory(made.shm_key)
    try:
        run = runs.execute(attack, backend, made)
        listeners.settle()
        run.heard = {words for words in listeners.heard if tag in words}
        verdict = judge(run)
        return verdict.word, verdict.why, run.report
    finally:
        with contextlib.suppress(OSError):
            os.chdir(folder.parent)
        known = {made.victim.pid} if made.victim is not None else set()
        processes.end(known)
        world.unmake(made, listeners)
        world.forget_shared_memory(segment)


if __name__ == "__main__":
    main(*sys.argv[1:])
