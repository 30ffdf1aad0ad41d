"""The command `llmagent config`: every setting, its value and who said so."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_llmagent.commands.rules import Add
from snakemake_executor_plugin_llmagent.commands.terminal import Column, print_line, print_table
from snakemake_executor_plugin_llmagent.keys import KEY_VARIABLES, note_key_variables, read_keys
from snakemake_executor_plugin_llmagent.text import clean, one_line

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.effective import Run, Setting

OPTIONS = (Column("setting", style="bold"), Column("value", folds=True, least=20), Column("from", "dim", folds=True))
KEYS = (Column("key", style="bold"), Column(""), Column("of", "dim", folds=True))
IN_ENVIRONMENT, IN_FILE, MISSING = "set in environment", "set in key file", "missing"
STYLES = {IN_ENVIRONMENT: "green", IN_FILE: "green", MISSING: "yellow"}

EXAMPLES = """\
examples:
  llmagent config                        what holds for a run, and keys
  llmagent config fit_myy                what holds for a rule
  llmagent config fit_myy --profile lab  the same under a profile of Snakemake's
"""


def add_config(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    config = add("config", run, "Show every setting, its value, and who said so: rule, profile, environment or nobody.")
    config.add_argument("rule", metavar="RULE", nargs="?", help="an agent rule; without it, what holds for a run")
    config.add_argument("--profile", nargs="+", metavar="PROFILE", help="profiles, as Snakemake takes them")
    config.add_argument("--workflow-profile", metavar="DIR", help="profile of the workflow, as Snakemake takes it")
    config.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Show the settings; returns the exit status."""
    from snakemake_executor_plugin_llmagent.host.effective import read_run, settings_of
    from snakemake_executor_plugin_llmagent.host.project import agent_rules, named

    begun = read_run(list(_arguments(options)))
    rule = None
    if options.rule is not None:
        rules = agent_rules(
            snakefile=begun.snakefile, directory=begun.directory, config=begun.config, configfiles=begun.configfiles
        )
        rule = named(rules, options.rule)
    found, keys = settings_of(begun, rule), list(_keys(begun))
    if options.json:
        facts = {
            "rule": options.rule,
            "profiles": list(begun.profiles),
            "settings": [asdict(setting) for setting in found],
            "keys": [{"variable": variable, "state": state, "providers": of} for variable, state, of in keys],
            "providers": [
                {"name": one.name, "speaks": one.speaks, "base_url": one.base_url, "where": one.place}
                for one in begun.providers.values()
            ],
        }
        print(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
        return 0
    print_line((f"What holds for {f'rule {options.rule}' if rule else 'a run'}", "bold"))
    print_line((f"profiles: {', '.join(map(_near, begun.profiles)) or 'none'}", "dim"))
    if begun.executor and begun.executor != "llmagent":
        print_line((f"The profile runs jobs by {begun.executor}; what it says here counts under llmagent.", "yellow"))
    print_table(OPTIONS, [(setting.name, _shown(setting), _said_by(setting)) for setting in found])
    print_table(KEYS, [(variable, (state, STYLES[state]), ", ".join(of)) for variable, state, of in keys])
    return 0


def _arguments(options: argparse.Namespace) -> Iterator[str]:
    """The arguments as Snakemake spells them."""
    for flag, value in (("--snakefile", options.snakefile), ("--directory", options.directory),
                        ("--workflow-profile", options.workflow_profile)):  # fmt: skip
        if value is not None:
            yield from (flag, str(value))
    for flag, values in (("--profile", options.profile), ("--configfile", options.configfile),
                         ("--config", options.config)):  # fmt: skip
        if values:
            yield from (flag, *map(str, values))


def _keys(begun: Run) -> Iterator[tuple[str, str, list[str]]]:
    """The variables of keys, whether they are set, and whose they are; never what they hold."""
    of: dict[str, list[str]] = {variable: [variable.partition("_")[0].lower()] for variable in KEY_VARIABLES}
    for provider in begun.providers.values():
        if provider.key_variable:
            of.setdefault(provider.key_variable, []).append(provider.name)
    note_key_variables(of)
    key_file = begun.settings.key_file
    here, filed = read_keys(os.environ), read_keys({}, Path(key_file) if key_file else None)
    for variable, names in of.items():
        state = IN_ENVIRONMENT if here.get(variable) else IN_FILE if filed.get(variable) else MISSING
        yield variable, state, names


def _shown(setting: Setting) -> str:
    value: Any = setting.value
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(clean(str(value)), 500)


def _said_by(setting: Setting) -> str:
    return f"{setting.source}: {_near(setting.where)}" if setting.where else setting.source


def _near(place: str) -> str:
    """A place as it is named from here."""
    here = f"{Path.cwd()}/"
    return clean(place.replace(here, ""))
