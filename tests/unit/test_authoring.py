from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.authoring import Supervision, Workshop, author, try_out
from snakemake_executor_plugin_llmagent.errors import AttemptsExhausted, Cancelled, ModelUnavailable, SandboxUnavailable
from snakemake_executor_plugin_llmagent.formats import describe
from snakemake_executor_plugin_llmagent.progress import NOTE
from snakemake_executor_plugin_llmagent.protocols import (
    Access,
    Ending,
    Execution,
    FileDescription,
    Finding,
    Layout,
    Sandbox,
    Severity,
    Task,
    Trial,
)
from snakemake_executor_plugin_llmagent.roles import Attempt, Coder, Draft, Supervisor
from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.session import Session
from snakemake_executor_plugin_llmagent.spec import Document
from tests.unit.conftest import MakeSandbox
from tests.unit.support import (
    APPROVE,
    REVISE,
    FileTask,
    Scripted,
    a_job,
    a_spec,
    an_execution,
    fenced,
    names,
    run_aside,
)

USES = "data, fit = snakemake.input.data, snakemake.output.fit"


def script(tag: str) -> str:
    """A script that a fake sandbox knows by its last line."""
    return f"{USES}\n# {tag}\n"


@dataclass
class Behaviour:
    """What a fake sandbox makes of a script: files in the stage, and how it ended."""

    files: Mapping[str, str] = field(default_factory=lambda: {"results/fit.txt": "42"})
    execution: Execution = field(default_factory=an_execution)
    failure: BaseException | None = None


class FakeSandbox:
    """Runs nothing: writes the files that a table says."""

    name = "fake"

    def __init__(self, table: Mapping[str, Behaviour | Sequence[Behaviour]]) -> None:
        self._table = {tag: list(b) if isinstance(b, Sequence) else [b] for tag, b in table.items()}
        self.ran: list[str] = []
        self.stages: list[Path] = []

    def run(self, task: Task, source: str, stage: Path) -> tuple[Layout, Execution]:
        tag = source.strip().rpartition("# ")[2]
        assert not stage.exists(), "every trial starts in an empty stage"
        stage.mkdir(parents=True)
        self.ran.append(tag)
        self.stages.append(stage)
        planned = self._table.get(tag, [Behaviour()])
        behaviour = planned.pop(0) if len(planned) > 1 else planned[0]
        for name, text in behaviour.files.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).write_text(text)
        if behaviour.failure is not None:
            raise behaviour.failure
        paths = {item.path: item.path for item in (*task.job.inputs, *task.job.outputs)}
        return Layout(stage=stage, links={}, paths=paths), behaviour.execution


class Shop:
    """A workshop with scripted models, and what was said in it."""

    def __init__(
        self,
        folder: Path,
        sandbox: Sandbox,
        *drafts: str,
        reviews: Sequence[str] | None = None,
        supervision: Supervision = Supervision.REVIEW,
        attempts: int = 5,
        look: Callable[[Path], FileDescription] = describe,
    ) -> None:
        self.coder = Scripted(*drafts)
        self.supervisor = None if reviews is None else Scripted(*reviews, name="openai:reviewer")
        self.told: list[str] = []
        self.workshop = Workshop(
            coder=Coder(self.coder),
            supervisor=None if self.supervisor is None else Supervisor(self.supervisor),
            supervision=supervision,
            sandbox=sandbox,
            read_ahead=lambda paths: None,
            describe=look,
            gates=(),
            run_aside=run_aside(),
            context=lambda spec, task: f"BRIEF of {spec.rule}",
            show_outputs=self._show,
            session=Session(folder / "session"),
            stages=folder / "stages",
            discard=layout.remove,
            tell=lambda text, step=NOTE: self.told.append(text),
            max_attempts=attempts,
        )

    def _show(self, trial: Trial) -> str:
        return "OUTPUTS" if trial.layout is not None else "NOT RUN"

    @property
    def silent(self) -> bool:
        return self.coder.silent and (self.supervisor is None or self.supervisor.silent)

    @property
    def events(self) -> list[dict[str, Any]]:
        path = self.workshop.session.directory / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    @property
    def attempts(self) -> list[list[str]]:
        return [[f["check"] for f in event["findings"]] for event in self.events if event["event"] == "attempt"]

    @property
    def left(self) -> list[Path]:
        return list(self.workshop.stages.glob("*"))


