"""Bars for the tests of detection: worked by hand, or random on a coarse grid."""

import numpy as np
from hypothesis import strategies as st

from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.smc import EngineParameters, Event, EventColumns, SmcEngine, detect_events

M15 = Timeframe.parse("15m")


def bars_of(*prices: tuple[float, float, float]) -> list[Bar]:
    """Bars from (high, low, close); each opens at its low, with volume 1."""
    return [
        Bar(i * M15.ms, low, high, low, close, 1.0) for i, (high, low, close) in enumerate(prices)
    ]


def ohlc(*prices: tuple[float, float, float, float], start: int = 0) -> list[Bar]:
    """Bars from (open, high, low, close), one every 15 minutes from epoch ms `start`."""
    return [Bar(start + i * M15.ms, *price, 1.0) for i, price in enumerate(prices)]


def mirrored(bars: list[Bar]) -> list[Bar]:
    """The market upside down around 100."""
    return [
        Bar(b.open_time, 200 - b.open, 200 - b.low, 200 - b.high, 200 - b.close, b.volume)
        for b in bars
    ]


def events_of(bars: list[Bar], params: EngineParameters | None = None, **clauses: object) -> list:
    """The events of an interpreted engine, with the clauses over small swings and no size rules."""
    engine = SmcEngine(params or EngineParameters.parse({**SMALL, **clauses}, "test"), M15)
    return [event for bar in bars for event in engine.on_bar(bar)]


def told(bars: list[Bar], *kinds: str, side: int = 0, **clauses: object) -> list[tuple]:
    """(kind, side, at, known, level, low, high) of the events of some kinds, optionally a side."""
    return [
        (e.kind.name, e.side, e.at, e.known, e.level, e.low, e.high)
        for e in events_of(bars, **clauses)
        if e.kind.name in kinds and side in (0, e.side)
    ]


SMALL = {"left": 1, "right": 1, "atr_bars": 2, "fvg_min_atr": 0.0}


def candles_of(bars: list[Bar]) -> Candles:
    return Candles.of("BTC", M15, bars)


def facts(events: list[Event]) -> list[tuple]:
    """Events as tuples whose prices are compared bit for bit, NaN too."""
    return [(*e[:8], *(price.hex() for price in e[8:11]), e.timeframe) for e in events]


def hold_the_prefix_law(candles: Candles, params: EngineParameters, cuts: range) -> EventColumns:
    """All events of `candles`, after every cut was found to hold those known by then."""
    whole = detect_events(candles, params)
    assert (np.diff(whole.known) >= 0).all()
    for cut in cuts:
        part = detect_events(candles.slice(0, cut), params)
        known = whole.rows(slice(0, int(np.searchsorted(whole.known, cut))))
        # Bit for bit, NaN too.
        assert all(a.tobytes() == b.tobytes() for a, b in zip(part, known, strict=True)), cut
    return whole


@st.composite
def random_bars(
    draw: st.DrawFn, least: int = 30, most: int = 120, with_holes: bool = False
) -> list[Bar]:
    """A market on a grid of whole ticks: plateaus, ties and one-tick bars abound."""
    moves = draw(
        st.lists(
            st.tuples(
                st.integers(-2, 2),  # gap
                st.integers(-3, 3),  # body
                st.sampled_from([0, 0, 1, 3]),  # upper wick
                st.sampled_from([0, 0, 1, 3]),  # lower wick
                st.integers(0, 4),  # volume
            ),
            min_size=least,
            max_size=most,
        )
    )
    tick = draw(st.sampled_from([1.0, 0.1]))
    holes = draw(st.sets(st.integers(1, most), max_size=2)) if with_holes else set()
    bars, price, slot = [], 1000, draw(st.integers(0, 200))
    for i, (gap, body, upper, lower, volume) in enumerate(moves):
        slot += 1 + (draw(st.integers(1, 60)) if i in holes else 0)
        open_ = price + gap
        price = open_ + body
        top, bottom = max(open_, price) + upper, min(open_, price) - lower
        ticks = (open_, top, bottom, price)
        bars.append(Bar(slot * M15.ms, *(level * tick for level in ticks), float(volume)))
    return bars


random_swings = st.builds(
    EngineParameters,
    left=st.integers(1, 4),
    right=st.integers(1, 4),
    tie=st.sampled_from(["first", "strict"]),
    atr_bars=st.integers(2, 8),
    equal_atr=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    reclaim_bars=st.integers(1, 6),
    max_levels=st.sampled_from([2, 5, 32]),
)

# Any clauses that do not contradict each other; many bars of the tests are few for wide windows.
_CLAUSES = {
    "detector": st.sampled_from(["fractal", "leg_flip"]),
    "right": st.integers(1, 5),
    "holes": st.sampled_from(["delay", "void"]),
    "labels": st.booleans(),
    "strength": st.just(True),
    "candidates": st.booleans(),
    "atr_bars": st.integers(2, 8),
    "trigger": st.sampled_from(["close", "wick"]),
    "which_pivot": st.sampled_from(["last_swing", "bos_origin"]),
    "displacement_atr": st.sampled_from([0.1, 0.5, 1.5]),
    "require_fvg": st.booleans(),
    "fvg_min_atr": st.sampled_from([0.0, 0.25]),
    "fvg_min_bp": st.sampled_from([0.0, 5.0]),
    "fvg_same_colour": st.booleans(),
    "fvg_close_beyond": st.booleans(),
    "fvg_body_mult": st.sampled_from([0.0, 0.5]),
    "body_bars": st.integers(2, 10),
    "fvg_fill": st.sampled_from(["wick", "close"]),
    "fvg_inverse": st.booleans(),
    "confirm": st.sampled_from(["structure_break", "displacement", "either"]),
    "candle_select": st.sampled_from(["extreme_in_leg", "last_opposite"]),
    "block_tie": st.sampled_from(["first", "last"]),
    "zone": st.sampled_from(["full_range", "body"]),
    "block_volatile_atr": st.sampled_from([0.0, 2.0]),
    "mitigation": st.sampled_from(["touch", "midpoint", "close_through"]),
    "block_end": st.sampled_from(["close", "wick"]),
    "target": st.sampled_from(["any", "swing", "equal_cluster", "period_extreme"]),
    "equal_atr": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    "reclaim_bars": st.integers(1, 6),
    "max_levels": st.sampled_from([2, 5, 32]),
    "max_zones": st.sampled_from([2, 5, 64]),
    "expiry_bars": st.sampled_from([0, 3, 20]),
    "min_coverage": st.sampled_from([0.5, 1.0]),
    "sessions": st.sampled_from(
        [(), ("london", "asia_kill_zone"), ("x=22:15-03:30@Asia/Kolkata",)]
    ),
    "range_anchor": st.sampled_from(["swing_pair", "trailing_extremes"]),
    "retracements": st.just(True),
    "htf": st.sampled_from([(), ("30m",), ("30m", "1h", "4h")]),
}


@st.composite
def random_engine(draw: st.DrawFn) -> EngineParameters:
    """Clauses drawn over the defaults: few or many at once."""
    chosen = draw(st.sets(st.sampled_from(sorted(_CLAUSES)), max_size=len(_CLAUSES)))
    clauses = {name: draw(_CLAUSES[name]) for name in sorted(chosen)}
    if clauses.get("sessions"):
        clauses["opening_range_minutes"] = draw(st.sampled_from([0, 30, 45]))
    return EngineParameters(**clauses)
