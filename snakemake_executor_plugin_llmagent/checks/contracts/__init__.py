"""The contracts of `checks/catalogue.py`, carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from snakemake_executor_plugin_llmagent.checks.case import Found

IMPLEMENTATIONS: Mapping[str, Callable[..., Iterable[Found]]] = {}
