"""Nothing is spent beyond a limit and nothing spent is lost: threads, processes, and kill -9 at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.budgets import Budget
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.ledger import (
    Accounts,
    Book,
    Limit,
    OverLimit,
    Reservation,
    Settlement,
    entries,
    holding,
    owner,
)
from snakemake_executor_plugin_llmagent.ledger.entries import read_line, rule_scope, run_scope
from snakemake_executor_plugin_llmagent.money import Cost, Spent
from snakemake_executor_plugin_llmagent.protocols import Usage
from tests.unit.ledger.spender import WORST, spend

SCOPE = rule_scope("fit", "0")


def a_call(**changes: object) -> Reservation:
    values: dict[str, object] = {
        "worst": WORST, "rule": "fit", "spec": "0", "run": "run", "role": "coder", "model": "openai:m",
    }  # fmt: skip
    return Reservation(**{**values, **changes})  # type: ignore[arg-type]


def never() -> None:
    raise AssertionError("there is nothing to wait for")


def limit(book: Book, usd: str | None = None, tokens: int | None = None) -> Limit:
    budget = Budget(usd=None if usd is None else Decimal(usd), tokens=tokens)
    return Limit(name="budget", budget=budget, book=book, scope=SCOPE)


def sent(folder: Path) -> list[str]:
    return [line for path in folder.glob("sent-*") for line in path.read_text().splitlines()]


# --- what is written -------------------------------------------------------------------------------------------------


@given(
    usd=st.none() | st.decimals(0, 1000, places=9), tokens=st.integers(0, 10**7), rule=st.text(), used=st.integers(0, 9)
)
def test_lines_are_read_as_written(usd: Decimal | None, tokens: int, rule: str, used: int) -> None:
    call = a_call(worst=Cost(tokens=tokens, usd=usd), rule=rule)
    done = Settlement(id=call.id, cost=call.worst, how="counted", usage=Usage(input_tokens=used), reported="m-1")
    for entry in (call, done):
        assert "\n" not in entry.line()
        assert read_line(entry.line().encode()) == entry


@pytest.mark.parametrize(
    "line", [b"", b"{", b"3", b"{}", b"\xff", b'{"version":1,"entry":"odd"}',
             b'{"version":1,"entry":"settle","id":"a","usd":"x","tokens":1,"usage":{}}'],
)  # fmt: skip
def test_what_is_no_line_counts_nothing(line: bytes) -> None:
    assert read_line(line) is None


def test_a_call_counts_at_its_worst_and_then_at_what_it_was(tmp_path: Path) -> None:
    book = Book(tmp_path / "deep" / "ledger.jsonl")
    accounts, call = Accounts(book), a_call()
    accounts.reserve(call, [], never)
    open_ = Spent(usd=Decimal("0.10"), tokens=100, open_usd=Decimal("0.10"), open_tokens=100, calls=1)
    assert book.total(SCOPE) == book.total(run_scope("run")) == open_
    assert book.total(rule_scope("fit", "another sentence")) == Spent()
    accounts.settle(Settlement(id=call.id, cost=Cost(tokens=7, usd=Decimal("0.01")), how="counted"))
    assert book.total(SCOPE) == Spent(usd=Decimal("0.01"), tokens=7, calls=1)
    again = Book(book.path)
    again.read()
    assert again.total(SCOPE) == book.total(SCOPE)
    assert [each.cost.tokens for each in again.calls] == [7]


def test_unpriced_tokens_are_no_dollars(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.jsonl")
    accounts = Accounts(book)
    call = a_call(worst=Cost(tokens=100, usd=None))
    accounts.reserve(call, [limit(book, usd="0.01")], never)
    assert book.total(SCOPE).unpriced == 100
    with pytest.raises(OverLimit) as caught:
        accounts.reserve(a_call(worst=Cost(tokens=100, usd=None), pid=2**22 + 1), [limit(book, tokens=50)], never)
    assert caught.value.limit.budget.tokens == 50


# --- torn lines, and files that were taken away ----------------------------------------------------------------------


@given(cut=st.integers(1, 400))
def test_a_torn_last_line_is_survived(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """A torn settlement leaves the call at its worst, unless nothing but the line's end is missing."""
    path = tmp_path_factory.mktemp("torn") / "ledger.jsonl"
    first, second = a_call(), a_call()
    one = Accounts(Book(path))
    one.reserve(first, [], never)
    one.reserve(second, [], never)
    one.settle(Settlement(id=first.id, cost=Cost(tokens=1, usd=Decimal("0.001")), how="counted"))
    whole = path.read_bytes()
    last = len(whole) - len(whole.splitlines(keepends=True)[-1])
    path.write_bytes(whole[: max(last, len(whole) - cut)])
    book = Book(path)
    other = Accounts(book)
    third = a_call()
    other.reserve(third, [], never)
    other.settle(Settlement(id=third.id, cost=Cost(tokens=5, usd=Decimal("0.005")), how="counted"))
    again = Book(path)
    again.read()
    assert again.total(SCOPE) == book.total(SCOPE)
    assert again.total(SCOPE).tokens == (1 if cut == 1 else 100) + 100 + 5
    one.books[0].read()


