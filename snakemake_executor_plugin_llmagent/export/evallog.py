"""Sessions as a log of Inspect (UK AI Security Institute), version 2 of its format, for its viewer and its tools.

A rule is a task, a session a sample: the sentence is its input, each call a model event, each attempt a score. Nothing
of Inspect is needed to write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snakemake_executor_plugin_llmagent.session import Story

FORMAT_VERSION = 2
SCORER = "accepted"
CORRECT, INCORRECT = "C", "I"
_TURN = re.compile(r"(?:\A|\n\n)## (system|user|assistant)\n\n")
_STOPS = {"end": "stop", "length": "max_tokens", "refusal": "content_filter"}


def eval_log(rule: str, stories: Sequence[Story]) -> dict[str, Any]:
    """The log of a rule's sessions, which have at least one event each.

    Raises:
        ValueError: there are no sessions.
    """
    if not stories:
        raise ValueError(f"There is no session of rule {rule}.")
    begins = [story.events[0] for story in stories]
    samples = [_sample(story) for story in stories]
    accepted = sum(bool(story.of("frozen")) for story in stories)
    replies = [reply for story in stories for reply in story.of("reply")]
    return {
        "version": FORMAT_VERSION,
        "status": "success",
        "eval": {
            "created": begins[0]["time"],
            "task": rule,
            "task_id": str(begins[-1].get("spec_digest", rule)),
            "task_file": begins[-1].get("file"),
            "task_version": 0,
            "dataset": {
                "name": rule,
                "samples": len(samples),
                "sample_ids": [sample["id"] for sample in samples],
                "shuffled": False,
            },
            "model": _coder(stories),
            "config": {},
            "metadata": {"plugin": "snakemake-executor-plugin-llmagent", "spec": begins[-1].get("spec")},
        },
        "plan": {"name": "authoring", "steps": [{"solver": "snakemake-executor-plugin-llmagent", "params": {}}]},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": [
                {
                    "name": SCORER,
                    "scorer": SCORER,
                    "params": {},
                    "metrics": {"accuracy": {"name": "accuracy", "value": accepted / len(samples), "params": {}}},
                }
            ],
        },
        "stats": {
            "started_at": begins[0]["time"],
            "completed_at": stories[-1].events[-1]["time"],
            "model_usage": _usage_by(replies, "model"),
            "role_usage": _usage_by(replies, "role"),
        },
        "samples": samples,
    }


def _coder(stories: Sequence[Story]) -> str:
    """The model that wrote, as the person named it."""
    calls = [call for story in stories for call in story.of("call") if call["role"] == "coder"]
    return str(calls[-1]["model"]).replace(":", "/", 1) if calls else "none/none"


def _sample(story: Story) -> dict[str, Any]:
    begin, replies, attempts = story.events[0], story.of("reply"), story.of("attempt")
    frozen = story.of("frozen")
    written = [model for model in _models(story) if model["role"] == "coder" and model["output"]["choices"]]
    last = written[-1] if written else None
    return {
        "id": story.directory.name,
        "epoch": 1,
        "input": str(begin.get("spec", "")),
        "target": "",
        "messages": [*last["input"], last["output"]["choices"][0]["message"]] if last else [],
        "output": last["output"] if last else {"model": "none/none", "choices": []},
        "scores": {SCORER: _score(attempts[-1] if attempts else None, bool(frozen))},
        "metadata": {
            "wildcards": begin.get("wildcards", {}),
            "spec_digest": begin.get("spec_digest"),
            "attempts": len(attempts),
            "script": frozen[-1]["script"] if frozen else None,
            "problems": list(story.problems),
        },
        "store": {},
        "events": list(_events(story)),
        "model_usage": _usage_by(replies, "model"),
        "role_usage": _usage_by(replies, "role"),
        "started_at": begin["time"],
        "completed_at": story.events[-1]["time"],
    }


def _score(attempt: Mapping[str, Any] | None, accepted: bool) -> dict[str, Any]:
    findings = attempt["findings"] if attempt else []
    review = attempt.get("review") if attempt else None
    said = [f"{finding['severity']}: {finding['check']}: {finding['message']}" for finding in findings]
    said += [f"review: {review['comments']}"] if review else []
    return {
        "value": CORRECT if accepted else INCORRECT,
        "answer": attempt.get("script") if attempt else None,
        "explanation": "\n".join(said) or None,
        "metadata": {"attempt": attempt["number"], "class": attempt.get("class")} if attempt else None,
    }


def _events(story: Story) -> Iterator[dict[str, Any]]:
    """The events of a session as those of a sample, in order."""
    models = iter(_models(story))  # one for each call
    for event in story.events:
        kind = event["event"]
        if kind == "call":
            yield next(models)
        elif kind == "attempt":
            yield {
                "event": "score",
                "timestamp": event["time"],
                "working_start": 0.0,
                "score": _score(event, event["accepted"]),
                "intermediate": True,
                "scorer": SCORER,
            }
        if kind not in ("call", "reply"):
            facts = {name: value for name, value in event.items() if name not in ("version", "time")}
            script = story.text(event.get("script")) if kind != "frozen" else None
            data = {**facts, "source": script} if script is not None else facts
            yield {"event": "info", "timestamp": event["time"], "working_start": 0.0, "source": kind, "data": data}


def _models(story: Story) -> list[dict[str, Any]]:
    """Each call and the reply to it, which comes next; a call without one was given up."""
    found: list[dict[str, Any]] = []
    for place, event in enumerate(story.events):
        if event["event"] == "call":
            after = next((each for each in story.events[place + 1 :] if each["event"] in ("call", "reply")), None)
            found.append(_model(story, event, after if after and after["event"] == "reply" else None))
    return found


def _model(story: Story, call: Mapping[str, Any], reply: Mapping[str, Any] | None) -> dict[str, Any]:
    asked = str(call["model"]).replace(":", "/", 1)
    event: dict[str, Any] = {
        "event": "model",
        "timestamp": call["time"],
        "working_start": 0.0,
        "model": reply["model"] if reply else asked,
        "requested_model": asked,
        "role": call["role"],
        "input": _messages(story.text(call["request"]) or ""),
        "tools": [],
        "tool_choice": "none",
        "config": {},
        "output": {"model": asked, "choices": []},
    }
    if reply is None:
        return {**event, "error": "no reply came"}
    message = {"role": "assistant", "content": story.text(reply["text"]) or "", "model": reply["model"]}
    choice = {"message": message, "stop_reason": _STOPS.get(reply["stop"], "unknown")}
    output = {"model": reply["model"], "choices": [choice], "completion": message["content"]}
    return {**event, "completed": reply["time"], "output": {**output, "usage": _usage([reply])}}


def _messages(text: str) -> list[dict[str, str]]:
    """The messages of a request, from the text that a session keeps of it."""
    parts = _TURN.split(text)
    if len(parts) < 3:
        return [{"role": "user", "content": text}]
    turns = zip(parts[1::2], parts[2::2], strict=True)
    return [{"role": role, "content": content} for role, content in turns]


def _usage_by(replies: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    names = dict.fromkeys(str(reply[key]) for reply in replies)
    return {name: _usage([reply for reply in replies if reply[key] == name]) for name in names}


def _usage(replies: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Tokens as Inspect counts them: input that came from a cache apart."""

    def total(name: str) -> int:
        return sum(int(reply["usage"][name]) for reply in replies)

    cached = total("cached_input_tokens")
    return {
        "input_tokens": total("input_tokens") - cached,
        "output_tokens": total("output_tokens"),
        "total_tokens": total("input_tokens") + total("output_tokens"),
        "input_tokens_cache_read": cached,
        "reasoning_tokens": total("reasoning_tokens"),
    }
