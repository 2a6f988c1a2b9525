"""The circuit breaker: what stops entries, for how long, and what lets them start again. Pure.

Every cause has a latch of its own:

    closed --limit reached--> open --pause over--> half-open --probe succeeds--> closed
                               ^                       |
                               +------ probe fails ----+

Grave causes have no pause: only `reset` closes them. While a latch is half-open one entry of
reduced size is let through, the probe. Losses in a row wait for the probe's trade to end without
one, the other causes for its execution. What is counted by the UTC day closes at midnight without a
probe, because it is measured anew from there.

Time is UTC epoch ms and never runs backwards here: an earlier `now_ms` counts as the latest one
seen, so that a clock set back neither repeats a day nor shortens a pause.
"""

import math
from collections import deque

from fractaltrader.market.bars import utc
from fractaltrader.risk.breaker_parameters import (
    GRAVE,
    MINUTE_MS,
    SEVERITY,
    Action,
    BreakerParameters,
    Cause,
)
from fractaltrader.risk.breaker_state import (
    BreakerEvent,
    BreakerState,
    Inputs,
    Latch,
    Phase,
    ProbeFate,
    TradeFacts,
)

DAY_MS = 86_400_000
LONGEST_REASON = 200
EVENTS_KEPT = 100

UNTIL_MIDNIGHT = frozenset({Cause.DAILY_LOSS, Cause.TRADES_PER_DAY})
BY_RESULT = frozenset({Cause.CONSECUTIVE_LOSSES})
# Compared with nine times at every look: Python 3.11 takes its time to fetch an enum's member.
OPEN, HALF_OPEN = Phase.OPEN, Phase.HALF_OPEN


