"""What an analysis note is told: true, and in Markdown and LaTeX that nothing breaks out of."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.lock import Approval
from snakemake_executor_plugin_llmagent.report import latex, markdown
from snakemake_executor_plugin_llmagent.report.document import Code, Paragraph, Table
from snakemake_executor_plugin_llmagent.report.facts import RuleFacts, WorkflowFacts
from snakemake_executor_plugin_llmagent.report.methods import as_json, methods
from tests import sample
from tests.unit.report.test_page import facts_of

ENGINE = next(filter(None, map(shutil.which, ("pdflatex", "lualatex", "xelatex", "tectonic"))), None)
DOCUMENT = r"\documentclass{article}\usepackage{array,longtable}\begin{document}\input{note}\end{document}"


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> WorkflowFacts:
    root = tmp_path_factory.mktemp("workflow")
    sample.make(root, rules=2, attempts=3, pictures=False)
    return facts_of(root)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> WorkflowFacts:
    root = tmp_path_factory.mktemp("hostile")
    sample.make(root, rules=1, attempts=2, pictures=False, words=sample.HOSTILE)
    return facts_of(root)


def changed(facts: WorkflowFacts, entries: dict[str, Any] | None = None, **agent: Any) -> WorkflowFacts:
    """The same with another first agent rule."""
    rule = facts.rules[1]
    assert rule.agent is not None and rule.agent.lock is not None
    known = replace(rule.agent, **agent)
    if entries is not None:
        known = replace(known, lock=replace(rule.agent.lock, **entries))
    return replace(facts, rules=(facts.rules[0], replace(rule, agent=known), *facts.rules[2:]))


def told(facts: WorkflowFacts) -> str:
    return markdown.markdown(methods(facts))


def test_a_note_says_who_wrote_checked_and_approved(facts: WorkflowFacts) -> None:
    text = told(facts)
    for part in (
        "Of the 3 rules of the workflow, 2 run a program that a language model wrote",
        "`step_00` and `step_01`", "the models that wrote them are gpt-2026 (all of them)",
        "The records date from 2026-11-27", "each program ran on the declared inputs, in a sandbox",
        "Remarks, which stopped no program, were made on all of them", "`half_events` (all of them)",
        "No program was compared with a second, independent one", "A model reviewed what had passed: gpt-2026",
        "`step_00` was approved by Ada, 2026-11-27 03:35 UTC", "left 2 decisions to the models",
        r"\[1, 2\] GeV",
    ):  # fmt: skip
        assert part in text, part


def test_a_note_claims_nothing_that_is_not_on_record(facts: WorkflowFacts) -> None:
    bare: dict[str, Any] = {"checks": {}, "evidence": {}, "review": None, "sandbox": {}, "decisions": ()}
    by_checks = Approval(by="checks", name=None, time="2026-11-27T03:35:19+00:00")
    rule = changed(facts, {**bare, "approval": by_checks}).rules[1]
    text = told(replace(facts, rules=(rule,), chosen=(rule.name,)))
    assert "sandbox" not in text and "passed:" not in text
    assert "No test on altered inputs is on record as passed for `step_00`" in text
    assert "No review by a model is on record for `step_00`" in text
    assert "without the name of a person: `step_00`" in text and "No decisions" in text


@pytest.mark.parametrize(
    ("state", "words"),
    [("edited", "was changed by hand after its record was made"), ("stale", "was written for an earlier description"),
     ("awaiting", "has not been approved by anybody yet")],
)  # fmt: skip
def test_states_other_than_frozen_are_said(facts: WorkflowFacts, state: str, words: str) -> None:
    assert f"The program of `step_00` {words}" in told(changed(facts, state=state))


def test_rules_without_a_record_are_no_claims(facts: WorkflowFacts) -> None:
    text = told(changed(facts, state="missing", lock=None, source=None))
    assert "1 runs a program" in text and "The program of `step_00` does not exist yet" in text
    by_hand = told(changed(facts, state="edited", lock=None))
    assert "The program of `step_00` was put there by hand" in by_hand
    none = replace(facts, chosen=(), rules=(RuleFacts(name="all", kind="target"),))
    assert told(none) == "No rule of the workflow has its program written by a language model.\n"


def test_what_agrees_with_a_second_program_and_what_is_hidden_is_said(facts: WorkflowFacts) -> None:
    evidence = {"crosscheck": {"model": "openai:b", "done": True, "compared": 13, "differ": 0}}
    text = told(changed(facts, {"evidence": evidence}))
    assert "written independently by openai:b: of 13 numbers none differ" in text
    assert "Now: blinded: mass in \\[120, 130)" in told(changed(facts, blind="blinded: mass in [120, 130)"))


def test_programs_get_the_same_as_json(facts: WorkflowFacts) -> None:
    first, second = as_json(facts)
    assert (first["rule"], second["rule"], first["state"]) == ("step_00", "step_01", "frozen")
    assert first["approval"]["name"] == "Ada" and first["models"]["coder"]["reported"] == "gpt-2026"


# --- Markdown and LaTeX -----------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(), max_size=60)


@given(TEXTS)
def test_any_text_is_harmless_in_markdown(text: str) -> None:
    written = markdown.markdown([Paragraph((text,))])
    assert written.count("\n") == 1
    for found in re.finditer(r"[\\`*_{}\[\]<>#|~&$]", re.sub(r"\\[\\`*_{}\[\]<>#|~&$]", "", written)):
        raise AssertionError(f"{found[0]!r} is markup in {written!r}")


@given(TEXTS)
def test_code_in_a_table_ends_where_it_ends(text: str) -> None:
    table = Table("c", "l", ("a", "b"), ((Code(text), "x"),), (0.5, 0.5))
    row = markdown.markdown([table]).splitlines()[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


@given(TEXTS)
def test_any_text_is_harmless_in_latex(text: str) -> None:
    for written in (latex.escape(text), latex.latex([Paragraph((Code(text),))])):
        assert written.isascii()
        body = written.removeprefix(latex.HEAD)
        body = re.sub(r"\\ensuremath\{(\\[A-Za-z]+|\^\{[^{}]+\}|-)\}", "", body)
        bare = re.sub(r"\\([{}$&#%_]|[a-zA-Z]+|[\"'`^~=.])", "", body)
        assert not set(bare) & set("$&#%_^\\~") - {"~"}
        assert bare.count("{") == bare.count("}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50% of $x_1$ & #2 {a}", r"50\% of \$x\_1\$ \& \#2 \{a\}"),
        (r"\write18{rm}", r"\textbackslash{}write18\{rm\}"),
        ("χ²/ndf ≤ 2", r"\ensuremath{\chi}\ensuremath{^{2}}/ndf \ensuremath{\leq} 2"),
        ("±1 µm", r"\ensuremath{\pm}1 \ensuremath{\mu}m"),
        ("Müller, Łukasz, Ångström", r"M\"{u}ller, \L{}ukasz, \r{A}ngstr\"{o}m"),
        ("中", r"\texttt{U+4E2D}"), ("a--b ''c''", "a-{}-b '{}'c'{}'"),
        ("\u202e\x00", r"\textbackslash{}u202e\textbackslash{}x00"),
    ],
)  # fmt: skip
def test_what_texts_become_in_latex(text: str, expected: str) -> None:
    assert latex.escape(text) == expected


@pytest.mark.skipif(ENGINE is None, reason="no LaTeX here: apt install texlive-latex-recommended")
@pytest.mark.parametrize("which", ["facts", "hostile"])
def test_the_note_compiles(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert ENGINE is not None
    odd = "".join(map(chr, range(0x20, 0x250))) + "".join(map(chr, range(0x391, 0x3CA))) + "±≤≥→∞√∑∈−°"
    blocks = (*methods(request.getfixturevalue(which)), Paragraph((odd,)), Paragraph((Code(odd),)))
    (tmp_path / "note.tex").write_text(latex.latex(blocks), encoding="ascii")
    (tmp_path / "main.tex").write_text(DOCUMENT)
    options = () if ENGINE.endswith("tectonic") else ("-halt-on-error", "-interaction=nonstopmode")
    done = subprocess.run(
        (ENGINE, *options, "main.tex"), cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "main.pdf").exists()
