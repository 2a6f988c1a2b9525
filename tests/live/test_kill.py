"""`fractal run` killed with SIGKILL at random moments while `fractal exchange` goes on."""

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from shutil import rmtree

import pytest

from fractaltrader.exchange.hyperliquid.signing import Signer

KEY = "0x" + "22" * 32
FRACTAL = [sys.executable, "-c", "from fractaltrader.cli.main import main; main()"]
PATIENCE_SECONDS = 60
KILLS = 12
SPEED = "15000"  # a bar of 15 minutes takes 60 ms: a busy machine's bot still keeps up
# It enters every fourth bar and holds for a few, so that most kills strike within a trade.
STRATEGY = """
from fractaltrader.strategies import Proposal, UserStrategy

class Restless(UserStrategy):
    warmup_bars = 150

    def on_bar(self, bar, events):
        number = round(bar.open_time / 900_000)
        if number % 4 == 0:
            side = 1 if number % 8 else -1
            stop, target = bar.close * (1 - 0.004 * side), bar.close * (1 + 0.006 * side)
            return Proposal(side, stop, target, {"restless": 80}, ["the fourth bar"])
"""
# One entry in four meets a thin book and fills in part.
FAULTS = """
[[fault]]
kind = "thin_book"
depth = 0.05
every = "4h"
lasts = "1h"
"""
# The market is so much faster than the bot's clock that a block for hours would outlast it.
CONFIG = """
[trade]
strategy = "{strategy}"

[breaker]
max_drawdown = 0.9
max_daily_loss = 0.5
max_consecutive_losses = 50
max_trades_per_day = 1000
"""


class Process:
    """A command whose output lines can be waited for."""

    def __init__(self, arguments: list[str], home: Path) -> None:
        environment = os.environ | {
            "FRACTAL_HOME": str(home),
            "FRACTAL_PRIVATE_KEY": KEY,
            "PYTHONUNBUFFERED": "1",
        }
        self._process = subprocess.Popen(
            [*FRACTAL, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        self.seen: list[str] = []

    def line(self) -> str:
        """The next line of output; fails when the process ends or stays silent."""
        ready, _, _ = select.select([self._pipe], [], [], PATIENCE_SECONDS)
        line = self._pipe.readline().decode() if ready else ""
        self.seen.append(line)
        assert line, "no more output:\n" + "".join(self.seen[-20:])
        return line

    def until(self, text: str) -> str:
        """The next line that contains `text`."""
        while text not in (line := self.line()):
            pass
        return line

    def end(self, number: signal.Signals) -> int:
        """Send a signal, drain the output, return the exit code."""
        self._process.send_signal(number)
        self._process.communicate(timeout=PATIENCE_SECONDS)
        return self._process.returncode


@contextmanager
def running(arguments: list[str], home: Path) -> Iterator[Process]:
    process = Process(arguments, home)
    try:
        yield process
    finally:
        process.end(signal.SIGKILL)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def post(url: str, request: dict[str, object]) -> object:
    body = json.dumps(request).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url, data=body, headers=headers), timeout=PATIENCE_SECONDS
    ) as response:
        return json.load(response)


def naked(url: str, user: str) -> list[str]:
    """Coins whose position, at one moment of the exchange, has no resting stop."""
    before = post(f"{url}/info", {"type": "clearinghouseState", "user": user})
    orders = post(f"{url}/info", {"type": "frontendOpenOrders", "user": user})
    after = post(f"{url}/info", {"type": "clearinghouseState", "user": user})
    stopped = {order["coin"] for order in orders if order["orderType"].startswith("Stop")}
    positions = [
        {p["position"]["coin"]: Decimal(p["position"]["szi"]) for p in state["assetPositions"]}
        for state in (before, after)
    ]
    # Only a position that was there before and after the question can be called naked.
    return [
        coin
        for coin, size in positions[0].items()
        if positions[1].get(coin) == size and coin not in stopped
    ]


def entered_in_part(url: str, user: str) -> set[str]:
    """Coins whose newest entry filled only in part: its bracket died, the bot sends a new one."""
    fills = post(f"{url}/info", {"type": "userFills", "user": user})
    filled: dict[int, Decimal] = {}
    for fill in fills:
        filled[fill["oid"]] = filled.get(fill["oid"], Decimal(0)) + Decimal(fill["sz"])
    newest = {}
    for record in post(f"{url}/info", {"type": "historicalOrders", "user": user}):
        if not record["order"]["reduceOnly"]:
            newest.setdefault(record["order"]["coin"], record["order"])
    return {
        coin
        for coin, order in newest.items()
        if 0 < filled.get(order["oid"], Decimal(0)) < Decimal(order["origSz"])
    }


@pytest.mark.integration
@pytest.mark.slow
def test_kill_at_random_moments(tmp_path: Path) -> None:
    """Killed 12 times while it trades, the bot doubles no order, knows every position after each
    restart, leaves none without a stop but what an entry filled in part just before, protects that
    too once it runs again, and the audit agrees at the end."""
    rng = random.Random(20261122)
    user = Signer(KEY).address
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    saved = tmp_path / "exchange.state"
    (tmp_path / "config.toml").write_text(CONFIG.format(strategy=tmp_path / "Restless.py"))
    (tmp_path / "Restless.py").write_text(STRATEGY)
    (tmp_path / "faults.toml").write_text(FAULTS)
    market = ["exchange", "--port", str(port), "--days", "400", "--seed", "4"]
    market += ["--state", str(saved), "--faucet", f"{user}=10000"]
    market += ["--faults", str(tmp_path / "faults.toml")]
    with running([*market, "--speed", SPEED], tmp_path) as exchange:
        exchange.until("ready at")
        for _ in range(KILLS):
            with running(["run", "--url", url], tmp_path) as bot:
                bot.until("started on")
                for _ in range(rng.randint(0, 7)):
                    bot.line()
            assert set(naked(url, user)) <= entered_in_part(url, user)
        with running(["run", "--url", url], tmp_path) as bot:
            bot.until("closed by")
        assert exchange.end(signal.SIGTERM) == 0
    # The same exchange with its time almost standing still, so that nothing moves during the audit.
    with running([*market, "--speed", "0.001"], tmp_path) as exchange:
        exchange.until("ready at")
        with running(["run", "--url", url], tmp_path) as bot:
            bot.until("started on")
            assert bot.end(signal.SIGTERM) == 0
        assert naked(url, user) == []
        rmtree(tmp_path / "budget")  # its minute is over before the next command, as it were
        audit = subprocess.run(
            [*FRACTAL, "audit"],
            env=os.environ | {"FRACTAL_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "DIFFERENT" not in audit.stdout
