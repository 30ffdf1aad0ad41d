"""A wrong script, sent back by the checks, and then a right one, which is frozen: with real Snakemake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.problems import Problem, inputs_of, load, mutants
from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team

SEMANTIC, WEIGHTS = "semantic error", "all data weights = 0"
SENT_BACK = (
    ("mass_fit", "at_limit", "contract.fit_valid", SEMANTIC),
    ("select_events", "negative_dropped", "weights.one_sign", SEMANTIC),
    ("histogram", "unweighted", "contract.yields_conserved", SEMANTIC),
    ("upper_limit", "bands_reversed", "contract.limit_ordering", SEMANTIC),
    ("cutflow", "yield_counts", "weights.ignored", WEIGHTS),
    ("normalise", "raw_events", "script.unused_column", SEMANTIC),
    ("categorise", "overlapping", "contract.yields_conserved", SEMANTIC),
    ("plot", "no_labels", "script.axis_label", SEMANTIC),
    ("significance", "unweighted_signal", "weights.ignored", WEIGHTS),
    ("systematics", "both_up", "variation.size", SEMANTIC),
)
"""Task, the wrong script that is written first, the finding that sends it back, and its class."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    root = tmp_path / "project"
    root.mkdir()
    yield Project(root)


def snakefile(problem: Problem) -> str:
    """The rule as an analyst writes it."""
    lines = [f"rule {problem.name}:"]
    for section, entries in (("input", problem.inputs), ("output", problem.outputs), ("params", problem.params)):
        if entries:
            lines += [f"    {section}:", *(f"        {name}={value!r}," for name, value in entries.items())]
    lines += ["    agent:", '        spec_file="sentence.md",']
    for option, calls in (("checks", problem.contracts), ("probes", problem.probes)):
        if calls is not None:
            lines.append(f"        {option}=[{', '.join(calls)}],")
    return "\n".join(lines) + "\n"


def attempts(project: Project, rule: str) -> list[Mapping[str, Any]]:
    return [event for event in project.events(rule) if event["event"] == "attempt"]


@pytest.mark.parametrize(("task", "wrong", "finding", "coarse"), SENT_BACK)
def test_a_wrong_script_is_sent_back_and_a_right_one_frozen(
    project: Project, store: Path, task: str, wrong: str, finding: str, coarse: str
) -> None:
    problem = load(task)
    mutant = next(one for one in mutants(task) if one.name == wrong)
    for path in inputs_of(problem, store).iterdir():
        (project / path.name).symlink_to(path)
    project.write("sentence.md", problem.text)
    project.snakefile(snakefile(problem))
    targets = [path.format(**problem.wildcards) for path in problem.outputs.values()]
    with ScriptedModel(team(mutant.script(problem.right), problem.right)) as server:
        project.uses(server)
        done = project.run(*targets)
        assert done, done.output
        roles = [asked.role for asked in server.requests]
    assert roles == ["coder", "coder", "supervisor"], "nobody is asked to review what the checks send back"
    first, second = attempts(project, task)
    stopped = [finding for finding in first["findings"] if finding["severity"] == "error"]
    assert stopped and not first["accepted"] and first["review"] is None
    assert first["class"] == {"coarse": coarse, "fine": finding}
    feedback = server.requests[1].text
    assert finding in feedback
    for one in stopped:
        assert one["check"] in feedback and one["message"] in feedback
    assert second["accepted"] and second["number"] == 2 and second["class"] is None
    assert not [finding for finding in second["findings"] if finding["severity"] == "error"]
    assert project.states() == {task: "frozen"}
    assert project.read(f"agents/{task}.py").rstrip() == problem.right.rstrip()
    assert all((project / target).is_file() for target in targets)
