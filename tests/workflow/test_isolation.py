"""What docs/isolation.md says of each sandbox holds in every way that a script is run."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team

BACKENDS = ("bwrap", "bwrap-hostproc", "landlock", "none")
DOCS = Path(__file__).parents[2] / "docs" / "isolation.md"
SCRIPT = """
import json, os, socket, subprocess, tempfile
from pathlib import Path

facts = json.loads(Path(snakemake.input.facts).read_text())
seen = {}

def can(attempt):
    try:
        return "no" if attempt() is False else "yes"
    except (OSError, ImportError):
        return "no"

def connect(family, kind, address):
    with socket.socket(family, kind) as made:
        made.settimeout(2)
        made.connect(address)
        made.send(b"here")

def locks():
    import multiprocessing
    multiprocessing.get_context("fork").Lock()

def start(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def write(path, text="x"):
    Path(path).write_text(text)

seen["read its inputs"] = can(lambda: Path(snakemake.input.table).read_text() == "1,2\\n")
seen["change its inputs"] = can(lambda: os.close(os.open(snakemake.input.table, os.O_RDWR)))
seen["read other files of the project"] = can(lambda: Path(facts["project"], "other.txt").read_text())
seen["read the Snakefile, scripts and locks"] = can(lambda: Path(facts["project"], "Snakefile").read_text())
seen["read the home directory"] = can(lambda: Path(facts["home"], "secret").read_text())
seen["tell that a file elsewhere exists"] = can(lambda: os.path.exists(Path(facts["home"], "secret")))
can(lambda: write(Path(facts["project"], "made" + ".txt")))
seen["write elsewhere in the project"] = "from outside"
seen["read the places that `readable` names"] = can(lambda: Path(facts["calib"], "calib.txt").read_text())
seen["change the places that `readable` names"] = can(lambda: write(Path(facts["calib"], "new.txt")))
seen["see API keys"] = can(lambda: any("CANARY" in value for value in os.environ.values()))
seen["see other variables of your environment"] = can(lambda: "PERSONS_VARIABLE" in os.environ)
seen["connect to the network"] = can(lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", facts["tcp"])))
seen["send to the network without connecting"] = can(
    lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", facts["udp"])))
seen["use sockets of other programs"] = can(lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, facts["unix"]))
seen["see other processes"] = can(lambda: Path(f"/proc/{facts['process']}/cmdline").read_bytes() != b"")
seen["read the environment of other processes"] = can(lambda: Path(f"/proc/{facts['process']}/environ").read_bytes())
seen["send signals to other processes"] = can(lambda: os.kill(facts["process"], 0))
seen["write temporary files of its own"] = can(lambda: tempfile.NamedTemporaryFile().write(b"x"))
seen["write to /tmp itself"] = can(lambda: write(facts["tmp"]))
seen["leave files in the machine's /tmp"] = "from outside"
seen["start programs"] = can(lambda: start(["ls", "/usr"]))
from concurrent.futures import ThreadPoolExecutor
seen["use threads"] = can(lambda: ThreadPoolExecutor(2).submit(len, "").result() == 0)
seen["use locks and pools of `multiprocessing`"] = can(locks)
daemon = os.fork()
if daemon == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.environ.clear()
    for number in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), number)
    os.execve("/bin/sleep", ["sleep", facts["nap"]], {})
os.waitpid(daemon, 0)
seen["leave processes behind"] = "from outside"
Path(snakemake.output[0]).write_text(json.dumps(seen, indent=1))
"""
SNAKEFILE = """
rule look:
    input: table="in.csv", facts="facts.json"
    output: "seen.json"
    {more}
    agent: "look around", readable=["{calib}"]
"""


def table() -> dict[str, dict[str, str]]:
    """What a script can do → backend → yes or no, as the documentation says."""
    rows = [re.split(r"\s*\|\s*", line.strip("| \n")) for line in DOCS.read_text().splitlines() if line.startswith("|")]
    start = next(
        place for place, cells in enumerate(rows) if cells[0] == "a script can" and tuple(cells[1:]) == BACKENDS
    )
    found: dict[str, dict[str, str]] = {}
    for cells in rows[start + 2 :]:
        if len(cells) != len(BACKENDS) + 1:
            break
        found[cells[0]] = dict(zip(BACKENDS, cells[1:], strict=True))
    return found


class Surroundings:
    """What lies and listens around a project."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        home = Path(project.environment()["HOME"])
        (home / "secret").write_text("secret")
        self.calib = folder / "calib"
        self.calib.mkdir()
        (self.calib / "calib.txt").write_text("1")
        project.write("in.csv", "1,2\n")
        project.write("other.txt", "other")
        self.sockets = [socket.socket(kind, how) for kind, how in (
            (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM),
            (socket.AF_UNIX, socket.SOCK_STREAM))]  # fmt: skip
        tcp, udp, unix = self.sockets
        for each in (tcp, udp):
            each.bind(("127.0.0.1", 0))
        unix.bind(str(home / "agent"))
        for each in (tcp, unix):
            each.listen(50)
        self.victim = subprocess.Popen(("sleep", "600"))
        self.tmp = Path("/tmp") / f"llmagent-test-{os.getpid()}-{threading.get_ident()}"
        self.nap = f"6{os.getpid()}.25"
        facts = {
            "project": str(project.root), "home": str(home), "calib": str(self.calib), "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1], "unix": str(home / "agent"), "process": self.victim.pid, "tmp": str(self.tmp),
            "nap": self.nap,
        }  # fmt: skip
        project.write("facts.json", json.dumps(facts))
        project.env |= {"OPENAI_API_KEY": "sk-CANARY-0123456789", "PERSONS_VARIABLE": "1"}

    def close(self) -> None:
        self.victim.kill()
        self.victim.wait()
        for each in self.sockets:
            each.close()
        self.tmp.unlink(missing_ok=True)

    def seen(self) -> dict[str, str]:
        """What the script found it could do, and what it left."""
        found: dict[str, str] = self.project.json("seen.json")
        found["leave files in the machine's /tmp"] = "yes" if self.tmp.exists() else "no"
        naps = subprocess.run(("pgrep", "-f", f"sleep {self.nap}"), capture_output=True, text=True, check=False)
        made = self.project / "made.txt"
        found["write elsewhere in the project"] = "yes" if made.exists() else "no"
        made.unlink(missing_ok=True)
        found["leave processes behind"] = "yes" if naps.stdout.split() else "no"
        self.tmp.unlink(missing_ok=True)
        (self.project / "seen.json").unlink()
        return found


