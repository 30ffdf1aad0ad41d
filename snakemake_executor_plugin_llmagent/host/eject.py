"""Turning an agent rule into a plain `script:` rule, in the text of its Snakefile."""

from __future__ import annotations

import io
import os
import tokenize
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.directive import KEYWORD


def ejected(agent: AgentRule) -> tuple[Path, str, str]:
    """The file that defines a rule, its text, and its text with `script:` in place of `agent:`.

    Raises:
        ConfigError: the file is not local, or the keyword is not where it was.
    """
    path = Path(agent.spec.source_file)
    if not path.exists():
        raise ConfigError(f"Rule {agent.name} is defined in {agent.spec.source_file}, which is not a local file.")
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    first, last = _block(text, agent.spec.line)
    head = lines[first - 1]
    indent = head[: len(head) - len(head.lstrip())]
    reference = os.path.relpath(agent.script, path.parent)
    lines[first - 1 : last] = [f'{indent}script: "{reference}"\n']
    return path, text, "".join(lines)


def _block(text: str, line: int) -> tuple[int, int]:
    """First and last line of the block that the keyword at a line opens."""
    depth, last, opened, one_line_read = 0, line, False, False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
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
