"""Adds the keyword `agent:` to Snakemake's language.

This is the one place that uses the parser's internals. It runs while Snakemake itself is being imported, so it touches
`snakemake.parser` only; the two methods that compiled Snakefiles call are added to `Workflow` when the keyword is used
for the first time.

A rule

    rule fit:
        output: "fit.json"
        agent: "fit m_yy", max_attempts=3

compiles to

    @workflow.rule(name='fit', ...)
    @workflow.output("fit.json")
    @workflow.agent('fit', 'Snakefile', 3)("fit m_yy", max_attempts=3)
    @workflow.run
    def __rule_fit(input, output, ...):
        workflow.run_agent(...)
"""

from __future__ import annotations

import linecache
import re
import tokenize
from collections.abc import Iterator
from typing import Any

from snakemake import parser

from snakemake_executor_plugin_llmagent.host.wrong import AgentRuleError

KEYWORD = "agent"
_ARGUMENTS = (
    "rule, basedir, input, output, params, wildcards, threads, resources, log, config, conda_env, conda_base_path, "
    "container_img, singularity_args, env_modules, bench_record, jobid, bench_iteration, cleanup_scripts, shadow_dir, "
    "sourcecache_path, runtime_sourcecache_path, runtime_paths"
)


class Agent(parser.Script):  # type: ignore[misc]
    """The state of Snakemake's parser inside `agent:`."""

    end_func = "workflow.run_agent"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _extend_workflow()

    @property
    def keyword(self) -> str:
        """The word as it is written."""
        return KEYWORD

    def colon(self, token: Any) -> Iterator[Any]:
        """Note where the keyword stands, then go on as usual."""
        self.place = token.start[0]
        yield from super().colon(token)

    def start(self) -> Iterator[str]:
        """Open the call that gets the sentence and the options."""
        yield f"@workflow.agent({self.rulename!r}, {self.snakefile.path!r}, {self.place})("

    def args(self) -> Iterator[str]:
        """What the rule's body hands on."""
        yield _ARGUMENTS

    def end(self) -> Iterator[Any]:
        """Close the call and write the rule's body, without the sentence in it.

        Snakemake takes the source lines of the body for the rule's code, and their change for a changed program. Here
        the program is the script and the sentence has its digest, so the body counts as the line that names the rule.
        """
        self.cmd: list[Any] = []
        line = _line_of_rule(self.snakefile.path, self.rulename, self.place)
        where = tokenize.TokenInfo(tokenize.NAME, "", (line, 0), (line, 0), "")
        closing = True
        for text in super().end():
            yield text if closing else (text, where)
            closing = closing and text != ")"

    def decorate_end(self, token: Any) -> Iterator[Any]:
        """Complain if nothing follows the keyword."""
        if self.token is None:
            text = "Say what the rule is to do after `agent:`, as a string."
            raise AgentRuleError(text, file=self.snakefile.path, line=self.place)
        yield from super().decorate_end(token)


def _line_of_rule(path: str, name: str | None, before: int) -> int:
    """The line `rule NAME:` above another line; that line itself if it cannot be found."""
    heading = re.compile(rf"\s*(rule|checkpoint)\s+{re.escape(name or '')}\s*:")
    lines = linecache.getlines(str(path))[:before]
    for number in range(len(lines), 0, -1):
        if heading.match(lines[number - 1]):
            return number
    return before


def add_keyword() -> None:
    """Teach the parser the keyword; does nothing the second time."""
    parser.rule_run_subautomata.setdefault(KEYWORD, Agent)
    parser.Rule.subautomata.setdefault(KEYWORD, Agent)


def _extend_workflow() -> None:
    from snakemake.workflow import Workflow

    if not hasattr(Workflow, "agent"):
        from snakemake_executor_plugin_llmagent.host.declared import declare
        from snakemake_executor_plugin_llmagent.host.frozen import run_agent

        Workflow.agent = declare
        Workflow.run_agent = run_agent