class Breaker:
    """The latches of one bot. Every observation takes effect at once; `events` tells of it."""

    def __init__(self, parameters: BreakerParameters, state: BreakerState) -> None:
        self.parameters = parameters
        self.state = state
        self.events: deque[BreakerEvent] = deque(maxlen=EVENTS_KEPT)
        for cause in Cause:
            state.latches.setdefault(cause, Latch())
        self._show_limits()

    # What it says

    def refusal(self, under_way: int = 0) -> str | None:
        """Why no entry may be made now; None when one may.

        Entries `under_way`, sent but not known to have executed, do not trip the day's limit of
        trades, but they must find room in it.
        """
        for cause, latch in self.state.latches.items():
            if latch.phase is OPEN:
                end = f"until {utc(latch.until_ms)}" if latch.until_ms else "until it is reset"
                return f"{cause}: {latch.reason}; {end}"
        if self.probing and self.state.probe:
            return "half_open: the probe entry is under way"
        trades = self.state.latches[Cause.TRADES_PER_DAY]
        if under_way and trades.value + under_way >= trades.limit:
            return f"trades_per_day: {trades.value:g} executed and {under_way} under way"
        return None

    @property
    def probing(self) -> bool:
        """Whether an entry made now is the probe."""
        return HALF_OPEN in [latch.phase for latch in self.state.latches.values()]

    @property
    def size_factor(self) -> float:
        """What to multiply the size of an entry made now with."""
        return self.parameters.probe_size if self.probing else 1.0

    @property
    def action(self) -> Action | None:
        """The strongest action that is in force; None when no latch is open."""
        actions = [self.parameters.action(cause) for cause in self.open_causes()]
        return max(actions, key=SEVERITY.index, default=None)

    def open_causes(self) -> list[Cause]:
        """Causes that are tripped."""
        return [c for c, latch in self.state.latches.items() if latch.phase is OPEN]

    # What it is told

    def advance(self, now_ms: int) -> int:
        """Let time pass: the day turns, pauses end. Returns the breaker's own time."""
        state = self.state
        now = state.clock_ms = max(now_ms, state.clock_ms)
        if now // DAY_MS != state.day:
            self._new_day(now // DAY_MS)
        for cause, latch in state.latches.items():
            if latch.until_ms and now >= latch.until_ms and latch.phase is OPEN:
                self._pause_over(cause, now)
        self._show(Cause.ERRORS, self._recent_errors(now))
        return now

    def equity(self, now_ms: int, equity: float, transferred: float = 0.0) -> None:
        """The account's equity, and the net deposits since accounting began, both in USDC.

        An equity that is not a number says nothing and changes nothing.
        """
        if not (math.isfinite(equity) and math.isfinite(transferred)):
            return
        now, state = self.advance(now_ms), self.state
        self._move_anchors(equity, transferred - state.transferred)
        state.equity, state.transferred = equity, transferred
        state.day_equity = equity if state.day_equity is None else state.day_equity
        state.peak_equity = max(equity, state.peak_equity or equity)
        inputs: Inputs = {"equity": equity, "transferred": transferred}
        for cause, anchor, name in (
            (Cause.DAILY_LOSS, state.day_equity, "opening"),
            (Cause.DRAWDOWN, state.peak_equity, "highest"),
        ):
            loss = max(0.0, (anchor - equity) / anchor) if anchor > 0 else 0.0
            reason = f"equity {equity:.2f} is {loss:.2%} below the {name} {anchor:.2f}"
            self._judge(cause, loss, now, reason, inputs | {name: anchor})

    def trades(self, now_ms: int, facts: TradeFacts) -> None:
        """What the executions amount to by now."""
        now, state = self.advance(now_ms), self.state
        state.last_closed_ms = max(state.last_closed_ms, facts.last_closed_ms)
        if state.probe:
            self._probe(now, facts.probe)
        entries = facts.entries_today - state.forgiven_entries
        reason = f"{entries} entries were executed today"
        self._judge(Cause.TRADES_PER_DAY, entries, now, reason, {"entries": facts.entries_today})
        reason = f"{facts.losses} losing trades in a row"
        inputs: Inputs = {"last_closed_ms": facts.last_closed_ms}
        if self._judge(Cause.CONSECUTIVE_LOSSES, facts.losses, now, reason, inputs):
            state.losses_since_ms = state.last_closed_ms

    def order(self, now_ms: int, refused: str | None) -> None:
        """The venue's answer to an entry: None when it was taken, or the words of the refusal."""
        now, state, parameters = self.advance(now_ms), self.state, self.parameters
        state.rejected = [*state.rejected, refused is not None][-parameters.rejected_orders_of :]
        count = sum(state.rejected)
        if refused is not None and self._phase(Cause.REJECTED_ORDERS) is HALF_OPEN:
            count = max(count, parameters.max_rejected_orders)  # the probe has failed
        reason = f"{count} of {len(state.rejected)} entries were refused, the last one: {refused}"
        inputs: Inputs = {"refused": count, "of": len(state.rejected)}
        self._judge(Cause.REJECTED_ORDERS, count, now, reason, inputs)

    def error(self, now_ms: int, what: str, *, recognised: bool = True) -> None:
        """Something failed; what nobody recognises counts twice."""
        now, state = self.advance(now_ms), self.state
        times = [now] if recognised else [now, now]
        state.errors = [*state.errors, *times][-self.parameters.max_errors :]
        count = self._recent_errors(now)
        window = self.parameters.errors_window_minutes
        reason = f"{count} errors within {window} minutes, the last one: {what}"
        inputs: Inputs = {"errors": count, "oldest_ms": state.errors[0]}
        self._judge(Cause.ERRORS, count, now, reason, inputs)

    def data_age(self, now_ms: int, bars: float) -> None:
        """Age of the newest market data, in bars of the timeframe."""
        now = self.advance(now_ms)
        reason = f"the newest market data is {bars:.1f} bars old"
        self._judge(Cause.STALE_DATA, bars, now, reason, {"age_bars": bars})

    def reconciled(self, now_ms: int, difference: str | None) -> None:
        """A reconciliation was made; `difference` is what did not agree, None when all did."""
        now, state = self.advance(now_ms), self.state
        state.mismatches = state.mismatches + 1 if difference else 0
        reason = f"positions differ after {state.mismatches} reconciliations: {difference}"
        inputs: Inputs = {"difference": difference or ""}
        self._judge(Cause.MISMATCH, state.mismatches, now, reason, inputs)

    def critical(self, now_ms: int, what: str) -> None:
        """Trading on would be wrong."""
        self._judge(Cause.CRITICAL, 1.0, self.advance(now_ms), what, {"error": what})

    def begin_probe(self, cloid: str) -> None:
        """The entry with this client order id is about to be sent while half-open."""
        self.state.probe = cloid

    def reset(self, now_ms: int, causes: list[Cause]) -> None:
        """Close these latches, tripped or not, and measure anew from here and now.

        The operator vouches for the clock too: a time that had run ahead is taken back.
        """
        state = self.state
        state.clock_ms = min(state.clock_ms, now_ms)
        state.day = min(state.day, now_ms // DAY_MS)
        self.advance(now_ms)
        for cause in causes:
            self._measure_anew(cause)
            latch = state.latches[cause]
            if latch.phase is not Phase.CLOSED:
                latch.phase = Phase.CLOSED
                latch.since_ms, latch.until_ms = now_ms, 0
                self._tell(cause, "reset", now_ms, {})
        state.probe = state.probe if self.probing else ""

    # How it works

    def _phase(self, cause: Cause) -> Phase:
        return self.state.latches[cause].phase

    def _judge(
        self,
        cause: Cause,
        value: float,
        now: int,
        reason: str,
        inputs: Inputs,
    ) -> bool:
        """Note `value`; True when it trips the latch. An open one stays open while it is true."""
        latch = self._show(cause, value)
        if value < latch.limit:
            return False
        if latch.phase is OPEN:
            latch.until_ms = max(latch.until_ms, self._until(cause, now))
            return False
        self._open(cause, now, reason, inputs)
        return True

    def _open(self, cause: Cause, now: int, reason: str, inputs: Inputs) -> None:
        latch = self.state.latches[cause]
        latch.phase, latch.since_ms, latch.until_ms = OPEN, now, self._until(cause, now)
        latch.reason = reason[:LONGEST_REASON]
        latch.trips += 1
        latch.trips_today += 1
        self._tell(cause, "tripped", now, inputs)

    def _until(self, cause: Cause, now: int) -> int:
        if cause in GRAVE:
            return 0
        if cause in UNTIL_MIDNIGHT:
            return (now // DAY_MS + 1) * DAY_MS
        return now + self.parameters.pause_ms(cause)

    def _pause_over(self, cause: Cause, now: int) -> None:
        latch = self.state.latches[cause]
        probe = cause not in UNTIL_MIDNIGHT
        latch.phase = HALF_OPEN if probe else Phase.CLOSED
        latch.since_ms, latch.until_ms = now, 0
        self.state.probe = "" if probe else self.state.probe
        if cause not in UNTIL_MIDNIGHT:
            self._measure_anew(cause)
        self._tell(cause, str(latch.phase), now, {})

    def _probe(self, now: int, fate: ProbeFate) -> None:
        """Act on what became of the probe."""
        if fate is ProbeFate.WAITING:
            return
        for cause, latch in self.state.latches.items():
            if latch.phase is not HALF_OPEN or fate is ProbeFate.GONE:
                continue
            if cause not in BY_RESULT or fate is ProbeFate.WON:
                latch.phase, latch.since_ms = Phase.CLOSED, now
                self._tell(cause, "closed", now, {"probe": self.state.probe})
            elif fate is ProbeFate.LOST:
                self._open(cause, now, "the probe trade lost", {"probe": self.state.probe})
        if fate is not ProbeFate.EXECUTED or not self.probing:
            self.state.probe = ""

    def _measure_anew(self, cause: Cause) -> None:
        """Forget what led to a trip, so that it does not trip again by the same facts."""
        state = self.state
        match cause:
            case Cause.DAILY_LOSS:
                state.day_equity = state.equity
            case Cause.DRAWDOWN:
                state.peak_equity = state.equity
            case Cause.TRADES_PER_DAY:
                state.forgiven_entries += int(state.latches[cause].value)
            case Cause.CONSECUTIVE_LOSSES:
                state.losses_since_ms = state.last_closed_ms
            case Cause.REJECTED_ORDERS:
                state.rejected = []
            case Cause.ERRORS:
                state.errors = []
            case Cause.MISMATCH:
                state.mismatches = 0
        self._show(cause, 0.0)

    def _new_day(self, day: int) -> None:
        """After a night without us the first reading of the day opens it, not an old one."""
        state = self.state
        state.day_equity = state.equity if day == state.day + 1 else None
        state.day, state.forgiven_entries = day, 0
        for latch in state.latches.values():
            latch.trips_today = 0
        self._show(Cause.TRADES_PER_DAY, 0.0)

    def _move_anchors(self, equity: float, moved: float) -> None:
        """A transfer changes the equity but no result, so the anchors keep their ratio to it."""
        before, state = equity - moved, self.state
        if not moved or state.day_equity is None or state.peak_equity is None:
            return
        factor = max(equity, 0.0) / before if before > 0 else 0.0
        state.day_equity = state.day_equity * factor or equity
        state.peak_equity = state.peak_equity * factor or equity

    def _recent_errors(self, now: int) -> int:
        window = self.parameters.errors_window_minutes * MINUTE_MS
        return sum(now - time < window for time in self.state.errors)

    def _show(self, cause: Cause, value: float) -> Latch:
        latch = self.state.latches[cause]
        latch.value = float(value)
        return latch

    def _show_limits(self) -> None:
        parameters, latches = self.parameters, self.state.latches
        latches[Cause.DAILY_LOSS].limit = parameters.max_daily_loss
        latches[Cause.DRAWDOWN].limit = parameters.max_drawdown
        latches[Cause.TRADES_PER_DAY].limit = parameters.max_trades_per_day
        latches[Cause.CONSECUTIVE_LOSSES].limit = parameters.max_consecutive_losses
        latches[Cause.REJECTED_ORDERS].limit = parameters.max_rejected_orders
        latches[Cause.ERRORS].limit = parameters.max_errors
        latches[Cause.STALE_DATA].limit = parameters.max_data_age_bars
        latches[Cause.MISMATCH].limit = parameters.max_mismatches
        latches[Cause.CRITICAL].limit = 1.0

    def _tell(self, cause: Cause, change: str, now: int, inputs: Inputs) -> None:
        latch = self.state.latches[cause]
        self.events.append(
            BreakerEvent(
                now,
                cause,
                change,
                self.parameters.action(cause),
                latch.value,
                latch.limit,
                latch.until_ms,
                latch.reason,
                inputs,
            )
        )
