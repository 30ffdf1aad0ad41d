"""Models that speak Anthropic messages."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.llm.sending import watched_client
from snakemake_executor_plugin_llmagent.llm.service import (
    CONNECT_SECONDS,
    CallSettings,
    Service,
    address_of,
    check_address,
    count,
    find_key,
    missing_key,
    warn_if_exposed,
    well_formed,
)
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Request, Stop, Usage
from snakemake_executor_plugin_llmagent.providers import Provider, Warn, ignore

KEY = "ANTHROPIC_API_KEY"
TOKEN = "ANTHROPIC_AUTH_TOKEN"
"""A token goes into another header than a key; so does what a gateway's variable holds whose name ends in `TOKEN`."""
OWN = Provider(name="anthropic", speaks="anthropic", key_variable=KEY)
"""Anthropic itself, or what its SDK's variables lead to."""

_URL = "ANTHROPIC_BASE_URL"
_NO_KEY = "no-key-needed"
_STOPS = {
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "refusal": Stop.REFUSAL,
}


class AnthropicModel:
    """A model behind Anthropic messages."""

    def __init__(
        self, model: str, *, keys: Keys, settings: CallSettings, provider: Provider = OWN, warn: Warn = ignore
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            ConfigError: there is neither a key nor a token.
        """
        import anthropic

        self._model = model
        self._provider = provider
        self._settings = settings
        # What the model has shown not to take; see `_stream_fitting`.
        self._without: frozenset[str] = frozenset() if provider.images is not False else frozenset({"pictures"})
        variables = (provider.key_variable,) if provider.base_url else (KEY, TOKEN)
        found = find_key(keys, variables) or (("", _NO_KEY) if variables == ("",) else None)
        if found is None:
            raise missing_key(self.name, variables)
        variable, key = found
        as_token = variable.endswith("TOKEN")
        self._client = anthropic.Anthropic(
            api_key=None if as_token else key,
            auth_token=key if as_token else None,
            base_url=provider.base_url or None,
            timeout=anthropic.Timeout(settings.timeout_seconds, connect=min(CONNECT_SECONDS, settings.timeout_seconds)),
            max_retries=settings.max_retries,
            http_client=watched_client(anthropic.DefaultHttpxClient),
        )
        if provider.base_url:
            # What the environment says of Anthropic is nothing for others; secrets may be among it.
            self._client._custom_headers = dict(provider.headers)
        url, source = self._client.base_url, address_of(provider, _URL)
        self.url = str(url)
        check_address(url.scheme, url.host, source)
        warn_if_exposed(str(url), source, variable, warn)
        self._service = Service(
            name=self.name,
            host=url.netloc.decode(),
            key_variable=variable,
            url_from=source,
            url_optional=not provider.base_url,
            sdk=anthropic,
            keys=keys,
            settings=settings,
        )

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return f"{self._provider.name}:{self._model}"

    def complete(self, request: Request) -> Completion:
        """Answer a request.

        Raises:
            ModelUnavailable: no answer can be had.
        """
        try:
            message, request_id = self._ask(request)
        except Exception as error:
            failure = self._service.failure(error)
        else:
            return self._read(message, request_id)
        # Raised out here, so that the SDK's exception is not its context.
        raise failure

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, request: Request) -> tuple[Any, str | None]:
        """Send a request, and send it once more if its stream breaks off, which the SDK's own retries do not cover."""
        try:
            return self._stream_fitting(request)
        except Exception as error:
            if not (self._settings.max_retries and self._broke_off(error)):
                raise
        return self._stream_fitting(request)

    def _broke_off(self, error: Exception) -> bool:
        if isinstance(error, self._service.sdk.APIStatusError):
            # Within a stream that began well, an error (such as an overload) has the status of the beginning.
            return bool(error.status_code < 400)
        return not isinstance(error, self._service.sdk.APIConnectionError)

    def _stream_fitting(self, request: Request) -> tuple[Any, str | None]:
        """Stream a reply, without a temperature or pictures if the model turns out not to take them."""
        import anthropic

        without = self._without
        while True:
            try:
                reply = self._stream(request, without)
            except anthropic.BadRequestError as error:
                blamed = self._blamed(str(error), request) - without
                if not blamed:
                    raise
                without |= blamed
            else:
                self._without = without
                return reply

    def _blamed(self, complaint: str, request: Request) -> frozenset[str]:
        """What a complaint may be about that can be left out."""
        if self._settings.temperature is not None and "temperature" in complaint:
            return frozenset({"temperature"})
        # Whatever it says: gateways to models that read no images say it in many ways.
        return frozenset({"pictures"}) if any(message.pictures for message in request.messages) else frozenset()

    def _stream(self, request: Request, without: frozenset[str]) -> tuple[Any, str | None]:
        """Collect a streamed reply: a long one would take longer than a connection may stay silent."""
        parameters: dict[str, Any] = {
            "model": self._model,
            "max_tokens": self._settings.limit(request.max_tokens),
            "messages": [
                {"role": m.role, "content": _content(m, "pictures" not in without)}
                for m in request.messages
                if m.role != "system"
            ],
        }
        system = [well_formed(m.content) for m in request.messages if m.role == "system"]
        if system:
            parameters["system"] = "\n\n".join(system)
        temperature = self._settings.temperature
        if temperature is not None and "temperature" not in without:
            # Newer versions of the SDK know no such argument, as newer models take none.
            parameters["extra_body"] = {"temperature": temperature}
        with self._client.messages.stream(**parameters) as stream:
            try:
                _listen(stream, request.heard)
                message: Any = stream.get_final_message()
            except AssertionError:
                # The SDK's way to say that no message ever began.
                message = None
            if getattr(message, "stop_reason", None) is None:
                form = stream.response.headers.get("content-type")
                raise EOFError(f"the stream ended before the message did (content type {form})")
            return message, stream.request_id

    def _read(self, message: Any, request_id: str | None) -> Completion:
        if not isinstance(getattr(message, "content", None), list):
            raise self._service.unreadable(message)
        text = "".join(block.text for block in message.content if getattr(block, "type", None) == "text")
        stop = _STOPS.get(message.stop_reason, Stop.END)
        if stop is Stop.REFUSAL and not text:
            text = getattr(getattr(message, "stop_details", None), "explanation", None) or ""
        return Completion(
            text=well_formed(text),
            stop=stop,
            model=str(getattr(message, "model", None) or self._model),
            usage=_usage(getattr(message, "usage", None)),
            request_id=request_id,
        )


def _listen(stream: Any, heard: Callable[[int], None] | None) -> None:
    """Take a stream to its end, and tell how much has come, thoughts included [characters]."""
    come = 0
    for event in stream:
        delta = getattr(event, "delta", None) if event.type == "content_block_delta" else None
        piece = getattr(delta, "text", None) or getattr(delta, "thinking", None)
        if heard is not None and isinstance(piece, str):
            come += len(piece)
            heard(come)


def _content(message: Message, pictures: bool) -> str | list[dict[str, Any]]:
    text = well_formed(message.content)
    if not (pictures and message.pictures):
        return text
    parts: list[dict[str, Any]] = [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": picture.media_type,
                "data": base64.b64encode(picture.data).decode("ascii"),
            },
        }
        for picture in message.pictures
    ]
    return [*parts, {"type": "text", "text": text}]


def _usage(usage: Any) -> Usage:
    # Anthropic counts what it read from and wrote to its cache apart; here the input is all of it, as with OpenAI.
    cached, kept = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    return Usage(
        input_tokens=count(usage, "input_tokens") + cached + kept,
        output_tokens=count(usage, "output_tokens"),
        cached_input_tokens=cached,
        reasoning_tokens=count(usage, "output_tokens_details", "thinking_tokens"),
        cache_write_tokens=kept,
    )
