"""A world in virtual time: the real bot against the real local exchange, one seed, no sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from fractaltrader.config import Config, TradeConfig
from fractaltrader.data.synthetic import generated_market
from fractaltrader.exchange.errors import TransportError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.port import Fill
from fractaltrader.live.assembly import build_bot
from fractaltrader.live.audit import Line, audit
from fractaltrader.live.desk import Desk
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.parameters import DataParameters, ReconcileParameters
from fractaltrader.live.state import Intent
from fractaltrader.live.state_manager import StateManager, _Saved
from fractaltrader.market import Timeframe
from fractaltrader.market.universe import instruments_for
from fractaltrader.risk.breaker_parameters import BreakerParameters
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.transport import InProcessSocket, InProcessTransport
from fractaltrader.simulator.virtual_time import LoopClock

KEY = "0x" + "11" * 32
# Market seconds a second of the bot: fast, for tests whose subject is not time.
SPEED = 3_600.0
HISTORY_BARS = 300
BARS_A_DAY = 96


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


Fault = Callable[[str, Callable[[], Awaitable[tuple[int, bytes]]]], Awaitable[tuple[int, bytes]]]


class FaultyTransport:
    """The in-process transport with a fault in front of every request."""

    def __init__(self, inner: InProcessTransport, fault: Fault) -> None:
        self._inner = inner
        self._fault = fault

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        return await self._fault(path, lambda: self._inner.post(path, body))

    async def connect(self) -> InProcessSocket:
        return await self._inner.connect()

    async def close(self) -> None:
        await self._inner.close()


async def no_fault(_: str, send: Callable[[], Awaitable[tuple[int, bytes]]]) -> tuple[int, bytes]:
    """Every request arrives and is answered."""
    return await send()


def lost_answer(error: str = "connection reset") -> TransportError:
    """What the client sees when the answer does not come."""
    return TransportError(error, sent=True)


class WatchedStateManager(StateManager):
    """The real state manager; a test may kill the process around every save."""

    def __init__(self, folder: Path, clock: LoopClock, on_write: Callable[[], None]) -> None:
        super().__init__(folder, clock)
        self._on_write = on_write

    def _save_state(self, previous: _Saved) -> None:
        self._on_write()
        super()._save_state(previous)
        self._on_write()


class WatchedLedger(Ledger):
    """The real ledger; a test may kill the process around every intention and execution."""

    def __init__(self, folder: Path, on_write: Callable[[], None]) -> None:
        super().__init__(folder)
        self._on_write = on_write

    def add_intent(self, intent: Intent) -> None:
        self._on_write()
        super().add_intent(intent)
        self._on_write()

    def add_fill(self, fill: Fill) -> bool:
        self._on_write()
        added = super().add_fill(fill)
        self._on_write()
        return added


@dataclass
class World:
    """An exchange that replays a generated market, and a bot that can be killed and started."""

    folder: Path
    days: int = 8
    seed: int = 3
    coins: tuple[str, ...] = ("BTC", "ETH", "SOL")
    speed: float = SPEED
    history_bars: int = HISTORY_BARS
    naked: list[str] = field(default_factory=list)
    reconcile: ReconcileParameters = field(default_factory=ReconcileParameters)
    # Out of the way: what these tests trade may lose much, which is not what they are about.
    breaker: BreakerParameters = field(
        default_factory=lambda: BreakerParameters(
            max_drawdown=0.9,
            max_daily_loss=0.5,
            max_consecutive_losses=50,
            max_trades_per_day=1000,
            max_data_age_bars=100,
        )
    )

    def open(self) -> None:
        """Build exchange and feed; needs a running loop."""
        timeframe = Timeframe.parse("15m")
        markets = generated_market(
            list(self.coins),
            days=self.days + HISTORY_BARS // BARS_A_DAY + 1,
            timeframe=timeframe,
            seed=self.seed,
            start_ms=1_735_689_600_000,
        )
        self.markets = markets
        self.feed = Feed(markets, start_index=self.history_bars)
        self.clock = LoopClock(self.feed.start_ms, self.speed)
        self.exchange = LocalExchange(
            self.feed.listings(instruments_for(markets)), clock=self.clock, seed=self.seed
        )
        self.signer = Signer(KEY)
        self.exchange.faucet(self.signer.address, Decimal(10_000))
        # The market of this world ends before the bot does, which is no news.
        data = DataParameters(watchdog_bars=100)
        self.config = Config(trade=TradeConfig(coins=self.coins), data=data)
        self.replay = asyncio.create_task(self._replay())

    async def _replay(self) -> None:
        """Replay to the end, and look at the world after every tick."""
        while (time_ms := self.feed.next_ms) is not None:
            await self.clock.sleep_until(time_ms)
            self.feed.step(self.exchange)
            self.after_tick()

    def after_tick(self) -> None:
        """Note positions without a resting stop."""
        self.naked += self.naked_positions()

    def account_state(self) -> dict[str, Any]:
        """The account as the exchange shows it."""
        request = {"type": "clearinghouseState", "user": self.signer.address}
        state: dict[str, Any] = self.exchange.info(request)
        return state

    def exposure(self, state: dict[str, Any]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        """Positions by coin, signed, and how much of each no resting reduce-only stop covers, as
        the exchange sees it."""
        positions = {
            item["position"]["coin"]: Decimal(item["position"]["szi"])
            for item in state["assetPositions"]
        }
        if not positions:
            return {}, {}
        request = {"type": "frontendOpenOrders", "user": self.signer.address}
        orders = self.exchange.info(request)
        lacking = {}
        for coin, size in positions.items():
            stops = [
                order
                for order in orders
                if order["coin"] == coin
                and order["orderType"].startswith("Stop")
                and order["reduceOnly"]
                and order["side"] == ("A" if size > 0 else "B")
            ]
            covered = sum((Decimal(order["sz"]) for order in stops), Decimal(0))
            if covered < abs(size) and not any(order["isPositionTpsl"] for order in stops):
                lacking[coin] = abs(size) - covered
        return positions, lacking

    def naked_positions(self) -> list[str]:
        """Positions that their resting stops do not cover, each with the time."""
        positions, lacking = self.exposure(self.account_state())
        return [f"{self.exchange.now_ms()} {coin} {positions[coin]}" for coin in lacking]

    def venue(self, fault: Fault = no_fault) -> HyperliquidVenue:
        transport = FaultyTransport(InProcessTransport(self.exchange, self.clock), fault)
        return HyperliquidVenue(
            transport, self.signer, account=self.signer.address, clock=self.clock, mainnet=False
        )

    def desk(self, fault: Fault = no_fault, on_write: Callable[[], None] = lambda: None) -> Desk:
        """A desk whose every durable write calls `on_write` before and after."""
        return Desk(
            venue=self.venue(fault),
            account=self.signer.address,
            state=WatchedStateManager(self.folder, self.clock, on_write),
            ledger=WatchedLedger(self.folder, on_write),
            clock=self.clock,
            breaker=self.breaker,
            reconcile=self.reconcile,
        )

    async def trade(
        self, fault: Fault = no_fault, on_write: Callable[[], None] = lambda: None
    ) -> bool:
        """Run a bot until the market ends (True) or something kills it (False)."""
        desk = self.desk(fault, on_write)
        bot = build_bot(self.config, desk)
        trading = asyncio.create_task(bot.run(venue_name="world"))
        await asyncio.wait({trading, self.replay}, return_when=asyncio.FIRST_COMPLETED)
        if not trading.done():
            await asyncio.sleep(2)
            bot.stop()
        with suppress(Killed):
            await trading
        desk.ledger.close()
        return self.replay.done()

    async def audit(self) -> list[Line]:
        desk = self.desk()
        try:
            return await audit(desk.venue, desk.ledger, desk.state.load())
        finally:
            desk.ledger.close()
