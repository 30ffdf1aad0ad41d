"""A model whose calls are written into a session."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from snakemake_executor_plugin_llmagent.progress import Ear
from snakemake_executor_plugin_llmagent.protocols import Completion, Model, Request
from snakemake_executor_plugin_llmagent.session import Session


class Witness:
    """A model whose calls are written into a session."""

    def __init__(self, model: Model, session: Session, ear: Ear | None = None) -> None:
        """Watch a model; an ear is told of replies while they come, and what they used."""
        self._model = model
        self._ear = ear
        self._session = session
        self.reported = ""
        self.usage: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return self._model.name

    def complete(self, request: Request) -> Completion:
        """Hand the request on, and note what was asked and answered."""
        number = self.usage["calls"] = self.usage["calls"] + 1
        stem = f"calls/{request.role}-{number}"
        asked = "\n\n".join(f"## {message.role}\n\n{message.content}" for message in request.messages)
        self._session.event("call", role=request.role, model=self.name, request=self._session.keep(f"{stem}.md", asked))
        reply = self._model.complete(request if self._ear is None else replace(request, heard=self._ear.heard))
        self.reported = reply.model
        self.usage += Counter(vars(reply.usage))
        if self._ear is not None:
            self._ear.answered(reply.usage)
        self._session.event(
            "reply", role=request.role, model=reply.model, stop=reply.stop, usage=vars(reply.usage),
            request_id=reply.request_id, text=self._session.keep(f"{stem}.reply.md", reply.text),
        )  # fmt: skip
        return reply
