"""The circuit breaker at its borders: what is just allowed, what just trips, and what it tells."""

from collections.abc import Callable

import msgspec
import pytest

from fractaltrader.errors import UserError
from fractaltrader.risk.breaker import Breaker
from fractaltrader.risk.breaker_parameters import Action, BreakerParameters, Cause
from fractaltrader.risk.breaker_state import (
    BreakerEvent,
    BreakerState,
    Latch,
    Phase,
    ProbeFate,
    TradeFacts,
)

# Written out: a unit that is wrong in the product must not be wrong here too.
NOON = 1_728_043_200_000  # of UTC day 20,000
MIDNIGHT = 1_728_086_400_000
DAY = 86_400_000
MINUTE = 60_000
LIMITS = {
    "max_daily_loss": 0.05,
    "max_drawdown": 0.25,
    "max_trades_per_day": 3,
    "max_consecutive_losses": 3,
    "losses_pause_minutes": 7,
    "max_rejected_orders": 2,
    "rejected_orders_of": 4,
    "rejected_pause_minutes": 5,
    "max_errors": 4,
    "errors_window_minutes": 2,
    "errors_pause_minutes": 9,
    "max_data_age_bars": 2.5,
    "stale_pause_minutes": 3,
    "max_mismatches": 2,
    "probe_size": 0.25,
}


def breaker(**changed: object) -> Breaker:
    return Breaker(BreakerParameters.model_validate(LIMITS | changed), BreakerState())


def facts(
    entries: int = 0, losses: int = 0, closed: int = 0, probe: ProbeFate = ProbeFate.GONE
) -> TradeFacts:
    return TradeFacts(entries, losses, closed, probe)


def latch(tested: Breaker, cause: Cause) -> Latch:
    return tested.state.latches[cause]


def equities(*values: float) -> Callable[[Breaker], None]:
    def told(tested: Breaker) -> None:
        for value in values:
            tested.equity(NOON, value)

    return told


def orders(*answers: str | None) -> Callable[[Breaker], None]:
    def told(tested: Breaker) -> None:
        for answer in answers:
            tested.order(NOON, answer)

    return told


def errors(*recognised: bool) -> Callable[[Breaker], None]:
    def told(tested: Breaker) -> None:
        for number, known in enumerate(recognised):
            tested.error(NOON + number, "reset", recognised=known)

    return told


def differences(*found: str | None) -> Callable[[Breaker], None]:
    def told(tested: Breaker) -> None:
        for each in found:
            tested.reconciled(NOON, each)

    return told


