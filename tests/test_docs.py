"""What the documentation says is what the code does."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent import ExecutorSettings
from snakemake_executor_plugin_llmagent.config import DEFAULTS
from snakemake_executor_plugin_llmagent.host.declared import KNOWN
from snakemake_executor_plugin_llmagent.spec import State

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for folder in (".", "docs", "example_workflow", "wrappers") for path in ROOT.glob(f"{folder}/*.md"))
FURTHER = (ROOT / "docs/further.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), target


def test_every_option_of_the_directive_is_documented() -> None:
    table = FURTHER.partition("| option |")[2].partition("\n\n")[0]
    documented = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:])))
    assert documented == {*KNOWN, "spec_file"}
    assert f"| {DEFAULTS.max_attempts} |" in table
    assert f"| {DEFAULTS.timeout:.0f} |" in table


def test_every_state_is_documented() -> None:
    table = FURTHER.partition("| state |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {str(state) for state in State}


def test_flags_in_the_documentation_exist() -> None:
    flags = {f"--llmagent-{field.name.replace('_', '-')}" for field in dataclasses.fields(ExecutorSettings)}
    for page in PAGES:
        for flag in re.findall(r"--llmagent-[a-z-]+[a-z]", page.read_text()):
            assert flag in flags, f"{flag} in {page.name}"


def test_readme_commands_install_what_they_use() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"<!-- (\w+) -->\n```bash\n(.+)\n```", readme)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name, _ in commands] == ["example", "tests"]
    for _, command in commands:
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        used = re.search(r'"\.\[([\w,]+)\]"', command)
        assert used is not None
        assert set(used[1].split(",")) <= extras.keys()
