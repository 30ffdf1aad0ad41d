"""Models that speak OpenAI chat completions: OpenAI's own, and every compatible gateway or local server."""

from __future__ import annotations

import base64
from typing import Any

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.llm.sending import watched_client
from snakemake_executor_plugin_llmagent.llm.service import (
    CONNECT_SECONDS,
    CallSettings,
    Service,
    check_address,
    count,
    find_key,
    missing_key,
    well_formed,
)
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Request, Stop, Usage

KEY = "OPENAI_API_KEY"

_URL = "OPENAI_BASE_URL"
_NO_KEY = "no-key-needed"
_OWN_HOST = "api.openai.com"
_LIMIT = "max_completion_tokens"
_DISPENSABLE = (_LIMIT, "temperature")
_PICTURES = "pictures"


class OpenAIModel:
    """A model behind OpenAI chat completions."""

    def __init__(self, model: str, *, keys: Keys, settings: CallSettings) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            ConfigError: requests would go to OpenAI, and there is no key.
        """
        import openai

        self._model = model
        self._settings = settings
        # What this server has shown not to know; see `_ask`.
        self._unknown: frozenset[str] = frozenset()
        found = find_key(keys, (KEY,))
        self._client = openai.OpenAI(
            api_key=found[1] if found else _NO_KEY,
            timeout=openai.Timeout(settings.timeout_seconds, connect=min(CONNECT_SECONDS, settings.timeout_seconds)),
            max_retries=settings.max_retries,
            http_client=watched_client(openai.DefaultHttpxClient),
        )
        url = self._client.base_url
        self.url = str(url)
        check_address(url.scheme, url.host, _URL)
        if found is None and f".{url.host}".endswith(f".{_OWN_HOST}"):
            self._client.close()
            hint = f" A gateway or local server on {_URL} may do without."
            raise missing_key(self.name, (KEY,), hint)
        self._service = Service(
            name=self.name,
            host=url.netloc.decode(),
            key_variable=KEY,
            url_variable=_URL,
            sdk=openai,
            keys=keys,
            settings=settings,
        )

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return f"openai:{self._model}"

    def complete(self, request: Request) -> Completion:
        """Answer a request.

        Raises:
            ModelUnavailable: no answer can be had.
        """
        try:
            reply = self._ask(request)
        except Exception as error:
            failure = self._service.failure(error)
        else:
            return self._read(reply)
        # Raised out here, so that the SDK's exception is not its context.
        raise failure

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, request: Request) -> Any:
        """Send a request, and send it again without what the server turns out not to know.

        Gateways and local servers may know `max_tokens` alone, and some models take no temperature.
        """
        import openai

        create: Any = self._client.chat.completions.create
        unknown = self._unknown
        too_high: openai.APIStatusError | None = None
        while True:
            try:
                reply = create(**self._parameters(request, unknown))
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                complaint = str(error)
                blamed = {name for name in _DISPENSABLE if name in complaint} - unknown
                if not blamed and _PICTURES not in unknown and any(m.pictures for m in request.messages):
                    blamed = {_PICTURES}  # whatever it says: servers of models that read no images say it in many ways
                if not blamed and too_high is not None and "max_tokens" in complaint:
                    # It knows the newer name after all; that complaint was about the number.
                    raise too_high from None
                if not blamed:
                    raise
                if _LIMIT in blamed:
                    too_high = error
                unknown |= blamed
            else:
                self._unknown = unknown
                return reply

    def _parameters(self, request: Request, unknown: frozenset[str]) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": m.role, "content": _content(m, _PICTURES not in unknown)} for m in request.messages],
        }
        parameters["max_tokens" if _LIMIT in unknown else _LIMIT] = request.max_tokens
        if self._settings.temperature is not None and "temperature" not in unknown:
            parameters["temperature"] = self._settings.temperature
        return parameters

    def _read(self, reply: Any) -> Completion:
        # A gateway's reply may be anything: the SDK does not check it.
        choices: Any = getattr(reply, "choices", None)
        message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
        content, refusal = getattr(message, "content", None), getattr(message, "refusal", None)
        if message is None or not isinstance(content, str | None):
            raise self._service.unreadable(reply)
        finish = getattr(choices[0], "finish_reason", None)
        stop = Stop.END
        if refusal or finish == "content_filter":
            stop = Stop.REFUSAL
        elif finish == "length":
            stop = Stop.LENGTH
        return Completion(
            text=well_formed(str(refusal or content or "")),
            stop=stop,
            model=str(getattr(reply, "model", None) or self._model),
            usage=_usage(getattr(reply, "usage", None)),
            request_id=getattr(reply, "_request_id", None),
        )


def _content(message: Message, pictures: bool) -> str | list[dict[str, Any]]:
    text = well_formed(message.content)
    if not (pictures and message.pictures):
        return text
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    for picture in message.pictures:
        data = base64.b64encode(picture.data).decode("ascii")
        parts.append({"type": "image_url", "image_url": {"url": f"data:{picture.media_type};base64,{data}"}})
    return parts


def _usage(usage: Any) -> Usage:
    return Usage(
        input_tokens=count(usage, "prompt_tokens"),
        output_tokens=count(usage, "completion_tokens"),
        cached_input_tokens=count(usage, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=count(usage, "completion_tokens_details", "reasoning_tokens"),
    )
