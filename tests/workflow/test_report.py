"""`llmagent report` and `llmagent methods` after a real run, the page in a real browser, and Snakemake's own report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import browser, sample
from tests.loopback import ScriptedModel
from tests.unit.report.test_page import Reader
from tests.workflow import story, test_blinding
from tests.workflow.project import Project, team

needs_chromium = pytest.mark.skipif(browser.found() is None, reason="no Chromium here: apt install chromium")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A workflow whose scripts were written in several attempts."""
    root = tmp_path_factory.mktemp("told") / "analysis"
    root.mkdir()
    project = Project(root)
    story.write(project)
    with ScriptedModel(story.Author(), reported="gpt-5.2-2026-01-15") as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
    project.env.clear()
    yield project


@pytest.fixture(scope="module")
def page(told: Project) -> Path:
    done = told.llmagent("report", "--output", "page.html")
    assert done, done.output
    assert "page.html: 3 agent rules, 7 attempts" in done.output
    return told / "page.html"


def test_the_page_tells_what_happened(page: Path) -> None:
    read = Reader(page.read_text())
    assert read.problems == []
    for text in (
        "5 rules, of which 3 have their scripts written by a model: 3 frozen",
        "Attempt 1 script.unknown_name", "Attempt 2 weights.ignored", "Attempt 3 the reviewer asks for changes",
        "`sidebands` holds every event", "Attempt 4 accepted", "approved by its checks and the review",
        "the lock names it", "Attempt 1 run.failed", "has no attribute 'subplot_grid'",
        "Cross-check: 13 numbers compared with those of the second script, 0 differ.", "second script by openai:second",
        "BINS", "around the peak", "parameters.mean", "half_events",
        "gpt-5.2-2026-01-15 (asked for as openai:scripted)",
    ):  # fmt: skip
        assert text in read.words, text
    assert any((values.get("src") or "").startswith("data:image/webp") for tag, values in read.tags if tag == "img")


def test_a_page_of_one_rule_and_the_facts_for_programs(told: Project) -> None:
    done = told.llmagent("report", "count", "--json", "-o", "count.html")
    facts = json.loads(done.output)
    assert facts["rules"] == ["count"] and facts["attempts"] == 4
    read = Reader((told / "count.html").read_text())
    assert "rule-count" in read.ids and "rule-fit" not in read.ids
    missing = told.llmagent("report", "cuont")
    assert missing.returncode == 2 and "Did you mean 'count'?" in missing.output


