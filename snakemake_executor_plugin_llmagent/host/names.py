"""Names of contracts and probes that stand bare in a Snakefile: `checks=[fit_valid, chi2_band(0.5, 1.8)]`.

They are put among the globals of the Snakefile while the options of one agent rule are read, and taken out again. A
name that the Snakefile has given to something else keeps its meaning there.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable
from typing import Any

from snakemake_executor_plugin_llmagent.checks.catalogue import CONTRACTS
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.probes.catalogue import PROBES
from snakemake_executor_plugin_llmagent.spec import Call

CHECK, PROBE = "check", "probe"


class Named:
    """A contract or probe, bare or called with its parameters."""

    def __init__(self, kind: str, declaration: Callable[..., None]) -> None:
        """Know a declaration of a catalogue."""
        self.kind = kind
        self.name = declaration.__name__
        self.signature = inspect.signature(declaration)

    def __call__(self, *positional: object, **named: object) -> Ready:
        """With parameters.

        Raises:
            ConfigError: they do not fit.
        """
        shown = [*(repr(value) for value in positional), *(f"{name}={value!r}" for name, value in named.items())]
        label = f"{self.name}({', '.join(shown)})" if shown else self.name
        try:
            bound = self.signature.bind(*positional, **named)
        except TypeError as error:
            usage = f"{self.name}{self.signature}".removesuffix(" -> None").removesuffix(" -> 'None'")
            raise ConfigError(f"{label}: {error}. It is used as `{usage}`.") from None
        for name, value in bound.arguments.items():
            _check_value(label, name, value)
        return Ready(self.kind, Call(name=self.name, arguments=_plain(dict(bound.arguments)), label=label))

    def __repr__(self) -> str:
        return f"the {self.kind} `{self.name}`"


class Ready:
    """A contract or probe with its parameters."""

    def __init__(self, kind: str, call: Call) -> None:
        """Keep both."""
        self.kind = kind
        self.call = call

    def __repr__(self) -> str:
        return f"the {self.kind} `{self.call.label}`"


def _check_value(label: str, name: str, value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{label}: {name} has to be finite.")
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{label}: {name} has to be made of numbers, texts, lists and mappings, not {type(value).__name__}."
        ) from None


def _plain(value: Any) -> Any:
    """The same with lists in the place of tuples, as it comes back from storage."""
    return json.loads(json.dumps(value))


def offer_names(workflow: Any) -> Callable[[], None]:
    """Put the names among the globals of the Snakefile that is being read; returns what takes them out again."""
    known = {
        **{name: Named(CHECK, function) for name, function in CONTRACTS.items()},
        **{name: Named(PROBE, function) for name, function in PROBES.items()},
    }
    names: dict[str, Any] = workflow.globals
    offered = [name for name in known if name not in names]
    names.update({name: known[name] for name in offered})

    def take_back() -> None:
        for name in offered:
            if isinstance(names.get(name), Named):
                del names[name]

    return take_back
