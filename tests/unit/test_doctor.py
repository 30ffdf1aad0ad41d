"""What `llmagent doctor` says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent import cli, config, doctor
from snakemake_executor_plugin_llmagent.config import KEY_VARIABLES
from snakemake_executor_plugin_llmagent.doctor import Diagnosis, diagnose, in_words
from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox import landlock
from snakemake_executor_plugin_llmagent.sandbox.walls import KINDS, Tried, Walls
from tests.unit.sandbox.support import landlock_abi

CANARY = "sk-canary-0123456789"


class Machine:
    """A machine on which some kinds of sandbox work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *works: str) -> None:
        self._tried = tuple(
            Tried(backend=kind, works=kind in works, reason="works" if kind in works else f"no {kind}\x1b[2J today")
            for kind in KINDS
        )
        self._works = works
        monkeypatch.setattr(doctor, "try_all", lambda: self._tried)
        monkeypatch.setattr(doctor, "choose", self._choose)

    def _choose(self, wanted: str, cache: Path) -> Walls:
        assert cache.is_dir()
        if wanted in ("none", *self._works):
            return Walls(backend=wanted)
        if wanted == "auto" and self._works:
            return Walls(backend=self._works[0])
        raise SandboxUnavailable(f"The sandbox {wanted} does not work on this machine.")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*doctor.SETTINGS, *KEY_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = cli.main(["doctor", *arguments])
    return status, capsys.readouterr().out


def test_the_real_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    status, text = said(capsys, "--json")
    found = json.loads(text)
    assert status == (0 if found["backend"] else SandboxUnavailable.exit_code)
    assert [tried["backend"] for tried in found["tried"]] == list(KINDS)
    if landlock_abi():
        assert found["backend"] in KINDS
        assert str(landlock_abi()) in found["machine"]["Landlock"]
    assert list(tmp_path.iterdir()) == [], "it changes nothing"


@pytest.mark.parametrize("backend", KINDS)
def test_in_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backend: str) -> None:
    Machine(monkeypatch, backend)
    status, text = said(capsys)
    assert status == 0
    assert text.startswith(f"Scripts of models are confined here by {backend}.\n")
    for part in (
        "What was tried",
        "This machine",
        "Versions",
        "Providers",
        "bubblewrap",
        "Landlock",
        "kernel",
        "python",
    ):
        assert part in text
    assert text.count("does not work: ") == 2 and "\x1b" not in text
    assert "For whoever looks after the machine" not in text


def test_when_nothing_works(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Machine(monkeypatch)
    status, text = said(capsys)
    assert status == 10
    assert text.startswith("The sandbox auto does not work on this machine.")
    assert "For whoever looks after the machine" in text and "bubblewrap 0.4 or later" in text
    status, text = said(capsys, "--json")
    found = json.loads(text)
    assert (status, found["backend"], found["reason"]) == (10, None, "The sandbox auto does not work on this machine.")


def test_what_the_person_chose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Machine(monkeypatch, "bwrap", "landlock")
    monkeypatch.setitem(config._AT_START, "LLMAGENT_SANDBOX", "landlock")
    assert "confined here by landlock (chosen by LLMAGENT_SANDBOX=landlock)." in said(capsys)[1]
    monkeypatch.setitem(config._AT_START, "LLMAGENT_SANDBOX", "none")
    status, text = said(capsys)
    assert (status, "NOTHING. The sandbox is switched off" in text) == (0, True)
    monkeypatch.setitem(config._AT_START, "LLMAGENT_SANDBOX", "bwrap-hostproc")
    assert said(capsys)[0] == 10
    monkeypatch.setitem(config._AT_START, "LLMAGENT_SANDBOX", "nonsense")
    status, text = said(capsys)
    assert (status, "nonsense" in text) == (10, True)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_key_is_ever_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]
) -> None:
    Machine(monkeypatch, "landlock")
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://me:{CANARY}@host/v1?key={CANARY}#{CANARY}")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"https://{CANARY}@host/v1")
    monkeypatch.setenv("SOME_TOKEN", CANARY)
    text = said(capsys, *form)[1]
    assert CANARY not in text
    assert "set (not shown)" in text and "host/v1" in text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://host:8443/v1", "https://host:8443/v1"),
        ("https://me:word@host/v1", "https://[not shown]@host/v1"),
        ("https://me:w@rd@host/v1", "https://[not shown]@host/v1"),
        ("https://me:wo/rd@host/v1", "https://[not shown]@host/v1"),
        ("https://host/v1?token=word", "https://host/v1"),
        ("https://host/v1#word", "https://host/v1"),
        ("", "not set"),
    ],
)
def test_passwords_in_addresses(monkeypatch: pytest.MonkeyPatch, address: str, shown: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    assert dict(doctor._provider())["OPENAI_BASE_URL"] == shown


def test_keys_that_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLES[0], "  ")
    assert {dict(doctor._provider())[name] for name in KEY_VARIABLES} == {"not set"}


def test_without_landlock_nobody_claims_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, "bwrap")
    monkeypatch.setattr(landlock, "usable_abi", lambda: 0)
    text = in_words(diagnose())
    assert "with seccomp inside" in text and "Landlock and seccomp inside" not in text


def test_batch_systems_and_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, "bwrap")
    for name in ("SLURM_JOB_ID", "_CONDOR_SCRATCH_DIR", "PBS_JOBID", "LSB_JOBID"):
        monkeypatch.delenv(name, raising=False)
    assert diagnose().machine["batch system"] == "none"
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert diagnose().machine["batch system"] == "SLURM job"


def test_a_diagnosis_is_plain_data(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, "landlock")
    found = diagnose()
    assert isinstance(found, Diagnosis)
    assert json.loads(json.dumps(found.as_json()))["versions"]["python"].startswith("3.")
    assert found.machine["user"] == ("the superuser" if os.geteuid() == 0 else "an ordinary user")


def test_providers_of_the_persons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    path = tmp_path / "llmagent.yaml"
    entry = "{speaks: openai, base_url: https://lab/v1, key_variable: LAB_API_KEY}"
    path.write_text(f"providers:\n  lab: {entry}\n  own: {{speaks: anthropic, base_url: http://localhost}}\n")
    monkeypatch.setenv("LAB_API_KEY", CANARY)
    found = dict(doctor._provider())
    assert found["lab:NAME"] == f"https://lab/v1 (openai), LAB_API_KEY set; {path}, line 2"
    assert found["own:NAME"] == f"http://localhost (anthropic), no key; {path}, line 3"
    path.write_text("provider: {}\n")
    assert "line 1: the file has no entry `provider`" in dict(doctor._provider())["providers of yours"]
