"""The models of a run: opened once each, recorded, redacted, and given up when the run is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_executor_plugin_llmagent.config import NOBODY, Options
from snakemake_executor_plugin_llmagent.keys import Keys
from snakemake_executor_plugin_llmagent.llm import CallSettings, default_address, open_model, split_name
from snakemake_executor_plugin_llmagent.llm.abortable import Abortable
from snakemake_executor_plugin_llmagent.llm.fallback import Fallback, Tell
from snakemake_executor_plugin_llmagent.llm.forbidden import Forbidden
from snakemake_executor_plugin_llmagent.llm.metered import Metered, Purse
from snakemake_executor_plugin_llmagent.llm.recording import Recording
from snakemake_executor_plugin_llmagent.llm.redacted import Redacted
from snakemake_executor_plugin_llmagent.money import NOTHING, Price
from snakemake_executor_plugin_llmagent.protocols import Model
from snakemake_executor_plugin_llmagent.providers import REPLAY, Provider, Providers, Warn, ignore

CONTEXT_PART = 2
"""The description of a rule may take this part of what a model reads and writes at once: scripts and replies follow."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What it takes to open models.

    Attributes:
        read_keys: reads the providers' keys when a model is first opened.
        providers: those that the person has named.
        record: where exchanges are stored, if anywhere.
        locked: whether no model may be called at all.
        cancelled: set when everything has to end.
        warn: tells the person what they should know.
        environment: where the SDKs are told of other addresses.
        price: what a model costs, by its name, as the provider calls it, and where it is asked; None if nobody knows.
    """

    read_keys: Callable[[], Keys] = field(repr=False)
    providers: Providers
    record: Path | None
    locked: bool
    cancelled: threading.Event
    warn: Warn = ignore
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    price: Callable[[str, str, str], Price | None] = lambda *_: None


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who works on a rule, by the names of models; each part may be nobody's.

    Attributes:
        coder, supervisor: who is asked in that role first, and who stands in for them.
        second: who writes blind to the coder. Nobody stands in: it has to be another model than the coder.
    """

    coder: tuple[str, ...]
    supervisor: tuple[str, ...]
    second: tuple[str, ...]

    @property
    def everybody(self) -> tuple[str, ...]:
        """All names, each once."""
        return tuple(dict.fromkeys((*self.coder, *self.supervisor, *self.second)))


def cast_of(options: Options) -> Cast:
    """Who works on a rule under these options."""
    coder = options.coder or options.model
    others = options.fallback or ()
    supervisor = None if options.supervision == NOBODY else options.supervisor or options.model or options.coder
    return Cast(
        coder=_named(coder, *others), supervisor=_named(supervisor, *others), second=_named(options.crosscheck)
    )  # fmt: skip


def _named(name: str | None, *others: str) -> tuple[str, ...]:
    return () if name in (None, NOBODY) else tuple(dict.fromkeys((name, *others)))


class Models:
    """Opens models, each of them once."""

    def __init__(self, access: Access) -> None:
        """Note how; nothing is opened yet."""
        self._access = access
        self._keys: Keys | None = None
        self._opening = threading.Lock()
        self._opened: dict[str, Model] = {}
        self._prices: dict[str, Price | None] = {}

    @property
    def keys(self) -> Keys:
        """The providers' keys."""
        if self._keys is None:
            self._keys = self._access.read_keys()
        return self._keys

    def open(self, name: str) -> Model:
        """The model of a name.

        Raises:
            ConfigError: it cannot be opened.
            MissingDependency: the provider's SDK is not installed.
        """
        access = self._access
        with self._opening:
            if name not in self._opened:
                if access.locked:
                    return Forbidden(f"--llmagent-locked: {name} may not be called.")
                model: Model = open_model(
                    name, keys=self.keys, settings=CallSettings(), providers=access.providers, warn=access.warn
                )
                provider, rest = split_name(name, access.providers)
                if provider != REPLAY:  # recordings cost nothing
                    self._prices[name] = access.price(name, rest, getattr(model, "url", ""))
                if access.record is not None:
                    model = Recording(model, access.record, keys=self.keys)
                self._opened[name] = Redacted(model, self.keys)
            return self._opened[name]

    def prices(self, names: Iterable[str]) -> dict[str, Price | None]:
        """What some models cost that were opened and are paid for; None if nobody knows."""
        return {name: self._prices[name] for name in names if name in self._prices}

    def price_of(self, name: str) -> Price | None:
        """What a model costs, without opening it; None if nobody knows."""
        provider, rest = split_name(name, self._access.providers)
        if provider == REPLAY:
            return Price(input=NOTHING, output=NOTHING, source="recordings")
        named = self._access.providers.get(provider)
        language = named.speaks if named else provider
        address = named.base_url if named and named.base_url else default_address(language, self._access.environment)
        return self._access.price(name, rest, address)

    def paid(self, name: str, purse: Purse) -> Model:
        """A model whose calls somebody pays for, and which is given up when the run is."""
        model = self.open(name)
        if name in self._prices:
            model = Metered(model, self._prices[name], purse)
        return Abortable(model, self._access.cancelled)

    def stand_in(self, names: Sequence[str], paid: Callable[[str], Model], tell: Tell) -> Model:
        """The first of some models, or who stands in for it when it cannot answer; told as it happens."""
        models = [paid(name) for name in names]
        return Fallback(models, tell) if len(models) > 1 else models[0]

    def close(self) -> None:
        """Close the models' connections."""
        for model in self._opened.values():
            close = getattr(model, "close", None)
            if close is not None:
                close()

    def read_images(self, names: Iterable[str], otherwise: bool) -> bool:
        """Whether one of some models reads images; what nobody knows of a provider counts as `otherwise`."""
        known = [provider.images if (provider := self._provider(name)) else None for name in names]
        return any(otherwise if images is None else images for images in known)

    def context_tokens(self, names: Iterable[str], wanted: int) -> int:
        """How long the description of a rule may be that all of some models are shown [tokens]."""
        sizes = [provider.context_tokens for name in names if (provider := self._provider(name)) is not None]
        return min([wanted, *(size // CONTEXT_PART for size in sizes if size is not None)])

    def _provider(self, name: str) -> Provider | None:
        return self._access.providers.get(name.partition(":")[0])
