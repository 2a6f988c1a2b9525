"""A headless Chromium driven through its DevTools socket."""

import asyncio
import base64
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """One page of the browser; exceptions its scripts threw are kept in `errors`."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address
        self._calls = 0
        self.errors: list[str] = []
        self.events: list[str] = []
        self.requests: list[str] = []

    async def __aenter__(self) -> Self:
        self._socket = await self._session.ws_connect(self._address, max_msg_size=0)
        for domain in ("Page", "Runtime", "Network"):
            await self.call(f"{domain}.enable")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._socket.close()

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """The result of one DevTools command."""
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=60)
            self._note(message)
            if message.get("id") == self._calls:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result

    def _note(self, message: dict[str, Any]) -> None:
        self.events.append(message.get("method", ""))
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.errors.append(str(details.get("exception", details).get("description", details)))
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])

    async def run(self, script: str) -> Any:
        """The value of `script`, once any promise it makes is kept."""
        answer = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def open(self, url: str) -> None:
        """Go to `url`; its scripts have run when this returns."""
        await self._go("about:blank")  # another fragment of the same page would load nothing
        await self._go(url)

    async def _go(self, url: str) -> None:
        self.events.clear()
        await self.call("Page.navigate", url=url)
        while "Page.loadEventFired" not in self.events:
            self._note(await self._socket.receive_json(timeout=60))

    async def resize(self, width: int, height: int) -> None:
        """The size of the window in pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    async def screenshot(self) -> bytes:
        """A PNG of what is to be seen."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


@asynccontextmanager
async def new_page(folder: Path) -> AsyncIterator[Page]:
    """A page of a browser of its own, whose files are kept in `folder`."""
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM, *_QUIET, f"--user-data-dir={folder}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            port = await _port(browser)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                targets = await answer.json()
            address = next(one for one in targets if one["type"] == "page")["webSocketDebuggerUrl"]
            async with Page(session, address) as page:
                await page.resize(1600, 900)
                yield page
    finally:
        if browser.returncode is None:
            browser.terminate()
        await browser.communicate()


async def _port(browser: asyncio.subprocess.Process) -> int:
    """The port the browser says it listens on."""
    assert browser.stderr is not None
    async for line in browser.stderr:
        if found := re.search(rb"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
            return int(found[1])
    raise AssertionError("the browser ended without opening its DevTools port")
