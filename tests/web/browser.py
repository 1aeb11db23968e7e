"""A headless Chromium that tells what a page tries: dialogs, refused content, requests. Spoken to over its pipe."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--remote-debugging-pipe",
)
_LONGEST = 120.0  # seconds for one answer; only a browser that hangs reaches it


def executable() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One tab."""

    def __init__(self, process: subprocess.Popen[bytes], down: int, up: int) -> None:
        self._process, self._down, self._up = process, down, up
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network", "Audits"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Ask the browser for something and return what it answers."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._down, json.dumps(message).encode() + b"\0")
        while (said := self._next()).get("id") != number:
            pass
        if "error" in said:
            raise AssertionError(f"{method}: {said['error']}")
        return said.get("result", {})

    def open(self, url: str) -> list[tuple[str, dict[str, Any]]]:
        """Load *url* to its end, and return what happened meanwhile."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(name == "Page.loadEventFired" for name, _ in self.events):
            self._next()
        self.call("Runtime.evaluate", expression="1")  # what the page did so far has been told before this answers
        return list(self.events)

    def evaluate(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def look(self, width: int, height: int, scheme: str) -> None:
        """See as a window of this size, or a phone, does, in a light or dark scheme."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _LONGEST
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._up], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._up, 1 << 20) if ready else b""
            if not part:
                raise AssertionError("the browser says nothing any more")
            self._buffer += part
        one, _, self._buffer = self._buffer.partition(b"\0")
        said: dict[str, Any] = json.loads(one)
        if "method" in said:
            self.events.append((said["method"], said["params"]))
            if said["method"] == "Page.javascriptDialogOpening":
                self._number += 1
                close = {"id": self._number, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
                os.write(self._down, json.dumps({**close, "sessionId": self._session}).encode() + b"\0")
        return said


def trouble(events: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return what a harmless page never does: dialogs, refused content, errors, exceptions."""
    found = []
    for name, params in events:
        if name == "Page.javascriptDialogOpening":
            found.append(f"dialog: {params['message']}")
        elif name == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            found.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif name in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            found.append(name)
        elif name == "Audits.issueAdded" and params["issue"]["code"] == "ContentSecurityPolicyIssue":
            found.append("content security policy")
    return found


def requested(events: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [params["request"]["url"] for name, params in events if name == "Network.requestWillBeSent"]


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    path = executable()
    assert path is not None
    theirs_in, down = os.pipe()
    up, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        # It reads commands from descriptor 3 and answers on 4.
        command = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        process = subprocess.Popen(
            ["/bin/bash", "-c", command, path, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(process, down, up)
        finally:
            os.close(down)  # the end of its commands is the end of it
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(up)
