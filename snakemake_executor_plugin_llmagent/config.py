"""Settings after the cascade (defaults < profile and command line < rule), and the keys of the providers.

The environment enters the package here and nowhere else.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import math
import os
import stat
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.budgets import parse_budget
from snakemake_executor_plugin_llmagent.errors import ConfigError

KEY_VARIABLES = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
"""Environment variables that hold secrets of the providers."""

REDACTED = "[redacted]"
WITHHELD = "[withheld]"
"""What stands in the place of a secret in what a script is handed and a model is shown."""


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
        sandbox: what confines scripts, one of `SANDBOXES`.
        crosscheck: model that writes a second script blind to the first, such as `openai:gpt-5`; `none` for no other.
        tolerance: how far the numbers of the two scripts may be apart [relative]; None: what suits their kind.
        slice: how many entries of its inputs a candidate is first tried on; 0: all at once.
        readable: files and directories that scripts may read beside their inputs, as absolute paths.
        budget: limit on what may be spent for a rule, such as `2 USD` or `200k tokens`.
    """

    # None of these belongs to what a rule asks for, so none is part of its digest. That goes for `readable` too: it
    # says what a script may look at, not what it is to do; an approved script is not wrong because a calibration moved.
    model: str | None = None
    coder: str | None = None
    supervisor: str | None = None
    supervision: str | None = None
    max_attempts: int | None = None
    approve: str | None = None
    timeout: float | None = None
    sandbox: str | None = None
    crosscheck: str | None = None
    tolerance: float | None = None
    slice: int | None = None
    readable: tuple[str, ...] = ()
    budget: str | None = None

    def over(self, other: Options) -> Options:
        """These options where chosen, and the other's elsewhere; readable places add up.

        A model for both roles also takes the place of the other's models of one role; that there be no supervisor
        still holds.
        """
        if self.model is not None:
            supervisor = "none" if other.supervisor == "none" else None
            other = replace(other, coder=None, supervisor=supervisor)
        chosen = {name: value for name, value in vars(self).items() if value is not None}
        chosen["readable"] = tuple(dict.fromkeys((*self.readable, *other.readable)))
        return Options(**{**vars(other), **chosen})


NOBODY = "none"
"""In the place of the name of a model."""
DEFAULTS = Options(supervision="review", max_attempts=5, approve="checks", timeout=3600.0, crosscheck=NOBODY)
"""What holds where nobody chose. Without a sandbox: before its default comes the environment (`chosen_sandbox`).
Without a slice: its default depends on the inputs."""

MODELS = ("model", "coder", "supervisor", "crosscheck")
"""Options that name a model."""
PROVIDERS = ("openai", "anthropic", "replay")
SUPERVISIONS = ("review", "full", "none")
APPROVALS = ("checks", "person")
AUTO, NO_SANDBOX = "auto", "none"
SANDBOXES = (AUTO, "bwrap", "bwrap-hostproc", "landlock", NO_SANDBOX)

SANDBOX_VARIABLE, READABLE_VARIABLE = "LLMAGENT_SANDBOX", "LLMAGENT_READABLE"
_AT_START = {name: os.environ.get(name, "").strip() for name in (SANDBOX_VARIABLE, READABLE_VARIABLE)}
"""What the person's environment said when Snakemake loaded the plugin, which is before it reads any Snakefile.

Under other executors there are no settings of ours, so this is how a person chooses there. Whatever a Snakefile puts
into the environment comes too late.
"""


def persons_choices() -> Options:
    """What the person who started this process chose in the environment.

    Raises:
        ConfigError: a variable is wrong; names it.
    """
    readable = tuple(filter(None, _AT_START[READABLE_VARIABLE].split(os.pathsep)))
    chosen = Options()
    for variable, options in (
        (SANDBOX_VARIABLE, Options(sandbox=_AT_START[SANDBOX_VARIABLE] or None)),
        (READABLE_VARIABLE, Options(readable=readable)),
    ):
        try:
            if relative := next((place for place in options.readable if not place.startswith("/")), None):
                raise ConfigError(f"`readable` has to be absolute here, not {relative!r}.")
            chosen = chosen.over(validate_options(options, Path("/")))
        except ConfigError as error:
            raise ConfigError(f"Environment variable {variable}: {error}") from None
    return chosen


def chosen_sandbox(rule: Options, run: Options) -> str:
    """What confines the scripts of a rule: rule before run before environment before `auto`.

    Raises:
        ConfigError: the environment says something unknown.
    """
    return rule.over(run).over(persons_choices()).sandbox or AUTO


