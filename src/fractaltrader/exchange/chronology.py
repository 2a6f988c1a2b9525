"""The order in which executions happened, when several carry the same millisecond."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby

from fractaltrader.exchange.port import Fill, Side


def position_after(fill: Fill) -> Decimal:
    """Signed position in the fill's coin once it has executed, base units."""
    return fill.start_position + (fill.size if fill.side is Side.BUY else -fill.size)


def chronological(fills: Iterable[Fill]) -> list[Fill]:
    """Oldest first. Trade ids are hashes and tell no order, so fills of one coin and millisecond
    are chained: each starts at the position its predecessor left."""
    by_time = sorted(fills, key=lambda fill: (fill.time_ms, fill.coin))
    ordered: list[Fill] = []
    for _, group in groupby(by_time, key=lambda fill: (fill.time_ms, fill.coin)):
        ordered += _chained(list(group))
    return ordered


def _chained(fills: list[Fill]) -> list[Fill]:
    ends = {position_after(fill) for fill in fills}
    chain = [next((fill for fill in fills if fill.start_position not in ends), fills[0])]
    rest = [fill for fill in fills if fill is not chain[0]]
    while rest:
        wanted = position_after(chain[-1])
        following = next((fill for fill in rest if fill.start_position == wanted), rest[0])
        rest.remove(following)
        chain.append(following)
    return chain
