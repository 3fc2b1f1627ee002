"""A headless Chromium, driven through its own DevTools protocol as a user would drive it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.support.waiting import until

START_SECONDS = 30.0
WAIT_SECONDS = 15.0
MESSAGE_BYTES = 64 * 2**20

FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--lang=en",
    "--remote-debugging-port=0",
)

FIND = """
(selector, text) => {
  const found = [...document.querySelectorAll(selector)].filter((e) =>
    e.checkVisibility() && (!text || e.textContent.includes(text)));
  return found[0];
}
"""

# Of an element that stays where it is for a moment, as nobody clicks on what moves.
CENTRE = f"""
async (selector, text) => {{
  const element = ({FIND})(selector, text);
  if (!element) return null;
  element.scrollIntoView({{ block: "nearest", behavior: "instant" }});
  const before = element.getBoundingClientRect();
  await new Promise((done) => setTimeout(done, 50));
  const box = element.getBoundingClientRect();
  if (box.x !== before.x || box.y !== before.y) return null;
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const top = document.elementFromPoint(x, y);
  return element.contains(top) || top?.contains(element) ? [x, y] : null;
}}
"""

KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "End": ("End", 35, ""),
}


@contextmanager
def chromium(folder: Path) -> Iterator[str]:
    """The address of a running browser's DevTools. Its profile lives in `folder`.

    Raises:
        AssertionError: there is no Chromium, or it did not start.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "The browser tests need Chromium: apt-get install chromium"
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    process = subprocess.Popen(
        (program, *FLAGS, *as_root, f"--user-data-dir={folder}", "about:blank"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield _address(folder / "DevToolsActivePort", process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(file: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        lines = file.read_text().split() if file.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise AssertionError("Chromium did not start.")


class NavigatedError(Exception):
    """The page that was asked has given way to another one meanwhile."""


class Browser:
    """A connection to a running browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.pages: dict[str, Page] = {}

    @classmethod
    @asynccontextmanager
    async def connected(cls, address: str) -> AsyncIterator[Self]:
        """The browser at this address, as long as it is needed."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=MESSAGE_BYTES) as socket,
        ):
            browser = cls(socket)
            reading = asyncio.create_task(browser.read())
            try:
                yield browser
            finally:
                for page in list(browser.pages.values()):
                    await page.close()
                reading.cancel()

    async def read(self) -> None:
        """Take what the browser says, until it hangs up."""
        async for frame in self._socket:
            message = json.loads(frame.data)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif page := self.pages.get(message.get("sessionId", "")):
                page.take(message["method"], message["params"])

    async def call(self, method: str, *, session: str | None = None, **params: Any) -> Any:
        """One command of the protocol. Raises AssertionError if the browser refuses it."""
        self._last += 1
        number = self._last
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        request = {"id": number, "method": method, "params": params}
        await self._socket.send_json(request | ({"sessionId": session} if session else {}))
        message = await asyncio.wait_for(answer, START_SECONDS)
        if "navigated" in str(message.get("error")):
            raise NavigatedError
        assert "error" not in message, f"{method}: {message['error']}"
        return message["result"]

    async def open(self, url: str, *, width: int = 1360, height: int = 860) -> Page:
        """A page of its own, with storage that no other page sees, showing `url`."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = Page(self, attached["sessionId"], context)
        self.pages[attached["sessionId"]] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.call(f"{domain}.enable")
        # A page that has no window is focused as if it had one.
        await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        await page.resize(width, height)
        await page.go(url)
        return page


class Page:
    """One tab. `complaints` is what its console said of errors and of policy violations."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._context = context
        self.complaints: list[str] = []

    def take(self, method: str, params: dict[str, Any]) -> None:
        """Keep what the browser reports of errors."""
        if method == "Runtime.exceptionThrown":
            self.complaints.append(
                params["exceptionDetails"].get("exception", {}).get("description", "")
            )
        if method == "Log.entryAdded" and params["entry"]["source"] in ("security", "javascript"):
            self.complaints.append(params["entry"]["text"])

    async def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol, to this page."""
        return await self._browser.call(method, session=self._session, **params)

    async def close(self) -> None:
        """Close it, and forget what it stored."""
        self._browser.pages.pop(self._session, None)
        await self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    async def go(self, url: str) -> None:
        """Navigate to an address."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def resize(self, width: int, height: int) -> None:
        """Be that many CSS pixels wide and high."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def prefer(self, *, scheme: str) -> None:
        """Have the user prefer `light` or `dark`."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, a promise's result included."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def apply(self, function: str, *arguments: Any) -> Any:
        """The result of a JavaScript function."""
        given = ", ".join(json.dumps(argument) for argument in arguments)
        return await self.run(f"({function})({given})")

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true, over navigations; gives its value."""

        async def value() -> Any:
            try:
                return await self.run(expression)
            except NavigatedError:
                return None

        return await until(value, WAIT_SECONDS)

    async def sees(self, selector: str, text: str = "") -> None:
        """Wait until an element that matches, and holds the text, can be seen."""
        await self.until(f"Boolean(({FIND})({json.dumps(selector)}, {json.dumps(text)}))")

    async def misses(self, selector: str, text: str = "") -> None:
        """Wait until no such element can be seen."""
        await self.until(f"!({FIND})({json.dumps(selector)}, {json.dumps(text)})")

    async def texts(self, selector: str) -> list[str]:
        """What the elements that match say, in order."""
        found = await self.apply(
            "(s) => [...document.querySelectorAll(s)].map((e) => e.textContent)", selector
        )
        return list(found)

    async def click(self, selector: str, text: str = "") -> None:
        """Click on the middle of an element, once it is there and nothing covers it."""
        x, y = await until(lambda: self.apply(CENTRE, selector, text), WAIT_SECONDS)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def type(self, selector: str, text: str) -> None:
        """Click into a field and type."""
        await self.click(selector)
        await self.call("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        """Press and release a key."""
        name, code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=name,
                windowsVirtualKeyCode=code,
                **typed,
            )

    async def shoot(self, file: Path) -> None:
        """Write a picture of what is seen."""
        shot = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(file.write_bytes, base64.b64decode(shot["data"]))
