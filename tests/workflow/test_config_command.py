"""`llmagent config`: what holds, and who said so, with profiles as Snakemake reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import CANARY
from tests.workflow.project import Project

SNAKEFILE = """
rule fit:
    output: "fit.json"
    agent: "fit", supervisor="lab:small", timeout=5, readable="calib"

rule plot:
    output: "plot.png"
    agent: "plot", model="openai:mine"
"""


@pytest.fixture
def laid_out(project: Project) -> Project:
    project.snakefile(SNAKEFILE)
    project.write("calib/a.txt", "1")
    project.write(
        "llmagent.yaml",
        """
        providers:
          lab:
            speaks: openai
            base_url: https://lab/v1
            key_variable: LAB_API_KEY
            context_tokens: 8000
            images: true
    """,
    )
    project.write(
        "profiles/default/profile.yaml",
        "executor: llmagent\nllmagent-model: openai:far\nllmagent-max-attempts: 3\nllmagent-readable: [/opt]\n",
    )
    project.write("site/config.yaml", "llmagent-coder: lab:large\nllmagent-model: openai:farther\nllmagent-slice: 7\n")
    return project


def said(project: Project, *arguments: str) -> tuple[dict[str, tuple[object, str, str]], dict[str, Any]]:
    done = project.llmagent("config", "--json", *arguments)
    assert done, done.output
    found = json.loads(done.output[done.output.index("{") :])
    root = f"{project.root}/"
    return {
        one["name"]: (one["value"], one["source"], one["where"].replace(root, "")) for one in found["settings"]
    }, found


def test_every_setting_with_its_source(laid_out: Project, tmp_path: Path) -> None:
    project = laid_out
    default, site = "profiles/default/profile.yaml", "site/config.yaml"
    project.env |= {"LLMAGENT_SANDBOX": "landlock", "LLMAGENT_READABLE": "/usr/share"}
    fit, whole = said(project, "fit", "--profile", "site")
    assert whole["profiles"] == [default, site]
    lab, rule = "llmagent.yaml, line 2", "Snakefile, line 3"
    assert fit == {
        "model": ("openai:far", "profile", default),
        "coder": ("lab:large", "profile", site),
        "supervisor": ("lab:small", "rule", rule),
        "crosscheck": ("none", "default", ""),
        "supervision": ("review", "default", ""),
        "max_attempts": (3, "profile", default),
        "timeout": (5, "rule", rule),
        "slice": (7, "profile", site),
        "approve": ("checks", "default", ""),
        "sandbox": ("landlock", "environment", "LLMAGENT_SANDBOX"),
        "readable": (
            [f"{project.root}/calib", "/opt", "/usr/share"],
            "rule, profile, environment",
            f"{rule}, {default}, LLMAGENT_READABLE",
        ),
        "locked": (False, "default", ""),
        "record": (None, "default", ""),
        "images": (True, "providers", lab),
        "key_file": (None, "default", ""),
        "providers": ("llmagent.yaml", "default", ""),
        "context_tokens": (4000, "providers", lab),
        **{name: entry for name, entry in fit.items() if name not in KNOWN_HERE},
    }
    # A model of a rule takes the place of models of one role from further out.
    plot, _ = said(project, "plot", "--workflow-profile", "none", "--profile", str(project / "site"))
    rule = "Snakefile, line 7"
    assert plot["model"] == ("openai:mine", "rule", rule)
    assert plot["coder"] == plot["supervisor"] == ("openai:mine", "rule", f"`model`, {rule}")
    assert plot["max_attempts"] == (5, "default", "")
    assert plot["context_tokens"] == (48000, "default", "")
    assert plot["images"] == (False, "default", "")


KNOWN_HERE = (
    "model", "coder", "supervisor", "crosscheck", "supervision", "max_attempts", "timeout", "slice", "approve",
    "sandbox", "readable", "locked", "record", "images", "key_file", "providers", "context_tokens",
)  # fmt: skip


def test_keys_are_never_shown(laid_out: Project, tmp_path: Path) -> None:
    project = laid_out
    keys = tmp_path / "keys"
    keys.write_text(f"LAB_API_KEY={CANARY}\n")
    keys.chmod(0o600)
    project.write("mine/profile.yaml", f"executor: local\nllmagent-key-file: {keys}\n")
    project.env |= {"SNAKEMAKE_PROFILE": "mine", "OPENAI_API_KEY": CANARY}
    run, whole = said(project)
    assert run["key_file"] == (str(keys), "profile", "mine/profile.yaml")
    assert {key["variable"]: (key["state"], key["providers"]) for key in whole["keys"]} == {
        "OPENAI_API_KEY": ("set in environment", ["openai"]),
        "OPENAI_ADMIN_KEY": ("missing", ["openai"]),
        "ANTHROPIC_API_KEY": ("missing", ["anthropic"]),
        "ANTHROPIC_AUTH_TOKEN": ("missing", ["anthropic"]),
        "LAB_API_KEY": ("set in key file", ["lab"]),
    }
    assert CANARY not in json.dumps(whole)
    project.env["COLUMNS"] = "200"
    done = project.llmagent("config")
    assert done and CANARY not in done.output
    assert "set in environment" in done.output and "set in key file" in done.output
    assert "openai:far" in done.output and "profile: profiles/default/profile.yaml" in done.output


def test_what_cannot_be_read_is_said(laid_out: Project) -> None:
    done = laid_out.llmagent("config", "--profile", "none-of-this-name")
    assert done.returncode == 2 and "profile directory given (none-of-this-name)" in done.output
    laid_out.write("odd/profile.yaml", "executor: local\nllmagent-max-attempts: many\n")
    done = laid_out.llmagent("config", "--profile", "odd", "--workflow-profile", "none")
    assert done.returncode == 2 and "invalid int value: 'many'" in done.output
    done = laid_out.llmagent("config", "fits")
    assert done.returncode == 2 and "no agent rule 'fits'. Did you mean 'fit'?" in done.output
