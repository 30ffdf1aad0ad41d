from __future__ import annotations

import errno
import itertools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent import lock as locks
from snakemake_executor_plugin_llmagent.errors import LockMismatch
from snakemake_executor_plugin_llmagent.lock import (
    LOCK_VERSION,
    Approval,
    Lock,
    digest_script,
    freeze,
    lock_path,
    read_lock,
    run_record,
    sandbox_record,
    status,
    write_atomically,
    write_lock,
)
from snakemake_executor_plugin_llmagent.spec import State

SPEC, OTHER_SPEC = "1" * 64, "2" * 64
OLD, NEW = "print('old')\n", "print('new')\n"
APPROVED = Approval(by="checks", name=None, time="2026-01-02T03:04:05+00:00")


def a_lock(source: str = OLD, **changes: Any) -> Lock:
    values: dict[str, Any] = {
        "rule": "fit",
        "spec_text": "fit m_yy",
        "spec_digest": SPEC,
        "script_digest": digest_script(source),
        "approval": APPROVED,
        "created": "2026-01-02T03:04:05+00:00",
    }
    return Lock(**{**values, **changes})


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    return folder / "fit.py"


# --- reading and writing --------------------------------------------------------------------------------------------

ODD = st.one_of(
    st.text(st.characters(), max_size=30),
    st.text(st.sampled_from("\n\r\t \x85\u2028\ufeff\x07:#-|>'\"%@{}[]&*!?,0~\ud800é"), max_size=20),
    st.sampled_from(["yes", "null", "1e3", "2026-01-01", "=", "<<", "~", "0x1", "---", "...", "# x", "a: b", "-", ""]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False), ODD),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ODD, inner, max_size=3)),
    max_leaves=6,
)
TEXTS = st.dictionaries(ODD, ODD, max_size=3)
AMOUNTS = st.one_of(st.integers(0, 10**12), st.floats(0, 1e15))
LIMITS = st.dictionaries(st.sampled_from(["seconds", "memory", "log"]), st.one_of(st.none(), AMOUNTS))


@settings(max_examples=60)
@given(
    lock=st.builds(
        Lock,
        rule=ODD,
        spec_text=ODD,
        spec_digest=ODD,
        script_digest=ODD,
        approval=st.one_of(st.none(), st.builds(Approval, by=ODD, name=st.one_of(st.none(), ODD), time=ODD)),
        created=ODD,
        models=st.dictionaries(ODD, TEXTS, max_size=2),
        attempts=st.integers(0, 9),
        usage=st.dictionaries(ODD, st.integers(0), max_size=2),
        python=ODD,
        packages=TEXTS,
        sandbox=st.one_of(
            st.just({}),
            ODD.map(lambda backend: {"backend": backend}),
            st.builds(sandbox_record, backend=ODD, landlock=st.one_of(st.none(), st.integers(1, 9)), limits=LIMITS),
        ),
        run=st.one_of(
            st.just({}),
            st.builds(
                run_record,
                seconds=AMOUNTS,
                cpu_seconds=AMOUNTS,
                peak_memory=AMOUNTS,
                opened=st.dictionaries(ODD, st.one_of(st.none(), st.booleans()), max_size=4),
            ),
        ),
        checks=TEXTS,
        review=st.one_of(st.none(), TEXTS),
        decisions=st.lists(st.dictionaries(ODD, VALUES, max_size=2), max_size=2).map(tuple),
        session=TEXTS,
    )
)
@example(a_lock(spec_text="a\n\x85b\n"))
@example(a_lock(spec_text="  indented\n\n\nlines  \n"))
@example(a_lock(spec_text="\n"))
@example(a_lock(spec_text="\udc80\n"))
@example(a_lock(spec_text="a\r\nb\rc"))
def test_a_lock_comes_back_as_it_was(lock: Lock) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fit.lock.yaml")
        write_lock(path, lock)
        assert read_lock(path) == lock


def test_a_lock_can_be_read_by_a_person(script: Path) -> None:
    write_lock(lock_path(script), a_lock(spec_text="fit m_yy\nwith DSCB + exp, from 105 to 160 GeV µ\n"))
    text = lock_path(script).read_text(encoding="utf-8")
    assert text.startswith("# Written by")
    assert "spec_text: |\n  fit m_yy\n  with DSCB + exp, from 105 to 160 GeV µ\n" in text
    assert f"version: {LOCK_VERSION}\n" in text


