"""Detection, compiled over a year and bar by bar as the bot runs it."""

from time import perf_counter

from benchmarks.timing import Row, seconds_each
from fractaltrader.market import Candles
from fractaltrader.smc import SmcEngine, detect

LIVE_BARS = 5_000


def rows(candles: Candles) -> list[Row]:
    """The first call loads or builds the machine code; the others are the speed."""
    start = perf_counter()
    events = detect(candles)
    first = perf_counter() - start
    bars = len(candles)
    (compiled,) = seconds_each([lambda: detect(candles)], runs=5)
    recent = list(candles.slice(bars - LIVE_BARS, bars).bars())

    def live() -> None:
        engine = SmcEngine()
        for bar in recent:
            engine.on_bar(bar)

    (interpreted,) = seconds_each([live], runs=3)
    return [
        Row("detect, compiled", compiled / bars, "bar", f"{len(events):,} events"),
        Row("detect, as the bot runs it", interpreted / LIVE_BARS, "bar", f"{LIVE_BARS:,} bars"),
        Row("first detection of a process", first, "call", "with compilation, or its cache"),
    ]
