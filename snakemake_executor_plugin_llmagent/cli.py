"""The command `llmagent`: look at agent rules, approve their scripts, take them over."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from snakemake_executor_plugin_llmagent.commands.approve import add_approve, add_unblind
from snakemake_executor_plugin_llmagent.commands.completion import add_completion
from snakemake_executor_plugin_llmagent.commands.config import add_config
from snakemake_executor_plugin_llmagent.commands.costs import add_costs
from snakemake_executor_plugin_llmagent.commands.diff import add_diff
from snakemake_executor_plugin_llmagent.commands.eject import add_eject
from snakemake_executor_plugin_llmagent.commands.export import add_export
from snakemake_executor_plugin_llmagent.commands.methods import add_methods
from snakemake_executor_plugin_llmagent.commands.plan import add_plan
from snakemake_executor_plugin_llmagent.commands.reject import add_reject
from snakemake_executor_plugin_llmagent.commands.report import add_report
from snakemake_executor_plugin_llmagent.commands.show import add_show
from snakemake_executor_plugin_llmagent.commands.status import add_status
from snakemake_executor_plugin_llmagent.errors import AgentError, ConfigError, SandboxUnavailable
from snakemake_executor_plugin_llmagent.text import clean, wrapped
from snakemake_executor_plugin_llmagent.variations.command import add_vary

DOCTOR = "Tell how scripts of models are confined on this machine, and why; to send to whoever looks after it."
EPILOG = """\
examples:
  llmagent status            every agent rule and the state of its script
  llmagent status --check    for CI: exit status 5 unless all are frozen
  llmagent plan              what the next run has written, and its cost
  llmagent costs             what models have cost, by rule, model and day
  llmagent show fit_myy      the sentence, the script and the evidence for it
  llmagent diff fit_myy      what changed since the last approval
  llmagent approve fit_myy   approve a script that you changed, or that waits
  llmagent reject fit_myy --because "the peak is fixed; let it float"
  llmagent unblind fit_myy   open the data of a blinded rule to its script
  llmagent vary fit_myy      how far results depend on what was left open
  llmagent report            one HTML page about all of them
  llmagent methods           paragraphs and a table for an analysis note
  llmagent eject fit_myy     make it a plain `script:` rule
  llmagent export            sessions as an Inspect log or an RO-Crate
  llmagent config fit_myy    which settings hold, and who said so
  llmagent completion bash   a script with which your shell completes names
  llmagent doctor            how scripts of models are confined here

`llmagent COMMAND --help` has more examples.

exit status: 0 well, 2 wrong setting or Snakefile, 4 broken lock,
5 not approved, 10 no sandbox, 1 anything else
"""
DOCTOR_EXAMPLES = """\
examples:
  llmagent doctor         in words, to send to whoever looks after the machine
  llmagent doctor --json  for programs; exit status 10 if nothing confines
"""
INTERRUPTED = 130
"""What shells report for a command that a Ctrl-C ended."""
ADDED = (
    add_status, add_plan, add_costs, add_show, add_diff, add_approve, add_reject, add_unblind, add_vary, add_report,
    add_methods, add_eject, add_export, add_config, add_completion,
)  # fmt: skip
"""What adds a command each, in the order of the help."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Fills sentences to the width of the terminal, and leaves examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


class Parser(argparse.ArgumentParser):
    """Names the near match of what there is not."""

    def error(self, message: str) -> NoReturn:
        """End with what is wrong with the command line."""
        found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        near = difflib.get_close_matches(found[1], re.findall(r"[\w-]+", found[2]), n=1) if found else []
        hint = f" Did you mean {near[0]}?" if near else f" See {self.prog} --help."
        columns = shutil.get_terminal_size().columns
        self.exit(ConfigError.exit_code, wrapped(f"{self.prog}: {message}.{hint}", columns) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    try:
        return _main(sys.argv[1:] if arguments is None else list(arguments))
    except AgentError as error:
        text = f"llmagent: {clean(str(error))}"
        print(wrapped(text, shutil.get_terminal_size().columns) if sys.stderr.isatty() else text, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 0
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        print(f"llmagent: {clean(f'{error.strerror or error}{place}')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("llmagent: interrupted", file=sys.stderr)
        return INTERRUPTED


def _main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _parser() -> argparse.ArgumentParser:
    common = Parser(add_help=False)
    common.add_argument("-s", "--snakefile", type=Path, metavar="FILE", help="the Snakefile")
    common.add_argument("-d", "--directory", type=Path, metavar="DIR", help="the working directory")
    common.add_argument("--configfile", type=Path, nargs="+", default=[], metavar="FILE", help="config files")
    common.add_argument("-C", "--config", nargs="+", default=[], metavar="KEY=VALUE", help="config entries")
    common.add_argument("--json", action="store_true", help="print JSON for programs")
    parser = Parser(
        prog="llmagent", description="Look at the agent rules of a Snakemake workflow, and decide about their scripts.",
        epilog=EPILOG, formatter_class=Help,
    )  # fmt: skip
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=text, description=text, formatter_class=Help)
        added.set_defaults(command=run)
        return added

    for added in ADDED:
        added(add)
    doctor = commands.add_parser(
        "doctor", help=DOCTOR, description=DOCTOR, epilog=DOCTOR_EXAMPLES, formatter_class=Help
    )  # fmt: skip
    doctor.add_argument("--json", action="store_true", help="print JSON for programs")
    doctor.set_defaults(command=_doctor)
    parser.set_defaults(parser=parser)
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from snakemake_executor_plugin_llmagent.doctor import diagnose, in_words

    found = diagnose()
    print(json.dumps(found.as_json(), indent=2) if options.json else clean(in_words(found)))
    return 0 if found.backend is not None else SandboxUnavailable.exit_code


if __name__ == "__main__":
    sys.exit(main())
