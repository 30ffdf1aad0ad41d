"""The example's workflow as Snakemake sees it: lints clean, plans every source, refuses a wrong configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "example_workflow"


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the example's Snakefile, with everything that it writes in another folder."""
    (folder / "config").mkdir(exist_ok=True)
    for name in ("config/config.yaml",):
        if not (folder / name).exists():
            (folder / name).write_bytes((EXAMPLE / name).read_bytes())
    if not (folder / "resources").exists():
        (folder / "resources").symlink_to(EXAMPLE / "resources")
    snakefile = EXAMPLE / "workflow" / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "-s", str(snakefile), "-d", str(folder), "--cores", "2", *arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONWARNINGS": ""}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_workflow_lints_clean(tmp_path: Path) -> None:
    done = snakemake(tmp_path, "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("source", ["simulation", "atlas-2020", "atlas-2025"])
def test_every_source_has_a_plan(tmp_path: Path, source: str) -> None:
    done = snakemake(tmp_path, "--dry-run", "--quiet", "rules", "--config", f"source={source}")
    assert done.returncode == 0, done.stdout + done.stderr
    listed = snakemake(tmp_path, "--dry-run", "--executor", "local", "--config", f"source={source}").stdout
    assert ("rule simulate:" in listed) == (source == "simulation")
    assert ("rule fetch:" in listed) == (source != "simulation")
    for rule in ("summarise", "to_arrays", "preprocess", "separate", "categorise", "fit_myy", "fit_atlas", "compare"):
        assert f"rule {rule}:" in listed


@pytest.mark.parametrize(
    ("text", "replacement", "message"),
    [
        ("source: simulation", "source: atlas", "'atlas' is not one of"),
        ("max_categories: 6", "max_categorys: 6", "max_categorys"),
        ("signal_strength: 1", "signal_strength: -1", "-1 is less than the minimum"),
        ('luminosity: "10 /fb"', 'luminosity: "10"', "'10' does not match"),
    ],
)
def test_wrong_configuration_is_an_error_before_any_job(
    tmp_path: Path, text: str, replacement: str, message: str
) -> None:
    (tmp_path / "config").mkdir()
    good = (EXAMPLE / "config" / "config.yaml").read_text(encoding="utf-8")
    assert text in good
    (tmp_path / "config" / "config.yaml").write_text(good.replace(text, replacement), encoding="utf-8")
    done = snakemake(tmp_path)
    assert done.returncode != 0
    assert message in " ".join((done.stdout + done.stderr).split())
    assert not (tmp_path / "data").exists()
