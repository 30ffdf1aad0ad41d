"""Snakemake's own tests for executor plugins."""

from __future__ import annotations

import pkgutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import snakemake.common.tests
from snakemake_interface_common.plugin_registry.tests import TestRegistryBase as RegistryBase
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_llmagent import ExecutorSettings


@pytest.fixture(autouse=True)
def no_handler_left() -> Iterator[None]:
    """Snakemake's scheduler runs in this process, and leaves its handler of SIGTERM to whatever comes next."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


class TestWorkflows(snakemake.common.tests.TestWorkflowsLocalStorageBase):  # type: ignore[misc]
    __test__ = True

    def get_executor(self) -> str:
        return "llmagent"

    def get_executor_settings(self) -> ExecutorSettingsBase:
        return ExecutorSettings()


@pytest.mark.skipif(
    any(
        found.name.startswith("snakemake_executor_plugin_") and found.name != "snakemake_executor_plugin_llmagent"
        for found in pkgutil.iter_modules()
    ),
    reason="Snakemake's test of the registry needs this plugin to be the only one",
)
class TestRegistry(RegistryBase):
    __test__ = True

    def get_registry(self) -> Any:
        # The registry is a singleton, and fills itself when it is first made.
        return ExecutorPluginRegistry()

    def get_test_plugin_name(self) -> str:
        return "llmagent"

    def validate_plugin(self, plugin: Any) -> None:
        assert plugin.settings_cls is ExecutorSettings
        assert not plugin.common_settings.non_local_exec
        assert not plugin.common_settings.pass_envvar_declarations_to_cmd

    def validate_settings(self, settings: Any, plugin: Any) -> None:
        assert isinstance(settings, plugin.settings_cls)
        assert settings.model == "openai:scripted"
        assert settings.max_attempts == 3

    def get_example_args(self) -> list[str]:
        return ["--llmagent-model", "openai:scripted", "--llmagent-max-attempts", "3"]
