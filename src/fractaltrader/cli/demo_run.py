"""The demo's world: exchange, feed and bot in one process under virtual time."""

import asyncio
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
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
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

FUNDS_USD = Decimal(10_000)
# Market seconds per loop second: one hour of market a second keeps timers few.
SPEED = 3_600.0
SETTLE_SECONDS = 1.0
FRAMES_PER_SECOND = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What to trade: base candles by coin, of which the first `history_bars` are the past."""

    markets: dict[str, Candles]
    history_bars: int
    config: Config
    seed: int

    @property
    def title(self) -> str:
        trade = self.config.trade
        return f"{trade.strategy} on {', '.join(self.markets)}, {trade.timeframe}, local exchange"

    def feed(self) -> Feed:
        """The replay; raises UserError when the candles leave nothing to trade."""
        for candles in self.markets.values():
            if len(candles) < self.history_bars + 2:
                raise UserError(
                    f"feed: {len(candles)} candles of {candles.coin} leave nothing to trade after "
                    f"{self.history_bars} of history; give more --days or a longer file"
                )
        return Feed(self.markets, start_index=self.history_bars)


# Given the desk, its progress from 0 to 1 is told after every event.
Watch = Callable[[Desk, float], None]


class Pace:
    """Shows the bot at work and slows virtual time down to what a person can follow."""

    def __init__(self, live: Live, title: str, seconds: float) -> None:
        self._live = live
        self._title = title
        self._seconds = seconds
        self._begun = time.monotonic()
        self._next_frame = 0.0

    def __call__(self, desk: Desk, progress: float) -> None:
        now = time.monotonic() - self._begun
        if now >= self._next_frame:
            self._live.update(live_table(desk, self._title), refresh=True)
            self._next_frame = now + 1 / FRAMES_PER_SECOND
        ahead = progress * self._seconds - now
        if ahead > 0:
            time.sleep(ahead)


def play_and_report(plan: Plan, *, seconds: float, console: Console) -> None:
    """Trade the plan, then print the report and the audit; on a terminal it is shown meanwhile.

    Raises UserError when the audit finds a difference.
    """
    check_config(plan.config)
    feed = plan.feed()
    folder = run_folder("demo")
    with only_bot(folder), Live(console=console, auto_refresh=False) as live:
        pace = Pace(live, plan.title, seconds if console.is_terminal else 0.0)
        desk = run_virtual(play(folder, plan, feed, pace))
        live.update(live_table(desk, plan.title), refresh=True)
    console.print()
    print_report(folder, console, trades_shown=10)
    lines = asyncio.run(audit_run(folder))
    console.print(audit_table(lines, folder.name))
    if not all(line.agrees for line in lines):
        raise UserError(f"audit: the ledger differs from the exchange; see {folder}")
    console.print(f"files: {folder}; again: `fractal report`, `fractal audit`")


async def play(folder: Path, plan: Plan, feed: Feed, watch: Watch) -> Desk:
    """Trade the plan afresh in `folder` to the feed's end; needs a virtual-time loop.

    A snapshot of the exchange stays in the folder for the audit. The ledger of the desk returned
    is closed.
    """
    _clear(folder)
    configure_logs(folder, terminal=False)
    clock = LoopClock(feed.start_ms, SPEED)
    listings = feed.listings(instruments_for(plan.markets))
    exchange = LocalExchange(listings, clock=clock, seed=plan.seed)
    signer = Signer(secrets.token_hex(32))
    exchange.faucet(signer.address, FUNDS_USD)
    transport = InProcessTransport(exchange, clock)
    venue = HyperliquidVenue(transport, signer, account=signer.address, clock=clock, mainnet=False)
    desk = build_desk(folder, venue, signer.address, clock, plan.config.breaker)

    def on_event() -> None:
        watch(desk, (desk.view.time_ms - feed.start_ms) / (feed.end_ms - feed.start_ms))

    bot = build_bot(plan.config, desk, on_event=on_event)
    await _until_ended(bot, asyncio.create_task(feed.run(exchange, clock)))
    (folder / SNAPSHOT).write_bytes(exchange.snapshot())
    desk.ledger.close()
    return desk


def _clear(folder: Path) -> None:
    """A demo starts afresh; the lock is ours and stays."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".lock":
            path.unlink()


async def _until_ended(bot: Bot, replay: asyncio.Task[None]) -> None:
    """Run bot and replay together; when the market ends the bot settles and stops."""
    trading = asyncio.create_task(bot.run(venue_name="local exchange of the demo"))
    await asyncio.wait({trading, replay}, return_when=asyncio.FIRST_COMPLETED)
    if not trading.done():
        await asyncio.sleep(SETTLE_SECONDS)
        bot.stop()
    replay.cancel()
    await trading
