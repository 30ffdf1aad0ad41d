"""The command `llmagent`: look at agent rules, approve their scripts, take them over."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from snakemake_executor_plugin_llmagent.commands.approve import add_approve, add_unblind
from snakemake_executor_plugin_llmagent.commands.costs import add_costs
from snakemake_executor_plugin_llmagent.commands.eject import add_eject
from snakemake_executor_plugin_llmagent.commands.plan import add_plan
from snakemake_executor_plugin_llmagent.commands.show import add_show
from snakemake_executor_plugin_llmagent.commands.status import add_status
from snakemake_executor_plugin_llmagent.errors import AgentError, SandboxUnavailable
from snakemake_executor_plugin_llmagent.text import clean
from snakemake_executor_plugin_llmagent.variations.command import add_vary

DOCTOR = "Tell how scripts of models are confined on this machine, and why; to send to whoever looks after it."
EPILOG = """\
examples:
  llmagent status                     every agent rule and the state of its script
  llmagent status --check             the same; exit status 5 unless all are frozen (for CI)
  llmagent plan --model openai:gpt-5  what the next run would have written, and what that may cost
  llmagent costs                      what calls of models have cost, by rule, model and day
  llmagent show fit_myy               the sentence, the script and the evidence for it
  llmagent approve fit_myy            approve a script that you changed or that waits for you
  llmagent unblind fit_myy            open the data of a blinded rule to its script
  llmagent vary fit_myy               how far results depend on what the sentence left open
  llmagent eject fit_myy              make it a plain `script:` rule
  llmagent doctor                     how scripts of models are confined on this machine

exit status: 0 well, 2 wrong setting or Snakefile, 4 broken lock, 5 not approved, 10 no sandbox, 1 anything else
"""
INTERRUPTED = 130
"""What shells report for a command that a Ctrl-C ended."""
ADDED = (add_status, add_plan, add_costs, add_show, add_approve, add_unblind, add_vary, add_eject)
"""What adds a command each, in the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    try:
        return _main(sys.argv[1:] if arguments is None else list(arguments))
    except AgentError as error:
        print(f"llmagent: {clean(str(error))}", file=sys.stderr)
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
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-s", "--snakefile", type=Path, metavar="FILE", help="the Snakefile")
    common.add_argument("-d", "--directory", type=Path, metavar="DIR", help="the working directory")
    common.add_argument("--configfile", type=Path, nargs="+", default=[], metavar="FILE", help="config files")
    common.add_argument("-C", "--config", nargs="+", default=[], metavar="KEY=VALUE", help="config entries")
    common.add_argument("--json", action="store_true", help="print JSON for programs")
    parser = argparse.ArgumentParser(
        prog="llmagent", description="Look at the agent rules of a Snakemake workflow, and decide about their scripts.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=text, description=text)
        added.set_defaults(command=run)
        return added

    for added in ADDED:
        added(add)
    doctor = commands.add_parser("doctor", help=DOCTOR, description=DOCTOR)
    doctor.add_argument("--json", action="store_true", help="print JSON for programs")
    doctor.set_defaults(command=_doctor)
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from snakemake_executor_plugin_llmagent.doctor import diagnose, in_words

    found = diagnose()
    print(json.dumps(found.as_json(), indent=2) if options.json else clean(in_words(found)))
    return 0 if found.backend is not None else SandboxUnavailable.exit_code


if __name__ == "__main__":
    sys.exit(main())
