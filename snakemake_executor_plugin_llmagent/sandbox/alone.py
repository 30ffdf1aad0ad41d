"""Starts a part of the sandbox in a process of its own: `python -I -S alone.py supervise|launch ...`.

Standard library alone, and as little of it as can be: this runs before every script, and inside the walls, where the
package's own `__init__` (which loads Snakemake) must not run. (`python -P alone.py describe|work ...` reads files, and
so needs packages.) An empty stand-in for the package lets the modules of the
sandbox find each other under their usual names.
"""

from __future__ import annotations

import os
import sys

PACKAGE = "snakemake_executor_plugin_llmagent"
FAILED = 125
"""Exit status that says that nothing was run."""


def stand_in() -> None:
    """Make the package's modules importable without its `__init__`."""
    if PACKAGE not in sys.modules:
        package = type(sys)(PACKAGE)
        package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
        sys.modules[PACKAGE] = package


def main(arguments: list[str]) -> int:
    """Run the part that is named first."""
    stand_in()
    part, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if part == "supervise":
        from snakemake_executor_plugin_llmagent.sandbox.guard import supervise

        return supervise(rest)
    if part == "launch":
        from snakemake_executor_plugin_llmagent.sandbox.launcher import launch

        return launch(rest)
    if part == "describe" and len(rest) == 2:
        from snakemake_executor_plugin_llmagent.formats.tell import tell

        return tell(*rest)
    if part == "work" and len(rest) == 3:
        from snakemake_executor_plugin_llmagent.operations import work

        return work(*rest)
    print("usage: alone.py supervise ORDER.json -- COMMAND...", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
