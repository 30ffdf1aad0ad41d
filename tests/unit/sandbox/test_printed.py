"""What a script printed, as the author reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.sandbox.printed import LINE_CHARACTERS, LOG_CHARACTERS, Names, readable_log

NAMES = Names(script=Path("/p/one.private/trial.fit.py"), stage=Path("/p/one"), lines_before=10)


def read(tmp_path: Path, data: bytes, names: Names = NAMES) -> str:
    (tmp_path / "log").write_bytes(data)
    return readable_log(tmp_path / "log", names)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ('File "/p/one.private/trial.fit.py", line 14, in f', 'File "fit.py", line 4, in f'),
        ("/p/one.private/trial.fit.py:12: UserWarning: x", "fit.py:2: UserWarning: x"),
        ('File "/p/one.private/trial.fit.py", line 3, in <module>', 'File "fit.py", line 1, in <module>'),
        ("python: can't open file '/p/one.private/trial.fit.py'", "python: can't open file 'fit.py'"),
        ("FileNotFoundError: '/p/one/results/x.txt'", "FileNotFoundError: 'results/x.txt'"),
        ('File "/usr/lib/python3/json.py", line 14, in f', 'File "/usr/lib/python3/json.py", line 14, in f'),
        ("/p/one is here, and /p/oneself/x and /p/one-2 are not", ". is here, and /p/oneself/x and /p/one-2 are not"),
        ("cache in /p/one.private/home/.cache", "cache in ~/.cache"),
        ("<object at 0x7f02a43a4300> in /tmp/llmagent-aj04dl2_/x", "<object at 0x…> in /tmp/x"),
        ("/scratch/me/llmagent-aj04dl2_: full", "/tmp: full"),
        ("value 0x7f02 of /tmp/llmagent-notes", "value 0x7f02 of /tmp/llmagent-notes"),
    ],
)
def test_names_and_lines_are_the_authors(tmp_path: Path, printed: str, expected: str) -> None:
    assert read(tmp_path, printed.encode()) == expected


def test_a_script_with_odd_characters_in_its_name(tmp_path: Path) -> None:
    names = Names(script=Path("/p (x)/trial.f+[a].py"), stage=Path("/p (x)/s"), lines_before=1)
    assert read(tmp_path, b"/p (x)/trial.f+[a].py:3: x", names) == "f+[a].py:2: x"


def test_what_is_invisible_is_written_out(tmp_path: Path) -> None:
    text = read(tmp_path, b"\x1b[31mred\x1b[0m \xe2\x80\xaebidi \xff \x00 10 %\r20 %\r\nend\n")
    assert text == "\\x1b[31mred\\x1b[0m \\u202ebidi \ufffd \\x00 10 %\\x0d20 %\nend\n"


def test_long_lines_are_cut(tmp_path: Path) -> None:
    text = read(tmp_path, b"a" * 5000 + b"\nnext\n")
    assert text == "a" * LINE_CHARACTERS + " [...]\nnext\n"


def test_a_long_log_keeps_both_ends(tmp_path: Path) -> None:
    text = read(tmp_path, b"FIRST\n" + b"".join(b"line %d\n" % number for number in range(100_000)) + b"LAST\n")
    assert text.startswith("FIRST\n") and text.endswith("LAST\n")
    assert len(text) <= LOG_CHARACTERS + 100


@given(st.binary(max_size=3000))
def test_any_bytes_can_be_read(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = read(Path(folder), data)
    text.encode()
    assert all(character in "\n\t" or character.isprintable() or not character.isascii() for character in text)
