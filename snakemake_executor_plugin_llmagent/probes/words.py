"""Whether what a script said before it failed names what was missing, and whether a result says that it is empty."""

from __future__ import annotations

import re

from snakemake_executor_plugin_llmagent.probes.responses import Numbers, Verdict, last, results, shown
from snakemake_executor_plugin_llmagent.protocols import Ending, Execution
from snakemake_executor_plugin_llmagent.text import one_line

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(:|$)")
LAST_LINES = 5
_EMPTY = re.compile(
    r"\bempty\b"
    r"|\b(no|0|zero|without|without any|only 0) ([\w-]+ ){0,3}"
    r"(events?|entries|rows?|data|records?|candidates?|photons?|samples?)\b"
    r"|zero[- ]size|\b(size|length|n_samples)[ =]0\b|\bat least \d|\bnot enough\b|\btoo few\b"
    r"|\bnothing (left|selected|to|is|was)\b",
    re.IGNORECASE,
)
_NUMBER_OF_EVENTS = re.compile(
    r"n_?(events|entries|rows|selected|total|passed)|events|entries|yields?|counts?|values|contents|sum|integral|valid",
    re.IGNORECASE,
)


def last_words(log: str) -> str:
    """The message with which a script ended: that of its last exception, else its last lines."""
    _, found, after = log.rpartition("Traceback (most recent call last)")
    lines = (after if found else log).splitlines()
    if found:
        start = next((i for i, line in enumerate(lines) if line[:1].strip() and _EXCEPTION.match(line)), None)
        return "\n".join(lines[start:]) if start is not None else "\n".join(lines[-LAST_LINES:])
    return "\n".join([line for line in lines if line.strip()][-LAST_LINES:])


def how_it_ended(execution: Execution) -> str:
    """How a run ended, in a few words."""
    if execution.succeeded:
        return "it ended well"
    words = one_line(last_words(execution.log), 300)
    if execution.ending is not Ending.EXIT:
        return f"it was ended ({execution.ending})"
    return f"it failed with {words!r}" if words else f"it failed with status {execution.returncode}, without a word"


def fails_over_branch(execution: Execution, column: str) -> Verdict:
    """A script that lacks a column fails with a message that names it."""
    if execution.succeeded:
        return Verdict(holds=False, text="it ended well")
    if execution.ending is Ending.EXIT and re.search(rf"(?<!\w){re.escape(column)}(?!\w)", last_words(execution.log)):
        return Verdict(holds=True)
    return Verdict(holds=False, text=f"{how_it_ended(execution)}, which does not name it")


def answers_emptiness(execution: Execution, numbers: Numbers) -> Verdict:
    """A script without events fails with a message that says so, or its result says so."""
    if not execution.succeeded:
        if execution.ending is Ending.EXIT and _EMPTY.search(last_words(execution.log)):
            return Verdict(holds=True)
        return Verdict(holds=False, text=f"{how_it_ended(execution)}, which does not say that the input is empty")
    claims = [name for name in results(numbers) if _is_number_of_events(name)]
    if claims:
        return Verdict(holds=False, text=f"the result still has numbers ({shown(claims, numbers, numbers)})")
    if any(value == 0 and _is_number_of_events(name) for name, value in numbers.items()):
        return Verdict(holds=True)
    return Verdict(holds=False, text="it ended well, and nothing in its result says that there were no events")


def _is_number_of_events(name: str) -> bool:
    return bool(_NUMBER_OF_EVENTS.fullmatch(last(name)))