def test_a_ledger_that_was_removed_begins_anew(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.jsonl")
    accounts = Accounts(book)
    accounts.reserve(a_call(), [], never)
    book.path.unlink()
    book.read()
    assert book.total(SCOPE) == Spent()
    accounts.reserve(a_call(), [], never)
    book.path.rename(tmp_path / "aside")
    Accounts(Book(book.path)).reserve(a_call(), [], never)
    book.read()
    assert book.total(SCOPE).calls == 1


def test_a_ledger_of_a_newer_version_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"version":2,"entry":"settle"}\n')
    with pytest.raises(ConfigError, match="was written by a newer version of the plugin"):
        Accounts(Book(path)).reserve(a_call(), [], never)


def test_two_books_of_one_file_read_only_what_is_new(tmp_path: Path) -> None:
    one, other = Book(tmp_path / "ledger.jsonl"), Book(tmp_path / "ledger.jsonl")
    for number in range(1, 20):
        Accounts(one if number % 2 else other).reserve(a_call(), [], never)
        one.read()
        other.read()
        assert one.total(SCOPE).calls == other.total(SCOPE).calls == number


# --- who waits, and who is told --------------------------------------------------------------------------------------


def test_a_call_that_fits_once_another_is_answered_waits(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.jsonl")
    accounts, first = Accounts(book), a_call()
    limits = [limit(book, usd="0.15")]
    accounts.reserve(first, limits, never)
    waited = []

    def answered() -> None:
        waited.append(True)
        accounts.settle(Settlement(id=first.id, cost=Cost(tokens=1, usd=Decimal("0.04")), how="counted"))

    accounts.reserve(a_call(), limits, answered)
    assert waited == [True]
    with pytest.raises(OverLimit) as caught:
        accounts.reserve(a_call(worst=Cost(tokens=1, usd=Decimal("0.12"))), limits, never)
    assert caught.value.spent.usd == Decimal("0.14")


@pytest.mark.parametrize(
    "gone", [{"pid": 2**22 + 1}, {"start": "long ago"}, {"time": time.time() - 2 * entries.LONGEST_CALL_SECONDS}]
)
def test_nobody_waits_for_the_dead(tmp_path: Path, gone: dict[str, object]) -> None:
    """What they have sent stays counted: the provider may have charged it."""
    book = Book(tmp_path / "ledger.jsonl")
    accounts = Accounts(book)
    accounts.reserve(a_call(**gone), [], never)
    with pytest.raises(OverLimit):
        accounts.reserve(a_call(), [limit(book, usd="0.15")], never)
    assert book.total(SCOPE).usd == Decimal("0.10")


def test_of_other_machines_nothing_is_known(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.jsonl")
    accounts, far = Accounts(book), a_call(host="elsewhere/1", pid=2**22 + 1)
    accounts.reserve(far, [], never)

    def answered() -> None:
        accounts.settle(Settlement(id=far.id, cost=Cost(tokens=0, usd=Decimal(0)), how="unbilled"))

    accounts.reserve(a_call(), [limit(book, usd="0.15")], answered)


def test_a_book_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        Accounts(Book(tmp_path / "file" / "ledger.jsonl")).reserve(a_call(), [], never)


# --- many at once ----------------------------------------------------------------------------------------------------


def test_sixteen_threads_stay_within_a_limit(tmp_path: Path) -> None:
    accounts = Accounts(Book(tmp_path / "project.jsonl"), Book(tmp_path / "person.jsonl"))
    budget = Budget(usd=Decimal("3"))
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda seed: spend(tmp_path, budget, seed, accounts), range(16)))
    for book in accounts.books:
        spent = book.total(SCOPE)
        assert Decimal("2.90") < spent.usd <= Decimal("3")
        assert spent.open_usd == 0
        assert spent.calls == sum(done) == len(sent(tmp_path))


