"""A headless Chromium that tests look at pages with, through its own debugging pipe: no driver, no package.

```python
with Browser() as browser:
    page = browser.open(path, width=1200, dark=True)
    assert page.evaluate("document.title") == "..."
    assert page.complaints == []
```
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
AXE_PLACES = (os.environ.get("AXE_CORE", ""), str(Path(__file__).parents[1] / "node_modules/axe-core/axe.min.js"))
"""Where axe-core is looked for: `AXE_CORE=path/of/axe.min.js`, or `npm install --no-save axe-core` in the project."""
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip


def found() -> str | None:
    """Chromium's command, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def axe() -> Path | None:
    """The source of axe-core, if it is there."""
    return next((Path(place) for place in AXE_PLACES if place and Path(place).is_file()), None)


class Page:
    """A page that is open.

    Attributes:
        complaints: what the browser logged: errors and warnings of scripts, of its policy, and of loading.
        asked: what else than the page itself was loaded, data of the page excepted.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []
        self.asked: list[str] = []

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol to the page; returns its result."""
        return self._browser.send(method, parameters, self._session)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression (awaited); the page's policy does not hold for the debugger."""
        told = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = False, clip: Mapping[str, float] | None = None) -> None:
        """Store a picture of what is seen, or of the whole page."""
        more: dict[str, Any] = {"captureBeyondViewport": whole or clip is not None}
        if clip is not None:
            more["clip"] = {**clip, "scale": 1}
        elif whole:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            more["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 15000), "scale": 1}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png", **more)["data"]))

    def pdf(self, path: Path) -> None:
        """Print it."""
        told = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(told["data"]))

    def press(self, key: str) -> None:
        """Press and release a key, such as `Tab` or `Enter`."""
        code = {"Tab": 9, "Enter": 13, " ": 32}[key]
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      **({"text": text} if text and kind == "keyDown" else {}))  # fmt: skip


class Browser:
    """A Chromium of its own; use it as a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="llmagent-browser-", ignore_cleanup_errors=True)
        self._number = 0
        self._pages: dict[str, Page] = {}
        self._loaded: set[str] = set()
        self._rest = b""

    def __enter__(self) -> Self:
        command = found()
        assert command is not None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        # Chromium reads commands from descriptor 3 and writes answers to 4.
        arguments = " ".join((*ARGUMENTS, f"--user-data-dir={self._folder.name}", "about:blank"))
        script = f"exec {command} {arguments} 3<&{theirs_in} 4>&{theirs_out}"
        self._process = subprocess.Popen(
            ("bash", "-c", script), pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": self._folder.name},
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._out)
        os.close(self._in)
        self._folder.cleanup()

    def open(
        self, place: Path | str, *, width: int = 1280, height: int = 900, dark: bool = False, media: str = ""
    ) -> Page:
        """Open a file in a new page, and wait until it is loaded."""
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.send("Emulation.setEmulatedMedia", media=media, features=[scheme])
        page.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        url = place if isinstance(place, str) else place.resolve().as_uri()
        self._loaded.discard(session)
        page.send("Page.navigate", url=url)
        while session not in self._loaded:
            self._take(self._read())
        return page

    def send(self, method: str, parameters: Mapping[str, Any], session: str | None = None) -> Any:
        """Send a command and wait for its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": dict(parameters)}
        os.write(self._out, json.dumps({**message, **({"sessionId": session} if session else {})}).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._number:
                assert "error" not in told, (method, told["error"])
                return told["result"]
            self._take(told)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._in, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _take(self, event: Mapping[str, Any]) -> None:
        page, told = self._pages.get(event.get("sessionId", "")), event.get("params", {})
        if page is None:
            return
        method = event.get("method")
        if method == "Page.loadEventFired":
            self._loaded.add(event["sessionId"])
        elif method == "Runtime.exceptionThrown":
            page.complaints.append(str(told["exceptionDetails"].get("exception", told["exceptionDetails"])))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            page.complaints.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            page.complaints.append(told["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith(("data:", "file:")):
            page.asked.append(told["request"]["url"])
