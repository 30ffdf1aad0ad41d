"""Settings of `--executor llmagent`, as Snakemake reads them from the command line and profiles.

Snakemake looks at the types below at run time, so this module has no `from __future__ import annotations`, takes only
`Optional` of plain types, and `list[str]` for several values (of one in an `Optional` Snakemake would make letters).
Its flags are off by default.
"""

# `str | None` instead of `Optional[str]` would make every Snakemake command in the environment fail.
# ruff: noqa: UP045

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_llmagent.budgets import parse_budget

# Here and not where it is needed: loading this notes what the person's environment says, before any Snakefile is read.
from snakemake_executor_plugin_llmagent.config import SANDBOXES, Options, persons_choices, validate_options
from snakemake_executor_plugin_llmagent.errors import ConfigError

_FORM = "openai:NAME, anthropic:NAME, replay:DIR, or PROVIDER:NAME with a provider of yours"


@dataclass
class ExecutorSettings(ExecutorSettingsBase):  # type: ignore[misc]
    """What a person may choose for a run."""

    model: Optional[str] = field(
        default=None, metadata={"help": f"Model for both roles, as {_FORM}.", "metavar": "MODEL"}
    )
    coder: Optional[str] = field(
        default=None, metadata={"help": f"Model that writes scripts, as {_FORM}.", "metavar": "MODEL"}
    )
    supervisor: Optional[str] = field(
        default=None, metadata={"help": f"Model that reviews scripts, as {_FORM}, or none.", "metavar": "MODEL"}
    )
    crosscheck: Optional[str] = field(
        default=None,
        metadata={
            "help": f"Model that writes a second script for each rule without seeing the first, as {_FORM}, or none: "
            "their numbers have to agree. Default: none.",
            "metavar": "MODEL",
        },
    )
    fallback: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Models that answer, one after the other, when the coder's or supervisor's cannot (an outage, a "
            "used-up quota) or declines; or none. Default: none.",
            "nargs": "+",
            "metavar": "MODEL",
        },
    )
    supervision: Optional[str] = field(
        default=None,
        metadata={
            "help": "What the supervisor does: review (what passed all checks), full (also instructs the coder and "
            "reads every attempt) or none. Default: review.",
            "choices": ["review", "full", "none"],
        },
    )
    max_attempts: Optional[int] = field(
        default=None,
        metadata={"help": "How many candidates may be tried for a rule. Default: 5.", "type": int, "metavar": "N"},
    )
    timeout: Optional[float] = field(
        default=None,
        metadata={"help": "Time limit of one trial in seconds. Default: 3600.", "type": float, "metavar": "SECONDS"},
    )
    slice: Optional[int] = field(
        default=None,
        metadata={
            "help": "How many first entries of large inputs a script is tried on before all of them, 0 for all at "
            "once. Default: 50000, of inputs of more than 200000 entries or 50 MB.",
            "type": int,
            "metavar": "N",
        },
    )
    approve: Optional[str] = field(
        default=None,
        metadata={
            "help": "Who approves a script that passed: checks, or person (the run stops until `llmagent approve`). "
            "Default: checks.",
            "choices": ["checks", "person"],
        },
    )
    ask: bool = field(
        default=False,
        metadata={
            "help": "Ask in the terminal before a script is approved: approve it, reject it with a reason (which the "
            "model is told), or leave it for later. Rules that choose nothing else then need a person's approval.",
        },
    )
    sandbox: Optional[str] = field(
        default=None,
        metadata={
            "help": "What confines scripts: bwrap, bwrap-hostproc, landlock, auto (the first of these that works), or "
            "none, which switches the confinement off and which no rule can choose. Default: auto. Under other "
            "executors set LLMAGENT_SANDBOX in the environment.",
            "choices": list(SANDBOXES),
        },
    )
    readable: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Files and folders that scripts may read beside their inputs, such as /cvmfs/atlas.cern.ch; added "
            "to those that rules name. Under other executors set LLMAGENT_READABLE (absolute, separated by colons).",
            "nargs": "+",
            "metavar": "PATH",
        },
    )
    locked: bool = field(
        default=False,
        metadata={"help": "Never call a model: every agent rule must be frozen, or the run fails before any job."},
    )
    record: Optional[str] = field(
        default=None,
        metadata={
            "help": "Store the exchanges with models in this directory, readable, for replay:DIR.",
            "metavar": "DIR",
        },
    )
    images: bool = field(
        default=False,
        metadata={"help": "The supervisor's model reads images: show it the pictures that scripts draw."},
    )
    key_file: Optional[str] = field(
        default=None,
        metadata={
            "help": "File with lines such as OPENAI_API_KEY=..., readable by you alone; a .env will do. Keys are "
            "otherwise taken from the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, and those of your providers).",
            "metavar": "FILE",
        },
    )
    providers: Optional[str] = field(
        default=None,
        metadata={
            "help": "YAML file with providers of your own, by whose names models can be chosen (NAME:MODEL). Default: "
            "llmagent.yaml in the working directory or beside the Snakefile, and ~/.config/llmagent/config.yaml. Under "
            "other executors set LLMAGENT_PROVIDERS in the environment.",
            "metavar": "FILE",
        },
    )
    context_tokens: Optional[int] = field(
        default=None,
        metadata={
            "help": "Limit on the description of a rule and its inputs that a model is shown, in tokens. "
            "Default: 48000.",
            "type": int,
            "metavar": "N",
        },
    )
    budget: Optional[str] = field(
        default=None,
        metadata={
            "help": "Limit on what models may cost in this run, over all rules: such as '2 USD', '200k tokens' or "
            "'2 USD and 1M tokens'. A rule has its own with `budget=`.",
            "metavar": "AMOUNT",
        },
    )
    monthly_budget: Optional[str] = field(
        default=None,
        metadata={
            "help": "The same for a calendar month (UTC), over all your projects. Good in a profile.",
            "metavar": "AMOUNT",
        },
    )
    prices: Optional[str] = field(
        default=None,
        metadata={
            "help": "YAML file of what models cost in USD per million tokens, before the prices that come with the "
            "plugin: `date: 2026-11-01` and `models: {openai:NAME: {input: 1.25, output: 10, cached_input: 0.125}}`.",
            "metavar": "FILE",
        },
    )

    def __post_init__(self) -> None:
        """Check the settings, and make paths absolute before `--directory` changes what they are relative to."""
        for name in ("record", "key_file", "providers", "prices"):
            value = getattr(self, name)
            if value:
                setattr(self, name, _absolute(value))
        for name in ("model", "coder", "supervisor", "crosscheck"):
            setattr(self, name, _from_here(getattr(self, name)))
        fallback: Any = self.fallback  # through Snakemake's API anything may come
        if isinstance(fallback, list):
            self.fallback = [_from_here(name) for name in fallback]
        chosen = (
            "model", "coder", "supervisor", "crosscheck", "supervision", "max_attempts", "approve", "timeout",
            "sandbox", "slice", "context_tokens", "budget", "monthly_budget",
        )  # fmt: skip
        if self.readable or self.fallback or any(getattr(self, name) is not None for name in (*chosen, "providers")):
            self._validate()

    def _validate(self) -> None:
        # Has no traceback: the mistake is not in the code.
        from snakemake_executor_plugin_llmagent.host.wrong import AgentRuleError

        try:
            if self.context_tokens is not None and self.context_tokens < 1:
                raise ConfigError(f"`context_tokens` has to be at least 1, not {self.context_tokens}.")
            for name in ("budget", "monthly_budget"):
                if getattr(self, name) is not None:
                    setattr(self, name, str(parse_budget(name, getattr(self, name))))
            if self.providers:
                from snakemake_executor_plugin_llmagent.providers import read_providers

                read_providers([Path(self.providers)])
            self.readable = list(validate_options(chosen_options(self), base=Path.cwd()).readable)
        except ConfigError as error:
            raise AgentRuleError(f"Settings of --executor llmagent (--llmagent-…): {error}") from None