@pytest.fixture
def task(tmp_path: Path) -> FileTask:
    project = tmp_path / "project"
    project.mkdir()
    (project / "data.txt").write_text("m_yy 125.1\n")
    return FileTask(a_job(project), sys.executable)


def draft(tag: str) -> str:
    return fenced(script(tag))


# --- one attempt ----------------------------------------------------------------------------------------------------


def test_a_candidate_that_passes_is_returned_with_its_stage(tmp_path: Path, task: FileTask) -> None:
    sandbox = FakeSandbox({})
    shop = Shop(tmp_path, sandbox, draft("good"), reviews=[APPROVE])
    attempt = author(shop.workshop, a_spec(), task)
    assert attempt.accepted and attempt.number == 1
    assert attempt.layout is not None
    assert (attempt.layout.stage / "results/fit.txt").read_text() == "42"
    assert attempt.review is not None and attempt.review.comments == "it does what is asked"
    assert shop.silent


def test_the_coder_sees_the_brief_and_the_reviewer_the_trial(tmp_path: Path, task: FileTask) -> None:
    shop = Shop(tmp_path, FakeSandbox({}), draft("good"), reviews=[APPROVE])
    author(shop.workshop, a_spec(), task)
    assert shop.coder.asked[0].messages[1].content == "BRIEF of fit"
    assert shop.supervisor is not None
    review = shop.supervisor.asked[0].messages[1].content
    assert "BRIEF of fit" in review and "OUTPUTS" in review and "# good" in review


@pytest.mark.parametrize(
    ("bad", "behaviour", "check", "ran"),
    [
        ("no code here", None, "reply.no_code", False),
        (fenced("x = ("), None, "script.syntax", False),
        (fenced("from __future__ import annotations\n" + script("future")), None, "script.future_import", False),
        (
            draft("bad"),
            Behaviour(files={}, execution=an_execution(returncode=1, log="ValueError: no")),
            "run.failed",
            True,
        ),
        (draft("bad"), Behaviour(files={}, execution=an_execution(ending=Ending.TIMEOUT)), "run.timeout", True),
        (draft("bad"), Behaviour(files={}), "output.missing", True),
        (draft("bad"), Behaviour(files={"results/fit.txt": ""}), "output.empty", True),
        (
            draft("bad"),
            Behaviour(execution=an_execution(access={"data.txt": Access(opened=False, read=False)})),
            "input.unopened",
            True,
        ),
        (draft("bad"), Behaviour(execution=an_execution(strays=("core",))), "project.stray", True),
    ],
)
def test_what_a_machine_decides_is_decided_before_the_supervisor_is_asked(
    tmp_path: Path, task: FileTask, bad: str, behaviour: Behaviour | None, check: str, ran: bool
) -> None:
    sandbox = FakeSandbox({"bad": behaviour} if behaviour else {})
    shop = Shop(tmp_path, sandbox, bad, draft("good"), reviews=[APPROVE])
    attempt = author(shop.workshop, a_spec(), task)
    assert attempt.number == 2
    assert shop.attempts == [[check], []]
    assert sandbox.ran == (["bad", "good"] if ran else ["good"])
    assert check in shop.coder.asked[1].messages[-1].content
    assert shop.supervisor is not None and len(shop.supervisor.asked) == 1
    assert "# good" in shop.supervisor.asked[0].messages[1].content


def test_checks_are_made_in_the_order_of_their_cost(tmp_path: Path, task: FileTask) -> None:
    """A finding of a cheap group keeps the dear ones from being made."""
    looked: list[Path] = []

    def look(path: Path) -> FileDescription:
        looked.append(path)
        return FileDescription(path=path, format="text", size_bytes=1, opened=False, problem="is broken")

    own = tmp_path / "own.py"
    own.write_text("def never(job):\n    raise SystemExit('must not be called')\n")
    spec = a_spec(checks=(Document(label="own.py:never", path=own, text=""),))
    table = {
        "failed": Behaviour(execution=an_execution(returncode=2)),
        "missing": Behaviour(files={}),
        "unreadable": Behaviour(),
    }
    shop = Shop(tmp_path, FakeSandbox(table), *map(draft, table), attempts=3, look=look)
    with pytest.raises(AttemptsExhausted):
        author(shop.workshop, spec, task)
    assert shop.attempts == [["run.failed"], ["output.missing"], ["output.unreadable"]]
    assert len(looked) == 1


