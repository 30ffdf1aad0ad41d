"""The reviewer's checklist, what was shown of a trial, and whether a verdict cites anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent import briefs
from snakemake_executor_plugin_llmagent.protocols import Item, Job, Trial
from snakemake_executor_plugin_llmagent.spec import Blind, Kind, Slot, Spec

SPEC = Spec(
    rule="select",
    text="Select photons with pT > 25 GeV and |eta| < 2.37. Write `cutflow` with `events` and `yield`.",
    inputs=(Slot(name="data", kind=Kind.FILE, suffixes=(".root",)),),
    outputs=(Slot(name="flow", kind=Kind.FILE, suffixes=(".json",)), Slot(name=None, kind=Kind.DIRECTORY)),
    params=("min_pt",),
    wildcards=("sample",),
    decide={"fit_range": [105, 160]},
    blind=Blind(windows={"m": (120.0, 130.0)}),
)
JOB = Job(rule="select", workdir=Path("/w"), outputs=(Item(name="flow", path="flow.json"),))


def test_every_part_of_the_rule_has_its_point() -> None:
    text = briefs.checklist(SPEC)
    for part in (
        "the output `flow`", "the output directory", "input data", "cutflow, events, yield", "25 GeV; 2.37", "min_pt",
        "other values of sample", "fit_range = [105, 160]", "what is hidden",
    ):  # fmt: skip
        assert part in text
    lines = text.splitlines()
    assert [line.split(".")[0] for line in lines] == [str(number) for number in range(1, len(lines) + 1)]


def test_a_long_rule_does_not_make_an_endless_list() -> None:
    slots = tuple(Slot(name=f"o{number}", kind=Kind.FILE) for number in range(100))
    lines = briefs.checklist(Spec(rule="r", text="do", outputs=slots)).splitlines()
    assert len(lines) == briefs.MOST_POINTS + 1
    assert lines[-1] == "(61 more points of this kind)"


def test_what_was_shown_is_listed() -> None:
    evidence: dict[str, dict[str, object]] = {"probes": {"scale_weights(2)": "passed"}}
    evidence["contents"] = {"fit_valid": {"valid": True, "p": 0.3}}
    assert briefs.proved(evidence) == ("- probes: scale_weights(2): passed\n- contents: fit_valid: valid True, p 0.3")
    assert briefs.proved({}) == "- nothing beyond the checks"


@pytest.mark.parametrize(
    ("comments", "cited"),
    [
        ("The yield of 384.1 agrees.", True),
        ("`weights` are used.", True),
        ("cutflow falls as it must", True),
        ("FIT_RANGE is sensible", True),
        ("half_events moves it", True),
        ("Looks right to me.", False),
        ("", False),
    ],
)
def test_a_verdict_cites_something_or_not(comments: str, cited: bool) -> None:
    trial = Trial(spec=SPEC, job=JOB, source="", decisions=({"name": "FIT_RANGE"},))
    assert briefs.cites(comments, trial, {"probes": {"half_events": "passed"}}) is cited