def run_options(chosen: Any) -> Options:
    """What the person chose for a run, under any executor: its settings, if they are ours, before the environment.

    Args:
        chosen: `workflow.executor_settings`; None and the settings of other executors choose nothing here.

    Raises:
        ConfigError: the environment says something unknown.
    """
    return (chosen_options(chosen) if isinstance(chosen, ExecutorSettings) else Options()).over(persons_choices())


def chosen_options(settings: ExecutorSettings) -> Options:
    """What settings choose about authoring."""
    fallback: Any = settings.fallback
    readable: Any = settings.readable  # through Snakemake's API anything may come; `validate_options` looks at it
    return Options(
        model=settings.model, coder=settings.coder, supervisor=settings.supervisor, crosscheck=settings.crosscheck,
        supervision=settings.supervision, max_attempts=settings.max_attempts,
        approve=settings.approve or ("person" if settings.ask else None),
        timeout=settings.timeout, sandbox=settings.sandbox, slice=settings.slice,
        fallback=tuple(fallback) if isinstance(fallback, list) and fallback else fallback or None,
        readable=tuple(readable) if isinstance(readable, list) else readable or (),
    )  # fmt: skip


def _from_here(model: Any) -> Any:
    """A model's name that no later change of directory alters."""
    if not isinstance(model, str) or not model.startswith("replay:"):
        return model
    return f"replay:{_absolute(model.removeprefix('replay:'))}"


def _absolute(path: str) -> str:
    """A path that no later change of directory alters; links in it stay what they are."""
    return os.path.normpath(Path.cwd() / Path(path).expanduser())
