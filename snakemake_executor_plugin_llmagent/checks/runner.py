"""Calls one check in a process of its own. Run as `python runner.py JOB.json FINDINGS.json`.

The check gets a `job` with `rule`, `input`, `output` (by position and by name, paths as strings), `params`,
`wildcards`, `script` (its text) and `log` (what the script printed). It returns None or a list of texts, or of mappings
with `message` and, for something that should not stop the script, `severity: "warning"`; or it yields them. An `assert`
that fails, or any other exception, is a finding too: a check may be written as the plain statement of what must hold.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from collections.abc import Generator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MODULE = "llmagent_check"
"""What the person's module is called while it runs."""


class Files(list[str]):
    """Paths by position and by name, as in a Snakemake script."""

    def __init__(self, pairs: list[tuple[str | None, str]]) -> None:
        super().__init__(path for _, path in pairs)
        self._named: dict[str, str | list[str]] = {}
        for name, path in pairs:
            if name is None:
                continue
            known = self._named.get(name)
            if known is None:
                self._named[name] = path
            else:
                self._named[name] = [*(known if isinstance(known, list) else [known]), path]

    def __getattr__(self, name: str) -> str | list[str]:
        try:
            return self._named[name]
        except KeyError:
            raise AttributeError(f"no file named {name!r}; there are {sorted(self._named)}") from None


def as_entry(finding: object) -> dict[str, str]:
    """A finding as a person may write it, in the form that is handed back."""
    if isinstance(finding, str):
        return {"message": finding}
    if isinstance(finding, dict):
        return {"message": str(finding), **{str(key): str(value) for key, value in finding.items()}}
    return {
        "message": str(getattr(finding, "message", finding)),
        "severity": str(getattr(finding, "severity", "error")),
    }


def main(question: str, answer: str) -> None:
    """Read the job, call the check, write its findings."""
    asked: dict[str, Any] = json.loads(Path(question).read_text(encoding="utf-8"))
    path = Path(asked["file"])
    # Last, and under a name of our own: a person's `select.py` must not stand in for the standard library's.
    sys.path.append(str(path.parent))
    specification = importlib.util.spec_from_file_location(MODULE, path)
    assert specification is not None and specification.loader is not None
    module = sys.modules[MODULE] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    check, job = getattr(module, asked["function"]), asked["job"]
    job["input"], job["output"] = Files(job["input"]), Files(job["output"])
    try:
        found = check(SimpleNamespace(**job))
        found = list(found) if isinstance(found, Generator) else found
    except Exception as error:
        places = traceback.extract_tb(error.__traceback__)
        if len(places) == 1:
            raise  # it cannot even be called with a job
        place = places[-1]
        found = [
            f"{type(error).__name__}: {error} (in `{place.line}`, line {place.lineno} of {Path(place.filename).name})"
        ]
    Path(answer).write_text(json.dumps([as_entry(finding) for finding in as_list(found)]), encoding="utf-8")


def as_list(found: object) -> Sequence[object]:
    """What a check returned as a list. A truth value is no answer: nobody can tell what it is meant to say."""
    if found is None:
        return ()
    if isinstance(found, list | tuple):
        return found
    if isinstance(found, str | dict):
        return (found,)
    raise TypeError(f"a check returns None or a list of texts, not {found!r}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
