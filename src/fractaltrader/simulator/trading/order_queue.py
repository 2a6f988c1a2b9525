"""Orders by price, then by time."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from fractaltrader.simulator.state import Order


class OrderQueue:
    """Price levels in order, each first come, first served; orders must be added in rank order.

    A level that loses its last order disappears. Adding and removing cost a bisection over the
    prices, and the first order costs nothing to find.
    """

    def __init__(self, *, highest_first: bool) -> None:
        self._end = -1 if highest_first else 0
        self._prices: list[Decimal] = []
        self._levels: dict[Decimal, dict[int, Order]] = {}

    def __bool__(self) -> bool:
        return bool(self._prices)

    @property
    def best(self) -> Decimal:
        """Price of the first order; IndexError when empty."""
        return self._prices[self._end]

    @property
    def first(self) -> Order:
        """The first order; IndexError when empty."""
        return next(iter(self._levels[self._prices[self._end]].values()))

    def add(self, price: Decimal, order: Order) -> None:
        """Queue `order` behind the others at `price`."""
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = {}
            insort(self._prices, price)
        level[order.oid] = order

    def remove(self, price: Decimal, order: Order) -> None:
        """Take out an order that was added at `price`."""
        level = self._levels[price]
        del level[order.oid]
        if not level:
            del self._levels[price]
            del self._prices[bisect_left(self._prices, price)]

    def levels(self) -> Iterator[tuple[Decimal, list[Order]]]:
        """Prices with their orders, best first."""
        prices = reversed(self._prices) if self._end else iter(self._prices)
        return ((price, list(self._levels[price].values())) for price in prices)
