"""Two scripts that do not know each other: how their numbers are compared, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.authoring import Supervision, Workshop, author
from snakemake_executor_plugin_llmagent.config import DEFAULTS, Options, validate_options
from snakemake_executor_plugin_llmagent.data.measure import measure
from snakemake_executor_plugin_llmagent.errors import AttemptsExhausted, ConfigError
from snakemake_executor_plugin_llmagent.formats import describe
from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.gates.agreement import MOST_LISTED, compare, in_words
from snakemake_executor_plugin_llmagent.gates.crosscheck import crosschecked
from snakemake_executor_plugin_llmagent.host.asked import crosscheck_of
from snakemake_executor_plugin_llmagent.progress import NOTE
from snakemake_executor_plugin_llmagent.protocols import Item, Layout, Severity, Stop
from snakemake_executor_plugin_llmagent.roles import Attempt, Coder, Supervisor
from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.session import Session
from snakemake_executor_plugin_llmagent.trials import Worked
from tests.unit.support import (
    APPROVE,
    FileTask,
    Scripted,
    a_job,
    a_spec,
    an_execution,
    completion,
    fenced,
    names,
    run_aside,
)

# --- numbers --------------------------------------------------------------------------------------------------------


def agrees(mine: Mapping[str, float], other: Mapping[str, float], tolerance: float | None = None) -> bool:
    found = compare(mine, other, tolerance)
    assert found.pairs
    return not found.apart


@pytest.mark.parametrize(
    ("mine", "other", "expected"),
    [
        ({"n_events": 1000}, {"n_events": 1000}, True),
        ({"n_events": 1000}, {"n_events": 1001}, False),
        ({"t/x:sum": 1e6}, {"t/x:sum": 1e6 + 0.5}, True),
        ({"t/x:sum": 1e6}, {"t/x:sum": 1e6 + 5}, False),
        ({"yield": 10.0, "yield_error": 3.0}, {"yield": 10.1, "yield_error": 3.0}, False),
        ({"mu.value": 125.0, "mu.error": 0.2}, {"mu.value": 125.015, "mu.error": 0.2}, True),
        ({"mu.value": 125.0, "mu.error": 0.2}, {"mu.value": 125.03, "mu.error": 0.2}, False),
        ({"mu.value": 125.0, "mu.error": 0.2}, {"mu.value": 125.015, "mu.error": 0.1}, False),
        ({"chi2": 50.0}, {"chi2": 50.04}, True),
        ({"chi2": 50.5}, {"chi2": 51.0}, False),
        ({"c[0][0]": 4.0, "c[1][1]": 1.0, "c[0][1]": 1e-5}, {"c[0][0]": 4.0, "c[1][1]": 1.0, "c[0][1]": -1e-5}, True),
        ({"valid": 1.0}, {"valid": 0.0}, False),
        ({"z": 0.0}, {"z": 0.0}, True),
        ({"fit.json: a.value": 1.0, "fit.json: a.error": 1.0}, {"fit.json: a.value": 1.05, "fit.json: a.error": 1.0},
         True),
    ],
)  # fmt: skip
def test_tolerances_suit_the_kind_of_number(mine: dict[str, float], other: dict[str, float], expected: bool) -> None:
    assert agrees(mine, other) is expected
    assert agrees(other, mine) is expected


def test_a_declared_tolerance_holds_for_all() -> None:
    assert agrees({"n": 1000, "a.value": 1.0}, {"n": 1005, "a.value": 1.009}, 1e-2)
    assert not agrees({"a.value": 1.0, "a.error": 9.0}, {"a.value": 1.02, "a.error": 9.0}, 1e-2)


def test_numbers_of_one_script_and_its_own_ways_are_not_compared() -> None:
    found = compare(
        {"a": 1.5, "mine": 2.0, "fmin": 3.0, "x.limits[0]": 1.0, "text[0]": 3, "plot.png: pixels:ink": 0.1},
        {"a": 1.5, "other": 2.0, "fmin": 4.0, "x.limits[0]": 2.0, "text[0]": 4, "plot.png: pixels:ink": 0.2},
    )
    assert [pair.name for pair in found.pairs] == ["a"]
    assert (found.mine, found.other) == (("mine",), ("other",))


def test_the_worst_ten_are_shown() -> None:
    mine = {f"a{i}": 1.5 for i in range(15)}
    found = compare(mine, {name: 1.5 + 0.1 * i for i, name in enumerate(mine)})
    assert len(found.apart) == 14
    table = in_words(found.apart)
    assert table.count("\n| a") == MOST_LISTED and "| a14 | 1.5 | 2.9 | 1.4 |" in table and "and 4 more" in table


@given(st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_script_agrees_with_itself(numbers: dict[str, float]) -> None:
    assert compare(numbers, numbers).apart == ()


# --- options --------------------------------------------------------------------------------------------------------


def test_the_option() -> None:
    assert crosscheck_of("", "openai:b") == {"crosscheck": "openai:b"}
    assert crosscheck_of("", {"model": "openai:b", "tolerance": 0.1}) == {"crosscheck": "openai:b", "tolerance": 0.1}
    assert Options(tolerance=0.1).over(Options(crosscheck="openai:b")).over(DEFAULTS).crosscheck == "openai:b"
    assert DEFAULTS.crosscheck == "none"


@pytest.mark.parametrize("value", [{}, {"modl": "openai:b"}])
def test_no_such_option(value: object) -> None:
    with pytest.raises(ConfigError, match="`crosscheck` has to be"):
        crosscheck_of("Rule a: ", value)


@pytest.mark.parametrize("options", [Options(crosscheck="b"), Options(tolerance=-1), Options(tolerance=True)])
def test_no_such_choice(options: Options) -> None:
    with pytest.raises(ConfigError, match="`crosscheck`"):
        validate_options(options, Path("/"))


# --- the gate -------------------------------------------------------------------------------------------------------


class Writing:
    """A sandbox in which a script's last line is what it writes; `crash` is a script that fails."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, task: Any, source: str, stage: Path) -> tuple[Layout, Any]:
        text = source.strip().rpartition("# ")[2]
        self.ran.append(text)
        (stage / "results").mkdir(parents=True)
        paths = {item.path: item.path for item in (*task.job.inputs, *task.job.outputs)}
        if text == "crash":
            return Layout(stage=stage, links={}, paths=paths), an_execution(returncode=1, log="ValueError: no luck")
        (stage / "results/fit.json").write_text(text)
        return Layout(stage=stage, links={}, paths=paths), an_execution()


