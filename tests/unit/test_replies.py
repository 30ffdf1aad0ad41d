from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.replies import blocks, read_decisions, read_verdict


def found(reply: str) -> list[tuple[str, str]]:
    return [(block.tag, block.text) for block in blocks(reply)]


# --- blocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("no block at all", []),
        ("", []),
        ("```python\nx = 1\n```", [("python", "x = 1\n")]),
        ("```Python\nx = 1\n```\n", [("python", "x = 1\n")]),
        ("``` python \nx = 1\n```  \n", [("python", "x = 1\n")]),
        ('```python title="fit.py"\nx = 1\n```', [("python", "x = 1\n")]),
        ("```\nx\n```", [("", "x\n")]),
        ("```python\n```", [("python", "\n")]),
        ("~~~python\nx = '```'\n~~~", [("python", "x = '```'\n")]),
        ("````python\nx = '''\n```\n'''\n````", [("python", "x = '''\n```\n'''\n")]),
        ("```python\r\nx = 1\r\ny = 2\r\n```\r\n", [("python", "x = 1\ny = 2\n")]),
        ("```python\nx = 1\n``````", [("python", "x = 1\n")]),
        ("   ```python\n   if a:\n       b()\n   ```", [("python", "if a:\n    b()\n")]),
        ("1. The script:\n\n    ```python\n    if a:\n\n        b()\n    ```\n", [("python", "if a:\n\n    b()\n")]),
        ("\t```python\n\tx = 1\n\t```", [("python", "x = 1\n")]),
        ("```python\nx = 1\n", []),
        ("```python\nx = 1\n~~~\n", []),
        ("Use ```python``` blocks.\n```python\nx = 1\n```", [("python", "x = 1\n")]),
        ("```c++\nint x;\n```", [("c++", "int x;\n")]),
        ("```python\na = 1\n```\nbetter:\n```python\na = 2\n```", [("python", "a = 1\n"), ("python", "a = 2\n")]),
        (
            "```yaml\ndecisions: []\n```\n```python\nx\n```\nRun it:\n```bash\nsnakemake\n```",
            [("yaml", "decisions: []\n"), ("python", "x\n"), ("bash", "snakemake\n")],
        ),
        ("```python\nnot python (\n```\n```python\nx = 1\n```", [("python", "not python (\n"), ("python", "x = 1\n")]),
        ("```python\nunclosed\n\n~~~python\nx = 1\n~~~", [("python", "x = 1\n")]),
    ],
)
def test_shapes_of_blocks(reply: str, expected: list[tuple[str, str]]) -> None:
    assert found(reply) == expected


def test_fences_in_texts_of_the_script_do_not_end_it() -> None:
    script = '"""Fits.\n\n```json\n{"a": 1}\n```\n"""\nreport = """\n```\ntable\n```\n"""\nprint(report)\n'
    assert found(f"Here:\n\n```python\n{script}```\n\nDone.") == [("python", script)]


def test_the_line_of_a_block_is_known() -> None:
    assert [block.start for block in blocks("a\n```x\n```\nb\n```y\n```")] == [1, 4]


@given(st.text(st.sampled_from("`~ \n\tpython#'\"\r"), max_size=200))
def test_any_reply_can_be_read(reply: str) -> None:
    for block in blocks(reply):
        assert block.text.endswith("\n")
        assert 0 <= block.start < reply.count("\n") + 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["python", "yaml", ""]), st.lists(st.sampled_from(["x = 1", "", "  y", "# `a`"]))),
        max_size=4,
    )
)
def test_blocks_come_back_in_order(written: list[tuple[str, list[str]]]) -> None:
    reply = "\n".join(f"prose\n```{tag}\n" + "".join(f"{line}\n" for line in lines) + "```" for tag, lines in written)
    assert found(reply) == [(tag, "\n".join(lines) + "\n") for tag, lines in written]


def test_many_fences_are_read_in_time() -> None:
    started = time.monotonic()
    blocks("```python\nx = '''\n" + "```\n" * 3000)
    assert time.monotonic() - started < 30


# --- decisions ------------------------------------------------------------------------------------------------------


def test_decisions_are_plain_values() -> None:
    text = """
    decisions:
      - name: FIT_RANGE
        value: [105, 160]
        unit: GeV
        since: 2026-01-02
        infinite: .inf
        1: one
        2026-01-02: a date
      - name: BINS
        value: 110
    """
    decisions, problem = read_decisions(text)
    assert problem is None
    assert decisions == (
        {
            "name": "FIT_RANGE",
            "value": [105, 160],
            "unit": "GeV",
            "since": "2026-01-02",
            "infinite": "inf",
            "1": "one",
            "2026-01-02": "a date",
        },
        {"name": "BINS", "value": 110},
    )
    json.dumps(decisions, allow_nan=False)


