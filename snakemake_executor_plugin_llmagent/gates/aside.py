"""Work of a gate in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Aside(Generic[T]):
    """Something that is done while other things are."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        """Note what to do; it is not begun."""
        self._work = work
        self._outcome: Future[T] = Future()
        self._thread = threading.Thread(target=self._do, name=name, daemon=True)
        self._begun = False

    def start(self) -> None:
        """Begin, if that was not done."""
        if not self._begun:
            self._thread.start()
            self._begun = True

    def result(self) -> T:
        """What comes of it, once it is done.

        Raises:
            BaseException: whatever the work raised.
        """
        return self._outcome.result()

    def wait(self) -> None:
        """Wait until nothing of it goes on."""
        if self._begun:
            self._thread.join()

    def _do(self) -> None:
        try:
            self._outcome.set_result(self._work())
        except BaseException as failure:  # raised for whoever asks for the result
            self._outcome.set_exception(failure)