def for_children(run: Options) -> dict[str, str]:
    """Variables that hand the person's choices to a Snakemake that this one starts, whatever a Snakefile put there.

    Such a process reads neither profiles nor the settings of the run. Whether the environment makes sense it finds out
    itself, if it has agent rules at all.
    """
    places = (*run.readable, *filter(None, [_AT_START[READABLE_VARIABLE]]))
    return {
        SANDBOX_VARIABLE: run.sandbox or _AT_START[SANDBOX_VARIABLE] or AUTO,
        READABLE_VARIABLE: os.pathsep.join(places),
    }


def validate_options(options: Options, base: Path) -> Options:
    """Check choices, and make paths absolute: readable places and a replayed model are relative to `base`.

    Raises:
        ConfigError: a value has the wrong type or is unknown; says which and what there is.
    """
    for name in MODELS:
        _check_model(name, getattr(options, name))
    for name, known in (("supervision", SUPERVISIONS), ("approve", APPROVALS), ("sandbox", SANDBOXES)):
        value = getattr(options, name)
        if value is not None and value not in known:
            raise ConfigError(f"`{name}` has to be one of {', '.join(known)}, not {value!r}.{_near(value, known)}")
    _check_attempts(options.max_attempts)
    _check_timeout(options.timeout)
    _check_slice(options.slice)
    _check_tolerance(options.tolerance)
    models = {name: _absolute_replay(getattr(options, name), base) for name in MODELS}
    budget = None if options.budget is None else str(parse_budget("budget", options.budget))
    return Options(**{**vars(options), **models, "budget": budget, "readable": _readable(options.readable, base)})


def state_place(environment: Mapping[str, str]) -> Path | None:
    """Where the plugin keeps what belongs to the person and not to a project; None if there is no home directory."""
    state, home = environment.get("XDG_STATE_HOME", ""), environment.get("HOME", "")
    if state.startswith("/"):
        return Path(state, "llmagent")
    return Path(home, ".local/state/llmagent") if home.startswith("/") else None


def check_readable(options: Options) -> None:
    """Find out, before a script runs, whether the readable places are there and still expose nothing else.

    Raises:
        ConfigError: a place does not exist, or the working directory or the home directory lies in it.
    """
    for place in options.readable:
        _check_exposure(place)
        if not Path(place).exists():
            raise ConfigError(f"`readable` names {place}, which does not exist.")


def _readable(value: object, base: Path) -> tuple[str, ...]:
    entries = (value,) if isinstance(value, str | os.PathLike) else value
    if not isinstance(entries, Iterable) or isinstance(entries, Mapping | bytes):
        raise ConfigError(f"`readable` has to be a list of paths, not {type(value).__name__}.")
    places = []
    for entry in entries:
        if not isinstance(entry, str | os.PathLike) or not str(entry).strip() or "\0" in str(entry):
            raise ConfigError(f"`readable` has to be a list of paths; {entry!r} is none.")
        place = os.path.normpath(Path.cwd() / base / _expanded(str(entry)))
        place = f"/{place.lstrip('/')}"  # two slashes at its beginning would stay, and compare unequal to one
        _check_exposure(place)
        places.append(place)
    return tuple(dict.fromkeys(places))


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"`readable` names {path}: {error}") from None


def _check_exposure(place: str) -> None:
    """Refuse a place that would show a script everything, under its own name or by way of links."""
    forms = {Path(place), Path(os.path.realpath(place))}
    for what, kept in (("your working directory", [Path.cwd()]), ("your home directory", _homes())):
        if any(form in (home, *home.parents) for home in kept for form in forms):
            raise ConfigError(
                f"`readable` must not hold {place}: {what} lies there, and a script could read all of it. "
                "Name the folders or files that it needs."
            )
    if any(form.parts[1:2] in (("proc",), ("sys",), ("dev",)) for form in forms):
        raise ConfigError(f"`readable` must not hold {place}: it shows other processes and devices, not data.")


def _homes() -> list[Path]:
    import pwd

    homes = [os.environ.get("HOME", "")]
    with contextlib.suppress(KeyError):  # an account without a name, as in some containers
        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    return [Path(form) for home in homes if home.startswith("/") for form in (home, os.path.realpath(home))]


def _check_model(name: str, value: object) -> None:
    if value is None or (name in ("supervisor", "crosscheck") and value == NOBODY):
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


def _check_slice(value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ConfigError(f"`slice` has to be a number of entries, or 0 to try scripts on all of them, not {value!r}.")


def _check_timeout(value: object) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf
    ):
        raise ConfigError(f"`timeout` has to be a time in seconds, not {value!r}.")


def _check_tolerance(value: object) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf
    ):
        raise ConfigError(f"`crosscheck`: the tolerance has to be a number above 0, such as 0.01, not {value!r}.")


def _near(value: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(value), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _absolute_replay(value: str | None, base: Path) -> str | None:
    if value is None or not value.startswith("replay:"):
        return value
    return f"replay:{(base / value.removeprefix('replay:')).resolve()}"
