"""Reading what models reply: fenced blocks, decisions, verdicts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snakemake_executor_plugin_llmagent.syntax import parse
from snakemake_executor_plugin_llmagent.text import one_line

_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}(?=[^`]*$)|~{3,})\s*(?P<tag>[\w+-]*)")
"""Opens a block; three backticks around a word on one line do not."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a reply.

    Attributes:
        tag: its language in lower case, empty if untagged.
        text: its contents, with a line end.
        start: index of its first line in the reply.
    """

    tag: str
    text: str
    start: int


def blocks(reply: str) -> list[Block]:
    """The closed fenced blocks of a reply, in order."""
    lines = reply.replace("\r\n", "\n").split("\n")
    found: list[Block] = []
    index = 0
    while index < len(lines):
        opening = _FENCE.match(lines[index])
        if not opening:
            index += 1
            continue
        tag = opening["tag"].lower()
        inner = _without_indent(lines[index + 1 :], opening["indent"])
        length = _length(inner, opening["fence"], tag)
        if length is None:
            index += 1
            continue
        end = index + 1 + length
        found.append(Block(tag=tag, text="\n".join(inner[:length]) + "\n", start=index))
        index = end + 1
    return found


def _without_indent(lines: list[str], indent: str) -> list[str]:
    """Lines of a block that stands indented, as in a list, without the indent of its fence."""
    leading = re.compile(rf"^[ \t]{{0,{len(indent)}}}")
    return [leading.sub("", line) for line in lines] if indent else lines


def _length(lines: list[str], fence: str, tag: str) -> int | None:
    """How many lines a block has before the line that closes it; None if nothing closes it.

    A script may itself hold a line that looks like a closing fence, in a text it writes. Of several candidates for the
    end of a `python` block the first that makes valid Python is taken.
    """
    closing = re.compile(rf"^ {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}\s*$")
    ends = [number for number, line in enumerate(lines) if closing.match(line)]
    if tag == "python":
        for end in ends:
            if _is_python("\n".join(lines[:end])):
                return end
    return ends[0] if ends else None


def _is_python(text: str) -> bool:
    try:
        parse(text)
    except SyntaxError:
        return False
    return True


def read_decisions(text: str) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    """The decisions of a YAML block, and what is wrong with it if they cannot be read."""
    import yaml

    try:
        # A few lines of anchors can stand for more than fits into memory.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            return (), "The `decisions` block refers to itself (`*name`); write values out."
        record = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = one_line(str(error), 200)
        return (), f"The `decisions` block is not valid YAML: {problem}."
    listed = record.get("decisions") if isinstance(record, dict) else None
    if not isinstance(listed, list) or not all(_is_decision(entry) for entry in listed):
        return (), "The `yaml` block has no list `decisions` of entries with a `name`."
    return tuple({str(key): _plain(value) for key, value in entry.items()} for entry in listed), None


def _is_decision(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str) and bool(entry["name"].strip())


def _plain(value: object) -> Any:
    """A value with nothing in it that JSON does not know (YAML knows dates, for example)."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


def read_verdict(reply: str) -> tuple[bool, str] | None:
    """Whether a reviewer approves, and the comments; None if the reply is not of the form asked for."""
    bare = _verdict(reply)
    if bare is not None:
        return bare
    fenced = [_verdict(block.text) for block in blocks(reply) if block.tag in ("json", "")]
    verdicts = [verdict for verdict in fenced if verdict is not None]
    if len({approved for approved, _ in verdicts}) != 1:
        return None  # no verdict, or two that contradict each other: one of them may be a quotation
    return verdicts[-1]


def _verdict(text: str) -> tuple[bool, str] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("verdict") not in ("approve", "revise"):
        return None
    comments = record.get("comments", "")
    if isinstance(comments, list):
        comments = "\n".join(f"- {comment}" for comment in comments)
    return (record["verdict"] == "approve", comments) if isinstance(comments, str) else None
