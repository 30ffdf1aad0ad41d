"""Describing files that nobody trusts, behind real walls."""

from __future__ import annotations

import json
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent import reading
from snakemake_executor_plugin_llmagent.descriptions import FileDescription
from snakemake_executor_plugin_llmagent.errors import Cancelled
from snakemake_executor_plugin_llmagent.formats import describe
from snakemake_executor_plugin_llmagent.reading import ConfinedReader
from snakemake_executor_plugin_llmagent.sandbox import handed, process
from snakemake_executor_plugin_llmagent.sandbox.confined import Ground
from snakemake_executor_plugin_llmagent.sandbox.walls import choose
from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN, marked
from tests.unit.sandbox.support import need

MakeReader = Callable[..., ConfinedReader]


@pytest.fixture
def make_reader(tmp_path: Path) -> MakeReader:
    def make(wanted: str = "auto", cancelled: threading.Event | None = None, token: str = "reader") -> ConfinedReader:
        if wanted != "auto":
            need(wanted)
        (tmp_path / "project").mkdir(exist_ok=True)
        ground = Ground(
            project=tmp_path / "project", home=tmp_path / "llmagent", outer=dict(os.environ),
            walls=partial(choose, wanted, tmp_path / "llmagent" / "cache"),
        )  # fmt: skip
        return ConfinedReader(
            ground, lambda: tmp_path / "stages" / uuid.uuid4().hex[:8], lambda: f"{token}-1",
            cancelled or threading.Event(),
        )  # fmt: skip

    return make