# Cause, what it just bears, what just trips it; the trip: time, value, limit, end, reason, inputs.
BORDERS = [
    (
        Cause.DAILY_LOSS, equities(10_000, 9_500.01), equities(10_000, 9_500),
        NOON, 0.05, 0.05, MIDNIGHT,
        "equity 9500.00 is 5.00% below the opening 10000.00",
        {"equity": 9_500, "transferred": 0.0, "opening": 10_000},
    ),
    (
        Cause.DRAWDOWN, equities(7_600, 10_000, 7_500.01), equities(7_600, 10_000, 7_500),
        NOON, 0.25, 0.25, 0,
        "equity 7500.00 is 25.00% below the highest 10000.00",
        {"equity": 7_500, "transferred": 0.0, "highest": 10_000},
    ),
    (
        Cause.TRADES_PER_DAY,
        lambda tested: tested.trades(NOON, facts(entries=2)),
        lambda tested: tested.trades(NOON, facts(entries=3)),
        NOON, 3.0, 3.0, MIDNIGHT, "3 entries were executed today", {"entries": 3},
    ),
    (
        Cause.CONSECUTIVE_LOSSES,
        lambda tested: tested.trades(NOON, facts(losses=2, closed=NOON - 5)),
        lambda tested: tested.trades(NOON, facts(losses=3, closed=NOON - 5)),
        NOON, 3.0, 3.0, NOON + 7 * MINUTE, "3 losing trades in a row", {"last_closed_ms": NOON - 5},
    ),
    (
        Cause.REJECTED_ORDERS,
        orders("tick", None, None, None, "tick"), orders("tick", None, None, "tick"),
        NOON, 2.0, 2.0, NOON + 5 * MINUTE,
        "2 of 4 entries were refused, the last one: tick", {"refused": 2, "of": 4},
    ),
    (
        Cause.ERRORS, errors(True, True, True), errors(True, True, False),
        NOON + 2, 4.0, 4.0, NOON + 2 + 9 * MINUTE,
        "4 errors within 2 minutes, the last one: reset", {"errors": 4, "oldest_ms": NOON},
    ),
    (
        Cause.STALE_DATA,
        lambda tested: tested.data_age(NOON, 2.4999), lambda tested: tested.data_age(NOON, 2.5),
        NOON, 2.5, 2.5, NOON + 3 * MINUTE,
        "the newest market data is 2.5 bars old", {"age_bars": 2.5},
    ),
    (
        Cause.MISMATCH, differences("BTC", None, "BTC"), differences("BTC", "ETH"),
        NOON, 2.0, 2.0, 0,
        "positions differ after 2 reconciliations: ETH", {"difference": "ETH"},
    ),
    (
        Cause.CRITICAL, lambda tested: tested.advance(NOON),
        lambda tested: tested.critical(NOON, "key revoked"),
        NOON, 1.0, 1.0, 0, "key revoked", {"error": "key revoked"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "borne", "tripping", "time", "value", "limit", "until", "reason", "inputs"),
    BORDERS,
    ids=[str(row[0]) for row in BORDERS],
)
def test_a_limit_trips_when_it_is_reached_and_tells_all(  # type: ignore[no-untyped-def]
    cause, borne, tripping, time, value, limit, until, reason, inputs
) -> None:
    """The least below a limit is borne; at the limit the latch opens, once, and its event holds
    everything it was judged by."""
    within = breaker()
    borne(within)
    assert (within.refusal(), within.action, list(within.events)) == (None, None, [])
    tested = breaker()
    tripping(tested)
    action = Action.STOP if cause in (Cause.DRAWDOWN, Cause.CRITICAL) else Action.BLOCK
    event = BreakerEvent(time, cause, "tripped", action, value, limit, until, reason, inputs)
    assert list(tested.events)[-1] == event
    assert latch(tested, cause) == Latch(
        phase=Phase.OPEN, since_ms=time, until_ms=until, reason=reason, value=value, limit=limit,
        trips=1, trips_today=1,
    )  # fmt: skip
    assert cause in tested.open_causes()
    assert tested.action is action


def test_a_new_breaker_remembers_nothing() -> None:
    """What a file of an older program lacks reads as nothing that ever happened."""
    state = msgspec.to_builtins(BreakerState())
    assert state == {
        "clock_ms": 0, "day": 0, "equity": None, "day_equity": None, "peak_equity": None,
        "transferred": 0.0, "forgiven_entries": 0, "losses_since_ms": 0, "last_closed_ms": 0,
        "errors": [], "rejected": [], "mismatches": 0, "probe": "", "latches": {},
    }  # fmt: skip
    assert msgspec.to_builtins(Latch()) == {
        "phase": "closed", "since_ms": 0, "until_ms": 0, "reason": "", "value": 0.0, "limit": 0.0,
        "trips": 0, "trips_today": 0,
    }  # fmt: skip
    assert Breaker(BreakerParameters(), BreakerState()).size_factor == 1.0


def test_new_limits_hold_from_the_start_for_an_old_state() -> None:
    """A latch that was saved shows the limit configured now, and keeps everything else."""
    state = breaker().state
    state.latches[Cause.ERRORS].trips = 5
    again = Breaker(BreakerParameters.model_validate(LIMITS | {"max_errors": 99}), state)
    assert latch(again, Cause.ERRORS) == Latch(limit=99, trips=5)
    state.latches[Cause.TRADES_PER_DAY].value = 2
    lower = Breaker(BreakerParameters.model_validate(LIMITS | {"max_trades_per_day": 1}), state)
    assert lower.refusal() is None  # until what executed is counted again
    assert lower.refusal(under_way=1) == "trades_per_day: 2 executed and 1 under way"


def test_trips_are_counted_for_good_and_for_the_day() -> None:
    """Midnight sets the day's count back, not the other; a second trip on one day counts too."""
    tested = breaker()
    for minute in (0, 10):
        tested.data_age(NOON + minute * MINUTE, 3)
        tested.data_age(NOON + (minute + 5) * MINUTE, 0)
    assert (latch(tested, Cause.STALE_DATA).trips, tested.state.day) == (2, 20_000)
    assert latch(tested, Cause.STALE_DATA).trips_today == 2
    tested.advance(MIDNIGHT - 1)
    assert latch(tested, Cause.STALE_DATA).trips_today == 2
    tested.advance(MIDNIGHT)
    assert (latch(tested, Cause.STALE_DATA).trips, tested.state.day) == (2, 20_001)
    assert latch(tested, Cause.STALE_DATA).trips_today == 0


def test_what_it_keeps_is_bounded() -> None:
    """A reason has 200 characters and the events are the newest 100; rings keep what they need."""
    tested = breaker(max_errors=4)
    tested.critical(NOON, "x" * 300)
    assert latch(tested, Cause.CRITICAL).reason == "x" * 200
    for number in range(60):
        tested.data_age(NOON + number * 4 * MINUTE, 3)
        tested.data_age(NOON + number * 4 * MINUTE + 3 * MINUTE, 0)
        tested.error(NOON, "reset")
        tested.order(NOON, None)
    assert len(tested.events) == 100
    assert (len(tested.state.errors), len(tested.state.rejected)) == (4, 4)


def test_the_room_for_entries_under_way() -> None:
    """Of three a day: one executed leaves room beside one under way, not beside two; none under way
    asks for no room."""
    tested = breaker()
    tested.trades(NOON, facts(entries=1))
    assert tested.refusal(under_way=1) is None
    assert tested.refusal(under_way=2) == "trades_per_day: 1 executed and 2 under way"
    assert tested.refusal() is None
    tested.trades(NOON, facts(entries=3))
    tested.reset(NOON + 1, [Cause.TRADES_PER_DAY])
    assert tested.refusal(under_way=2) is None


def test_an_error_is_forgotten_at_the_end_of_its_window() -> None:
    """Two minutes after, to the millisecond, an error counts no more, told or not."""
    tested = breaker()
    errors(True, True, True)(tested)
    tested.advance(NOON + 2 * MINUTE - 1)
    assert latch(tested, Cause.ERRORS).value == 3
    tested.advance(NOON + 2 * MINUTE)
    assert latch(tested, Cause.ERRORS).value == 2
    tested.error(NOON + 2 * MINUTE, "reset")
    assert tested.refusal() is None
    tested.error(NOON + 2 * MINUTE, "reset")
    assert tested.open_causes() == [Cause.ERRORS]


def test_an_open_latch_that_is_still_true_lasts_longer() -> None:
    """The pause runs from the last moment at the limit, and is never cut short by it."""
    tested = breaker()
    tested.data_age(NOON, 2.5)
    tested.data_age(NOON + MINUTE, 2.5)
    assert latch(tested, Cause.STALE_DATA).until_ms == NOON + 4 * MINUTE
    assert latch(tested, Cause.STALE_DATA).since_ms == NOON
    tested.data_age(NOON + 2 * MINUTE, 2.4)
    assert latch(tested, Cause.STALE_DATA).until_ms == NOON + 4 * MINUTE
    assert len(tested.events) == 1
    tested.equity(NOON, 10_000)
    tested.equity(NOON, 7_000)
    tested.equity(NOON + 3 * DAY, 6_900)
    assert latch(tested, Cause.DRAWDOWN).until_ms == 0


def test_a_pause_that_is_over_lets_a_smaller_probe_through() -> None:
    """Half-open since that moment, with nothing left of what led there, at a quarter of size."""
    tested = breaker()
    orders("tick", "tick")(tested)
    tested.advance(NOON + 5 * MINUTE - 1)
    assert (tested.probing, tested.size_factor) == (False, 1.0)
    assert tested.advance(NOON + 5 * MINUTE) == NOON + 5 * MINUTE
    now = latch(tested, Cause.REJECTED_ORDERS)
    assert (now.phase, now.since_ms, now.until_ms) == (Phase.HALF_OPEN, NOON + 5 * MINUTE, 0)
    assert (now.value, tested.state.rejected) == (0.0, [])
    assert (tested.probing, tested.size_factor, tested.action) == (True, 0.25, None)
    assert tested.events[-1].change == "half_open"
    tested.begin_probe("0x1")
    assert tested.refusal() == "half_open: the probe entry is under way"


def test_a_refused_probe_opens_again_though_it_is_the_only_one() -> None:
    """One refusal of two that are allowed is enough where it was the probe's; a taken probe is not
    one, and while closed one refusal is borne."""
    tested = breaker()
    orders("tick", "tick")(tested)
    tested.advance(NOON + 5 * MINUTE)
    tested.order(NOON + 5 * MINUTE, None)
    assert latch(tested, Cause.REJECTED_ORDERS).phase is Phase.HALF_OPEN
    tested.order(NOON + 6 * MINUTE, "margin")
    assert latch(tested, Cause.REJECTED_ORDERS).value == 2
    assert latch(tested, Cause.REJECTED_ORDERS).until_ms == NOON + 11 * MINUTE


def half_open(*causes: Cause) -> tuple[Breaker, int]:
    """A breaker whose latches wait for a probe that is under way, and its time."""
    tested = breaker()
    if Cause.CONSECUTIVE_LOSSES in causes:
        tested.trades(NOON, facts(losses=3, closed=NOON))
    if Cause.ERRORS in causes:
        errors(True, True, True, True)(tested)
    now = NOON + 20 * MINUTE
    tested.advance(now)
    tested.begin_probe("0x1")
    tested.events.clear()
    return tested, now + 1


BOTH = (Cause.CONSECUTIVE_LOSSES, Cause.ERRORS)


@pytest.mark.parametrize(
    ("fate", "losses_phase", "errors_phase", "probe", "told"),
    [
        (ProbeFate.WAITING, Phase.HALF_OPEN, Phase.HALF_OPEN, "0x1", []),
        (ProbeFate.GONE, Phase.HALF_OPEN, Phase.HALF_OPEN, "", []),
        (ProbeFate.EXECUTED, Phase.HALF_OPEN, Phase.CLOSED, "0x1", ["errors closed"]),
        (
            ProbeFate.WON, Phase.CLOSED, Phase.CLOSED, "",
            ["consecutive_losses closed", "errors closed"],
        ),
        (
            ProbeFate.LOST, Phase.OPEN, Phase.CLOSED, "",
            ["consecutive_losses tripped", "errors closed"],
        ),
    ],
)  # fmt: skip
def test_what_becomes_of_the_probe(
    fate: ProbeFate, losses_phase: Phase, errors_phase: Phase, probe: str, told: list[str]
) -> None:
    """Its execution shows that orders work, its result whether trading pays; each latch waits for
    what it asks."""
    tested, now = half_open(*BOTH)
    tested.trades(now, facts(closed=NOON, probe=fate))
    losses, failed = latch(tested, BOTH[0]), latch(tested, BOTH[1])
    assert (losses.phase, failed.phase, tested.state.probe) == (losses_phase, errors_phase, probe)
    assert [f"{event.cause} {event.change}" for event in tested.events] == told
    assert all(event.inputs == {"probe": "0x1"} for event in tested.events)
    if fate is not ProbeFate.WAITING and fate is not ProbeFate.GONE:
        assert failed.since_ms == now
    if fate is ProbeFate.WON:
        assert (losses.since_ms, tested.size_factor, tested.refusal()) == (now, 1.0, None)
    if fate is ProbeFate.LOST:
        assert losses.until_ms == now + 7 * MINUTE
        assert losses.reason == "the probe trade lost"


def test_an_executed_probe_is_forgotten_where_nothing_waits_for_its_result() -> None:
    """With errors alone half-open its execution ends the matter."""
    tested, now = half_open(Cause.ERRORS)
    tested.trades(now, facts(probe=ProbeFate.EXECUTED))
    assert (tested.state.probe, tested.probing, tested.refusal()) == ("", False, None)


def test_midnight_does_not_disturb_a_probe() -> None:
    """The day's trades close at midnight by themselves and leave the probe of another cause, and
    its entry, where they are."""
    tested, now = half_open(Cause.CONSECUTIVE_LOSSES)
    tested.trades(now, facts(entries=3, probe=ProbeFate.EXECUTED))
    assert tested.open_causes() == [Cause.TRADES_PER_DAY]
    tested.advance(MIDNIGHT)
    closed = latch(tested, Cause.TRADES_PER_DAY)
    assert (closed.phase, closed.since_ms, closed.until_ms) == (Phase.CLOSED, MIDNIGHT, 0)
    assert (closed.value, tested.events[-1].change) == (0.0, "closed")
    assert tested.refusal() == "half_open: the probe entry is under way"


def test_a_new_pause_forgets_an_old_probe() -> None:
    """Once another cause comes to its probe, the entry sent before decides no more."""
    tested, now = half_open(Cause.CONSECUTIVE_LOSSES)
    tested.data_age(now, 3)
    tested.advance(now + 3 * MINUTE)
    assert (tested.state.probe, tested.refusal()) == ("", None)


def test_transfers_move_the_anchors_in_proportion() -> None:
    """A deposit or withdrawal keeps the loss a fraction of what is there, whatever is there."""
    tested = breaker(max_daily_loss=0.5, max_drawdown=0.9)
    tested.equity(NOON, 10_000, transferred=2_000)  # what came before does not move anything
    assert (tested.state.day_equity, tested.state.peak_equity) == (10_000, 10_000)
    tested.equity(NOON, 12_000, transferred=2_000)
    tested.equity(NOON, 9_000, transferred=2_000)
    tested.equity(NOON, 4_500, transferred=-2_500)
    assert (tested.state.day_equity, tested.state.peak_equity) == (5_000, 6_000)
    assert tested.state.transferred == -2_500
    assert latch(tested, Cause.DAILY_LOSS).value == pytest.approx(0.1)
    assert latch(tested, Cause.DRAWDOWN).value == pytest.approx(0.25)


def test_emptied_and_filled_again_is_no_loss() -> None:
    """All withdrawn, the anchors are nothing; a deposit into nothing, or into debt, is where they
    start anew."""
    tested = breaker()
    tested.equity(NOON, 10_000)
    tested.equity(NOON, 0, transferred=-10_000)
    assert (tested.state.day_equity, tested.state.peak_equity) == (0, 0)
    assert latch(tested, Cause.DAILY_LOSS).value == 0
    tested.equity(NOON, 500, transferred=-9_500)
    assert (tested.state.day_equity, tested.state.peak_equity) == (500, 500)
    indebted = breaker(max_daily_loss=0.5, max_drawdown=0.9)
    indebted.equity(NOON, -5)
    indebted.equity(NOON, 995, transferred=1_000)
    assert (indebted.state.day_equity, indebted.refusal()) == (995, None)
    indebted.equity(NOON, 0.5, transferred=1_000)
    assert latch(indebted, Cause.DAILY_LOSS).value == pytest.approx(1 - 0.5 / 995)


@pytest.mark.parametrize(
    ("equity", "transferred", "day", "peak"),
    [
        (0.8, 0.4, 1.2, 1.6),  # 40 cents were doubled, and the anchors with them
        (0.4, 0.5, 0.4, 0.4),  # 50 cents came in where 10 were owed
        (-0.5, -0.9, -0.5, -0.5),  # 90 went out where 40 were left
    ],
)
def test_cents_move_the_anchors_too(
    equity: float, transferred: float, day: float, peak: float
) -> None:
    """Below one dollar, and below nothing, a transfer is judged as above it."""
    tested = breaker(max_daily_loss=0.5, max_drawdown=0.9)
    tested.equity(NOON, 0.8)
    tested.equity(MIDNIGHT - 1, 0.6)
    tested.equity(MIDNIGHT, 0.4)
    tested.equity(MIDNIGHT, equity, transferred=transferred)
    state = tested.state
    assert (state.day_equity, state.peak_equity) == (pytest.approx(day), pytest.approx(peak))


def test_gains_are_no_loss_and_small_accounts_are_judged_too() -> None:
    """Above its anchors the value is 0, and an account of half a dollar has a day's loss."""
    tested = breaker()
    tested.equity(NOON, 0.5)
    tested.equity(NOON, 0.6)
    assert latch(tested, Cause.DAILY_LOSS).value == 0
    assert (tested.state.day_equity, tested.state.peak_equity) == (0.5, 0.6)
    tested.equity(NOON, 0.4)
    assert set(tested.open_causes()) == {Cause.DAILY_LOSS, Cause.DRAWDOWN}


@pytest.mark.parametrize("transferred", [float("nan"), float("inf")])
def test_unknown_transfers_change_nothing(transferred: float) -> None:
    """An equity whose deposits are not known is not judged."""
    tested = breaker()
    tested.equity(NOON, 10_000)
    tested.equity(NOON, 5_000, transferred=transferred)
    assert (tested.state.equity, tested.state.transferred, tested.refusal()) == (10_000, 0.0, None)


def test_a_reset_forgives_what_was_and_nothing_after() -> None:
    """Entries, losses, errors, refusals and differences before it count no more; as many after it
    trip again."""
    tested = breaker()
    equities(10_000, 7_500)(tested)
    tested.trades(NOON + 10, facts(entries=3, losses=3, closed=NOON - 5))
    errors(True, True, True, True)(tested)
    orders("tick", "tick")(tested)
    differences("BTC", "BTC")(tested)
    tested.critical(NOON, "key")
    tested.data_age(NOON, 3)
    assert set(tested.open_causes()) == set(Cause)
    tested.events.clear()
    tested.reset(NOON + MINUTE, list(Cause))
    state = tested.state
    assert [(event.cause, event.change) for event in tested.events] == [(c, "reset") for c in Cause]
    assert all(event.inputs == {} and event.time_ms == NOON + MINUTE for event in tested.events)
    for closed in state.latches.values():
        assert (closed.phase, closed.since_ms, closed.until_ms) == (Phase.CLOSED, NOON + MINUTE, 0)
        assert closed.value == 0
    assert (state.day_equity, state.peak_equity) == (7_500, 7_500)
    assert (state.errors, state.rejected, state.mismatches) == ([], [], 0)
    assert state.losses_since_ms == state.last_closed_ms == NOON - 5
    tested.trades(NOON + MINUTE, facts(entries=5))
    assert (tested.refusal(), latch(tested, Cause.TRADES_PER_DAY).value) == (None, 2)
    tested.trades(NOON + MINUTE, facts(entries=6))
    assert tested.open_causes() == [Cause.TRADES_PER_DAY]
    tested.reset(NOON + MINUTE, [Cause.TRADES_PER_DAY])
    assert state.forgiven_entries == 6
    tested.advance(MIDNIGHT)
    assert state.forgiven_entries == 0


def test_a_reset_of_one_cause_leaves_the_others() -> None:
    """Closed latches tell of no reset, open ones stay open, and a probe that others wait for stays
    the probe."""
    tested, now = half_open(*BOTH)
    tested.critical(now, "key")
    tested.events.clear()
    tested.reset(now, [Cause.MISMATCH, Cause.ERRORS])
    assert [event.cause for event in tested.events] == [Cause.ERRORS]
    assert tested.open_causes() == [Cause.CRITICAL]
    assert tested.state.probe == "0x1"
    tested.reset(now, list(Cause))
    assert (tested.state.probe, tested.refusal()) == ("", None)


def test_a_reset_takes_the_clock_back_but_only_back() -> None:
    """A time that had run ahead is taken back with its day; one that lags moves on."""
    tested = breaker()
    tested.equity(NOON + 9 * DAY, 10_000)
    tested.reset(NOON, [])
    assert (tested.state.clock_ms, tested.state.day) == (NOON, 20_000)
    assert tested.state.day_equity == 10_000  # no day has turned
    tested.reset(NOON + DAY, [])
    assert (tested.state.clock_ms, tested.state.day) == (NOON + DAY, 20_001)
    assert tested.advance(NOON) == NOON + DAY


def test_losses_count_from_the_trip_that_they_caused() -> None:
    """The losses that tripped are told to the book as done with, as many again only make the pause
    last; a reset is done with all of them. The newest closing is kept though an older one is told
    later."""
    tested = breaker()
    tested.trades(NOON, facts(losses=2, closed=NOON - 9))
    assert (tested.state.losses_since_ms, tested.state.last_closed_ms) == (0, NOON - 9)
    tested.trades(NOON, facts(losses=3, closed=NOON - 8))
    assert tested.state.losses_since_ms == NOON - 8
    tested.trades(NOON, facts(losses=0, closed=NOON - 30))
    assert tested.state.last_closed_ms == NOON - 8
    tested.trades(NOON + MINUTE, facts(losses=3, closed=NOON - 7))
    assert latch(tested, Cause.CONSECUTIVE_LOSSES).until_ms == NOON + 8 * MINUTE
    assert (tested.state.losses_since_ms, tested.state.last_closed_ms) == (NOON - 8, NOON - 7)
    tested.reset(NOON + MINUTE, [Cause.CONSECUTIVE_LOSSES])
    assert tested.state.losses_since_ms == NOON - 7


def test_the_day_opens_with_the_last_equity_of_the_night() -> None:
    """Over one midnight the last reading opens the day, over two the next one does."""
    tested = breaker(max_daily_loss=0.5, max_drawdown=0.9)
    tested.equity(NOON, 10_000)
    tested.equity(MIDNIGHT - 1, 9_000)
    tested.equity(MIDNIGHT, 8_000)
    assert tested.state.day_equity == 9_000
    tested.equity(NOON + 3 * DAY, 7_000)
    assert (tested.state.day_equity, tested.state.peak_equity) == (7_000, 10_000)


def test_only_grave_causes_ask_for_a_person() -> None:
    """A refusal says until when, in UTC, or that only a reset ends it."""
    tested = breaker()
    tested.data_age(NOON, 3)
    assert str(tested.refusal()).endswith("bars old; until 2024-10-04 12:03:00Z")
    tested.reset(NOON, [Cause.STALE_DATA])
    tested.critical(NOON, "key")
    assert tested.refusal() == "critical: key; until it is reset"


def test_as_many_refusals_as_entries_looked_at_can_be_reached() -> None:
    """The limit may be all of the entries looked at, and trips at the last one of them."""
    tested = breaker(max_rejected_orders=4)
    orders("tick", "tick", "tick")(tested)
    assert tested.refusal() is None
    tested.order(NOON, "tick")
    assert tested.open_causes() == [Cause.REJECTED_ORDERS]
    with pytest.raises(UserError, match="max_rejected_orders = 5 must not exceed"):
        BreakerParameters.parse(LIMITS | {"max_rejected_orders": 5}, "[breaker]")
