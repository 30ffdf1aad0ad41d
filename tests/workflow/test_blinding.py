"""Data of blinded rules are seen by nobody but an approved script, after a person has opened them to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from tests.loopback import ScriptedModel
from tests.workflow.project import Done, Project, team
from tests.workflow.repeat import repeat

HIDDEN = ("125.123456", "31337", "canary")
"""A mass, event numbers and texts that only rows in the window have, each in digits that nothing else has."""
SCRIPT = """
import json
import pyarrow.parquet as pq

rows = pq.read_table(snakemake.input.data).to_pylist()
others = [pq.read_table(path).num_rows for path in snakemake.input if path != snakemake.input.data]
print(rows)
with open(snakemake.output.fit, "w") as sink:
    json.dump({"n": len(rows), "rows": rows, "others": others}, sink)
"""
SNAKEFILE = """
rule all:
    input: "results/report.txt"

rule report:
    input: "results/fit.json"
    output: "results/report.txt"
    shell: "cp {input} {output}"

rule fit:
    input: data="data.parquet", signal="signal.parquet"
    output: fit="results/fit.json"
    log: "logs/fit.log"
    agent:
        "count the events",
        blind={"mass": (120, 130), "inputs": ["data"]},
        checks="look.py:at_everything",
"""
LOOK = """
import pyarrow.parquet as pq

def at_everything(job):
    told = [pq.read_table(path).to_pylist() for path in job.input], open(job.output.fit).read(), job.log
    return [{"message": repr(told), "severity": "warning"}]
"""


def write_data(path: Path, **more: Any) -> None:
    """Five events to see, and three to hide."""
    mass = [100.5, 119.999, 120.0, 125.123456, 129.999, 130.0, 150.25, 160.75]
    event = [1, 2, 3133701, 3133702, 3133703, 6, 7, 8]
    name = ["a", "b", "canary-1", "canary-2", "canary-3", "f", "g", "h"]
    names = pa.array(name).dictionary_encode()
    table = pa.table({"mass": mass, "event": event, "name": name, "kind": names, **more})
    pq.write_table(table.replace_schema_metadata({"n_events": "3133702", "kept": "as it is"}), path)


@pytest.fixture
def blinded(project: Project) -> Project:
    project.snakefile(SNAKEFILE)
    project.write("look.py", LOOK)
    write_data(project / "data.parquet")
    pq.write_table(pa.table({"mass": np.linspace(124, 126, 5)}), project / "signal.parquet")
    return project


def texts_of(path: Path) -> str:
    """What a file holds: its bytes, and values that it holds in another form."""
    found = path.read_bytes().decode("latin-1")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        found += f"{table.to_pylist()} {table.schema.metadata}"
    return found


def leaks(project: Project, *allowed: str) -> list[str]:
    """Files of the project and of its home, but for those allowed, that hold something hidden."""
    home = project.root.with_name(f"{project.root.name}-home")
    files = [path for folder in (project.root, home) for path in folder.rglob("*") if path.is_file()]
    known = {project / name for name in allowed}
    assert any(".snakemake" in path.parts for path in files)
    return [str(path) for path in files if path not in known and any(part in texts_of(path) for part in HIDDEN)]


def said(server: ScriptedModel) -> list[str]:
    """Requests in which something hidden stands."""
    bodies = [json.dumps(asked.body) for asked in server.requests]
    return [body for body in bodies if any(part in body for part in HIDDEN)]


def stages(project: Project) -> list[Path]:
    """What is left of stages and twins."""
    folder = project / ".snakemake/llmagent/stages"
    return list(folder.iterdir()) if folder.exists() else []


def pending(project: Project) -> set[str]:
    ((status, output),) = repeat([(project.root, ["-n"])], project.environment())
    assert status == 0, output
    return set(re.findall(r"^rule (\w+):$", output, re.MULTILINE)) - {"all"}


def unblind(project: Project) -> Done:
    done = project.llmagent("unblind", "fit", "--name", "Ada")
    assert done, done.output
    return done


def events(project: Project, name: str = "results/fit.json") -> list[int]:
    return [row["event"] for row in project.json(name)["rows"]]


SEEN, ALL = [1, 2, 6, 7, 8], [1, 2, 3133701, 3133702, 3133703, 6, 7, 8]


def test_from_blinded_to_unblinded_and_back(blinded: Project) -> None:
    project = blinded
    with ScriptedModel(team(SCRIPT)) as server:
        project.uses(server)
        done = project.run("--llmagent-supervision", "full", "--llmagent-record", "recordings")
        assert done, done.output
        assert len(server.requests) == 3
        assert said(server) == []
        for asked in server.requests[1:]:
            assert "`mass` in [120, 130)" in asked.text and "The data are blinded" in asked.text
            assert "the file's own text 'n_events' is blank" in asked.text
        assert "'rows'" not in done.output and "BLINDED (mass in [120, 130))" in done.output
        assert leaks(project, "data.parquet") == [] and stages(project) == []
        assert events(project) == SEEN == events(project, "results/report.txt")
        assert project.json("results/fit.json")["others"] == [5], "simulation is whole"
        assert pending(project) == set()
        # As long as nobody opens the data, jobs run on twins, or not at all.
        again = project.run("--llmagent-locked", "--forcerun", "fit", model="")
        assert again and events(project) == SEEN and "llmagent unblind fit" in again.output
        assert not any(part in again.output for part in HIDDEN)
        for mode in ((), ("--executor", "local")):
            refused = project.snakemake("--forcerun", "fit", *mode)
            assert refused.returncode == 1, refused.output
            assert "llmagent unblind fit" in refused.output and "--executor llmagent" in refused.output
        assert project.run("--forcerun", "fit", model="")
        assert leaks(project, "data.parquet") == [] and stages(project) == []
        assert len(server.requests) == 3

    assert project.llmagent("eject", "fit").returncode == 5
    assert "blinded: mass in [120, 130)" in project.llmagent("show", "fit").output
    unblind(project)
    assert "unblinded already" in unblind(project).output
    assert "unblinded by Ada" in project.llmagent("status", "--json").output
    lock = json.loads(project.llmagent("show", "fit", "--json").output)["lock"]
    assert lock["blind"]["hidden"] == {"windows": {"mass": [120, 130]}, "inputs": ["data"]}
    assert lock["blind"]["unblinded"]["script_digest"] == lock["script_digest"]
    assert pending(project) == {"fit", "report"}
    done = project.snakemake()  # no model, no key, no executor of ours
    assert done and events(project) == ALL, done.output
    assert leaks(project, "data.parquet", "results/fit.json", "results/report.txt") == []
    assert pending(project) == set()

    # Another script has to be unblinded anew.
    script = project / "agents/fit.py"
    script.write_text(script.read_text() + "\nprint('edited')\n")
    assert pending(project) == {"fit", "report"}
    assert "llmagent unblind fit" in project.snakemake().output
    refused = project.llmagent("unblind", "fit")
    assert refused.returncode == 5 and "llmagent approve fit" in refused.output
    done = project.run("--forcerun", "fit", model="")
    assert done and events(project) == SEEN, done.output
    assert project.llmagent("approve", "fit", "--name", "Ada")
    assert "; blinded: mass" in project.llmagent("status", "--json").output
    assert pending(project) == set()
    unblind(project)
    assert project.snakemake() and events(project) == ALL
    # And so has what is asked for.
    project.snakefile(SNAKEFILE.replace("120", "110"))
    assert project.states() == {"fit": "stale"}
    assert project.llmagent("approve", "--stale", "fit", "--name", "Ada")
    done = project.run(model="")
    assert done and events(project) == [1, 6, 7, 8], done.output


EVERY_FORMAT = """
import json
import numpy as np
import pandas as pd
import uproot

