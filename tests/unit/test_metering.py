"""Which limits hold for a rule, and what is said when one is reached."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.budgets import parse_budget
from snakemake_executor_plugin_llmagent.config import state_place
from snakemake_executor_plugin_llmagent.errors import BudgetExceeded, Cancelled, ConfigError
from snakemake_executor_plugin_llmagent.metering import Charging, Meter, Metering, Snapshot, spent_in_month, this_month
from snakemake_executor_plugin_llmagent.money import Cost, Price, Spent
from snakemake_executor_plugin_llmagent.protocols import Usage
from snakemake_executor_plugin_llmagent.session import Session
from tests.unit.support import a_spec

WORST = Cost(tokens=35_000, usd=Decimal("0.35"))


def metering(folder: Path, **chosen: object) -> Metering:
    values = {name: parse_budget(name, value) for name, value in chosen.items() if name in ("budget", "monthly")}
    charging = Charging(**{"place": folder / "home", **chosen, **values})  # type: ignore[arg-type]
    return Metering(charging, home=folder / "project", project=folder, cancelled=threading.Event())


def meter(run: Metering, folder: Path, budget: str | None = None) -> Meter:
    limit = None if budget is None else parse_budget("budget", budget)
    return run.meter(a_spec(), limit, Session.start(folder / "sessions", "fit"))


def pay(payer: Meter, cost: Cost = WORST, worst: Cost = WORST) -> None:
    call = payer.reserve("coder", "openai:m", "", worst)
    payer.settle(call, cost, "counted", Usage(), "m-1")


def test_a_rule_is_limited_across_runs_and_by_its_sentence(tmp_path: Path) -> None:
    pay(meter(metering(tmp_path), tmp_path, "0.5 USD"))
    payer = meter(metering(tmp_path), tmp_path, "0.5 USD")
    with pytest.raises(BudgetExceeded) as caught:
        pay(payer)
    assert str(caught.value) == (
        "The budget for rule fit is used up: its own budget of 0.5 USD leaves too little for the next call.\n"
        "  spent: 0.35 USD, 35,000 tokens, in 1 call\n"
        "  the next call, of openai:m as coder: at most 0.35 USD, 35,000 tokens\n"
        f"  this session: 0 attempts, {tmp_path}/sessions/fit/{payer._session.directory.name}\n"
        "Nothing of it is lost: a later run goes on from there and does not pay again for what was answered. "
        "To go on, raise `budget` in the rule to at least 0.70 USD."
    )
    other = metering(tmp_path).meter(
        a_spec(text="another sentence"), parse_budget("budget", "0.5 USD"), Session.start(tmp_path / "s", "fit")
    )
    pay(other)


def test_a_run_is_limited_by_itself(tmp_path: Path) -> None:
    one = metering(tmp_path, budget="0.4 USD")
    payer = meter(one, tmp_path)
    call = payer.reserve("coder", "openai:m", "", WORST)
    assert payer.snapshot() == Snapshot(
        rule=Spent(usd=WORST.usd or Decimal(0), tokens=35_000, open_usd=Decimal("0.35"), open_tokens=35_000, calls=1),
        run=Spent(usd=WORST.usd or Decimal(0), tokens=35_000, open_usd=Decimal("0.35"), open_tokens=35_000, calls=1),
        rule_budget=None, run_budget=parse_budget("budget", "0.4 USD"),
    )  # fmt: skip
    payer.settle(call, WORST, "worst", Usage(), "")
    with pytest.raises(BudgetExceeded, match="To go on, run again, as each run has its own budget, or raise"):
        pay(payer)
    pay(meter(metering(tmp_path, budget="0.4 USD"), tmp_path))
    with pytest.raises(BudgetExceeded, match=r"To go on, raise --llmagent-budget to at least 0\.35 USD"):
        pay(meter(metering(tmp_path, budget="0.3 USD"), tmp_path))


def test_tokens_are_limited_whatever_they_cost(tmp_path: Path) -> None:
    payer = meter(metering(tmp_path), tmp_path, "2 USD and 60k tokens")
    unpriced = Cost(tokens=35_000, usd=None)
    pay(payer, unpriced, unpriced)
    with pytest.raises(BudgetExceeded) as caught:
        pay(payer, unpriced, unpriced)
    assert "spent: 35,000 tokens without a known price, in 1 call\n" in str(caught.value)
    assert "at most 35,000 tokens\n" in str(caught.value)
    assert "raise `budget` in the rule to at least 70000 tokens." in str(caught.value)


def test_a_call_without_an_answer_is_said(tmp_path: Path) -> None:
    lost = meter(metering(tmp_path), tmp_path)
    lost.reserve("coder", "openai:m", "", WORST)
    text = (tmp_path / "project/ledger.jsonl").read_text()
    (tmp_path / "project/ledger.jsonl").write_text(text.replace('"start":"', '"start":"before-'))
    with pytest.raises(BudgetExceeded, match=r"of which 0\.35 USD, 35,000 tokens are the worst case of calls"):
        pay(meter(metering(tmp_path), tmp_path, "0.5 USD"))


def test_a_month_is_limited_across_projects(tmp_path: Path) -> None:
    pay(meter(metering(tmp_path / "one", place=tmp_path / "me"), tmp_path / "one"))
    other = metering(tmp_path / "two", place=tmp_path / "me", monthly="0.5 USD")
    with pytest.raises(BudgetExceeded, match=r"your budget for the month \(--llmagent-monthly-budget '0\.5 USD', all"):
        pay(meter(other, tmp_path / "two"))
    assert spent_in_month(tmp_path / "me", this_month()).calls == 1
    assert spent_in_month(None, this_month()) == Spent()


def test_nothing_is_paid_after_a_cancel(tmp_path: Path) -> None:
    run = metering(tmp_path)
    run.cancelled.set()
    with pytest.raises(Cancelled):
        pay(meter(run, tmp_path))
    assert not (tmp_path / "project/ledger.jsonl").exists()


@pytest.mark.parametrize("place", [None, Path("/proc/nowhere")])
def test_without_a_place_for_months(tmp_path: Path, place: Path | None) -> None:
    pay(meter(metering(tmp_path, place=place), tmp_path))
    with pytest.raises(ConfigError, match="--llmagent-monthly-budget cannot be kept, because what you spend in"):
        metering(tmp_path, place=place, monthly="1 USD")


@pytest.mark.parametrize(
    ("budgets", "rule", "wrong"),
    [
        ({}, None, False),
        ({}, "2 USD", True),
        ({"budget": "2 USD"}, None, True),
        ({"monthly": "2 USD"}, None, True),
        ({}, "200k tokens", False),
        ({"budget": "2 USD"}, "200k tokens", False),
        ({"budget": "2 USD and 1M tokens"}, None, False),
    ],
)
def test_dollars_of_unpriced_models(tmp_path: Path, budgets: dict[str, str], rule: str | None, wrong: bool) -> None:
    run, limit = metering(tmp_path, **budgets), None if rule is None else parse_budget("budget", rule)
    price = Price(input=Decimal(1), output=Decimal(1))
    run.check("fit", limit, {"openai:m": price})
    if not wrong:
        run.check("fit", limit, {"openai:m": price, "openai:n": None})
        return
    with pytest.raises(ConfigError, match=r'fit is limited to 2 USD, but openai:n has no known .*budget="200k tokens"'):
        run.check("fit", limit, {"openai:m": price, "openai:n": None})


def test_unpriced_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    run = metering(tmp_path)
    for name in ("openai:m", "openai:m", "openai:n"):
        run.say_unpriced(name, said.append)
    assert [text.partition(" ")[0] for text in said] == ["openai:m", "openai:n"]
    assert "--llmagent-prices" in said[0]


def test_prices_of_the_person_come_first(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("date: 2026-11-01\nmodels:\n  openai:gpt-5: {input: 0, output: 0}\n")
    known = {
        "openai:gpt-5": Price(input=Decimal(9), output=Decimal(9)),
        "lab:m": Price(input=Decimal(9), output=Decimal(9)),
    }
    run = metering(tmp_path, prices=path, known=known)
    url = "https://api.openai.com/v1/"
    free, lab, listed = (
        run.price("openai:gpt-5", "gpt-5", url),
        run.price("lab:m", "m", ""),
        run.price("a:o3", "o3", url),
    )
    assert free is not None and free.output == 0
    assert lab == known["lab:m"]
    assert listed is not None and listed.source.startswith("genai-prices ")
    assert run.price("openai:m", "m", "http://localhost:11434/v1/") is None


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"HOME": "/home/me"}, "/home/me/.local/state/llmagent"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/state"}, "/state/llmagent"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "relative"}, "/home/me/.local/state/llmagent"),
        ({}, None),
    ],
)
def test_where_a_persons_ledgers_lie(environment: dict[str, str], place: str | None) -> None:
    assert state_place(environment) == (None if place is None else Path(place))


def test_a_long_wait_is_told_once_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from snakemake_executor_plugin_llmagent import metering as module

    monkeypatch.setattr(module, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    run, said = metering(tmp_path, budget="0.5 USD"), []
    first = meter(run, tmp_path)
    call = first.reserve("coder", "openai:m", "", WORST)
    cheap = Cost(tokens=10, usd=Decimal("0.01"))

    def tell(text: str) -> None:
        said.append(text)
        first.settle(call, cheap, "counted", Usage(), "m-1")

    other = run.meter(a_spec(), None, Session.start(tmp_path / "sessions", "fit"), tell)
    pay(other)
    assert said == ["waits: calls that are in flight may need all that is left of a budget"]
