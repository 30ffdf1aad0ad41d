"""The texts that models are given, as files beside this one."""

from __future__ import annotations

from importlib import resources


def load(name: str) -> str:
    """A prompt by name, such as `coder`."""
    return resources.files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")