def script(**numbers: float) -> str:
    return fenced(f"data, fit = snakemake.input.data, snakemake.output.fit\n# {json.dumps(numbers)}")


CRASH = fenced("data, fit = snakemake.input.data, snakemake.output.fit\n# crash")


class Shop:
    def __init__(self, folder: Path, first: Iterable[str], second: Iterable[Any], reviews: Iterable[str] = ()) -> None:
        self.first, self.second = Scripted(*first), Scripted(*second, name="openai:second")
        self.supervisor = Scripted(*reviews, name="openai:reviewer")
        self.sandbox = Writing()
        self.told: list[str] = []
        shop = Workshop(
            coder=Coder(self.first), supervisor=Supervisor(self.supervisor), supervision=Supervision.REVIEW,
            sandbox=self.sandbox, read_ahead=lambda paths: None, describe=describe, gates=(), run_aside=run_aside(),
            context=lambda spec, task: "BRIEF", show_outputs=lambda trial: "", session=Session(folder / "session"),
            stages=folder / "stages", discard=layout.remove, max_attempts=2,
            tell=lambda text, step=NOTE: self.told.append(text),
        )  # fmt: skip
        bench = Bench(
            worker=lambda operation, question, *, read, write=None: Worked(answer=measure(question)),
            sandbox=self.sandbox, folder=lambda: folder / "x", discard=layout.remove, tell=self.told.append,
        )  # fmt: skip
        self.workshop = crosschecked(shop, bench, Coder(self.second, role="crosscheck"), None)
        (folder / "data.txt").write_text("data")
        job = a_job(folder, outputs=(Item(name="fit", path="results/fit.json"),))
        self.task = FileTask(job, "python")
        self.folder = folder

    def author(self) -> Attempt:
        return author(self.workshop, a_spec(), self.task)

    def kept(self, name: str) -> str:
        return (self.folder / "session" / name).read_text()


