"""What a hostile script tries, against every kind of wall, as root and as an ordinary user.

`catalogue.py` names the attacks and what is known not to be covered; `judge.py` says how a verdict is found. The
control run, without walls, proves that each attack bites: one that fails in the open too would prove nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.sandbox import batches
from tests.sandbox.batches import User
from tests.sandbox.catalogue import (
    ATTACKS,
    BACKENDS,
    CANNOT_BITE,
    DEPENDS_ON_MACHINE,
    HONEST,
    NOT_COVERED,
    NOT_POSSIBLE,
    OPEN,
    RACES,
    SPECIAL,
    Attack,
)
from tests.sandbox.conftest import GetBatch

NAMES = [attack.name for attack in ATTACKS]
pytestmark = pytest.mark.timeout(600)  # the first test of a batch waits for all of it


def _matrix(attacks: Sequence[Attack], *, walls: bool) -> pytest.MarkDecorator:
    slots = [slot for slot in batches.slots() if (slot[1] != OPEN.name) == walls]
    return pytest.mark.parametrize(
        ("user", "backend", "attack"),
        [
            pytest.param(*slot, name, id="-".join((*slot, name)))
            for slot in slots
            for name in (each.name for each in attacks)
        ],
    )


@_matrix(ATTACKS, walls=True)
def test_attack_is_stopped(user: User, backend: str, attack: str, batch: GetBatch) -> None:
    """It is stopped, or it is known that it is not: both have to be true."""
    result = batch(user, backend)
    if result.unavailable is not None:
        pytest.skip(result.unavailable)
    verdict = result.verdicts[attack]
    gaps, reason = NOT_COVERED.get(attack, (frozenset(), ""))
    expected = "escaped" if (user, backend) in gaps or ("any", backend) in gaps else "blocked"
    bites = not (attack in CANNOT_BITE and user in CANNOT_BITE[attack][0])
    open_end = not bites or attack in DEPENDS_ON_MACHINE or attack in RACES
    if expected == "escaped" and open_end and verdict["word"] == "blocked":
        pytest.skip("it did not bite on this machine, this time")
    assert verdict["word"] == expected, f"{verdict['why']} ({reason or 'it should have been stopped'})"


@_matrix(ATTACKS, walls=False)
def test_attack_bites_in_the_open(user: User, backend: str, attack: str, batch: GetBatch) -> None:
    """Without walls it goes through, or it is known why not."""
    result = batch(user, backend)
    if result.unavailable is not None:
        pytest.skip(result.unavailable)
    verdict = result.verdicts[attack]
    assert verdict["word"] != "broken", verdict["why"]
    if attack in CANNOT_BITE and user in CANNOT_BITE[attack][0]:
        assert verdict["word"] == "blocked", f"it does bite, though: {CANNOT_BITE[attack][1]}"
    elif attack in DEPENDS_ON_MACHINE and verdict["word"] == "blocked":
        pytest.skip(f"{DEPENDS_ON_MACHINE[attack]}: {verdict['why']}")
    else:
        assert verdict["word"] == "escaped", verdict["why"]


@_matrix(HONEST, walls=True)
def test_honest_work_goes_on(user: User, backend: str, attack: str, batch: GetBatch) -> None:
    """A wall that nothing gets through would stop every attack."""
    result = batch(user, backend)
    if result.unavailable is not None:
        pytest.skip(result.unavailable)
    verdict = result.verdicts[attack]
    fails = {("any", backend), (user, backend)} & NOT_POSSIBLE.get(attack, (frozenset(), ""))[0]
    assert (verdict["word"] == "worked") is not bool(fails), verdict["why"]


def test_tables_name_what_there_is() -> None:
    for table in (SPECIAL, CANNOT_BITE, DEPENDS_ON_MACHINE, NOT_COVERED):
        assert set(table) <= set(NAMES)
    assert set(NOT_POSSIBLE) <= {each.name for each in HONEST}
    known = {backend.name for backend in BACKENDS}
    assert {wall for gaps, _ in NOT_COVERED.values() for _, wall in gaps} <= known
    assert not {each.name for each in HONEST} & set(NAMES)


@pytest.mark.parametrize("each", ATTACKS, ids=NAMES)
def test_script_says_in_one_line_what_it_tries(each: Attack) -> None:
    assert each.description.endswith(".")
    assert "\n" not in each.description