def test_line_ends_that_git_changed_are_no_change(script: Path) -> None:
    write_lock(lock_path(script), a_lock())
    lock_path(script).write_bytes(lock_path(script).read_bytes().replace(b"\n", b"\r\n"))
    script.write_bytes(OLD.encode().replace(b"\n", b"\r\n"))
    assert status(script, SPEC).state is State.FROZEN


def test_no_lock_is_none(script: Path) -> None:
    assert read_lock(lock_path(script)) is None
    assert lock_path(script).name == "fit.lock.yaml"


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        write_lock(path, a_lock())
        record = yaml.safe_load(path.read_text())
        change(record)
        path.write_text(yaml.safe_dump(record))

    return edit


def written(data: bytes) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(data), None)[1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (written(b"a: [1"), "not valid YAML"),
        (written(b"<<<<<<< HEAD\nversion: 1\n=======\nversion: 1\n>>>>>>> other\n"), "not valid YAML|not a lock"),
        (written(b"\xff\xfe\x00"), "not valid YAML"),
        (written(b""), "is not a lock"),
        (written(b"[]"), "is not a lock"),
        (written(b"just a text"), "is not a lock"),
        (written(b"rule: fit"), "is not a lock"),
        (edited(lambda record: record.update(version=LOCK_VERSION + 1)), "this plugin reads version 1. Upgrade"),
        (edited(lambda record: record.update(version="1")), "has version '1'"),
        (edited(lambda record: record.pop("spec_digest")), "lacks or has an unknown entry: .*spec_digest"),
        (edited(lambda record: record.pop("approval")), "lacks or has an unknown entry: 'approval'"),
        (edited(lambda record: record.update(colour="red")), "unknown or of a wrong type: colour"),
        (edited(lambda record: record["approval"].update(colour="red")), "lacks or has an unknown entry"),
        (edited(lambda record: record.update(approval="me")), "of a wrong type: approval"),
        (edited(lambda record: record.update(decisions=3)), "of a wrong type: decisions"),
        (edited(lambda record: record.update(usage=None)), "of a wrong type: usage"),
        (edited(lambda record: record.update(sandbox=3)), "of a wrong type: sandbox\\."),
        (edited(lambda record: record.update(sandbox=None)), "of a wrong type: sandbox\\."),
        (edited(lambda record: record["sandbox"].update(kernel="6.1")), "of a wrong type: sandbox.kernel"),
        (edited(lambda record: record["sandbox"].update(landlock="7")), "of a wrong type: sandbox.landlock"),
        (edited(lambda record: record.update(run="well")), "of a wrong type: run\\."),
        (edited(lambda record: record["run"].update(opened="in.csv")), "of a wrong type: run.opened"),
        (edited(lambda record: record["run"].update({1: 2, "seconds": None})), "of a wrong type: run.1, run.seconds"),
        (written(b"version: 1\ncreated: 2025-99-99\n"), "is not valid YAML"),
    ],
)
def test_a_broken_lock_is_an_error_with_a_way_out(script: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(lock_path(script))
    for action in (lambda: read_lock(lock_path(script)), lambda: status(script, SPEC)):
        with pytest.raises(LockMismatch, match=message) as caught:
            action()
        assert str(lock_path(script)) in str(caught.value)


@pytest.mark.parametrize(("text", "expected"), [("staged", {"backend": "staged"}), ("", {})])
def test_the_first_locks_name_their_sandbox_only(script: Path, text: str, expected: dict[str, str]) -> None:
    edited(lambda record: (record.update(sandbox=text), record.pop("run")))(lock_path(script))
    found = read_lock(lock_path(script))
    assert found is not None
    assert (found.sandbox, found.run) == (expected, {})
    write_lock(lock_path(script), found)
    assert read_lock(lock_path(script)) == found


def test_evidence_is_short_and_round() -> None:
    opened = {f"in_{number}.root": True for number in range(locks.MOST_LISTED + 7)} | {"a.csv": False, "b.csv": None}
    record = run_record(seconds=12.34567, cpu_seconds=45.6789, peak_memory=1_234_567_890, opened=opened)
    assert (record["seconds"], record["cpu_seconds"], record["peak_memory_mb"]) == (12.35, 45.68, 1235)
    assert record["not_opened"] == ["a.csv"]
    assert len(record["opened"]) == locks.MOST_LISTED + 1
    assert record["opened"][-1] == "… 7 more"
    assert run_record(seconds=1, cpu_seconds=1, peak_memory=0, opened={"a": True})["opened"] == ["a"]


def test_a_kernel_without_landlock_is_null() -> None:
    assert sandbox_record("bwrap", 0, {"memory": None}) == {
        "backend": "bwrap", "landlock": None, "limits": {"memory": None},
    }  # fmt: skip


# --- states ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("present", ["none", "same", "edited"])
@pytest.mark.parametrize("locked", ["none", "this spec", "other spec"])
@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("waiting", ["none", "fits the lock", "fits nothing"])
def test_every_state(script: Path, present: str, locked: str, approved: bool, waiting: str) -> None:
    """What lies there after any history: the script, its lock, and what a killed process left."""
    sources = {"same": OLD, "edited": "print('by hand')\n"}
    if present in sources:
        script.write_text(sources[present])
    if locked != "none":
        spec = SPEC if locked == "this spec" else OTHER_SPEC
        write_lock(lock_path(script), a_lock(spec_digest=spec, approval=APPROVED if approved else None))
    hidden = script.with_name(".fit.py.new")
    if waiting != "none":
        hidden.write_text(OLD if waiting == "fits the lock" else "print('half")
    # A killed process had come as far as the lock: its script is the one that counts.
    source = OLD if waiting == "fits the lock" and locked != "none" else sources.get(present)

    found = status(script, SPEC)

    expected = State.FROZEN if approved else State.AWAITING
    if source is None:
        expected = State.MISSING
    elif locked == "none":
        expected = State.EDITED
    elif locked == "other spec":
        expected = State.STALE
    elif source != OLD and approved:
        expected = State.EDITED
    assert found.state is expected
    assert found.source == source
    assert (found.lock is None) == (locked == "none")
    assert found.reason and "\n" not in found.reason
    assert status(script, SPEC) == found


def test_the_approver_is_named(script: Path) -> None:
    freeze(script, OLD, a_lock(approval=Approval(by="person", name="E. Noether", time="2026-01-01")))
    assert status(script, SPEC).reason == "approved by E. Noether, 2026-01-01"


# --- freezing -------------------------------------------------------------------------------------------------------


SOURCES = st.text(st.one_of(st.sampled_from("\r\n\x85\u2028\ufeff\x0c"), st.characters(codec="utf-8")), max_size=40)


@settings(max_examples=50)
@given(SOURCES)
@example("a = 'x\ry'\n")
@example("\ufeffprint()\r\n")
def test_any_script_is_frozen_right_after_freezing(source: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "agents", "fit.py")
        freeze(script, source, a_lock(source))
        assert status(script, SPEC).state is State.FROZEN
        assert sorted(path.name for path in script.parent.iterdir()) == ["fit.lock.yaml", "fit.py"]


def test_the_folder_is_made_and_files_are_as_public_as_others(tmp_path: Path) -> None:
    script = tmp_path / "workflow" / "agents" / "fit.py"
    freeze(script, OLD, a_lock())
    plain = tmp_path / "plain"
    plain.touch()
    for path in (script, lock_path(script)):
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


class Killed(BaseException):
    """The process ends here: nothing after this point is executed."""


class Trap:
    """Lets so many calls pass that change files, and stops the next, before or after it has its effect."""

    CALLS = (
        (os, "replace"),
        (os, "rename"),
        (os, "unlink"),
        (os, "fsync"),
        (os, "chmod"),
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "chmod"),
        (tempfile, "mkstemp"),
    )

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int, failure: BaseException, after: bool) -> None:
        self.left = steps
        self.sprung = False
        for owner, name in self.CALLS:
            monkeypatch.setattr(owner, name, self._around(getattr(owner, name), failure, after))

    def _around(self, real: Callable[..., Any], failure: BaseException, after: bool) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.sprung and isinstance(failure, Killed):
                raise failure  # a killed process does not tidy up
            if self.left == 0 and not self.sprung:
                self.sprung = True
                if after:
                    real(*arguments, **options)
                raise failure
            if not self.sprung:
                self.left -= 1
            return real(*arguments, **options)

        return call


