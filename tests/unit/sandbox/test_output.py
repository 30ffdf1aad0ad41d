"""Taking in what is printed."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.sandbox import output
from snakemake_executor_plugin_llmagent.sandbox.output import Output, Shown


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def taken(log: Path, *parts: bytes, limit: int = 1 << 30) -> Output:
    """An output that took in what a script printed, and was closed."""
    made = Output(str(log), limit, show=False)
    (end,) = made.descriptors
    for part in parts:
        for start in range(0, len(part), 1 << 15):
            os.write(made.stdout, part[start : start + (1 << 15)])
            assert made.take(end)
    made.close_entrances()
    made.close()
    return made


def test_all_of_a_short_output(log: Path) -> None:
    made = taken(log, b"one\n", b"\xff\x00", b"")
    assert log.read_bytes() == b"one\n\xff\x00"
    assert (made.kept, made.dropped, made.tail()) == (6, 0, "one\n\ufffd\x00")


def test_nothing(log: Path) -> None:
    made = taken(log)
    assert (log.read_bytes(), made.kept, made.dropped, made.tail()) == (b"", 0, 0, "")


def test_the_beginning_and_the_end_of_a_long_one(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "HEAD_BYTES", 100)
    monkeypatch.setattr(output, "TAIL_BYTES", 50)
    made = taken(log, b"FIRST", b"x" * 1000, b"LAST")
    text = log.read_bytes()
    assert text.startswith(b"FIRSTxxx") and text.endswith(b"xxxLAST")
    assert b"\n[... 859 bytes left out ...]\n" in text
    assert (made.kept, made.dropped) == (100, 859)


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_what_is_kept_and_what_is_left_out_is_all(parts: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(output, "HEAD_BYTES", 64)
        patch.setattr(output, "TAIL_BYTES", 32)
        whole = b"".join(parts)
        made = taken(Path(folder, "log"), *parts)
        text = Path(folder, "log").read_bytes()
        assert text.startswith(whole[:64])
        assert made.kept == min(64, len(whole)) and made.dropped == max(0, len(whole) - 96)
        if made.dropped:
            assert text.endswith(whole[-32:])
        else:
            assert text == whole


def test_a_log_is_the_persons_own_and_never_a_link(log: Path, tmp_path: Path) -> None:
    taken(log, b"x")
    assert log.stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").write_text("precious")
    (tmp_path / "link").symlink_to("other")
    with pytest.raises(OSError, match="symbolic links"):
        Output(str(tmp_path / "link"), 1, show=False)
    assert (tmp_path / "other").read_text() == "precious"


def test_a_new_run_begins_a_new_log(log: Path) -> None:
    taken(log, b"old and long")
    taken(log, b"new")
    assert log.read_bytes() == b"new"


def test_what_is_still_in_the_pipe_is_taken_without_waiting(log: Path) -> None:
    made = Output(str(log), 1 << 30, show=False)
    os.write(made.stdout, b"late")
    made.close()  # somebody still holds the other end
    made.close_entrances()
    assert log.read_bytes() == b"late"


def test_nothing_to_take_is_not_the_end(log: Path) -> None:
    made = Output(str(log), 1, show=False)
    (end,) = made.descriptors
    assert made.take(end)
    made.close_entrances()
    assert not made.take(end)
    made.close()


def test_one_pipe_keeps_the_order_and_two_keep_apart(log: Path) -> None:
    one = Output(str(log), 1, show=False)
    assert one.stdout == one.stderr and len(tuple(one.descriptors)) == 1
    two = Output(str(log), 1, show=True)
    assert two.stdout != two.stderr and len(tuple(two.descriptors)) == 2
    for made in (one, two):
        made.close_entrances()
        made.close()


def test_nothing_stays_open(log: Path) -> None:
    before = len(sorted(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        taken(log, b"x")
    assert len(sorted(Path("/proc/self/fd").iterdir())) == before


# --- shown ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.lists(st.integers(0, 200), max_size=6))
def test_wherever_the_bytes_are_cut_the_text_is_the_same(text: str, cuts: list[int]) -> None:
    data = text.replace("\r", "").encode()
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    said = []
    for parts in ([data], [data[a:b] for a, b in itertools.pairwise(places)]):
        reader, writer = os.pipe()
        shown = Shown(writer)
        for part in parts:
            shown.print(part)
        shown.finish()
        os.close(writer)
        with os.fdopen(reader, "rb") as handle:
            said.append(handle.read().decode())
    assert said[0] == said[1]
    assert "\x1b" not in said[0] and "\u202e" not in said[0] and "\x00" not in said[0]


def test_what_is_invisible_is_written_out(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    shown = Shown(writer)
    shown.print("a\x1b[31m\u202eb\x07\ud7ff\u00e9\tc\n".encode())
    shown.finish()
    os.close(writer)
    assert os.read(reader, 1000).decode() == "a\\x1b[31m\\u202eb\\x07\ud7ff\u00e9\tc\n".replace("\ud7ff", "\\ud7ff")


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    shown = Shown(writer)
    for _ in range(3):
        shown.print(b"x")
    shown.finish()


def test_a_slow_reader_gets_all(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    got = bytearray()

    def read() -> None:
        while part := os.read(reader, 1 << 16):
            got.extend(part)

    thread = threading.Thread(target=read)
    thread.start()
    Shown(writer).print(b"0123456789" * 30_000)
    os.close(writer)
    thread.join()
    assert len(got) == 300_000


def test_a_reader_that_does_not_read_is_not_waited_for(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    shown = Shown(writer)
    for _ in range(20):
        shown.print(b"x" * 65536)
