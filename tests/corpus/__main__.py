"""Judge the corpus and print a table: `python -m tests.corpus [TASK ...] [--few] [--jobs N] [--output FILE]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.corpus.judge import Court
from tests.corpus.problems import NAMES
from tests.corpus.tables import markdown, mutant_rows, right_rows


def main() -> int:
    """Judge, and exit with 1 if a script was judged wrongly that is not known to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"any of {', '.join(NAMES)}; all by default")
    parser.add_argument("--few", action="store_true", help="one wrong script of each kind")
    parser.add_argument("--jobs", type=int, default=2, help="how many scripts at once")
    parser.add_argument("--output", type=Path, help="file for the table, beside standard output")
    asked = parser.parse_args()
    tasks = asked.tasks or NAMES
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="corpus-") as folder,
        Court(Path(folder)) as court,
        ThreadPoolExecutor(asked.jobs) as pool,
    ):
        wrong = partial(mutant_rows, few=asked.few)
        work = [pool.submit(judge, court, task) for task in tasks for judge in (right_rows, wrong)]
        rows = [row for each in work for row in each.result()]
    text = markdown(rows)
    print(text)
    print(f"{len(rows)} scripts in {time.monotonic() - started:.0f} s", file=sys.stderr)
    if asked.output is not None:
        asked.output.write_text(text, encoding="utf-8")
    return int(any(row.wrong and not row.reason for row in rows))


if __name__ == "__main__":
    sys.exit(main())
