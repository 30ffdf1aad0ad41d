"""Starts a part of the sandbox in a process of its own: `python -I -S alone.py supervise|launch ...`.

Standard library alone, and as little of it as can be: this runs before every script, and inside the walls, where the
package's own `__init__` (which loads Snakemake) must not run. An empty stand-in for the package lets the modules of
the sandbox find each other under their usual names.

What reads files is started in the same way, with the usual packages: `python -P alone.py describe|work|serve ...`.
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


class WithoutPandas:
    """Keeps pandas out of a process that reads files: pyarrow loads it unasked, in twice the time that all else takes.

    What is read comes out the same without it.
    """

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """Refuse pandas, as if it were not installed; say nothing of other modules."""
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name=name)


def be_light() -> None:
    """Make a short-lived process that reads files start sooner."""
    import gc

    sys.meta_path.insert(0, WithoutPandas)
    gc.set_threshold(100_000)  # much is loaded, and hardly any of it becomes garbage


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
        be_light()
        from snakemake_executor_plugin_llmagent.formats.tell import tell

        return tell(*rest)
    if part == "work" and len(rest) == 3:
        be_light()
        from snakemake_executor_plugin_llmagent.operations import work

        return work(*rest)
    if part == "serve" and len(rest) == 1:
        be_light()
        from snakemake_executor_plugin_llmagent.operations import serve

        serve(*rest)
    print("usage: alone.py supervise ORDER.json -- COMMAND...", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
