"""Laws that detection obeys on every market."""

from hypothesis import given, settings
from hypothesis import strategies as st
from markets import (
    M15,
    candles_of,
    facts,
    hold_the_prefix_law,
    random_bars,
    random_engine,
    random_swings,
)

from fractaltrader.market import Bar
from fractaltrader.smc import EngineParameters, Event, EventKind, SmcEngine, detect_events
from fractaltrader.smc.batch import columns, run
from fractaltrader.smc.engine import BAR_ROWS, new_state
from fractaltrader.smc.events import columns_of, new_buffer, wider

# A run's first example compiles, which takes long.
SLOW_FIRST = settings(max_examples=60, deadline=None)
ENDS = (EventKind.SWEEP, EventKind.TAKEN, EventKind.EXPIRED, EventKind.POOL)


def interpreted(bars: list[Bar], params: EngineParameters) -> list[Event]:
    engine = SmcEngine(params, M15)
    return [event for bar in bars for event in engine.on_bar(bar)]


@SLOW_FIRST
@given(random_bars(with_holes=True), random_engine())
def test_prefix_law(bars: list[Bar], params: EngineParameters) -> None:
    """A market cut at any bar has exactly the events of the whole that were known by then."""
    hold_the_prefix_law(candles_of(bars), params, range(1, len(bars)))


@SLOW_FIRST
@given(random_bars(with_holes=True), random_engine())
def test_interpreted_equals_compiled(bars: list[Bar], params: EngineParameters) -> None:
    """The bot's interpreter and the lab's machine code find the same events bit for bit."""
    found = detect_events(candles_of(bars), params).records()
    assert facts(interpreted(bars, params)) == facts(found)


@settings(max_examples=15, deadline=None)
@given(random_bars(most=60, with_holes=True), random_engine(), st.integers(0, 99))
def test_the_loop_of_a_batch_run_loses_nothing(
    bars: list[Bar], params: EngineParameters, most: int
) -> None:
    """The loop that only ever runs compiled, taken at its source: it stops with the bar that brings
    more events than it was told, and in a wider buffer goes on to the very events of each bar."""
    candles, expected = candles_of(bars), interpreted(bars, params)
    config = params.engine_config(M15.ms)
    state, inputs = new_state(config, M15.ms), (candles.open_time, *columns(candles))
    known = [event.known for event in expected]
    before = [sum(at < t for at in known) for t in range(len(bars))]  # events before each bar
    events = new_buffer(most + BAR_ROWS)
    bar = 0
    while True:
        bar = run(config, state, events, most, bar, *inputs)
        assert bar == next((t for t in range(len(bars)) if before[t] > most), len(bars))
        if bar == len(bars):
            break
        most = 2 * most + 1
        events = wider(events, most + BAR_ROWS)
    assert events.size[0] == len(expected)
    assert facts(columns_of(events).records()) == facts(expected)


@settings(max_examples=25, deadline=None)
@given(random_bars(with_holes=True))
def test_the_defaults_own_machine_code_says_what_the_code_of_all_says(bars: list[Bar]) -> None:
    """With the clauses as constants detection gives the events that it gives with a clause changed
    which has no meaning while `fvg_body_mult` is 0."""
    candles = candles_of(bars)
    own, of_all = detect_events(candles), detect_events(candles, EngineParameters(body_bars=199))
    assert facts(own.records()) == facts(of_all.records())


@settings(max_examples=40, deadline=None)
@given(random_bars(with_holes=True), random_engine(), st.data())
def test_snapshot_and_restore_change_nothing(
    bars: list[Bar], params: EngineParameters, data: st.DataObject
) -> None:
    """An engine restored from a snapshot taken at any bar continues as if never stopped."""
    cut = data.draw(st.integers(0, len(bars)))
    first = SmcEngine(params, M15)
    before = [event for bar in bars[:cut] for event in first.on_bar(bar)]
    second = SmcEngine(params, M15)
    second.restore(first.snapshot())
    after = [event for bar in bars[cut:] for event in second.on_bar(bar)]
    assert facts(before + after) == facts(interpreted(bars, params))


@settings(max_examples=80, deadline=None)
@given(random_bars(), random_swings)
def test_swings_are_those_of_the_definition(bars: list[Bar], params: EngineParameters) -> None:
    """Swings found bar by bar are those that the definition picks from the whole market."""
    expected = set()
    for side, price in ((1, [b.high for b in bars]), (-1, [-b.low for b in bars])):
        for p in range(params.left, len(bars) - params.right):
            left, right = price[p - params.left : p], price[p + 1 : p + params.right + 1]
            beyond = price[p] >= max(right) if params.tie == "first" else price[p] > max(right)
            if price[p] > max(left) and beyond:
                expected.add((side, p, p + params.right, side * price[p]))
    found = [e for e in interpreted(bars, params) if e.kind is EventKind.SWING]
    assert {(e.side, e.at, e.known, e.level) for e in found} == expected
    assert len(found) == len(expected)


@settings(max_examples=80, deadline=None)
@given(random_bars(), random_swings)
def test_every_level_ends_at_most_once_and_only_for_its_reason(
    bars: list[Bar], params: EngineParameters
) -> None:
    """Sweeps and takes obey their definition, and no level that price passed is left untouched."""
    events = interpreted(bars, params)
    ended = [e.ref for e in events if e.kind in ENDS]
    levels = {e.id for e in events if e.kind in (EventKind.SWING, EventKind.POOL)}
    ended = [ref for ref in ended if ref in levels]  # zones expire too
    assert len(ended) == len(set(ended))
    pooled = {(e.side, e.at) for e in events if e.kind is EventKind.POOL}
    for event in events:
        side = event.side
        reach = [side * (b.high if side > 0 else b.low) for b in bars]
        inside = [side * b.close < side * event.level for b in bars]
        if event.kind in (EventKind.SWEEP, EventKind.TAKEN):
            made = events[event.ref].known
            assert max(reach[made : event.at]) <= side * event.level < reach[event.at]
            extreme = event.high if side > 0 else event.low
            assert side * extreme == max(reach[event.at : event.known + 1])
            assert not any(inside[event.at : event.known])
            assert inside[event.known] == (event.kind is EventKind.SWEEP)
            wait = event.known - event.at + 1
            assert wait <= params.reclaim_bars
            assert event.kind is EventKind.SWEEP or wait == params.reclaim_bars
        lone = event.kind is EventKind.SWING and (side, event.at) not in pooled
        if (lone or event.kind is EventKind.POOL) and event.id not in ended:
            passed = [t for t in range(event.known + 1, len(bars)) if reach[t] > side * event.level]
            pending = passed and len(bars) - passed[0] < params.reclaim_bars
            assert not passed or (pending and not any(inside[passed[0] :]))
