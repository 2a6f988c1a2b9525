"""The demo's world: exchange, feed and bot in one process under virtual time."""

import asyncio
import secrets
import shutil
import time
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.live import Live

from fractaltrader.cli.audit import SNAPSHOT, audit_run, audit_table
from fractaltrader.cli.live_table import live_table
from fractaltrader.cli.report import print_report
from fractaltrader.cli.runs import run_folder
from fractaltrader.config import Config
from fractaltrader.errors import UserError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.live.assembly import build_bot, build_desk, check_config
from fractaltrader.live.bot import Bot
from fractaltrader.live.desk import Desk
from fractaltrader.live.lock import only_bot
from fractaltrader.live.logs import configure_logs
from fractaltrader.market import Candles
from fractaltrader.market.universe import instruments_for
from fractaltrader.simulator.feed import Feed
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

FUNDS_USD = Decimal(10_000)
# Market seconds per loop second: one hour of market a second keeps timers few.
SPEED = 3_600.0
SETTLE_SECONDS = 1.0
FRAMES_PER_SECOND = 10


class Pace:
    """Shows the bot at work and slows virtual time down to what a person can follow."""

    def __init__(
        self, desk: Desk, live: Live, title: str, span: tuple[int, int], seconds: float
    ) -> None:
        self._desk = desk
        self._live = live
        self._title = title
        self._start_ms, self._end_ms = span
        self._seconds = seconds
        self._begun = time.monotonic()
        self._next_frame = 0.0

    def __call__(self) -> None:
        now = time.monotonic() - self._begun
        progress = (self._desk.view.time_ms - self._start_ms) / (self._end_ms - self._start_ms)
        if now >= self._next_frame:
            self._live.update(live_table(self._desk, self._title))
            self._next_frame = now + 1 / FRAMES_PER_SECOND
        ahead = progress * self._seconds - now
        if ahead > 0:
            time.sleep(ahead)


def play_and_report(
    markets: dict[str, Candles],
    *,
    history_bars: int,
    config: Config,
    seed: int,
    seconds: float,
    console: Console,
) -> None:
    """Trade `markets` from base bar `history_bars` on, then print the report and the audit."""
    check_config(config)
    folder = run_folder("demo")
    with only_bot(folder):
        _clear(folder)
        configure_logs(folder, terminal=False)
        run_virtual(_play(folder, markets, history_bars, config, seed, seconds, console))
    print_report(folder, console, trades_shown=10)
    lines = asyncio.run(audit_run(folder))
    console.print(audit_table(lines, folder.name))
    if not all(line.agrees for line in lines):
        raise UserError(f"audit: the ledger differs from the exchange; see {folder}")
    console.print(f"files: {folder}; again: `fractal report`, `fractal audit`")


def _clear(folder: Path) -> None:
    """A demo starts afresh; the lock is ours and stays."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".lock":
            path.unlink()


async def _play(
    folder: Path,
    markets: dict[str, Candles],
    history_bars: int,
    config: Config,
    seed: int,
    seconds: float,
    console: Console,
) -> None:
    feed = Feed(markets, start_index=history_bars)
    clock = LoopClock(feed.start_ms, SPEED)
    exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock, seed=seed)
    signer = Signer(secrets.token_hex(32))
    exchange.faucet(signer.address, FUNDS_USD)
    venue = HyperliquidVenue(
        InProcessTransport(exchange, clock),
        signer,
        account=signer.address,
        clock=clock,
        mainnet=False,
    )
    desk = build_desk(folder, venue, signer.address, clock)
    title = f"{config.trade.strategy} on {', '.join(markets)}, {config.trade.timeframe}, demo"
    with Live(console=console, auto_refresh=False, transient=False) as live:
        pace = Pace(
            desk, live, title, (feed.start_ms, feed.end_ms), seconds if console.is_terminal else 0.0
        )
        bot = build_bot(config, desk, on_event=pace)
        await _until_ended(bot, feed, exchange, clock)
        live.update(live_table(desk, title), refresh=True)
    (folder / SNAPSHOT).write_bytes(exchange.snapshot())
    desk.ledger.close()


async def _until_ended(bot: Bot, feed: Feed, exchange: LocalExchange, clock: LoopClock) -> None:
    """Run feed and bot together; when the market ends the bot settles and stops."""
    trading = asyncio.create_task(bot.run(venue_name="local exchange of the demo"))
    replay = asyncio.create_task(feed.run(exchange, clock))
    await asyncio.wait({trading, replay}, return_when=asyncio.FIRST_COMPLETED)
    if not trading.done():
        await asyncio.sleep(SETTLE_SECONDS)
        bot.stop()
    replay.cancel()
    await trading
