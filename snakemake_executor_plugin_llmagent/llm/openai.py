"""Models that speak OpenAI chat completions: OpenAI's own, and every compatible gateway or local server."""

from __future__ import annotations

import base64
import json
import re
from types import SimpleNamespace
from typing import Any

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.llm.chunks import BrokenOff, collect
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

KEY = "OPENAI_API_KEY"
OWN = Provider(name="openai", speaks="openai", key_variable=KEY)
"""OpenAI itself, or what its SDK's variables lead to."""

_URL = "OPENAI_BASE_URL"
_NO_KEY = "no-key-needed"
_OWN_HOST = "api.openai.com"
_LIMIT = "max_completion_tokens"
_STREAM = "stream"
_DISPENSABLE = {
    _LIMIT: re.compile(_LIMIT),
    "temperature": re.compile("temperature"),
    # Without `stream_options` nothing would be counted, so that one goes with the other; "upstream" is no complaint.
    _STREAM: re.compile(r"\bstream(ing|_options|\b)"),
}
"""What a request can do without → how a complaint about it reads."""
_PICTURES = "pictures"


class OpenAIModel:
    """A model behind OpenAI chat completions."""

    def __init__(
        self, model: str, *, keys: Keys, settings: CallSettings, provider: Provider = OWN, warn: Warn = ignore
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            ConfigError: the provider needs a key, and there is none.
        """
        import openai

        self._model = model
        self._provider = provider
        self._settings = settings
        # What this server has shown not to know; see `_ask`.
        self._unknown: frozenset[str] = frozenset() if provider.images is not False else frozenset({_PICTURES})
        found = find_key(keys, (provider.key_variable,))
        self._client = openai.OpenAI(
            api_key=found[1] if found else _NO_KEY,
            base_url=provider.base_url or None,
            timeout=openai.Timeout(settings.timeout_seconds, connect=min(CONNECT_SECONDS, settings.timeout_seconds)),
            max_retries=settings.max_retries,
            http_client=watched_client(openai.DefaultHttpxClient),
        )
        if provider.base_url:
            # What the environment says of OpenAI is nothing for others; secrets may be among it.
            self._client.organization = self._client.project = self._client.admin_api_key = None
            self._client._custom_headers = dict(provider.headers)
        url, source = self._client.base_url, address_of(provider, _URL)
        self.url = str(url)
        check_address(url.scheme, url.host, source)
        needs_key = bool(provider.base_url and provider.key_variable) or f".{url.host}".endswith(f".{_OWN_HOST}")
        if found is None and needs_key:
            self._client.close()
            hint = "" if provider.base_url else f" A gateway or local server on {_URL} may do without."
            raise missing_key(self.name, (provider.key_variable or KEY,), hint)
        warn_if_exposed(str(url), source, found[0] if found else "", warn)
        self._service = Service(
            name=self.name,
            host=url.netloc.decode(),
            key_variable=provider.key_variable,
            url_from=source,
            url_optional=not provider.base_url,
            sdk=openai,
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
        """Send a request; if its stream breaks off, which the SDK's own retries do not cover, ask once more without."""
        try:
            return self._ask_fitting(request, frozenset())
        except BrokenOff as broken:
            if not self._settings.max_retries:
                raise broken.error from None
            malformed = broken.malformed
        reply = self._ask_fitting(request, frozenset({_STREAM}))
        if malformed:
            self._unknown |= {_STREAM}
        return reply

    def _ask_fitting(self, request: Request, without: frozenset[str]) -> Any:
        """Send a request, and send it again without what the server turns out not to know.

        Gateways and local servers may know `max_tokens` alone, or no streams, and some models take no temperature.
        """
        import openai

        unknown = self._unknown
        too_high: openai.APIStatusError | None = None
        while True:
            try:
                reply = self._send(request, unknown | without)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                complaint = str(error)
                blamed = {name for name, reads in _DISPENSABLE.items() if reads.search(complaint)} - unknown - without
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
                # A server that streams without counting is asked for whole replies from now on: they are counted.
                uncounted = _STREAM not in unknown | without and getattr(reply, "usage", None) is None
                self._unknown = unknown | {_STREAM} if uncounted else unknown
                return reply

    def _send(self, request: Request, unknown: frozenset[str]) -> Any:
        """Send a request once; the reply, whether it came in pieces or at once.

        Raises:
            BrokenOff: it came in pieces, and not to its end.
        """
        import openai

        parameters = self._parameters(request, unknown)
        completions: Any = self._client.chat.completions
        if _STREAM in unknown:
            return completions.create(**parameters)
        options = {"stream": True, "stream_options": {"include_usage": True}}
        raw = completions.with_raw_response.create(**parameters, **options)
        try:
            # Some gateways take the option and answer at once all the same.
            whole = None if "event-stream" in raw.headers.get("content-type", "") else _whole(raw.http_response.read())
            reply = collect(raw.parse(), request.heard) if whole is None else whole
        except BrokenOff:
            raise
        except openai.APITimeoutError:
            seconds = self._settings.timeout_seconds
            raise BrokenOff(EOFError(f"it was silent for {seconds:g} s in the middle of its reply")) from None
        except openai.APIConnectionError as error:
            # That it cannot be reached would be wrong: it has begun.
            raise BrokenOff(EOFError(str(error.__cause__ or error))) from None
        except Exception as error:
            raise BrokenOff(error, malformed=isinstance(error, ValueError)) from None
        finally:
            raw.http_response.close()
        reply._request_id = raw.request_id
        return reply

    def _parameters(self, request: Request, unknown: frozenset[str]) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": m.role, "content": _content(m, _PICTURES not in unknown)} for m in request.messages],
        }
        parameters["max_tokens" if _LIMIT in unknown else _LIMIT] = self._settings.limit(request.max_tokens)
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


def _whole(body: bytes) -> Any:
    """A reply that came at once; None if it is a stream under another name."""
    from openai.types.chat import ChatCompletion

    if body.lstrip().startswith((b"data:", b"event:", b":")):
        return None
    try:
        content = json.loads(body)
    except ValueError:
        content = body.decode("utf-8", "replace")  # such as a page to log in: asked again, it would come again
    return ChatCompletion.construct(**content) if isinstance(content, dict) else SimpleNamespace(error=content)


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
