from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.config import KEY_VARIABLES
from snakemake_executor_plugin_llmagent.sandbox.environment import ALLOWED, clean_environment
from tests.unit.conftest import MakeSandbox
from tests.unit.support import FileTask, a_job

CANARY = "canary-0123456789"
SECRETS = (
    *KEY_VARIABLES, "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "X509_USER_PROXY", "KRB5CCNAME", "SSH_AUTH_SOCK",
    "SLURM_JOB_ID", "http_proxy", "HTTPS_PROXY", "LD_PRELOAD", "PYTHONSTARTUP", "MY_PASSWORD", "OPENAI_BASE_URL",
    "SNAKEMAKE_OUTPUT_CACHE", "PYTHONBREAKPOINT",
)  # fmt: skip
ROOM = {"home": Path("/h"), "scratch": Path("/s"), "cache": Path("/c"), "token": "t"}


def cleaned(outer: dict[str, str], **added: str) -> dict[str, str]:
    return clean_environment(
        outer, home=Path("/h"), scratch=Path("/s"), cache=Path("/c"), token="run-1", added=added
    )  # fmt: skip


@given(st.dictionaries(st.text("ABCKEYTOKN_", min_size=1), st.just(CANARY)))
def test_what_is_not_on_the_list_does_not_pass(outer: dict[str, str]) -> None:
    shown = cleaned({**outer, **dict.fromkeys(SECRETS, CANARY)})
    assert {name for name, value in shown.items() if value == CANARY} <= ALLOWED | {n for n in outer if n[:3] == "LC_"}


def test_programs_and_language_pass() -> None:
    shown = cleaned({"PATH": "/bin", "LC_ALL": "C.UTF-8", "LANG": "C", "CONDA_PREFIX": "/env"})
    assert (shown["PATH"], shown["LC_ALL"], shown["LANG"], shown["CONDA_PREFIX"]) == ("/bin", "C.UTF-8", "C", "/env")


def test_home_and_temporary_files_are_the_trials_own() -> None:
    shown = cleaned({"HOME": "/home/somebody", "TMPDIR": "/tmp", "XDG_CACHE_HOME": "/home/somebody/.cache"})
    assert (shown["HOME"], shown["TMPDIR"], shown["XDG_CACHE_HOME"]) == ("/h", "/s", "/s")
    assert shown["MPLBACKEND"] == "Agg"


def test_the_job_adds_to_it_but_cannot_take_the_mark_away() -> None:
    shown = cleaned({}, OMP_NUM_THREADS="4", LLMAGENT_TRIAL="none")
    assert shown["OMP_NUM_THREADS"] == "4"
    assert shown["LLMAGENT_TRIAL"] == "run-1"


def test_the_environment_that_was_given_stays_as_it_is() -> None:
    outer = {"PATH": "/bin", "OPENAI_API_KEY": CANARY}
    cleaned(outer)
    assert outer == {"PATH": "/bin", "OPENAI_API_KEY": CANARY}


def test_a_script_and_its_children_see_no_secret(tmp_path: Path, make_sandbox: MakeSandbox) -> None:
    outer = {**os.environ, **dict.fromkeys(SECRETS, CANARY)}
    outer.pop("LD_PRELOAD")
    source = "import os, subprocess\nprint(dict(os.environ))\nsubprocess.run(['env'], check=True)\n"
    task = FileTask(a_job(tmp_path, inputs=()), sys.executable)
    _, execution = make_sandbox(outer=outer).run(task, source, tmp_path / "stages" / "one")
    assert execution.succeeded, execution.log
    assert "PATH" in execution.log and CANARY not in execution.log


def test_home_is_empty_and_gone_afterwards(tmp_path: Path, make_sandbox: MakeSandbox) -> None:
    source = (
        "import os, pathlib, tempfile\nhome = pathlib.Path.home()\nprint('HOME', home)\n"
        "print('FILES', os.listdir(home), os.listdir(tempfile.gettempdir()))\n"
        "(home / 'x').touch()\ntempfile.mkstemp()\n"
    )
    task = FileTask(a_job(tmp_path, inputs=()), sys.executable)
    _, execution = make_sandbox().run(task, source, tmp_path / "stages" / "one")
    assert execution.succeeded, execution.log
    assert "FILES [] []" in execution.log
    home = Path(execution.log.splitlines()[0].removeprefix("HOME "))
    assert not home.exists()
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["one"]
