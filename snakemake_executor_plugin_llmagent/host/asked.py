"""Options of an agent rule that are part of what it asks for: checks, probes, what is hidden, decisions."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.checks.catalogue import CONTRACTS
from snakemake_executor_plugin_llmagent.checks.own import load as load_check
from snakemake_executor_plugin_llmagent.decisions import constant_name
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.names import CHECK, PROBE, Named, Ready
from snakemake_executor_plugin_llmagent.probes.catalogue import DEMANDS, PROBES
from snakemake_executor_plugin_llmagent.spec import Blind, Call

MC_ONLY = "mc_only"


def checks_of(where: str, value: object) -> tuple[tuple[str, ...], tuple[Call, ...]]:
    """The person's own checks (`path.py:function`) and the contracts of the option `checks`.

    Raises:
        ConfigError: an entry is neither; names the near match.
    """
    own: list[str] = []
    calls: list[Call] = []
    for entry in _listed(where, "checks", value):
        if isinstance(entry, str | Path) and ":" in str(entry):
            own.append(str(entry))
        else:
            calls.append(_call(where, "checks", CHECK, entry, CONTRACTS, "or 'path.py:function'"))
    return tuple(own), tuple(calls)


def probes_of(where: str, value: object) -> tuple[Call, ...] | None:
    """The probes of the option `probes`; None if it is not given.

    Raises:
        ConfigError: an entry is none; names the near match.
    """
    if value is None:
        return None
    calls = tuple(_call(where, "probes", PROBE, entry, PROBES, "") for entry in _listed(where, "probes", value))
    for call in calls:
        _check_response(where, call)
    return calls


def _check_response(where: str, call: Call) -> None:
    demanded, known = call.arguments.get("response"), DEMANDS[call.name]
    if demanded is None or demanded in known:
        return
    near = difflib.get_close_matches(str(demanded), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ConfigError(
        f"{where}`probes`: {call.label or call.name} demands the response {demanded!r}, but it can be "
        f"{', '.join(known)}.{hint}"
    )


def _listed(where: str, option: str, value: object) -> list[object]:
    if isinstance(value, str | Path | Named | Ready):
        return [value]
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise ConfigError(f"{where}`{option}` has to be a list, not {type(value).__name__}.")
    return list(value)


def _call(where: str, option: str, kind: str, entry: object, known: Iterable[str], also: str) -> Call:
    ready = entry() if isinstance(entry, Named) else entry
    if isinstance(ready, Ready) and ready.kind == kind:
        return ready.call
    names = list(known)
    if isinstance(ready, Ready):
        raise ConfigError(f"{where}{ready!r} does not belong into `{option}`.")
    near = difflib.get_close_matches(str(entry), names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    bare = " Write it without quotes." if isinstance(entry, str) and near == [entry] else hint
    listed = ", ".join(names) + (f" {also}" if also else "")
    raise ConfigError(f"{where}`{option}` has {entry!r}, which is no {kind}.{bare} There are: {listed}.")


def blind_of(where: str, value: object, base: Path) -> Blind | None:
    """What the option `blind` hides: `{"mass": (120, 130)}`, `"mc_only"`, `"path.py:function"`, or a mapping of these.

    The whole form is `{"windows": {...}, "inputs": ["data"]}`, where `inputs` names the inputs that are data.

    Raises:
        ConfigError: it is of no such form.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return Blind(mc_only=True) if value == MC_ONLY else Blind(function=load_check(value, base))
    forms = 'a mapping of columns to windows, such as {"mass": (120, 130)}, "mc_only", or "path.py:function"'
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"{where}`blind` has to be {forms}, not {value!r}.")
    inputs: Any = value.get("inputs", ())
    inputs = (inputs,) if isinstance(inputs, str) else inputs
    if not isinstance(inputs, list | tuple) or not all(isinstance(name, str) for name in inputs):
        raise ConfigError(f"{where}`blind`: `inputs` has to be a list of names of inputs, not {inputs!r}.")
    function, only = value.get("function"), value.get(MC_ONLY, False)
    windows = value.get("windows", {name: window for name, window in value.items() if isinstance(window, list | tuple)})
    windows = {name: window for name, window in windows.items() if name != "inputs"}
    left = set(value) - {"inputs", "windows", "function", MC_ONLY} - set(windows)
    if left or not (windows or function or only):
        raise ConfigError(f"{where}`blind` has to be {forms}; {value!r} is not.")
    return Blind(
        windows={str(name): _window(where, name, window) for name, window in windows.items()},
        mc_only=bool(only), function=None if function is None else load_check(str(function), base),
        inputs=tuple(inputs),
    )  # fmt: skip


def _window(where: str, name: object, window: object) -> tuple[float, float]:
    numbers = window if isinstance(window, list | tuple) else ()
    good = len(numbers) == 2 and all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    if not good or not all(math.isfinite(n) for n in numbers) or not numbers[0] < numbers[1]:
        raise ConfigError(f"{where}`blind`: the window of {name!r} has to be (low, high), not {window!r}.")
    return float(numbers[0]), float(numbers[1])


def crosscheck_of(where: str, value: object) -> dict[str, Any]:
    """The choices that the option `crosscheck` makes: a model, or `{"model": ..., "tolerance": 1e-2}`.

    Raises:
        ConfigError: it is of no such form.
    """
    if not isinstance(value, Mapping):
        return {"crosscheck": value}
    if not value or set(value) - {"model", "tolerance"}:
        raise ConfigError(
            f'{where}`crosscheck` has to be a model, or {{"model": ..., "tolerance": 0.01}}, not {dict(value)!r}.'
        )
    return {"crosscheck": value.get("model"), "tolerance": value.get("tolerance")}


def decide_of(where: str, value: object) -> Mapping[str, object]:
    """The decisions that the option `decide` makes, by the names of their constants: `fit_range` is `FIT_RANGE`.

    Raises:
        ConfigError: it is no mapping of names to values.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name.strip() for name in value):
        raise ConfigError(f'{where}`decide` has to be a mapping, such as {{"fit_range": (105, 160)}}, not {value!r}.')
    try:
        plain: dict[str, object] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where}`decide`: values are numbers, texts, lists and mappings; {value!r} is not."
        ) from None
    made = {constant_name(name): one for name, one in plain.items()}
    for name in plain:
        if not constant_name(name).isidentifier():
            raise ConfigError(f"{where}`decide`: {name!r} cannot be the name of a constant in a script.")
    if len(made) < len(plain):
        raise ConfigError(f"{where}`decide` makes a decision twice: {', '.join(plain)}.")
    return made
