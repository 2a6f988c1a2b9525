"""The breaker's causes told anew from the exchange's own account, to find false and missed stops.

What must have tripped is judged only by what lasted: the bot reads its account at least once a
minute, so a loss that every sample of the last ninety seconds shows cannot have escaped it.
"""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from fractaltrader.live.intents import Role, identity_of
from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.breaker_state import BreakerState, Phase
from fractaltrader.simulator.state import Fill
from fractaltrader.validation.wire_watch import Violate, WireWatch

DAY_MS = 86_400_000
SUSTAINED = 20  # samples
SLACK = 0.005  # of the equity, between two samples


class BreakerTruth:
    """What the breaker should know, from the venue's side."""

    def __init__(
        self, parameters: BreakerParameters, wire: WireWatch, violate: Violate, *, faulty: bool
    ) -> None:
        self.trips: dict[str, int] = {}
        self.false_stops = 0
        self.missed_stops = 0
        self._parameters = parameters
        self._wire = wire
        self._violate = violate
        self._faulty = faulty
        self._seen: dict[Cause, int] = {}
        self._recent: deque[float] = deque(maxlen=SUSTAINED)
        self._since_ms = 0
        self._due: dict[Cause, int] = {}  # samples that a cause has been there without a trip
        self._peak = self._sustained_peak = 0.0
        self._day, self._day_peak = 0, 0.0

    def reset(self, now_ms: int) -> None:
        """The operator vouches for everything up to here."""
        self._since_ms = now_ms
        self._recent.clear()
        self._peak = self._sustained_peak = self._day_peak = 0.0

    def sample(self, now_ms: int, equity: float) -> None:
        """The account's true equity, USDC, every few seconds."""
        if now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            self._day_peak = max(list(self._recent)[-3:], default=equity)
        self._recent.append(equity)
        self._peak = max(self._peak, equity)
        self._day_peak = max(self._day_peak, equity)
        if len(self._recent) == SUSTAINED:
            self._sustained_peak = max(self._sustained_peak, min(self._recent))

    def judge(
        self, now_ms: int, state: BreakerState, fills: Sequence[Fill], *, working: bool
    ) -> None:
        """Hold the breaker's latches against the truth."""
        entries, losses = entries_of_day(fills, now_ms), losses_in_a_row(fills, self._since_ms)
        for cause, latch in state.latches.items():
            if latch.trips > self._seen.get(cause, 0):
                self.trips[str(cause)] = self.trips.get(str(cause), 0) + 1
                if not self._true(cause, now_ms, entries, losses) and "probe" not in latch.reason:
                    self.false_stops += 1
                    self._violate(8, f"breaker {cause} tripped by {latch.reason!r}")
            self._seen[cause] = latch.trips
        if not working:
            return
        loss = 0.0
        if len(self._recent) == SUSTAINED and self._sustained_peak:
            loss = 1 - max(self._recent) / self._sustained_peak
        parameters = self._parameters
        self._must(state, Cause.DRAWDOWN, loss >= parameters.max_drawdown + SLACK)
        self._must(state, Cause.TRADES_PER_DAY, entries >= parameters.max_trades_per_day)
        since = state.latches[Cause.CONSECUTIVE_LOSSES].since_ms
        recent = losses_in_a_row(fills, max(since, self._since_ms, state.losses_since_ms))
        self._must(state, Cause.CONSECUTIVE_LOSSES, recent >= parameters.max_consecutive_losses)

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

    def _true(self, cause: Cause, now_ms: int, entries: int, losses: int) -> bool:
        parameters = self._parameters
        low = min(self._recent, default=0.0)
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
                known = sum(now_ms - at <= 1.5 * window for at in self._wire.failures_ms)
                return self._faulty and 2 * known + 2 >= parameters.max_errors
            case Cause.REJECTED_ORDERS:
                return self._wire.refused_entries >= parameters.max_rejected_orders
            case Cause.STALE_DATA:
                return self._faulty
            case _:
                return False


def entries_of_day(fills: Sequence[Fill], now_ms: int) -> int:
    """Entries that began to execute since midnight UTC."""
    midnight = now_ms // DAY_MS * DAY_MS
    first: dict[str, int] = {}
    for fill in fills:
        identity = identity_of(fill.cloid)
        if identity is not None and identity.role is Role.ENTRY:
            first.setdefault(identity.decision, fill.time_ms)
    return sum(time_ms >= midnight for time_ms in first.values())


def losses_in_a_row(fills: Sequence[Fill], since_ms: int) -> int:
    """The newest run of trades that lost, of those that closed after `since_ms`."""
    pnl: dict[str, Decimal] = {}
    losses = 0
    for fill in fills:
        total = pnl.pop(fill.coin, Decimal(0)) + fill.closed_pnl - fill.fee
        signed = fill.size if str(fill.side) == "B" else -fill.size
        if fill.start_position + signed:
            pnl[fill.coin] = total
        elif fill.time_ms > since_ms and total:
            losses = losses + 1 if total < 0 else 0
    return losses
