from __future__ import annotations

import ast
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.syntax import parse


@given(st.text(st.characters(), max_size=60))
def test_any_text_parses_or_is_a_syntax_error(text: str) -> None:
    try:
        parse(text)
    except SyntaxError as error:
        assert error.msg


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = (", "was never closed"),
        ("x = 1\0", "null bytes"),
        ("x = '\ud800'", "UTF-8"),
        ("-" * 200_000 + "1", "nested too deeply"),
        ("(" * 5_000 + ")" * 5_000, "nested"),
    ],
    ids=["unclosed", "null", "surrogate", "deep", "parentheses"],
)
def test_what_is_wrong_is_said(source: str, message: str) -> None:
    with pytest.raises(SyntaxError, match=message):
        parse(source)


def test_titles_in_latex_warn_nobody() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert isinstance(parse(r'title = "$m_{\gamma\gamma}$"' + "\nx is 1\n"), ast.Module)
    assert caught == []


def test_filters_of_warnings_stay_as_they_are_with_many_threads() -> None:
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [parse("x = '\\g'") for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
