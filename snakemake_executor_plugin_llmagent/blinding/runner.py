"""Calls a person's function that makes a twin, in a process of its own. Run as `python runner.py QUESTION ANSWER`.

The function gets two paths, that of the data and that of the twin to write. What it complains about may hold values of
the data, so that only the kind and the place of an exception are told.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path

MODULE = "llmagent_twin"
"""What the person's module is called while it runs."""


def main(question: str, answer: str) -> None:
    """Read which function is to be called, call it, and write what went wrong."""
    asked: dict[str, str] = json.loads(Path(question).read_text(encoding="utf-8"))
    path = Path(asked["file"])
    # Last, and under a name of our own: a person's `select.py` must not stand in for the standard library's.
    sys.path.append(str(path.parent))
    specification = importlib.util.spec_from_file_location(MODULE, path)
    assert specification is not None and specification.loader is not None
    module = sys.modules[MODULE] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    problem = ""
    try:
        getattr(module, asked["function"])(asked["source"], asked["target"])
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"{type(error).__name__} in line {place.lineno} of {Path(place.filename).name}"
    Path(answer).write_text(json.dumps({"problem": problem}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
