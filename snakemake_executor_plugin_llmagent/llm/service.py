"""What the providers have in common: settings of a call, keys, and what to say when a call fails.

The exceptions of an SDK hold the request with its headers, and so the key. They end here: only their text goes on,
redacted, and the new exception has neither cause nor context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import ConfigError, ModelOutage, ModelUnavailable
from snakemake_executor_plugin_llmagent.providers import Provider, Warn, exposes

CONNECT_SECONDS = 30.0
"""How long to wait for a connection [s]; whoever takes longer is not there."""

_SAID_LIMIT = 400
_PASSING = (402, 408, 409, 425, 429)
"""Statuses below 500 that are not about the request: no balance, too slow, in conflict, too early, too many."""


@dataclass(frozen=True, kw_only=True)
class CallSettings:
    """How a provider is called.

    Attributes:
        timeout_seconds: how long a provider may stay silent before a request is given up [s].
        max_retries: how often a request is repeated after status 429 or 5xx, a timeout or a lost connection.
        temperature: sampling temperature; None leaves it to the provider.
        most_tokens: limit on every reply, whatever a request allows [tokens]; None for none.
    """

    timeout_seconds: float = 600.0
    max_retries: int = 4
    temperature: float | None = None
    most_tokens: int | None = None

    def limit(self, max_tokens: int) -> int:
        """How long the reply to a request may be that allows so many tokens."""
        return max_tokens if self.most_tokens is None else min(max_tokens, self.most_tokens)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One model of one provider, as far as messages about it need to know.

    Attributes:
        name: the model as the person named it.
        host: where requests go.
        key_variable: the variable that holds its key; empty if it needs none.
        url_from: what leads to the host: a variable, or an entry of a person's file.
        url_optional: whether it may be unset.
        sdk: the provider's package; both name their exceptions alike.
        keys: what no message may show.
        settings: how it is called.
    """

    name: str
    host: str
    key_variable: str
    url_from: str
    url_optional: bool = True
    sdk: ModuleType = field(repr=False)
    keys: Keys = field(repr=False)
    settings: CallSettings

    def failure(self, error: Exception) -> ModelUnavailable:
        """Say what went wrong with a call and what to do, without the SDK's exception."""
        what, advice = self._explain(error)
        kind = ModelOutage if self._is_outage(error) else ModelUnavailable
        return kind(f"{self.name} gave no answer: {what}. {advice}")

    def unreadable(self, reply: object) -> ModelUnavailable:
        """Say that a reply came and is not what was asked for."""
        # Some gateways dress an error as a reply.
        said = self.excerpt(str(getattr(reply, "error", None) or reply)) or "nothing"
        return ModelOutage(
            f"{self.name} gave no answer: {self.host} replied in another form than this provider's: {said}. "
            f"Does {self.url_from} lead to the right place?"
        )

    def excerpt(self, text: str) -> str:
        """The beginning of what somebody said, fit for one line of a terminal and without secrets."""
        # Redacted first: a secret cut in two would not be found.
        line = " ".join(self.keys.redact(text).split())
        line = "".join(character if character.isprintable() else "?" for character in line)
        return (line if len(line) <= _SAID_LIMIT else f"{line[:_SAID_LIMIT]} …").rstrip(". ")

    def _is_outage(self, error: Exception) -> bool:
        """Whether a call failed through no fault of the request, the key or the model's name."""
        if isinstance(error, self.sdk.APIStatusError) and error.status_code >= 400:
            return error.status_code >= 500 or error.status_code in _PASSING
        return True

    @property
    def _if_set(self) -> str:
        return f", if it is set, {self.url_from}" if self.url_optional else f" {self.url_from}"

    def _explain(self, error: Exception) -> tuple[str, str]:
        said = self.excerpt(_said(error))
        tried = self.settings.max_retries + 1
        if isinstance(error, self.sdk.APIStatusError) and error.status_code >= 400:
            return f"status {error.status_code} from {self.host}: {said}", self._advice(error.status_code)
        if isinstance(error, self.sdk.APITimeoutError):
            what = f"{self.host} was silent for {self.settings.timeout_seconds:g} s, tried {_times(tried)}"
            return what, "Try again later, or ask a faster model."
        if isinstance(error, self.sdk.APIConnectionError):
            what = f"{self.host} cannot be reached, tried {_times(tried)}: {said}"
            return what, f"Check the network and{self._if_set}."
        what = f"the reply of {self.host} broke off or has another form than this provider's: {said}"
        return what, f"Try again, and check {self.url_from}{' if it is set' if self.url_optional else ''}."

    def _advice(self, status: int) -> str:
        if status in (401, 403) and not self.key_variable:
            return f"It asks for a key: name the variable that holds it as `key_variable`, beside {self.url_from}."
        if status in (401, 403):
            return f"Check the key in {self.key_variable} (environment, or the file of --llmagent-key-file)."
        if status == 402:
            return "Check the account's balance with the provider."
        if status == 404:
            return f"Check the model's name and{self._if_set}."
        if status == 429:
            return "It is a rate limit or a used-up quota: wait, or look into the account with the provider."
        if status >= 500 or status == 408:
            return "The trouble is on the provider's side: try again later."
        return "The provider turned the request down; another model may take it."


