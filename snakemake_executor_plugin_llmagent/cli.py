"""The command `llmagent`: look at agent rules, approve their scripts, take them over."""

from __future__ import annotations

import argparse
import difflib
import getpass
import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.blinding.words import hidden, in_words
from snakemake_executor_plugin_llmagent.errors import (
    AgentError,
    ConfigError,
    LockMismatch,
    NotApproved,
    SandboxUnavailable,
)
from snakemake_executor_plugin_llmagent.lock import Approval, Lock, Status, opened
from snakemake_executor_plugin_llmagent.session import utc_now
from snakemake_executor_plugin_llmagent.spec import State
from snakemake_executor_plugin_llmagent.text import clean, one_line
from snakemake_executor_plugin_llmagent.variations.command import add_vary

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.declared import AgentRule

DOCTOR = "Tell how scripts of models are confined on this machine, and why; to send to whoever looks after it."
EPILOG = """\
examples:
  llmagent status                     every agent rule and the state of its script
  llmagent status --check             the same; exit status 5 unless all are frozen (for CI)
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
STYLES = {"frozen": "green", "edited": "yellow", "stale": "magenta", "missing": "red", "awaiting": "cyan"}


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

    status = add("status", _status, "Show each agent rule and the state of its script.")
    status.add_argument("--check", action="store_true", help="exit with status 5 unless every rule is frozen")
    show = add("show", _show, "Show what a rule asks for, its script, and the evidence for it.")
    show.add_argument("rule", metavar="RULE")
    approve = add("approve", _approve, "Approve the script that lies there, in your name.")
    approve.add_argument("rule", metavar="RULE")
    approve.add_argument("--name", help="your name; by default that of git, or of your account")
    approve.add_argument("--stale", action="store_true", help="also if the rule asks for something else by now")
    unblind = add("unblind", _unblind, "Open the data of a blinded rule to its frozen script, in your name.")
    unblind.add_argument("rule", metavar="RULE")
    unblind.add_argument("--name", help="your name; by default that of git, or of your account")
    add_vary(add)
    doctor = commands.add_parser("doctor", help=DOCTOR, description=DOCTOR)
    doctor.add_argument("--json", action="store_true", help="print JSON for programs")
    doctor.set_defaults(command=_doctor)
    eject = add("eject", _eject, "Turn an agent rule into a plain `script:` rule.")
    eject.add_argument("rule", metavar="RULE")
    eject.add_argument("-n", "--dry-run", action="store_true", help="only show what would change")
    return parser


# --- rules ----------------------------------------------------------------------------------------------------------


def _rules(options: argparse.Namespace) -> tuple[AgentRule, ...]:
    from snakemake_executor_plugin_llmagent.host.project import agent_rules

    return agent_rules(
        snakefile=options.snakefile, directory=options.directory, config=options.config, configfiles=options.configfile
    )


def _rule(options: argparse.Namespace) -> AgentRule:
    from snakemake_executor_plugin_llmagent.host.project import named

    return named(_rules(options), options.rule)


def _facts(rule: AgentRule) -> tuple[dict[str, Any], Status | None]:
    spec = rule.spec
    facts: dict[str, Any] = {
        "rule": rule.name,
        "script": str(rule.script),
        "spec": spec.text,
        "spec_digest": spec.digest,
        "file": spec.source_file,
        "line": spec.line,
    }
    try:
        status = lock.status(rule.script, rule.spec.digest)
    except LockMismatch as error:
        return {**facts, "state": "broken", "reason": str(error)}, None
    blind = _blind(rule, status)
    reason = f"{status.reason}; {blind}" if blind else status.reason
    return {**facts, "state": str(status.state), "reason": reason, **({"blind": blind} if blind else {})}, status


def _blind(rule: AgentRule, status: Status) -> str:
    """Whether a rule is blinded, in words; empty for others."""
    if rule.spec.blind is None:
        return ""
    what = in_words(rule.spec.blind)
    if not opened(status) or status.lock is None:
        return f"blinded: {what}"
    who = status.lock.blind["unblinded"]
    return f"unblinded by {who.get('name')}, {who.get('time')} (was blinded: {what})"


# --- commands -------------------------------------------------------------------------------------------------------


def _status(options: argparse.Namespace) -> int:
    found = [_facts(rule)[0] for rule in _rules(options)]
    if options.json:
        print(json.dumps({"rules": found}, indent=2, ensure_ascii=False))
    elif not found:
        print("This workflow has no agent rules.")
    else:
        _print_table(found)
    if any(facts["state"] == "broken" for facts in found):
        return LockMismatch.exit_code
    return NotApproved.exit_code if options.check and any(facts["state"] != "frozen" for facts in found) else 0


def _print_table(found: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for title, fold in (("rule", False), ("state", False), ("asks for", True), ("why", True)):
        table.add_column(title, no_wrap=not fold, overflow="fold")
    for facts in found:
        state = facts["state"]
        cells = (facts["rule"], state, one_line(facts["spec"], 100), one_line(facts["reason"], 300))
        styles = ("bold", STYLES.get(state, "red"), "", "dim")
        table.add_row(*(Text(text, style=style) for text, style in zip(cells, styles, strict=True)))
    Console().print(table)


def _show(options: argparse.Namespace) -> int:
    rule = _rule(options)
    facts, status = _facts(rule)
    found = status.lock if status else None
    if options.json:
        source = status.source if status else None
        print(json.dumps({**facts, "source": source, "lock": asdict(found) if found else None}, indent=2, default=str))
        return 0
    from rich.console import Console
    from rich.syntax import Syntax
    from rich.text import Text

    console = Console()
    state = Text(facts["state"], style=STYLES.get(facts["state"], "red"))
    console.print(Text(f"{facts['rule']}  ", style="bold"), state)
    console.print(Text(f"{facts['reason']}\n{facts['file']}, line {facts['line']}\n", style="dim"))
    console.print(Text(clean(facts["spec"]).strip() + "\n"))
    if status and status.source is not None:
        console.print(Text(str(rule.script), style="dim"))
        console.print(Syntax(clean(status.source), "python", line_numbers=True, background_color="default"))
    if found is not None:
        console.print(Text("\n".join(_evidence(found))))
    return 0 if status else LockMismatch.exit_code


def _evidence(found: Lock) -> list[str]:
    """A lock in words."""
    lines = [""]
    for role, names in found.models.items():
        lines.append(f"{role}: {names.get('asked')} (reported as {names.get('reported')})")
    tokens = found.usage.get("input_tokens", 0), found.usage.get("output_tokens", 0)
    lines.append(f"attempts: {found.attempts}, tokens: {tokens[0]} in, {tokens[1]} out, written {found.created}")
    if found.sandbox:
        landlock = f" (Landlock {found.sandbox['landlock']})" if found.sandbox.get("landlock") else ""
        lines.append(f"sandbox of its trial: {found.sandbox['backend']}{landlock}")
    if found.run:
        lines.append(
            f"its trial took {found.run['seconds']} s ({found.run['cpu_seconds']} s on all cores) and "
            f"{found.run['peak_memory_mb']} MB"
        )
    lines += [f"check {name}: {clean(result)}" for name, result in found.checks.items()]
    if found.review:
        lines.append(f"review: {found.review.get('verdict')}: {clean(found.review.get('comments', ''))}")
    if found.decisions:
        lines.append("decisions:")
    for decision in found.decisions:
        why = f" ({decision['reason']})" if decision.get("reason") else ""
        unit = f" {decision['unit']}" if decision.get("unit") else ""
        lines.append(clean(f"  {decision.get('name')} = {decision.get('value')}{unit}{why}"))
    return lines


def _approve(options: argparse.Namespace) -> int:
    rule = _rule(options)
    status = lock.status(rule.script, rule.spec.digest)
    if status.source is None:
        raise NotApproved(f"Rule {rule.name} has no script to approve; {rule.script} does not exist.")
    if status.state is State.STALE and not options.stale:
        raise NotApproved(
            f"Rule {rule.name} asks for something else than what its script was written for. If the script is right "
            f"for it all the same: llmagent approve --stale {rule.name}"
        )
    _must_parse(rule.script, status.source)
    approval = Approval(by="person", name=options.name or _person(rule.script.parent), time=utc_now())
    if status.state is not State.FROZEN:
        lock.write_lock(lock.lock_path(rule.script), _approved(rule, status, approval))
    facts = {"rule": rule.name, "script": str(rule.script), "before": str(status.state), "approval": asdict(approval)}
    if options.json:
        print(json.dumps(facts, indent=2))
    elif status.state is State.FROZEN:
        print(f"{rule.name} is frozen already: {status.reason}.")
    else:
        print(f"{rule.name} is frozen now, approved by {approval.name}. Commit {lock.lock_path(rule.script)}.")
    return 0


def _unblind(options: argparse.Namespace) -> int:
    rule = _rule(options)
    status = lock.status(rule.script, rule.spec.digest)
    if rule.spec.blind is None:
        raise ConfigError(f"Rule {rule.name} is not blinded.")
    if status.state is not State.FROZEN or status.lock is None:
        approve = f" Run `llmagent approve {rule.name}` first." if status.source is not None else ""
        raise NotApproved(f"Rule {rule.name} is {status.state}, not frozen: {status.reason}.{approve}")
    before, path = opened(status), lock.lock_path(rule.script)
    if not before:
        name = options.name or _person(rule.script.parent)
        act = {"name": name, "time": utc_now(), "script_digest": status.lock.script_digest}
        lock.write_lock(path, replace(status.lock, blind={**hidden(rule.spec.blind), "unblinded": act}))
        status = lock.status(rule.script, rule.spec.digest)
    blind = _blind(rule, status)
    if options.json:
        print(json.dumps({"rule": rule.name, "before": "unblinded" if before else "blinded", "blind": blind}, indent=2))
    elif before:
        print(f"{rule.name} is unblinded already: {blind}.")
    else:
        print(
            f"{rule.name}: {blind}. Commit {path}.\nFrom now on its jobs run on the data, under any executor, and "
            "Snakemake reruns those whose outputs come from twins. If the script changes, the rule is blinded again."
        )
    return 0


def _must_parse(script: Path, source: str) -> None:
    import ast

    try:
        ast.parse(source)
    except SyntaxError as error:
        raise ConfigError(f"{script} is not valid Python: line {error.lineno}: {error.msg}.") from None


def _approved(rule: AgentRule, status: Status, approval: Approval) -> Lock:
    """The lock of a script that a person approves; what was found about another text does not count for this one."""
    assert status.source is not None
    digest = lock.digest_script(status.source)
    if status.lock is None or status.lock.script_digest != digest:
        base = status.lock or Lock(rule=rule.name, spec_text="", spec_digest="", script_digest="", approval=None,
                                   created=approval.time)  # fmt: skip
        base = replace(base, checks={}, review=None, sandbox={}, run={})
    else:
        base = status.lock
    # Who opened the data opened them to this script as an answer to this question.
    same = base.script_digest == digest and base.spec_digest == rule.spec.digest
    blind = base.blind if same else hidden(rule.spec.blind)
    return replace(base, rule=rule.name, spec_text=rule.spec.text, spec_digest=rule.spec.digest, script_digest=digest,
                   approval=approval, blind=blind)  # fmt: skip


def _person(folder: Path) -> str:
    """The person's name as the project's git knows it, or else that of the account."""
    try:
        asked = subprocess.run(["git", "config", "user.name"], cwd=folder, capture_output=True, text=True, check=False)
        named = asked.stdout.strip()
    except OSError:
        named = ""
    try:
        return named or getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        raise ConfigError("Nobody knows your name; give it with --name.") from None


def _doctor(options: argparse.Namespace) -> int:
    from snakemake_executor_plugin_llmagent.doctor import diagnose, in_words

    found = diagnose()
    print(json.dumps(found.as_json(), indent=2) if options.json else clean(in_words(found)))
    return 0 if found.backend is not None else SandboxUnavailable.exit_code


def _eject(options: argparse.Namespace) -> int:
    from snakemake_executor_plugin_llmagent.host.eject import ejected
    from snakemake_executor_plugin_llmagent.host.project import named

    rules = _rules(options)
    rule = named(rules, options.rule)
    status = lock.status(rule.script, rule.spec.digest)
    if status.state not in (State.FROZEN, State.EDITED):
        raise NotApproved(f"Rule {rule.name} has no script that may run ({status.state}: {status.reason}).")
    if rule.spec.blind is not None and not opened(status):
        raise NotApproved(f"Rule {rule.name} is blinded; as a plain rule it would run on the data. Unblind it first.")
    path, before, after = ejected(rule, rules)
    changes = "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), str(path), str(path)))
    backup = None
    if not options.dry_run:
        backup = _backup(path)
        _replace(path.resolve(), after)
    if options.json:
        facts = {"rule": rule.name, "file": str(path), "script": str(rule.script), "diff": changes}
        print(json.dumps({**facts, "backup": str(backup) if backup else None}, indent=2))
        return 0
    print(clean(changes))
    if backup is not None:
        print(f"{rule.name} is a plain `script:` rule now. {backup.name} keeps the file as it was.")
        print(f"The lock {lock.lock_path(rule.script)} tells where the script came from; nothing reads it any more.")
    return 0


def _replace(path: Path, text: str) -> None:
    """Write a file anew, with the permissions that it has."""
    mode = stat.S_IMODE(path.stat().st_mode)
    lock.write_atomically(path, text)
    path.chmod(mode)


def _backup(path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.name}.before-eject-{number}")).exists():
        number += 1
    shutil.copy2(path, copy)
    return copy


if __name__ == "__main__":
    sys.exit(main())
