"""Recordings of a model's replies, and the model that replays them.

A directory of recordings holds one file per exchange. A request is found again by its role and its messages, trailing
whitespace aside; neither the model's name nor the limit on its reply counts. A request that was recorded several times
is answered in the order of recording, and with the last reply from then on.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import ConfigError, RecordingMissing
from snakemake_executor_plugin_llmagent.llm.exchange import (
    Exchange,
    exchange_files,
    read_exchange,
    request_digest,
    write_exchange,
)
from snakemake_executor_plugin_llmagent.llm.nearest import first_difference, nearest
from snakemake_executor_plugin_llmagent.llm.service import well_formed
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Model, Request

NO_KEYS = Keys()


class Recording:
    """Keeps every exchange with a model in a directory, which several processes may share."""

    def __init__(self, model: Model, directory: Path, *, keys: Keys) -> None:
        """Wrap a model.

        Args:
            model: who answers.
            directory: where the recordings go; made if it is not there.
            keys: what no recording may hold.

        Raises:
            ConfigError: the directory cannot be made.
        """
        self._model = model
        self._directory = directory
        self._keys = keys
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The directory for recordings {directory} cannot be made: {error.strerror}.") from error

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return self._model.name

    def complete(self, request: Request) -> Completion:
        """Answer a request and keep both.

        Raises:
            ModelUnavailable: no answer can be had.
            ConfigError: the directory cannot be written to.
        """
        reply = self._model.complete(request)
        kept = replace(reply, text=_storable(reply.text, self._keys), model=_storable(reply.model, self._keys))
        exchange = Exchange(
            role=_storable(request.role, self._keys),
            model=_storable(self.name, self._keys),
            messages=_storable_messages(request.messages, self._keys),
            max_tokens=request.max_tokens,
            reply=kept,
        )
        write_exchange(exchange, self._directory)
        return reply


class Replay:
    """Answers from recordings alone."""

    def __init__(self, directory: Path, *, keys: Keys = NO_KEYS) -> None:
        """Read the recordings.

        Args:
            directory: where they lie.
            keys: what was left out of them.

        Raises:
            ConfigError: there are none, or one is broken.
        """
        self._directory = directory
        self._keys = keys
        try:
            paths = exchange_files(directory)
        except OSError as error:
            raise ConfigError(f"The recordings in {directory} cannot be read: {error.strerror}.") from error
        if not paths:
            raise ConfigError(f"There are no recordings in {directory}.")
        self._exchanges = {path.name: read_exchange(path) for path in paths}
        self._replies: dict[str, list[Completion]] = defaultdict(list)
        for exchange in self._exchanges.values():
            self._replies[exchange.digest].append(exchange.reply)
        self._served: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return f"replay:{self._directory}"

    def complete(self, request: Request) -> Completion:
        """Answer a request as it was answered before.

        Raises:
            RecordingMissing: it was never asked.
        """
        role = _storable(request.role, self._keys)
        messages = _storable_messages(request.messages, self._keys)
        digest = request_digest(role, messages)
        if digest not in self._replies:
            raise RecordingMissing(self._explain_miss(role, messages))
        replies = self._replies[digest]
        with self._lock:
            number = self._served[digest]
            self._served[digest] += 1
        return replace(replies[min(number, len(replies) - 1)], usd=Decimal(0))

    def _explain_miss(self, role: str, messages: tuple[Message, ...]) -> str:
        names = list(self._exchanges)
        near = names[nearest(role, messages, ((e.role, e.messages) for e in self._exchanges.values()))]
        exchange = self._exchanges[near]
        owner = "" if exchange.role == role else f", one of the {exchange.role}"
        return (
            f"No recording in {self._directory} answers this request of the {role}. The nearest is {near}{owner}; it "
            f"first differs in {first_difference(exchange.messages, messages)}\n"
            "Record the workflow as it is now, or undo the change."
        )


def _storable(text: str, keys: Keys) -> str:
    return keys.redact(well_formed(text))


def _storable_messages(messages: Iterable[Message], keys: Keys) -> tuple[Message, ...]:
    return tuple(replace(message, content=_storable(message.content, keys)) for message in messages)
