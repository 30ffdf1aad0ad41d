"""What people did with the script of a rule, act after act; the lock keeps it, also when the script is written anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

APPROVED, REJECTED, UNBLINDED = "approved", "rejected", "unblinded"
Act = Mapping[str, str]
"""What was done (`act`), by whom (`name`), when (`time`), to which text (`script_digest`), and why (`because`)."""


def act(what: str, *, name: str, time: str, script_digest: str, because: str = "") -> dict[str, str]:
    """One entry of a trail.

    Args:
        what: `APPROVED`, `REJECTED` or `UNBLINDED`.
        name: the person.
        time: when, in UTC, ISO 8601.
        script_digest: sha256 of the text that the person decided about.
        because: the person's reason.
    """
    entry = {"act": what, "name": name, "time": time, "script_digest": script_digest}
    return {**entry, "because": because} if because else entry


def rejection(trail: Sequence[Act], script_digest: str) -> Act | None:
    """The rejection of a text that still holds: the last word of a person about it."""
    said = [each for each in trail if each["script_digest"] == script_digest and each["act"] != UNBLINDED]
    return said[-1] if said and said[-1]["act"] == REJECTED else None


def in_words(entry: Act) -> str:
    """An act as a line for people."""
    because = f": {entry['because']}" if entry.get("because") else ""
    return f"{entry['act']} by {entry['name']}, {entry['time']}{because}"
