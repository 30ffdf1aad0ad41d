"""One recorded question and its answer, as a YAML file made for reading."""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Stop, Usage
from snakemake_executor_plugin_llmagent.spec import digest_text

FORMAT = 1
"""Version of the file format; raised when an older reader would misread a newer file."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAME_DIGITS = 12
_FILE_NAME = re.compile(r"(?P<stem>[^.].*?)(?:\.(?P<number>\d+))?\.yaml")
_ODD = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
_LITERAL = re.compile(f"[^\t{_ODD}][^{_ODD}]*")
"""Texts that every YAML reader takes from a literal block as they are."""

_MESSAGE_ROLES = ("system", "user", "assistant")
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A question to a model and its answer.

    Attributes:
        role: who asked.
        model: the model as the person named it.
        messages: the conversation.
        max_tokens: limit on the reply [tokens]; 0 if unknown.
        reply: the answer.
    """

    role: str
    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    reply: Completion

    @property
    def digest(self) -> str:
        """What the question is found by, as 64 hexadecimal digits."""
        return request_digest(self.role, self.messages)


def request_digest(role: str, messages: Sequence[Message]) -> str:
    """What a question is found by, as 64 hexadecimal digits: its role and its messages, trailing whitespace aside."""
    content = [{"role": message.role, "content": trimmed(message.content)} for message in messages]
    return digest_text(json.dumps({"role": role, "messages": content}, sort_keys=True, separators=(",", ":")))


def trimmed(text: str) -> str:
    """The text without whitespace at the ends of its lines, and without empty lines at its end."""
    return "\n".join(line.rstrip() for line in text.split("\n")).rstrip()


# --- writing --------------------------------------------------------------------------------------------------------


def write_exchange(exchange: Exchange, directory: Path) -> Path:
    """Write an exchange into a directory that other processes may be writing to, and return the file.

    Raises:
        ConfigError: the directory cannot be written to.
    """
    role = re.sub(r"[^\w-]", "_", exchange.role)
    stem = f"{role}-{exchange.digest[:_NAME_DIGITS]}"
    temporary = directory / f".{stem}.{uuid.uuid4().hex}.tmp"
    try:
        temporary.write_text(dump_exchange(exchange), encoding="utf-8", newline="\n")
        return temporary.replace(_claim(directory, stem))
    except OSError as error:
        raise ConfigError(f"A recording cannot be written to {directory}: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def dump_exchange(exchange: Exchange) -> str:
    """An exchange as YAML."""
    reply = exchange.reply
    content = {
        "format": FORMAT,
        "role": exchange.role,
        "model": exchange.model,
        "max_tokens": exchange.max_tokens,
        "messages": [{"role": message.role, "content": message.content} for message in exchange.messages],
        "reply": {"model": reply.model, "stop": str(reply.stop), "usage": asdict(reply.usage), "text": reply.text},
    }
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _claim(directory: Path, stem: str) -> Path:
    """The first free name, taken by an empty file so that no other process takes it too."""
    for number in itertools.count(1):
        path = directory / (f"{stem}.yaml" if number == 1 else f"{stem}.{number}.yaml")
        try:
            path.open("x").close()
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable")


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as literal blocks, tabs and trailing spaces included."""

    def analyze_scalar(self, scalar: str) -> Any:
        analysis = super().analyze_scalar(scalar)
        if _LITERAL.fullmatch(scalar):
            analysis.allow_block = True
        return analysis


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if text and not _LITERAL.fullmatch(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


# --- reading --------------------------------------------------------------------------------------------------------


def exchange_files(directory: Path) -> list[Path]:
    """The recordings in a directory, those of one question in the order of recording."""
    found = ((path, _FILE_NAME.fullmatch(path.name)) for path in directory.iterdir())
    numbered = [(match["stem"], int(match["number"] or 1), path) for path, match in found if match]
    # An empty file is a name that another process has just claimed.
    return [path for _, _, path in sorted(numbered) if path.stat().st_size > 0]


def read_exchange(path: Path) -> Exchange:
    """Read a recording.

    Raises:
        ConfigError: the file is not a recording, or of a newer format.
    """
    try:
        return parse_exchange(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"The recording {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"The recording {path} is broken: {reason}. Mend it, or remove it and record again."
        ) from error


def parse_exchange(text: str | bytes) -> Exchange:
    """Take an exchange from its YAML.

    Raises:
        ValueError: something is missing or of the wrong kind.
        yaml.YAMLError: it is not YAML.
    """
    content = yaml.load(text, Loader=_LOADER)
    if not isinstance(content, Mapping):
        raise ValueError("it is not a mapping")
    if _take(content, "format", int) != FORMAT:
        raise ValueError(f"its format is {content['format']}, and this version reads {FORMAT}")
    model = _take(content, "model", str, "")
    return Exchange(
        role=_take(content, "role", str),
        model=model,
        messages=tuple(_parse_message(message) for message in _take(content, "messages", list)),
        max_tokens=_take(content, "max_tokens", int, 0),
        reply=_parse_reply(_take(content, "reply", dict), model),
    )


def _parse_message(content: object) -> Message:
    if not isinstance(content, Mapping):
        raise ValueError("a message is not a mapping")
    role = _take(content, "role", str)
    if role not in _MESSAGE_ROLES:
        raise ValueError(f"a message has the role {role!r}, which is none of {', '.join(_MESSAGE_ROLES)}")
    return Message(role=cast(Any, role), content=_take(content, "content", str))


def _parse_reply(content: Mapping[str, object], model: str) -> Completion:
    usage = _take(content, "usage", dict, {})
    return Completion(
        text=_take(content, "text", str),
        stop=Stop(_take(content, "stop", str, str(Stop.END))),
        model=_take(content, "model", str, model),
        usage=Usage(**{field.name: _take(usage, field.name, int, 0) for field in fields(Usage)}),
    )


def _take(content: Mapping[str, object], name: str, kind: type[_T], default: _T | None = None) -> _T:
    value = content.get(name, default)
    if value is None:
        raise ValueError(f"{name!r} is missing")
    if not isinstance(value, kind):
        raise ValueError(f"{name!r} is {type(value).__name__}, not {kind.__name__}")
    return value
