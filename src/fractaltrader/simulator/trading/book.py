"""One coin's book: users' orders by price and time around the modelled market, and triggers."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from fractaltrader.exchange.port import Side
from fractaltrader.market import Instrument
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Market, Order
from fractaltrader.simulator.trading.market_model import MarketModel


@dataclass(frozen=True, slots=True)
class Quote:
    """What a taker meets next: a user's order, or `level` of the modelled market."""

    price: Decimal
    size: Decimal
    order: Order | None
    level: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """An aggregated price level, `count` orders strong."""

    price: Decimal
    size: Decimal
    count: int


def crosses(side: Side, limit: Decimal, price: Decimal) -> bool:
    """Whether an order of `side` with `limit` accepts `price`."""
    return price <= limit if side is Side.BUY else price >= limit


def _book_key(order: Order) -> tuple[Decimal, int]:
    return (-order.price if order.side is Side.BUY else order.price, order.rank)


def _trigger_key(order: Order) -> tuple[Decimal, int]:
    price = order.terms.price
    return (price if order.terms.above else -price, order.rank)


class CoinBook:
    """Orders of one coin. At the same price the modelled market stands ahead of users' orders."""

    def __init__(
        self, instrument: Instrument, market: Market, model: MarketModel, seed: int
    ) -> None:
        self.instrument = instrument
        self.market = market
        self._model = model
        self._seed = seed
        self._resting: dict[Side, list[Order]] = {Side.BUY: [], Side.SELL: []}
        self._above: list[Order] = []
        self._below: list[Order] = []

    @property
    def mid(self) -> Decimal | None:
        return self.market.mid

    def next_tick(self) -> None:
        """The modelled depth is whole again, drawn anew."""
        self.market.tick += 1
        self.market.taken_bids.clear()
        self.market.taken_asks.clear()

    def add(self, order: Order) -> None:
        """Queue a resting order by price and time, or an armed trigger by its trigger price."""
        if order.phase == "armed":
            insort(self._triggers(order), order, key=_trigger_key)
        else:
            insort(self._resting[order.side], order, key=_book_key)

    def remove(self, order: Order) -> None:
        """Take out an order that `add` queued."""
        armed = order.phase == "armed"
        queue = self._triggers(order) if armed else self._resting[order.side]
        key = _trigger_key if armed else _book_key
        del queue[bisect_left(queue, key(order), key=key)]

    def _triggers(self, order: Order) -> list[Order]:
        return self._above if order.terms.above else self._below

    def _taken(self, side: Side) -> dict[int, Decimal]:
        return self.market.taken_bids if side is Side.BUY else self.market.taken_asks

    def modelled(self, side: Side) -> Iterator[Quote]:
        """Modelled levels of `side` with something left, best first."""
        mid = self.market.mid
        if mid is None:
            return
        taken = self._taken(side)
        seed = (self._seed, self.market.asset, self.market.tick)
        for level in range(self._model.levels):
            price = self._model.price(self.instrument, mid, side, level)
            depth = self._model.depth(self.instrument, price, side, level, seed)
            left = depth - taken.get(level, ZERO)
            if left > 0:
                yield Quote(price, left, None, level)

    def best(self, side: Side) -> Quote | None:
        """The quote of `side` that a taker meets first."""
        modelled = next(self.modelled(side), None)
        resting = self._resting[side]
        if not resting:
            return modelled
        order = resting[0]
        if modelled is not None and not (
            order.price > modelled.price if side is Side.BUY else order.price < modelled.price
        ):
            return modelled
        return Quote(order.price, order.size, order)

    def take_modelled(self, side: Side, quote: Quote, size: Decimal) -> None:
        """Use up `size` of a modelled level until the next tick."""
        taken = self._taken(side)
        taken[quote.level] = taken.get(quote.level, ZERO) + size

    def depth(self, side: Side, count: int = 20) -> list[Level]:
        """Aggregated levels of `side`, best first, at most `count`."""
        levels: dict[Decimal, Level] = {}
        quotes = [Quote(order.price, order.size, order) for order in self._resting[side]]
        for quote in [*self.modelled(side), *quotes]:
            old = levels.get(quote.price, Level(quote.price, ZERO, 0))
            levels[quote.price] = Level(quote.price, old.size + quote.size, old.count + 1)
        ordered = sorted(levels.values(), key=lambda level: level.price, reverse=side is Side.BUY)
        return list(islice(ordered, count))

    def due(self) -> Order | None:
        """A resting order the mid has reached, else a trigger the mark has reached."""
        mid = self.market.mid
        if mid is None:
            return None
        for side in (Side.BUY, Side.SELL):
            queue = self._resting[side]
            # The mid at or beyond a resting price means the market came to the order.
            if queue and crosses(side, queue[0].price, mid):
                return queue[0]
        fired = [
            queue[0] for queue in (self._below, self._above) if queue and is_fired(queue[0], mid)
        ]
        return min(fired, key=lambda order: order.rank, default=None)

    def next_stop(self, target: Decimal) -> Decimal:
        """The first price on the way from the mid to `target` at which an order becomes due."""
        mid = self.market.mid
        if mid is None:
            return target
        falling = target < mid
        resting = self._resting[Side.BUY if falling else Side.SELL]
        triggers = self._below if falling else self._above
        levels = [target]
        if resting:
            levels.append(resting[0].price)
        if triggers:
            levels.append(triggers[0].terms.price)
        return max(levels) if falling else min(levels)


def is_fired(order: Order, mark: Decimal) -> bool:
    """Whether the mark price has reached the order's trigger price."""
    terms = order.terms
    return mark >= terms.price if terms.above else mark <= terms.price
