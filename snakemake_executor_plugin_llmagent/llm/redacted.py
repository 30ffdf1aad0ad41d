"""A model whose replies never hold a key."""

from __future__ import annotations

from dataclasses import replace

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.protocols import Completion, Model, Request


class Redacted:
    """Takes the providers' keys out of what a model says.

    Done here, once, no candidate, review, message, log or lock can hold a key, nor is it sent to another provider.
    """

    def __init__(self, model: Model, keys: Keys) -> None:
        """Wrap a model."""
        self._model = model
        self._keys = keys

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return self._model.name

    def complete(self, request: Request) -> Completion:
        """Answer a request.

        Raises:
            ModelUnavailable: no answer can be had.
        """
        reply = self._model.complete(request)
        redact = self._keys.redact
        return replace(reply, text=redact(reply.text), model=redact(reply.model))