@pytest.fixture
def around(project: Project, tmp_path: Path) -> Iterator[Surroundings]:
    made = Surroundings(project, tmp_path)
    yield made
    made.close()


def differences(seen: dict[str, str], backend: str, way: str) -> list[str]:
    said = table()
    assert set(seen) == set(said), "the script and the documentation speak of the same things"
    return [
        f"{way}, {backend}: a script can {name}: {value}, but docs/isolation.md says {said[name][backend]}"
        for name, value in seen.items()
        if value != said[name][backend]
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_script_can_do(around: Surroundings, backend: str) -> None:
    project = around.project
    project.snakefile(SNAKEFILE.format(more="", calib=around.calib))
    with ScriptedModel(team(SCRIPT)) as server:
        project.uses(server)
        project.env["OPENAI_API_KEY"] = "sk-CANARY-0123456789"
        done = project.run("--llmagent-sandbox", backend, "--llmagent-supervisor", "none", cores=1)
        assert done, done.output
        wrong = differences(around.seen(), backend, "trial")
    assert ("THE SANDBOX IS SWITCHED OFF" in done.output) == (backend == "none")
    locked = project.read("agents/look.lock.yaml")
    assert f"backend: {backend}" in locked

    done = project.run("--llmagent-sandbox", backend, cores=1, model="")
    assert done, done.output
    wrong += differences(around.seen(), backend, "approved script, --executor llmagent")

    project.env["LLMAGENT_SANDBOX"] = backend
    done = project.snakemake(cores=1)
    assert done, done.output
    wrong += differences(around.seen(), backend, "approved script, plain snakemake")

    for more in ('shadow: "minimal"', 'benchmark: "bench.tsv"'):
        project.snakefile(SNAKEFILE.format(more=more, calib=around.calib))
        done = project.run("--llmagent-sandbox", backend, cores=1, model="")
        assert done, done.output
        wrong += differences(around.seen(), backend, f"approved script, {more}")
    assert not wrong, "\n".join(wrong)


FAKE_APPTAINER = """\
#!{python}
# Stands in for Apptainer: shows what it is told to bind, and runs the command.
import os, sys
if "--version" in sys.argv:
    print("apptainer version 1.3.0")
    sys.exit()
words = sys.argv[sys.argv.index("exec") + 1 :]
binds, rest = [], []
while words:
    word = words.pop(0)
    if word == "--bind":
        outside, _, inside = words.pop(0).partition(":")
        binds += ["--ro-bind", outside, inside or outside]
    elif word in ("--home", "--pwd"):
        words.pop(0)
    else:
        rest = [word, *words]
        break
command = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/mnt", *binds, "--chdir", os.getcwd(), *rest[1:]]
os.execvp("bwrap", command)
"""


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap stands in for a container")
def test_inside_a_container(around: Surroundings, tmp_path: Path) -> None:
    """No Apptainer is needed: what stands in for it shows the same files in the same places."""
    project = around.project
    project.write("image.sif", "an image\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apptainer").write_text(FAKE_APPTAINER.format(python=sys.executable))
    (tools / "apptainer").chmod(0o755)
    (tools / "python").symlink_to(sys.executable)
    project.env["PATH"] = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    project.snakefile(SNAKEFILE.format(more='container: "image.sif"', calib=around.calib))
    with ScriptedModel(team(SCRIPT)) as server:
        project.uses(server)
        project.env["OPENAI_API_KEY"] = "sk-CANARY-0123456789"
        done = project.run("--llmagent-supervisor", "none", "--sdm", "apptainer", cores=1)
    assert done, done.output
    wrong = differences(around.seen(), "landlock", "trial in a container")
    assert "backend: landlock" in project.read("agents/look.lock.yaml")
    done = project.snakemake("--sdm", "apptainer", cores=1)
    assert done, done.output
    wrong += differences(around.seen(), "landlock", "approved script in a container")
    assert not wrong, "\n".join(wrong)
