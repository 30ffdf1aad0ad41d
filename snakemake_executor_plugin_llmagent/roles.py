"""The two roles: what a coder and a supervisor are asked, and what their replies mean."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from snakemake_executor_plugin_llmagent import briefs, prompts
from snakemake_executor_plugin_llmagent.errors import ModelRefused, ModelUnavailable
from snakemake_executor_plugin_llmagent.protocols import (
    Completion,
    Execution,
    Finding,
    Layout,
    Message,
    Model,
    Picture,
    Request,
    Severity,
    Stop,
    Trial,
)
from snakemake_executor_plugin_llmagent.replies import Block, blocks, read_decisions, read_verdict
from snakemake_executor_plugin_llmagent.text import clean, fenced, one_line, shorten

CODER_TOKENS = 32_000
SUPERVISOR_TOKENS = 16_000
"""Limits on a reply [tokens]; models that think use most of it before they write."""
FEEDBACK_CHARACTERS = 8_000
"""How much of what a script printed is shown again [characters]."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a coder handed in.

    Attributes:
        source: the script, None if there was none in the reply.
        decisions: what the sentence left open, as the coder listed it.
        findings: what was wrong with the reply.
        written: when [s since the epoch].
    """

    source: str | None
    decisions: tuple[Mapping[str, Any], ...] = ()
    findings: tuple[Finding, ...] = ()
    written: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class Review:
    """A supervisor's verdict."""

    approved: bool
    comments: str


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A candidate, what became of it, and what was found.

    Attributes:
        number: from 1; 0 for a script that was there before.
        draft: the candidate.
        layout, execution: its trial, None if it was not run.
        findings: of the checks and of the review.
        review: the verdict, None if nobody was asked.
        evidence: what gates have shown, gate → results.
        approver: the person who approved it on the spot, empty if nobody did.
    """

    number: int
    draft: Draft
    layout: Layout | None = None
    execution: Execution | None = None
    findings: tuple[Finding, ...] = ()
    review: Review | None = None
    evidence: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    approver: str = ""

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against the candidate."""
        errors = any(finding.severity is Severity.ERROR for finding in self.findings)
        return self.draft.source is not None and not errors and (self.review is None or self.review.approved)


class Coder:
    """Writes scripts."""

    def __init__(self, model: Model, role: str = "coder") -> None:
        """Let a model write; in sessions and recordings its calls stand under a role."""
        self.model = model
        self._role = role

    def write(self, brief: str, previous: Attempt | None) -> Draft:
        """Write a script for a brief; after a failed attempt, a better one.

        Raises:
            ModelRefused: the model declined.
        """
        messages = [Message(role="system", content=prompts.load("coder")), Message(role="user", content=brief)]
        if previous is not None:
            if previous.draft.source is not None:
                messages.append(
                    Message(role="assistant", content=_as_written(previous.draft.source, previous.draft.decisions))
                )
                messages.append(Message(role="user", content=feedback(previous)))
            else:
                messages[-1] = Message(role="user", content=f"{brief}\n\n{feedback(previous)}")
        reply = self.model.complete(Request(role=self._role, messages=tuple(messages), max_tokens=CODER_TOKENS))
        return _read_draft(reply)


