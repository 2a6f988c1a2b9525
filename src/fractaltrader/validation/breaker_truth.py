"""The breaker's causes told anew from the exchange's own account, to find false and missed stops.

What must have tripped is judged only by what lasted: the bot reads its account at least once a
minute, so a loss that every sample of the last ninety seconds shows cannot have escaped it.
"""

from collections import deque
from collections.abc import Sequence
from math import inf

from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.breaker_state import BreakerState, Phase
from fractaltrader.simulator.state import Fill
from fractaltrader.validation.invariants import Violate
from fractaltrader.validation.stream_watch import StreamWatch
from fractaltrader.validation.trades_truth import TradesTruth
from fractaltrader.validation.wire_watch import WireWatch

DAY_MS = 86_400_000
SUSTAINED = 20  # samples
SLACK = 0.005  # of the equity, between two samples
# The bot looks at its clock every two seconds, in which the market's runs half a minute on.
SILENCE_SLACK_MS = 30_000


class DayOpening:
    """The least that the bot can have taken for the day's opening equity.

    It takes what it read last before midnight, at most a minute old when it was at work. So the
    lowest of the samples around midnight is told, and nothing for a day whose midnight, or whose
    beginning after a reset, the bot did not work through.
    """

    def __init__(self) -> None:
        self.equity: float | None = None
        self._around: list[float] = []
        self._before: deque[float] = deque(maxlen=SUSTAINED)
        self._day = 0

    def reset(self) -> None:
        """What is measured begins anew with the next day."""
        self.equity, self._around = None, []
        self._before.clear()

    def missed(self) -> None:
        """The bot was not at work."""
        self._before.clear()
        self._around = []

    def sample(self, day: int, equity: float, *, working: bool) -> None:
        """The equity of this moment."""
        if day != self._day:
            first = self._day == 0
            self._day, self.equity, self._around = day, None, []
            if first or len(self._before) == SUSTAINED:
                self._around = [*self._before, equity]
        elif self._around:
            self._around.append(equity)
        if not working:
            self.missed()
            return
        self._before.append(equity)
        if len(self._around) == 2 * SUSTAINED:
            self.equity, self._around = min(self._around), []


