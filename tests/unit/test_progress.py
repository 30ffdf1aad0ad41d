"""What is shown of authoring: one line in few columns, and lines that stay while others scroll."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.host.bottom import Bottom
from snakemake_executor_plugin_llmagent.host.rows import Row, in_columns, in_minutes
from snakemake_executor_plugin_llmagent.progress import Phase, Step, StepKind
from snakemake_executor_plugin_llmagent.protocols import Usage
from snakemake_executor_plugin_llmagent.text import columns, cut_columns
from tests.terminal import Terminal


def row(rule: str = "fit_myy", spent: str = "") -> Row:
    return Row(rule=rule, started=100.0, spent=lambda: spent)


def busy(spent: str = "0.03 of 2 USD") -> Row:
    busy = row(spent=spent)
    busy.goes_on(Step(phase=Phase.WRITES, attempt=2, attempts=5, model="openai:gpt-5"))
    busy.answered(Usage(input_tokens=12_000, output_tokens=345))
    busy.come = 4938
    return busy


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (200, "fit_myy  attempt 2 of 5  openai:gpt-5 writes  ~1,234 tokens  12,345 tokens so far  0.03 of 2 USD  1:23"),
        (80, "fit_myy  attempt 2 of 5  openai:gpt-5 writes  ~1,234 tokens  0.03 of 2 USD  1:23"),
        (79, "fit_myy  attempt 2 of 5  writes  ~1,234 tokens  0.03 of 2 USD  1:23"),
        (60, "fit_myy  2/5  writes  ~1,234 tokens  0.03 of 2 USD  1:23"),
        (41, "fit_myy  2/5  writes  ~1,234 tokens  1:23"),
        (40, "fit_myy  2/5  writes  1:23"),
        (25, "fit_m…  2/5  writes  1:23"),
        (12, "fit_myy  2/…"),
    ],
)
def test_a_line_in_few_columns(width: int, text: str) -> None:
    assert in_columns(busy(), 183.4, width) == text


def test_what_a_line_says_as_authoring_goes_on() -> None:
    shown = row()
    assert in_columns(shown, 100.0, 80) == "fit_myy  looks at its inputs  0:00"
    shown.goes_on(Step(phase=Phase.WRITES, attempt=1, attempts=3, model="openai:m"))
    shown.come = 7
    assert in_columns(shown, 101.0, 80) == "fit_myy  attempt 1 of 3  openai:m writes  ~1 tokens  0:01"
    shown.answered(Usage(input_tokens=10, output_tokens=2))
    shown.goes_on(Step(phase=Phase.CHECKS, attempt=1, detail="probes"))
    assert in_columns(shown, 160.0, 80) == "fit_myy  attempt 1 of 3  checks: probes  12 tokens so far  1:00"
    shown.goes_on(Step(kind=StepKind.NOTE))
    assert "checks: probes" in in_columns(shown, 160.0, 80), "a remark is no new phase"
    shown.goes_on(Step(phase=Phase.RUNS, attempt=0))
    assert "attempt 1 of 3  runs" in in_columns(shown, 3700.0, 80) and in_columns(shown, 3800, 80).endswith("1:01:40")


def test_times() -> None:
    assert [in_minutes(seconds) for seconds in (-1, 0.9, 59.9, 3599, 3600)] == [
        "0:00",
        "0:00",
        "0:59",
        "59:59",
        "1:00:00",
    ]


@settings(max_examples=60)
@given(st.text(max_size=30), st.integers(1, 60))
def test_lines_never_take_more_columns_than_there_are(rule: str, width: int) -> None:
    assert columns(in_columns(row(rule), 100.0, width)) <= width


def test_wide_characters_and_marks_are_counted() -> None:
    assert [columns(text) for text in ("abc", "規則", "e\u0301", "µ", "\u200b")] == [3, 4, 1, 1, 0]
    assert [cut_columns("規則の名", width) for width in (8, 7, 6, 2, 1, 0)] == [
        "規則の名",
        "規則の…",
        "規則…",
        "…",
        "…",
        "",
    ]


# --- lines that stay ------------------------------------------------------------------------------------------------


class Screen:
    """A real terminal's two ends, and what stands on it."""

    def __init__(self, width: int, height: int) -> None:
        self.terminal = Terminal(width, height)
        self._master, self._slave = pty.openpty()
        self.stream = io.TextIOWrapper(io.FileIO(self._slave, "w", closefd=False), encoding="utf-8", write_through=True)
        self.set_size(width, height)
        self.bottom = Bottom(self.stream)

    def set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width: int, height: int) -> None:
        self.take()
        self.terminal.resize(width, height)
        self.set_size(width, height)

    def show(self, *lines: str) -> None:
        self.bottom.show(lambda width, most: [line[:width] for line in lines[:most]])

    def take(self) -> bytes:
        """Let the terminal show what was written up to now."""
        os.write(self._slave, b"\x05")  # an end that no text has
        data = b""
        while not data.endswith(b"\x05"):
            data += os.read(self._master, 65536)
        self.terminal.feed(data[:-1])
        return data[:-1]

    def close(self) -> None:
        self.bottom.close()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def screen() -> Iterator[Screen]:
    with contextlib.closing(Screen(40, 12)) as screen:
        yield screen


