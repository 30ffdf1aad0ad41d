"""Completion, as shells do it with the scripts that `llmagent completion` prints."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent import cli

SNAKEFILE = """
rule all:
    input: "x"
rule fit_myy:
    output: "x"
    agent: "fit"
checkpoint find :
    output: "y"
    agent:
        "find"
rule plain:
    output: "z"
    shell: "touch {output}"
"""
LOCKED = "version: 1\nrule: part_select\nspec_text: |\n  rule: not_this one\n"
NAMES = ["find", "fit_myy", "part_select"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "workflow/agents").mkdir(parents=True)
    (tmp_path / "workflow/agents/select.lock.yaml").write_text(LOCKED)
    return tmp_path


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert cli.main(["completion", shell]) == 0
    path = folder / f"completion.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


def said_by(shell: str, text: str, folder: Path) -> list[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run([shell, *quiet, "-c", text], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("llmagent st", ["status"]),
        ("llmagent show f", ["find", "fit_myy"]),
        ("llmagent show ", NAMES),
        ("llmagent approve part", ["part_select"]),
        ("llmagent config --work", ["--workflow-profile"]),
        ("llmagent completion z", ["zsh"]),
    ],
)
def test_bash(line: str, expected: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    text = (
        f"source '{script('bash', folder, capsys)}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        f"$(complete -p llmagent | sed 's/.*-F \\([^ ]*\\).*/\\1/') llmagent '{words[-1]}' '{words[-2]}'; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    # Bash warns that there is no terminal whose line could be completed; the candidates are the same.
    assert said_by("bash", f"{{ {text}; }} 2>/dev/null", folder) == expected


def test_fish(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("fish", folder, capsys)
    said = said_by("fish", f"source '{path}'; complete -C 'llmagent show ' | string replace -r '\\t.*' ''", folder)
    assert said == NAMES
    assert said_by("fish", f"source '{path}'; complete -C 'llmagent stat'", folder)[0] == "status"


def test_zsh(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("zsh", folder, capsys)
    # Outside of a terminal nothing is completed in earnest, so what would be added is printed.
    text = (
        "autoload -Uz compinit; compinit -u -D; function compadd { print -l ${(P)2}; }; "
        f"eval \"$(cat '{path}')\"; __llmagent_rule_names"
    )
    assert said_by("zsh", text, folder) == NAMES
    assert ":__llmagent_rule_names" in path.read_text()


def test_every_help_teaches_by_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    overview = capsys.readouterr().out
    commands = [line.split()[1] for line in overview.partition("examples:")[2].splitlines() if "  llmagent" in line]
    assert len(set(commands)) > 7
    assert max(map(len, overview.splitlines())) <= 80
    for command in sorted(set(commands)):
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        text = capsys.readouterr().out
        assert ended.value.code == 0
        assert f"llmagent {command}" in text.partition("examples:")[2], command
        assert max(map(len, text.partition("examples:")[2].splitlines())) <= 80, command


def test_a_misspelt_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["statu"], "Did you mean status?"),
        (["completion", "zhs"], "Did you mean zsh?"),
        ([], "See"),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2
        assert said in " ".join(capsys.readouterr().err.split())