def test_a_rules_own_check_is_made_last(tmp_path: Path, task: FileTask) -> None:
    own = tmp_path / "own.py"
    own.write_text("def right(job):\n    assert open(job.output.fit).read() == '43', 'not 43'\n")
    spec = a_spec(checks=(Document(label="own.py:right", path=own, text=""),))
    table = {"wrong": Behaviour(), "right": Behaviour(files={"results/fit.txt": "43"})}
    shop = Shop(tmp_path, FakeSandbox(table), draft("wrong"), draft("right"))
    assert author(shop.workshop, spec, task).number == 2
    assert shop.attempts == [["check.own.py:right"], []]
    assert "not 43" in shop.coder.asked[1].messages[-1].content


def test_warnings_stop_nobody_and_are_shown_to_the_reviewer(tmp_path: Path, task: FileTask) -> None:
    table = {"good": Behaviour(execution=an_execution(changed=("/elsewhere/notes.txt",)))}
    shop = Shop(tmp_path, FakeSandbox(table), draft("good"), reviews=[APPROVE])
    attempt = author(shop.workshop, a_spec(), task)
    assert names(attempt.findings) == ["project.changed"]
    assert attempt.findings[0].severity is Severity.WARNING
    assert shop.supervisor is not None
    assert "/elsewhere/notes.txt" in shop.supervisor.asked[0].messages[1].content


# --- supervision ----------------------------------------------------------------------------------------------------


def test_a_reviewer_can_send_a_candidate_back(tmp_path: Path, task: FileTask) -> None:
    shop = Shop(tmp_path, FakeSandbox({}), draft("one"), draft("two"), reviews=[REVISE, APPROVE])
    attempt = author(shop.workshop, a_spec(), task)
    assert attempt.number == 2
    assert "use the weights" in shop.coder.asked[1].messages[-1].content
    assert any("the reviewer asks for changes: use the weights" in text for text in shop.told)


def test_a_review_nobody_can_read_is_a_finding(tmp_path: Path, task: FileTask) -> None:
    shop = Shop(tmp_path, FakeSandbox({}), draft("one"), draft("two"), reviews=["hm", "hm", APPROVE])
    assert author(shop.workshop, a_spec(), task).number == 2
    assert shop.attempts == [["review.malformed"], []]


def test_without_supervision_checks_alone_decide(tmp_path: Path, task: FileTask) -> None:
    shop = Shop(tmp_path, FakeSandbox({}), draft("one"), reviews=[], supervision=Supervision.NONE)
    attempt = author(shop.workshop, a_spec(), task)
    assert attempt.accepted and attempt.review is None


def test_full_supervision_instructs_once_and_reads_every_attempt(tmp_path: Path, task: FileTask) -> None:
    table = {"bad": Behaviour(files={})}
    drafts = ("no code", fenced("x = ("), draft("bad"), draft("good"))
    reviews = ["1. open the data", REVISE, REVISE, APPROVE]
    shop = Shop(tmp_path, FakeSandbox(table), *drafts, reviews=reviews, supervision=Supervision.FULL)
    attempt = author(shop.workshop, a_spec(), task)
    assert attempt.number == 4
    assert shop.silent and shop.supervisor is not None
    for request in shop.coder.asked:
        assert "# Instructions of the supervisor" in request.messages[1].content
        assert "1. open the data" in request.messages[1].content
    syntax, missing, good = (request.messages[1].content for request in shop.supervisor.asked[1:])
    assert "script.syntax" in syntax and "NOT RUN" in syntax
    assert "output.missing" in missing and "OUTPUTS" in missing
    assert "# good" in good


@pytest.mark.parametrize("supervision", [Supervision.REVIEW, Supervision.FULL])
def test_a_supervisor_cannot_overrule_a_check(tmp_path: Path, task: FileTask, supervision: Supervision) -> None:
    table = {"bad": Behaviour(files={})}
    reviews = ["instructions", APPROVE, APPROVE] if supervision is Supervision.FULL else []
    shop = Shop(
        tmp_path, FakeSandbox(table), draft("bad"), draft("bad"), reviews=reviews, supervision=supervision, attempts=2
    )
    with pytest.raises(AttemptsExhausted, match=r"output\.missing"):
        author(shop.workshop, a_spec(), task)
    assert shop.silent


# --- the loop -------------------------------------------------------------------------------------------------------


