"""The circuit breaker by hand: every cause, every way out, midnight, transfers and clocks."""

import pytest

from fractaltrader.errors import UserError
from fractaltrader.risk.breaker import DAY_MS, Breaker
from fractaltrader.risk.breaker_parameters import (
    GRAVE,
    MINUTE_MS,
    Action,
    BreakerParameters,
    Cause,
)
from fractaltrader.risk.breaker_state import BreakerState, Phase, ProbeFate, TradeFacts

NOON = 20_000 * DAY_MS + DAY_MS // 2
MIDNIGHT = 20_001 * DAY_MS


def breaker(**changed: object) -> Breaker:
    return Breaker(BreakerParameters.model_validate(changed), BreakerState())


def facts(entries: int = 0, losses: int = 0, probe: ProbeFate = ProbeFate.GONE) -> TradeFacts:
    return TradeFacts(entries, losses, NOON, probe)


def phase(tested: Breaker, cause: Cause) -> Phase:
    return tested.state.latches[cause].phase


def test_daily_loss_trips_at_its_limit_and_ends_with_the_day() -> None:
    """10,000 at the opening: 9,500.01 is armed, 9,500 trips 5 %, midnight closes it."""
    tested = breaker(max_daily_loss=0.05)
    tested.equity(NOON, 10_000)
    tested.equity(NOON + 1, 9_500.01)
    assert tested.refusal() is None
    tested.equity(NOON + 2, 9_500)
    assert str(tested.refusal()).startswith("daily_loss: equity 9500.00 is 5.00% below the opening")
    (event,) = tested.events
    assert event.inputs == {"equity": 9_500, "transferred": 0.0, "opening": 10_000}
    assert (event.until_ms, event.action) == (MIDNIGHT, Action.BLOCK)
    tested.equity(MIDNIGHT - 1, 9_990)
    assert phase(tested, Cause.DAILY_LOSS) is Phase.OPEN
    tested.advance(MIDNIGHT)
    assert phase(tested, Cause.DAILY_LOSS) is Phase.CLOSED
    assert tested.state.day_equity == 9_990
    assert tested.size_factor == 1.0


def test_a_withdrawal_is_no_loss() -> None:
    """Half the account withdrawn after a loss of 4 % leaves the loss at 4 %; a deposit likewise."""
    tested = breaker(max_daily_loss=0.05, max_drawdown=0.06)
    tested.equity(NOON, 10_000)
    tested.equity(NOON + 1, 9_600)
    tested.equity(NOON + 2, 4_800, transferred=-4_800)
    assert tested.refusal() is None
    assert tested.state.latches[Cause.DAILY_LOSS].value == pytest.approx(0.04)
    tested.equity(NOON + 3, 96_000, transferred=86_400)
    assert tested.state.latches[Cause.DRAWDOWN].value == pytest.approx(0.04)
    tested.equity(NOON + 4, 95_000, transferred=86_400)
    assert tested.open_causes() == [Cause.DAILY_LOSS]


def test_drawdown_stays_until_it_is_reset() -> None:
    """8,000 after a peak of 10,000 trips 20 %; neither weeks nor gains close it, a reset does and
    measures from the equity of that moment."""
    tested = breaker(max_drawdown=0.2, max_daily_loss=0.5)
    tested.equity(NOON, 10_000)
    tested.equity(NOON + DAY_MS, 8_000)
    assert tested.action is Action.STOP
    tested.equity(NOON + 30 * DAY_MS, 11_000)
    assert tested.open_causes() == [Cause.DRAWDOWN]
    assert "until it is reset" in str(tested.refusal())
    tested.reset(NOON + 31 * DAY_MS, [Cause.DRAWDOWN])
    assert tested.refusal() is None
    assert tested.state.peak_equity == 11_000


def test_trades_per_day_count_from_midnight() -> None:
    """The third executed entry trips a limit of three; at midnight UTC the count starts anew."""
    tested = breaker(max_trades_per_day=3)
    tested.trades(NOON, facts(entries=2))
    assert tested.refusal() is None
    tested.trades(MIDNIGHT - 1, facts(entries=3))
    assert str(tested.refusal()).startswith("trades_per_day: 3 entries were executed today")
    tested.trades(MIDNIGHT, facts(entries=0))
    assert tested.refusal() is None
    assert tested.size_factor == 1.0