def test_a_fresh_checkout_has_a_page_too(told: Project, tmp_path: Path) -> None:
    """Scripts and locks, and nothing of `.snakemake`, as git has them."""
    for name in (
        "Snakefile",
        "simulate.py",
        *(str(path.relative_to(told.root)) for path in told.root.glob("agents/*")),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((told / name).read_bytes())
    cloned = Project(tmp_path)
    assert cloned.llmagent("report")
    read = Reader(cloned.read("llmagent-report.html"))
    assert "the lock alone tells" in read.words and "half_events" in read.words and "is not there" in read.words


def test_notes(told: Project) -> None:
    text = told.llmagent("methods").output
    assert "Of the 5 rules of the workflow, 3 run a program that a language model wrote" in text
    assert "The numbers of `select` were compared with those of a second program" in text
    assert r"\begin{longtable}" in told.llmagent("methods", "--format", "latex").output
    assert [rule["rule"] for rule in json.loads(told.llmagent("methods", "fit", "--json").output)["rules"]] == ["fit"]


# --- the browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[browser.Browser]:
    with browser.Browser() as started:
        yield started


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    sample.make(root, rules=1, attempts=3, words=sample.HOSTILE)
    assert (done := Project(root).llmagent("report")), done.output
    return root / "llmagent-report.html"


@needs_chromium
@pytest.mark.parametrize("which", ["page", "hostile"])
@pytest.mark.parametrize("width", [1280, 380])
def test_a_browser_has_nothing_to_complain_of(
    which: str, width: int, chromium: browser.Browser, request: pytest.FixtureRequest
) -> None:
    opened = chromium.open(request.getfixturevalue(which), width=width)
    opened.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert opened.evaluate("document.title").endswith(": agent rules")
    assert opened.evaluate("document.querySelectorAll('script').length") == 1
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    opened.evaluate("Promise.all([...document.images].map((image) => image.decode())).then(() => 0)")
    assert opened.evaluate("[...document.images].every((image) => image.naturalWidth > 100)")
    assert opened.complaints == [] and opened.asked == []


@needs_chromium
def test_the_policy_stops_what_would_get_into_a_page(page: Path, tmp_path: Path, chromium: browser.Browser) -> None:
    """Were a text not escaped, its script would not run and its picture not be loaded."""
    broken = tmp_path / "broken.html"
    run = "document.title = 'run'"
    bad = f'<script>{run}</script><img src="https://example.org/x.png" onerror="{run}">'
    broken.write_text(page.read_text().replace("<main", f"{bad}<main", 1))
    opened = chromium.open(broken)
    assert opened.evaluate("document.title").endswith(": agent rules")
    assert opened.complaints and opened.evaluate("document.getElementById('theme').textContent") == "Dark"


@needs_chromium
def test_keys_change_the_theme_and_links_open_attempts(page: Path, chromium: browser.Browser) -> None:
    opened = chromium.open(page)
    before = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    opened.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    opened.press("Tab")
    opened.press("Tab")
    assert opened.evaluate("document.activeElement.id") == "theme"
    opened.press("Enter")
    assert opened.evaluate("document.documentElement.dataset.theme") == "dark"
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") != before
    opened.evaluate("document.documentElement.removeAttribute('data-theme'); localStorage.clear()")
    opened.evaluate(
        "new Promise((done) => { addEventListener('hashchange', () => setTimeout(done), {once: true});"
        " location.hash = document.querySelectorAll('#rule-count .attempt')[1].id; })"
    )
    folds = "[...document.querySelectorAll('#rule-count .attempt')].map((each) => each.firstElementChild.open)"
    assert opened.evaluate(folds) == [False, True, False, False]


@needs_chromium
def test_dark_is_the_choice_of_the_system_and_paper_is_light(page: Path, chromium: browser.Browser) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    shown = [chromium.open(page, dark=dark).evaluate(colour) for dark in (False, True)]
    assert shown[0] != shown[1]
    assert chromium.open(page, dark=True, media="print").evaluate(colour) == "rgb(255, 255, 255)"


@needs_chromium
@pytest.mark.skipif(browser.axe() is None, reason="no axe-core here: npm install --no-save axe-core")
@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_use_the_page(page: Path, dark: bool, chromium: browser.Browser) -> None:
    source = browser.axe()
    assert source is not None
    opened = chromium.open(page, dark=dark)
    opened.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    opened.evaluate(f"{source.read_text()};0")
    found = opened.evaluate(
        "axe.run().then((told) => told.violations.map((each) => [each.id, each.impact, each.nodes[0].html]))"
    )
    assert found == []


# --- Snakemake's own report -------------------------------------------------------------------------------------------


def held(html: str, name: str) -> Any:
    """What Snakemake's report keeps under a name."""
    start = html.index("{", html.rindex(f'<script id="{name}">'))
    return json.JSONDecoder().raw_decode(html[start:])[0]


def words(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


@pytest.mark.parametrize("executor", [(), ("--executor", "llmagent", "--cores", "1")], ids=["plain", "llmagent"])
def test_snakemakes_report_shows_scripts_and_who_wrote_them(told: Project, executor: tuple[str, ...]) -> None:
    assert (done := told.snakemake("--report", "own.html", *executor)), done.output
    html = told.read("own.html")
    code = words(held(html, "rules")["count"]["code"])
    assert "def summed(chosen):" in code and "WINDOW = (120.0, 130.0)" in code
    (result,) = held(html, "results").values()
    caption = words(result["caption"])
    assert "The script of agent rule fit was written by gpt-5.2-2026-01-15 (20" in caption
    assert "approved by its checks and a review by a model, without a person" in caption
    assert "session: .snakemake/llmagent/sessions/fit/20" in caption and '"Fit"' in html


CAPTIONS = """
rule all:
    input: "a.json", "b.json", "c"

rule one:
    output: report("a.json", caption="own.rst", category=lambda wildcards, output: f"of {output[0]}")
    agent: "write a"

use rule one as two with:
    output: report("b.json", caption="own.rst", labels={"which": "b"})

rule three:
    output: out=report(directory("c"), patterns=["{name}.txt"]), more=[report("d.txt"), "e.txt"]
    agent: "write c"
"""
"""Captions of a rule, of one that inherits it and its script, and none of the rule's own, of a directory and a list."""


def test_captions_of_the_rule_stand_above(project: Project) -> None:
    script = "import json\njson.dump({'note': 'as asked', 'rule': snakemake.rule}, open(snakemake.output[0], 'w'))\n"
    several = (
        "from pathlib import Path\nfolder = Path(snakemake.output.out)\nfolder.mkdir(exist_ok=True)\n"
        "(folder / 'x.txt').write_text('x of ' + snakemake.rule)\n"
        "for place in snakemake.output.more:\n    Path(place).write_text('text of ' + place)\n"
    )
    project.snakefile(CAPTIONS)
    project.write("own.rst", "Made by {{ snakemake.rule }}, **as asked**.\n")
    for name, text in (("one", script), ("three", several)):
        project.write(f"agents/{name}.py", text)
    hostile = "Ada {{ 7*7 }} {% raw %} `x <javascript:alert(1)>`_ |x| </script><script>alert(1)</script>"
    assert (done := project.llmagent("approve", "one", "--name", hostile)), done.output
    assert (done := project.snakemake()), done.output
    assert (done := project.snakemake("--report", "own.html")), done.output
    html = project.read("own.html")
    results = held(html, "results")
    one, two = words(results["a.json"]["caption"]), words(results["b.json"]["caption"])
    assert one.startswith("Made by one, as asked.") and f"It was approved by {hostile}" in one
    assert two.startswith("Made by two, as asked.") and "The script of agent rule two was written by hand (20" in two
    assert results["b.json"]["labels"] == {"which": "b"} and "of a.json" in html
    assert "<a " not in results["a.json"]["caption"] and "<script>alert" not in html
    for path in ("c/x.txt", "d.txt"):
        assert "agent rule three was written by hand" in words(results[path]["caption"])


# --- blinded rules ----------------------------------------------------------------------------------------------------


def test_results_of_blinded_rules_are_shown_only_if_they_give_nothing_away(project: Project) -> None:
    project.snakefile(test_blinding.SNAKEFILE)
    project.write("look.py", test_blinding.LOOK)
    test_blinding.write_data(project / "data.parquet")
    pq.write_table(pa.table({"mass": [124.0, 125.0, 126.0]}), project / "signal.parquet")

    def words_of_page() -> str:
        assert (done := project.llmagent("report")), done.output
        return Reader(project.read("llmagent-report.html")).words

    with ScriptedModel(team(test_blinding.SCRIPT)) as server:
        project.uses(server)
        assert (done := project.run()), done.output
    blinded = words_of_page()
    assert "made from twins: the data are blinded" in blinded and "119.999" in blinded and "125.123" not in blinded
    note = project.llmagent("methods").output
    assert "data were hidden from it and from the models. Now: blinded: mass in" in note
    assert project.llmagent("unblind", "fit", "--name", "Ada")
    assert (done := project.snakemake()), done.output
    opened = words_of_page()
    assert "made from twins" not in opened and "125.123" in opened and "unblinded by Ada" in opened
    script = project / "agents/fit.py"
    script.write_text(script.read_text() + "# by hand\n")
    assert project.llmagent("approve", "fit", "--name", "Ada")
    closed = words_of_page()
    assert "125.123" not in closed and "nothing says that this was made from twins" in closed
