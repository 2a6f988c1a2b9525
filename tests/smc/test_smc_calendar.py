"""Holes, periods, sessions and higher timeframes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import M15, candles_of, events_of, random_bars, told

from fractaltrader.errors import UserError
from fractaltrader.market import Bar
from fractaltrader.market.timeframe import DAY_MS, Timeframe
from fractaltrader.smc import EngineParameters, Event, EventKind, SmcEngine, detect_events
from fractaltrader.smc.periods import month_of, month_start

# Naive on purpose: wall-clock times that zones are applied to.
WALL_CLOCK_RANGE = datetime(1970, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001
LONDON_RULES_RANGE = datetime(1995, 1, 1), datetime(2055, 1, 1)  # noqa: DTZ001

QUIET = {
    "structure": False, "displacement": False, "mss": False, "fvg": False, "order_blocks": False,
    "liquidity": False, "dealing_range": False, "breakers": False, "labels": False,
}  # fmt: skip


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def bars_from(text: str, count: int, skip: tuple[int, ...] = ()) -> list[Bar]:
    """Bars whose high is 1000 + number and low 1000 - number, so that the last is outermost."""
    start = ms(text)
    return [
        Bar(start + i * M15.ms, 1000, 1000 + i, 1000 - i, 1000, 1)
        for i in range(count)
        if i not in skip
    ]


def test_missing_bars_are_an_event() -> None:
    """A hole is told at the first bar after it, with how many bars are missing; twice is two."""
    bars = bars_from("2024-01-01", 12, skip=(3, 4, 9))
    holes = [e for e in events_of(bars) if e.kind is EventKind.HOLE]
    assert [(e.at, e.known, e.members) for e in holes] == [(3, 3, 2), (7, 7, 1)]


def test_hole_delays_or_voids() -> None:
    """Across a hole a swing and a gap are stated as bars come, or with `void` not at all."""
    m = M15.ms
    bars = [
        Bar(0, 100, 101, 99, 100, 1),
        Bar(m, 100, 105, 100, 104, 1),
        Bar(9 * m, 103, 104, 102, 103, 1),
        Bar(10 * m, 103, 104, 102.5, 103, 1),
    ]  # fmt: skip
    assert [e[0] for e in told(bars, "SWING", "FVG", side=1)] == ["SWING", "FVG"]
    assert told(bars, "SWING", "FVG", side=1, holes="void") == []
    whole = [bar._replace(open_time=i * m) for i, bar in enumerate(bars)]
    assert [e[0] for e in told(whole, "SWING", "FVG", side=1, holes="void")] == ["SWING", "FVG"]


def test_previous_day_is_told_by_the_first_bar_of_the_next() -> None:
    """High and low of a whole day are known with the first bar of the next day, and its own bar
    does not count."""
    bars = bars_from("2024-01-01", 97)
    found = [e for e in events_of(bars) if e.kind is EventKind.PREV_DAY]
    assert [(e.side, e.at, e.known, e.level, e.low, e.high, e.members) for e in found] == [
        (1, 95, 96, 1095, 905, 1095, 96),
        (-1, 95, 96, 905, 905, 1095, 96),
    ]


def test_incomplete_periods_have_no_level() -> None:
    """Below the coverage the level is NaN, and the bars that were seen are counted."""
    late = bars_from("2024-01-01T12:00", 49)
    first, _ = [e for e in events_of(late) if e.kind is EventKind.PREV_DAY]
    assert first.level != first.level
    assert first.members == 48
    first, _ = [e for e in events_of(late, min_coverage=0.5) if e.kind is EventKind.PREV_DAY]
    assert first.level == 1047
    lost = bars_from("2024-01-01", 300, skip=tuple(range(96, 192)))
    found = [e for e in events_of(lost) if e.kind is EventKind.PREV_DAY and e.side == 1]
    assert [(e.known, e.members) for e in found] == [(96, 0), (192, 96)], "no bar of the day before"
    assert found[0].level != found[0].level
    assert found[0].high != found[0].high


def test_weeks_begin_on_monday_and_months_on_their_first() -> None:
    """Over 2024's leap February every week and month is told by its successor's first bar."""
    bars = [Bar(ms("2024-01-01") + i * M15.ms, 9, 10, 8, 9, 1) for i in range(96 * 62)]
    events = events_of(bars, **QUIET)

    def known(kind: EventKind) -> list[str]:
        found = (bars[e.known].open_time for e in events if e.kind is kind and e.side == 1)
        return [datetime.fromtimestamp(time / 1000, UTC).strftime("%m-%d") for time in found]

    assert known(EventKind.PREV_MONTH) == ["02-01", "03-01"]
    weeks = ["01-08", "01-15", "01-22", "01-29", "02-05", "02-12", "02-19", "02-26"]
    assert known(EventKind.PREV_WEEK) == weeks
    assert len(known(EventKind.PREV_DAY)) == 61
    assert all(e.level == (10 if e.side > 0 else 8) for e in events if e.kind.name[:4] == "PREV")


@given(st.datetimes(*WALL_CLOCK_RANGE))
def test_months_are_those_of_the_calendar(when: datetime) -> None:
    """The kernel's month of a moment begins and ends where the calendar says."""
    when = when.replace(tzinfo=UTC)
    month = month_of(int(when.timestamp() * 1000))
    start = when.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (start + timedelta(days=32)).replace(day=1)
    assert month_start(month) == int(start.timestamp()) * 1000
    assert month_start(month + 1) == int(following.timestamp()) * 1000


