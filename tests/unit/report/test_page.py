"""The page as a whole, made from sessions and locks as runs leave them."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.commands.pages import workflow_of
from snakemake_executor_plugin_llmagent.formats import describe
from snakemake_executor_plugin_llmagent.operations import OPERATIONS
from snakemake_executor_plugin_llmagent.report.build import build
from snakemake_executor_plugin_llmagent.report.facts import WorkflowFacts
from snakemake_executor_plugin_llmagent.report.outputs import Eyes
from snakemake_executor_plugin_llmagent.report.page import render
from snakemake_executor_plugin_llmagent.text import clean
from snakemake_executor_plugin_llmagent.trail import APPROVED, REJECTED, act
from snakemake_executor_plugin_llmagent.trials import Worked
from tests import sample

VOID = frozenset({"meta", "img", "br"})


class Reader(HTMLParser):
    """What a page consists of.

    Attributes:
        tags: every element with its attributes.
        ids: names of places.
        text: what is read, style and script excepted.
        problems: elements that are not closed as they were opened.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.problems += [f"{tag} is not closed" for tag in self._open]
        self.ids = [values["id"] for _, values in self.tags if "id" in values]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"{tag} is closed in the wrong place")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.text))


def here(operation: str, question: Mapping[str, object], **_: Any) -> Worked:
    """Operations without walls: the files are ours."""
    from importlib import import_module

    module = import_module(f"snakemake_executor_plugin_llmagent.{OPERATIONS[operation]}")
    return Worked(answer=getattr(module, operation)(question))


EYES = Eyes(describe=describe, read_ahead=lambda _: None, worker=here)


def facts_of(root: Path, *rules: str) -> WorkflowFacts:
    from argparse import Namespace

    return workflow_of(
        Namespace(snakefile=root / "Snakefile", directory=root, config=[], configfile=[], rules=list(rules))
    )


def page_of(root: Path, *rules: str) -> tuple[str, Reader]:
    html = render(build(facts_of(root, *rules), EYES))
    return html, Reader(html)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workflow")
    sample.make(folder, rules=2, attempts=3)
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    sample.make(folder, rules=1, attempts=3, words=sample.HOSTILE)
    return folder


def test_a_page_tells_the_story_of_each_rule(root: Path) -> None:
    html, page = page_of(root)
    assert page.problems == []
    assert len(page.ids) == len(set(page.ids)) and {"rule-step_00", "rule-step_01", "numbers"} <= set(page.ids)
    for text in (
        "3 rules, of which 2 have their scripts written by a model: 2 frozen", "approved by Ada, 2026-11-27 03:35 UTC",
        "gpt-2026 (asked for as openai:gpt)", "Changes to attempt 1: 2 lines added, 2 removed", "125.00 ± 0.21",
        "The script ended with exit status 1.", "Look at the weights.", "Cost of each rule", "$0.1575",
        "the lock names it",
        "27,000 read, 7,200 written, in 3 calls",
    ):  # fmt: skip
        assert text in page.words, text
    assert html.count("data:image/webp;base64,") == 2


def test_what_people_did(tmp_path: Path) -> None:
    (rule,) = sample.make(tmp_path, rules=1, attempts=1, pictures=False)
    path = lock.lock_path(rule.script)
    found = lock.read_lock(path)
    assert found is not None
    facts = {"name": "<b>Ada</b>", "time": "2026-11-27T03:35:10+00:00", "script_digest": found.script_digest}
    acts = (act(REJECTED, **facts, because="the mean is fixed"), act(APPROVED, **facts))
    lock.write_lock(path, replace(found, trail=acts))
    _, page = page_of(tmp_path)
    assert "rejected by <b>Ada</b>, 2026-11-27 03:35 UTC: the mean is fixed" in page.words
    lock.write_lock(path, replace(found, trail=acts[1:]))
    assert "People" not in page_of(tmp_path)[1].words


def test_links_within_a_page_lead_somewhere(root: Path) -> None:
    _, page = page_of(root)
    targets = {values["href"] for tag, values in page.tags if tag == "a"}
    assert {str(target)[1:] for target in targets} <= set(page.ids)
    assert all(str(target).startswith("#") for target in targets)
    for _, values in page.tags:
        for name in (values.get("aria-labelledby") or "").split():
            assert name in page.ids


