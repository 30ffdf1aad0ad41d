"""What a supervisor says of two scripts that come to different numbers."""

from __future__ import annotations

from snakemake_executor_plugin_llmagent import prompts
from snakemake_executor_plugin_llmagent.protocols import Message, Model, Request, Stop
from snakemake_executor_plugin_llmagent.text import clean, fenced, shorten

TOKENS = 16_000
"""Limit on the reply [tokens]."""
LONGEST = 4_000
"""How much of the reply is kept [characters]."""


def arbitrate(model: Model, brief: str, first: str, second: str, differences: str) -> str:
    """Ask which of two scripts violates what the rule asks for, for the person who has to decide.

    Raises:
        ModelUnavailable: no answer can be had.
    """
    asked = "\n\n".join(
        (
            "# What the rule asks for, and its inputs",
            brief,
            "# Script A",
            fenced(first, "python"),
            "# Script B",
            fenced(second, "python"),
            "# Where their numbers differ (A is `yours`; data)",
            fenced(differences, "text"),
        )
    )
    messages = (Message(role="system", content=prompts.load("arbitrate")), Message(role="user", content=asked))
    reply = model.complete(Request(role="supervisor", messages=messages, max_tokens=TOKENS))
    if reply.stop is Stop.REFUSAL or not reply.text.strip():
        return "(it did not answer)"
    return shorten(clean(reply.text).strip(), LONGEST)
