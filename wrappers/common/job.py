"""What every wrapper does around its work: log, errors, parameters, progress, provenance, whole files or none."""

import contextlib
import difflib
import gc
import hashlib
import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Importing packages makes many objects that stay: looking through them for garbage takes a tenth of a short job's time.
gc.set_threshold(50_000, 20, 100)

VERSION = "0.1.0"
HASHED_BYTES = 64 * 1024 * 1024
"""Inputs up to this size are identified by their SHA-256 in the provenance; larger ones by their size alone."""


class WrongInput(Exception):
    """The person who wrote the rule can mend this: the message says which file or parameter, and what to do."""


@contextlib.contextmanager
def logged(snakemake: Any) -> Iterator[None]:
    """Send everything that is printed to the rule's log, and errors to the terminal too.

    Raises:
        SystemExit: with status 1 after a `WrongInput`, whose message is shown without a traceback.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    path = Path(snakemake.log[0]) if len(snakemake.log) else None
    message = ""
    try:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
        try:
            yield
        except WrongInput as error:
            message = f"Error: {error}\n"
        except Exception:
            message = traceback.format_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        if message and path:
            os.write(2, message.encode())
    finally:
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)
        gc.freeze()  # the job is done: nothing is worth a last look for garbage
    if message:
        sys.stderr.write(message)
        raise SystemExit(1)


def near(name: str, names: Iterable[str], *, most: int = 5) -> str:
    """Say which of `names` are like `name`: text for the end of an error message."""
    known = sorted(set(map(str, names)))
    lowered = {one.lower(): one for one in known}
    alike = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=most, cutoff=0.5)]
    if alike:
        return f"Did you mean {', '.join(alike)}?"
    shown = ", ".join(known[:20]) + (f", and {len(known) - 20} more" if len(known) > 20 else "")
    return f"There are: {shown}." if known else "There are none."


def parameters(snakemake: Any, defaults: Mapping[str, Any], *, required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the rule's params, completed by defaults.

    Args:
        snakemake: the object that Snakemake gives to a script.
        defaults: what params there are, and their values where the rule names none.
        required: params without a default.

    Raises:
        WrongInput: for an unknown, unnamed or missing param.
    """
    given = dict(snakemake.params.items())
    if len(snakemake.params) > sum(1 for _ in given):
        raise WrongInput('params: each needs a name, as in `params: cut="..."`')
    known = [*required, *defaults]
    for name in given:
        if name not in known:
            raise WrongInput(f"params: there is no {name!r}. {near(name, known)}")
    for name in required:
        if given.get(name) is None:
            raise WrongInput(f"params: {name!r} is missing")
    return {**defaults, **given}


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return the value of a param that is one of some words, or raise `WrongInput`."""
    if value not in options:
        raise WrongInput(f"params: {name}={value!r} is none of {', '.join(options)}. {near(str(value), options)}")
    return str(value)


def existing(paths: Iterable[Any]) -> list[str]:
    """Return paths as text after looking whether the local ones are files.

    Raises:
        WrongInput: naming the first file that is missing or empty, and files with similar names beside it.
    """
    texts = [str(path) for path in paths]
    for text in texts:
        if "://" in text:
            continue
        path = Path(text)
        if not path.is_file():
            beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            raise WrongInput(f"{text}: no such file. {near(path.name, beside)}")
        if path.stat().st_size == 0:
            raise WrongInput(f"{text}: the file is empty")
    return texts


def provenance(snakemake: Any, wrapper: str, packages: Sequence[str]) -> dict[str, Any]:
    """Describe how an output came about, without anything that differs from one run to the next.

    Args:
        snakemake: the object that Snakemake gives to a script.
        wrapper: the wrapper's place in the collection, such as `phys/uproot/skim`.
        packages: distributions whose versions matter.
    """
    return {
        "wrapper": wrapper,
        "version": VERSION,
        "inputs": [_identity(str(path)) for path in snakemake.input],
        "params": json.loads(json.dumps(dict(snakemake.params.items()), default=str, sort_keys=True)),
        "packages": {name: importlib.metadata.version(name) for name in sorted(packages)},
    }


def _identity(path: str) -> dict[str, Any]:
    if "://" in path or not Path(path).is_file():
        return {"file": path}
    size = Path(path).stat().st_size
    identity: dict[str, Any] = {"file": Path(path).name if Path(path).is_absolute() else path, "bytes": size}
    if size <= HASHED_BYTES:
        identity["sha256"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return identity


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[Path]:
    """Yield a hidden name beside `path` (same suffix) to write to; it becomes `path` if all goes well, else it goes."""
    final = Path(str(path))
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}.{final.name}")
    try:
        yield partial
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Any, value: Any) -> None:
    """Write JSON for people and programs: indented, in the order given, whole or not at all; NaN is an error."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


class Progress:
    """Lines in the log about how far long work has come, at most one every few seconds."""

    def __init__(self, what: str, total: int, unit: str = "events", *, every: float = 5.0) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = 0
        self.started = self.said = time.monotonic()

    def add(self, number: int) -> None:
        """Count `number` more; print a line if the last one is some seconds old."""
        self.done += number
        now = time.monotonic()
        if now - self.said >= self.every and self.done:
            self.said = now
            left = (now - self.started) * (self.total / self.done - 1)
            share = 100 * self.done / max(self.total, 1)
            print(
                f"{self.what}: {self.done:,} of {self.total:,} {self.unit} ({share:.0f} %), {left:.0f} s left",
                flush=True,
            )
