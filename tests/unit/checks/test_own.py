from __future__ import annotations

import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.checks import own_checks, run_checks
from snakemake_executor_plugin_llmagent.checks.own import OwnCheck, load
from snakemake_executor_plugin_llmagent.errors import Cancelled, ConfigError
from snakemake_executor_plugin_llmagent.protocols import Finding, Item, RunAside, Severity
from tests.unit.sandbox.support import alive, number_in, wait_for
from tests.unit.support import a_job, a_spec, a_trial, an_execution, run_aside

STAYS = f"""
    import subprocess, time
    def c(job):
        child = subprocess.Popen(
            [{sys.executable!r}, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
        print(child.pid, file=open("child", "w"), flush=True)
        time.sleep(600)
"""


def assert_gone(tmp_path: Path) -> None:
    """What `STAYS` started is gone."""
    child = number_in(tmp_path / "child")
    assert wait_for(lambda: not alive(child))


def called(tmp_path: Path, body: str, run: RunAside | None = None, **changes: Any) -> tuple[Finding, ...]:
    """The findings of a check `c` in a file `checks/c.py` of a project."""
    folder = tmp_path / "checks"
    folder.mkdir(exist_ok=True)
    (folder / "c.py").write_text(textwrap.dedent(body))
    stage = tmp_path / "stage"
    stage.mkdir(exist_ok=True)
    (stage / "fit.txt").write_text("42")
    spec = a_spec(checks=(load("checks/c.py:c", tmp_path),))
    trial = a_trial(stage, spec=spec, **changes)
    return run_checks(own_checks(trial, run or run_aside()), trial)


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_check_is_read_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text("def c(job): ...\n")
    document = load("c.py:c", tmp_path)
    assert (document.label, document.path, document.text) == ("c.py:c", tmp_path / "c.py", "def c(job): ...\n")
    assert load(f"{tmp_path / 'c.py'}:c", Path("/")).text == document.text


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("c.py", "is not of the form 'path.py:function'"),
        ("c.txt:c", "is not of the form"),
        ("c.py:", "is not of the form"),
        ("c.py:a b", "is not of the form"),
        (":c", "is not of the form"),
        ("none.py:c", "cannot be read: .*No such file"),
        ("folder.py:c", "cannot be read"),
        ("c.py:d", "has no function 'd' .* it has: c, e"),
        ("c.py:K", "has no function 'K'"),
        ("c.py:inner", "has no function 'inner'"),
        ("broken.py:c", "is not valid Python: .*broken.py, line 2"),
        ("null.py:c", "is not valid Python"),
        ("latin.py:c", "is not a text in UTF-8"),
        ("empty.py:c", "it has: none"),
    ],
)
def test_a_check_that_cannot_be_read(tmp_path: Path, label: str, message: str) -> None:
    (tmp_path / "c.py").write_text("def c(job): ...\nclass K: ...\ndef e(job):\n    def inner(): ...\n")
    (tmp_path / "broken.py").write_text("x = 1\ndef c(:\n")
    (tmp_path / "null.py").write_text("x = '\0'\n")
    (tmp_path / "latin.py").write_bytes(b"# \xb5\ndef c(job): ...\n")
    (tmp_path / "empty.py").touch()
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ConfigError, match=message):
        load(label, tmp_path)


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "def c(job): ...",
        "def c(job): return None",
        "def c(job): return []",
        "def c(job): return ()",
        "def c(job):\n    assert open(job.output.fit).read() == '42'",
        "def c(job):\n    if False:\n        yield 'x'",
    ],
)
def test_checks_that_find_nothing(tmp_path: Path, body: str) -> None:
    assert called(tmp_path, body) == ()


ERROR, WARNING = Severity.ERROR, Severity.WARNING


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("def c(job): return ['too low', 'too high']", [("too low", ERROR), ("too high", ERROR)]),
        ("def c(job): return 'too low'", [("too low", ERROR)]),
        ("def c(job): return {'message': 'm'}", [("m", ERROR)]),
        ("def c(job): return [{'message': 'm', 'severity': 'warning'}]", [("m", WARNING)]),
        ("def c(job): return [{'message': 'm', 'severity': 'whatever'}]", [("m", ERROR)]),
        ("def c(job): return [{'text': 'm'}]", [("{'text': 'm'}", ERROR)]),
        ("def c(job): return [3]", [("3", ERROR)]),
        (
            "from types import SimpleNamespace as N\ndef c(job): return [N(message='m', severity='warning')]",
            [("m", WARNING)],
        ),
        (
            "def c(job):\n    yield 'a'\n    yield {'message': 'b', 'severity': 'warning'}",
            [("a", ERROR), ("b", WARNING)],
        ),
        ("def c(job): return ['a\\x1b[2Jb\\u202e']", [("a\\x1b[2Jb\\u202e", ERROR)]),
    ],
)
def test_what_a_check_finds(tmp_path: Path, body: str, expected: list[tuple[str, Severity]]) -> None:
    findings = called(tmp_path, body)
    assert [(finding.message, finding.severity) for finding in findings] == expected
    assert {finding.check for finding in findings} == {"check.checks/c.py:c"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "def c(job):\n    chi2 = 9\n    assert chi2 < 2, f'chi2 is {chi2}'",
            "AssertionError: chi2 is 9 (in `assert chi2 < 2, f'chi2 is {chi2}'`, line 3 of c.py)",
        ),
        ("def c(job):\n    assert False", "AssertionError:  (in `assert False`, line 2 of c.py)"),
        ("def c(job): job.output.plot", "AttributeError: no file named 'plot'; there are ['fit']"),
        ("def c(job): open('nowhere.txt')", "FileNotFoundError: "),
        ("def c(job):\n    yield 'a'\n    raise ValueError('late')", "ValueError: late"),
    ],
)
def test_what_a_check_raises_is_a_finding(tmp_path: Path, body: str, expected: str) -> None:
    (finding,) = called(tmp_path, body)
    assert finding.message.startswith(expected)
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import nowhere_to_be_found\ndef c(job): ...", "ModuleNotFoundError"),
        ("def c(job): ...\nraise RuntimeError('at import')", "at import"),
        ("def c(job): ...\nc = 3", "not callable"),
        ("def c(): ...", "takes 0 positional arguments but 1 was given"),
        ("def c(job): ...\ndel c", "AttributeError"),
        ("def c(job): return True", "returns None or a list of texts, not True"),
        ("def c(job): return False", "returns None or a list of texts, not False"),
        ("def c(job): return 0", "not 0"),
        ("import sys\ndef c(job): sys.exit(0)", "cannot be run"),
        ("import os\ndef c(job): os._exit(0)", "cannot be run"),
    ],
)
def test_a_check_that_is_wrong_itself_ends_the_session(tmp_path: Path, body: str, message: str) -> None:
    """No script could satisfy it."""
    with pytest.raises(ConfigError, match=message):
        called(tmp_path, body)


