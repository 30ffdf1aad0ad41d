"""What a provider charges never exceeds a limit, and the ledger never knows of less: threads, processes, kill -9.

The provider is a scripted server that keeps its own bill. It charges for answers that never arrive as well.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.ledger import Book
from snakemake_executor_plugin_llmagent.ledger.entries import month_scope
from snakemake_executor_plugin_llmagent.metering import ledger_of, ledger_of_month, spent_in_month, this_month
from tests.loopback import Asked, Reply, ScriptedModel, broken, drop, hang, refuse, status, truncated
from tests.unit.ledger.payer import PRICES, pay

KINDS = ("say", "say", "say", "truncated", "refuse", "drop", "broken", "hang", "status", "status")


class Provider:
    """Answers well or badly, as chance wills, and keeps a bill."""

    def __init__(self, seed: int, kinds: tuple[str, ...] = KINDS) -> None:
        self._chance = random.Random(seed)
        self._kinds = kinds
        self._writing = threading.Lock()
        self.bill = Decimal(0)

    def __call__(self, asked: Asked) -> Reply:
        with self._writing:
            kind = self._chance.choice(self._kinds)
            tokens_in, tokens_out = len(asked.text) // 3 + 1, self._chance.randint(1, 1000)
            if kind == "status":
                return status(self._chance.choice((429, 500, 503)))
            self.bill += (Decimal(tokens_in) * 10 + Decimal(tokens_out) * 100) / 1_000_000
        usage = {"input": tokens_in, "output": tokens_out}
        counted = {"say": Reply(text="x", usage=usage), "truncated": truncated(), "refuse": refuse()}
        if kind in ("truncated", "refuse"):
            return Reply(text="x", finish=counted[kind].finish, usage=usage)
        return counted.get(kind) or {"drop": drop(), "broken": broken(), "hang": hang(30)}[kind]


def books(folder: Path) -> tuple[Book, Book]:
    found = Book(ledger_of(folder / "project")), Book(ledger_of_month(folder / "home", this_month()))
    for book in found:
        book.read()
    return found


@settings(max_examples=4)
@given(seed=st.integers(0, 10**6))
def test_sixteen_authorings_at_once(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("paying")
    (folder / "prices.yaml").write_text(PRICES)
    provider = Provider(seed, tuple(kind for kind in KINDS if kind != "hang"))
    with ScriptedModel(provider) as server, pytest.MonkeyPatch.context() as patched:
        for name, value in server.env("openai").items():
            patched.setenv(name, value)
        ended = pay(folder, "2 USD", threads=16, calls=100)
    project, person = books(folder)
    spent = person.total(month_scope(this_month()))
    assert provider.bill <= spent.usd <= 2
    assert spent.open_usd == 0
    assert spent == project.total(month_scope(this_month())) == spent_in_month(folder / "home", this_month())
    assert all("leaves too little for the next call" in text for text in ended), "the limit was reached by all"
    assert spent.usd > Decimal("1.8"), "what others might have cost does not count once they are answered"


def test_two_processes_killed_at_random_moments(tmp_path: Path) -> None:
    # Two kills can leave up to 3.2 USD of calls in flight beside what was answered: the limit is far from that, so that
    # the third start finds something to spend.
    chance = random.Random(3)
    provider = Provider(11)
    (tmp_path / "prices.yaml").write_text(PRICES)
    with ScriptedModel(provider) as server:
        environment = {**os.environ, **server.env("openai"), "PYTHONPATH": str(Path(__file__).parents[3])}
        command = (sys.executable, "-m", "tests.unit.ledger.payer", str(tmp_path), "12 USD", "8", "1000")

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

        for _ in range(2):
            before = len(server.requests)
            pair = [start(), start()]
            deadline = time.monotonic() + 90
            while len(server.requests) < before + 12 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.1))
            assert [process.poll() for process in pair] == [None, None], "both are at work"
            for process in pair:
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert len(server.requests) >= before + 12
        assert [process.wait(timeout=120) for process in [start(), start()]] == [0, 0]
    _, person = books(tmp_path)
    spent = person.total(month_scope(this_month()))
    assert provider.bill <= spent.usd <= 12
    assert spent.open_usd > 0, "calls that were in flight stay entered"
    assert spent.usd > Decimal("11.8")
