"""The bot: closed bars in, protected positions out. One task handles one event at a time."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import cycle

import structlog

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.exchange.errors import (
    CriticalError,
    ExchangeError,
    RejectedError,
    TransientError,
    UnknownOutcomeError,
)
from fractaltrader.exchange.port import (
    CandleUpdate,
    Connected,
    Disconnected,
    FillUpdate,
    OrderUpdate,
    StreamEvent,
)
from fractaltrader.live.ahead import before_each_close, look_ahead
from fractaltrader.live.by_hand import is_by_hand, lost_stop
from fractaltrader.live.closed_bars import ClosedBars
from fractaltrader.live.control import Verb, carry_out
from fractaltrader.live.decide import Decider, Quote
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.flatten import flatten
from fractaltrader.live.leverage import set_leverage, verify_leverage
from fractaltrader.live.parameters import DataParameters
from fractaltrader.live.reconcile import reconcile, refuse_foreign
from fractaltrader.live.retry import Retry
from fractaltrader.live.state import ALL_COINS, BotState
from fractaltrader.live.state_manager import StateLockedError
from fractaltrader.live.strays import sweep
from fractaltrader.market import Bar, Instrument, Timeframe
from fractaltrader.risk.breaker_parameters import Action
from fractaltrader.risk.sizing import RiskParameters

log = structlog.get_logger()

FILE_ERRORS = (OSError, sqlite3.Error, StateLockedError)
QUEUE_LIMIT = 10_000
HEARTBEAT_SECONDS = 2.0
RECONCILE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class BotSettings:
    """What to trade, on which bars, and the risk that sets the venue's leverage per coin."""

    coins: tuple[str, ...]
    timeframe: Timeframe
    risk: RiskParameters
    data: DataParameters = field(default_factory=DataParameters)


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
    AHEAD = "ahead"  # a bar is about to close
    LAST = "last"  # before the books close


