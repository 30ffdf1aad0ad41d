"""Run a command many times in one process, because starting takes most of the time of a short run.

`python repeat.py snakemake` (or `llmagent`), with JSON `[[directory, arguments], ...]` on stdin, prints JSON
`[[exit status, output], ...]`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


def repeat(
    runs: Sequence[tuple[Path, Sequence[str]]], environment: Mapping[str, str], command: str = "snakemake"
) -> list[tuple[int, str]]:
    """Exit status and output of a command, for each directory and arguments."""
    question = json.dumps([(str(directory), list(arguments)) for directory, arguments in runs])
    done = subprocess.run(
        (sys.executable, __file__, command), input=question, env=dict(environment), capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(status, output) for status, output in json.loads(done.stdout)]


@contextlib.contextmanager
def _captured(sink: int) -> Iterator[None]:
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in kept:
            os.dup2(sink, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


def _main() -> None:
    from snakemake.cli import main

    from snakemake_executor_plugin_llmagent import cli

    commands = {"snakemake": main, "llmagent": lambda arguments: sys.exit(cli.main(arguments))}
    answers = []
    for directory, arguments in json.load(sys.stdin):
        os.chdir(directory)
        status: object = 0
        with tempfile.TemporaryFile() as sink:
            with _captured(sink.fileno()):
                try:
                    commands[sys.argv[1]](arguments)
                except SystemExit as end:
                    status = end.code
            sink.seek(0)
            output = sink.read().decode(errors="replace")
        answers.append((status if isinstance(status, int) else int(bool(status)), output))
    print(json.dumps(answers))


if __name__ == "__main__":
    _main()