def test_sweep_of_a_previous_extreme() -> None:
    """With target=period_extreme the sweep of yesterday's high is an event that rests on it."""
    day = [Bar(i * M15.ms, 100, 110, 90, 100, 1) for i in range(96)]
    bars = [*day, Bar(DAY_MS, 100, 105, 95, 100, 1), Bar(DAY_MS + M15.ms, 100, 111, 99, 105, 1)]
    events = events_of(bars, target="period_extreme")
    (sweep,) = [e for e in events if e.kind is EventKind.SWEEP]
    assert (sweep.side, sweep.known, sweep.level, sweep.high) == (1, 97, 110, 111)
    assert events[sweep.ref].kind is EventKind.PREV_DAY


def session_times(name: str, start: str, days: int, **clauses: object) -> list[tuple[str, str]]:
    """First and last bar of every session as UTC text."""
    bars = [Bar(ms(start) + i * M15.ms, 9, 10, 8, 9, 1) for i in range(96 * days)]
    events = events_of(bars, **QUIET, sessions=(name,), **clauses)

    def text(bar: int) -> str:
        return datetime.fromtimestamp(bars[bar].open_time / 1000, UTC).strftime("%m-%d %H:%M")

    opened = [e.known for e in events if e.kind is EventKind.SESSION_OPEN]
    closed = [e.known for e in events if e.kind is EventKind.SESSION and e.side == 1]
    return [(text(a), text(b)) for a, b in zip(opened, closed, strict=False)]


def test_sessions_follow_daylight_saving() -> None:
    """London opens at 08:00 its own time: an hour earlier in UTC from 31 March 2024."""
    assert session_times("london", "2024-03-30", 3) == [
        ("03-30 08:00", "03-30 16:45"),
        ("03-31 07:00", "03-31 15:45"),
        ("04-01 07:00", "04-01 15:45"),
    ]
    assert session_times("new_york", "2024-11-02", 2) == [
        ("11-02 12:00", "11-02 20:45"),
        ("11-03 13:00", "11-03 21:45"),
    ]


def test_session_past_midnight_and_one_that_began_before_our_bars() -> None:
    """A session over midnight is one; one already running at our first bar is not told."""
    times = session_times("night=22:00-02:00@UTC", "2024-01-01", 2)
    assert times == [("01-01 22:00", "01-02 01:45")]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    st.datetimes(*LONDON_RULES_RANGE),
    st.integers(0, 1439),
    st.integers(15, 1430),
)
def test_a_session_runs_by_the_zone_s_own_clock(
    zone: str, when: datetime, start: int, length: int
) -> None:
    """A bar runs in a session exactly when the zone's own clock is within [start, end), except that
    an hour the clock repeats does not begin it twice."""
    end = (start + length - 1) % 1440 + 1
    text = f"s={start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}@{zone}"
    engine = SmcEngine(EngineParameters(**QUIET, sessions=(text,)), M15)
    first = int(when.replace(tzinfo=UTC).timestamp()) // 900 * 900_000
    ran: set[object] = set()
    running = None
    for i in range(200):
        time = first + i * M15.ms
        local = datetime.fromtimestamp(time / 1000, ZoneInfo(zone))
        minute = local.hour * 60 + local.minute
        wraps = end <= start
        inside = minute >= start or minute < end if wraps else start <= minute < end
        day = local.date() - timedelta(days=int(wraps and minute < end))
        if i == 0 and inside and minute != start:
            ran.add(day)  # it may have begun before our bars
        told_now = {e.kind for e in engine.on_bar(Bar(time, 9, 10, 8, 9, 1))}
        begins = inside and day not in ran
        assert (EventKind.SESSION_OPEN in told_now) == begins
        if begins:
            ran.add(day)
            running = day
        if not inside or running != day:
            running = None
        assert not (engine.state.sessions.whole[0, 0] == 1 and running is None)


