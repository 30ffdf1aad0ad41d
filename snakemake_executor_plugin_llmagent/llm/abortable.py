"""A model whose call can be given up at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait

from snakemake_executor_plugin_llmagent.errors import Cancelled
from snakemake_executor_plugin_llmagent.protocols import Completion, Model, Request

_POLL_SECONDS = 0.05


class Abortable:
    """Gives up waiting for a model as soon as an event is set, even inside a blocked read of a socket.

    It belongs outermost: what it leaves behind goes on in a thread of its own, so that a reply that still comes is
    recorded by the wrappers inside.
    """

    def __init__(self, model: Model, cancelled: threading.Event) -> None:
        """Wrap a model.

        Args:
            model: who answers.
            cancelled: set by whoever ends the work.
        """
        self._model = model
        self._cancelled = cancelled

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return self._model.name

    def complete(self, request: Request) -> Completion:
        """Answer a request.

        Raises:
            Cancelled: the event is or was set.
            ModelUnavailable: no answer can be had.
        """
        self._raise_if_cancelled()
        answer: Future[Completion] = Future()
        # A daemon: threads of a pool are waited for when the interpreter ends, and this one may block for minutes.
        threading.Thread(target=self._run, args=(request, answer), name=f"ask {self.name}", daemon=True).start()
        while not answer.done():
            wait([answer], timeout=_POLL_SECONDS)
            self._raise_if_cancelled()
        return answer.result()

    def _run(self, request: Request, answer: Future[Completion]) -> None:
        try:
            answer.set_result(self._model.complete(request))
        except BaseException as error:
            answer.set_exception(error)

    def _raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled(f"Cancelled while {self.name} was being asked.")
