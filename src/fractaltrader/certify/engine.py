"""Our engine as a target: the one place that knows how its events are asked for."""

import math
from collections.abc import Iterator, Mapping

from fractaltrader.certify.events import Detect, Fact, Stream
from fractaltrader.market import Candles
from fractaltrader.smc import Event, SmcEngine, detect, engine_parameters


def engine_target(profile: str, clauses: Mapping[str, object]) -> tuple[Detect, Stream]:
    """Batch detection (compiled) and the bot's engine (interpreted) under one set of clauses.

    Raises UserError for an unknown profile or clause.
    """
    params = engine_parameters(profile, **clauses)

    def stream(candles: Candles) -> Iterator[list[Fact]]:
        names = (str(candles.timeframe), *params.htf)
        engine = SmcEngine(params, candles.timeframe)
        for bar in candles.bars():
            yield [_fact(event, names[event.timeframe]) for event in engine.on_bar(bar)]

    return lambda candles: detect(candles, profile, **clauses), stream


def _fact(event: Event, timeframe: str) -> Fact:
    return Fact(
        event.kind.name, event.side, event.at, event.known,
        _price(event.level), _price(event.low), _price(event.high),
        event.ref, event.id, event.origin, event.members, timeframe,
    )  # fmt: skip


def _price(value: float) -> float | None:
    return None if math.isnan(value) else value