def traps() -> Iterator[tuple[int, bool]]:
    return itertools.product(range(40), (False, True))


@pytest.mark.parametrize("had_one", [True, False])
def test_a_process_killed_at_any_step_leaves_the_old_or_the_new(tmp_path: Path, had_one: bool) -> None:
    sprung = 0
    for number, (steps, after) in enumerate(traps()):
        script = tmp_path / str(number) / "fit.py"
        if had_one:
            freeze(script, OLD, a_lock(OLD, spec_digest=OTHER_SPEC))
        with pytest.MonkeyPatch.context() as patch:
            trap = Trap(patch, steps, Killed(), after)
            try:
                freeze(script, NEW, a_lock(NEW))
            except Killed:
                sprung += 1
        found = status(script, SPEC)
        if found.state is State.FROZEN:
            assert found.source == NEW
        elif had_one:
            assert (found.state, found.source) == (State.STALE, OLD)
        else:
            assert (found.state, found.source) == (State.MISSING, None)
        # The next author is not hindered by what was left, and leaves nothing of it.
        freeze(script, NEW, a_lock(NEW))
        assert status(script, SPEC).state is State.FROZEN
        assert sorted(path.name for path in script.parent.iterdir()) == ["fit.lock.yaml", "fit.py"]
        if not trap.sprung:
            break
    assert sprung > 5 and not trap.sprung, "every step was reached"


