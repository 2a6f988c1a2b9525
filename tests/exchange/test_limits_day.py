"""A simulated day of four bots, their protection and a curious person on one machine."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec
import pytest
from test_limits import SlidingMinute

from fractaltrader.data.synthetic import generated_market
from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import RateLimitedError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.hyperliquid.weights import action_cost, extra_weight, info_cost
from fractaltrader.exchange.limiter import Limiter, Ticket
from fractaltrader.exchange.limits import PROTECT_BOUND_MS, Cost
from fractaltrader.exchange.port import OrderRequest, Side, Trigger
from fractaltrader.market import Timeframe
from fractaltrader.market.universe import instruments_for
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.transport import (
    InProcessSocket,
    InProcessTransport,
)
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

T = TypeVar("T")
COINS = ("BTC", "ETH", "SOL")
DAY_MS = 24 * 3_600_000
MINUTE_MS = 60_000
FIFTEEN = Timeframe.parse("15m")


class CountingTransport:
    """The in-process transport behind the venue's own count of weight, per IP and per minute.

    As the venue does it: a request is refused when its weight does not fit; what its answer adds
    is charged afterwards even if it does not.
    """

    def __init__(self, inner: InProcessTransport, clock: LoopClock, rng: Random) -> None:
        self._inner = inner
        self._clock = clock
        self._rng = rng
        self.minute = SlidingMinute()
        self.refusals: list[str] = []
        self.requests = 0

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        # The way there takes up to two seconds: the venue counts late.
        await self._clock.sleep_ms(self._rng.choice((0, 0, 0, 30, 400, 2_000)))
        request = json.loads(body)
        self.requests += 1
        action = path == "/exchange"
        cost = action_cost(request["action"], "") if action else info_cost(request)
        if not self.minute.add(self._clock.now_ms(), cost.base):
            self.refusals.append(f"{self._clock.now_ms()} {cost.what}")
            return 429, b"null"
        status, answer = await self._inner.post(path, body)
        if not action and answer.startswith(b"["):
            extra = extra_weight(request["type"], len(msgspec.json.decode(answer)))
            if extra and not self.minute.add(self._clock.now_ms(), extra):
                self.refusals.append(f"{self._clock.now_ms()} {cost.what} extra")
        return status, answer

    async def connect(self) -> InProcessSocket:
        return await self._inner.connect()

    async def close(self) -> None:
        await self._inner.close()


class TimedLimiter(Limiter):
    """The real limiter; notes how long each protective request had to wait."""

    def into(self, delays: list[int]) -> "TimedLimiter":
        self._delays = delays
        return self

    async def acquire(self, cost: Cost, priority: Priority) -> Ticket:
        began = self._clock.now_ms()
        ticket = await super().acquire(cost, priority)
        if priority is Priority.PROTECT:
            self._delays.append(self._clock.now_ms() - began)
        return ticket


@dataclass
class Machine:
    """One machine: an exchange, its transport, and processes that share a budget file."""

    folder: Path
    delays: list[int] = field(default_factory=list)

    def open(self) -> None:
        markets = generated_market(
            list(COINS), days=8, timeframe=FIFTEEN, seed=3, start_ms=1_735_689_600_000
        )
        feed = Feed(markets, start_index=700)
        self.rng = Random(11)
        self.clock = LoopClock(feed.start_ms)
        instruments = instruments_for(markets)
        self.instruments = {item.coin: item for item in instruments}
        self.exchange = LocalExchange(feed.listings(instruments), clock=self.clock, seed=1)
        self.transport = CountingTransport(
            InProcessTransport(self.exchange, self.clock), self.clock, Random(5)
        )
        self.end_ms = self.clock.now_ms() + DAY_MS

    def venue(self, name: str, key: int, priority: Priority) -> HyperliquidVenue:
        signer = Signer(f"{key:064x}")
        self.exchange.faucet(signer.address, Decimal(10_000))
        path = self.folder / "budget.json"
        return HyperliquidVenue(
            self.transport,
            signer,
            account=signer.address,
            clock=self.clock,
            mainnet=False,
            limiter=TimedLimiter(path, self.clock, spender=name, rng=Random(key)).into(self.delays),
            priority=priority,
        )

    @property
    def is_over(self) -> bool:
        return self.clock.now_ms() >= self.end_ms

    async def start(self, venue: HyperliquidVenue) -> None:
        """What a start of the bot asks for: a warm-up of every coin above all."""
        await self.insist(venue.instruments)
        await self.insist(venue.role)
        await self.insist(venue.learn_limits)
        now = await self.insist(venue.time_ms)
        for coin in COINS:
            history = partial(venue.candles, coin, FIFTEEN, now - 5_000 * FIFTEEN.ms, now)
            await self.insist(history)
            await self.insist(partial(venue.set_leverage, coin, 3))

    async def reconcile(self, venue: HyperliquidVenue) -> None:
        await self.insist(partial(venue.fills, self.end_ms - DAY_MS))
        await self.insist(venue.account)
        await self.insist(venue.open_orders)

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again where the budget has no room for long, as the bot's own retry does."""
        while True:
            try:
                return await ask()
            except RateLimitedError:
                await self.clock.sleep_ms(2_000)

    async def bot(self, key: int) -> None:
        """Reconciles every minute (every five once the eventful eight hours are over), enters on
        closed bars, and crashes into a restart loop once."""
        venue = self.venue(f"bot{key}", key, Priority.RECONCILE)
        await self.start(venue)
        minute = 0
        while not self.is_over:
            await self.reconcile(venue)
            if minute % 15 == 0:
                await self.enter(venue, COINS[minute // 15 % 3], f"0x{key:016x}{minute:016x}")
            if 300 <= minute < 310:
                await self.start(venue)
            step = 1 if minute < 480 else 5
            minute += step
            await self.clock.sleep_ms(step * MINUTE_MS)

    async def enter(self, venue: HyperliquidVenue, coin: str, cloid: str) -> None:
        entering = venue.with_priority(Priority.ENTER)
        await self.insist(entering.account)
        mid = (await self.insist(entering.mid_prices))[coin]
        instrument = self.instruments[coin]
        price = instrument.round_price(mid / 2)
        size = instrument.round_size(Decimal(50) / price)
        order = OrderRequest(instrument, Side.BUY, size, price, cloid)
        await self.insist(partial(venue.place, [order], bracket=False))
        await venue.cancel(coin, cloid)

    async def protection(self, key: int) -> None:
        """Every few minutes a position is looked at and a stop is sent."""
        venue = self.venue(f"guard{key}", key, Priority.PROTECT)
        await venue.instruments()
        instrument = self.instruments["BTC"]
        while not self.is_over:
            await self.clock.sleep_ms(self.rng.randrange(60_000, 600_000))
            number = self.transport.requests
            await venue.account()
            await venue.open_orders()
            mid = (await venue.mid_prices())["BTC"]
            stop = instrument.round_price(mid * Decimal("0.9"))
            await venue.protect(
                [
                    OrderRequest(
                        instrument,
                        Side.SELL,
                        Decimal("0.01"),
                        instrument.round_price(stop * Decimal("0.9")),
                        f"0x{key:016x}{number:016x}",
                        reduce_only=True,
                        trigger=Trigger(stop, "sl"),
                    )
                ]
            )

    async def curious(self) -> None:
        """A person who looks at everything as often as the terminal allows, for an hour."""
        venue = self.venue("cli", 9, Priority.INFORM)
        until = self.clock.now_ms() + DAY_MS // 24
        while self.clock.now_ms() < until:
            await asyncio.gather(
                venue.account(), venue.open_orders(), venue.order_history(), venue.mid_prices()
            )


@pytest.mark.slow
def test_a_day_without_a_429(tmp_path: Path) -> None:
    """Four bots, a guard for each and a person who asks without end, on one machine for a day: the
    venue never answers 429, and protection never waits longer than its bound."""
    machine = Machine(tmp_path)

    async def world() -> None:
        machine.open()
        async with asyncio.TaskGroup() as group:
            for key in range(1, 5):
                group.create_task(machine.bot(key))
                group.create_task(machine.protection(100 + key))
            group.create_task(machine.curious())

    run_virtual(world())
    assert machine.transport.refusals == []
    assert machine.transport.requests > 12_000
    assert machine.transport.minute.highest > 800  # the day did come near the limit
    assert len(machine.delays) > 4 * 400
    assert max(machine.delays) <= PROTECT_BOUND_MS


def test_without_the_shared_file_the_venue_does_refuse(tmp_path: Path) -> None:
    """The same processes, each with a budget of its own, do cause 429s: the test can fail."""
    machine = Machine(tmp_path)

    async def world() -> None:
        machine.open()
        machine.end_ms = machine.clock.now_ms() + 5 * MINUTE_MS

        async def look(number: int) -> None:
            machine.folder = tmp_path / str(number)
            venue = machine.venue(f"cli{number}", number, Priority.INFORM)
            while not machine.is_over:
                await venue.open_orders()

        async with asyncio.TaskGroup() as group:
            for number in range(1, 6):
                group.create_task(look(number))

    with pytest.raises(ExceptionGroup) as refused:
        run_virtual(world())
    assert refused.group_contains(RateLimitedError)
    assert machine.transport.refusals
