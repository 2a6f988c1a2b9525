"""The demo on recorded candles, and what the bot's process must not carry."""

import io
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from fractaltrader.cli.demo import demo
from fractaltrader.cli.demo_run import Plan, play_and_report
from fractaltrader.config import Config, TradeConfig
from fractaltrader.data.candle_files import load_candles
from fractaltrader.data.synthetic import generated_market
from fractaltrader.errors import UserError
from fractaltrader.exchange.port import Funding
from fractaltrader.live.book import Book
from fractaltrader.live.ledger import Ledger
from fractaltrader.market import Timeframe

HISTORY_BARS = 1_500
TRADED_BARS = 2_900  # ten days of five minutes


@pytest.mark.slow
def test_demo_on_recorded_candles(
    shared_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On real BTC, ETH and SOL candles the demo opens and closes at least 20 trades, and the audit
    it ends with finds ledger and exchange equal."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    markets = {}
    for coin in ("BTC", "ETH", "SOL"):
        candles = load_candles(shared_folder / f"data/ohlcv/{coin}-5m-hyperliquid.parquet")
        markets[coin] = candles.slice(len(candles) - HISTORY_BARS - TRADED_BARS, len(candles))
    screen = io.StringIO()
    plan = Plan(markets, HISTORY_BARS, Config(), seed=1)
    play_and_report(plan, seconds=0, console=Console(file=screen, width=120))
    ledger = Ledger(tmp_path / "runs/demo")
    book = Book.folded(ledger.intents(), ledger.fills())
    ledger.close()
    assert len(book.trades) >= 20
    assert "DIFFERENT" not in screen.getvalue()
    assert "entries whose stop came with them" in screen.getvalue()


@pytest.mark.slow
def test_the_demo_of_make_trades_its_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `make demo` shows goes through to its last day and its audit, whatever the bot loses."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    demo(candles=None, days=30, timeframe="15m", strategy="liquidity_sweep", seed=7, seconds=0)
    ledger = Ledger(tmp_path / "runs/demo")
    times = [fill.time_ms for fill in ledger.fills()]
    ledger.close()
    assert max(times) - min(times) > 20 * 86_400_000
    assert "DIFFERENT" not in capsys.readouterr().out


def test_the_demo_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second demo in the same home starts afresh and agrees again."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    for _ in range(2):
        demo(candles=None, days=1, timeframe="15m", strategy="liquidity_sweep", seed=2, seconds=0)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["demo"]


def test_a_demo_whose_books_differ_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The audit at its end is no decoration: a payment that the venue never made fails the demo
    after everything was shown, which on a terminal happens meanwhile, at a person's pace."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    payment = Funding("BTC", 1, Decimal(5), Decimal(1), Decimal(0))
    monkeypatch.setattr(Ledger, "funding", lambda _: [payment])
    timeframe = Timeframe.parse("15m")
    markets = generated_market(
        ["BTC"], days=4, timeframe=timeframe, seed=2, start_ms=1_735_689_600_000
    )
    plan = Plan(markets, 300, Config(trade=TradeConfig(coins=("BTC",))), seed=2)
    screen = io.StringIO()
    console = Console(file=screen, width=120, force_terminal=True)
    with pytest.raises(UserError, match=r"audit: the ledger differs from the exchange; see .*demo"):
        play_and_report(plan, seconds=1e6, console=console)
    assert "DIFFERENT" in screen.getvalue()
    assert slept
    assert sum(slept) > 1_000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_the_bot_imports_neither_numba_nor_polars() -> None:
    """What `fractal run` loads stays free of the lab, and fits in 100 MB."""
    code = """
import json, re, sys
import fractaltrader.cli.main
import fractaltrader.live.assembly, fractaltrader.exchange.http
import fractaltrader.exchange.hyperliquid.client, fractaltrader.live.wallet
import fractaltrader.live.logs, fractaltrader.live.lock
heavy = [name for name in ("numba", "polars", "pandas", "plotly") if name in sys.modules]
kilobytes = int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps([heavy, kilobytes / 1024]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, megabytes = json.loads(done.stdout)
    assert heavy == []
    assert megabytes < 100
