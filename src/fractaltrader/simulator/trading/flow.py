"""The trade flow of the modelled market between two ticks.

Of the volume a tick brings, a part is traded at once and the rest between this tick and the next,
at times and sizes drawn by seed, against the best quote of a drawn side. Where a user's order is
the best quote it is the one that executes, in part if the flow is smaller.
"""

from decimal import Decimal
from heapq import heappop, heappush

from fractaltrader.exchange.port import BUY, SELL, Side
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.state import Trade
from fractaltrader.simulator.trading.market_model import mixed
from fractaltrader.simulator.trading.matching import meet_resting
from fractaltrader.simulator.trading.triggers import settle_consequences

# Ticks further apart than this do not spread their trades any further.
LONGEST_GAP_MS = 60_000


def spread(core: Core, coin: str, side: Side, volume: Decimal) -> None:
    """Print what trades at once, on the tick just made, and plan the rest of `volume`."""
    market, now = core.state.markets[coin], core.now_ms()
    gap = min(now - market.moved_ms, LONGEST_GAP_MS)
    market.moved_ms = now
    left, prints = volume, core.model.flow
    if prints and gap > prints:
        instrument = core.instruments[coin]
        for number in range(1, prints + 1):
            draw = mixed(core.state.seed, market.asset, market.tick, number)
            share = instrument.round_size(volume * (draw % 1_000) / (1_000 * (prints + 1)))
            if share > 0:
                left -= share
                # Strictly before the next tick when ticks come evenly.
                due = now + 1 + (gap - 2) * number // (prints + 1)
                heappush(core.state.flow, (due, coin, share))
    if left > 0 and market.mid is not None:
        _print(core, coin, side, market.mid, left)


def next_due(core: Core) -> int | None:
    """When the next planned trade is due, UTC epoch ms."""
    return core.state.flow[0][0] if core.state.flow else None


def run(core: Core) -> None:
    """Trade what is due."""
    now = core.now_ms()
    while core.state.flow and core.state.flow[0][0] <= now:
        _, coin, size = heappop(core.state.flow)
        _trade(core, coin, size)


def _trade(core: Core, coin: str, size: Decimal) -> None:
    side = BUY if mixed(core.state.seed, core.state.next_trade) % 2 else SELL
    quote = core.books[coin].best(side.opposite)
    if quote is None:
        return
    if quote.order is None:
        _print(core, coin, side, quote.price, size)
        return
    meet_resting(core, quote.order, min(size, quote.order.size))
    settle_consequences(core)


def _print(core: Core, coin: str, side: Side, price: Decimal, size: Decimal) -> None:
    """A trade within the modelled market: nobody's account changes."""
    house, now = core.state.house.address, core.now_ms()
    core.record_trade(Trade(coin, side, price, size, now, *core.new_trade(), (house, house)))