@pytest.mark.parametrize("links", [False, True], ids=["flock", "link"])
def test_killed_processes_neither_overspend_nor_lose(tmp_path: Path, links: bool) -> None:
    """Two processes of four threads, killed at random and started again, on file systems with and without locks."""
    chance = random.Random(7)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    code = (
        "import fcntl, errno, runpy, sys\n"
        f"if {links}:\n    def none(*_): raise OSError(errno.ENOLCK, '')\n    fcntl.flock = none\n"
        "from tests.unit.ledger.spender import main\nmain()"
    )

    def start(seed: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen((sys.executable, "-c", code, str(tmp_path), "4", str(seed)), env=environment)

    for round_ in range(3):
        pair = [start(100 * round_ + 10 * number) for number in range(2)]
        wait_until_sent(tmp_path, 10 * (round_ + 1))
        time.sleep(chance.uniform(0, 0.05))
        for process in pair:
            process.send_signal(signal.SIGKILL)
        for process in pair:
            process.wait()
    assert start(999).wait(timeout=60) == 0
    for name in ("project.jsonl", "person.jsonl"):
        book = Book(tmp_path / name)
        book.read()
        known = {call.reserved.id: call for call in book.calls}
        assert set(sent(tmp_path)) <= set(known), "what was sent stands in the ledger"
        spent = sum(call.cost.usd or 0 for call in known.values())
        assert Decimal("3.8") < spent <= 4 or name == "person.jsonl"
        open_ = [call for call in known.values() if call.settled is None]
        assert all(call.reserved.is_lost() for call in open_)
        assert len(open_) <= 3 * 2 * 4


def wait_until_sent(folder: Path, number: int) -> None:
    deadline = time.monotonic() + 60
    while len(sent(folder)) < number:
        assert time.monotonic() < deadline, "nothing is sent"
        time.sleep(0.005)


# --- without locks of the file system --------------------------------------------------------------------------------


def without_locks(*_: object) -> None:
    raise OSError(37, "No locks available")


def test_held_by_a_link_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", without_locks)
    path = tmp_path / "ledger.jsonl"
    with holding.held(path):
        assert (tmp_path / ".ledger.jsonl.held").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".ledger.jsonl.lock"]


@pytest.mark.parametrize("old", ["dead", "elsewhere"])
def test_a_dead_holder_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str) -> None:
    monkeypatch.setattr("fcntl.flock", without_locks)
    marker = tmp_path / ".ledger.jsonl.held"
    marker.write_text(f'[{2**22 + 1}, "{owner.this_host() if old == "dead" else "elsewhere/1"}", ""]')
    if old == "elsewhere":
        os.utime(marker, (0, 0))
    with holding.held(tmp_path / "ledger.jsonl"):
        assert str(os.getpid()) in marker.read_text()


@pytest.mark.parametrize("hold", ["flock", "link"])
def test_a_holder_that_never_lets_go_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hold: str) -> None:
    monkeypatch.setattr(holding, "PATIENCE_SECONDS", 0.05)
    path = tmp_path / "ledger.jsonl"
    if hold == "link":
        monkeypatch.setattr("fcntl.flock", without_locks)
        (tmp_path / ".ledger.jsonl.held").write_text('[1, "elsewhere/1", ""]')
    else:
        import fcntl

        handle = (tmp_path / ".ledger.jsonl.lock").open("w")
        fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match=r"has been held by another process for 0\.05 s"), holding.held(path):
        pass
    if hold == "flock":
        handle.close()
