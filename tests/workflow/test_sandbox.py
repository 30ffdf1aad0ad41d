"""The sandbox in real workflows: what works inside, what ends a script, and what a person is told."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from tests.loopback import ScriptedModel
from tests.workflow.processes import wait_for
from tests.workflow.project import Project, end, team

COPY = "open(snakemake.output[0], 'w').write(open(snakemake.input[0]).read())\n"


def frozen(project: Project, source: str, rule: str = "one") -> None:
    """Have a script approved for a rule, by hand."""
    project.write(f"agents/{rule}.py", source)
    done = project.llmagent("approve", rule, "--name", "A. Person")
    assert done, done.output


def one(project: Project, *, more: str = "", output: str = '"out.txt"', option: str = "") -> None:
    project.snakefile(
        f'rule one:\n    input: "in.txt"\n    output: {output}\n{textwrap.indent(more, "    ")}\n'
        f'    agent: "copy"{option}\n'
    )
    if not (project / "in.txt").exists():
        project.write("in.txt", "1\n")


def test_what_a_script_prints_cannot_play_with_the_terminal(project: Project) -> None:
    one(project)
    odd = (
        "import sys\nprint('\\x1b[2J\\x1b]0;title\\x07 one \\u202e two\\rthree')\nprint('\\x9b31m', file=sys.stderr)\n"
    )
    frozen(project, odd + COPY)
    for executor in ((), ("--executor", "llmagent")):
        (project / "out.txt").unlink(missing_ok=True)
        done = project.snakemake(*executor)
        assert done, done.output
        assert "\\x1b[2J\\x1b]0;title\\x07 one \\u202e two\nthree" in done.output
        assert "\\x9b31m" in done.output
        assert not {"\x07", "\x9b", "\u202e"} & set(done.output)
        assert "\x1b[2J" not in done.output


@pytest.mark.parametrize(
    ("resource", "excess", "said"),
    [
        ("mem_mb=200", "held = bytearray(600_000_000)\nheld[::4096] = b'x' * len(held[::4096])\n"
         "import time; time.sleep(30)\n", "more memory than its limit of 200.0 MB (`resources: mem_mb=200`)"),
        ("disk_mb=2", "import os\nfor n in range(50):\n    open(f'f{n}', 'wb').write(bytes(500_000))\n"
         "import time; time.sleep(30)\n", "wrote more than its limit of 2.0 MB (`resources: disk_mb=2`)"),
    ],
    ids=["memory", "disk"],
)  # fmt: skip
def test_limits_of_a_rule(project: Project, resource: str, excess: str, said: str) -> None:
    one(project, more=f"resources: {resource}")
    with ScriptedModel(team(excess + COPY, COPY)) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
        coder = [asked for asked in server.requests if asked.role == "coder"]
        assert said in coder[1].text, coder[1].text
    frozen(project, excess + COPY)
    (project / "out.txt").unlink()
    done = project.snakemake()
    assert not done
    assert said in " ".join(done.output.split()), done.output


def test_the_time_limit_of_a_trial(project: Project) -> None:
    one(project, option=", timeout=1.5")
    with ScriptedModel(team("import time; time.sleep(100)\n" + COPY, COPY)) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
        coder = [asked for asked in server.requests if asked.role == "coder"]
        assert "It ran longer than its limit of 1.5 s (`timeout=1.5` in a trial)" in coder[1].text, coder[1].text


def test_an_unusable_sandbox_is_refused_before_anything_runs(project: Project, tmp_path: Path) -> None:
    one(project)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "sh", "rm", "chmod", "git"):
        found = next((Path(place, name) for place in ("/usr/bin", "/bin") if Path(place, name).exists()), None)
        if found:
            (tools / name).symlink_to(found)
    project.env["PATH"] = str(tools)
    with ScriptedModel(team(COPY)) as server:
        project.uses(server)
        done = project.run("--llmagent-sandbox", "bwrap")
        assert not done
        assert "The sandbox bwrap does not work on this machine: bubblewrap (bwrap) is not installed" in done.output
        assert server.requests == []
    frozen(project, COPY)
    project.env["LLMAGENT_SANDBOX"] = "bwrap"
    done = project.snakemake()
    assert not done
    assert "bubblewrap (bwrap) is not installed" in done.output
    assert not (project / "out.txt").exists()


def test_files_in_all_sorts_of_places(project: Project, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "eos").mkdir()
    (tmp_path / "eos/a.txt").write_text("a")
    project.write("data/b.txt", "b")
    (project / "data/a.txt").symlink_to(tmp_path / "eos/a.txt")
    (project / "link.txt").symlink_to(tmp_path / "eos/a.txt")
    many = [f"many/{number}/{number}.txt" for number in range(150)]
    for number, name in enumerate(many):
        project.write(name, str(number))
    project.write("many/7/secret.txt", "secret")
    project.snakefile(f"""
        rule one:
            input:
                folder="data",
                link="link.txt",
                far="{tmp_path}/eos/a.txt",
                many=expand("many/{{n}}/{{n}}.txt", n=range(150)),
            output:
                far="{scratch}/deep/out.txt",
                folder=directory("made"),
                near="results/out.txt",
            log: "logs/one.log"
            agent: "gather"
    """)
    source = """
        import os
        from pathlib import Path
        read = lambda path: Path(path).read_text()
        assert sorted(os.listdir(snakemake.input.folder)) == ["a.txt", "b.txt"]
        text = read(snakemake.input.folder + "/a.txt") + read(snakemake.input.folder + "/b.txt")
        text += read(snakemake.input.link) + read(snakemake.input.far)
        assert [read(path) for path in snakemake.input.many] == [str(n) for n in range(150)]
        try:
            read(Path(snakemake.input.many[7]).resolve().with_name("secret.txt"))
            text += "secret"
        except OSError:
            pass
        Path(snakemake.output.folder, "sub").mkdir(parents=True)
        Path(snakemake.output.folder, "sub/x.txt").write_text("x")
        for path in (snakemake.output.far, snakemake.output.near, snakemake.log[0]):
            Path(path).write_text(text)
    """
    frozen(project, textwrap.dedent(source))
    for backend in ("bwrap", "landlock"):
        done = project.run("--llmagent-sandbox", backend, "--forceall", model="")
        assert done, done.output
        texts = [
            Path(scratch, "deep/out.txt").read_text(),
            project.read("results/out.txt"),
            project.read("logs/one.log"),
        ]
        assert texts == ["abaa"] * 3
        assert project.read("made/sub/x.txt") == "x"
        assert (project / "results/out.txt").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_symlinked_project_in_a_closed_home(project: Project) -> None:
    home = Path(project.environment()["HOME"])
    inside = Project(home / "analysis", project.env)
    inside.root.mkdir()
    home.chmod(0o700)
    one(inside)
    frozen(inside, "import os, sys\nassert not os.path.exists(os.path.expanduser('~/x'))\n" + COPY)
    link = project.root / "link"
    link.symlink_to(inside.root)
    for backend in ("bwrap", "landlock"):
        done = Project(link, inside.env).run("--llmagent-sandbox", backend, "--forceall", model="")
        assert done, done.output
        assert inside.read("out.txt") == "1\n"


def test_what_a_rule_does_not_declare_stays_behind(project: Project) -> None:
    one(project, output='directory("made")')
    spoil = (
        "import os\nos.mkdir('made')\nopen('made/x', 'w').write('x')\nopen(snakemake.input[0]).read()\n"
        "open('stray.txt', 'w').write('x')\n"
    )
    frozen(project, spoil + "os.symlink('/etc/passwd', 'made/users')\n")
    done = project.snakemake()
    assert not done
    assert "made" in done.output and "symbolic link" in done.output, done.output
    assert not (project / "made").exists()
    frozen(project, spoil)
    done = project.snakemake()
    assert done, done.output
    assert "not kept, because the rule does not declare them: stray.txt" in done.output
    assert not (project / "stray.txt").exists()


def test_readable_places_and_modules_beside_the_scripts(project: Project) -> None:
    one(project, option=', readable=["agents/cuts.py"]')
    project.write("agents/cuts.py", "CUT = 25\n")
    frozen(project, "import cuts\nopen(snakemake.input[0]).read()\nopen('out.txt', 'w').write(str(cuts.CUT))\n")
    done = project.snakemake()
    assert done, done.output
    assert project.read("out.txt") == "25"


def test_an_author_is_told_what_else_can_be_read(project: Project) -> None:
    one(project, option=', readable=["calib"]')
    project.write("calib/scale.txt", "1.01")
    source = (
        f"open(snakemake.input[0]).read()\nopen('out.txt', 'w').write(open('{project.root}/calib/scale.txt').read())\n"
    )
    with ScriptedModel(team(source)) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
        assert f"- `{project.root}/calib`" in server.requests[0].text
    assert project.read("out.txt") == "1.01"


def test_cores_are_as_many_as_threads(project: Project) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    one(project, more="threads: 1")
    frozen(project, "import os\nopen(snakemake.input[0]).read()\n"
                    "open('out.txt', 'w').write(str(len(os.sched_getaffinity(0))))\n")  # fmt: skip
    done = project.snakemake()
    assert done, done.output
    assert project.read("out.txt") == "1"


@pytest.mark.parametrize("backend", ["bwrap", "landlock", "none"])
def test_a_killed_snakemake_leaves_no_script_behind(project: Project, backend: str) -> None:
    """Not even one that left its session and cleared its environment."""
    one(project)
    marker = project / "in.txt"
    nap = f"7{os.getpid()}.5"
    frozen(
        project,
        f"""\
import os, time
open(snakemake.input[0]).read()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", "{nap}"], {{}})
    os._exit(0)
time.sleep(600)
""",
    )
    marker.write_text("1\n")
    project.env["LLMAGENT_SANDBOX"] = backend
    process = project.start("--cores", "1", "--executor", "llmagent")

    def napping() -> list[str]:
        found = (place.name for place in Path("/proc").iterdir() if place.name.isdigit())
        return [pid for pid in found if _command(pid) == ["sleep", nap]]

    try:
        wait_for(napping, "the script naps")
        os.kill(process.pid, signal.SIGKILL)
    finally:
        end(process)
    wait_for(lambda: not napping(), "the nap ends", 10)


def _command(pid: str) -> list[str]:
    try:
        return Path("/proc", pid, "cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def test_doctor(project: Project) -> None:
    project.env["OPENAI_API_KEY"] = "sk-CANARY-0123456789"
    done = project.llmagent("doctor")
    assert done, done.output
    assert "Scripts of models are confined here by" in done.output
    assert "CANARY" not in done.output
    assert sys.executable in done.output
    project.env["LLMAGENT_SANDBOX"] = "nonsense"
    assert project.llmagent("doctor").returncode == 10
