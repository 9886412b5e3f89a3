"""A real Chromium without a window, driven over a pipe by the DevTools protocol."""

import base64
import contextlib
import io
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
from PIL import Image

FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root, as CI is, has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
# Chromium reads commands from descriptor 3 and answers on 4.
LAUNCH = "import os, sys; r, w, *a = sys.argv[1:]; os.dup2(int(r), 3); os.dup2(int(w), 4); "
LAUNCH += "os.execvp(a[0], a)"


def find():
    """Chromium's path. Without it tests are skipped, but in CI, which installs it, they fail."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("CI"):
        pytest.fail("no Chromium in CI: .ci/run should have installed it")
    pytest.skip("needs Chromium: apt-get install chromium")


class Page:
    """One tab."""

    def __init__(self, send, receive):
        self._send, self._receive = send, receive
        self._numbers, self._session, self.events = itertools.count(1), None, []
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.command(f"{domain}.enable")

    def command(self, method, **params):
        """Give a command of the protocol; its result. What happens until then goes to `events`."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        self._send(message | ({"sessionId": self._session} if self._session else {}))
        while (answer := self._receive()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path, width, height, dark=False):
        """Load a file from disk into a screen of this size, in CSS pixels, and wait for it."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.command("Emulation.setDeviceMetricsOverride", **size, mobile=width < 500)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.command("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def evaluate(self, expression):
        """The value of a JavaScript expression."""
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, whole=False):
        """What is on the screen, or the whole page; a PNG."""
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def pixels(self):
        """What is on the screen, uint8 [height, width, 3]."""
        return np.asarray(Image.open(io.BytesIO(self.screenshot())).convert("RGB"))

    def requests(self):
        """The addresses that were asked for since the page was opened."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self):
        """What the browser logged: a violated policy, an error."""
        return [
            event["params"]["entry"]["text"]
            for event in self.events
            if event.get("method") == "Log.entryAdded"
        ]


@contextlib.contextmanager
def chromium(timeout=30):
    """A tab of a new browser with a profile of its own."""
    path = find()
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [str(to_read), str(from_write), path, *FLAGS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *arguments],
            pass_fds=(to_read, from_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        received = bytearray()

        def send(message):
            os.write(to_write, json.dumps(message).encode() + b"\0")

        def receive():
            deadline = time.monotonic() + timeout
            while b"\0" not in received:
                ready, _, _ = select.select([from_read], [], [], deadline - time.monotonic())
                chunk = os.read(from_read, 1 << 20) if ready else b""
                assert chunk, "Chromium does not answer"
                received.extend(chunk)
            message, _, rest = bytes(received).partition(b"\0")
            received[:] = rest
            return json.loads(message)

        try:
            yield Page(send, receive)
        finally:
            os.close(to_write)  # which is how it is told to end
            os.close(from_read)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
