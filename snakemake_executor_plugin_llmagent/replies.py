"""Reading what models reply: fenced blocks, decisions, verdicts."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})\s*(?P<tag>[\w+-]*)")


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
        end = _end(lines, index + 1, opening["fence"], tag)
        if end is None:
            index += 1
            continue
        found.append(Block(tag=tag, text="\n".join(lines[index + 1 : end]) + "\n", start=index))
        index = end + 1
    return found


def _end(lines: list[str], start: int, fence: str, tag: str) -> int | None:
    """The line that closes a block.

    A script may itself hold a line that looks like a closing fence, in a text it writes. Of several candidates for the
    end of a `python` block the first that makes valid Python is taken.
    """
    closing = re.compile(rf"^ {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}\s*$")
    ends = [number for number in range(start, len(lines)) if closing.match(lines[number])]
    if tag == "python":
        for end in ends:
            if _is_python("\n".join(lines[start:end])):
                return end
    return ends[0] if ends else None


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def read_decisions(text: str) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    """The decisions of a YAML block, and what is wrong with it if they cannot be read."""
    import yaml

    try:
        record = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return (), f"The `decisions` block is not valid YAML: {str(error).splitlines()[0]}."
    listed = record.get("decisions") if isinstance(record, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) and "name" in entry for entry in listed):
        return (), "The `yaml` block has no list `decisions` of entries with a `name`."
    return tuple(_plain(entry) for entry in listed), None


def _plain(entry: dict[Any, Any]) -> Mapping[str, Any]:
    """An entry with nothing in it that JSON does not know (YAML knows dates, for example)."""
    plain: dict[str, Any] = json.loads(json.dumps(entry, default=str))
    return plain


def read_verdict(reply: str) -> tuple[bool, str] | None:
    """Whether a reviewer approves, and the comments; None if the reply is not of the form asked for."""
    fenced = [block.text for block in blocks(reply) if block.tag in ("json", "")]
    for text in (reply, *reversed(fenced)):
        try:
            record = json.loads(text)
        except ValueError:
            continue
        if not isinstance(record, dict) or record.get("verdict") not in ("approve", "revise"):
            continue
        comments = record.get("comments", "")
        if isinstance(comments, list):
            comments = "\n".join(f"- {comment}" for comment in comments)
        if isinstance(comments, str):
            return record["verdict"] == "approve", comments
    return None
