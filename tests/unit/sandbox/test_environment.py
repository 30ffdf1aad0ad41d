"""What of the environment reaches a script."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.config import KEY_VARIABLES
from snakemake_executor_plugin_llmagent.protocols import Layout, Program
from snakemake_executor_plugin_llmagent.sandbox.environment import ALLOWED, everything, wish
from snakemake_executor_plugin_llmagent.sandbox.order import Wish
from tests.unit.conftest import MakeSandbox
from tests.unit.sandbox.support import Stand
from tests.unit.support import FileTask, a_job

CANARY = "canary-0123456789"
SECRETS = (
    *KEY_VARIABLES, "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "X509_USER_PROXY", "KRB5CCNAME", "SSH_AUTH_SOCK",
    "SLURM_JOB_ID", "http_proxy", "HTTPS_PROXY", "LD_PRELOAD", "PYTHONSTARTUP", "MY_PASSWORD", "OPENAI_BASE_URL",
    "SNAKEMAKE_OUTPUT_CACHE", "PYTHONBREAKPOINT", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY",
)  # fmt: skip


def wished(outer: dict[str, str], managed: bool = False, **added: str) -> Wish:
    return wish(scratch=Path("/s"), managed=managed, outer=outer, added=added)


def test_no_secret_is_on_the_list() -> None:
    assert not ALLOWED & set(SECRETS)
    assert not {name for name in ALLOWED if "KEY" in name or "TOKEN" in name or "PASS" in name or "PROXY" in name}


@given(st.dictionaries(st.text("ABCKEYTOKN_", min_size=1), st.just(CANARY)))
def test_no_value_of_ours_is_written_down(outer: dict[str, str]) -> None:
    """An order is a file: it names what is kept, and holds nothing of it."""
    assert CANARY not in repr(wished({**outer, **dict.fromkeys(SECRETS, CANARY)}))
    assert CANARY not in repr(wished({**outer, **dict.fromkeys(SECRETS, CANARY)}, managed=True))


def test_what_is_prepared_for_a_script_is_its_own() -> None:
    found = wished({"HOME": "/home/somebody", "XDG_CACHE_HOME": "/home/somebody/.cache"})
    places = {name: found.set[name] for name in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    assert places == {"MPLCONFIGDIR": "/s/matplotlib", "NUMBA_CACHE_DIR": "/s/numba", "XDG_CACHE_HOME": "/s"}
    assert (found.set["MPLBACKEND"], found.set["TERM"]) == ("Agg", "dumb")
    assert not {"HOME", "TMPDIR"} & {*found.keep, *found.set}, "the supervisor's to set"


def test_the_job_adds_to_it() -> None:
    assert wished({}, OMP_NUM_THREADS="4").set["OMP_NUM_THREADS"] == "4"


def test_only_an_environment_manager_may_add() -> None:
    outer = {"PATH": "/bin", "B": "2"}
    assert wished(outer).known is None
    assert wished(outer, managed=True).known == ("B", "PATH")
    assert outer == {"PATH": "/bin", "B": "2"}


def test_packages_of_the_person_are_found_although_the_home_is_another() -> None:
    expected = site.getuserbase() if site.ENABLE_USER_SITE else None
    assert wished({}).set.get("PYTHONUSERBASE") == expected


def test_programs_of_the_persons_own_get_everything() -> None:
    found = everything({"A": "1", "HOME": "/home/somebody"})
    assert (found.keep, found.known, dict(found.set)) == ((), None, {"A": "1", "HOME": "/home/somebody"})


@pytest.mark.parametrize("backend", ["landlock", "none"])
def test_everything_is_really_everything(tmp_path: Path, backend: str) -> None:
    source = "import os; print(os.environ['HOME'], os.environ['A'], 'LLMAGENT_TRIAL' in os.environ)"
    outer = {"PATH": os.defpath, "A": "1", "HOME": "/home/somebody"}
    stand = Stand(tmp_path / "room", backend)
    words = stand.words(source)
    stand.order(environment=everything(outer)).write(stand.folder / "order.json")
    done = subprocess.run(words, cwd=stand.stage, env={**outer, "LLMAGENT_TRIAL": "x"}, check=False)
    assert done.returncode == 0
    assert stand.log.read_text() == "/home/somebody 1 False\n"


# --- with the real sandbox --------------------------------------------------------------------------------------------

WALLS = pytest.mark.parametrize("wanted", ["auto", "landlock", "none"])


@WALLS
def test_a_script_and_its_children_see_no_secret(tmp_path: Path, make_sandbox: MakeSandbox, wanted: str) -> None:
    outer = {**os.environ, **dict.fromkeys(SECRETS, CANARY)}
    outer.pop("LD_PRELOAD")
    source = (
        "import os, subprocess\nprint(dict(os.environ))\nsubprocess.run(['env'], check=True)\n"
        "for name in os.listdir('/proc/self/task') if os.access('/proc/self/task', os.R_OK) else ():\n"
        "    print(open(f'/proc/self/environ').read())\n"
    )
    task = FileTask(a_job(tmp_path, inputs=()), sys.executable)
    _, execution = make_sandbox(outer=outer, wanted=wanted).run(task, source, tmp_path / "stages" / "one")
    assert execution.succeeded, execution.log
    assert "PATH" in execution.log and CANARY not in execution.log and "LLMAGENT" not in execution.log


class Managed(FileTask):
    """Its software environment is entered by a shell, as those of conda and environment modules are."""

    def program(self, source: str, layout: Layout) -> Program:
        made = super().program(source, layout)
        added = "export CONDA_PREFIX=/env GSL_HOME=/gsl PGPASSWORD=hidden DATABASE=sql://me:hidden@host OUTER=new"
        enter = ("bash", "-c", f'{added}; exec "$@"', "llmagent")
        return Program(text=made.text, lines_before=made.lines_before, python=made.python, enter=enter, managed=True)


@WALLS
def test_what_an_environment_manager_adds(tmp_path: Path, make_sandbox: MakeSandbox, wanted: str) -> None:
    outer = {"PATH": os.environ["PATH"], "OUTER": "old", "SOMETHING_ELSE": CANARY}
    source = "import os; print(sorted((k, v) for k, v in os.environ.items()))"
    task = Managed(a_job(tmp_path, inputs=()), sys.executable)
    _, execution = make_sandbox(outer=outer, wanted=wanted).run(task, source, tmp_path / "stages" / "one")
    assert execution.succeeded, execution.log
    assert "('CONDA_PREFIX', '/env')" in execution.log and "('GSL_HOME', '/gsl')" in execution.log
    assert "hidden" not in execution.log and CANARY not in execution.log and "OUTER" not in execution.log


@WALLS
def test_home_is_empty_and_gone_afterwards(tmp_path: Path, make_sandbox: MakeSandbox, wanted: str) -> None:
    source = (
        "import os, pathlib, tempfile\nhome = pathlib.Path.home()\nprint('HOME', home)\n"
        "print('FILES', os.listdir(home), sorted(os.listdir(tempfile.gettempdir())))\n"
        "(home / 'x').touch()\ntempfile.mkstemp()\n"
    )
    task = FileTask(a_job(tmp_path, inputs=()), sys.executable)
    _, execution = make_sandbox(wanted=wanted).run(task, source, tmp_path / "stages" / "one")
    assert execution.succeeded, execution.log
    assert "FILES [] ['cache', 'modules']" in execution.log
    home = Path(execution.log.splitlines()[0].removeprefix("HOME "))
    assert not home.exists()
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["one"]