def test_a_disk_that_fails_at_any_step_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    for number, (steps, after) in enumerate(traps()):
        script = tmp_path / str(number) / "fit.py"
        freeze(script, OLD, a_lock(OLD, spec_digest=OTHER_SPEC))
        failed = False
        with pytest.MonkeyPatch.context() as patch:
            trap = Trap(patch, steps, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), after)
            try:
                freeze(script, NEW, a_lock(NEW))
            except OSError:
                failed = True
        found = status(script, SPEC)
        assert (found.state, found.source) in ((State.STALE, OLD), (State.FROZEN, NEW))
        assert failed or (found.state, found.source) == (State.FROZEN, NEW)
        if not trap.sprung:
            break
    assert not trap.sprung


def test_half_a_script_is_never_seen(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script.write_text(OLD)
    real = os.fsync

    def full(descriptor: int) -> None:
        os.ftruncate(descriptor, 3)
        real(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_atomically(script, NEW)
    assert script.read_text() == OLD
    assert [path.name for path in script.parent.iterdir()] == ["fit.py"]


def read_only(*arguments: Any, **options: Any) -> Any:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_read_only_checkout_is_reported_as_it_is(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's killed process left a script that fits the lock, and nothing may be written here."""
    freeze(script, OLD, a_lock(OLD))
    script.with_name(".fit.py.new").write_text(NEW)
    write_lock(lock_path(script), a_lock(NEW))
    for owner, name in Trap.CALLS:
        monkeypatch.setattr(owner, name, read_only)
    found = status(script, SPEC)
    assert (found.state, found.source) == (State.EDITED, OLD)


def test_a_folder_without_permission_to_write(script: Path) -> None:
    freeze(script, OLD, a_lock(OLD))
    script.parent.chmod(0o555)
    try:
        assert status(script, SPEC).state is State.FROZEN
        if os.access(script.parent, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(OSError):
            freeze(script, NEW, a_lock(NEW))
        assert status(script, SPEC).source == OLD
    finally:
        script.parent.chmod(0o755)


def test_the_umask_is_read_without_changing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(mask: int) -> int:
        raise AssertionError("the umask belongs to all threads")

    monkeypatch.setattr(os, "umask", forbidden)
    assert 0 <= locks._umask() <= 0o777


def test_locks_of_equal_content_are_equal(script: Path) -> None:
    write_lock(lock_path(script), a_lock())
    first = lock_path(script).read_bytes()
    write_lock(lock_path(script), replace(a_lock()))
    assert lock_path(script).read_bytes() == first
