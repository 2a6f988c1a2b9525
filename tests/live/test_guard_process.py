"""`fractal guard` as a process of its own beside a killed bot and a real exchange process."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from killing import FRACTAL, KEY, free_port, naked, running

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.http import HttpTransport
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.port import OrderRequest, Side
from fractaltrader.live.lock import guard_silence


async def buy_by_hand(url: str) -> None:
    """A position in BTC without a stop."""
    signer = Signer(KEY)
    transport = HttpTransport(url)
    venue = HyperliquidVenue(
        transport, signer, account=signer.address, clock=SystemClock(), mainnet=False
    )
    instrument = (await venue.instruments())["BTC"]
    mid = (await venue.mid_prices())["BTC"]
    limit = instrument.round_price(mid * Decimal("1.01"))
    order = OrderRequest(instrument, Side.BUY, Decimal("0.01"), limit, "0x" + "9" * 32, "Ioc")
    (outcome,) = await venue.place([order], bracket=False)
    assert outcome.filled == Decimal("0.01")
    await transport.close()


@pytest.mark.integration
@pytest.mark.slow
def test_the_guard_protects_what_a_killed_bot_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 of the bot the guard's process gives a naked position its stop; a key that may
    not trade the account and a second guard are refused; its looks show on its lock file, and to
    systemd; SIGTERM ends it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    user = Signer(KEY).address
    (tmp_path / "config.toml").write_text("[guard]\nheartbeat_limit_s = 5\npoll_s = 1\n")
    market = ["exchange", "--port", str(port), "--speed", "1", "--faucet", f"{user}=10000"]

    def guard_once() -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"FRACTAL_HOME": str(tmp_path)}
        return subprocess.run(
            [*FRACTAL, "guard"], env=environment, capture_output=True, text=True, check=False
        )

    with running(market, tmp_path) as exchange:
        exchange.until("ready at")
        with running(["run", "--url", url], tmp_path) as bot:
            bot.until("started on")
            assert bot.end(signal.SIGKILL) == -signal.SIGKILL
        refused = guard_once()
        assert refused.returncode != 0
        assert "private key: " in refused.stderr
        monkeypatch.setenv("FRACTAL_GUARD_KEY", KEY)
        asyncio.run(buy_by_hand(url))
        assert naked(url, user) == ["BTC"]
        supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with closing(supervisor), running(["guard"], tmp_path) as guard:
            guard.until("a naked position has its stop within 16 s")
            second = guard_once()
            assert second.returncode != 0
            assert "one guard is enough" in second.stderr
            guard.until("stop placed")
            assert naked(url, user) == []
            assert [supervisor.recv(64) for _ in range(2)] == [b"READY=1", b"WATCHDOG=1"]
            silence = guard_silence(tmp_path / "runs" / "bot", time.time())
            assert silence is not None
            assert silence < 30
            assert guard.end(signal.SIGTERM) == 0
