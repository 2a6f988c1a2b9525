"""A validated week: the real bot, life after life, against the local exchange, from one seed.

The market runs `SPEED` times as fast as the bot's own timers, so that a week has 12 hours of
heartbeats; limits, bounds and back-off are measured in the bot's time, which is the stricter one.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from fractaltrader.config import Config, TradeConfig, VenueConfig
from fractaltrader.exchange.errors import RateLimitedError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator, nonce_path
from fractaltrader.exchange.limiter import Limiter, budget_path
from fractaltrader.exchange.port import CandleUpdate
from fractaltrader.live.assembly import build_bot
from fractaltrader.live.bot import FILE_ERRORS, QUEUE_LIMIT, Bot
from fractaltrader.live.breaker import BreakerStopError
from fractaltrader.live.control import reset_stopped
from fractaltrader.live.desk import Desk
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.parameters import DataParameters
from fractaltrader.live.state import Intent
from fractaltrader.live.state_manager import StateLockedError, StateManager
from fractaltrader.market import Bar, Timeframe
from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.sizing import RiskParameters
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import HalfOpen, Halt, PostOnly, RateLimit, Unreachable
from fractaltrader.simulator.protocol.limits import request_cap
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.state import Fill
from fractaltrader.simulator.virtual_time import LoopClock
from fractaltrader.validation.account_watch import AccountWatch
from fractaltrader.validation.breaker_truth import BreakerTruth
from fractaltrader.validation.closing_audit import differences
from fractaltrader.validation.invariants import VIOLATIONS_KEPT, Violation
from fractaltrader.validation.process import (
    BreakableLedger,
    BreakableState,
    Disk,
    JumpingClock,
    KilledAtAwait,
    Life,
)
from fractaltrader.validation.scenarios import Scenario
from fractaltrader.validation.stream_watch import StreamWatch
from fractaltrader.validation.wire_watch import WatchedTransport, WireWatch
from fractaltrader.validation.world import Killed, World

SPEED = 15.0
SAMPLE_SECONDS = 5.0
RESTART_SECONDS = 10.0
OPERATOR_SECONDS = 120.0
LAST_LIFE_SECONDS = 150.0
STOP_SECONDS = 180.0
MINUTE_SECONDS = 60.0
AUDIT_MINUTES = 10  # twice what the budget takes to grow back after a 429
DAY_SECONDS = 86_400.0
KEEPING_US_FROM_ACTING = (Unreachable, RateLimit, HalfOpen, Halt, PostOnly)
URL = "http://validation:1"


@dataclass
class Week(World):
    """One run of one scenario. Call `run` on a virtual-time loop."""

    scenario: Scenario = field(default_factory=lambda: Scenario("calm", ""))
    days: int = 1
    limits: BreakerParameters = field(default_factory=BreakerParameters)
    length_days: float = 7.0
    violations: list[Violation] = field(default_factory=list)
    violated: Counter[int] = field(default_factory=Counter)
    lives: int = 0
    deaths: int = 0
    stops: int = 0
    alive_ms: int = 0
    total_ms: int = 0
    bars_decided: int = 0
    recoveries: list[str] = field(default_factory=list)
    lost_updates: int = 0
    probes: int = 0
    struck: dict[str, int] = field(default_factory=dict)  # by kind of fault
    entered_bars: list[int] = field(default_factory=list)

    def prepare(self) -> None:
        """Build market, exchange, faults and watches; needs a running loop."""
        self.speed = SPEED
        self.days = max(self.days, int(self.length_days) + 1)
        self.breaker = self.limits
        self.open()
        self.begin_ms = self.feed.start_ms
        self.end_ms = self.begin_ms + round(self.length_days * 86_400_000)
        self.config = Config(
            venue=VenueConfig(mode="testnet"),
            trade=TradeConfig(coins=self.coins),
            # By the market's time, in which reconciliations are SPEED times as far apart.
            data=DataParameters(max_skew_age_s=60 * SPEED * 3),
            risk=(
                RiskParameters()
                if self.scenario.risk is None
                else RiskParameters(base_risk=self.scenario.risk)
            ),
        )
        self.rng = Random(f"{self.seed}:{self.scenario.name}")  # nosec B311
        self.own = LoopClock(self.begin_ms)
        self.injector = Injector(self.scenario.plan, seed=self.seed)
        self.bot_clock = JumpingClock(self.clock, self.scenario)
        self.disk = Disk(self.clock, self.scenario, self.rng)
        self.life = Life()
        self._desk: Desk | None = None
        self._bot: Bot | None = None
        self.wire = WireWatch(self.folder, self.own, self.clock, self.violate, self.address_budget)
        self.stream = StreamWatch(self.bot_clock)
        self.watch = AccountWatch(self)
        self.truth = BreakerTruth(
            self.breaker,
            self.wire,
            self.stream,
            self.violate,
            disk_refusals_ms=self.disk.refusals_ms,
            bar_ms=Timeframe.parse(self.config.trade.timeframe).ms,
        )
        self.wire.on_equity = self.truth.told

    def violate(self, number: int, text: str) -> None:
        """Note that an invariant does not hold."""
        self.violated[number] += 1
        if len(self.violations) < VIOLATIONS_KEPT:
            self.violations.append(Violation(number, self.clock.now_ms(), text))

    # What the watches see

    def fills(self) -> Sequence[Fill]:
        """Executions as the venue has them, oldest first."""
        account = self.exchange.state.accounts.get(self.signer.address)
        return account.fills if account is not None else []

    def address_budget(self) -> tuple[int, int]:
        """Actions that the account's address has used, and those it may use, as the venue has
        them (hyperliquid.md 6.2)."""
        account = self.exchange.state.accounts[self.signer.address]
        return account.requests, request_cap(account)

    def intents(self) -> list[Intent]:
        """Every intention the ledger holds."""
        return self._desk.ledger.intents() if self._desk is not None else []

    def believed(self) -> dict[str, Decimal] | None:
        """Positions in the living bot's book; None before it knows any."""
        if self._desk is None or not self._desk.instruments:
            return None
        return {coin: epoch.size for coin, epoch in self._desk.book.epochs.items()}

    @property
    def hindered(self) -> bool:
        """Whether something keeps even a perfect bot from acting."""
        blocked = any(next(self.injector.open(kind), None) for kind in KEEPING_US_FROM_ACTING)
        return blocked or self.disk.full

    @property
    def last_life_seconds(self) -> float:
        """How long the bot lives once everything is healed, of its own time."""
        return LAST_LIFE_SECONDS

    # The week

    async def run(self) -> None:
        """Live through the week, heal everything, reconcile a last time, and audit."""
        self.prepare()
        sampling = asyncio.create_task(self._sample())
        while self.clock.now_ms() < self.end_ms:
            until = (self.end_ms - self.clock.now_ms()) / 1000 / SPEED
            await self._live(until, doomed=True)
        self._heal()
        await self._live(self.last_life_seconds, doomed=False)
        sampling.cancel()
        if not self.violated[10]:
            await self._audit()

    def _heal(self) -> None:
        counts = self.injector.counts() | {"disk full": len(self.disk.refusals_ms)}
        self.struck = {kind: count for kind, count in counts.items() if count}
        self.injector.clear()
        self.disk.healed = self.bot_clock.healed = True

    def after_tick(self) -> None:
        """The watch looks by the bot's time, not by the market's."""

    async def _sample(self) -> None:
        elapsed = round(SAMPLE_SECONDS * 1000)
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            alive = self._desk is not None
            working = alive and not self.hindered
            self.total_ms += elapsed
            self.alive_ms += elapsed if alive else 0
            positions, lacking, equity = self._account()
            self.watch.sample(elapsed, positions, lacking, alive=alive, working=working)
            if equity > 0 and self._desk is not None and self._desk.instruments:
                self.truth.sample(self.clock.now_ms(), equity, working=working)
                state = self._desk.breaker.state
                self.truth.judge(self.clock.now_ms(), state, self.fills(), working=working)
            else:
                self.truth.asleep()
            if self._bot is not None and self._bot._queue.qsize() > QUEUE_LIMIT // 2:
                self.violate(11, f"{self._bot._queue.qsize()} events wait in the bot's queue")

    def _account(self) -> tuple[dict[str, Decimal], dict[str, Decimal], float]:
        """Positions, what of them lacks a stop, and equity, as the venue has them."""
        account = self.exchange.state.accounts[self.signer.address]
        if not account.positions:
            return {}, {}, float(account.cash)  # what the venue would answer, for less
        shown = self.account_state()
        return *self.exposure(shown), float(shown["marginSummary"]["accountValue"])

    async def _live(self, seconds: float, *, doomed: bool) -> None:
        """One life of the bot, at most so long, and what follows its end."""
        self.lives += 1
        self.life = Life()
        before = asyncio.all_tasks()
        transport = self._transport()
        limiter = self._limiter()
        try:
            desk = self._new_desk(transport, limiter)
        except (*FILE_ERRORS, Killed):
            await asyncio.sleep(RESTART_SECONDS)
            return
        self._bot = bot = build_bot(self.config, desk)
        self._count_bars(bot)
        self._desk = desk
        task = asyncio.create_task(KilledAtAwait(bot.run(venue_name=URL), self.life))
        doom = asyncio.create_task(self._doom(task)) if doomed else None
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            if not doomed:
                self.replay.cancel()  # so that nothing moves until the audit
                await asyncio.sleep(SAMPLE_SECONDS)
            bot.stop()
            await asyncio.wait({task}, timeout=STOP_SECONDS)
        if doom is not None:
            doom.cancel()
        if not task.done():
            self.violate(10, f"the bot did not stop within {STOP_SECONDS:g} s")
            task.cancel()
        self._bot = self._desk = None
        await asyncio.wait({task})
        # What tripped since the last sample, before an operator resets it.
        self.truth.judge(self.clock.now_ms(), desk.breaker.state, self.fills(), working=False)
        self._note_recovery(desk)
        desk.ledger.close()
        limiter.close()
        await transport.close()
        for left in asyncio.all_tasks() - before:
            left.cancel()  # a process that has ended does nothing more
        await self._after(task)

    async def _after(self, task: asyncio.Task[None]) -> None:
        """Judge how a life ended, and wait for the next one."""
        if task.cancelled() or isinstance(error := task.exception(), Killed):
            self.deaths += 1
            self._damage()
            await asyncio.sleep(self.rng.choice((1.0, 5.0, 30.0, 120.0)))
        elif isinstance(error, BreakerStopError):
            self.stops += 1
            await asyncio.sleep(OPERATOR_SECONDS)
            reset_stopped(self.folder, list(Cause), self.bot_clock)
            self.truth.reset(self.clock.now_ms())
        elif isinstance(error, FILE_ERRORS) and self.disk.full:
            await asyncio.sleep(RESTART_SECONDS)  # its supervisor starts it again
        elif error is not None:
            self.violate(10, f"{type(error).__name__}: {error}")
            await asyncio.sleep(RESTART_SECONDS)

    async def _doom(self, task: asyncio.Task[None]) -> None:
        """Let the process die some time: at once, or at one of its next writes or requests."""
        if not self.scenario.crashes_a_day:
            return
        mean = DAY_SECONDS / SPEED / self.scenario.crashes_a_day
        await asyncio.sleep(self.rng.expovariate(1 / mean))
        self.life.tears = self.scenario.torn_writes
        if self.rng.random() < 0.25:
            task.cancel()
        else:
            self.life.dies_at = self.life.points + self.rng.randint(1, 60)

    def _damage(self) -> None:
        """Damage the state file of a dead bot, when the scenario says so."""
        state = StateManager(self.folder, self.bot_clock).path
        if self.life.tears and state.exists() and self.rng.random() < 0.3:
            try:
                StateManager(self.folder, self.bot_clock)._read(
                    StateManager(self.folder, self.bot_clock)._backups[0]
                )
            except (OSError, ValueError):
                return  # the copy is torn already; both at once is beyond what is promised
            self.disk.tear(state)

    def _note_recovery(self, desk: Desk) -> None:
        if (recovery := desk.state.recovery) is not None:
            self.recoveries.append(str(recovery))
            if recovery.lost_updates is None or recovery.lost_updates > 0:
                self.lost_updates += recovery.lost_updates or 1
                self.violate(15, str(recovery))

    # The process of one life

    def _transport(self) -> WatchedTransport:
        inner = InProcessTransport(self.exchange, self.clock, limits=False, faults=self.injector)
        return WatchedTransport(inner, self.wire, self.stream)

    def _limiter(self) -> Limiter:
        seed = Random(self.rng.random())  # nosec B311
        path = budget_path(self.folder.parent / "home", URL)
        return Limiter(path, self.own, spender=f"life {self.lives}", rng=seed)

    def _new_desk(self, transport: WatchedTransport, limiter: Limiter) -> Desk:
        venue = HyperliquidVenue(
            transport,
            self.signer,
            account=self.signer.address,
            clock=self.bot_clock,
            mainnet=False,
            limiter=limiter,
            nonces=NonceAllocator(
                self.bot_clock, nonce_path(self.folder.parent / "home", self.signer.address)
            ),
            rng=Random(self.rng.random()),  # nosec B311
        )
        ledger = BreakableLedger(self.folder, self.disk, self.life)
        state = BreakableState(
            self.folder, self.bot_clock, self.disk, self.life, self._second_writer
        )
        return Desk(
            venue=venue,
            account=self.signer.address,
            state=state,
            ledger=ledger,
            clock=self.bot_clock,
            breaker=self.breaker,
        )

    def _second_writer(self) -> None:
        """While the bot writes, another process tries to: it must be refused, or not be lost."""
        self.probes += 1
        if self.probes % 200 != 1:
            return
        other = StateManager(self.folder, self.bot_clock, lock_timeout=0)
        try:
            with other.update():
                pass
        except StateLockedError:
            return
        self.violate(15, "a second writer got at the state while the bot was writing it")

    def _count_bars(self, bot: Bot) -> None:
        closed_by = bot._bars.closed_by

        async def counted(update: CandleUpdate) -> Bar | None:
            bar = await closed_by(update)
            self.bars_decided += bar is not None
            return bar

        bot._bars.closed_by = counted  # type: ignore[method-assign]

    async def _audit(self) -> None:
        """Compare as soon as the budget has room for it again; no market moves any more."""
        for _ in range(AUDIT_MINUTES):
            await asyncio.sleep(MINUTE_SECONDS)
            try:
                await self._compare()
            except RateLimitedError:
                continue
            return
        self.violate(12, f"the budget had no room for an audit within {AUDIT_MINUTES} minutes")

    async def _compare(self) -> None:
        limiter = self._limiter()
        transport = self._transport()
        desk = self._new_desk(transport, limiter)
        try:
            for text in await differences(desk, self.exchange.state.accounts[self.signer.address]):
                self.violate(12, text)
        finally:
            desk.ledger.close()
            limiter.close()
            await transport.close()

    def ledger(self) -> Ledger:
        """The books, for the report."""
        return Ledger(self.folder)