def test_extremes_and_opening_range_of_a_session() -> None:
    """The final extremes name their bars; the opening range is known with its window's last bar."""
    bars = bars_from("2024-01-01T08:00", 40)
    events = events_of(bars, sessions=("london",), opening_range_minutes=30)
    high, low = (e for e in events if e.kind is EventKind.SESSION)
    assert (high.at, high.known, high.level, high.origin) == (35, 35, 1035, 0)
    assert (low.side, low.level, events[low.ref].kind) == (-1, 965, EventKind.SESSION_OPEN)
    top, bottom = (e for e in events if e.kind is EventKind.OPENING_RANGE)
    assert (top.at, top.known, top.level) == (1, 1, 1001)
    assert bottom.level == 999
    broken = bars_from("2024-01-01T08:00", 40, skip=(1,))
    top, _ = [
        e
        for e in events_of(broken, sessions=("london",), opening_range_minutes=30)
        if e.kind is EventKind.OPENING_RANGE
    ]
    assert top.known == 1
    assert top.level != top.level


def test_wrong_sessions_are_refused() -> None:
    """Unknown names, zones, empty spans and doubles are one clear line each."""
    for text, rule in (
        ("londn", "did you mean 'london'"),
        ("x=08:00-08:00@UTC", "not be empty"),
        ("x=08:00-25:00@UTC", "end by 24:00"),
        ("x=08:00-09:00@Europe/Londn", "not an IANA time zone"),
        ("x=8-9", "is not name=HH:MM"),
    ):
        with pytest.raises(UserError, match=rule):
            EngineParameters.parse({"sessions": (text,)}, "test")
    with pytest.raises(UserError, match="each session once"):
        EngineParameters.parse({"sessions": ("london", "london")}, "test")
    many = EngineParameters(sessions=tuple(f"s{n}=08:00-09:00@UTC" for n in range(9)))
    with pytest.raises(UserError, match="9 are too many; give at most 8"):
        SmcEngine(many)


def shifted(events: list[Event], last_bar: list[int]) -> list[tuple]:
    """Events of higher candles in numbers of base bars, without their ids."""
    return [
        (e.kind, e.side, last_bar[e.at], last_bar[e.known], last_bar[e.origin], e.level, e.low,
         e.high, e.members)
        for e in events
        if not e.kind.name.startswith("PREV") and e.kind is not EventKind.HOLE
    ]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(random_bars(least=60, most=150), st.sampled_from(["30m", "1h", "2h"]))
def test_higher_timeframe_is_detection_on_higher_candles(bars: list[Bar], name: str) -> None:
    """Its events are those of the resampled candles, known at the base bar that closed them."""
    # Whole ticks: sums are exact, so running and fresh averages agree.
    bars = [Bar(i * M15.ms, *(round(p * 10) for p in b[1:5]), b.volume) for i, b in enumerate(bars)]
    timeframe = Timeframe.parse(name)
    each = timeframe.ms // M15.ms
    whole = len(bars) // each
    params = EngineParameters(left=1, right=1, atr_bars=3, retracements=True, strength=True)
    higher = candles_of(bars[: whole * each]).resampled(timeframe)
    alone = detect_events(higher, params).records()
    together = detect_events(candles_of(bars), params.model_copy(update={"htf": (name,)}))
    found = [e for e in together.records() if e.timeframe == 1]
    last_bar = [(i + 1) * each - 1 for i in range(whole)]
    base_numbers = shifted(found, list(range(len(bars))))
    assert base_numbers == shifted(alone, last_bar)
    base = [e for e in together.records() if e.timeframe == 0]
    plain = detect_events(candles_of(bars), params).records()
    assert [repr(e[:5]) + repr(e[8:11]) for e in base] == [
        repr(e[:5]) + repr(e[8:11]) for e in plain
    ]


def test_higher_bar_with_a_missing_end_closes_with_the_next_base_bar() -> None:
    """Where the base bar that ends it is missing, a higher bar is known one base bar later, and a
    first bar that is not seen from its start is left out."""
    highs = [100, 101, 108, 102, 101, 100, 99, 98]
    start = ms("2024-01-01T00:15")
    slots = [0, 1, 2, 3, 4, 5, 7, 8]  # 01:45 is missing
    bars = [
        Bar(start + slot * M15.ms, high - 1, high, high - 2, high - 1, 1)
        for slot, high in zip(slots, highs, strict=True)
    ]
    params = EngineParameters(left=1, right=1, htf=("30m",))
    engine = SmcEngine(params, M15)
    closes = []
    for i, bar in enumerate(bars):
        before = int(engine.state.cores[1].counters[0])
        engine.on_bar(bar)
        closes += [i] * (int(engine.state.cores[1].counters[0]) - before)
    assert closes == [2, 4, 6, 7]


def test_wrong_higher_timeframes_are_refused() -> None:
    """Unknown, unsorted, shorter and indivisible timeframes are refused by name."""
    for htf, rule in (
        (("7m",), "is not one of"),
        (("4h", "1h"), "shortest first"),
        (("1h", "2h", "4h", "8h"), "at most 3"),
    ):
        with pytest.raises(UserError, match=rule):
            EngineParameters.parse({"htf": htf}, "test")
    with pytest.raises(UserError, match="htf: 1m cannot be built from 15m bars"):
        SmcEngine(EngineParameters(htf=("1m",)), M15)
