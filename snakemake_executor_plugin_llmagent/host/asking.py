"""Asking the person at the terminal, in the middle of a run, whether a script may be approved."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent import briefs
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host import versions
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.freezing import rejected_finding
from snakemake_executor_plugin_llmagent.host.person import persons_name
from snakemake_executor_plugin_llmagent.lock import Status
from snakemake_executor_plugin_llmagent.roles import Attempt
from snakemake_executor_plugin_llmagent.text import clean, one_line

TERMINAL = "/dev/tty"
CHOICES = "[y] approve  [n] reject  [s] script  [d] difference  [l] later"
HELP = """\
  y  approve it, in your name; the workflow goes on
  n  reject it: you say why, and the model writes another one
  s  show the script
  d  show how it differs from the one that was approved before
  l  leave it for later: the rule waits for `llmagent approve`"""
POLL_SECONDS = 0.2
"""How often a question looks whether the run has been cancelled [s]."""
_ONE_AT_A_TIME = threading.Lock()

Stop = Callable[[], None]
"""Raises if the run has been cancelled."""


def can_ask(logger: Any) -> bool:
    """Whether there is a person at a terminal; says so if not."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:
        logger.warning("--llmagent-ask: there is no terminal to ask in. Scripts wait for `llmagent approve RULE`.")
        return False
    return sys.stderr.isatty() or sys.stdout.isatty()


def ask(
    agent: AgentRule, status: Status, home: Path, stop: Stop, alone: Callable[[], AbstractContextManager[None]],
    attempt: Attempt,
) -> Attempt:  # fmt: skip
    """An accepted attempt with the person's word on it: approved, rejected with a reason, or as it was.

    Args:
        agent: the rule.
        status: of its last script.
        home: the plugin's folder in the working directory.
        stop: called while waiting; raises if the run has been cancelled.
        alone: within it nobody else writes at the bottom of the terminal.
        attempt: what the checks and the reviewer have accepted.
    """
    with _turn(stop), alone(), _Terminal(stop) as terminal:
        terminal.say("\n".join(_summary(agent, attempt)))
        while True:
            answer = terminal.question(f"{CHOICES}\n{agent.name}> ")
            match answer.strip().lower() if answer is not None else "later":
                case "y" | "yes":
                    return replace(attempt, approver=_name(agent, terminal))
                case "n" | "no":
                    because = (terminal.question("What is wrong with it? ") or "").strip()
                    if because:
                        finding = rejected_finding(_name(agent, terminal), because)
                        return replace(attempt, findings=(*attempt.findings, finding))
                    terminal.say("A reason is needed: it is what the model goes by.")
                case "s" | "script":
                    terminal.say(_numbered(attempt.draft.source or ""))
                case "d" | "difference":
                    terminal.say(_difference(agent, status, home, attempt.draft.source or ""))
                case "l" | "later":
                    return attempt
                case _:
                    terminal.say(HELP)


@contextmanager
def _turn(stop: Stop) -> Iterator[None]:
    """One question at a time."""
    while not _ONE_AT_A_TIME.acquire(timeout=POLL_SECONDS):
        stop()
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()


class _Terminal:
    """The terminal that the run was started from, whatever its output goes to."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def __enter__(self) -> _Terminal:
        self._descriptor = os.open(TERMINAL, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def say(self, text: str) -> None:
        """Print a text of whatever origin."""
        self._write(clean(text) + "\n")

    def question(self, text: str) -> str | None:
        """What the person types in answer; None at the end of input."""
        self._write(text)
        answer = b""
        while not answer.endswith(b"\n"):
            while not select.select([self._descriptor], [], [], POLL_SECONDS)[0]:
                self._stop()
            try:
                got = os.read(self._descriptor, 4096)
            except BlockingIOError:  # what was there has been taken back, as Ctrl-C does
                continue
            if not got:
                self._stop()
                return None
            answer += got
        return answer.decode("utf-8", "replace").rstrip("\n")

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # the terminal shows more slowly than we write
                select.select([], [self._descriptor], [], POLL_SECONDS)
                self._stop()


def _summary(agent: AgentRule, attempt: Attempt) -> Iterator[str]:
    """What a person wants to know first."""
    lines = len((attempt.draft.source or "").splitlines())
    yield f"\nAgent rule {agent.name}: may this script be approved? ({lines} lines, attempt {attempt.number})"
    yield f"  asked for: {one_line(agent.spec.text, 300)}"
    for decision in attempt.draft.decisions:
        name, value = decision.get("name"), decision.get("value")
        yield one_line(f"  decision: {name} = {value}", 200)
    for finding in attempt.findings:
        yield f"  {finding.severity}: {finding.check}: {one_line(finding.message, 300)}"
    yield from (f"  {line.removeprefix('- ')}" for line in briefs.proved(attempt.evidence).splitlines())
    if attempt.review is not None:
        yield f"  review: {one_line(attempt.review.comments, 500)}"
    if attempt.layout is not None:
        yield f"  its outputs, while you are asked: {attempt.layout.stage}"


def _numbered(source: str) -> str:
    return "\n".join(f"{number:4} {line}" for number, line in enumerate(source.splitlines(), start=1))


def _difference(agent: AgentRule, status: Status, home: Path, source: str) -> str:
    digest = versions.last_approved(status.lock)
    before = versions.find(home, agent.script, digest) if digest else None
    if before is None:
        return "No script of this rule was approved before." if not digest else "The approved text is not kept here."
    return "\n".join(versions.unified(before, source, agent.script.name)) or "There is no difference."


def _name(agent: AgentRule, terminal: _Terminal) -> str:
    try:
        return persons_name(agent.script.parent)
    except ConfigError:
        return (terminal.question("Your name? ") or "").strip() or "unknown"
