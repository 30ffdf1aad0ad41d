"""Turning an agent rule into a plain `script:` rule, in the text of its Snakefile."""

from __future__ import annotations

import io
import json
import tokenize
from collections.abc import Iterable
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.declared import AgentRule, script_reference
from snakemake_executor_plugin_llmagent.host.directive import KEYWORD


def ejected(agent: AgentRule, rules: Iterable[AgentRule]) -> tuple[Path, str, str]:
    """The file that defines a rule, its text, and its text with `script:` in place of `agent:`.

    Args:
        agent: the rule.
        rules: all agent rules of the workflow.

    Raises:
        ConfigError: the file is not local, the keyword is not where it was, or rules with other scripts share it.
    """
    path = Path(agent.spec.source_file)
    if not path.exists():
        raise ConfigError(f"Rule {agent.name} is defined in {agent.spec.source_file}, which is not a local file.")
    _must_stand_alone(agent, rules)
    with path.open(encoding="utf-8", newline="") as handle:  # line ends stay as they are
        text = handle.read()
    lines = list(io.StringIO(text, newline="\n"))  # these are the lines that `tokenize` counts
    first, last = _block(text, agent.spec.line)
    head, end = lines[first - 1], lines[last - 1]
    if not head.lstrip().startswith(KEYWORD):
        raise ConfigError(f"Line {first} of {path} does not begin with `{KEYWORD}:`; move it to a line of its own.")
    indent = head[: len(head) - len(head.lstrip())]
    reference = json.dumps(script_reference(agent.script, str(path.parent)), ensure_ascii=False)
    lines[first - 1 : last] = [f"{indent}script: {reference}" + ("\r\n" if end.endswith("\r\n") else "\n")]
    return path, text, "".join(lines)


def _must_stand_alone(agent: AgentRule, rules: Iterable[AgentRule]) -> None:
    place = agent.spec.source_file, agent.spec.line
    others = [
        other.name
        for other in rules
        if (other.spec.source_file, other.spec.line) == place and other.script != agent.script
    ]
    if others:
        raise ConfigError(
            f"Rule {agent.name} shares its `{KEYWORD}:` with {', '.join(others)} (`use rule ... with:`), which would "
            "then run the same script, but now have another. Write the rules out, each with an `agent:` of its own."
        )


def _block(text: str, line: int) -> tuple[int, int]:
    """First and last line of the block that the keyword at a line opens."""
    depth, last, opened, one_line_read = 0, line, False, False
    for token in tokenize.generate_tokens(io.StringIO(text, newline="\n").readline):
        if token.start[0] < line or token.type in (tokenize.NL, tokenize.COMMENT):
            continue
        if not opened:
            if token.start[0] > line:
                break
            opened = token.type == tokenize.NAME and token.string == KEYWORD
        elif token.type == tokenize.NEWLINE:
            last, one_line_read = token.end[0], True
        elif token.type == tokenize.INDENT:
            depth += 1
        elif token.type == tokenize.DEDENT:
            depth -= 1
        elif one_line_read and depth <= 0:
            break
    if not opened:
        raise ConfigError(f"Line {line} has no `{KEYWORD}:`; the file changed meanwhile.")
    return line, last