def test_agreement_is_evidence(tmp_path: Path) -> None:
    shop = Shop(tmp_path, [script(a=1.5, b=2)], [script(a=1.5001, b=2)], [APPROVE])
    done = shop.author()
    evidence = done.evidence["crosscheck"]
    assert (evidence["model"], evidence["done"], evidence["compared"], evidence["differ"]) == (
        "openai:second", True, 2, 0,
    )  # fmt: skip
    largest: Any = evidence["largest"]
    assert largest["number"] == "a" and largest["difference"] == pytest.approx(1e-4)
    assert done.findings == ()
    (asked,) = shop.second.asked
    assert asked.role == "crosscheck" and asked.messages[-1].content == "BRIEF"
    assert "1.5001" in shop.kept("crosscheck/try-1/script.py")
    assert [path.name for path in (tmp_path / "stages").iterdir()] == [done.layout.stage.name if done.layout else ""], (
        "the second script's stage is gone"
    )


def test_the_second_script_is_written_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path, [script(a=1.5, c=1), script(a=2.5)], [script(a=2.5, d=3)], [APPROVE])
    done = shop.author()
    assert done.number == 2 and names(done.findings) == ["crosscheck.only_one"]
    assert done.findings[0].severity is Severity.WARNING and "only there: d" in done.findings[0].message
    assert shop.second.silent and len(shop.sandbox.ran) == 3
    said = shop.first.asked[1].messages[-1].content
    assert "crosscheck.differs" in said and "| a | 1.5 | 2.5 | 1 |" in said and "only yours: c" in said
    assert "# {" not in said, "the other's code is not shown"


def test_a_second_script_has_two_tries(tmp_path: Path) -> None:
    shop = Shop(tmp_path, [script(a=1.5)], [CRASH, script(a=1.5)], [APPROVE])
    assert shop.author().evidence["crosscheck"]["done"] is True
    assert "no luck" in shop.second.asked[1].messages[-1].content


@pytest.mark.parametrize("replies", [[CRASH, CRASH], [completion("no", Stop.REFUSAL)], ["no script", ""]])
def test_without_a_second_script_it_is_said_and_no_more(tmp_path: Path, replies: list[Any]) -> None:
    shop = Shop(tmp_path, [script(a=1.5)], replies, [APPROVE])
    done = shop.author()
    assert done.accepted and names(done.findings) == ["crosscheck.undone"]
    evidence = done.evidence["crosscheck"]
    assert evidence["done"] is False and "openai:second" in str(evidence["why"])


def test_nothing_in_common(tmp_path: Path) -> None:
    done = Shop(tmp_path, [script(a=1.5)], [script(b=1.5)], [APPROVE]).author()
    assert done.evidence["crosscheck"]["done"] is False
    assert names(done.findings) == ["crosscheck.undone", "crosscheck.only_one"]


def test_after_the_last_attempt_the_supervisor_is_asked_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path, [script(a=1.5), script(a=1.6)], [script(a=2.5)], ["A leaves out\x1b the weights."])
    with pytest.raises(AttemptsExhausted, match=r"compared the two scripts.*\nA leaves out\\x1b the weights\."):
        shop.author()
    (asked,) = shop.supervisor.asked
    said = asked.messages[-1].content
    assert '{"a": 1.6}' in said and '{"a": 2.5}' in said and "| a | 1.6 | 2.5 |" in said
    assert "A leaves out" in shop.kept("crosscheck/arbitration.md")


def test_the_last_word_is_not_asked_for_other_reasons(tmp_path: Path) -> None:
    with pytest.raises(AttemptsExhausted) as caught:
        Shop(tmp_path, [CRASH, CRASH], []).author()
    assert "compared the two scripts" not in str(caught.value)
