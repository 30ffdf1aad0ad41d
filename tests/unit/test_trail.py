"""What people did with a script, and the texts that it has had."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.host import versions
from snakemake_executor_plugin_llmagent.lock import digest_script
from snakemake_executor_plugin_llmagent.trail import APPROVED, REJECTED, UNBLINDED, act, in_words, rejection

ONE, TWO = "1" * 64, "2" * 64


def acts(*done: tuple[str, str]) -> list[dict[str, str]]:
    return [act(what, name="Ada", time="2026-01-02T03:04:05+00:00", script_digest=digest) for what, digest in done]


@pytest.mark.parametrize(
    ("trail", "rejected"),
    [
        ((), False),
        (((REJECTED, ONE),), True),
        (((REJECTED, TWO),), False),
        (((REJECTED, ONE), (APPROVED, ONE)), False),
        (((APPROVED, ONE), (REJECTED, ONE), (APPROVED, TWO), (UNBLINDED, ONE)), True),
    ],
)
def test_the_last_word_counts(trail: tuple[tuple[str, str], ...], rejected: bool) -> None:
    assert (rejection(acts(*trail), ONE) is not None) == rejected


def test_in_words() -> None:
    entry = act(REJECTED, name="Ada", time="2026-01-02T03:04:05+00:00", script_digest=ONE, because="too few bins")
    assert in_words(entry) == "rejected by Ada, 2026-01-02T03:04:05+00:00: too few bins"


def test_texts_that_were_kept(tmp_path: Path) -> None:
    script = tmp_path / "agents/fit.py"
    versions.keep(tmp_path / "home", "x = 1\n")
    versions.keep(tmp_path / "home", "x = 1\n")
    assert versions.find(tmp_path / "home", script, digest_script("x = 1\n")) == "x = 1\n"
    assert versions.find(tmp_path / "home", script, digest_script("x = 2\n")) is None
    (kept,) = (tmp_path / "home/scripts").iterdir()
    kept.write_text("x = 3\n")  # what was changed there is no longer what was approved
    assert versions.find(tmp_path / "home", script, digest_script("x = 1\n")) is None


def test_texts_that_git_knows(tmp_path: Path) -> None:
    script = tmp_path / "agents/fit µ.py"
    script.parent.mkdir()
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run((*git, "init", "-q"), cwd=tmp_path, check=True)
    for text in ("x = 1\r\n", "x = 2\n"):
        script.write_bytes(text.encode())
        subprocess.run((*git, "add", "."), cwd=tmp_path, check=True, capture_output=True)
        subprocess.run((*git, "commit", "-qm", "one"), cwd=tmp_path, check=True)
    found = versions.find(tmp_path / "home", script, digest_script("x = 1\n"))
    assert found is not None and found.split() == ["x", "=", "1"]
    assert versions.find(tmp_path / "home", script, digest_script("x = 3\n")) is None
