"""Small data files with something to hide: a canary in the window from 120 to 130."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.blinding.mask import WRITTEN, mask
from snakemake_executor_plugin_llmagent.data.contents import Contents
from snakemake_executor_plugin_llmagent.data.load import load

LOW, HIGH = 120.0, 130.0
WINDOW = {"mass": (LOW, HIGH)}
MASS = np.array([100.5, 119.999, 120.0, 125.123456, 129.999, 130.0, np.nan, 160.25])
EVENT = np.array([1, 2, 31337001, 31337002, 31337003, 6, 7, 8])
NAME = np.array(["a", "b", "canary-1", "canary-2", "canary-3", "f", "g", "a"])
LEFT = [1, 2, 6, 7, 8]
"""Events outside of the window."""
CANARIES = ("125.123456", "31337", "canary")


def masked(source: Path, **asked: Any) -> tuple[dict[str, Any], Path]:
    """What the operation says of one file, and where the twin lies if there is one; run in `tmp_path`."""
    WRITTEN.mkdir(exist_ok=True)
    files = [{"source": str(source), "target": f"twin-{source.name}", "declared": asked.pop("declared", True)}]
    told = mask({"windows": WINDOW, "everything": False, **asked, "files": files})
    return told[0], WRITTEN / f"twin-{source.name}"


def twin_of(source: Path, **asked: Any) -> tuple[Contents, dict[str, Any]]:
    """The twin of a file, which has to be made, and what is said about it."""
    told, twin = masked(source, **asked)
    assert told["problem"] == "" and told["written"], told
    return load(twin), told
