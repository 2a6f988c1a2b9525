"""The bot: closed bars in, protected positions out. One task handles one event at a time."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import structlog

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.exchange.errors import RejectedError, TransientError, UnknownOutcomeError
from fractaltrader.exchange.port import (
    CandleUpdate,
    Connected,
    Disconnected,
    FillUpdate,
    OrderUpdate,
    StreamEvent,
)
from fractaltrader.live.closed_bars import ClosedBars
from fractaltrader.live.decide import Decider
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.reconcile import reconcile, refuse_foreign
from fractaltrader.live.state import BotState
from fractaltrader.live.state_manager import StateLockedError
from fractaltrader.market import Bar, Instrument, Timeframe
from fractaltrader.risk.sizing import RiskParameters

log = structlog.get_logger()

QUEUE_LIMIT = 10_000
HEARTBEAT_SECONDS = 2.0
RECONCILE_SECONDS = 60.0
FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0


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
        if instruments[coin].delisted:
            raise UserError(f"coins: the venue has delisted {coin!r}; leave it out")


class Tick(StrEnum):
    """Timers, as events among the others."""

    HEARTBEAT = "heartbeat"
    RECONCILE = "reconcile"


class Retry:
    """When to try again after a failure: after 2 s, then doubling to 60 s."""

    def __init__(self) -> None:
        self.delay = 0.0
        self._at: float | None = None

    def failed(self) -> None:
        self.delay = min(max(2 * self.delay, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)
        self._at = asyncio.get_running_loop().time() + self.delay

    def succeeded(self) -> None:
        self.delay, self._at = 0.0, None

    def due(self) -> bool:
        return self._at is not None and asyncio.get_running_loop().time() >= self._at


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
        self._bars = ClosedBars(desk, decider, settings.coins, settings.timeframe)
        self._retry = Retry()
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
        if self._stopping.is_set():
            return
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
        """Open state and books; a venue that does not answer is asked again until stopped."""
        while not self._stopping.is_set():
            try:
                await self._open(venue_name)
            except (TransientError, UnknownOutcomeError) as error:
                self._retry.failed()
                log.warning("the venue does not answer", error=str(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._retry.delay)
            else:
                self._retry.succeeded()
                return

    async def _open(self, venue_name: str) -> None:
        desk, settings = self._desk, self._settings
        desk.instruments = await desk.venue.instruments()
        check_coins(settings.coins, desk.instruments)
        state = desk.open(venue_name=venue_name, pid=os.getpid())
        if state.opening_equity is None:
            await self._start_accounting()
        await reconcile(desk, self._executor)
        for coin in settings.coins:
            await self._set_leverage(coin)
        desk.event(f"started on {venue_name} with {', '.join(settings.coins)}")

    async def _set_leverage(self, coin: str) -> None:
        """Sizes assume this leverage, so a coin whose leverage is refused is not entered."""
        desk = self._desk
        leverage = self._settings.risk.leverage_for(desk.instruments[coin])
        try:
            await desk.venue.set_leverage(coin, leverage)
        except RejectedError as error:
            desk.blocked[coin] = f"leverage {leverage} was refused: {error}"
            desk.incident("leverage refused", f"{coin}: {error}")

    async def _start_accounting(self) -> None:
        """Remember where this account's accounting starts: flat, or not at all."""
        desk = self._desk
        account = await desk.venue.account()
        refuse_foreign(desk, account)
        now = await desk.venue.time_ms()

        def opened(state: BotState) -> None:
            state.opening_equity = account.equity
            state.ledger_since_ms = now

        desk.write(opened)
        desk.since_ms = now
        desk.ledger.add_equity(now, account.equity)

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
        """One event. What the venue or the disk refused for now is made good by a later
        reconciliation, which the failure makes due."""
        try:
            await self._dispatch(event)
        except (TransientError, UnknownOutcomeError, RejectedError) as error:
            self._retry.failed()
            self._desk.incident(type(error).__name__, str(error))
        except (OSError, sqlite3.Error, StateLockedError) as error:
            self._retry.failed()
            # The ledger may be what cannot be written.
            log.error("files cannot be written", error=str(error))

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
                self._bars.behind = True
                await self._catch_up()
            case Disconnected():
                desk.incident("stream lost", event.reason)
            case Tick.HEARTBEAT:
                if desk.write().control.stop_requested:
                    self.stop()
                elif self._retry.due():
                    await self._catch_up()
            case Tick.RECONCILE:
                await self._catch_up()

    async def _catch_up(self) -> None:
        """Missing bars, then missing facts; tried again later where it fails."""
        if self._bars.behind:
            await self._bars.catch_up()
        await reconcile(self._desk, self._executor)
        self._retry.succeeded()

    async def _candle(self, update: CandleUpdate) -> None:
        bar = await self._bars.closed_by(update)
        if bar is None:
            return
        signal = self._decider.observe(update.coin, bar)
        if signal is not None:
            intent = await self._decider.decide(signal)
            if intent is not None:
                await self._executor.enter(intent)
        if update.coin == self._settings.coins[0]:
            await self._mark_equity(bar)

    async def _mark_equity(self, bar: Bar) -> None:
        account = await self._desk.venue.account()
        close_ms = self._settings.timeframe.close_time(bar.open_time)
        self._desk.ledger.add_equity(close_ms, account.equity)
        self._desk.view.account = account
        self._desk.view.orders = await self._desk.venue.open_orders()