def test_entries_under_way_need_room_in_the_day() -> None:
    """Two executed and one on its way fill a limit of three without tripping it."""
    tested = breaker(max_trades_per_day=3)
    tested.trades(NOON, facts(entries=2))
    assert tested.refusal(under_way=0) is None
    assert tested.refusal(under_way=1) == "trades_per_day: 2 executed and 1 under way"
    assert tested.open_causes() == []


def test_losses_in_a_row_wait_for_a_probe_that_wins() -> None:
    """Six losses pause entries for four hours; then one entry at half size. Lost, it pauses again;
    won, it closes the breaker. Meanwhile nothing else is entered."""
    tested = breaker(max_consecutive_losses=6, losses_pause_minutes=240)
    tested.trades(NOON, facts(losses=6))
    assert "6 losing trades in a row" in str(tested.refusal())
    later = NOON + 240 * MINUTE_MS
    tested.advance(later - 1)
    assert tested.refusal() is not None
    tested.advance(later)
    assert (tested.refusal(), tested.size_factor) == (None, 0.5)
    tested.begin_probe("first")
    tested.trades(later + 1, facts(losses=0, probe=ProbeFate.WAITING))
    assert tested.refusal() == "half_open: the probe entry is under way"
    tested.trades(later + 2, facts(losses=0, probe=ProbeFate.EXECUTED))
    assert tested.refusal() == "half_open: the probe entry is under way"
    tested.trades(later + 3, facts(losses=1, probe=ProbeFate.LOST))
    assert tested.open_causes() == [Cause.CONSECUTIVE_LOSSES]
    again = later + 3 + 240 * MINUTE_MS
    tested.advance(again)
    tested.begin_probe("second")
    tested.trades(again + 1, facts(losses=0, probe=ProbeFate.WON))
    assert (tested.refusal(), tested.size_factor) == (None, 1.0)
    assert [event.change for event in tested.events] == [
        "tripped",
        "half_open",
        "tripped",
        "half_open",
        "closed",
    ]


def test_a_probe_that_came_to_nothing_lets_the_next_one_through() -> None:
    """An entry that never executed decides nothing."""
    tested = breaker()
    tested.trades(NOON, facts(losses=6))
    tested.advance(NOON + DAY_MS)
    tested.begin_probe("lost")
    tested.trades(NOON + DAY_MS + 1, facts(probe=ProbeFate.GONE))
    assert tested.refusal() is None
    assert tested.probing


def test_refused_entries_among_the_latest() -> None:
    """Three refusals of the latest five trip; an older one that fell out does not count. After the
    pause a probe that executes closes, one that is refused opens again at once."""
    tested = breaker(max_rejected_orders=3, rejected_orders_of=5, rejected_pause_minutes=30)
    for refused in ("tick", None, None, None, "tick", "tick"):
        tested.order(NOON, refused)
    assert tested.refusal() is None
    tested.order(NOON, "tick")
    assert "3 of 5 entries were refused, the last one: tick" in str(tested.refusal())
    later = NOON + 30 * MINUTE_MS
    tested.advance(later)
    tested.begin_probe("probe")
    tested.order(later, "margin")
    assert tested.open_causes() == [Cause.REJECTED_ORDERS]
    tested.advance(later + 30 * MINUTE_MS)
    tested.begin_probe("probe")
    tested.order(later + 30 * MINUTE_MS, None)
    tested.trades(later + 30 * MINUTE_MS, facts(probe=ProbeFate.EXECUTED))
    assert (tested.refusal(), tested.size_factor) == (None, 1.0)


def test_errors_within_the_window_unknown_ones_twice() -> None:
    """Ten in ten minutes trip: nine are too few, nine with one unknown among them enough; after
    the window they count no more."""
    tested = breaker(max_errors=10, errors_window_minutes=10)
    for _ in range(9):
        tested.error(NOON, "timeout")
    tested.error(NOON + 10 * MINUTE_MS, "timeout")
    assert tested.refusal() is None
    for n in range(8):
        tested.error(NOON + 11 * MINUTE_MS + n, "timeout", recognised=n != 3)
    assert "10 errors within 10 minutes" in str(tested.refusal())


def test_stale_data_opens_while_it_lasts() -> None:
    """Two bars without data trip; the pause runs from the last stale moment."""
    tested = breaker(max_data_age_bars=2, stale_pause_minutes=1)
    tested.data_age(NOON, 1.99)
    assert tested.refusal() is None
    tested.data_age(NOON, 2)
    tested.data_age(NOON + 5 * MINUTE_MS, 9)
    tested.data_age(NOON + 5 * MINUTE_MS + 59_999, 0)
    assert tested.open_causes() == [Cause.STALE_DATA]
    tested.data_age(NOON + 6 * MINUTE_MS, 0)
    assert (tested.refusal(), tested.size_factor) == (None, 0.5)


