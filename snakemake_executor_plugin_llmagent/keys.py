"""The providers' secrets: where they are read, how they are kept from jobs, and taken out of texts.

Which variables hold them is known from the start for the providers of this plugin, and from then on that a file of
providers was read (`note_key_variables`) for those of the person's own.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError

KEY_VARIABLES = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
"""Environment variables that hold secrets of the providers."""

REDACTED = "[redacted]"
WITHHELD = "[withheld]"
"""What stands in the place of a secret in what a script is handed and a model is shown."""

_NAMED: set[str] = set()
"""Variables of named providers. A process only ever learns of more of them: one too many does no harm."""


def note_key_variables(names: Iterable[str]) -> None:
    """From now on, treat these variables too as holding secrets of providers."""
    _NAMED.update(names)


def key_variables() -> tuple[str, ...]:
    """The variables that hold secrets of providers, as far as this process knows."""
    return tuple(dict.fromkeys((*KEY_VARIABLES, *sorted(_NAMED))))


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The providers' secrets. They are read once, and neither printed, stored, nor given to a job.

    Attributes:
        values: variable name → secret.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, variable: str) -> str | None:
        """The secret of a variable, or None."""
        return self.values.get(variable)

    def redact(self, text: str) -> str:
        """The text with every secret replaced by a mark, also where it stands in JSON."""
        forms = {form for secret in self.values.values() for form in (secret, *_in_json(secret))}
        for secret in sorted(forms, key=len, reverse=True):
            if len(secret) >= 6:
                text = text.replace(secret, REDACTED)
        return text


def _in_json(text: str) -> tuple[str, str]:
    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]


def read_keys(environment: Mapping[str, str], key_file: Path | None = None) -> Keys:
    """Read the providers' secrets from a key file (lines `NAME=secret`) and the environment, which wins.

    Raises:
        ConfigError: the key file cannot be read, is not in that form, or can be read by other users.
    """
    values = dict(_read_key_file(key_file)) if key_file is not None else {}
    # A secret that was read from a mounted file often ends in a newline, which no redaction would survive.
    values |= {name: secret for name in key_variables() if (secret := environment.get(name, "").strip())}
    return Keys(values=values)


def remove_keys(environment: MutableMapping[str, str], keep: Iterable[str] = ()) -> dict[str, str]:
    """Take the secrets out of an environment, so that no job inherits them; returns what was taken."""
    kept = set(keep)
    return {name: environment.pop(name) for name in key_variables() if name in environment and name not in kept}


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """A copy of an environment that holds no secret of a provider."""
    known = key_variables()
    return {name: value for name, value in environment.items() if name not in known}


# --- key files ------------------------------------------------------------------------------------------------------

_LINE = re.compile(r"(?:export\s+)?(?P<name>[^=\s]*)\s*=\s*(?P<value>.*)", re.DOTALL)
_QUOTED = re.compile(r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)')\s*(?:#.*)?""", re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s)#.*")


def _read_key_file(path: Path) -> Iterator[tuple[str, str]]:
    known, others_too = key_variables(), _holds_other_settings(path)
    for number, raw in enumerate(_lines(path), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if others_too and (found is None or found["name"] not in known):
            continue
        secret = _value(found["value"]) if found is not None and found["name"] in known else None
        if found is None or secret is None:
            # The line is not shown: it may hold a secret.
            raise ConfigError(
                f"Line {number} of the key file {path} is not NAME=secret with a name of {', '.join(known)}."
            )
        if secret:
            yield found["name"], secret


def _holds_other_settings(path: Path) -> bool:
    """Whether a file is one of those that tools keep all kinds of variables in: `.env`, `.env.local`, `lab.env`."""
    return path.name == ".env" or path.name.startswith(".env.") or path.suffix == ".env"


def _value(text: str) -> str | None:
    """What an assignment assigns, None if its quotes do not match: `secret  # comment`, `"secret"`, `'secret'`."""
    text = text.strip()
    if text[:1] in ("'", '"'):
        found = _QUOTED.fullmatch(text)
        if found is None:
            return None
        value = found["single"] if found["single"] is not None else re.sub(r"\\(.)", r"\1", found["double"])
    else:
        value = _COMMENT.sub("", text, count=1)
    return value.strip()


def _lines(path: Path) -> list[str]:
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"The key file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        # Not chained: the error holds the contents.
        raise ConfigError(f"The key file {path} is not a text in UTF-8.") from None
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise ConfigError(f"The key file {path} can be read by other users. Run: chmod 600 {path}")
    return lines