found = {}
for path in snakemake.input:
    if path.endswith(".root"):
        with uproot.open(path) as file:
            found[path] = [file["t"].arrays(library="np"), file["h_mass"].to_numpy()]
    elif path.endswith(".npz"):
        with np.load(path) as file:
            found[path] = {name: file[name].tolist() for name in file.files}
    elif path.endswith(".csv"):
        found[path] = pd.read_csv(path).to_dict()
    else:
        import pathlib
        place = pathlib.Path(path)
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        found[path] = [json.loads(each.read_text()) for each in files]
print(found)
with open(snakemake.output[0], "w") as sink:
    sink.write(repr(found))
"""


def test_every_format(project: Project) -> None:
    mass, event = np.array([100.5, 125.123456, 150.0]), np.array([1, 31337, 3])
    rows = [
        {"mass": m, "event": int(e), "name": f"canary-{e}" if e == 31337 else "x"}
        for m, e in zip(mass, event, strict=True)
    ]
    np.savez(project / "a.npz", mass=mass, event=event, largest=31337)
    (project / "a.csv").write_text("mass,event\n" + "".join(f"{m},{e}\n" for m, e in zip(mass, event, strict=True)))
    (project / "a.json").write_text(json.dumps({"rows": rows, "largest": 31337, "note": "canary 1"}))
    (project / "folder").mkdir()
    (project / "folder/b.json").write_text(json.dumps(rows))
    with uproot.recreate(project / "a.root") as file:
        file["t"] = {"mass": mass, "event": event}
        file["h_mass"] = np.array([1.0, 31337.0, 1.0]), np.array([100.0, 120.0, 130.0, 150.0])
    data = ["a.npz", "a.csv", "a.json", "a.root", "folder"]
    project.snakefile(f"""
        rule fit:
            input: data={data!r}
            output: "out.txt"
            agent: "show", blind={{"windows": {{"mass": (120, 130)}}, "inputs": ["data"]}}
    """)
    with ScriptedModel(team(EVERY_FORMAT)) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
        assert said(server) == [] and not any(part in done.output for part in HIDDEN)
    text = project.read("out.txt")
    assert all(part not in text for part in HIDDEN) and text.count("150") >= 5
    assert leaks(project, *data[:4], "folder/b.json") == [] and stages(project) == []
    unblind(project)
    assert project.snakemake()
    assert project.read("out.txt").count("31337") >= 8 and "canary" in project.read("out.txt")


FRAGILE = SCRIPT + '\nassert all(not 120 <= row["mass"] < 130 for row in rows), rows\n'


def test_a_script_that_fails_on_opened_data_is_not_shown_to_a_model(blinded: Project) -> None:
    with ScriptedModel(team(FRAGILE)) as server:
        blinded.uses(server)
        assert blinded.run("results/fit.json")
        unblind(blinded)
        before = len(server.requests)
        done = blinded.run("results/fit.json", "--llmagent-max-attempts", "2")
        assert done.returncode == 1
        assert "fails on its data, and not on their twins" in " ".join(done.output.split())
        assert len(server.requests) == before
    assert leaks(blinded, "data.parquet", "logs/fit.log") == []
    repairs = [event for event in blinded.events("fit") if event["event"] == "repair"]
    assert len(repairs) == 1 and "withheld" in repairs[0]["error"]
    assert stages(blinded) == []


SEVERAL = """
rule all:
    input: expand("results/{n}.json", n=["one", "two"])

