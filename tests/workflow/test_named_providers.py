"""Providers that a person has named, in runs of Snakemake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.loopback import CANARY, ScriptedModel
from tests.workflow.project import Project, team
from tests.workflow.test_secrets import ENVIRONMENT, SNAKEFILE, leaks, watched_processes

DIRECT = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
SMALL = """
rule agent:
    input: "in.csv"
    output: "agent.json"
    agent: "store the environment"
"""


@pytest.fixture
def table(project: Project) -> Project:
    project.snakefile(SNAKEFILE)
    project.write("in.csv", "x,y\n1,2\n3,4\n")
    project.write("scripts/environment.py", "import os\nopen(snakemake.output[0], 'w').write(repr(dict(os.environ)))\n")
    project.env |= {**DIRECT, "LAB_API_KEY": CANARY}
    return project


def lab(server: ScriptedModel, **more: object) -> str:
    entry = {"speaks": "openai", "base_url": f"{server.url}/v1", "key_variable": "LAB_API_KEY", **more}
    return yaml.safe_dump({"providers": {"lab": entry}})


def models(project: Project) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = yaml.safe_load(project.read("agents/agent.lock.yaml"))["models"]
    return found


def test_the_key_of_a_named_provider_reaches_nobody_else(table: Project) -> None:
    loud = ("--verbose", "--printshellcmds", "--show-failed-logs")
    with ScriptedModel(team(ENVIRONMENT), reported="claude-4-20260101") as server, watched_processes() as shown:
        table.write("llmagent.yaml", lab(server))
        trial = table.run(*loud, "--llmagent-record", "recordings", model="lab:claude")
        assert trial, trial.output
        assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
        assert leaks(table) == []
        # A gateway's alias is what was asked for; the lock tells who answered.
        assert models(table) == {
            role: {"asked": "lab:claude", "reported": "claude-4-20260101"} for role in ("coder", "supervisor")
        }
        asked = len(server.requests)
        (table / "agent.json").unlink()
        frozen = table.run(*loud, model="lab:claude")
        assert frozen, frozen.output
        assert leaks(table) == []
        (table / "agent.json").unlink()
        plain = table.snakemake(*loud, "agent.json")
        assert plain, plain.output
        assert leaks(table) == []
        assert len(server.requests) == asked
    assert shown == set()
    assert all(CANARY not in done.output for done in (trial, frozen, plain))


def test_prices_of_a_provider_are_what_budgets_count(table: Project) -> None:
    table.snakefile(SMALL.replace('"store the environment"', '"store the environment", budget="1 USD"'))
    with ScriptedModel(team(ENVIRONMENT)) as server:
        table.write("llmagent.yaml", lab(server))
        unpriced = table.run(model="lab:m")
        assert unpriced.returncode == 1 and "lab:m has no known price" in " ".join(unpriced.output.split())
        assert server.requests == []
        table.write("llmagent.yaml", lab(server, prices={"m": {"input": 2.5, "output": 10}}))
        (due,) = json.loads(table.llmagent("plan", "--model", "lab:m", "--json").output)["rules"]
        assert due["rule"] == "agent" and due["usd"]["high"] > due["usd"]["low"] > 0
        done = table.run(model="lab:m")
        assert done, done.output
        assert "has no known price" not in done.output
    usage, cost = (yaml.safe_load(table.read("agents/agent.lock.yaml"))[name] for name in ("usage", "cost"))
    expected = (2.5 * usage["input_tokens"] + 10 * usage["output_tokens"]) / 1e6
    assert float(cost["usd"]) == pytest.approx(expected)
    (model,) = json.loads(table.llmagent("costs", "--json").output)["by_model"]
    assert model["model"] == "lab:m" and float(model["usd"]) == pytest.approx(expected)


def test_the_key_is_withheld_from_scripts_where_a_workflow_asks_for_it(table: Project) -> None:
    """Under every executor: it is known by its variable, whatever its value is called."""
    table.snakefile(
        'import os\nenvvars: "LAB_API_KEY"\nconfig["copied"] = os.environ["LAB_API_KEY"]\n'
        + SMALL.replace("    agent:", '    params: which=os.environ["LAB_API_KEY"]\n    agent:')
    )
    script = """
