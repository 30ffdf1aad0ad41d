from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.formats.clean import clean


def test_escape_codes_and_bidi_controls_are_written_out() -> None:
    assert clean("a\x1b[2Jb\u202ec\u200bd", 100) == "a\\x1b[2Jb\\u202ec\\u200bd"


def test_line_ends_are_written_out_unless_kept() -> None:
    assert clean("a\nb\tc\r", 100) == "a\\x0ab\\x09c\\x0d"
    assert clean("a\nb\tc\r", 100, lines=True) == "a\nb\tc\\x0d"


def test_letters_of_other_scripts_stay() -> None:
    assert clean("Überlagerung µ γγ 質量", 100) == "Überlagerung µ γγ 質量"


def test_long_texts_keep_both_ends() -> None:
    short = clean("a" * 500 + "z" * 500, 40)
    assert len(short) == 40
    assert short.startswith("a") and short.endswith("z") and "…" in short


@settings(max_examples=50, deadline=None, database=None)
@given(st.text(max_size=200), st.integers(8, 60))
def test_never_longer_than_asked_and_printable(text: str, limit: int) -> None:
    short = clean(text, limit)
    assert len(short) <= limit
    assert "\x1b" not in short and "\n" not in short and "\u202e" not in short