class Bot:
    """One account, several coins, one strategy."""

    def __init__(
        self,
        desk: Desk,
        decider: Decider,
        settings: BotSettings,
        *,
        on_event: Callable[[], None] = lambda: None,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._desk = desk
        self._decider = decider
        self._settings = settings
        self._executor = Executor(desk)
        self._on_event = on_event
        self._notify = notify
        self._task: asyncio.Task[None] | None = None
        self._trading = False
        self._heard_ms = 0  # our clock: when market data last arrived
        self._bars = ClosedBars(desk, decider, settings.coins, settings.timeframe, settings.data)
        self._leverage_turn = cycle(settings.coins)
        self._retry = Retry()
        self._queue: asyncio.Queue[StreamEvent | Tick] = asyncio.Queue(QUEUE_LIMIT)
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None

    def stop(self) -> None:
        """End `run` after the event in hand; positions keep their stops on the exchange."""
        self._stopping.set()
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(Tick.HEARTBEAT)

    def kill(self) -> None:
        """End `run` at once, with CancelledError, whatever it waits for; nothing rests on the
        venue that adds risk, and positions keep their stops there."""
        if self._task is not None:
            self._task.cancel()

    async def run(self, *, venue_name: str) -> None:
        """Trade until stopped. CriticalError ends it; everything transient is retried.

        Raises BreakerStopError when the circuit breaker ends it, or would not let it go on.
        """
        self._task = asyncio.current_task()
        try:
            await self._start(venue_name)
            if not self._stopping.is_set():
                self._notify("READY=1")
                await self._trade()
        except CriticalError as error:
            await self._critical(error)
            raise
        finally:
            self._notify("STOPPING=1")

    async def _trade(self) -> None:
        if (stopped := self._desk.breaker.stop_error()) is not None:
            # Everything was reconciled and protected; nothing more may be done until a reset.
            raise stopped
        self._trading = True
        self._heard_ms = self._desk.clock.now_ms()
        helpers = [
            asyncio.create_task(self._read_stream()),
            asyncio.create_task(self._tick(Tick.HEARTBEAT, HEARTBEAT_SECONDS)),
            asyncio.create_task(self._tick(Tick.RECONCILE, RECONCILE_SECONDS)),
            asyncio.create_task(
                before_each_close(
                    self._desk, self._settings.timeframe, lambda: self._queue.put(Tick.AHEAD)
                )
            ),
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
        await self._handle(Tick.LAST)
        if (stopped := self._desk.breaker.stop_error()) is not None:
            raise stopped
        self._desk.end()
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
            await set_leverage(desk, coin, self._leverage(coin))
        desk.event(f"started on {venue_name} with {', '.join(settings.coins)}")

    def _leverage(self, coin: str) -> int:
        return self._settings.risk.leverage_for(self._desk.instruments[coin])

    async def _start_accounting(self) -> None:
        """Remember where this account's accounting starts: flat, unless somebody else's positions
        are to be adopted or ignored."""
        desk = self._desk
        account = await desk.venue.account()
        held = account.positions
        if desk.reconcile.orphan_positions == "stop":
            refuse_foreign(desk, account)
        now = await desk.venue.time_ms()

        def opened(state: BotState) -> None:
            state.opening_equity = account.equity
            state.opening_positions = {coin: position.size for coin, position in held.items()}
            state.opening_value = sum(
                (p.notional.copy_sign(p.size) for p in held.values()), Decimal(0)
            )
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

    async def _critical(self, error: CriticalError) -> None:
        """Remember it over restarts; an error at the start only keeps the bot from starting."""
        if not self._trading:
            return
        try:
            self._desk.breaker.critical(error)
            if self._desk.breaker.action is Action.FLATTEN:
                await flatten(self._desk, {ALL_COINS})
        except (ExchangeError, *FILE_ERRORS) as failure:
            log.error("after a critical error", critical=str(error), error=str(failure))

    async def _handle(self, event: StreamEvent | Tick) -> None:
        """One event. What the venue or the disk refused for now is made good by a later
        reconciliation, which the failure makes due."""
        try:
            await self._attempt(event)
        except FILE_ERRORS as error:
            self._retry.failed()
            # The ledger may be what cannot be written.
            log.error("files cannot be written", error=str(error))
            with suppress(*FILE_ERRORS):
                self._desk.breaker.error(error)

    async def _attempt(self, event: StreamEvent | Tick) -> None:
        try:
            await self._dispatch(event)
        except (TransientError, UnknownOutcomeError, RejectedError) as error:
            self._retry.failed()
            self._desk.incident(type(error).__name__, str(error), error)
            self._desk.breaker.error(error)

    async def _dispatch(self, event: StreamEvent | Tick) -> None:
        desk = self._desk
        match event:
            case CandleUpdate():
                self._heard_ms = desk.clock.now_ms()
                await self._candle(event)
            case FillUpdate():
                await self._fills(event)
            case OrderUpdate():
                desk.ledger.add_order_event(event.record)
                if (lost := lost_stop(desk, event.record)) is not None:
                    desk.incident("stop lost", lost)
                    await self._catch_up()
            case Connected():
                self._bars.behind = True
                await self._catch_up()
            case Disconnected():
                desk.incident("stream lost", event.reason)
                desk.breaker.error(TransientError(event.reason))
            case Tick.AHEAD:
                if not self._retry.pending:  # a venue that does not answer is not asked more often
                    await look_ahead(desk)
            case Tick.LAST:
                await desk.learn_funding(await desk.venue.time_ms(), now=True)
            case Tick.HEARTBEAT:
                self._heartbeat()
                await self._obey()
                if self._retry.pending:
                    # Silence of a venue that does not answer is asked about no more often.
                    if self._retry.due():
                        await self._catch_up()
                # Frames that wait their turn are no silence.
                elif self._queue.empty() and (silent := self._bars.silent()):
                    desk.incident("candles stopped", f"{', '.join(silent)}: asked for by REST")
                    self._bars.behind = True
                    await self._catch_up()
            case Tick.RECONCILE:
                await self._catch_up()
                await desk.venue.learn_limits()
                coin = next(self._leverage_turn)
                await verify_leverage(desk, coin, self._leverage(coin))

    async def _fills(self, event: FillUpdate) -> None:
        """Account for executions; what somebody else's do to protection is repaired at once."""
        desk = self._desk
        fresh = [fill for fill in event.fills if fill.time_ms >= desk.since_ms]
        recorded = [fill for fill in fresh if desk.record(fill)]
        if any(is_by_hand(fill) for fill in recorded):
            await self._catch_up()
        await sweep(desk)

    def _heartbeat(self) -> None:
        """Show life, let the breaker see the time, and take the operator's commands."""
        self._notify("WATCHDOG=1")
        desk = self._desk
        silent_ms = desk.clock.now_ms() - self._heard_ms
        desk.breaker.beat(silent_ms / self._settings.timeframe.ms)
        for verb in carry_out(desk):
            if verb is Verb.KILL:
                self.kill()
            self.stop()

    async def _obey(self) -> None:
        """Do what the breaker or the operator demands of open positions, until it is done."""
        desk, action = self._desk, self._desk.breaker.action
        coins = set(desk.flattening)
        if action is Action.FLATTEN and (
            desk.book.epochs.keys() - desk.untouchable or desk.intents
        ):
            coins.add(ALL_COINS)
        if coins and await flatten(desk, coins):
            await self._catch_up()
            desk.flattening.clear()
            desk.write()
        if action is Action.STOP:
            self.stop()

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
            quote = Quote(update.bar.close, update.heard_s)
            entry = await self._decider.decide(signal, quote)
            if entry is not None:
                try:
                    await self._executor.enter(entry.intent)
                finally:
                    self._decider.entered(entry)
        if update.coin == self._settings.coins[0]:
            await self._mark_equity(bar)

    async def _mark_equity(self, bar: Bar) -> None:
        account = await self._desk.judge(await self._desk.venue.account())
        close_ms = self._settings.timeframe.close_time(bar.open_time)
        self._desk.ledger.checkpoint()
        self._desk.ledger.add_equity(close_ms, account.equity)
        self._desk.view.account = account
        self._desk.view.orders = await self._desk.venue.open_orders()
