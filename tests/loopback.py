"""A language model on 127.0.0.1 that says what a test tells it to say.

It speaks OpenAI chat completions (`POST /v1/chat/completions`) and Anthropic messages (`POST /v1/messages`), streaming
and not, and keeps every request. No pytest is needed:

```python
with ScriptedModel([say("hello"), status(429), say("again")]) as server:
    os.environ.update(server.env("openai"))
    ...
    assert server.requests[0].role == "coder"
```

A script is a list, served in order (a request after its end is answered with status 400), or a function of the request.
A plain text stands for `say(text)`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.wire import anthropic_body, anthropic_events, openai_body, openai_events

CANARY = "sk-canary-7d1f0c55e2b94a6fa0c3"
"""The key that `ScriptedModel.env` hands out; no file, log, environment or message may ever hold it."""


# --- requests -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as the server saw it.

    Attributes:
        path: path of the URL.
        headers: with names in lower case.
        body: the decoded JSON.
        role: who asked, as the test's `role` function says.
    """

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    role: str = ""

    @property
    def api(self) -> str:
        """Which provider's language it speaks."""
        return "anthropic" if self.path.endswith("/messages") else "openai"

    @property
    def model(self) -> str:
        """The model it asks for."""
        return str(self.body.get("model", ""))

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Role and text of each message, a system message first, whatever the provider's language."""
        system = [("system", _plain(self.body["system"]))] if self.body.get("system") else []
        return system + [(message["role"], _plain(message["content"])) for message in self.body.get("messages", [])]

    @property
    def text(self) -> str:
        """The texts of all messages, joined."""
        return "\n\n".join(text for _, text in self.messages)


