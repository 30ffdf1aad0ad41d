"""Who sits before the terminal."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError


def persons_name(folder: Path) -> str:
    """The person's name as the project's git knows it, or else that of the account.

    Raises:
        ConfigError: nobody knows it.
    """
    try:
        asked = subprocess.run(["git", "config", "user.name"], cwd=folder, capture_output=True, text=True, check=False)
        named = asked.stdout.strip()
    except OSError:
        named = ""
    try:
        return named or getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        raise ConfigError("Nobody knows your name; give it with --name.") from None
