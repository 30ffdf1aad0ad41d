"""A model whose calls are written into a session, and not made again if an unfinished session has their answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from snakemake_executor_plugin_llmagent.earlier import Earlier, request_digest
from snakemake_executor_plugin_llmagent.progress import Ear
from snakemake_executor_plugin_llmagent.protocols import Completion, Model, Request
from snakemake_executor_plugin_llmagent.session import Session
from snakemake_executor_plugin_llmagent.spec import digest_text


class Witness:
    """A model whose calls are written into a session."""

    def __init__(self, model: Model, session: Session, earlier: Earlier | None = None, ear: Ear | None = None) -> None:
        """Watch a model; what earlier sessions have answered serves again.

        An ear is told of replies while they come, and what they used.
        """
        self._model = model
        self._ear = ear
        self._session = session
        self._earlier = earlier
        self.reported = ""
        self.usage: Counter[str] = Counter()
        self.usd: Decimal | None = Decimal(0)

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return self._model.name

    def _heard(self, request: Request) -> Request:
        return request if self._ear is None else replace(request, heard=self._ear.heard)

    def complete(self, request: Request) -> Completion:
        """Hand the request on, and note what was asked and answered before anybody reads it."""
        number = self.usage["calls"] = self.usage["calls"] + 1
        stem, digest = f"calls/{request.role}-{number}", request_digest(self.name, request)
        asked = "\n\n".join(f"## {message.role}\n\n{message.content}" for message in request.messages)
        self._session.event(
            "call", role=request.role, model=self.name, digest=digest, request=self._session.keep(f"{stem}.md", asked)
        )
        kept = self._earlier.take(digest) if self._earlier else None
        reply = kept.reply if kept else self._model.complete(self._heard(request))
        self.reported = reply.model
        self.usage += Counter(vars(reply.usage))
        self.usd = None if self.usd is None or reply.usd is None else self.usd + reply.usd
        if self._ear is not None:
            self._ear.answered(reply.usage)
        self._session.event(
            "reply", role=request.role, model=reply.model, stop=reply.stop, usage=vars(reply.usage),
            usd=None if reply.usd is None else str(reply.usd), request_id=reply.request_id, digest=digest,
            text=self._session.keep(f"{stem}.reply.md", reply.text), text_digest=digest_text(reply.text),
            **({"reused": str(kept.session)} if kept else {}),
        )  # fmt: skip
        return reply
