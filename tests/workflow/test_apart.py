"""What a candidate writes outside its stage is noticed, whoever it belongs to."""

from __future__ import annotations

import textwrap

from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team

SNAKEFILE = """
from pathlib import Path
place = str(Path(workflow.basedir))
rule all:
    input: "old.txt", "new.txt", "side.txt"
rule prepare:
    output: "in.txt", "side.txt"
    shell: "echo 1 > in.txt; echo 1 > side.txt"
rule old:
    input: "in.txt"
    output: "old.txt"
    agent: "copy"
rule new:
    input: "in.txt", "old.txt"
    output: "new.txt"
    params: place=place
    agent: "copy again"
"""
COPY = "open(snakemake.output[0], 'w').write(open(snakemake.input[0]).read())\n"
READ = "from pathlib import Path\n[Path(path).read_text() for path in snakemake.input]\n"


def test_finished_results_and_frozen_scripts_are_not_open_to_candidates(project: Project) -> None:
    project.snakefile(SNAKEFILE)
    touch = "path = Path(snakemake.params.place, {!r})\npath.write_text(path.read_text() + '# changed\\n')\n"
    spoils = [READ + touch.format(name) + COPY for name in ("side.txt", "agents/old.py", "agents/old.lock.yaml")]
    with ScriptedModel(team(COPY, *spoils, READ + COPY)) as server:
        project.uses(server)
        # In a sandbox nothing is changed: the next test. Without, what was changed is noticed.
        done = project.run("--llmagent-max-attempts", "5", "--llmagent-sandbox", "none", cores=1)
    assert done, done.output
    found = [event["findings"] for event in project.events("new") if event["event"] == "attempt"]
    errors = [[finding for finding in findings if finding["severity"] == "error"] for findings in found]
    assert [[finding["check"] for finding in each] for each in errors] == [["project.changed"]] * 3 + [[]], found
    changed = [each[0]["message"] for each in errors if each]
    assert all(name in text for name, text in zip(("side.txt", "old.py", "old.lock.yaml"), changed, strict=True))


def test_rules_that_are_written_at_the_same_time_do_not_blame_each_other(project: Project) -> None:
    names = ("a", "b", "c", "d")
    rules = "".join(
        textwrap.dedent(f"""
            rule {name}:
                input: "in.txt"
                output: temp("{name}.txt")
                log: "{name}.log"
                agent: "copy {name}"
        """)
        for name in names
    )
    inputs = ", ".join(f'"{name}.txt"' for name in names)
    project.snakefile(f"rule all:\n    input: 'end.txt'\nrule end:\n    input: {inputs}\n    output: 'end.txt'\n"
                      f"    agent: 'copy'\n{rules}")  # fmt: skip
    project.write("in.txt", "1\n")
    slow = "import time\ntime.sleep(0.5)\n" + READ + COPY
    with ScriptedModel(team(slow)) as server:
        project.uses(server)
        done = project.run("--llmagent-max-attempts", "1", cores=4)
    assert done, done.output
