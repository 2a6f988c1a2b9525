"""Detection for people: a frame of events from candles and a profile."""

from functools import cache
from typing import TYPE_CHECKING

from fractaltrader.errors import UserError
from fractaltrader.market import Candles
from fractaltrader.smc.batch import detect_events
from fractaltrader.smc.events import EventColumns, EventKind
from fractaltrader.smc.profiles import engine_parameters

if TYPE_CHECKING:
    import polars as pl


def detect(candles: Candles, profile: str = "fractal", **clauses: object) -> "pl.DataFrame":
    """Every event of `candles` in the order they became known (docs/smc.md has the columns).

    `clauses` are the fields of `EngineParameters` and go over those of `profile`. Raises UserError
    for anything but Candles, an unknown profile or clause, contradictory clauses, and without the
    `lab` extra.
    """
    given: object = candles  # a frame is the likely mistake
    if not isinstance(given, Candles):
        raise UserError(
            f"detect: candles are {type(given).__name__}; make them with Candles.from_frame(frame)"
        )
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
    count = len(events.kind)
    lengths = pl.Series(timeframes, dtype=pl.Enum(timeframes))
    alone = len(timeframes) == 1
    return pl.DataFrame(
        {
            # Places as a Series: those of an array are looked through one by one.
            "kind": _kind_names().gather(pl.Series(events.kind)),
            "side": events.side,
            "at": events.at,
            "known": events.known,
            "level": events.level,
            "low": events.low,
            "high": events.high,
            "ref": events.ref,
            "id": pl.int_range(count, dtype=pl.Int32, eager=True),
            "origin": events.origin,
            "members": events.members,
            "timeframe": (
                lengths.new_from_index(0, count)
                if alone
                else lengths.gather(pl.Series(events.timeframe))
            ),
        }
    )


@cache
def _kind_names() -> "pl.Series":
    """Every kind's name at its number; 0 is none."""
    import polars as pl

    kinds = [kind.name for kind in EventKind]
    return pl.Series([None, *kinds], dtype=pl.Enum(kinds))
