"""The unmodified official SDK and a real server process."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import eth_account
import pytest
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.types import Cloid

from fractaltrader.errors import UserError
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.server import Server
from fractaltrader.simulator.virtual_time import SteppedClock

pytestmark = pytest.mark.integration

KEY = "0x" + "5a" * 32
ADDRESS = eth_account.Account.from_key(KEY).address
PATIENCE_SECONDS = 30
COMMAND = "from fractaltrader.cli.exchange import exchange; import typer; typer.run(exchange)"


class ServerProcess:
    """`fractal exchange` on a free port, generated market, state kept in a file."""

    def __init__(self, state: Path, port: int = 0) -> None:
        arguments = ["--port", str(port), "--state", str(state), "--days", "8", "--speed", "900"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments, "--faucet", f"{ADDRESS}=10000"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found, line
        self.url = found[0]
        self.port = int(found[1])

    def status(self) -> dict:
        """GET /admin/status."""
        with urllib.request.urlopen(f"{self.url}/admin/status") as answer:
            return json.loads(answer.read())

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    started = ServerProcess(tmp_path / "exchange.state")
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


class Heard:
    """Messages of the SDK's WebSocket thread, awaited by condition."""

    def __init__(self) -> None:
        self._messages: list[dict] = []
        self._news = threading.Condition()

    def __call__(self, message: dict) -> None:
        with self._news:
            self._messages.append(message)
            self._news.notify_all()

    def wait_for(self, wanted: Callable[[dict], bool]) -> dict:
        """The first message that is `wanted`; fails after a deadline."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._news:
            while True:
                for message in self._messages:
                    if wanted(message):
                        return message
                left = deadline - time.monotonic()
                assert left > 0, self._messages
                self._news.wait(left)


def test_the_official_sdk_trades_on_the_local_exchange(server):
    """It reads meta, user_state and open_orders, places, cancels and fills, with brackets and
    leverage, and hears candles, order updates and fills over its WebSocket."""
    info = Info(server.url)
    try:
        assert [coin["name"] for coin in info.meta()["universe"]] == ["BTC", "ETH", "SOL"]
        assert info.user_state(ADDRESS)["marginSummary"]["accountValue"] == "10000.0"
        candles, updates, fills = Heard(), Heard(), Heard()
        info.subscribe({"type": "candle", "coin": "BTC", "interval": "15m"}, candles)
        info.subscribe({"type": "orderUpdates", "user": ADDRESS}, updates)
        info.subscribe({"type": "userFills", "user": ADDRESS}, fills)
        fills.wait_for(lambda m: m["data"].get("isSnapshot") is True)
        candles.wait_for(lambda m: m["data"]["s"] == "BTC" and float(m["data"]["v"]) >= 0)

        exchange = Exchange(eth_account.Account.from_key(KEY), server.url)
        assert exchange.update_leverage(5, "BTC") == {
            "status": "ok",
            "response": {"type": "default"},
        }
        mid = float(info.all_mids()["BTC"])
        cloid = Cloid.from_str("0x" + "17" * 16)
        low = float(f"{mid * 0.8:.4g}")
        placed = exchange.order("BTC", True, 0.01, low, {"limit": {"tif": "Gtc"}}, cloid=cloid)
        oid = placed["response"]["data"]["statuses"][0]["resting"]["oid"]
        assert [order["oid"] for order in info.open_orders(ADDRESS)] == [oid]
        updates.wait_for(lambda m: m["data"][0]["order"]["oid"] == oid)
        done = exchange.cancel_by_cloid("BTC", cloid)
        assert done["response"]["data"]["statuses"] == ["success"]
        assert info.query_order_by_oid(ADDRESS, oid)["order"]["status"] == "canceled"

        opened = exchange.market_open("BTC", True, 0.01)
        filled = opened["response"]["data"]["statuses"][0]["filled"]
        assert filled["totalSz"] == "0.01"
        fills.wait_for(lambda m: any(f["oid"] == filled["oid"] for f in m["data"]["fills"]))
        held = info.user_state(ADDRESS)["assetPositions"][0]["position"]
        assert (held["szi"], held["leverage"]) == ("0.01", {"type": "cross", "value": 5})
        assert info.user_fills(ADDRESS)[0]["dir"] == "Open Long"
        closed = exchange.market_close("BTC")
        assert closed["response"]["data"]["statuses"][0]["filled"]["totalSz"] == "0.01"
        assert info.user_state(ADDRESS)["assetPositions"] == []
    finally:
        info.disconnect_websocket()


def test_accounts_survive_a_restart_of_the_server(server, tmp_path):
    """SIGTERM exits cleanly; the next process on the same state has the same orders and fills and
    its market goes on; a second server on the same port is refused in one line."""
    info = Info(server.url, skip_ws=True)
    exchange = Exchange(eth_account.Account.from_key(KEY), server.url)
    exchange.market_open("ETH", False, 0.5)
    low = float(f"{float(info.all_mids()['BTC']) * 0.5:.4g}")
    exchange.order("BTC", True, 0.01, low, {"limit": {"tif": "Gtc"}})
    fills, orders = info.user_fills(ADDRESS), info.frontend_open_orders(ADDRESS)
    rival = Server(LocalExchange([], clock=SteppedClock(0)), None, 1.0)
    with pytest.raises(UserError, match=rf"port: {server.port} on .* another --port$"):
        asyncio.run(rival.start(server.port))
    before = server.status()["time"]
    assert server.stop() == 0
    again = ServerProcess(tmp_path / "exchange.state")
    try:
        restored = Info(again.url, skip_ws=True)
        assert restored.user_fills(ADDRESS) == fills
        assert restored.frontend_open_orders(ADDRESS) == orders
        assert again.status()["time"] >= before
    finally:
        assert again.stop() == 0
