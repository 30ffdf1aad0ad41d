"""What Snakemake looks for in an executor plugin.

Every `snakemake` command in the environment imports this module, so it loads nothing but what Snakemake has loaded
already. No `from __future__ import annotations` where settings are defined: Snakemake reads their types at run time.
"""

from snakemake_executor_plugin_llmagent.host.directive import add_keyword
from snakemake_executor_plugin_llmagent.host.executor import Executor, common_settings
from snakemake_executor_plugin_llmagent.host.settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

add_keyword()
