"""A model whose calls are written into a session."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from snakemake_executor_plugin_llmagent.protocols import Completion, Model, Request
from snakemake_executor_plugin_llmagent.session import Session


class Witness:
    """A model whose calls are written into a session."""

    def __init__(self, model: Model, session: Session) -> None:
        """Watch a model."""
        self._model = model
        self._session = session
        self.reported = ""
        self.usage: Counter[str] = Counter()
        self.usd: Decimal | None = Decimal(0)

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
        reply = self._model.complete(request)
        self.reported = reply.model
        self.usage += Counter(vars(reply.usage))
        self.usd = None if self.usd is None or reply.usd is None else self.usd + reply.usd
        self._session.event(
            "reply", role=request.role, model=reply.model, stop=reply.stop, usage=vars(reply.usage),
            usd=None if reply.usd is None else float(reply.usd), request_id=reply.request_id,
            text=self._session.keep(f"{stem}.reply.md", reply.text),
        )  # fmt: skip
        return reply
