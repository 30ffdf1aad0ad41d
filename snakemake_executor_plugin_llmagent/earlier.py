"""What models have answered in the unfinished sessions of a rule: the same question is not paid for twice.

A session is finished once its script was frozen, or its attempts were used up. Up to the last finished one, the replies
of sessions that were cut off (by a budget, a kill, an outage) serve again, each as often and in the order as it was
given. Refusals do not: whoever runs again wants to ask again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.protocols import Completion, Request, Stop, Usage
from snakemake_executor_plugin_llmagent.session import EVENTS, Story, read_session
from snakemake_executor_plugin_llmagent.spec import digest_text

FINISHED = frozenset({"frozen", "exhausted"})
"""Events after which a session answers nothing any more."""
UNSTORED = "unstored"
"""The event that takes back `frozen`: the script could not be written."""
MOST_SESSIONS = 50
"""How many unfinished sessions are looked into."""


def request_digest(model: str, request: Request) -> str:
    """What a question is found by: who is asked by whom, all that it says and shows, and how long the reply may be."""
    messages = [
        [message.role, message.content, *(sha256(picture.data).hexdigest() for picture in message.pictures)]
        for message in request.messages
    ]
    return digest_text(json.dumps([model, request.role, request.max_tokens, messages]))


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A reply of an earlier session.

    Attributes:
        reply: what was said.
        session: where.
    """

    reply: Completion
    session: Path


class Earlier:
    """Replies by their questions, each served once."""

    def __init__(self, root: Path, rule: str) -> None:
        """Read the unfinished sessions of a rule below a directory of sessions."""
        self._replies: dict[str, list[Kept]] = {}
        self._taking = threading.Lock()
        self.wildcards: Mapping[str, str] | None = None
        """Of the job that the last unfinished session was about; None if there is none."""
        for session in _unfinished(root / rule):
            found: dict[str, list[Kept]] = {}
            for digest, kept in _replies(session.directory, session.events):
                found.setdefault(digest, []).append(kept)
            for digest, replies in found.items():
                # Of sessions that got as far, the last one; it holds what the others had answered too.
                if len(replies) > len(self._replies.get(digest, ())):
                    self._replies[digest] = replies
            if self.wildcards is None:
                self.wildcards = _wildcards(session.events)

    @property
    def left(self) -> int:
        """How many replies were not served yet."""
        return sum(map(len, self._replies.values()))

    def take(self, digest: str) -> Kept | None:
        """The next reply to a question, None if there is no more."""
        with self._taking:
            waiting = self._replies.get(digest)
            return waiting.pop(0) if waiting else None


def _unfinished(folder: Path) -> Iterator[Story]:
    """The sessions since the last finished one, the last one first."""
    directories = sorted((path for path in folder.iterdir() if path.is_dir()), key=_age) if folder.is_dir() else []
    for directory in directories[: -MOST_SESSIONS - 1 : -1]:
        if not (directory / EVENTS).is_file():
            continue
        story = read_session(directory)
        kinds = {event["event"] for event in story.events}
        if not FINISHED.isdisjoint(kinds) and UNSTORED not in kinds:
            return
        yield story


def _age(directory: Path) -> tuple[str, int]:
    """Names are times, and of those begun in the same second, a number behind."""
    stamp, _, number = directory.name.partition("-")
    return stamp, int(number) if number.isdigit() else 0


def _wildcards(events: Sequence[Mapping[str, Any]]) -> Mapping[str, str] | None:
    begun = next((event.get("wildcards") for event in events if event.get("event") == "begin"), None)
    return begun if isinstance(begun, Mapping) else None


def _replies(directory: Path, events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Kept]]:
    for event in events:
        digest = event.get("digest")
        if event.get("event") != "reply" or not isinstance(digest, str) or event.get("stop") == Stop.REFUSAL:
            continue
        try:
            yield digest, Kept(reply=_reply(directory, event), session=directory)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # somebody has tidied up: what cannot be read is asked again


def _reply(directory: Path, event: Mapping[str, Any]) -> Completion:
    with (directory / event["text"]).open(encoding="utf-8", newline="") as handle:
        text = handle.read()
    if digest_text(text) != event["text_digest"]:
        raise ValueError("the text was changed")
    counted = event["usage"]
    usage = Usage(**{field.name: int(counted.get(field.name, 0)) for field in fields(Usage)})
    usd = event["usd"]
    plain = Completion(text=text, stop=Stop(event["stop"]), model=str(event["model"]), usage=usage)
    return replace(plain, request_id=event["request_id"], usd=None if usd is None else Decimal(str(usd)))
