"""Bars for the tests of detection: worked by hand, or random on a coarse grid."""

from hypothesis import strategies as st

from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.smc import EngineParameters

M15 = Timeframe.parse("15m")


def bars_of(*prices: tuple[float, float, float]) -> list[Bar]:
    """Bars from (high, low, close); each opens at its low, with volume 1."""
    return [
        Bar(i * M15.ms, low, high, low, close, 1.0) for i, (high, low, close) in enumerate(prices)
    ]


def candles_of(bars: list[Bar]) -> Candles:
    return Candles.of("BTC", M15, bars)


@st.composite
def random_bars(draw: st.DrawFn, least: int = 30, most: int = 120) -> list[Bar]:
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
    bars, price = [], 1000
    for i, (gap, body, upper, lower, volume) in enumerate(moves):
        open_ = price + gap
        price = open_ + body
        top, bottom = max(open_, price) + upper, min(open_, price) - lower
        ticks = (open_, top, bottom, price)
        bars.append(Bar(i * M15.ms, *(level * tick for level in ticks), float(volume)))
    return bars


random_engine = st.builds(
    EngineParameters,
    left=st.integers(1, 4),
    right=st.integers(1, 4),
    tie=st.sampled_from(["first", "strict"]),
    atr_bars=st.integers(2, 8),
    equal_atr=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    reclaim_bars=st.integers(1, 6),
    max_levels=st.sampled_from([2, 5, 32]),
)