def test_a_page_needs_nothing_else(root: Path) -> None:
    """Nothing is loaded, no style stands in an attribute, and the policy names the digests of style and script."""
    html, page = page_of(root)
    for tag, values in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "form", "base")
        assert "style" not in values and not any(name.startswith("on") for name in values)
        assert (values.get("src") or "data:").startswith("data:")
    policy = next(values["content"] for _, values in page.tags if values.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        (inner,) = re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", html)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_what_models_and_files_say_stays_text(hostile: Path) -> None:
    html, page = page_of(hostile)
    assert page.problems == []
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(tag == "img" and "onerror" in values for tag, values in page.tags)
    said = re.sub(r"\s+", " ", clean(sample.HOSTILE))
    for before in ("fit the mass ", "Ada ", "gpt-2026 ", "exit status 1. ", "Look at the weights. ", "scale_weights "):
        assert before + said in page.words, before
    assert not set("\x00\x1b\u202e\u202c\u200b") & set(html)
    assert "{{ 7*7 }}" in page.words


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>.json', "\u202egpj.exe", "a&b <b>.txt", "x\x1b[31m.png"])
def test_names_of_files_stay_text(root: Path, name: str) -> None:
    facts = facts_of(root)
    rule = facts.rules[1]
    made = rule.made[0]
    place = root / "out" / name.replace("/", "")
    place.write_text("{}")
    odd = replace(made, outputs=(replace(made.outputs[0], path=f"out/{name}", place=place),), wildcards={"n": name})
    html = render(build(replace(facts, rules=(replace(rule, made=(odd,)),)), EYES))
    page = Reader(html)
    place.unlink()
    assert page.problems == [] and [tag for tag, _ in page.tags].count("script") == 1
    assert clean(f"out/{name}") in page.words and not set("\u202e\x1b") & set(html)


def test_a_rule_without_sessions_is_told_by_its_lock(root: Path) -> None:
    facts = facts_of(root, "step_00")
    rule = facts.rules[1]
    assert rule.agent is not None
    alone = replace(rule, agent=replace(rule.agent, sessions=root / "nowhere"))
    page = Reader(render(build(replace(facts, rules=(alone,)), EYES)))
    assert "the lock alone tells" in page.words and "45,000 read, 12,000 written, in 5 calls" in page.words
    assert "half_events" in page.words and "an axis without label" in page.words and "CUT" in page.words
    assert page.problems == []


def test_evidence_does_not_speak_of_a_script_that_was_changed(root: Path, tmp_path: Path) -> None:
    facts = facts_of(root, "step_00")
    rule = facts.rules[1]
    assert rule.agent is not None and rule.agent.source is not None
    edited = replace(rule, agent=replace(rule.agent, state="edited", reason="the script was changed by hand"))
    page = Reader(render(build(replace(facts, rules=(edited,)), EYES)))
    assert "the evidence of the lock does not speak of it" in page.words
    assert "What was checked in step_00" not in page.words


def test_rules_whose_locks_are_broken_are_told_too(tmp_path: Path) -> None:
    (agent,) = sample.make(tmp_path, rules=1, attempts=2, pictures=False)
    lock.lock_path(agent.script).write_text("version: 1\nrule: [", encoding="utf-8")
    page = Reader(page_of(tmp_path)[0])
    assert "is not valid YAML" in page.words and "run.failed" in page.words
    agent.script.unlink()
    lock.lock_path(agent.script).unlink()
    page = Reader(page_of(tmp_path)[0])
    assert "1 missing" in page.words and "there is no script" in page.words and page.problems == []


def test_a_workflow_without_known_jobs_has_a_page(tmp_path: Path) -> None:
    sample.make(tmp_path, rules=1, attempts=1, pictures=False)
    text = (tmp_path / "Snakefile").read_text()
    (tmp_path / "Snakefile").write_text(text.replace("input: 'out/step_00.json'", "input: 'nobody/makes/this.txt'"))
    page = Reader(page_of(tmp_path)[0])
    assert "Which jobs there are is not known" in page.words and "nobody/makes/this.txt" in page.words
    assert "graph" not in {values.get("class") for tag, values in page.tags if tag == "svg"}
    assert "accepted" in page.words


def test_a_workflow_without_agent_rules_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text("rule all:\n    output: 'a.txt'\n    shell: 'touch {output}'\n")
    page = Reader(page_of(tmp_path)[0])
    assert "1 rule, of which 0 have their scripts written by a model." in page.words and page.problems == []


def test_what_blinded_rules_made_is_shown_only_if_it_came_from_twins(root: Path) -> None:
    facts = facts_of(root, "step_00")
    rule = facts.rules[1]
    fit, plot = rule.made[0].outputs
    outputs = (replace(fit, withheld="not shown: the rule is blinded"), replace(plot, twins=True))
    blinded = replace(rule, made=(replace(rule.made[0], outputs=outputs),))
    html = render(build(replace(facts, rules=(blinded,)), EYES))
    assert "125.00" not in html and "not shown: the rule is blinded" in html
    assert "made from twins: the data are blinded" in html
