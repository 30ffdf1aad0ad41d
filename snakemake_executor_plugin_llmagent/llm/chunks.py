"""A streamed chat completion, put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any


class BrokenOff(Exception):
    """A stream ended before the reply did, or is none."""

    def __init__(self, error: Exception, *, malformed: bool = False) -> None:
        """Note why, and whether it is the form of the stream, which would be the same another time."""
        super().__init__(str(error))
        self.error = error
        self.malformed = malformed


def collect(chunks: Iterable[Any], heard: Callable[[int], None] | None) -> Any:
    """The reply that chunks add up to, in the shape of one that came at once.

    Args:
        chunks: as the SDK hands them on; nothing is certain about them, since gateways send what they like.
        heard: told how much has come so far, thoughts that some servers show included [characters].

    Raises:
        BrokenOff: they ended before the reply did.
    """
    content: list[str] = []
    refusal: list[str] = []
    come, finish, model, usage = 0, None, None, None
    for chunk in chunks:
        model = getattr(chunk, "model", None) or model
        # With the last chunk, which has no choices; some gateways count in every chunk, the last one then counts all.
        usage = getattr(chunk, "usage", None) or usage
        choices = getattr(chunk, "choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        finish = getattr(choice, "finish_reason", None) or finish
        delta = getattr(choice, "delta", None)
        for name, kept in (("content", content), ("refusal", refusal), ("reasoning_content", []), ("reasoning", [])):
            piece = getattr(delta, name, None)
            if isinstance(piece, str) and piece:
                kept.append(piece)
                come += len(piece)
        if heard is not None:
            heard(come)
    if finish is None:
        raise BrokenOff(EOFError("the stream ended before the reply did"), malformed=True)
    message = SimpleNamespace(content="".join(content) or None, refusal="".join(refusal) or None)
    return SimpleNamespace(
        choices=[SimpleNamespace(message=message, finish_reason=finish)], model=model, usage=usage, _request_id=None
    )
