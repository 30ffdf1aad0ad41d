"""One authoring per rule, side by side for several rules, and the repair of a frozen script."""

from __future__ import annotations

import threading

from tests.loopback import Asked, Reply, ScriptedModel, guess_role, say
from tests.workflow.project import APPROVE, Project, fenced
from tests.workflow.scripts import by_rule, rule_of

COUNT = """
import json
from pathlib import Path

numbers = [float(line) for line in Path(snakemake.input[0]).read_text().split()[1:]]
Path(snakemake.output[0]).write_text(json.dumps({"sum": sum(numbers), "name": snakemake.wildcards.name}))
"""


def test_wildcard_rule_is_authored_once(project: Project) -> None:
    names = [f"s{number}" for number in range(12)]
    project.snakefile(f"""
        rule all:
            input: expand("out/{{name}}.json", name={names})

        rule total:
            input: "in/{{name}}.csv"
            output: "out/{{name}}.json"
            agent: "sum column x"
    """)
    for number, name in enumerate(names):
        project.write(f"in/{name}.csv", f"x\n{number}\n1\n")
    with ScriptedModel(by_rule({"total": COUNT})) as server:
        project.uses(server)
        done = project.run(cores=4)
        assert done, done.output
        assert [asked.role for asked in server.requests] == ["coder", "supervisor"]
        for number, name in enumerate(names):
            assert project.json(f"out/{name}.json") == {"sum": number + 1.0, "name": name}
        for name in names[:6]:
            (project / f"out/{name}.json").unlink()
        again = project.run(cores=4)
        assert again, again.output
        assert len(server.requests) == 2
    rest = project.snakemake()
    assert rest and "Nothing to be done" in rest.output


class Patient(ScriptedModel):
    """A model that answers coders two at a time; a coder that is alone gets no answer."""

    both = threading.Barrier(2)

    def answer(self, asked: Asked) -> Reply:
        if guess_role(asked) == "coder":
            self.both.wait(timeout=60)
        return super().answer(asked)


def test_independent_rules_are_authored_side_by_side(project: Project) -> None:
    project.snakefile("""
        rule all:
            input: "one.json", "two.json"

        rule one:
            input: "in.csv"
            output: "one.json"
            agent: "sum column x"

        rule two:
            input: "in.csv"
            output: "two.json"
            agent: "sum column y"
    """)
    project.write("in.csv", "x,y\n1,2\n")
    with Patient(by_rule()) as server:
        project.uses(server)
        done = project.run(cores=2)
        assert done, done.output
        assert len(server.requests) == 4
    assert not server.both.broken


NAME = """
import json
open(snakemake.input[0]).read()
json.dump({"name": snakemake.wildcards.name}, open(snakemake.output[0], "w"))
"""


def test_jobs_that_wait_for_a_script_hold_no_cores(project: Project) -> None:
    project.snakefile("""
        rule all:
            input: expand("many/{name}.json", name=list("abcdef")), "one.json"

        rule many:
            input: "in.csv"
            output: "many/{name}.json"
            priority: 1
            agent: "sum column x, and say the name"

        rule one:
            input: "in.csv"
            output: "one.json"
            agent: "sum column y"
    """)
    project.write("in.csv", "x,y\n1,2\n")
    with Patient(by_rule({"many": NAME})) as server:
        project.uses(server)
        done = project.run(cores=2)
        assert done, done.output
        assert len(server.requests) == 4
    assert not server.both.broken
    assert [project.json(f"many/{name}.json")["name"] for name in "abcdef"] == list("abcdef")


def test_jobs_that_wait_for_a_script_lose_nothing_if_it_fails(project: Project) -> None:
    project.snakefile("""
        rule all:
            input: expand("many/{name}.json", name=list("abcdef"))

        rule many:
            input: "in.csv"
            output: "many/{name}.json"
            agent: "sum column x", max_attempts=1
    """)
    project.write("in.csv", "x,y\n1,2\n")
    for name in "abcdef":
        project.write(f"many/{name}.json", "precious")
    with ScriptedModel(by_rule({"many": f"{NAME}\n1 / 0"})) as server:
        project.uses(server)
        done = project.run("--forceall", cores=2)
        assert not done
        assert len(server.requests) == 1
    left = [name for name in "abcdef" if (project / f"many/{name}.json").exists()]
    assert len(left) == 5, done.output


X_ONLY = """
import csv, json
rows = list(csv.DictReader(open(snakemake.input[0])))
json.dump({"sum": sum(float(row["x"]) for row in rows)}, open(snakemake.output[0], "w"))
"""
Y_ONLY = X_ONLY.replace('row["x"]', 'row["y"]')
EITHER = X_ONLY.replace('float(row["x"])', 'float(row["x"] if "x" in row else row["y"])')


def test_repair(project: Project) -> None:
    project.snakefile("""
        rule all:
            input: "out/a.json", "out/b.json"

        rule total:
            input: "in/{name}.csv"
            output: "out/{name}.json"
            priority: 1
            retries: 2
            log: "logs/{name}.log"
            agent: "sum the column"

        # `a` first.
        rule later:
            input: "out/a.json", "raw.csv"
            output: "in/b.csv"
            shell: "cp raw.csv {output}"
    """)
    project.write("in/a.csv", "x,z\n1,5\n")
    project.write("raw.csv", "y,z\n2,5\n")
    drafts = [X_ONLY, Y_ONLY, EITHER]

    def answer(asked: Asked) -> Reply | str:
        return say(APPROVE) if asked.role == "supervisor" else fenced(drafts.pop(0))

    with ScriptedModel(answer) as server:
        project.uses(server)
        done = project.run(cores=1)
        assert done, done.output
        asked = [request.text for request in server.requests if request.role == "coder"]
        assert len(asked) == 3
        assert "KeyError: 'x'" in asked[1]
        assert "With name=a, where the last script worked" in asked[2] and "KeyError: 'y'" in asked[2]
        assert [request.role for request in server.requests] == [
            "coder", "supervisor", "coder", "coder", "supervisor",
        ]  # fmt: skip
    assert project.json("out/a.json") == {"sum": 1.0}
    assert project.json("out/b.json") == {"sum": 2.0}
    assert project.states() == {"total": "frozen"}
    assert 'row["y"]' in project.read("agents/total.py")
    assert {event["event"] for event in project.events("total")} >= {"repair", "frozen"}


def test_no_repair_in_the_end(project: Project) -> None:
    """A script that cannot be mended fails as a job fails; `retries:` does not multiply the attempts."""
    project.snakefile("""
        rule total:
            input: "in.csv"
            output: "out.json"
            retries: 3
            log: "logs/total.log"
            agent: "sum column x", max_attempts=2
    """)
    project.write("in.csv", "y\n1\n")
    with ScriptedModel(by_rule({"total": X_ONLY})) as server:
        project.uses(server)
        done = project.run("--show-failed-logs")
        assert done.returncode == 1
        assert len([1 for asked in server.requests if rule_of(asked) == "total" and asked.role == "coder"]) == 2
    assert "was accepted in 2 attempts" in done.output
    assert "KeyError: 'x'" in done.output
    assert "Traceback" not in done.output
    assert not (project / "out.json").exists()
    assert not (project / "agents/total.py").exists()