rule after_the_first:
    input: "results/one.json", more="later.parquet"
    output: "two.parquet"
    shell: "cp {input.more} {output}"

rule fit:
    input: data="{n}.parquet"
    output: fit="results/{n}.json"
    agent: "count the events", blind={"mass": (120, 130)}
"""
SHORT = SCRIPT.replace("print(rows)", 'print(rows, [row["more"] for row in rows])')


def test_repairs_are_made_on_twins_of_every_job(project: Project) -> None:
    project.snakefile(SEVERAL)
    write_data(project / "one.parquet", more=range(8))
    write_data(project / "later.parquet")
    with ScriptedModel(team(SHORT, SCRIPT)) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
        assert [asked.role for asked in server.requests] == ["coder", "supervisor"] * 2
        assert said(server) == []
    assert events(project, "results/one.json") == events(project, "results/two.json") == SEEN
    assert leaks(project, "one.parquet", "two.parquet", "later.parquet") == [] and stages(project) == []


def test_a_repair_closes_opened_data(project: Project) -> None:
    project.snakefile(SEVERAL)
    write_data(project / "one.parquet", more=range(8))
    write_data(project / "later.parquet")
    with ScriptedModel(team(SHORT, SCRIPT)) as server:
        project.uses(server)
        assert project.run("results/one.json")
        unblind(project)
        assert project.run("results/one.json") and events(project, "results/one.json") == ALL
        done = project.run("results/two.json")
        assert done.returncode == 1 and "was mended on twins" in done.output, done.output
        assert said(server) == [] and len(server.requests) == 4
        assert not (project / "results/two.json").exists()
        unblind(project)
        done = project.snakemake()
        assert done, done.output
    assert events(project, "results/one.json") == events(project, "results/two.json") == ALL


def test_in_a_shadow_directory_and_with_inputs_elsewhere(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_data(elsewhere / "data.parquet")
    project.snakefile(f"""
        rule fit:
            input: data="{elsewhere}/data.parquet"
            output: fit="results/fit.json"
            shadow: "minimal"
            benchmark: "bench.txt"
            agent: "count the events", blind={{"mass": (120, 130)}}
    """)
    with ScriptedModel(team(SCRIPT)) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
        assert said(server) == [] and events(project) == SEEN
    unblind(project)
    assert project.snakemake() and events(project) == ALL


OWN = """
import pyarrow.parquet as pq

def half(source, target):
    table = pq.read_table(source)
    pq.write_table(table.filter(pq.pc.less(table["mass"], 120)) if False else table.slice(0, 2), target)

def link(source, target):
    import os
    os.link(source, target)

def same(source, target):
    import shutil
    shutil.copy(source, target)

def nothing(source, target):
    raise ValueError(open(source, "rb").read())
