"""Laws of the circuit breaker, whatever happens to it."""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fractaltrader.risk.breaker import DAY_MS, Breaker
from fractaltrader.risk.breaker_parameters import (
    GRAVE,
    MINUTE_MS,
    BreakerParameters,
    Cause,
)
from fractaltrader.risk.breaker_state import BreakerState, Phase, ProbeFate, TradeFacts

START = 20_000 * DAY_MS
PARAMETERS = BreakerParameters(
    max_daily_loss=0.05,
    max_drawdown=0.1,
    max_trades_per_day=4,
    max_consecutive_losses=3,
    max_rejected_orders=2,
    rejected_orders_of=4,
    max_errors=5,
    max_mismatches=2,
)
BOUND_BYTES = 16 * 1024


def copied(breaker: Breaker) -> Breaker:
    """The same breaker after a restart: all it has is what was saved."""
    saved = msgspec.json.encode(breaker.state)
    return Breaker(PARAMETERS, msgspec.json.decode(saved, type=BreakerState))


class Life(RuleBasedStateMachine):
    """One breaker goes on, its twin restarts before every observation; a model judges both."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.latest = START
        self.breaker = Breaker(PARAMETERS, BreakerState())
        self.breaker.advance(START)
        self.twin = copied(self.breaker)
        self.grave: set[Cause] = set()
        self.mismatches = 0

    def observe(self, name: str, *arguments: object, **options: object) -> None:
        self.latest = max(self.latest, self.now)
        was = {cause: self.breaker.state.latches[cause].phase for cause in Cause}
        self.twin = copied(self.twin)
        for each in (self.breaker, self.twin):
            getattr(each, name)(self.now, *arguments, **options)
        for event in self.breaker.events:
            if event.change == "tripped":
                assert was[event.cause] is not Phase.OPEN
                assert event.value >= event.limit or "probe" in event.inputs
                self.grave |= {event.cause} & GRAVE
        self.breaker.events.clear()

    def tripped(self, cause: Cause) -> bool:
        return self.breaker.state.latches[cause].phase is Phase.OPEN

    @rule(minutes=st.integers(0, 3_000))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE_MS
        self.observe("advance")

    @rule(minutes=st.integers(1, 3_000))
    def the_clock_is_set_back(self, minutes: int) -> None:
        self.now = max(0, self.now - minutes * MINUTE_MS)
        before = self.breaker.state.day
        self.observe("advance")
        assert self.breaker.state.day == before

    @rule(equity=st.floats(0.01, 20_000))
    def equity(self, equity: float) -> None:
        self.observe("equity", equity)
        state = self.breaker.state
        assert state.peak_equity is not None
        if state.peak_equity > 0 and equity <= 0.899 * state.peak_equity:
            assert self.tripped(Cause.DRAWDOWN)

    @rule(
        entries=st.integers(0, 8),
        losses=st.integers(0, 5),
        probe=st.sampled_from(ProbeFate),
        closed=st.integers(0, START),
    )
    def trades(self, entries: int, losses: int, probe: ProbeFate, closed: int) -> None:
        forgiven = self.breaker.state.forgiven_entries
        day = self.breaker.state.day
        self.observe("trades", TradeFacts(entries, losses, closed, probe))
        if entries - (forgiven if self.breaker.state.day == day else 0) >= 4:
            assert self.tripped(Cause.TRADES_PER_DAY)
        if losses >= 3:
            assert self.tripped(Cause.CONSECUTIVE_LOSSES)

    @rule(refused=st.sampled_from([None, "tick"]))
    def order(self, refused: str | None) -> None:
        self.observe("order", refused)
        if sum(self.breaker.state.rejected) >= 2:
            assert self.tripped(Cause.REJECTED_ORDERS)

    @rule(recognised=st.booleans())
    def error(self, recognised: bool) -> None:
        self.observe("error", "timeout", recognised=recognised)

    @rule(difference=st.sampled_from([None, "BTC"]))
    def reconciled(self, difference: str | None) -> None:
        self.mismatches = self.mismatches + 1 if difference else 0
        self.observe("reconciled", difference)
        assert self.tripped(Cause.MISMATCH) or self.mismatches < 2

    @rule(age=st.floats(0, 5))
    def data_age(self, age: float) -> None:
        self.observe("data_age", age)
        assert self.tripped(Cause.STALE_DATA) or age < 2

    @rule()
    def critical(self) -> None:
        self.observe("critical", "revoked")
        assert self.tripped(Cause.CRITICAL)

    @rule(cause=st.sampled_from(Cause))
    def reset(self, cause: Cause) -> None:
        self.observe("reset", [cause])
        self.grave.discard(cause)
        self.mismatches = 0 if cause is Cause.MISMATCH else self.mismatches
        assert self.breaker.state.latches[cause].phase is Phase.CLOSED

    @rule()
    def enter(self) -> None:
        if self.breaker.refusal() is None and self.breaker.probing:
            for each in (self.breaker, self.twin):
                each.begin_probe("0x1")
            assert self.breaker.refusal() is not None

    @invariant()
    def grave_causes_never_close_by_themselves(self) -> None:
        assert all(self.tripped(cause) for cause in self.grave)

    @invariant()
    def what_is_open_refuses(self) -> None:
        if self.breaker.open_causes():
            assert self.breaker.refusal() is not None
            assert self.breaker.action is not None

    @invariant()
    def restarts_change_nothing(self) -> None:
        assert self.twin.state == self.breaker.state
        assert self.twin.refusal() == self.breaker.refusal()

    @invariant()
    def the_state_is_bounded(self) -> None:
        assert len(msgspec.json.encode(self.breaker.state)) <= BOUND_BYTES


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@given(
    st.lists(st.tuples(st.integers(0, 4 * MINUTE_MS), st.booleans()), max_size=60),
    st.integers(2, 12),
)
@settings(max_examples=150, deadline=None)
def test_errors_trip_exactly_when_a_window_is_full(
    errors: list[tuple[int, bool]], limit: int
) -> None:
    """The ring trips at the very error that fills a sliding window, and at no other: a brute-force
    count of every window says the same."""
    parameters = BreakerParameters(max_errors=limit, errors_window_minutes=10)
    breaker, now, seen = Breaker(parameters, BreakerState()), START, list[int]()
    for gap, recognised in errors:
        now += gap
        seen += [now] if recognised else [now, now]
        breaker.error(now, "timeout", recognised=recognised)
        full = sum(now - time < 10 * MINUTE_MS for time in seen) >= limit
        assert full == bool(breaker.open_causes())
        if full:
            return


def test_an_hour_of_random_errors_below_the_limit_trips_nothing() -> None:
    """200 hours of random transient errors at a third of the default limit's rate: no trip."""
    parameters = BreakerParameters()
    rate = parameters.max_errors / parameters.errors_window_minutes / 3
    for seed in range(200):
        rng, breaker = random.Random(seed), Breaker(parameters, BreakerState())
        time = 0.0
        while (time := time + rng.expovariate(rate)) < 60:
            breaker.error(START + int(time * MINUTE_MS), "connection reset")
        assert list(breaker.events) == []
        assert len(breaker.state.errors) == parameters.max_errors
