"""A model that must not be asked."""

from __future__ import annotations

from typing import NoReturn

from snakemake_executor_plugin_llmagent.errors import NotApproved
from snakemake_executor_plugin_llmagent.protocols import Request


class Forbidden:
    """Stands where a model would, and makes it a fact that none is called."""

    name = "forbidden"

    def __init__(self, reason: str) -> None:
        """Forbid, for a reason that says what to do instead."""
        self._reason = reason

    def complete(self, request: Request) -> NoReturn:
        """Refuse.

        Raises:
            NotApproved: always.
        """
        raise NotApproved(f"No model may be asked (the {request.role} was about to be): {self._reason}")