def test_every_trial_has_a_stage_of_its_own_and_only_the_last_is_left(tmp_path: Path, task: FileTask) -> None:
    sandbox = FakeSandbox({"bad": Behaviour(files={"results/other.txt": "left"})})
    shop = Shop(tmp_path, sandbox, draft("bad"), draft("bad"), draft("good"))
    attempt = author(shop.workshop, a_spec(), task)
    assert len(set(sandbox.stages)) == 3
    assert attempt.layout is not None
    assert shop.left == [attempt.layout.stage]
    assert not (attempt.layout.stage / "results/other.txt").exists()


def test_when_attempts_run_out_the_last_findings_and_the_session_are_told(tmp_path: Path, task: FileTask) -> None:
    sandbox = FakeSandbox({"bad": Behaviour(files={})})
    shop = Shop(tmp_path, sandbox, draft("good"), draft("bad"), reviews=[REVISE], attempts=2)
    with pytest.raises(AttemptsExhausted) as caught:
        author(shop.workshop, a_spec(), task)
    text = str(caught.value)
    assert "No script for rule fit was accepted in 2 attempts" in text
    assert "output.missing: The script did not write" in text
    assert str(shop.workshop.session.directory) in text
    assert "--llmagent-max-attempts" in text
    assert shop.silent and shop.left == []


def test_the_last_wish_of_a_reviewer_is_told(tmp_path: Path, task: FileTask) -> None:
    shop = Shop(tmp_path, FakeSandbox({}), draft("a"), reviews=[REVISE], attempts=1)
    with pytest.raises(AttemptsExhausted, match="review: use the weights"):
        author(shop.workshop, a_spec(), task)
    assert shop.left == []


class Broken:
    name = "openai:broken"

    def complete(self, request: object) -> Any:
        raise ModelUnavailable("no connection")


@pytest.mark.parametrize("failure", [SandboxUnavailable("disk full"), Cancelled("stop"), KeyboardInterrupt()])
def test_what_ends_a_session_leaves_no_stage(tmp_path: Path, task: FileTask, failure: BaseException) -> None:
    shop = Shop(tmp_path, FakeSandbox({"one": Behaviour(failure=failure)}), draft("one"))
    with pytest.raises(type(failure)):
        author(shop.workshop, a_spec(), task)
    assert shop.left == []


def test_a_reviewer_who_cannot_be_reached_leaves_no_stage(tmp_path: Path, task: FileTask) -> None:
    shop = Shop(tmp_path, FakeSandbox({}), draft("one"), reviews=[])
    workshop = replace(shop.workshop, supervisor=Supervisor(Broken()))
    with pytest.raises(ModelUnavailable):
        author(workshop, a_spec(), task)
    assert shop.left == []


def test_the_session_tells_the_whole_story(tmp_path: Path, task: FileTask) -> None:
    table = {"bad": Behaviour(files={}, execution=an_execution(returncode=3, log="it failed\n"))}
    listing = "```yaml\ndecisions:\n  - name: BINS\n    value: 3\n```\n"
    shop = Shop(tmp_path, FakeSandbox(table), "nothing", draft("bad"), listing + draft("good"), reviews=[APPROVE])
    author(shop.workshop, a_spec(), task)
    none, bad, good = (event for event in shop.events if event["event"] == "attempt")
    assert (none["script"], none["log"], none["accepted"]) == (None, None, False)
    assert (bad["ending"], bad["returncode"], bad["review"]) == ("exit", 3, None)
    assert (good["accepted"], good["review"]["approved"]) == (True, True)
    assert good["decisions"] == [{"name": "BINS", "value": 3}]
    folder = shop.workshop.session.directory
    assert (folder / bad["log"]).read_text() == "it failed\n"
    assert (folder / good["script"]).read_text() == script("good")


# --- repair ---------------------------------------------------------------------------------------------------------


def other_task(tmp_path: Path, name: str) -> FileTask:
    project = tmp_path / f"project-{name}"
    project.mkdir()
    return FileTask(a_job(project, wildcards={"sample": name}), sys.executable)


def test_the_author_starts_from_the_script_that_failed(tmp_path: Path, task: FileTask) -> None:
    shop = Shop(tmp_path, FakeSandbox({}), draft("new"))
    start = Attempt(
        number=0, draft=Draft(source=script("old")), findings=(Finding(check="run.failed", message="KeyError: 'pt'"),)
    )
    author(shop.workshop, a_spec(), task, start=start)
    messages = shop.coder.asked[0].messages
    assert "# old" in messages[2].content
    assert "KeyError: 'pt'" in messages[3].content


