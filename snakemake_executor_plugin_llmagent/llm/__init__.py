"""Who answers: a provider's model, or recordings of one.

A provider's SDK is imported when one of its models is opened, and no earlier. What wraps a model has the same two
members as a model, `name` and `complete`, so that wrappers can be stacked: `Abortable(Recording(provider))`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import AgentError, ConfigError, MissingDependency
from snakemake_executor_plugin_llmagent.llm.service import CallSettings
from snakemake_executor_plugin_llmagent.protocols import Model
from snakemake_executor_plugin_llmagent.providers import PROJECT_FILE, Provider, Providers, Warn, ignore

__all__ = ["FORMS", "CallSettings", "default_address", "open_model", "split_name"]

FORMS = ("openai:NAME", "anthropic:NAME", "replay:DIR")
"""How a model may be named."""

NOBODYS: Providers = {}
"""Nobody has named any provider."""
REPLY_PART = 4
"""A reply may be as long as this part of all that a model reads and writes at once; models that think need much."""

_ADDRESSES = {
    "openai": ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "anthropic": ("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
}
"""Provider → the variable that leads elsewhere, and where its SDK asks without."""
_PROVIDERS = tuple(form.partition(":")[0] for form in FORMS)


def split_name(name: str, providers: Providers = NOBODYS) -> tuple[str, str]:
    """Split a model's name into the provider and what the provider calls it, which may hold colons and slashes.

    Raises:
        ConfigError: the name has none of the forms, or nobody knows the provider; names the near one.
    """
    provider, _, rest = name.strip().partition(":")
    if (provider in _PROVIDERS or provider in providers) and rest.strip():
        return provider, rest.strip()
    yours = (
        f" Providers of yours: {', '.join(providers)}."
        if providers
        else f" You can name providers of your own in {PROJECT_FILE}."
    )
    raise ConfigError(
        f"{name!r} does not name a model. Did you mean {_nearest(name, providers)!r}? A model is {FORMS[0]}, "
        f"{FORMS[1]} (NAME as the provider writes it) or {FORMS[2]} (a directory of recordings).{yours}"
    )


def default_address(provider: str, environment: Mapping[str, str]) -> str:
    """Where a provider's SDK asks its models; empty for recordings."""
    variable, usual = _ADDRESSES.get(provider, ("", ""))
    return environment.get(variable, "").strip() or usual


def open_model(
    name: str, *, keys: Keys, settings: CallSettings, providers: Providers = NOBODYS, warn: Warn = ignore
) -> Model:
    """Open the model of that name; nothing is sent yet.

    Args:
        name: `openai:NAME`, `anthropic:NAME`, `replay:DIR`, or `PROVIDER:NAME` with a provider of the person's.
        keys: the providers' secrets.
        settings: how long to wait, how often to try, and the temperature.
        providers: those that the person has named.
        warn: tells the person what they should know.

    Raises:
        ConfigError: the name has none of the forms, its key is missing, or there are no such recordings.
        MissingDependency: the provider's SDK is not installed.
    """
    provider, rest = split_name(name, providers)
    # A secret read from a mounted file often ends in a newline, which neither a header nor a redaction survives.
    keys = Keys(values={variable: secret.strip() for variable, secret in keys.values.items() if secret.strip()})
    named = providers.get(provider)
    try:
        return _open(provider, rest, keys, settings, named, warn)
    except AgentError:
        raise
    except ImportError as error:
        raise MissingDependency(
            f"{provider}:{rest} needs the package {error.name or provider}. Run: pip install {error.name or provider}"
        ) from error
    except Exception as error:
        source = f"`base_url` in {named.place}" if named else f"{provider.upper()}_BASE_URL"
        problem = f"{provider}:{rest} cannot be opened: {keys.redact(str(error))} Is {source} right?"
    raise ConfigError(problem)


def _open(provider: str, rest: str, keys: Keys, settings: CallSettings, named: Provider | None, warn: Warn) -> Model:
    language = named.speaks if named else provider
    if named is not None and named.context_tokens is not None:
        settings = replace(settings, most_tokens=named.context_tokens // REPLY_PART)
    if language == "openai":
        from snakemake_executor_plugin_llmagent.llm import openai

        found = named or openai.OWN
        return openai.OpenAIModel(rest, keys=keys, settings=settings, provider=found, warn=warn)
    if language == "anthropic":
        from snakemake_executor_plugin_llmagent.llm import anthropic

        own = named or anthropic.OWN
        return anthropic.AnthropicModel(rest, keys=keys, settings=settings, provider=own, warn=warn)
    from snakemake_executor_plugin_llmagent.llm.recording import Replay

    return Replay(Path(rest), keys=keys)


def _nearest(name: str, providers: Providers) -> str:
    """A well-formed name near one that is not."""
    provider, _, rest = name.strip().partition(":")
    near = difflib.get_close_matches(provider.lower(), (*providers, *_PROVIDERS), n=1)
    if near:
        form = FORMS[_PROVIDERS.index(near[0])].partition(":")[2] if near[0] in _PROVIDERS else "NAME"
        return f"{near[0]}:{rest.strip() or form}"
    # `claude-…` has one provider; anything else is most likely spoken to as OpenAI is.
    guess = "anthropic" if provider.lower().startswith("claude") else "openai"
    return f"{guess}:{(name.strip() if provider else rest.strip()) or 'NAME'}"
