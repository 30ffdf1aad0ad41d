"""What nobody approved does not run, and what a person wrote or approved is not lost."""

from __future__ import annotations

from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team

WRITE = "open(snakemake.output[0], 'w').write('x')\n"
RULE = 'rule r:\n    output: "out.txt"\n    agent: "{spec}"{options}\n'


def test_a_changed_blank_does_not_approve_a_waiting_script(project: Project) -> None:
    project.snakefile(RULE.format(spec="write", options=', approve="person"'))
    with ScriptedModel(team(WRITE)) as server:
        project.uses(server)
        assert not project.run()
    script = project / "agents/r.py"
    script.write_text(script.read_text() + "\n# formatted\n")
    assert project.states() == {"r": "awaiting"}
    for done in (project.snakemake(), project.run(model="")):
        assert not done
        assert "llmagent approve r" in done.output
        assert not (project / "out.txt").exists()
    assert project.llmagent("approve", "r", "--name", "A. Physicist")
    assert project.snakemake()
    assert project.read("out.txt") == "x"


def test_a_script_that_a_person_approved_is_kept_when_it_is_replaced(project: Project) -> None:
    project.snakefile(RULE.format(spec="write", options=""))
    mine = "open(snakemake.output[0], 'w').write('mine')\n"
    project.write("agents/r.py", mine)
    assert project.llmagent("approve", "r", "--name", "A. Physicist")
    project.snakefile(RULE.format(spec="write something else", options=""))
    assert project.states() == {"r": "stale"}
    with ScriptedModel(team(WRITE)) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
    assert project.read("agents/r.edited-1.py") == mine
    assert "r.edited-1.py" in done.output
    assert project.read("out.txt") == "x"


def test_what_a_person_approved_is_mended_but_a_person_approves_it_again(project: Project) -> None:
    project.snakefile("""
        rule all:
            input: "out/a.txt"

        rule r:
            input: "in/{n}.txt"
            output: "out/{n}.txt"
            agent: "copy"
    """)
    project.write("in/a.txt", "hello")
    project.write("agents/r.py", "open(snakemake.output[0], 'w').write(open(snakemake.input[0]).read()[99])\n")
    assert project.llmagent("approve", "r", "--name", "A. Physicist")
    copy = "open(snakemake.output[0], 'w').write(open(snakemake.input[0]).read())"
    with ScriptedModel(team(copy)) as server:
        project.uses(server)
        done = project.run()
        assert not done
        assert "llmagent approve r" in done.output
    assert project.states() == {"r": "awaiting"}
    assert (project / "agents/r.edited-1.py").exists()


def test_locked_also_for_jobs_that_a_checkpoint_leads_to(project: Project) -> None:
    project.snakefile("""
        def listed(wildcards):
            return open(checkpoints.list.get().output[0]).read().split()

        rule all:
            input: listed

        checkpoint list:
            output: "list.txt"
            shell: "echo out.txt > {output}"

        rule r:
            output: "out.txt"
            agent: "write"
    """)
    project.write("agents/r.py", WRITE)
    done = project.run("--llmagent-locked", model="")
    assert not done
    assert "--llmagent-locked: agent rule r is edited" in done.output
    assert not (project / "out.txt").exists()


def test_a_rule_that_replaces_one_of_a_module_leaves_the_modules_script_alone(project: Project) -> None:
    project.write("mod/Snakefile", RULE.format(spec="write", options=""))
    with ScriptedModel(team(WRITE)) as server:
        project.uses(server)
        done = project.run("-s", "mod/Snakefile")
        assert done, done.output
        before = project.read("mod/agents/r.lock.yaml")
        project.snakefile("""
            module m:
                snakefile: "mod/Snakefile"

            use rule * from m

            use rule r from m with:
                output: "out.csv"
        """)
        done = project.run("out.csv")
        assert done, done.output
    assert project.read("out.csv") == "x"
    assert project.read("mod/agents/r.lock.yaml") == before
    assert "frozen" in project.llmagent("status", "-s", "mod/Snakefile").output


def test_rules_that_are_named_in_a_loop(project: Project) -> None:
    project.snakefile("""
        rule all:
            input: "one.txt", "two.txt"

        for name in ("one", "two"):
            rule:
                name: f"write_{name}"
                output: f"{name}.txt"
                agent: f"write {name}"
    """)
    with ScriptedModel(team(WRITE)) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
    assert project.states() == {"write_one": "frozen", "write_two": "frozen"}
    assert (project / "agents/write_one.py").exists()