def test_a_repaired_script_must_pass_where_the_old_one_did(tmp_path: Path, task: FileTask) -> None:
    others = [other_task(tmp_path, "ggf"), other_task(tmp_path, "vbf")]
    sandbox = FakeSandbox({"one": [Behaviour(), Behaviour(), Behaviour(files={})], "two": Behaviour()})
    shop = Shop(tmp_path, sandbox, draft("one"), draft("two"), reviews=[APPROVE])
    attempt = author(shop.workshop, a_spec(), task, others=others)
    assert attempt.number == 2
    assert sandbox.ran == ["one"] * 3 + ["two"] * 3
    assert "With sample=vbf, where the last script worked: The script did not write" in (
        shop.coder.asked[1].messages[-1].content
    )
    assert attempt.layout is not None and shop.left == [attempt.layout.stage]


def test_other_jobs_are_tried_only_with_what_passed(tmp_path: Path, task: FileTask) -> None:
    sandbox = FakeSandbox({"bad": Behaviour(files={})})
    shop = Shop(tmp_path, sandbox, draft("bad"), attempts=1)
    with pytest.raises(AttemptsExhausted):
        author(shop.workshop, a_spec(), task, others=[other_task(tmp_path, "ggf")])
    assert sandbox.ran == ["bad"]


def test_what_was_wrong_with_a_reply_is_told_once(tmp_path: Path, task: FileTask) -> None:
    reply = "```yaml\ndecisions: [\n```\n" + draft("good")
    shop = Shop(tmp_path, FakeSandbox({}), reply)
    attempt = author(shop.workshop, a_spec(), task, others=[other_task(tmp_path, "ggf")])
    assert names(attempt.findings) == ["reply.decisions"]


@pytest.mark.parametrize("reply", ["I would rather talk.", ""])
def test_a_reply_without_a_script_does_not_make_the_coder_forget_the_last_one(
    tmp_path: Path, task: FileTask, reply: str
) -> None:
    sandbox = FakeSandbox({"old": Behaviour(files={})})
    shop = Shop(tmp_path, sandbox, draft("old"), reply, reply, draft("new"), reviews=[APPROVE])
    attempt = author(shop.workshop, a_spec(), task)
    assert attempt.number == 4
    last = shop.coder.asked[3].messages
    assert "# old" in last[2].content
    assert "output.missing" in last[3].content and "reply." in last[3].content


def test_a_reviewer_is_told_what_the_last_review_asked_for(tmp_path: Path, task: FileTask) -> None:
    shop = Shop(tmp_path, FakeSandbox({}), draft("one"), draft("two"), reviews=[REVISE, APPROVE])
    author(shop.workshop, a_spec(), task)
    assert shop.supervisor is not None
    assert "What a review of the script before" not in shop.supervisor.asked[0].messages[1].content
    assert "What a review of the script before this one asked for" in shop.supervisor.asked[1].messages[1].content


# --- with the real sandbox ------------------------------------------------------------------------------------------


def test_authoring_with_real_scripts(tmp_path: Path, task: FileTask, make_sandbox: MakeSandbox) -> None:
    crashes = fenced("import os\n\nraise KeyError(snakemake.input.data, snakemake.output.fit)")
    invents = fenced("snakemake.input.data\nopen(snakemake.output.fit, 'w').write('125.1')")
    relies = fenced("open(snakemake.input.data).read(), snakemake.output.fit")
    right = fenced("open(snakemake.output.fit, 'w').write(open(snakemake.input.data).read().split()[1])")
    shop = Shop(tmp_path, make_sandbox(), crashes, invents, relies, right, reviews=[APPROVE])
    attempt = author(shop.workshop, a_spec(), task)
    assert shop.attempts == [["run.failed"], ["input.unopened"], ["output.missing"], []]
    assert "line 3" in shop.coder.asked[1].messages[-1].content
    assert attempt.layout is not None and shop.left == [attempt.layout.stage]
    assert (attempt.layout.stage / "results/fit.txt").read_text() == "125.1"
    assert sorted(path.name for path in task.job.workdir.rglob("*")) == ["data.txt"]


def test_a_script_that_was_there_before_is_tried_as_it_is(
    tmp_path: Path, task: FileTask, make_sandbox: MakeSandbox
) -> None:
    shop = Shop(tmp_path, make_sandbox())
    source = "open(snakemake.output.fit, 'w').write(open(snakemake.input.data).read())\n"
    attempt = try_out(shop.workshop, a_spec(), task, Draft(source=source), number=0)
    assert attempt.accepted and attempt.number == 0