def test_other_lines_scroll_above_them(screen: Screen) -> None:
    screen.stream.write("before\n")
    screen.show("one", "two")
    screen.stream.write("".join(f"line {number}\n" for number in range(20)))
    screen.show("one", "2")
    screen.take()
    assert screen.terminal.lines[-3:] == ["", "one", "2"]
    screen.show()
    screen.take()
    assert screen.terminal.scrolls_all and "one" not in screen.terminal.text
    assert screen.terminal.text.split() == ["before", *(word for n in range(20) for word in ("line", str(n)))]


def test_a_line_that_is_not_finished_goes_on_where_it_was(screen: Screen) -> None:
    screen.stream.write("\n" * 11 + "half a ")
    screen.show("one", "two", "three")
    screen.stream.write("line, ")
    screen.show("one")
    screen.stream.write("whole\n")
    screen.take()
    assert "half a line, whole" in screen.terminal.lines
    assert screen.terminal.lines[-1] == "one"


def test_a_terminal_that_changes_its_size(screen: Screen) -> None:
    screen.stream.write("first\n" * 30)
    screen.show("one", "two")
    for width, height in ((30, 7), (100, 30), (21, 6), (40, 12)):
        screen.resize(width, height)
        screen.show("one", "two")
        screen.take()
        count = min(2, (height - 1) // 3)
        assert screen.terminal.lines[-count:] == ["one", "two"][:count]
        assert screen.terminal.text.count("one") == 1, screen.terminal.text
        assert screen.terminal.region == (0, height - count - 1)


@pytest.mark.parametrize(("width", "height"), [(19, 24), (80, 5)])
def test_no_room(screen: Screen, width: int, height: int) -> None:
    screen.show("one")
    screen.resize(width, height)
    screen.show("one")
    screen.take()
    assert screen.terminal.scrolls_all and not screen.bottom.shows and "one" not in screen.terminal.text


def test_nothing_is_written_where_nothing_changes(screen: Screen) -> None:
    screen.show("one")
    assert screen.take()
    screen.show("one")
    assert screen.take() == b""
    screen.show()
    screen.take()
    screen.bottom.close()
    assert screen.take() == b""


def test_a_terminal_that_is_gone_is_left_alone() -> None:
    screen = Screen(40, 12)
    screen.show("one")
    os.close(screen._slave)
    screen.show("two")
    screen.bottom.close()
    os.close(screen._master)


moves = st.one_of(
    st.lists(st.sampled_from(["a", "規則", "long " * 6]), max_size=4),
    st.text("xy z\n", max_size=60),
    st.tuples(st.integers(21, 60), st.integers(6, 20)),
)


@settings(max_examples=40)
@given(st.lists(moves, max_size=12))
def test_whatever_is_written_meanwhile_is_neither_lost_nor_mixed(
    steps: list[list[str] | str | tuple[int, int]],
) -> None:
    with contextlib.closing(Screen(60, 12)) as screen:
        written = ""
        for step in steps:
            if isinstance(step, tuple):
                screen.resize(*step)
                screen.show()
            elif isinstance(step, list):
                screen.show(*step)
            else:
                screen.stream.write(step)
                written += step
        screen.show()
        screen.take()
        assert screen.terminal.scrolls_all
        assert "".join(screen.terminal.text.split()) == "".join(written.split())