class Counting:
    """How often a reader was started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        self._real = process.run
        monkeypatch.setattr(process, "run", self)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.times += 1
        return self._real(*arguments, **options)


def a_root(path: Path) -> None:
    uproot, np = pytest.importorskip("uproot"), pytest.importorskip("numpy")
    with uproot.recreate(path) as file:
        file.mktree("Events", {"pt": "float32", "n": "int64"}).extend(
            {"pt": np.linspace(1, 2, 5, dtype="float32"), "n": np.arange(5)}
        )
        file["mass"] = np.histogram(np.arange(10), bins=3)


def a_parquet(path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"pt": [1.5, None, 3.0], "jets": [[1, 2], [], [3]], "name": ["a", "b", "c"]}
    parquet.write_table(pyarrow.table(columns), path)


def an_npz(path: Path) -> None:
    np = pytest.importorskip("numpy")
    np.savez(path, pt=np.arange(5, dtype="float32"), flags=np.array([True, False]))


def an_hdf5(path: Path) -> None:
    h5py, np = pytest.importorskip("h5py"), pytest.importorskip("numpy")
    with h5py.File(path, "w") as file:
        file["group/data"] = np.arange(6).reshape(2, 3)
        file["group/data"].attrs["unit"] = "GeV"


def a_png(path: Path) -> None:
    pytest.importorskip("PIL.Image").new("RGB", (4, 3), "red").save(path)


def a_directory(path: Path) -> None:
    path.mkdir()
    (path / "a.csv").write_text("x,y\n1,2\n")
    (path / "deep").mkdir()
    (path / "deep" / "b.txt").write_text("text")


FORMATS: dict[str, Callable[[Path], object]] = {
    "events.root": a_root,
    "table.parquet": a_parquet,
    "arrays.npz": an_npz,
    "data.h5": an_hdf5,
    "plot.png": a_png,
    "values.json": lambda path: path.write_text('{"mass": 125.1, "bins": [1, 2, null], "text": "\\u202e"}'),
    "values.yaml": lambda path: path.write_text("mass: 125.1\nbins: [1, 2]\n"),
    "table.csv": lambda path: path.write_text("pt,name\n1.5,a\n,b\n"),
    "notes.txt": lambda path: path.write_bytes(b"notes \xff \x1b[2J\n"),
    "raw.bin": lambda path: path.write_bytes(bytes(range(256))),
    "empty": lambda path: path.touch(),
    "folder": a_directory,
}


def test_what_is_told_is_what_would_be_seen_without_walls(tmp_path: Path, make_reader: MakeReader) -> None:
    """Every format for real: all in one process, and nothing gets lost on the way."""
    paths = []
    for name, make in FORMATS.items():
        try:
            make(tmp_path / name)
        except pytest.skip.Exception:
            continue
        paths.append(tmp_path / name)
    reader = make_reader()
    reader.read_ahead(paths)
    for path in paths:
        assert repr(reader(path)) == repr(describe(path)), path
    assert not list((tmp_path / "stages").glob("*/*"))


@pytest.mark.parametrize("wanted", ["bwrap", "landlock", "none"])
def test_behind_each_kind_of_wall(tmp_path: Path, make_reader: MakeReader, wanted: str) -> None:
    FORMATS["table.csv"](tmp_path / "table.csv")
    found = make_reader(wanted)(tmp_path / "table.csv")
    assert (found.format, found.opened, [column.name for column in found.tables[0].columns]) == (
        "csv", True, ["pt", "name"],
    )  # fmt: skip


def test_a_file_is_read_once_as_long_as_nobody_writes_it(
    tmp_path: Path, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, reader = Counting(monkeypatch), make_reader()
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("first")
    other.write_text("other")
    reader.read_ahead([one, other])
    assert (reader(one).excerpt, reader(other).excerpt, counting.times) == ("first", "other", 1)
    reader.read_ahead([one, other])
    assert counting.times == 1
    one.write_text("second, and longer")
    assert (reader(one).excerpt, counting.times) == ("second, and longer", 2)


def test_a_folder_is_read_again_when_a_file_in_it_is_written(
    tmp_path: Path, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, reader = Counting(monkeypatch), make_reader("none")
    a_directory(tmp_path / "folder")
    reader(tmp_path / "folder")
    os.utime(tmp_path / "folder" / "a.csv", (1, 1))
    reader(tmp_path / "folder")
    assert counting.times == 2


def test_files_that_are_not_there(tmp_path: Path, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    counting, reader = Counting(monkeypatch), make_reader("none")
    (tmp_path / "there.txt").write_text("there")
    (tmp_path / "dangling").symlink_to("nowhere")
    reader.read_ahead([])
    reader.read_ahead([tmp_path / "gone", tmp_path / "there.txt", tmp_path / "dangling"])
    assert (reader(tmp_path / "there.txt").excerpt, counting.times) == ("there", 1)
    for name in ("gone", "dangling"):
        with pytest.raises(FileNotFoundError):
            reader(tmp_path / name)
    assert counting.times == 1


def test_a_file_behind_a_link(tmp_path: Path, make_reader: MakeReader) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "real.txt").write_text("real")
    (tmp_path / "link.txt").symlink_to("deep/real.txt")
    assert make_reader()(tmp_path / "link.txt").excerpt == "real"


# --- files that break what reads them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "make"), [("t.parquet", a_parquet), ("d.h5", an_hdf5), ("e.root", a_root)])
def test_damaged_files_end_in_a_description(
    tmp_path: Path, make_reader: MakeReader, name: str, make: Callable[[Path], object]
) -> None:
    """Wherever the damage is, and whatever the library does then: others are described all the same."""
    make(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    paths = [tmp_path / "first.txt"]
    for number in range(12):
        broken = bytearray(data)
        place = len(data) * number // 12
        broken[place : place + 40] = bytes(255 - byte for byte in broken[place : place + 40])
        paths.append(tmp_path / f"{number}-{name}")
        paths[-1].write_bytes(broken)
    paths += [tmp_path / "last.txt"]
    for text in (paths[0], paths[-1]):
        text.write_text("text")
    reader = make_reader()
    reader.read_ahead(paths)
    assert (reader(paths[0]).excerpt, reader(paths[-1]).excerpt) == ("text", "text")
    found = [reader(path) for path in paths[1:-1]]
    assert all(each.opened is True or each.problem or each.format == "binary" for each in found)


def test_what_hangs_a_reader_is_ended_and_the_others_are_read(
    tmp_path: Path, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading waits for ever for a pipe that nobody writes to; here a stand-in makes sure of it."""
    monkeypatch.setattr(reading, "SECONDS", 2.0)
    paths = _with_a_stand_in(tmp_path, monkeypatch, "import time; time.sleep(60)")
    reader = make_reader("landlock")
    reader.read_ahead(paths)
    assert [reader(path).opened for path in paths] == [True, False, True]
    assert reader(paths[1]).problem == "cannot be read: reading it was ended (timeout)"