def test_no_decisions_is_no_problem() -> None:
    assert read_decisions("decisions: []") == ((), None)


PAIRS = zip("abcdefghij", "bcdefghijk", strict=True)
LAUGHS = "a: &a [1, 1]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in PAIRS)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("decisions: [", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("decisions:\n  - name: x\n    when: 2026-13-45", "not valid YAML"),
        ("decisions:\n  - name: x\n    value: " + "1" * 5000, "not valid YAML"),
        ("decisions: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("decisions:\n  - {name: x, [a]: b}", "not valid YAML"),
        ("[" * 1200, "not valid YAML"),
        (f"{LAUGHS}decisions: [{{name: x, value: *k}}]", "refers to itself"),
        ("decisions: &d [{name: x, value: *d}]", "refers to itself"),
        ("", "has no list"),
        ("- name: x", "has no list"),
        ("decisions: none", "has no list"),
        ("decisions: {name: x}", "has no list"),
        ("decisions:\n  - x", "has no list"),
        ("decisions:\n  - value: 1", "has no list"),
        ("decisions:\n  - name: [x]", "has no list"),
        ("decisions:\n  - name: ''", "has no list"),
    ],
)
def test_wrong_decisions_are_told(text: str, problem: str) -> None:
    decisions, said = read_decisions(text)
    assert decisions == ()
    assert said is not None and problem in said and "\n" not in said


@given(st.text(st.sampled_from("decisions:- nam&*![]{}'\"\n\t01\x00"), max_size=60))
def test_any_decisions_can_be_read(text: str) -> None:
    decisions, problem = read_decisions(text)
    assert problem is None or decisions == ()


# --- verdicts -------------------------------------------------------------------------------------------------------

YES, NO = '{"verdict": "approve", "comments": "fine"}', '{"verdict": "revise", "comments": "weights"}'


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (YES, (True, "fine")),
        (NO, (False, "weights")),
        (f"\n  {YES}  \n", (True, "fine")),
        (f"```json\n{NO}\n```", (False, "weights")),
        (f"```\n{YES}\n```", (True, "fine")),
        (f"My verdict:\n\n```json\n{YES}\n```\nGood work.", (True, "fine")),
        (f"It printed:\n```text\n{YES}\n```\n```json\n{NO}\n```", (False, "weights")),
        (f'```json\n{{"other": 1}}\n```\n```json\n{NO}\n```', (False, "weights")),
        ('{"verdict": "approve"}', (True, "")),
        ('{"verdict": "revise", "comments": ["a", "b"]}', (False, "- a\n- b")),
        ('{"verdict": "revise", "comments": ""}', (False, "")),
        ('{"comments": "x", "verdict": "revise", "confidence": 0.5}', (False, "x")),
        (json.dumps({"verdict": "revise", "comments": "```python\nx\n```"}), (False, "```python\nx\n```")),
    ],
)
def test_verdicts_that_can_be_read(reply: str, expected: tuple[bool, str]) -> None:
    assert read_verdict(reply) == expected


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "approve",
        "I approve.",
        f"Sure! {YES}",
        f"{YES}\nand one more thing",
        f"{YES}{NO}",
        f"[{YES}]",
        "{'verdict': 'approve'}",
        '{"verdict": "approved", "comments": ""}',
        '{"verdict": "Approve", "comments": ""}',
        '{"verdict": "reject", "comments": ""}',
        '{"verdict": true, "comments": ""}',
        '{"verdict": ["approve"], "comments": ""}',
        '{"verdict": null}',
        '{"comments": "approve"}',
        '{"verdict": "approve", "comments": 3}',
        '{"verdict": "approve", "comments": {"a": 1}}',
        '{"verdict": "approve"',
        f"```python\n{YES}\n```",
        f"```json\n{YES}",
        f"```json\n{YES}\n```\n```json\n{NO}\n```",
        f"```json\n{NO}\n```\n```json\n{YES}\n```",
        "[" * 100_000,
    ],
)
def test_anything_else_is_no_verdict(reply: str) -> None:
    assert read_verdict(reply) is None


@given(st.booleans(), st.text(max_size=60), st.sampled_from(["", "json"]))
def test_any_comment_comes_back(approved: bool, comments: str, tag: str) -> None:
    text = json.dumps({"verdict": "approve" if approved else "revise", "comments": comments})
    assert read_verdict(text) == (approved, comments)
    assert read_verdict(f"Well.\n```{tag}\n{text}\n```") == (approved, comments)
