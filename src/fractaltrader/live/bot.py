"""The bot: closed bars in, protected positions out. One task handles one event at a time."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import structlog

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.exchange.errors import TransientError, UnknownOutcomeError
from fractaltrader.exchange.port import (
    CandleUpdate,
    Connected,
    Disconnected,
    FillUpdate,
    OrderUpdate,
    StreamEvent,
)
from fractaltrader.live.decide import Decider
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.reconcile import reconcile
from fractaltrader.live.state import BotState
from fractaltrader.market import Bar, Instrument, Timeframe
from fractaltrader.risk.sizing import RiskParameters

log = structlog.get_logger()

QUEUE_LIMIT = 10_000
HEARTBEAT_SECONDS = 2.0
RECONCILE_SECONDS = 60.0
RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class BotSettings:
    """What to trade, on which bars, and the risk that sets the venue's leverage per coin."""

    coins: tuple[str, ...]
    timeframe: Timeframe
    risk: RiskParameters


def check_coins(coins: Sequence[str], instruments: Mapping[str, Instrument]) -> None:
    """Raise UserError for a coin that the venue does not list."""
    for coin in coins:
        if coin not in instruments:
            hint = did_you_mean(coin, list(instruments))
            raise UserError(f"coins: the venue does not list {coin!r}{hint}")


class Tick(StrEnum):
    """Timers, as events among the others."""

    HEARTBEAT = "heartbeat"
    RECONCILE = "reconcile"