import json
json.dump([snakemake.config, snakemake.params.which, open(snakemake.input[0]).read()], open(snakemake.output[0], "w"))
"""
    with ScriptedModel(team(script)) as server:
        table.write("settings/llmagent/config.yaml", lab(server))
        table.env["XDG_CONFIG_HOME"] = str(table / "settings")
        done = table.run(model="lab:claude")
        assert done, done.output
        withheld = table.json("agent.json")
        assert withheld[:2] == [{"copied": "[withheld]"}, "[withheld]"]
        assert all(CANARY not in asked.text for asked in server.requests)
        (table / "agent.json").unlink()
        assert table.snakemake()
        assert table.json("agent.json") == withheld


def test_a_file_that_is_named(table: Project, tmp_path: Path) -> None:
    """Its provider counts also where the frozen script runs in a Snakemake of its own."""
    table.snakefile(SMALL.replace("    agent:", '    shadow: "minimal"\n    agent:'))
    keys = tmp_path / "lab.env"
    keys.write_text(f'# of the lab\nHOST=lab\nexport LAB_API_KEY="{CANARY}"  # until May\n')
    keys.chmod(0o600)
    with ScriptedModel(team(ENVIRONMENT)) as server:
        table.write("lab.yaml", lab(server))
        del table.env["LAB_API_KEY"]
        chosen = ("--llmagent-providers", "lab.yaml", "--llmagent-key-file", str(keys))
        missing = table.run("--llmagent-providers", "lab.yaml", model="lab:claude")
        assert missing.returncode == 1
        assert "lab:claude needs a key. Set LAB_API_KEY in the environment" in missing.output
        done = table.run(*chosen, model="lab:claude")
        assert done, done.output
        table.env["LAB_API_KEY"] = CANARY
        (table / "agent.json").unlink()
        assert table.run(*chosen, model="lab:claude")
    assert leaks(table) == []


def test_what_is_wrong_is_said_before_any_job(table: Project) -> None:
    table.snakefile(SMALL)
    table.write("wrong.yaml", "providers:\n  lab:\n    speak: openai\n")
    done = table.run("--llmagent-providers", "wrong.yaml", model="lab:claude")
    assert done.returncode == 1 and "Traceback" not in done.output
    assert "wrong.yaml, line 3: provider `lab` has no setting `speak`. Did you mean `speaks`?" in done.output
    gone = table.run("--llmagent-providers", "gone.yaml", model="lab:claude")
    assert gone.returncode == 1 and "gone.yaml cannot be read: No such file" in gone.output
    (table / "wrong.yaml").rename(table / "llmagent.yaml")
    found = table.run(model="lab:claude")
    assert found.returncode == 1 and "llmagent.yaml, line 3" in found.output and "Traceback" not in found.output
    (table / "llmagent.yaml").unlink()
    unknown = table.run(model="lab:claude")
    assert unknown.returncode == 1
    assert "'lab:claude' does not name a model." in unknown.output
    assert "You can name providers of your own in llmagent.yaml" in unknown.output
    table.env["LLMAGENT_PROVIDERS"] = "lab.yaml"
    relative = table.snakemake()
    assert relative.returncode == 1 and "LLMAGENT_PROVIDERS: the path has to be absolute" in relative.output


def test_a_rule_names_a_provider_that_nobody_knows_here(table: Project) -> None:
    """It runs where it is frozen: who wrote it does not matter any more."""
    table.snakefile(SMALL.rstrip() + ', model="lab:claude"\n')
    with ScriptedModel(team(ENVIRONMENT)) as server:
        table.write("llmagent.yaml", lab(server))
        done = table.run(model="")
        assert done, done.output
    (table / "llmagent.yaml").unlink()
    (table / "agent.json").unlink()
    plain = table.snakemake()
    assert plain, plain.output


def test_what_a_provider_says_of_its_models(table: Project) -> None:
    """A small context makes the description small, and pictures go to those who read them."""
    table.snakefile(SMALL.replace('"agent.json"', '"agent.json", "plot.png"'))
    script = (
        ENVIRONMENT
        + """
import matplotlib.pyplot as plt
plt.plot([1, 2], [3, 4])
plt.xlabel("x")
plt.ylabel("y")
plt.savefig(snakemake.output[1])
"""
    )
    table.write("in.csv", ",".join(f"column_{number}" for number in range(2000)) + "\n" + ",".join(["1"] * 2000))
    with ScriptedModel(team(script)) as server:
        table.write("llmagent.yaml", lab(server, images=True, context_tokens=2000))
        done = table.run(model="lab:claude")
        assert done, done.output
        coder, supervisor = server.requests[0], server.requests[-1]
        assert "data:image/png;base64" in str(supervisor.body)
        assert coder.body["max_completion_tokens"] == 500
        small = len(coder.text)
        (table / "agents/agent.py").unlink()
        table.write("llmagent.yaml", lab(server, images=False))
        done = table.run("--llmagent-images", "--forceall", model="lab:claude")
        assert done, done.output
        assert "data:image/png;base64" not in str(server.requests[-1].body)
    large = next(asked for asked in server.requests[2:] if asked.role == "coder")
    assert small < 0.8 * len(large.text)
