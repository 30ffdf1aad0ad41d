"""From an accepted candidate to the approved script of a rule: who approves it, and what its lock takes over."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.config import Options
from snakemake_executor_plugin_llmagent.errors import AgentError
from snakemake_executor_plugin_llmagent.host.bridge import plain_job
from snakemake_executor_plugin_llmagent.host.versions import last_approved
from snakemake_executor_plugin_llmagent.lock import Approval, Lock, Status
from snakemake_executor_plugin_llmagent.protocols import Finding
from snakemake_executor_plugin_llmagent.roles import Attempt, Draft
from snakemake_executor_plugin_llmagent.sandbox.collect import publish
from snakemake_executor_plugin_llmagent.session import utc_now
from snakemake_executor_plugin_llmagent.spec import Spec, State
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trail import APPROVED, act, rejection

MOST_OUTPUT_BYTES = 200 << 20
"""How large they may be together to be kept [bytes]."""


def approval_of(attempt: Attempt, options: Options, status: Status) -> Approval | None:
    """Who approves a candidate that nothing speaks against; None if it has to wait for a person.

    What a person has approved or rejected is written anew, but a person approves it again.
    """
    if attempt.approver:
        return Approval(by="person", name=attempt.approver, time=utc_now())
    return None if needs_person(options, status) else Approval(by="checks", name=None, time=utc_now())


def needs_person(options: Options, status: Status) -> bool:
    """Whether only a person may approve a rule's script."""
    before = status.lock
    if before is None:
        return options.approve == "person"
    mended = status.state is State.FROZEN and before.approval is not None and before.approval.by == "person"
    return options.approve == "person" or mended or rejection(before.trail, before.script_digest) is not None


def taking_over(made: Lock, status: Status) -> Lock:
    """A new lock with what the rule's last one hands on: the digest of the approved script, and people's acts."""
    before = status.lock
    trail = before.trail if before is not None else ()
    if made.approval is not None and made.approval.by == "person":
        name, time = made.approval.name or "", made.approval.time
        trail = (*trail, act(APPROVED, name=name, time=time, script_digest=made.script_digest))
    return replace(made, replaces=last_approved(before), trail=tuple(trail))


def start_from(status: Status, spec: Spec) -> Attempt | None:
    """The script that there is and why it will not do, for the coder to start from."""
    if status.state is not State.STALE or status.source is None:
        return None
    return Attempt(number=0, draft=Draft(source=status.source), findings=tuple(_objections(status, spec)))


def _objections(status: Status, spec: Spec) -> Sequence[Finding]:
    found, objections = status.lock, []
    if found is None or found.spec_digest != spec.digest:
        old = one_line(found.spec_text, 500) if found is not None else "something else"
        objections.append(Finding(check="spec.changed", message=f"This script was written for: {old}. Adapt it."))
    rejected = rejection(found.trail, found.script_digest) if found is not None else None
    if rejected is not None:
        objections.append(rejected_finding(rejected["name"], rejected.get("because", "")))
    return objections


def rejected_finding(name: str, because: str) -> Finding:
    """What a person holds against a script, for the coder."""
    return Finding(check="person.rejected", message=f"{name} read this script and rejected it: {because}")


def keep_outputs(job: Any, attempt: Attempt, folder: Path) -> str:
    """Move the outputs of a trial to where a person can look at them before approving; says what came of it."""
    layout, plain = attempt.layout, plain_job(job)
    assert layout is not None
    size = sum(_size(layout.inside(item)) for item in plain.outputs)
    if size > MOST_OUTPUT_BYTES:
        return f"The outputs of its trial were too large to keep ({size / 1e6:.0f} MB)."
    moves = [(layout.inside(item), folder / item.path.lstrip("/"), item.kind) for item in plain.outputs]
    try:
        publish(moves, stage=layout.stage)
    except (AgentError, OSError) as error:
        return f"The outputs of its trial could not be kept: {error}"
    return f"What it made on trial: {folder}"


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum(entry.lstat().st_size for entry in path.rglob("*"))