def test_a_mismatch_must_last_and_stays() -> None:
    """Two reconciliations that differ may be early; the third in a row trips for good."""
    tested = breaker(max_mismatches=3)
    for difference in ("BTC", "BTC", None, "BTC", "BTC"):
        tested.reconciled(NOON, difference)
    assert tested.refusal() is None
    tested.reconciled(NOON, "BTC: ours 1, venue 2")
    tested.reconciled(NOON + DAY_MS, None)
    assert "BTC: ours 1, venue 2; until it is reset" in str(tested.refusal())


def test_a_critical_error_stops_for_good() -> None:
    """One is enough, whatever happens afterwards."""
    tested = breaker()
    tested.critical(NOON, "key revoked")
    tested.advance(NOON + 100 * DAY_MS)
    assert tested.action is Action.STOP
    assert str(tested.refusal()).startswith("critical: key revoked")


def test_the_strongest_action_wins() -> None:
    """Of two tripped causes flatten outweighs block."""
    tested = breaker(on_mismatch="flatten", max_mismatches=1)
    tested.trades(NOON, facts(entries=30))
    assert tested.action is Action.BLOCK
    tested.reconciled(NOON, "BTC")
    assert tested.action is Action.FLATTEN


def test_a_clock_set_back_resets_nothing() -> None:
    """Hours back, even over midnight, neither start the day anew nor lengthen or end a pause."""
    tested = breaker(max_trades_per_day=2, max_daily_loss=0.05)
    tested.equity(MIDNIGHT + 1, 10_000)
    tested.trades(MIDNIGHT + 1, facts(entries=2))
    tested.equity(MIDNIGHT - 6 * 3_600_000, 9_400)
    assert set(tested.open_causes()) == {Cause.TRADES_PER_DAY, Cause.DAILY_LOSS}
    tested.advance(MIDNIGHT + 2)
    assert len(tested.open_causes()) == 2
    assert tested.state.latches[Cause.DAILY_LOSS].until_ms == MIDNIGHT + DAY_MS


def test_a_reset_takes_back_a_clock_that_had_run_ahead() -> None:
    """After a jump to another year and back, a reset lets days turn again."""
    tested = breaker(max_trades_per_day=2)
    tested.advance(NOON + 400 * DAY_MS)
    tested.trades(NOON, facts(entries=2))
    tested.reset(NOON, list(Cause))
    assert tested.refusal() is None
    tested.trades(NOON + 1, facts(entries=4))
    assert tested.open_causes() == [Cause.TRADES_PER_DAY]
    tested.trades(MIDNIGHT, facts(entries=0))
    assert tested.refusal() is None


def test_nights_away_do_not_count_as_the_day() -> None:
    """A bot that comes back after days takes the first reading as the day's opening."""
    tested = breaker(max_daily_loss=0.05, max_drawdown=0.5)
    tested.equity(NOON, 10_000)
    tested.equity(NOON + 3 * DAY_MS, 9_000)
    assert tested.refusal() is None
    assert tested.state.day_equity == 9_000


@pytest.mark.parametrize("equity", [float("nan"), float("inf")])
def test_an_unknown_equity_changes_nothing(equity: float) -> None:
    """What is not a number is neither a loss nor a new peak."""
    tested = breaker()
    tested.equity(NOON, 10_000)
    tested.equity(NOON, equity)
    assert tested.refusal() is None
    assert tested.state.peak_equity == 10_000


def test_only_grave_causes_lack_an_end() -> None:
    """Every other cause says until when."""
    for cause in Cause:
        assert (breaker()._until(cause, NOON) == 0) == (cause in GRAVE)


def test_limits_that_cannot_be_reached_are_refused() -> None:
    """More refusals than entries looked at would never trip."""
    with pytest.raises(UserError, match=r"\[breaker\]: max_rejected_orders = 11 must not exceed"):
        BreakerParameters.parse({"max_rejected_orders": 11}, "config.toml [breaker]")
    with pytest.raises(UserError, match="on_drawdown = 'sell'"):
        BreakerParameters.parse({"on_drawdown": "sell"}, "config.toml [breaker]")
