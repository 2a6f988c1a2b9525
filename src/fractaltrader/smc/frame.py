"""Detection for people: a frame of events from candles and a profile."""

from typing import TYPE_CHECKING

from fractaltrader.errors import UserError
from fractaltrader.market import Candles
from fractaltrader.smc.engine import detect_events
from fractaltrader.smc.events import EventColumns, EventKind
from fractaltrader.smc.profiles import engine_parameters

if TYPE_CHECKING:
    import polars as pl


def detect(candles: Candles, profile: str = "fractal", **clauses: object) -> "pl.DataFrame":
    """Every event of `candles` in the order they became known (docs/smc.md has the columns).

    `clauses` are the fields of `EngineParameters` and go over those of `profile`. Raises UserError
    for an unknown profile or clause, contradictory clauses, and without the `lab` extra.
    """
    params = engine_parameters(profile, **clauses)
    names = (str(candles.timeframe), *params.htf)
    return events_frame(detect_events(candles, params), names)


def events_frame(events: EventColumns, timeframes: tuple[str, ...]) -> "pl.DataFrame":
    """The columns of a batch run as a frame; `timeframes` are the base's name and the higher."""
    try:
        import polars as pl
    except ImportError:
        raise UserError(
            "a frame of events needs polars, which is not installed; install the lab extra: "
            'pip install "fractaltrader[lab]"'
        ) from None
    # A kind is its place among the names, and 0 is none.
    kinds = [kind.name for kind in EventKind]
    names = pl.Series([None, *kinds], dtype=pl.Enum(kinds))
    lengths = pl.Series(timeframes, dtype=pl.Enum(timeframes))
    return pl.DataFrame(
        {
            "kind": names.gather(events.kind),
            "side": events.side,
            "at": events.at,
            "known": events.known,
            "level": events.level,
            "low": events.low,
            "high": events.high,
            "ref": events.ref,
            "id": pl.int_range(len(events.kind), dtype=pl.Int32, eager=True),
            "origin": events.origin,
            "members": events.members,
            "timeframe": lengths.gather(events.timeframe),
        }
    )
