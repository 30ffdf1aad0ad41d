"""What a reviewer gets beside sentence and script: a checklist from the rule, and what was shown of the trial."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from snakemake_executor_plugin_llmagent.protocols import Trial
from snakemake_executor_plugin_llmagent.spec import Kind, Slot, Spec
from snakemake_executor_plugin_llmagent.text import one_line

MOST_POINTS = 40
LONGEST_RESULT = 300
"""How much of one result is shown [characters]."""
_QUOTED = re.compile(r"`([^`\n]{1,80})`")
_NUMBER = re.compile(r"(?<![\w.^])(?<!\^[-+])[-+]?\d+(?:\.\d+)?(?:\s?(?:GeV|MeV|TeV|%|per cent|/fb|fb|pb)\b)?")


def checklist(spec: Spec) -> str:
    """What the rule asks for, point by point, to be answered with evidence.

    Points are made mechanically: of outputs, inputs, names in backticks, numbers, params, wildcards, decisions.
    """
    points = list(dict.fromkeys(_points(spec)))
    more = len(points) - MOST_POINTS
    lines = [f"{number}. {point}" for number, point in enumerate(points[:MOST_POINTS], start=1)]
    return "\n".join([*lines, *([f"({more} more points of this kind)"] if more > 0 else [])])


def _points(spec: Spec) -> Iterator[str]:
    for slot in spec.outputs:
        yield f"Does {_named(slot)} hold what the rule asks for, computed from the inputs?"
    for slot in spec.inputs:
        yield f"Is every entry of the input {slot.name or 'of this rule'} used as the rule means it, weights included?"
    names = [name for name in dict.fromkeys(_QUOTED.findall(spec.text)) if not name.isspace()]
    if names:
        yield f"Are these names there, with the meaning that the sentence gives them: {', '.join(names)}?"
    numbers = list(dict.fromkeys(match.strip() for match in _NUMBER.findall(_QUOTED.sub(" ", spec.text))))
    if numbers:
        listed = "; ".join(numbers)
        yield f"Are these numbers of the sentence applied where it says, each on the right side of a cut: {listed}?"
    if spec.params:
        yield f"Are the params taken from `snakemake.params`, not written down: {', '.join(spec.params)}?"
    if spec.wildcards:
        yield f"Does the script hold for other values of {', '.join(spec.wildcards)}?"
    for name, value in spec.decide.items():
        yield f"Is the rule's decision {name} = {value!r} kept?"
    if spec.blind is not None:
        yield "Does nothing depend on what is hidden, such as a range taken from the data?"
    yield "Are units, errors and weights right, and does a failed fit or an empty selection show as such?"


def _named(slot: Slot) -> str:
    kind = "the output directory" if slot.kind is Kind.DIRECTORY else "the output"
    return f"{kind} `{slot.name}`" if slot.name else f"{kind} {' or '.join(slot.suffixes)}".rstrip()


def proved(evidence: Mapping[str, Mapping[str, object]]) -> str:
    """What checks by further runs and of contents came to, one line each."""
    lines = []
    for gate, results in evidence.items():
        for name, result in results.items():
            lines.append(f"- {gate}: {name}: {one_line(_shown(result), LONGEST_RESULT)}")
    return "\n".join(lines) or "- nothing beyond the checks"


def _shown(result: object) -> str:
    if isinstance(result, Mapping):
        return ", ".join(f"{key} {value}" for key, value in result.items())
    return str(result)


def cites(comments: str, trial: Trial, evidence: Mapping[str, Mapping[str, object]]) -> bool:
    """Whether a verdict names something that can be looked up: a number, a name of the script, an output, a check."""
    if re.search(r"\d", comments):
        return True
    words = set(re.findall(r"[A-Za-z_]\w{2,}", comments))
    known = {name for results in evidence.values() for label in results for name in re.findall(r"\w+", label)}
    known |= {item.name for item in trial.job.outputs if item.name} | {
        item.name for item in trial.job.inputs if item.name
    }
    known |= {str(entry.get("name")) for entry in trial.decisions} | {
        *trial.spec.params,
        *_QUOTED.findall(trial.spec.text),
    }
    return not words.isdisjoint(known) or "`" in comments