# --- what a check is given ------------------------------------------------------------------------------------------


def test_what_a_check_is_told(tmp_path: Path) -> None:
    body = """
        def c(job):
            return [
                job.rule, job.input.data, job.input[0], job.output.fit, job.output[0], job.script, job.log,
                str(job.params), str(job.wildcards), str(len(job.output)),
            ]
    """
    job = a_job(
        tmp_path,
        outputs=(Item(name="fit", path="fit.txt"),),
        params={"lumi": 139.0, "[0]": tmp_path},
        wildcards={"sample": "ggf"},
    )
    said = [f.message for f in called(tmp_path, body, job=job, source="x = 1\n", execution=an_execution(log="chi2"))]
    data, fit = str(tmp_path / "data.txt"), str(tmp_path / "stage" / "fit.txt")
    assert said[:7] == ["fit", data, data, fit, fit, "x = 1\n", "chi2"]
    assert said[7:] == [str({"lumi": 139.0, "[0]": str(tmp_path)}), "{'sample': 'ggf'}", "1"]


def test_a_list_of_files_has_one_name(tmp_path: Path) -> None:
    inputs = (*(Item(name="data", path=f"{n}.txt") for n in "abc"), Item(name=None, path="d.txt"))
    body = "def c(job): return [str(len(job.input)), *map(str, job.input.data)]"
    said = [finding.message for finding in called(tmp_path, body, job=a_job(tmp_path, inputs=inputs, outputs=()))]
    assert said == ["4", *(str(tmp_path / f"{n}.txt") for n in "abc")]


def test_a_check_finds_its_neighbours_and_not_ours(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "helper.py").write_text("limit = 7\n")
    body = """
        import helper
        def c(job):
            try:
                import files
            except ImportError:
                return [str(helper.limit)]
    """
    assert [finding.message for finding in called(tmp_path, body)] == ["7"]


def test_a_check_runs_in_the_project_and_leaves_nothing(tmp_path: Path) -> None:
    body = "import os\ndef c(job): print('noise'); return [os.getcwd()]"
    assert [finding.message for finding in called(tmp_path, body)] == [str(tmp_path)]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["c.py", "checks", "fit.txt", "stage"]


def test_a_check_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    # It is its children's start that takes the time, hence no shorter limit.
    with pytest.raises(ConfigError, match="did not end within the time limit of the rule"):
        called(tmp_path, STAYS, run=run_aside(seconds=3.0))
    assert_gone(tmp_path)


def test_a_check_is_ended_when_the_run_is_cancelled(tmp_path: Path) -> None:
    cancelled = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(called, tmp_path, STAYS, run=run_aside(cancelled=cancelled))
        number_in(tmp_path / "child")
        cancelled.set()
        with pytest.raises(Cancelled):
            calling.result(timeout=2.0)
    assert_gone(tmp_path)


@pytest.mark.parametrize("name", ["select", "json", "socket"])
def test_a_check_may_be_called_like_a_module_of_the_standard_library(tmp_path: Path, name: str) -> None:
    """The example in docs/further.md is in a file `select.py`."""
    further = (Path(__file__).parents[3] / "docs" / "further.md").read_text()
    example = further.partition("# checks/select.py\n")[2].partition("```")[0]
    assert "def enough_events(job):" in example
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / f"{name}.py").write_text(example)
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    found = []
    for rows in (101, 100):
        parquet.write_table(pyarrow.table({"pt": list(range(rows))}), tmp_path / "events.parquet")
        spec = a_spec(checks=(load(f"checks/{name}.py:enough_events", tmp_path),))
        trial = a_trial(tmp_path, (Item(name="events", path="events.parquet"),), spec=spec)
        found.append([finding.message for finding in run_checks(own_checks(trial, run_aside()), trial)])
    assert found[0] == []
    assert [message.partition(" (in")[0] for message in found[1]] == [
        "AssertionError: only 100 events are left; is pT in MeV?"
    ]


def test_a_check_may_define_dataclasses(tmp_path: Path) -> None:
    """They look their module up by its name."""
    body = """
        from __future__ import annotations
        from dataclasses import dataclass
        @dataclass
        class Found:
            message: str
        def c(job):
            return [Found("m")]
    """
    assert [finding.message for finding in called(tmp_path, body)] == ["m"]


def test_a_check_gets_the_name_that_the_rule_gives_it(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text("def c(job): return ['x']\n")
    trial = a_trial(tmp_path, job=a_job(tmp_path, outputs=()))
    (finding,) = OwnCheck(load("c.py:c", tmp_path), run_aside())(trial)
    assert finding.check == "check.c.py:c"