class BreakerTruth:
    """What the breaker should know, from the venue's side."""

    def __init__(
        self,
        parameters: BreakerParameters,
        wire: WireWatch,
        stream: StreamWatch,
        violate: Violate,
        *,
        bar_ms: int,
        disk_refusals_ms: Sequence[int] = (),
    ) -> None:
        self.trips: dict[str, int] = {}
        self.false_stops = 0
        self.missed_stops = 0
        self._parameters = parameters
        self._wire = wire
        self._stream = stream
        self._violate = violate
        self._bar_ms = bar_ms
        self._disk_refusals_ms = disk_refusals_ms
        self._trades = TradesTruth()
        self._opening = DayOpening()
        self._seen: dict[Cause, int] = {}
        self._recent: deque[float] = deque(maxlen=SUSTAINED)
        # What the venue told the bot between two samples counts too: prices jump and come back.
        self._lows: deque[float] = deque(maxlen=SUSTAINED)
        self._told_low = inf
        self._since_ms = 0
        self._due: dict[Cause, int] = {}  # samples that a cause has been there without a trip
        self._peak = self._sustained_peak = 0.0
        self._day, self._day_peak = 0, 0.0

    def reset(self, now_ms: int) -> None:
        """The operator vouches for everything up to here."""
        self._since_ms = now_ms
        self._recent.clear()
        self._lows.clear()
        self._opening.reset()
        self._peak = self._sustained_peak = self._day_peak = 0.0

    def asleep(self) -> None:
        """No bot is there to see this moment."""
        self._opening.missed()

    def told(self, equity: float) -> None:
        """What the venue has answered to the bot."""
        self._told_low = min(self._told_low, equity)
        self._peak = max(self._peak, equity)
        self._day_peak = max(self._day_peak, equity)

    def sample(self, now_ms: int, equity: float, *, working: bool) -> None:
        """The account's true equity, USDC, every few seconds."""
        if now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            self._day_peak = max(list(self._recent)[-3:], default=equity)
        self._opening.sample(self._day, equity, working=working)
        self._recent.append(equity)
        self._lows.append(min(equity, self._told_low))
        self._told_low = inf
        self._peak = max(self._peak, equity)
        self._day_peak = max(self._day_peak, equity)
        if len(self._recent) == SUSTAINED:
            self._sustained_peak = max(self._sustained_peak, min(self._recent))

    def judge(
        self, now_ms: int, state: BreakerState, fills: Sequence[Fill], *, working: bool
    ) -> None:
        """Hold the breaker's latches against the truth."""
        if not state.clock_ms:
            return  # a life that has not opened its state yet
        self._trades.see(fills, working=working)
        entries = self._trades.entries_since(now_ms // DAY_MS * DAY_MS)
        losses = self._trades.most_losses_in_a_row(self._since_ms)
        silence_ms = self._stream.silence_ms()
        for cause, latch in state.latches.items():
            if latch.trips > self._seen.get(cause, 0):
                self.trips[str(cause)] = self.trips.get(str(cause), 0) + 1
                if (
                    not self._true(cause, now_ms, entries, losses, silence_ms)
                    and "probe" not in latch.reason
                ):
                    self.false_stops += 1
                    self._violate(8, f"breaker {cause} tripped by {latch.reason!r}")
            self._seen[cause] = latch.trips
        if not working or self._wire.told_to_wait:
            return
        parameters = self._parameters
        drawdown = self._lasting_loss(self._sustained_peak)
        self._must(state, Cause.DRAWDOWN, drawdown >= parameters.max_drawdown + SLACK)
        day_loss = self._lasting_loss(self._opening.equity)
        self._must(state, Cause.DAILY_LOSS, day_loss >= parameters.max_daily_loss + SLACK)
        self._must(state, Cause.TRADES_PER_DAY, entries >= parameters.max_trades_per_day)
        since = state.latches[Cause.CONSECUTIVE_LOSSES].since_ms
        recent = self._trades.losses_in_a_row(max(since, self._since_ms, state.losses_since_ms))
        self._must(state, Cause.CONSECUTIVE_LOSSES, recent >= parameters.max_consecutive_losses)

    def _lasting_loss(self, anchor: float | None) -> float:
        """Fraction of `anchor` that every one of the recent samples has lost."""
        if not anchor or len(self._recent) < SUSTAINED:
            return 0.0
        return 1 - max(self._recent) / anchor

    def _must(self, state: BreakerState, cause: Cause, due: bool) -> None:
        latch = state.latches[cause]
        forgiven = cause is Cause.TRADES_PER_DAY and state.forgiven_entries > 0
        if not due or latch.phase is not Phase.CLOSED or forgiven:
            self._due[cause] = 0
            return
        self._due[cause] = self._due.get(cause, 0) + 1
        if self._due[cause] == SUSTAINED:
            self.missed_stops += 1
            self._violate(9, f"breaker {cause} has not tripped although its limit is reached")

    def _true(self, cause: Cause, now_ms: int, entries: int, losses: int, silence_ms: int) -> bool:
        parameters = self._parameters
        low = min([*self._lows, self._told_low])
        match cause:
            case Cause.DRAWDOWN:
                return low <= self._peak * (1 - parameters.max_drawdown + SLACK)
            case Cause.DAILY_LOSS:
                return low <= self._day_peak * (1 - parameters.max_daily_loss + SLACK)
            case Cause.TRADES_PER_DAY:
                return entries >= parameters.max_trades_per_day
            case Cause.CONSECUTIVE_LOSSES:
                return losses >= parameters.max_consecutive_losses
            case Cause.ERRORS:
                window = parameters.errors_window_minutes * 60_000
                failures_ms = (*self._wire.failures_ms, *self._disk_refusals_ms)
                known = sum(now_ms - at <= 1.5 * window for at in failures_ms)
                return 2 * known + 2 >= parameters.max_errors
            case Cause.REJECTED_ORDERS:
                return self._wire.refused_entries >= parameters.max_rejected_orders
            case Cause.STALE_DATA:
                return silence_ms >= parameters.max_data_age_bars * self._bar_ms - SILENCE_SLACK_MS
            case _:
                return False