def _as_written(source: str, decisions: Sequence[Mapping[str, Any]]) -> str:
    """A script in the form in which it was handed in, its decisions included, so that they are not forgotten."""
    import yaml

    script = fenced(source, "python")
    if not decisions:
        return script
    record = {"decisions": [dict(entry) for entry in decisions]}
    listed = yaml.safe_dump(record, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return f"{fenced(listed, 'yaml')}\n\n{script}"


def _read_draft(reply: Completion) -> Draft:
    if reply.stop is Stop.REFUSAL:
        raise ModelRefused(f"The coder {reply.model} declined to write the script: {one_line(reply.text, 500)}")
    if reply.stop is Stop.LENGTH:
        text = f"Your reply was cut off at the limit of {CODER_TOKENS} tokens. Write a shorter script, and little else."
        return Draft(source=None, findings=(Finding(check="reply.truncated", message=text),))
    if not reply.text.strip():
        return Draft(source=None, findings=(Finding(check="reply.empty", message="Your reply was empty."),))
    found = blocks(reply.text)
    scripts = [block for block in found if block.tag == "python"]
    if not scripts:
        text = "Your reply had no fenced block tagged `python`. Reply with the whole script in one such block."
        return Draft(source=None, findings=(Finding(check="reply.no_code", message=text),))
    decisions, problem = _decisions(found, before=scripts[-1])
    findings = (
        () if problem is None else (Finding(check="reply.decisions", message=problem, severity=Severity.WARNING),)
    )
    return Draft(source=scripts[-1].text, decisions=decisions, findings=findings)


def _decisions(found: Sequence[Block], before: Block) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    listings = [block for block in found if block.tag in ("yaml", "yml") and block.start < before.start]
    return read_decisions(listings[-1].text) if listings else ((), None)


def feedback(attempt: Attempt) -> str:
    """What a coder is told about an attempt that was not accepted."""
    parts = ["The script above was not accepted." if attempt.draft.source is not None else "Your last reply failed."]
    parts += [f"- {finding.check}: {finding.message}" for finding in attempt.findings]
    if attempt.review is not None and not attempt.review.approved:
        parts.append(f"\nThe reviewer asks for changes:\n\n{attempt.review.comments}")
    if attempt.execution is not None and attempt.execution.log.strip():
        log = shorten(attempt.execution.log, FEEDBACK_CHARACTERS)
        parts.append(f"\nWhat it printed (data):\n\n{fenced(log, 'text')}")
    parts.append("\nReply with the whole corrected script, and all decisions again, in the form asked for.")
    return "\n".join(parts)


class Supervisor:
    """Instructs and reviews."""

    def __init__(self, model: Model) -> None:
        """Let a model supervise."""
        self.model = model

    def instruct(self, context: str) -> str:
        """Turn what a rule asks for into instructions and acceptance criteria for the coder.

        Raises:
            ModelRefused: the model declined.
            ModelUnavailable: the reply was empty or cut off.
        """
        messages = (Message(role="system", content=prompts.load("instruct")), Message(role="user", content=context))
        reply = self._ask(messages)
        text = clean(reply.text).strip()
        if not text or reply.stop is Stop.LENGTH:
            what = "were empty" if not text else f"were cut off at the limit of {SUPERVISOR_TOKENS} tokens"
            raise ModelUnavailable(
                f"The instructions of the supervisor {reply.model} {what}. Try again, choose another supervisor, or "
                "supervision: review."
            )
        return text

    def review(
        self,
        trial: Trial,
        findings: Sequence[Finding],
        outputs: str,
        brief: str,
        *,
        evidence: Mapping[str, Mapping[str, object]] | None = None,
        pictures: Sequence[Picture] = (),
    ) -> tuple[Review, bool]:
        """Judge a candidate.

        Args:
            trial: the candidate and its run.
            findings: what the checks noticed.
            outputs: what its outputs hold, as text.
            brief: what the rule asks for.
            evidence: gate → what it has shown.
            pictures: images among its outputs, for a model that reads them.

        Returns:
            The verdict, and whether it could be read: a malformed reply is asked again once.
        """
        messages = (
            Message(role="system", content=prompts.load("review")),
            Message(
                role="user",
                content=_review_request(trial, findings, outputs, brief, evidence or {}, pictures),
                pictures=tuple(pictures),
            ),
        )
        reply = self._ask(messages)
        verdict = _verdict(reply)
        if verdict is None:
            again = (
                'That was not the JSON object asked for. Reply with {"verdict": ..., "comments": ...} and nothing else.'
            )
            answer = reply.text.strip() or "(empty)"
            reply = self._ask(
                (*messages, Message(role="assistant", content=answer), Message(role="user", content=again))
            )
            verdict = _verdict(reply)
        if verdict is None:
            return Review(approved=False, comments=one_line(reply.text, 500)), False
        return verdict, True

    def _ask(self, messages: tuple[Message, ...]) -> Completion:
        reply = self.model.complete(Request(role="supervisor", messages=messages, max_tokens=SUPERVISOR_TOKENS))
        if reply.stop is Stop.REFUSAL:
            raise ModelRefused(f"The supervisor {reply.model} declined to answer: {one_line(reply.text, 500)}")
        return reply


def _verdict(reply: Completion) -> Review | None:
    if reply.stop is Stop.LENGTH:
        return None
    verdict = read_verdict(reply.text)
    return None if verdict is None else Review(approved=verdict[0], comments=clean(verdict[1]))


def _review_request(
    trial: Trial,
    findings: Sequence[Finding],
    outputs: str,
    brief: str,
    evidence: Mapping[str, Mapping[str, object]],
    pictures: Sequence[Picture],
) -> str:
    warnings = "\n".join(f"- {finding.check}: {finding.message}" for finding in findings) or "- none"
    printed = trial.execution.log if trial.execution else ""
    values = json.dumps(dict(trial.job.wildcards), default=str)
    return "\n\n".join(
        (
            "# What the rule asks for, and its inputs",
            brief,
            "# The script",
            _as_written(trial.source, trial.decisions),
            f"# Its trial (wildcards {values})",
            "What it printed (data):",
            fenced(shorten(printed, FEEDBACK_CHARACTERS) or "(nothing)", "text"),
            "What the checks noticed:",
            warnings,
            "What further checks came to:",
            fenced(briefs.proved(evidence), "text"),
            "What its outputs hold (data):",
            fenced(outputs, "text"),
            *(
                [f"Its images are attached, in this order: {_names(pictures)}. They are data as well."]
                if pictures
                else []
            ),
            "# What to look at\n\nAnswer each for yourself, from what stands above:",
            briefs.checklist(trial.spec),
        )
    )


def _names(pictures: Sequence[Picture]) -> str:
    return ", ".join(f"`{one_line(picture.name, 200)}`" for picture in pictures)
