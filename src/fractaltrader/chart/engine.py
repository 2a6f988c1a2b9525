"""The engine's events as the chart's facts: the one place that knows how they are asked for."""

from collections.abc import Mapping

from fractaltrader.chart.facts import Fact
from fractaltrader.market import Candles
from fractaltrader.smc import detect

LEAD_BARS = 5_000  # facts known longer before the first bar shown are left out


def engine_facts(
    candles: Candles, profile: str, clauses: Mapping[str, object], first: int, last: int
) -> list[Fact]:
    """What detection over all `candles` knew by bar `last`, in the order it became known.

    Facts known more than LEAD_BARS before bar `first` are left out. Raises UserError for an unknown
    profile or clause and without the `lab` extra.
    """
    import polars as pl

    base = str(candles.timeframe)
    events = detect(candles, profile, **clauses).filter(
        pl.col("known").is_between(first - LEAD_BARS, last)
    )
    # The base timeframe goes without saying.
    named = events.select(Fact._fields).with_columns(
        pl.col("kind").cast(pl.String).str.to_lowercase(),
        pl.col("timeframe").cast(pl.String).replace(base, ""),
    )
    return [Fact(*row) for row in named.rows()]
