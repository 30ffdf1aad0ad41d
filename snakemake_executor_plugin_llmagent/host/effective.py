"""What holds for a run or a rule, and who said so, with profiles read as Snakemake reads them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.assembly import CONTEXT_TOKENS
from snakemake_executor_plugin_llmagent.config import (
    AUTO,
    DEFAULTS,
    NOBODY,
    READABLE_VARIABLE,
    SANDBOX_VARIABLE,
    Options,
    persons_choices,
    persons_file_of_providers,
)
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host import settings
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.settings import ExecutorSettings
from snakemake_executor_plugin_llmagent.models import CONTEXT_PART, cast_of
from snakemake_executor_plugin_llmagent.providers import Provider, Providers, places, read_providers

RULE, PROFILE, PROVIDERS, ENVIRONMENT, DEFAULT = "rule", "profile", "providers", "environment", "default"
"""Who may say something, the first to speak first. The command line comes before the profile, but is over by now."""
VARIABLES = {"sandbox": SANDBOX_VARIABLE, "readable": READABLE_VARIABLE}
LAST_WORD = {"sandbox": AUTO, "context_tokens": CONTEXT_TOKENS, "slice": "50000, if inputs are large"}
"""What holds where nobody chose and `DEFAULTS` says nothing, because others may speak before it."""
OF_ROLES = ("coder", "supervisor")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: as rules spell it; a run has it as `--llmagent-NAME`.
        value: what holds; None if nobody chose and nothing is done for it.
        source: who said so.
        where: in which file or variable.
    """

    name: str
    value: object
    source: str
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as Snakemake would begin it here, without anything on its command line.

    Attributes:
        settings: of the executor, whether or not a profile chooses it.
        sources: setting → the profile that has it.
        profiles: those that were read.
        executor: the one that a profile chooses, if any.
        snakefile, directory, config, configfiles: which workflow.
        providers: those that the person has named.
    """

    settings: ExecutorSettings
    sources: Mapping[str, str]
    profiles: tuple[str, ...]
    executor: str
    snakefile: Path | None
    directory: Path | None
    config: tuple[str, ...]
    configfiles: tuple[Path, ...]
    providers: Providers

    @property
    def options(self) -> Options:
        """What it chooses about authoring, without what the environment says."""
        return settings.chosen_options(self.settings)


def read_run(arguments: Sequence[str]) -> Run:
    """A run with some arguments of Snakemake's command line (`--profile`, `--snakefile` and the like).

    Raises:
        ConfigError: a profile or a file of providers cannot be read, or says something wrong.
    """
    from snakemake.cli import parse_args
    from snakemake_interface_common.exceptions import WorkflowError
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parser, args = parse_args(list(arguments))
            chosen: ExecutorSettings = ExecutorPluginRegistry().get_plugin("llmagent").get_settings(args)
    except SystemExit:
        raise ConfigError(f"Snakemake cannot read the profile: {_last_line(said.getvalue())}") from None
    except WorkflowError as error:
        raise ConfigError(str(error)) from None
    sources = _sources(parser.get_source_to_settings_dict())
    snakefile = Path(args.snakefile) if args.snakefile else None
    return Run(
        settings=chosen,
        sources=sources,
        profiles=tuple(dict.fromkeys(sources.values())),
        executor=str(args.executor or ""),
        snakefile=snakefile,
        directory=Path(args.directory) if args.directory else None,
        config=tuple(args.config or ()),
        configfiles=tuple(map(Path, args.configfile or ())),
        providers=read_providers(_files(chosen, snakefile, args.directory)),
    )


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it does not say why.")


def _sources(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Setting → file, for what stands in profiles; of several, the last that was read counts, as for Snakemake."""
    sources: dict[str, str] = {}
    for source, entries in found.items():
        kind, _, path = source.partition("|")
        if kind == "config_file":
            names = (name.replace("-", "_") for name in entries)
            sources.update({name: path for name in names if name not in sources})
    return sources


def _files(chosen: ExecutorSettings, snakefile: Path | None, directory: str | None) -> tuple[Path, ...]:
    from snakemake.api import resolve_snakefile

    found = resolve_snakefile(snakefile, allow_missing=True)
    return places(
        chosen=Path(chosen.providers) if chosen.providers else persons_file_of_providers(),
        workdir=Path(directory or "."),
        beside=Path(found).parent if found is not None else None,
        environment=os.environ,
    )


