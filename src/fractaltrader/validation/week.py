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
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator, nonce_path
from fractaltrader.exchange.limiter import Limiter, budget_path
from fractaltrader.exchange.port import CandleUpdate
from fractaltrader.live.assembly import build_bot
from fractaltrader.live.audit import audit
from fractaltrader.live.bot import FILE_ERRORS, QUEUE_LIMIT, Bot
from fractaltrader.live.breaker import BreakerStopError
from fractaltrader.live.control import reset_stopped
from fractaltrader.live.desk import Desk
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.parameters import DataParameters
from fractaltrader.live.state import Intent
from fractaltrader.live.state_manager import StateLockedError, StateManager
from fractaltrader.market import Bar
from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.sizing import RiskParameters
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import HalfOpen, Halt, PostOnly, RateLimit, Unreachable
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.state import Fill
from fractaltrader.simulator.virtual_time import LoopClock
from fractaltrader.validation.breaker_truth import BreakerTruth
from fractaltrader.validation.invariants import VIOLATIONS_KEPT, AccountWatch, Violation
from fractaltrader.validation.process import (
    BreakableLedger,
    BreakableState,
    Disk,
    JumpingClock,
    KilledAtAwait,
    Life,
)
from fractaltrader.validation.scenarios import Scenario
from fractaltrader.validation.wire_watch import WatchedTransport, WireWatch
from fractaltrader.validation.world import Killed, World

SPEED = 15.0
SAMPLE_SECONDS = 5.0
RESTART_SECONDS = 10.0
OPERATOR_SECONDS = 120.0
LAST_LIFE_SECONDS = 150.0
STOP_SECONDS = 180.0
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
        self.wire = WireWatch(self.folder, self.own, self.clock, self.violate)
        self.watch = AccountWatch(self)
        scenario = self.scenario
        faulty = bool(scenario.tables or scenario.crashes_a_day or scenario.disk_full)
        faulty = faulty or bool(scenario.clock_jumps)
        self.truth = BreakerTruth(self.breaker, self.wire, self.violate, faulty=faulty)

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
        self.injector.clear()
        self.disk.healed = self.bot_clock.healed = True

    async def _sample(self) -> None:
        elapsed = round(SAMPLE_SECONDS * 1000)
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            alive = self._desk is not None
            working = alive and not self.hindered
            self.total_ms += elapsed
            self.alive_ms += elapsed if alive else 0
            self.watch.sample(elapsed, alive=alive, working=working)
            answer = self.exchange.info({"type": "clearinghouseState", "user": self.signer.address})
            equity = float(answer["marginSummary"]["accountValue"])
            if equity > 0 and self._desk is not None and self._desk.instruments:
                self.truth.sample(self.clock.now_ms(), equity)
                state = self._desk.breaker.state
                self.truth.judge(self.clock.now_ms(), state, self.fills(), working=working)
            if self._bot is not None and self._bot._queue.qsize() > QUEUE_LIMIT // 2:
                self.violate(11, f"{self._bot._queue.qsize()} events wait in the bot's queue")

    async def _live(self, seconds: float, *, doomed: bool) -> None:
        """One life of the bot, at most so long, and what follows its end."""
        self.lives += 1
        self.life = Life()
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
        self._note_recovery(desk)
        desk.ledger.close()
        limiter.close()
        await transport.close()
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
                    StateManager(self.folder, self.bot_clock)._backups()[0]
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
        return WatchedTransport(inner, self.wire)

    def _limiter(self) -> Limiter:
        seed = Random(self.rng.random())  # nosec B311
        path = budget_path(self.folder.parent / "home", URL)
        return Limiter(path, LoopClock(self.own.now_ms()), spender=f"life {self.lives}", rng=seed)

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
        limiter = self._limiter()
        transport = self._transport()
        desk = self._new_desk(transport, limiter)
        try:
            await desk.venue.instruments()
            for line in await audit(desk.venue, desk.ledger, desk.state.load()):
                if not line.agrees:
                    self.violate(12, f"{line.what}: ours {line.ours}, venue {line.venue}")
        finally:
            desk.ledger.close()
            limiter.close()
            await transport.close()

    def ledger(self) -> Ledger:
        """The books, for the report."""
        return Ledger(self.folder)