def find_key(keys: Keys, variables: tuple[str, ...]) -> tuple[str, str] | None:
    """The first of several variables that has a key, and the key.

    Raises:
        ConfigError: what it holds cannot be a key.
    """
    for variable in variables:
        if not keys.get(variable):
            continue
        if not _is_header_safe(keys, variable):
            # Let through, it would come back inside an SDK's message, escaped and so past every redaction.
            raise ConfigError(f"The key in {variable} has characters that no key has, such as line breaks.")
        return variable, keys.values[variable]
    return None


def check_address(scheme: str, host: str, source: str) -> None:
    """Look at the address that an SDK has taken from a variable, before it fails in an obscure way.

    Raises:
        ConfigError: nobody can listen there.
    """
    if scheme not in ("http", "https") or not host:
        raise ConfigError(f"{source} is not an address such as http://localhost:11434/v1. Mend or unset it.")


def warn_if_exposed(url: str, source: str, key_variable: str, warn: Warn) -> None:
    """Tell the person if others can read the key on its way."""
    if key_variable and exposes(url):
        warn(
            f"The key in {key_variable} and the data go to {url} without encryption ({source}): whoever is between can "
            "read and change them. Use https, or a tunnel to this machine (ssh -L) and http://localhost."
        )


def missing_key(name: str, variables: tuple[str, ...], hint: str = "") -> ConfigError:
    """Say which key is missing and where to put it."""
    return ConfigError(
        f"{name} needs a key. Set {' or '.join(variables)} in the environment, or write {variables[0]}=… into a file "
        f"that only you can read and name it with --llmagent-key-file.{hint}"
    )


def address_of(provider: Provider, variable: str) -> str:
    """What leads to a provider, in words: a variable, or an entry of a person's file."""
    return f"`base_url` of {provider.name} ({provider.place})" if provider.base_url else variable


def well_formed(text: str) -> str:
    """The text without lone surrogates, which no provider takes and no file holds."""
    return text.encode("utf-8", "replace").decode("utf-8")


def count(holder: object, *path: str) -> int:
    """A number from an SDK's nested usage; what a gateway leaves out counts as 0."""
    value: Any = holder
    for name in path:
        value = getattr(value, name, None)
    return value if isinstance(value, int) else 0


def _is_header_safe(keys: Keys, variable: str) -> bool:
    key = keys.values[variable]
    return key.isascii() and key.isprintable()


def _said(error: Exception) -> str:
    """What the other side said, as far as an exception tells."""
    detail: object = getattr(error, "body", None)
    if isinstance(detail, Mapping):
        detail = detail.get("error") or detail
    if isinstance(detail, Mapping):
        detail = detail.get("message") or detail.get("detail")
    if isinstance(detail, str) and detail.strip():
        return detail
    # The SDKs say "Connection error."; the reason is one step further down.
    reason = error.__cause__ or error
    return str(reason) or type(reason).__name__


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