# --- what holds -----------------------------------------------------------------------------------------------------


def settings_of(run: Run, rule: AgentRule | None) -> list[Setting]:
    """Every setting, for a rule of a run or for all that choose nothing themselves."""
    said = rule.options if rule is not None else Options()
    effective = said.over(run.options).over(persons_choices()).over(DEFAULTS)
    found = []
    for name in (field.name for field in fields(ExecutorSettings)):
        if name == "readable":
            found.append(_readable(run, rule))
        elif name in vars(effective):
            found.append(_option(name, run, rule, effective))
        else:
            found.append(_of_run(name, run, effective))
    return found


def _option(name: str, run: Run, rule: AgentRule | None, effective: Options) -> Setting:
    value = getattr(effective, name)
    if name in OF_ROLES and value is None and effective.model is not None:
        # Who has no model of their own is asked as `model` says.
        by = _option("model", run, rule, effective)
        return Setting(name=name, value=by.value, source=by.source, where=_joined("`model`", by.where))
    if name == "supervisor" and effective.supervision == NOBODY:
        by = _option("supervision", run, rule, effective)
        return Setting(name=name, value=NOBODY, source=by.source, where=_joined("`supervision`", by.where))
    if rule is not None and getattr(rule.options, name) is not None:
        return Setting(name=name, value=value, source=RULE, where=_place(rule))
    prefixed = f"llmagent_{name}"
    if value is not None and prefixed in run.sources:
        return Setting(name=name, value=value, source=PROFILE, where=run.sources[prefixed])
    if name in VARIABLES and getattr(persons_choices(), name) is not None:
        return Setting(name=name, value=value, source=ENVIRONMENT, where=VARIABLES[name])
    return Setting(name=name, value=value if value is not None else LAST_WORD.get(name), source=DEFAULT)


def _readable(run: Run, rule: AgentRule | None) -> Setting:
    """The places that add up, and all who named one."""
    mine = rule.options.readable if rule is not None else ()
    own = persons_choices().readable
    named = (
        (RULE, mine, _place(rule) if rule is not None else ""),
        (PROFILE, run.options.readable, run.sources.get("llmagent_readable", "")),
        (ENVIRONMENT, own, READABLE_VARIABLE),
    )
    places_of = [(source, where) for source, paths, where in named if paths]
    return Setting(
        name="readable",
        value=list(dict.fromkeys((*mine, *run.options.readable, *own))) or None,
        source=", ".join(source for source, _ in places_of) or DEFAULT,
        where=", ".join(where for _, where in places_of),
    )


def _of_run(name: str, run: Run, effective: Options) -> Setting:
    """A setting that no rule has; providers say something about some."""
    cast = cast_of(effective)
    where = run.sources.get(f"llmagent_{name}", "")
    value = getattr(run.settings, name)
    if name == "context_tokens":
        limits = {one.context_tokens // CONTEXT_PART: one for one in _of(run, cast.everybody) if one.context_tokens}
        if limits and min(limits) < (value or CONTEXT_TOKENS):
            return Setting(name=name, value=min(limits), source=PROVIDERS, where=limits[min(limits)].place)
    if name == "images":
        knowing = [one for one in _of(run, cast.supervisor) if one.images is not None]
        if knowing:
            return Setting(name=name, value=knowing[0].images, source=PROVIDERS, where=knowing[0].place)
    if name == "providers":
        files = sorted({one.place.rpartition(", line ")[0] for one in run.providers.values()})
        if not value and files:
            return Setting(name=name, value=", ".join(files), source=DEFAULT)
    if where:
        return Setting(name=name, value=value, source=PROFILE, where=where)
    return Setting(name=name, value=value if value is not None else LAST_WORD.get(name), source=DEFAULT)


def _of(run: Run, names: Sequence[str]) -> Iterator[Provider]:
    for name in names:
        provider = run.providers.get(name.partition(":")[0])
        if provider is not None:
            yield provider


def _place(rule: AgentRule) -> str:
    return f"{rule.spec.source_file}, line {rule.spec.line}"


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
