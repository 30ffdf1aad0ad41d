"""Who answers: a provider's model, or recordings of one.

A provider's SDK is imported when one of its models is opened, and no earlier. What wraps a model has the same two
members as a model, `name` and `complete`, so that wrappers can be stacked: `Abortable(Recording(provider))`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import AgentError, ConfigError, MissingDependency
from snakemake_executor_plugin_llmagent.llm.service import CallSettings
from snakemake_executor_plugin_llmagent.protocols import Model

__all__ = ["FORMS", "CallSettings", "default_address", "open_model", "split_name"]

FORMS = ("openai:NAME", "anthropic:NAME", "replay:DIR")
"""How a model may be named."""

_ADDRESSES = {
    "openai": ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "anthropic": ("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
}
"""Provider → the variable that leads elsewhere, and where its SDK asks without."""
_PROVIDERS = tuple(form.partition(":")[0] for form in FORMS)


def split_name(name: str) -> tuple[str, str]:
    """Split a model's name into the provider and what the provider calls it, which may hold colons and slashes.

    Raises:
        ConfigError: the name has none of the three forms.
    """
    provider, _, rest = name.strip().partition(":")
    if provider in _PROVIDERS and rest.strip():
        return provider, rest.strip()
    raise ConfigError(
        f"{name!r} does not name a model. Did you mean {_nearest(name)!r}? A model is {FORMS[0]}, {FORMS[1]} (NAME as "
        f"the provider writes it) or {FORMS[2]} (a directory of recordings)."
    )


def default_address(provider: str, environment: Mapping[str, str]) -> str:
    """Where a provider's SDK asks its models; empty for recordings."""
    variable, usual = _ADDRESSES.get(provider, ("", ""))
    return environment.get(variable, "").strip() or usual


def open_model(name: str, *, keys: Keys, settings: CallSettings) -> Model:
    """Open the model of that name; nothing is sent yet.

    Args:
        name: `openai:NAME`, `anthropic:NAME` or `replay:DIR`.
        keys: the providers' secrets.
        settings: how long to wait, how often to try, and the temperature.

    Raises:
        ConfigError: the name has none of the three forms, its key is missing, or there are no such recordings.
        MissingDependency: the provider's SDK is not installed.
    """
    provider, rest = split_name(name)
    # A secret read from a mounted file often ends in a newline, which neither a header nor a redaction survives.
    keys = Keys(values={variable: secret.strip() for variable, secret in keys.values.items() if secret.strip()})
    try:
        return _open(provider, rest, keys, settings)
    except AgentError:
        raise
    except ImportError as error:
        raise MissingDependency(
            f"{provider}:{rest} needs the package {error.name or provider}. Run: pip install {error.name or provider}"
        ) from error
    except Exception as error:
        problem = f"{provider}:{rest} cannot be opened: {keys.redact(str(error))} Is {provider.upper()}_BASE_URL right?"
    raise ConfigError(problem)


def _open(provider: str, rest: str, keys: Keys, settings: CallSettings) -> Model:
    if provider == "openai":
        from snakemake_executor_plugin_llmagent.llm.openai import OpenAIModel

        return OpenAIModel(rest, keys=keys, settings=settings)
    if provider == "anthropic":
        from snakemake_executor_plugin_llmagent.llm.anthropic import AnthropicModel

        return AnthropicModel(rest, keys=keys, settings=settings)
    from snakemake_executor_plugin_llmagent.llm.recording import Replay

    return Replay(Path(rest), keys=keys)


def _nearest(name: str) -> str:
    """A well-formed name near one that is not."""
    provider, _, rest = name.strip().partition(":")
    near = difflib.get_close_matches(provider.lower(), _PROVIDERS, n=1)
    if near:
        return f"{near[0]}:{rest.strip() or FORMS[_PROVIDERS.index(near[0])].partition(':')[2]}"
    # `claude-…` has one provider; anything else is most likely spoken to as OpenAI is.
    guess = "anthropic" if provider.lower().startswith("claude") else "openai"
    return f"{guess}:{(name.strip() if provider else rest.strip()) or 'NAME'}"
