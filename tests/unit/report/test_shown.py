"""Numbers, scripts, differences and drawings as a page shows them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from snakemake_executor_plugin_llmagent.formats.image import thumbnails
from snakemake_executor_plugin_llmagent.report import charts, graph
from snakemake_executor_plugin_llmagent.report.diffs import difference
from snakemake_executor_plugin_llmagent.report.evidence import Verdict, crosscheck, row
from snakemake_executor_plugin_llmagent.report.facts import JobFacts, Made
from snakemake_executor_plugin_llmagent.report.highlight import highlighted, numbers
from snakemake_executor_plugin_llmagent.report.numbers import entries, with_error
from snakemake_executor_plugin_llmagent.report.outputs import Eyes, gallery
from snakemake_executor_plugin_llmagent.trials import Worked
from tests.sample import HOSTILE, source


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (124.9781, 0.2134, "124.98 ± 0.21"),
        (335.2, 127.0, "335 ± 127"),
        (0.5, 0.0, "0.5 ± 0"),
        (1e-9, 2e-12, "1e-09 ± 2e-12"),
    ],
)
def test_numbers_have_two_digits_of_their_errors(value: float, error: float, expected: str) -> None:
    assert with_error(value, error) == expected


def test_entries_of_results_stand_with_their_errors() -> None:
    result = {
        "valid": True, "parameters": {"mean": {"value": 125.02, "error": 0.21, "limits": [120, None]}},
        "yield": 419.24, "yield_error": 3.1, "covariance": [[1.0, 0.1], [0.1, 2.0]], "bins": list(range(50)),
    }  # fmt: skip
    found = {one.name: one.text for one in entries(json.dumps(result))}
    assert found == {
        "valid": "yes", "parameters.mean": "125.02 ± 0.21", "parameters.mean.limits": "[120, none]",
        "yield": "419.2 ± 3.1", "covariance[0]": "[1, 0.1]", "covariance[1]": "[0.1, 2]", "bins": "50 entries",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "\x00"])
def test_documents_that_cannot_be_read_have_no_entries(text: str) -> None:
    assert entries(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "1" + "0" * 400,
        "1e999",
        '{"value": 1e308, "error": 1e-300}',
        "NaN",
        '{"value": 1, "error": 1' + "0" * 400 + "}",
        '{"value": NaN, "error": 1}',
        '{"value": 1, "error": Infinity}',
        '{"value": 1, "error": -1}',
    ],
)
def test_extreme_numbers_are_written(text: str) -> None:
    assert all(one.text for one in entries(text)) and entries(text)


def plain(html: str) -> str:
    import re

    return unescape(re.sub(r"<[^>]*>", "", html))


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"], include_characters="\n"), max_size=200))
def test_colours_leave_a_script_as_it_is(text: str) -> None:
    html = highlighted(text)
    assert plain(html) == text
    assert html.count("<") == html.count("<b>") * 2 + html.count("<i class=") * 2


def test_scripts_cannot_leave_their_place() -> None:
    html = highlighted(f"value = 1  # {HOSTILE}\ntext = '''{HOSTILE}'''")
    assert "<script" not in html and "<img" not in html
    assert r"\u202e" in html and r"\x00" in html and "\u202e" not in html
    assert "<b>1" in html and "<i class=c>" in html


def test_lines_are_numbered() -> None:
    assert numbers("a\nb\nc\n") == "1\n2\n3"
    assert numbers(source(5, 1)).count("\n") + 1 == len(source(5, 1).splitlines())


def test_differences_are_marked_and_counted() -> None:
    found = difference("a\nb <b>\nc\n", "a\nB <i>\nc\nd\n")
    assert (found.added, found.removed) == (2, 1)
    assert found.html is not None and '<span class="del">-b &lt;b&gt;' in found.html
    assert difference("a\n", "a\n").html == ""
    assert difference("a\n" * 5000, "b\n" * 5000).html is None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("passed", Verdict.PASSED), ("passed, but `x` was not altered: no events", Verdict.PASSED),
     ("warning: odd", Verdict.WARNING), ("not applied: no weights", Verdict.OPEN),
     ("not run, because another probe failed", Verdict.OPEN), ("the number of events stays", Verdict.FAILED)],
)  # fmt: skip
def test_results_are_told_apart(text: str, verdict: Verdict) -> None:
    assert row("probe", text, Verdict.FAILED).verdict is verdict


def test_a_crosscheck_that_was_not_done_is_open() -> None:
    assert crosscheck({"model": "m", "done": False, "why": "no numbers"}).verdict is Verdict.OPEN
    assert crosscheck({"model": "m", "done": True, "compared": 3, "differ": 1}).verdict is Verdict.FAILED


# --- drawings ---------------------------------------------------------------------------------------------------------


def overlap(boxes: tuple[graph.Box, ...]) -> bool:
    return any(
        one is not other and one.y == other.y and abs(one.x - other.x) < graph.WIDTH for one in boxes for other in boxes
    )


def test_rules_stand_below_those_that_they_need() -> None:
    needs = {"all": ["fit", "plot"], "fit": ["select"], "plot": ["fit", "select"], "select": [], "late": []}
    found = graph.draw(needs)
    height = {box.name: box.y for box in found.boxes}
    assert height["select"] < height["fit"] < height["plot"] < height["all"]
    assert len(found.lines) == 3  # what follows from other lines is not drawn
    assert not overlap(found.boxes)


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=40))
def test_any_workflow_can_be_drawn(edges: list[tuple[int, int]]) -> None:
    """Also one that goes in a circle, which Snakemake refuses."""
    needs = {f"r{number}": [f"r{before}" for after, before in edges if after == number] for number in range(15)}
    found = graph.draw(needs)
    assert [box.name for box in found.boxes] == list(needs)
    assert not overlap(found.boxes)
    assert all(0 <= box.x <= found.width - graph.WIDTH and box.y <= found.height - graph.HEIGHT for box in found.boxes)


def test_nothing_can_be_drawn() -> None:
    assert graph.draw({}).boxes == ()
    assert charts.timeline([]) == ()


@pytest.mark.parametrize("size", [0.0, 1e-6, 0.004, 7.0, 123456.0, 3e9])
def test_bars_fit_into_their_plot(size: float) -> None:
    chart = charts.bars(
        "t", "a", [("fit", [charts.Part(size, "read", "r"), charts.Part(size / 3, "written", "w")])], ""
    )
    assert all(mark.x + mark.width <= charts.WIDTH - charts.RIGHT + 1 for mark in chart.marks)
    assert len(chart.grid) <= 7


def test_sessions_of_other_days_have_a_timeline_of_their_own() -> None:
    step = charts.Step("found", "attempt 1", 1000.0, 1010.0)
    lanes = [
        charts.Lane("fit", (step,), 1000.0, 1010.0),
        charts.Lane("fit", (), 1e6, 1e6 + 5),
        charts.Lane("x", (), None, None),
    ]
    first, second = charts.timeline(lanes)
    assert "1 session in 10 s" in first.title and second.title.startswith("12 Jan 1970")
    assert {mark.kind for mark in first.marks} == {"session", "found"}


# --- images -----------------------------------------------------------------------------------------------------------


def test_small_copies_of_images(tmp_path: Path) -> None:
    Image.new("RGBA", (2000, 1000), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (20, 10), "red").save(tmp_path / "small.jpg")
    (tmp_path / "broken.png").write_bytes((tmp_path / "clear.png").read_bytes()[:60])
    paths = [str(tmp_path / name) for name in ("clear.png", "small.jpg", "broken.png")]
    clear, small, broken = thumbnails({"paths": paths, "pixels": 400})
    assert (clear["width"], clear["height"]) == (400, 200) and (small["width"], small["height"]) == (20, 10)
    (tmp_path / "copy.webp").write_bytes(base64.b64decode(clear["webp"]))
    with Image.open(tmp_path / "copy.webp") as image:
        assert image.convert("RGB").getpixel((5, 5)) == (255, 255, 255)
    assert "does not open" in broken["problem"]


@pytest.fixture
def files(tmp_path: Path) -> Mapping[str, list[JobFacts]]:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((4, 4), dtype="uint8")).save(tmp_path / name)
    made = tuple(Made(path=name, place=tmp_path / name) for name in ("a.png", "b.png", "c.png"))
    return {"fit": [JobFacts(wildcards={}, outputs=made)]}


@pytest.mark.parametrize("answer", [None, {}, [1, 2], [{"webp": "\"><script>", "width": 1, "height": 1}] * 2,
                                    [{"webp": "AAAA", "width": "1", "height": 1}] * 2])  # fmt: skip
def test_what_an_image_makes_of_its_reader_is_not_shown(files: Mapping[str, list[JobFacts]], answer: Any) -> None:
    def worker(operation: str, question: Mapping[str, Any], **_: Any) -> Worked:
        return Worked(answer=answer, problem="ended")

    def describe(path: Path) -> Any:
        from snakemake_executor_plugin_llmagent.formats import describe as real

        return real(path)

    found = gallery(files, Eyes(describe=describe, read_ahead=lambda _: None, worker=worker))
    first, second, third = found.shown["fit"]
    assert first.picture is None and second.picture is None and "not shown" in first.what
    assert third.what == "is not there"
