"""JSON, JSON lines and YAML: the structure, with key names, types and the ranges of numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.formats.contents import Contents, Unreadable, left_out
from snakemake_executor_plugin_llmagent.formats.numbers import column
from snakemake_executor_plugin_llmagent.formats.source import decode, is_zipped, read_head, read_tail
from snakemake_executor_plugin_llmagent.formats.text import excerpt
from snakemake_executor_plugin_llmagent.protocols import Column, Table

JSON_LIMIT = 8 * 1024 * 1024
"""Larger JSON is not parsed, only its head is shown [bytes]."""
YAML_LIMIT = 1024 * 1024
"""Larger YAML is not parsed; reading YAML is slow [bytes]."""
MOST_KEYS = 400
MOST_NODES = 200_000
"""How many values are visited, which also bounds what YAML aliases can unfold to."""
MOST_LINES = 1000
DEEPEST = 12
_MOST_MERGED = 10_000


@dataclass(kw_only=True)
class _Seen:
    """What was found under one path of keys."""

    types: dict[str, None] = field(default_factory=dict)
    numbers: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class _Walk:
    """A walk through a document that stops when it has seen enough."""

    found: dict[str, _Seen] = field(default_factory=dict)
    nodes: int = 0
    stopped: bool = False

    def visit(self, value: object, path: str, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MOST_NODES or depth > DEEPEST or (path not in self.found and len(self.found) >= MOST_KEYS):
            self.stopped = True
            return
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                self.visit(item, f"{path}.{key}" if path else str(key), depth + 1)
        elif isinstance(value, list | tuple):
            self._list(value, path, depth)
        else:
            _note(self.found.setdefault(path, _Seen()), value)

    def _list(self, values: list[object] | tuple[object, ...], path: str, depth: int) -> None:
        seen = self.found.setdefault(path, _Seen())
        seen.lengths.append(len(values))
        for value in values:
            if self.nodes > MOST_NODES:
                self.stopped = True
                return
            nested = isinstance(value, Mapping | list | tuple)
            if nested:
                seen.types["mapping" if isinstance(value, Mapping) else "list"] = None
            self.visit(value, f"{path}[]" if nested else path, depth + 1)


def read(path: Path) -> Contents:
    """Describe a JSON or YAML document.

    Raises:
        Unreadable: it is not valid.
    """
    name = path.name.lower().removesuffix(".gz")
    is_yaml = name.endswith((".yaml", ".yml"))
    limit = YAML_LIMIT if is_yaml else JSON_LIMIT
    head = read_head(path, limit)
    text = decode(head.data, whole=head.whole)
    try:
        if name.endswith((".jsonl", ".ndjson")):
            return _describe(list(_json_lines(text, whole=head.whole)), "lines", text)
        if not head.whole:
            return _head_only(path, text, limit, is_yaml=is_yaml)
        value = _load_yaml(text) if is_yaml else json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"is not valid JSON: {error}") from error
    except RecursionError as error:
        raise Unreadable("is nested too deeply to be read") from error
    return _describe(value, None, text)


def _describe(value: object, kind: str | None, text: str) -> Contents:
    walk = _Walk()
    walk.visit(value, "", 0)
    entries = len(value) if isinstance(value, list | tuple | Mapping) else 1
    if kind is None:
        kind = "mapping" if isinstance(value, Mapping) else "list" if isinstance(value, list) else "value"
    table = Table(
        name="",
        kind=kind,
        entries=entries,
        columns=tuple(_column(name, seen) for name, seen in walk.found.items()),
        looked_at=entries,
        note="only a part of the keys and values was looked at" if walk.stopped else None,
    )
    return Contents(tables=(table,), excerpt=excerpt(text))


def _head_only(path: Path, text: str, limit: int, *, is_yaml: bool) -> Contents:
    whole = f"larger than {limit // 1024 // 1024} MB, so only its head was looked at; it may be invalid further on"
    if not is_yaml:
        start = text.lstrip()[:1]
        end = "" if is_zipped(path) else read_tail(path, 64).decode("latin-1").rstrip()[-1:]
        if start not in ("{", "[") or end not in ("", "}", "]"):
            raise Unreadable("is not valid JSON: it does not begin and end as an object or an array does")
    return Contents(tables=(left_out(whole),), excerpt=excerpt(text))


def _json_lines(text: str, *, whole: bool) -> Iterator[Any]:
    lines = [line for line in text.splitlines() if line.strip()]
    if not whole:
        lines = lines[:-1]
    for line in lines[:MOST_LINES]:
        yield json.loads(line)


def _load_yaml(text: str) -> object:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """A safe loader in which merges of merges cannot grow without end."""

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MOST_MERGED:
                raise Unreadable("is YAML whose merge keys unfold to too much")

    try:
        documents = list(yaml.load_all(text, Loader=Loader))
    except yaml.YAMLError as error:
        raise Unreadable(f"is not valid YAML: {error}") from error
    except (ValueError, TypeError) as error:
        raise Unreadable(f"is YAML with a value that cannot be read: {error}") from error
    return documents[0] if len(documents) == 1 else documents


def _note(seen: _Seen, value: object) -> None:
    match value:
        case bool():
            seen.types["bool"] = None
            seen.numbers.append(float(value))
        case int() | float():
            seen.types["int64" if isinstance(value, int) else "float64"] = None
            try:
                seen.numbers.append(float(value))
            except OverflowError:
                seen.numbers.append(float("inf"))
        case str():
            seen.types["string"] = None
            if len(seen.texts) < 20:
                seen.texts.append(value)
        case None:
            seen.types["null"] = None
        case Mapping():
            seen.types["empty mapping"] = None
        case _:
            seen.types[type(value).__name__] = None


def _column(name: str, seen: _Seen) -> Column:
    import numpy as np

    types = dict(seen.types)
    if "float64" in types:
        types.pop("int64", None)
    type_name = " | ".join(types) or "nothing"
    per_entry = (min(seen.lengths), max(seen.lengths)) if seen.lengths else None
    if per_entry is not None:
        type_name = f"list<{type_name}>"
    values = np.array(seen.numbers) if seen.numbers else np.array(seen.texts, dtype=str)
    return column(name, values, type=type_name, per_entry=per_entry)
