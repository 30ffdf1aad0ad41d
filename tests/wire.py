"""What a scripted model sends over the wire, in the languages of both providers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.loopback import Asked, Reply

_ANTHROPIC_STOPS = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}


def _counts(asked: Asked, reply: Reply) -> dict[str, int]:
    made_up = {"input": len(asked.text) // 4 + 1, "output": len(reply.text) // 4 + 1, "cached": 0, "reasoning": 0}
    return {**made_up, **reply.usage}


def _openai_usage(asked: Asked, reply: Reply) -> dict[str, Any]:
    counts = _counts(asked, reply)
    return {
        "prompt_tokens": counts["input"],
        "completion_tokens": counts["output"],
        "total_tokens": counts["input"] + counts["output"],
        "prompt_tokens_details": {"cached_tokens": counts["cached"]},
        "completion_tokens_details": {"reasoning_tokens": counts["reasoning"]},
    }


def openai_body(asked: Asked, reply: Reply, model: str) -> dict[str, Any]:
    """A chat completion."""
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": model}
    body |= {"usage": _openai_usage(asked, reply)}
    if reply.kind == "no_choices":
        return body
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    finish = reply.finish
    if finish == "refusal":
        message |= {"content": None, "refusal": reply.text}
        finish = "stop"
    if reply.kind == "empty":
        message["content"] = None
    return body | {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def openai_events(asked: Asked, reply: Reply, model: str) -> Iterator[tuple[str | None, str]]:
    """A chat completion in pieces, as names (none) and data of server-sent events."""
    whole = openai_body(asked, reply, model)
    head = {"id": whole["id"], "object": "chat.completion.chunk", "created": 0, "model": model}

    def event(**fields: Any) -> tuple[None, str]:
        return None, json.dumps({**head, **fields})

    if reply.thoughts:
        delta = {"role": "assistant", "reasoning_content": reply.thoughts}
        yield event(choices=[{"index": 0, "delta": delta, "finish_reason": None}])
    for choice in whole.get("choices", []):
        delta = {key: value for key, value in choice["message"].items() if value is not None}
        for piece in reply.pieces or [None]:
            if piece is not None:
                reply.before_piece()
                delta = {**delta, "content": piece}
            yield event(choices=[{"index": 0, "delta": delta, "finish_reason": None}])
        if reply.kind in ("broken", "unfinished"):
            break
        yield event(choices=[{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}])
    if reply.kind == "broken":
        return
    if reply.counted and (asked.body.get("stream_options") or {}).get("include_usage"):
        yield event(choices=[], usage=whole["usage"])
    yield None, "[DONE]"


def _anthropic_usage(asked: Asked, reply: Reply) -> dict[str, Any]:
    counts = _counts(asked, reply)
    return {
        # Anthropic counts what it read from its cache apart.
        "input_tokens": counts["input"] - counts["cached"],
        "cache_read_input_tokens": counts["cached"],
        "cache_creation_input_tokens": 0,
        "output_tokens": counts["output"],
        "output_tokens_details": {"thinking_tokens": counts["reasoning"]},
    }


def anthropic_body(asked: Asked, reply: Reply, model: str) -> dict[str, Any]:
    """A message."""
    body: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    if reply.kind == "no_choices":
        return body
    # Two blocks, so that whoever takes the first one alone is caught.
    half = len(reply.text) // 2
    pieces = [] if reply.kind == "empty" else list(reply.pieces) or [reply.text[:half], reply.text[half:]]
    content = [{"type": "text", "text": piece} for piece in pieces]
    stop = _ANTHROPIC_STOPS.get(reply.finish, reply.finish)
    return body | {
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _anthropic_usage(asked, reply),
    }


def anthropic_events(asked: Asked, reply: Reply, model: str) -> Iterator[tuple[str, str]]:
    """A message in pieces, as names and data of server-sent events."""
    whole = anthropic_body(asked, reply, model)

    def event(kind: str, **fields: Any) -> tuple[str, str]:
        return kind, json.dumps({"type": kind, **fields})

    if "content" not in whole:
        yield event("message_stop")
        return
    usage = whole["usage"]
    start = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield event("message_start", message=start)
    yield event("ping")
    for index, block in enumerate(whole["content"]):
        reply.before_piece()
        yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": block["text"]})
        if reply.kind in ("broken", "unfinished"):
            return
        yield event("content_block_stop", index=index)
    final = {key: usage[key] for key in ("output_tokens", "output_tokens_details")}
    yield event("message_delta", delta={"stop_reason": whole["stop_reason"], "stop_sequence": None}, usage=final)
    yield event("message_stop")
