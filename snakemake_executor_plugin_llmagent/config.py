"""Settings after the cascade (defaults < environment < profile and command line < rule).

The environment enters the package here and in `keys`, and nowhere else.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.budgets import parse_budget
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.keys import KEY_VARIABLES as KEY_VARIABLES
from snakemake_executor_plugin_llmagent.keys import REDACTED as REDACTED
from snakemake_executor_plugin_llmagent.keys import WITHHELD as WITHHELD
from snakemake_executor_plugin_llmagent.keys import Keys as Keys
from snakemake_executor_plugin_llmagent.keys import read_keys as read_keys
from snakemake_executor_plugin_llmagent.keys import remove_keys as remove_keys
from snakemake_executor_plugin_llmagent.keys import without_keys as without_keys


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
        fallback: models that answer, one after the other, where a coder or supervisor cannot or declines.
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
    fallback: tuple[str, ...] | None = None
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
DEFAULTS = Options(
    supervision="review", max_attempts=5, approve="checks", timeout=3600.0, crosscheck=NOBODY, fallback=()
)  # fmt: skip
"""What holds where nobody chose. Without a sandbox: before its default comes the environment (`chosen_sandbox`).
Without a slice: its default depends on the inputs."""

MODELS = ("model", "coder", "supervisor", "crosscheck")
"""Options that name a model."""
PROVIDERS = ("openai", "anthropic", "replay")
"""Those that every model's name may begin with; a person may name more in a file (`providers`)."""
_NAMED_PROVIDER = re.compile(r"[a-z][a-z0-9_-]*")
SUPERVISIONS = ("review", "full", "none")
APPROVALS = ("checks", "person")
AUTO, NO_SANDBOX = "auto", "none"
SANDBOXES = (AUTO, "bwrap", "bwrap-hostproc", "landlock", NO_SANDBOX)

SANDBOX_VARIABLE, READABLE_VARIABLE = "LLMAGENT_SANDBOX", "LLMAGENT_READABLE"
PROVIDERS_VARIABLE = "LLMAGENT_PROVIDERS"
_VARIABLES = (SANDBOX_VARIABLE, READABLE_VARIABLE, PROVIDERS_VARIABLE)
_AT_START = {name: os.environ.get(name, "").strip() for name in _VARIABLES}
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


def persons_file_of_providers() -> Path | None:
    """The file of providers that the person who started this process chose in the environment.

    Raises:
        ConfigError: it is not an absolute path.
    """
    chosen = _AT_START[PROVIDERS_VARIABLE]
    if chosen and not chosen.startswith("/"):
        raise ConfigError(f"Environment variable {PROVIDERS_VARIABLE}: the path has to be absolute, not {chosen!r}.")
    return Path(chosen) if chosen else None


def chosen_sandbox(rule: Options, run: Options) -> str:
    """What confines the scripts of a rule: rule before run before environment before `auto`.

    Raises:
        ConfigError: the environment says something unknown.
    """
    return rule.over(run).over(persons_choices()).sandbox or AUTO


def for_children(run: Options, providers: str | None = None) -> dict[str, str]:
    """Variables that hand the person's choices to a Snakemake that this one starts, whatever a Snakefile put there.

    Such a process reads neither profiles nor the settings of the run. Whether the environment makes sense it finds out
    itself, if it has agent rules at all.
    """
    places = (*run.readable, *filter(None, [_AT_START[READABLE_VARIABLE]]))
    return {
        PROVIDERS_VARIABLE: providers or _AT_START[PROVIDERS_VARIABLE],
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
    fallback = _fallback(options.fallback, base)
    _check_tolerance(options.tolerance)
    models = {name: _absolute_replay(getattr(options, name), base) for name in MODELS}
    budget = None if options.budget is None else str(parse_budget("budget", options.budget))
    readable = _readable(options.readable, base)
    return Options(**{**vars(options), **models, "fallback": fallback, "budget": budget, "readable": readable})


def project_place(workdir: Path) -> Path:
    """Where the plugin keeps what belongs to a project and is never committed."""
    return workdir / ".snakemake" / "llmagent"


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


def _fallback(value: object, base: Path) -> tuple[str, ...] | None:
    """Models that stand in for others; `none` alone, or an empty list, says that there are none."""
    if value is None:
        return None
    entries = (value,) if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        raise ConfigError(f"`fallback` has to be a list of models, not {type(value).__name__}.")
    if tuple(entries) == (NOBODY,):
        return ()
    found = []
    for entry in entries:
        _check_model("fallback", "" if entry is None else entry)
        found.append(_absolute_replay(entry, base) or "")
    return tuple(dict.fromkeys(found))


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
    """Check the form of a model's name; whether a provider of that name is known is found out when it is opened.

    A frozen rule has to run where nobody knows the provider of the model that wrote it.
    """
    if value is None or (name in ("supervisor", "crosscheck") and value == NOBODY):
        return
    forms = ", ".join(f"{provider}:{'DIR' if provider == 'replay' else 'NAME'}" for provider in PROVIDERS)
    if not isinstance(value, str):
        raise ConfigError(f"`{name}` has to be a string of the form {forms}, not {type(value).__name__}.")
    provider, separator, rest = value.partition(":")
    if not separator or not rest or not _NAMED_PROVIDER.fullmatch(provider) or _misspelt(provider):
        hint = f" Did you mean {near!r}?" if (near := _misspelt(provider)) else ""
        raise ConfigError(f"`{name}` has to be of the form {forms}, not {value!r}.{hint}")


def _misspelt(provider: str) -> str:
    """The provider that somebody meant, if it is so near that none of their own is; `openai-lab` is one."""
    near = difflib.get_close_matches(provider.lower(), PROVIDERS, n=1, cutoff=0.8)
    return near[0] if near and not provider.startswith(PROVIDERS) else ""


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
