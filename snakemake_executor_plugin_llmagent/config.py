"""Settings after the cascade (defaults < profile and command line < rule), and the keys of the providers.

The environment enters the package here and nowhere else.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import stat
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError

KEY_VARIABLES = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
"""Environment variables that hold secrets of the providers."""

REDACTED = "[redacted]"


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
    values |= {name: secret for name in KEY_VARIABLES if (secret := environment.get(name, "").strip())}
    return Keys(values=values)


def remove_keys(environment: MutableMapping[str, str], keep: Iterable[str] = ()) -> dict[str, str]:
    """Take the secrets out of an environment, so that no job inherits them; returns what was taken."""
    kept = set(keep)
    return {name: environment.pop(name) for name in KEY_VARIABLES if name in environment and name not in kept}


def _read_key_file(path: Path) -> Iterable[tuple[str, str]]:
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
    for number, raw in enumerate(lines, start=1):
        line = raw.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        name, separator, secret = line.partition("=")
        if not separator or name.strip() not in KEY_VARIABLES:
            raise ConfigError(
                f"Line {number} of the key file {path} is not NAME=secret with a name of {', '.join(KEY_VARIABLES)}."
            )
        secret = secret.strip().strip("'\"").strip()
        if secret:
            yield name.strip(), secret


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a rule or a run may choose about authoring; None means not chosen here.

    Attributes:
        model: model for both roles, such as `openai:gpt-5`.
        coder, supervisor: model of one role; the supervisor may be `none`.
        supervision: `review`, `full` or `none`.
        max_attempts: how many candidates may be tried.
        approve: `checks` or `person`.
        timeout: wall time of one trial [s].
    """

    model: str | None = None
    coder: str | None = None
    supervisor: str | None = None
    supervision: str | None = None
    max_attempts: int | None = None
    approve: str | None = None
    timeout: float | None = None

    def over(self, other: Options) -> Options:
        """These options where chosen, and the other's elsewhere.

        A model for both roles also takes the place of the other's models of one role; that there be no supervisor
        still holds.
        """
        if self.model is not None:
            supervisor = "none" if other.supervisor == "none" else None
            other = replace(other, coder=None, supervisor=supervisor)
        chosen = {name: value for name, value in vars(self).items() if value is not None}
        return Options(**{**vars(other), **chosen})


DEFAULTS = Options(supervision="review", max_attempts=5, approve="checks", timeout=3600.0)
"""What holds where nobody chose."""

PROVIDERS = ("openai", "anthropic", "replay")
SUPERVISIONS = ("review", "full", "none")
APPROVALS = ("checks", "person")


def validate_options(options: Options, base: Path) -> Options:
    """Check choices, and make the directory of a replayed model absolute (it is relative to `base`).

    Raises:
        ConfigError: a value has the wrong type or is unknown; says which and what there is.
    """
    for name in ("model", "coder", "supervisor"):
        _check_model(name, getattr(options, name))
    for name, known in (("supervision", SUPERVISIONS), ("approve", APPROVALS)):
        value = getattr(options, name)
        if value is not None and value not in known:
            raise ConfigError(f"`{name}` has to be one of {', '.join(known)}, not {value!r}.{_near(value, known)}")
    _check_attempts(options.max_attempts)
    _check_timeout(options.timeout)
    models = {name: _absolute_replay(getattr(options, name), base) for name in ("model", "coder", "supervisor")}
    return Options(**{**vars(options), **models})


def _check_model(name: str, value: object) -> None:
    if value is None or (name == "supervisor" and value == "none"):
        return
    forms = ", ".join(f"{provider}:{'DIR' if provider == 'replay' else 'NAME'}" for provider in PROVIDERS)
    if not isinstance(value, str):
        raise ConfigError(f"`{name}` has to be a string of the form {forms}, not {type(value).__name__}.")
    provider, separator, rest = value.partition(":")
    if not separator or not rest or provider not in PROVIDERS:
        raise ConfigError(f"`{name}` has to be of the form {forms}, not {value!r}.{_near(provider, PROVIDERS)}")


def _check_attempts(value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"`max_attempts` has to be a whole number of at least 1, not {value!r}.")


def _check_timeout(value: object) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf
    ):
        raise ConfigError(f"`timeout` has to be a time in seconds, not {value!r}.")


def _near(value: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(value), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _absolute_replay(value: str | None, base: Path) -> str | None:
    if value is None or not value.startswith("replay:"):
        return value
    return f"replay:{(base / value.removeprefix('replay:')).resolve()}"
