"""A place for the stages of one run, and the removal of what killed runs left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import uuid
from pathlib import Path

from snakemake_executor_plugin_llmagent.sandbox import layout

_OWNER = "owner"


class Stages:
    """A folder below a root for as long as this run lives.

    A file in it stays locked while the run lives. A folder whose file is not locked belonged to a run that was killed.
    """

    def __init__(self, root: Path) -> None:
        """Note the root; nothing is made yet."""
        self._root = root
        self._folder: Path | None = None
        self._descriptor: int | None = None
        self._claiming = threading.Lock()

    def new_folder(self) -> Path:
        """A name for a new folder of this run.

        Raises:
            OSError: nothing can be made below the root.
        """
        with self._claiming:
            if self._folder is None:
                self.sweep()
                self._folder, self._descriptor = self._claim()
            return self._folder / uuid.uuid4().hex[:8]

    def sweep(self) -> None:
        """Remove the folders of runs that live no more."""
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            try:
                descriptor = os.open(folder / _OWNER, os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # killed right after it was made; only an empty one can be removed so
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                layout.remove(folder)
            except OSError:
                continue  # its run lives, or this file system has no locks
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Remove this run's folder."""
        with self._claiming:
            folder, descriptor, self._folder, self._descriptor = self._folder, self._descriptor, None, None
        if folder is not None:
            layout.remove(folder)
        if descriptor is not None:
            os.close(descriptor)

    def _claim(self) -> tuple[Path, int]:
        while True:
            folder = self._root / uuid.uuid4().hex[:12]
            folder.mkdir(parents=True)
            try:
                descriptor = os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except FileNotFoundError:
                continue  # somebody took it for a leftover before it had an owner
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                return folder, descriptor  # without locks nobody removes it either
            if (folder / _OWNER).exists():
                return folder, descriptor
            os.close(descriptor)  # somebody took it for a leftover before it was locked