@pytest.mark.parametrize(
    ("crash", "problem"),
    [
        ("import os; os.kill(os.getpid(), 11)", r"reading it was ended \(signal\)"),
        ("import os; os._exit(7)", "what reads it ended with status 7"),
        ("raise SystemExit(0)", "what reads it ended with status 0"),
        ("raise ValueError", "what reads it ended with status 1"),
    ],
)
def test_what_crashes_a_reader(
    tmp_path: Path, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch, crash: str, problem: str
) -> None:
    counting = Counting(monkeypatch)
    paths = _with_a_stand_in(tmp_path, monkeypatch, crash)
    reader = make_reader("landlock")
    reader.read_ahead(paths)
    first, second, third = (reader(path) for path in paths)
    assert (first.excerpt, third.excerpt, counting.times) == ("first.txt", "third.txt", 2)
    assert (second.opened, second.format, second.size_bytes) == (False, "binary", 10)
    assert re.fullmatch(f"cannot be read: {problem}", second.problem or "")


def _with_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: str) -> list[Path]:
    """Three files, the second of which breaks what reads it: it is told in the place of the real reader."""
    stand_in = tmp_path / "software" / "alone.py"
    stand_in.parent.mkdir()
    stand_in.write_text(
        "import json, sys\n"
        "with open(sys.argv[3], 'w') as sink:\n"
        "    for path in json.load(open(sys.argv[2])):\n"
        "        if 'second' in path:\n"
        f"            {crash}\n"
        "        told = {'path': path, 'format': 'text', 'size_bytes': 1, 'tables': [],\n"
        "                'excerpt': open(path).read(), 'opened': True, 'problem': None}\n"
        "        sink.write(json.dumps(told) + '\\n')\n"
        "        sink.flush()\n"
    )
    real = process.run

    def run(order: Any, command: Sequence[str], **options: Any) -> Any:
        words = [word if Path(word).name != "alone.py" else str(stand_in) for word in command]
        return real(replace(order, roots=(*order.roots, stand_in.parent)), words, **options)

    monkeypatch.setattr(process, "run", run)
    paths = [tmp_path / f"{name}.txt" for name in ("first", "second", "third")]
    for path in paths:
        path.write_text(path.name)
    return paths


