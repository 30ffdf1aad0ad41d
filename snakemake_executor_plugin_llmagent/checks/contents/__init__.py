"""Checks of what outputs hold, beside the inputs: run on every trial without being asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from snakemake_executor_plugin_llmagent.checks.case import Case, Found

CONTENT_CHECKS: tuple[Callable[[Case], Iterable[Found]], ...] = ()
