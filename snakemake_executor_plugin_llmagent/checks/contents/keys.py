"""Documents that lack keys which the sentence names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.names import shown
from snakemake_executor_plugin_llmagent.checks.contents.results import places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import (
    blocks,
    braces,
    mentions,
    named_keys,
    starts_with,
)


def keys_promised(case: Case) -> Iterable[Found]:
    """Documents have the keys that the sentence gives them."""
    documents = list(case.documents())
    for part, document in documents:
        text = "\n".join(_about(case, part, len(documents)))
        if not text:
            continue
        known = {str(key) for place in places(case) if place.part is part for key in place.found}
        # What a list would have, if it had anything in it, cannot be missed.
        gentle = _has_gaps(document) or mentions(text, r"\boptional|if there (is|are)|where there (is|are)|if any\b")
        yield from _in_braces(part, text, known, gentle)
        yield from _named(case, part, text, known, gentle)


def _about(case: Case, part: Part, documents: int) -> Iterator[str]:
    """The pieces of the sentence that say what an output holds."""
    names = {name for name in (part.name, part.path, part.place.name) if name}
    only = documents == 1 and not any(one.format in ("json", "yaml") for one in case.inputs)
    for block in blocks(case.text):
        if starts_with(block, names) or (only and mentions(block, r"\bjson\b") and not mentions(block, r"\binputs?\b")):
            yield block


def _has_gaps(found: Any) -> bool:
    """Whether there is anything empty in a document."""
    if isinstance(found, dict | list):
        return not found or any(map(_has_gaps, found.values() if isinstance(found, dict) else found[:1000]))
    return found is None


def _in_braces(part: Part, text: str, known: set[str], gentle: bool) -> Iterator[Found]:
    for group in braces(text):
        missing = [key for key in group.keys if key not in known]
        if missing and not group.example:
            yield _missing(part, missing, known, warning=gentle)


def _named(case: Case, part: Part, text: str, known: set[str], gentle: bool) -> Iterator[Found]:
    names = [name for block in blocks(text) for name in named_keys(block)]
    others = {*case.params, *case.wildcards, *(one.name for one in (*case.inputs, *case.outputs) if one.name)}
    missing = [name for name in dict.fromkeys(names) if name not in known and name not in others]
    if missing:
        columns = sources.names(case)
        missing = [name for name in missing if name not in columns]
    if missing:
        # So many of them are keys that the rest was meant to be keys too.
        clear = len(names) - len(missing) >= max(2, len(missing))
        yield _missing(part, missing, known, warning=gentle or not clear)


def _missing(part: Part, missing: list[str], known: set[str], *, warning: bool) -> Found:
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known}
    told = []
    for key in missing[:8]:
        near = lower.get(key.lower()) or next(iter(get_close_matches(key, sorted(known), 1, 0.75)), None)
        told.append(f"{shown(key)} (there is {shown(near)})" if near else shown(key))
    return Found(
        check="json.keys",
        warning=warning,
        message=f"{part.label} lacks keys that the rule names: {', '.join(told)}. Write them as the rule does, letter "
        "by letter.",
    )
