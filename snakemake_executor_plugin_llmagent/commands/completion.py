"""The command `llmagent completion`: a script with which a shell completes commands, options and names of rules."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from snakemake_executor_plugin_llmagent.commands.rules import Add
from snakemake_executor_plugin_llmagent.errors import MissingDependency

SHELLS = ("bash", "zsh", "fish")
EXAMPLES = """\
examples:
  eval "$(llmagent completion bash)"     now, in bash; in ~/.bashrc for good
  eval "$(llmagent completion zsh)"      in ~/.zshrc, after compinit
  llmagent completion fish > ~/.config/fish/completions/llmagent.fish
"""
NAMES = "__llmagent_rule_names"
_FILES = " ".join(
    f"{folder}{files}"
    for folder in ("", "workflow/")
    for files in ("agents/*.lock.yaml", "rules/agents/*.lock.yaml", "Snakefile", "rules/*.smk", "*.smk")
)
_PROGRAM = (
    "/^rule: / && NF == 2 { print $2 } "
    '/^[ \\t]*(rule|checkpoint)[ \\t]+[A-Za-z_][A-Za-z0-9_]*[ \\t]*:/ { name = $2; sub(/:.*/, "", name) } '
    '/^[ \\t]+agent[ \\t]*:/ { if (name != "") print name; name = "" }'
)
"""Names of rules without asking Snakemake, which would take a second for each press of a key."""
_COMMAND = f"sh -c \"cat {_FILES} 2>/dev/null\" | awk '{_PROGRAM}' | sort -u"
_FUNCTIONS = {
    "bash": f'{NAMES}() {{ compgen -W "$({_COMMAND})" -- "$1"; }}',
    "zsh": f'{NAMES}() {{ local -a names; names=(${{(f)"$({_COMMAND})"}}); compadd -a names }}',
    "fish": f"function {NAMES}\n  {_COMMAND}\nend",
}
_RULES = {"bash": NAMES, "zsh": NAMES, "fish": f"({NAMES})"}


def add_completion(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    completion = add("completion", run, "Print a script with which your shell completes commands and names of rules.")
    completion.add_argument("shell", choices=SHELLS, help="which shell")
    completion.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Print the script; returns the exit status."""
    try:
        import shtab
    except ImportError:
        raise MissingDependency("Completion needs the package shtab. Run: pip install shtab") from None

    for action in _actions(options.parser):
        if action.dest == "rule":
            action.complete = _RULES
        elif action.metavar in ("FILE", "DIR"):
            action.complete = shtab.FILE if action.metavar == "FILE" else shtab.DIRECTORY
    print(shtab.complete(options.parser, shell=options.shell, preamble=_FUNCTIONS[options.shell]))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[Any]:
    """What can stand on a command line, also after the name of a command."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
