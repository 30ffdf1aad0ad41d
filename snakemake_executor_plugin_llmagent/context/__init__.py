"""What a coder is shown: the spec, the job and its files as text, within a limit on tokens.

Whatever was copied from files stands inside of fences that nothing inside can close, and is named as data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from snakemake_executor_plugin_llmagent.context.packages import importable_packages, python_version
from snakemake_executor_plugin_llmagent.context.sections import (
    Plan,
    documents_section,
    files_section,
    inputs_section,
    outputs_section,
    python_section,
    spec_section,
    values_section,
)
from snakemake_executor_plugin_llmagent.context.survey import representatives, survey
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.formats.render import render_description
from snakemake_executor_plugin_llmagent.protocols import Describe, Job
from snakemake_executor_plugin_llmagent.spec import Spec

__all__ = [
    "Context",
    "build_context",
    "estimate_tokens",
    "importable_packages",
    "python_version",
    "render_description",
    "representatives",
]

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a coder is shown of a rule and one of its jobs.

    Attributes:
        text: the whole text, in Markdown.
        cut: what was left out to keep within the limit, in words; the text says it as well.
        tokens: estimated length [tokens].
    """

    text: str
    cut: tuple[str, ...]
    tokens: int


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has. It is counted in bytes, because other scripts need more tokens a letter."""
    return -(-len(text.encode("utf-8", "replace")) // _CHARACTERS_PER_TOKEN)


def build_context(
    spec: Spec,
    job: Job,
    *,
    describe: Describe,
    packages: Mapping[str, str],
    python_version: str,
    max_tokens: int,
    interpreter_note: str = "",
) -> Context:
    """Everything a coder needs to know to write the script of a rule.

    If the text is too long, excerpts go first, then ranges of many columns, then columns of all inputs but the first,
    then the middle of documents, and so on; the spec and the outputs are never cut.

    Args:
        spec: what the rule asks for.
        job: the job that the script will be tried on.
        describe: looks into a file.
        packages: what the script can import, name → version.
        python_version: which Python runs it.
        max_tokens: limit on the text [tokens].
        interpreter_note: what else there is to say about how the script is run.

    Raises:
        ConfigError: not even the least fits into the limit.
    """
    seen = survey(job, describe)
    unseen = len({item.path for item in job.inputs}) - len(seen)
    cut = [f"{unseen} of {unseen + len(seen)} inputs were not looked at"] if unseen else []

    def body(plan: Plan) -> str:
        sections = (
            spec_section(spec),
            outputs_section(spec, job),
            inputs_section(spec, job, plan),
            values_section(job, plan),
            files_section(job, seen, plan),
            documents_section(spec, plan),
            python_section(packages, python_version, interpreter_note, plan),
        )
        return "\n\n".join(section for section in sections if section)

    plan = Plan()
    text = body(plan)
    steps = _shrinkings(spec)
    while estimate_tokens(_with_cuts(text, cut)) > max_tokens:
        step = next(steps, None)
        if step is None:
            least = estimate_tokens(_with_cuts(text, cut))
            raise ConfigError(
                f"The context of rule {spec.rule!r} needs at least {least} tokens, but the limit on it is "
                f"{max_tokens} tokens. Raise the limit or shorten the spec."
            )
        what, changes = step
        plan = replace(plan, **changes)
        shorter = body(plan)
        # A step that changes nothing is not worth a word.
        if shorter != text:
            cut = [*(said for said in cut if said.split(":")[0] != what.split(":")[0]), what]
        text = shorter
    text = _with_cuts(text, cut)
    return Context(text=text, cut=tuple(cut), tokens=estimate_tokens(text))


def _with_cuts(text: str, cut: list[str]) -> str:
    if not cut:
        return text + "\n"
    return f"{text}\n\n## What is left out here\n\n" + "\n".join(f"- {what}" for what in cut) + "\n"


def _shrinkings(spec: Spec) -> Iterator[tuple[str, dict[str, Any]]]:
    """What to leave out, in this order; what stands before a colon is said once, with the last of its details."""
    yield "excerpts of texts among the inputs", {"excerpts": False}
    for count in (100, 40, 15):
        yield f"ranges and titles: only the first {count} columns of a table have them", {"ranges": count}
    for count in (200, 60, 20):
        yield f"columns of later inputs: only the first {count} of a table are listed", {"later_columns": count}
    longest = max((len(document.text) for document in spec.context), default=0)
    for size in (64_000, 32_000, 16_000, 8_000, 4_000, 2_000):
        if size < longest:
            yield f"the middle of context documents: they are cut to {size} characters each", {"document": size}
    yield "columns of later inputs: only the first 5 of a table are listed", {"later_columns": 5}
    for count in (400, 150, 60, 20):
        yield f"columns: only the first {count} of a table are listed", {"columns": count}
    yield "ranges and titles: none are shown", {"ranges": 0}
    yield "values: long ones are cut to 100 characters", {"value": 100}
    yield "details of the inputs: only format and size are given", {"details": False}
    for size in (1_000, 300):
        if size < longest:
            yield f"the middle of context documents: they are cut to {size} characters each", {"document": size}
    yield "inputs: only the first and the last of each name are listed", {"listed": 2}
    yield "installed packages: they are not listed", {"packages": False}
    yield "values: only the first 20 of each kind are shown, cut to 40 characters", {"value": 40, "values": 20}