"""


def rule(blind: str, inputs: str = 'data="data.parquet", signal="signal.parquet"', more: str = "") -> str:
    return (
        f'rule fit:\n    input: {inputs}\n    output: fit="results/fit.json"\n    agent: "count", blind={blind}{more}\n'
    )


@pytest.mark.parametrize(
    ("blind", "seen"),
    [('{"mc_only": True, "inputs": ["data"]}', []), ('{"function": "own.py:half", "inputs": ["data"]}', [1, 2])],
)
def test_no_data_at_all_and_twins_of_ones_own(blinded: Project, blind: str, seen: list[int]) -> None:
    blinded.snakefile(rule(blind))
    blinded.write("own.py", OWN)
    with ScriptedModel(team(SCRIPT)) as server:
        blinded.uses(server)
        done = blinded.run()
        assert done, done.output
        assert said(server) == []
    assert events(blinded) == seen and blinded.json("results/fit.json")["others"] == [5]
    assert leaks(blinded, "data.parquet") == [] and stages(blinded) == []
    unblind(blinded)
    assert blinded.snakemake() and events(blinded) == ALL


CLOSED = {
    "unknown column": (rule('{"m_yy": (120, 130)}'), "no input has a column or an axis 'm_yy'"),
    "column not in data": (rule('{"m": (1, 2), "inputs": ["data"]}'), "data.parquet can be made: it has no column"),
    "format": (
        rule('{"mass": (120, 130), "inputs": ["notes"]}', 'data="data.parquet", notes="notes.txt"'),
        "notes.txt can be made: nothing can be hidden in files of its format",
    ),
    "format that may be data": (
        rule('{"mass": (120, 130)}', 'data="data.parquet", notes="notes.txt"'),
        "notes.txt can be made: it is of no format into which we can look",
    ),
    "other input": (
        rule('{"mass": (120, 130), "inputs": ["data"]}', 'data="data.parquet", whole="folder"'),
        "its input folder shows the data of data.parquet",
    ),
    "readable": (
        rule('{"mass": (120, 130), "inputs": ["data"]}', 'data="folder/link.parquet"', ', readable=["folder"]'),
        "shows the data of folder/link.parquet",
    ),
    "own function fails": (rule('{"function": "own.py:nothing", "inputs": ["data"]}'), "ValueError in line"),
    "own function links": (rule('{"function": "own.py:link", "inputs": ["data"]}'), "what it wrote is the data"),
    "own function copies": (rule('{"function": "own.py:same", "inputs": ["data"]}'), "what it wrote is the data"),
    "sandbox": (rule('{"mass": (120, 130)}', 'data="data.parquet"'), "the sandbox is switched off"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOSED)
def test_what_cannot_be_hidden_is_not_shown(blinded: Project, case: str) -> None:
    snakefile, words = CLOSED[case]
    blinded.snakefile(snakefile)
    blinded.write("own.py", OWN)
    blinded.write("notes.txt", "canary")
    (blinded / "folder").mkdir()
    (blinded / "folder/link.parquet").symlink_to(blinded / "data.parquet")
    with ScriptedModel(team(SCRIPT)) as server:
        blinded.uses(server)
        more = ("--llmagent-sandbox", "none") if case == "sandbox" else ()
        done = blinded.run(*more)
        assert done.returncode == 1
        assert words in " ".join(done.output.split()), done.output
        assert server.requests == []
    assert not any(part in done.output for part in HIDDEN)
    assert leaks(blinded, "data.parquet", "notes.txt", "folder/link.parquet") == [] and stages(blinded) == []


PARSED = {
    "no such input": (rule('{"mass": (120, 130), "inputs": ["date"]}'), "names the input 'date'; the inputs are: data"),
    "which are data": (rule('"mc_only"'), "has to say which inputs are data"),
    "which are data, own": (rule('"own.py:half"'), "has to say which inputs are data"),
    "two at once": (rule('{"mc_only": True, "windows": {"mass": (1, 2)}}'), "one of them"),
    "nothing to blind": (rule('"mc_only"').replace("input:", "params:"), "is blinded, but has no input"),
}


@pytest.mark.parametrize("case", PARSED)
def test_errors_at_parse_time(blinded: Project, case: str) -> None:
    snakefile, words = PARSED[case]
    blinded.snakefile(snakefile)
    blinded.write("own.py", OWN)
    ((status, output),) = repeat([(blinded.root, ["-n"])], blinded.environment())
    assert status == 1 and words in " ".join(output.split()), output


def test_unblind_is_for_frozen_blinded_rules(blinded: Project) -> None:
    refused = blinded.llmagent("unblind", "fit")
    assert refused.returncode == 5 and "missing, not frozen" in refused.output
    blinded.snakefile(SNAKEFILE.replace('blind={"mass": (120, 130), "inputs": ["data"]},', ""))
    refused = blinded.llmagent("unblind", "fit")
    assert refused.returncode == 2 and "is not blinded" in refused.output