class Bot:
    """One account, several coins, one strategy."""

    def __init__(
        self,
        desk: Desk,
        decider: Decider,
        settings: BotSettings,
        *,
        on_event: Callable[[], None] = lambda: None,
    ) -> None:
        self._desk = desk
        self._decider = decider
        self._settings = settings
        self._executor = Executor(desk)
        self._on_event = on_event
        self._forming: dict[str, Bar] = {}
        self._queue: asyncio.Queue[StreamEvent | Tick] = asyncio.Queue(QUEUE_LIMIT)
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None

    def stop(self) -> None:
        """End `run` after the event in hand; positions keep their stops on the exchange."""
        self._stopping.set()
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(Tick.HEARTBEAT)

    async def run(self, *, venue_name: str) -> None:
        """Trade until stopped. CriticalError ends it; everything transient is retried."""
        await self._start(venue_name)
        helpers = [
            asyncio.create_task(self._read_stream()),
            asyncio.create_task(self._tick(Tick.HEARTBEAT, HEARTBEAT_SECONDS)),
            asyncio.create_task(self._tick(Tick.RECONCILE, RECONCILE_SECONDS)),
        ]
        for task in helpers:
            task.add_done_callback(self._helper_ended)
        try:
            while not self._stopping.is_set():
                await self._handle(await self._queue.get())
                self._on_event()
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        if self._failure is not None:
            raise self._failure
        # What the stream had not delivered yet is asked for, so that the books close complete.
        await self._handle(Tick.RECONCILE)
        self._desk.write()
        self._desk.event("stopped; open positions keep their stop and target on the exchange")

    def _helper_ended(self, task: asyncio.Task[None]) -> None:
        """A helper never ends by itself: if it does, the bot ends with its error."""
        if not task.cancelled():
            self._failure = task.exception()
            self.stop()

    async def _start(self, venue_name: str) -> None:
        desk, settings = self._desk, self._settings
        desk.instruments = await desk.venue.instruments()
        check_coins(settings.coins, desk.instruments)
        state = desk.open(venue_name=venue_name, pid=os.getpid())
        if state.opening_equity is None:
            await self._start_accounting()
        await reconcile(desk, self._executor)
        for coin in settings.coins:
            leverage = settings.risk.leverage_for(desk.instruments[coin])
            await desk.venue.set_leverage(coin, leverage)
        desk.event(f"started on {venue_name} with {', '.join(settings.coins)}")

    async def _start_accounting(self) -> None:
        """Remember where this account's accounting starts."""
        account = await self._desk.venue.account()
        now = await self._desk.venue.time_ms()

        def opened(state: BotState) -> None:
            state.opening_equity = account.equity
            state.ledger_since_ms = now

        self._desk.write(opened)
        self._desk.since_ms = now
        self._desk.ledger.add_equity(now, account.equity)

    async def _read_stream(self) -> None:
        async for event in self._desk.venue.stream(
            list(self._settings.coins), self._settings.timeframe
        ):
            await self._queue.put(event)

    async def _tick(self, tick: Tick, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._queue.put(tick)

    async def _handle(self, event: StreamEvent | Tick) -> None:
        """One event; a transient failure is recorded and made good by the next reconciliation."""
        try:
            await self._dispatch(event)
        except (TransientError, UnknownOutcomeError) as error:
            self._desk.incident("transient error", str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _dispatch(self, event: StreamEvent | Tick) -> None:
        desk = self._desk
        match event:
            case CandleUpdate():
                await self._candle(event)
            case FillUpdate():
                for fill in event.fills:
                    if fill.time_ms >= desk.since_ms:
                        desk.record(fill)
            case OrderUpdate():
                desk.ledger.add_order_event(event.record)
            case Connected():
                await self._warm_up()
                await reconcile(desk, self._executor)
            case Disconnected():
                desk.incident("stream lost", event.reason)
            case Tick.HEARTBEAT:
                if desk.write().control.stop_requested:
                    self.stop()
            case Tick.RECONCILE:
                await reconcile(desk, self._executor)

    async def _warm_up(self) -> None:
        """Feed every coin's strategy the closed bars it has not seen; signals of the past are
        not acted on."""
        desk, timeframe = self._desk, self._settings.timeframe
        now = await desk.venue.time_ms()
        for coin in self._settings.coins:
            start = self._decider.next_bar_time(coin, now, timeframe)
            bars = await desk.venue.candles(coin, timeframe, start, now)
            for bar in bars:
                if timeframe.close_time(bar.open_time) < now:
                    self._decider.observe(coin, bar)
            if bars:
                self._forming[coin] = bars[-1]
                desk.view.prices[coin] = bars[-1].close

    async def _candle(self, update: CandleUpdate) -> None:
        coin, bar = update.coin, update.bar
        forming = self._forming.get(coin)
        self._forming[coin] = bar
        self._desk.view.prices[coin] = bar.close
        self._desk.view.time_ms = max(self._desk.view.time_ms, bar.open_time)
        if forming is None or bar.open_time <= forming.open_time:
            return
        # A bar with a later open time closes the one before it.
        if bar.open_time > forming.open_time + update.timeframe.ms:
            await self._fill_gap(coin, forming.open_time, bar.open_time)
            return
        await self._closed(coin, forming)

    async def _fill_gap(self, coin: str, after: int, before: int) -> None:
        """Bars the stream did not show, asked for; the newest of them may be acted on."""
        timeframe = self._settings.timeframe
        bars = await self._desk.venue.candles(coin, timeframe, after, before - 1)
        closed = [bar for bar in bars if after <= bar.open_time < before]
        for bar in closed[:-1]:
            self._decider.observe(coin, bar)
        if closed:
            await self._closed(coin, closed[-1])

    async def _closed(self, coin: str, bar: Bar) -> None:
        signal = self._decider.observe(coin, bar)
        if coin == self._settings.coins[0]:
            await self._mark_equity(bar)
        if signal is None:
            return
        intent = await self._decider.decide(signal)
        if intent is not None:
            await self._executor.enter(intent)

    async def _mark_equity(self, bar: Bar) -> None:
        account = await self._desk.venue.account()
        close_ms = self._settings.timeframe.close_time(bar.open_time)
        self._desk.ledger.add_equity(close_ms, account.equity)
        self._desk.view.account = account
        self._desk.view.orders = await self._desk.venue.open_orders()