def test_nothing_else_can_be_read(tmp_path: Path, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes its reader over finds nothing to tell."""
    secret, sibling = tmp_path / "secret", tmp_path / "second-sibling"
    for path in (secret, sibling):
        path.write_text("secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    look = (
        f"got = []\n            names = ({str(secret)!r}, {str(sibling)!r}, '/etc/shadow',"
        f"                     '/proc/{os.getpid()}/environ')\n"
        "            for name in names:\n"
        "                try: got.append(open(name, 'rb').read())\n                except OSError: pass\n"
        "            import os; got += [v for k, v in os.environ.items() if 'KEY' in k]\n"
        "            import socket\n            try: socket.create_connection(('127.0.0.1', 9), 1)\n"
        "            except OSError as error: got += [] if error.errno in (1, 97, 101) else [error]\n"
        "            assert not got, got"
    )
    paths = _with_a_stand_in(tmp_path, monkeypatch, look)
    reader = make_reader("landlock")
    reader.read_ahead(paths)
    assert reader(paths[1]).excerpt == "second.txt"


def test_cancelling_ends_it(tmp_path: Path, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled, token = threading.Event(), uuid.uuid4().hex
    paths = _with_a_stand_in(tmp_path, monkeypatch, "import time; time.sleep(60)")
    timer = threading.Timer(0.5, cancelled.set)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        make_reader("landlock", cancelled, token).read_ahead(paths)
    timer.join()
    assert time.monotonic() - started < 30
    assert not marked(f"{TOKEN}={token}")
    assert not list((tmp_path / "stages").glob("*/*"))


# --- answers of a process that a file has taken over ------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "path": "/else",
    "format": "text",
    "size_bytes": 1,
    "tables": [],
    "excerpt": "x",
    "opened": True,
    "problem": None,
}
TABLE: dict[str, Any] = {"name": "t", "kind": "table", "columns": [], "entries": 1, "looked_at": 1, "note": None}
COLUMN: dict[str, Any] = {"name": "c", "type": "int64", "examples": [], "per_entry": None}


def answered(tmp_path: Path, *lines: str, count: int = 1) -> list[FileDescription]:
    (tmp_path / "answer").write_text("".join(f"{line}\n" for line in lines))
    return reading._read_answer(tmp_path / "answer", [Path(f"/f{number}") for number in range(count)])


def test_an_answer(tmp_path: Path) -> None:
    table = {**TABLE, "columns": [{**COLUMN, "per_entry": [1, 2], "examples": ["a", 3], "minimum": 1, "mean": 0.5}]}
    (found,) = answered(tmp_path, json.dumps({**GOOD, "tables": [table]}))
    assert (found.path, found.tables[0].columns[0].per_entry) == (Path("/f0"), (1, 2))
    assert found.tables[0].columns[0].examples == ("a", "3")


BAD_FILES: list[dict[str, Any]] = [
    {"format": 3}, {"size_bytes": "1"}, {"size_bytes": None}, {"size_bytes": True}, {"excerpt": 3}, {"problem": []},
    {"opened": "yes"}, {"more": 1}, {"excerpt": "\ud800"},
]  # fmt: skip
BAD_TABLES: list[dict[str, Any]] = [
    {"name": None}, {"kind": 3}, {"entries": "many"}, {"looked_at": None}, {"note": 3}, {"more": 1}, {"columns": 3},
    {"name": "\udfff"},
]  # fmt: skip
BAD_COLUMNS: list[dict[str, Any]] = [
    {"name": 3}, {"type": None}, {"title": 5}, {"unit": [1]}, {"minimum": "0"}, {"n_values": None},
    {"n_nonfinite": "x"}, {"n_distinct_capped": None}, {"per_entry": []}, {"per_entry": [1]}, {"per_entry": 5},
    {"per_entry": [float("inf"), 1]}, {"per_entry": ["a", 1]}, {"examples": None},
]  # fmt: skip
NONSENSE = (
    "", "{", "null", "3", '"x"', "[]", "[1]", "{}", "[" * 100_000, "9" * 5000, '{"tables": []}', '{"tables": 3}',
    '{"tables": ["x"]}', '{"tables": [null]}', "\ufffd",
)  # fmt: skip
BAD = [
    *NONSENSE,
    *(json.dumps({**GOOD, **bad}) for bad in BAD_FILES),
    *(json.dumps({**GOOD, "tables": [{**TABLE, **bad}]}) for bad in BAD_TABLES),
    *(json.dumps({**GOOD, "tables": [{**TABLE, "columns": [{**COLUMN, **bad}]}]}) for bad in BAD_COLUMNS),
]


@pytest.mark.parametrize("line", BAD, ids=lambda line: str(line)[-80:])
def test_what_is_no_description_is_not_taken_for_one(tmp_path: Path, line: str) -> None:
    assert answered(tmp_path, line) == []
    found = answered(tmp_path, json.dumps(GOOD), line, json.dumps(GOOD), count=3)
    assert len(found) == 1, "what follows might belong to another file"


def test_more_answers_than_questions(tmp_path: Path) -> None:
    assert len(answered(tmp_path, *[json.dumps(GOOD)] * 3, count=2)) == 2


def test_an_answer_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(json.dumps(GOOD))
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(Path("/proc/self/fd").iterdir())
    for name in ("link", "folder", "pipe", "gone"):
        assert reading._read_answer(tmp_path / name, [Path("/f")]) == []
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_an_endless_answer_is_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed, "ANSWER_BYTES", 300)
    assert len(answered(tmp_path, *[json.dumps(GOOD)] * 100, count=100)) == 2
