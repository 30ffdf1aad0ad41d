"""Models that stand in for each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from snakemake_executor_plugin_llmagent.errors import ModelOutage, ModelRefused
from snakemake_executor_plugin_llmagent.protocols import Completion, Model, Request, Stop, Usage

Tell = Callable[[Model, Model, str], None]
"""Told which model steps back, which one answers instead, and why."""


class Fallback:
    """Asks the next model when one cannot answer now or declines, and stays with it.

    What is wrong with the key, the model's name or the request is for a person to mend, and no reason to ask another.
    """

    def __init__(self, models: Sequence[Model], tell: Tell) -> None:
        """Ask the first of some models, at least one."""
        self._models = list(models)
        self._tell = tell

    @property
    def name(self) -> str:
        """The model that is asked now, as the person named it."""
        return self._models[0].name

    def complete(self, request: Request) -> Completion:
        """Answer a request.

        Raises:
            ModelUnavailable: the last model cannot answer, or another one never could.
        """
        spent = Usage()
        while len(self._models) > 1:
            try:
                reply = self._models[0].complete(request)
            except (ModelOutage, ModelRefused) as error:
                self._step_back(str(error))
                continue
            if reply.stop is not Stop.REFUSAL:
                return _counted(reply, spent)
            spent = _counted(reply, spent).usage
            self._step_back(f"{reply.model} declined to answer: {reply.text}")
        return _counted(self._models[0].complete(request), spent)

    def _step_back(self, why: str) -> None:
        before, after = self._models[:2]
        del self._models[0]
        self._tell(before, after, why)


def _counted(reply: Completion, spent: Usage) -> Completion:
    """A reply with what others used before it: refusals are paid for too."""
    used = {each.name: getattr(reply.usage, each.name) + getattr(spent, each.name) for each in fields(Usage)}
    return replace(reply, usage=Usage(**used))