def _plain(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content if isinstance(content, str) else ""


def guess_role(asked: Asked) -> str:
    """Take for the supervisor whoever is asked for a verdict."""
    return "supervisor" if "verdict" in asked.text else "coder"


# --- replies --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the server does with one request; made by the functions below."""

    kind: str = "message"
    text: str = ""
    finish: str = "stop"
    usage: Mapping[str, int] = field(default_factory=dict)
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    seconds: float = 0.0
    then: Reply | None = None
    pieces: tuple[str, ...] = ()
    before_piece: Callable[[], object] = bool
    thoughts: str = ""
    chatter: bool = False
    counted: bool = True
    streams: bool = True


def say(text: str, finish: str = "stop", **usage: int) -> Reply:
    """A reply. Usage may be given as `input`, `output`, `cached` and `reasoning`; else it is made up from lengths."""
    return Reply(text=text, finish=finish, usage=usage)


class Pace:
    """Lets replies go on: the server waits for `release` before every piece, and so no test has to wait for a clock."""

    def __init__(self) -> None:
        self._released = threading.Semaphore(0)

    def release(self, pieces: int = 1) -> None:
        """Let so many pieces go."""
        self._released.release(pieces)

    def wait(self) -> None:
        """Wait until the next piece may go."""
        assert self._released.acquire(timeout=120), "nobody released the next piece of a reply"


def piecewise(*pieces: str, pace: Pace | None = None, **usage: int) -> Reply:
    """A streamed reply in pieces, each sent when the pace lets it go."""
    return Reply(text="".join(pieces), pieces=pieces, before_piece=pace.wait if pace else bool, usage=usage)


def truncated(text: str = "import num") -> Reply:
    """A reply that ran into the limit on its length."""
    return say(text, finish="length")


def refuse(text: str = "I cannot help with that.") -> Reply:
    """A refusal."""
    return say(text, finish="refusal")


def empty() -> Reply:
    """A reply without text."""
    return Reply(kind="empty")


def no_choices() -> Reply:
    """JSON of the provider's form with the answer itself left out."""
    return Reply(kind="no_choices")


def garbage(text: str = "<html><body>Please log in.</body></html>", content_type: str = "text/html") -> Reply:
    """Status 200 and a body that is not what was asked for."""
    return Reply(kind="raw", text=text, content_type=content_type)


def status(code: int, message: str = "", *, retry_after: float = 0.0) -> Reply:
    """An HTTP error. The SDKs take `retry_after` = 0 for no advice, so that one becomes a millisecond."""
    headers = {"retry-after-ms": str(max(retry_after * 1000, 1.0))}
    return Reply(kind="status", code=code, text=message or f"scripted error {code}", headers=headers)


def hang(seconds: float = 60.0, then: Reply | None = None) -> Reply:
    """Silence that ends with the server at the latest, then a reply, or a closed connection."""
    return Reply(kind="hang", seconds=seconds, then=then or drop())


def drop() -> Reply:
    """A connection closed without an answer."""
    return Reply(kind="drop")


def unfinished(text: str = "import num") -> Reply:
    """A stream that ends in good order before the reply does."""
    return Reply(kind="unfinished", text=text)


def broken(text: str = "import num") -> Reply:
    """A reply whose connection closes in the middle."""
    return Reply(kind="broken", text=text)


Script = Sequence[Reply | str] | Callable[[Asked], Reply | str]


# --- the server -----------------------------------------------------------------------------------------------------


class ScriptedModel:
    """A scripted model behind a real HTTP server; use it as a context manager.

    Attributes:
        requests: every request so far.
    """

    def __init__(
        self, script: Script = (), *, role: Callable[[Asked], str] = guess_role, reported: str | None = None
    ) -> None:
        """Prepare a server.

        Args:
            script: replies in order, or a function that makes one; plain texts are said.
            role: guesses who asks, `coder` or `supervisor`.
            reported: the model named in replies; None for the one that was asked for.
        """
        self.requests: list[Asked] = []
        self.reported = reported
        self._script = script if callable(script) else list(script)
        self._role = role
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.model = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop at once, hanging replies included."""
        self._server.closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.hang_up()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def env(self, provider: str) -> dict[str, str]:
        """Environment variables that lead the SDK of `openai` or `anthropic` here, with a fake key."""
        # A proxy of the machine must not stand in the way.
        direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        if provider == "openai":
            return {"OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": CANARY, **direct}
        if provider == "anthropic":
            return {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": CANARY, **direct}
        raise ValueError(f"no such provider: {provider!r}")

    def answer(self, asked: Asked) -> Reply:
        """Keep a request and look up the reply to it."""
        with self._lock:
            asked = Asked(path=asked.path, headers=asked.headers, body=asked.body, role=self._role(asked))
            self.requests.append(asked)
            if callable(self._script):
                reply = self._script(asked)
            else:
                reply = self._script.pop(0) if self._script else status(400, "the script of this test has ended")
        return say(reply) if isinstance(reply, str) else reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    model: ScriptedModel

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.closing = threading.Event()
        self._open: set[tuple[threading.Thread, socket.socket]] = set()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        entry = (threading.current_thread(), request)
        self._open.add(entry)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(entry)

    def hang_up(self) -> None:
        for thread, connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._send(200, "application/json", json.dumps({"object": "list", "data": []}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(path=self.path, headers=headers, body=body)
        reply = self.server.model.answer(asked)
        while reply.kind == "hang":
            reply = drop() if self.server.closing.wait(reply.seconds) or reply.then is None else reply.then
        self._serve(asked, reply)

    def _serve(self, asked: Asked, reply: Reply) -> None:
        if reply.kind == "drop":
            self._hang_up()
        elif reply.kind == "raw":
            self._send(200, reply.content_type, reply.text)
        elif reply.kind == "status":
            detail = {"type": "scripted_error", "message": reply.text}
            self._send(reply.code, "application/json", json.dumps({"type": "error", "error": detail}), reply.headers)
        elif asked.body.get("stream") and reply.streams:
            events = openai_events if asked.api == "openai" else anthropic_events
            said = events(asked, reply, self._reported(asked))
            self._stream(said, broken=reply.kind == "broken", chatter=reply.chatter)
        else:
            wire = openai_body if asked.api == "openai" else anthropic_body
            text = json.dumps(wire(asked, reply, self._reported(asked)))
            self._send(200, "application/json", text, broken=reply.kind == "broken")

    def _reported(self, asked: Asked) -> str:
        return self.server.model.reported or asked.model

    def _send(
        self, code: int, content_type: str, text: str, headers: Mapping[str, str] | None = None, *, broken: bool = False
    ) -> None:
        payload = text.encode()
        self.send_response(code)
        for name, value in {**(headers or {}), "x-request-id": "req-1", "request-id": "req-1"}.items():
            self.send_header(name, value)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload[: len(payload) // 2] if broken else payload)
        if broken:
            self._hang_up()

    def _stream(self, events: Iterator[tuple[str | None, str]], *, broken: bool, chatter: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        for header in ("x-request-id", "request-id"):
            self.send_header(header, "req-1")
        self.end_headers()
        for name, data in events:
            if chatter:
                comment = b": keep-alive\r\n\r\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(comment), comment))
            chunk = ((f"event: {name}\n" if name else "") + f"data: {data}\n\n").encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if broken:
            self._hang_up()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
