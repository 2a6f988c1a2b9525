"""One coin's book: users' orders by price and time around the modelled market, and triggers."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter

import msgspec

from fractaltrader.exchange.port import BUY, SELL, Side
from fractaltrader.market import Instrument
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Market, Order
from fractaltrader.simulator.trading.market_model import MarketModel
from fractaltrader.simulator.trading.order_queue import OrderQueue


class Quote(msgspec.Struct, frozen=True, gc=False):
    """What a taker meets next: a user's order, or `level` of the modelled market."""

    price: Decimal
    size: Decimal
    order: Order | None
    level: int = 0


class Level(msgspec.Struct, frozen=True, gc=False):
    """An aggregated price level, `count` orders strong."""

    price: Decimal
    size: Decimal
    count: int


class Claims(msgspec.Struct, gc=False):
    """What a user's resting orders that can open would buy and sell: base units and USDC."""

    bid_size: Decimal = ZERO
    bid_notional: Decimal = ZERO
    ask_size: Decimal = ZERO
    ask_notional: Decimal = ZERO

    def with_order(self, side: Side, size: Decimal, price: Decimal) -> "Claims":
        """These claims and those of one more order."""
        notional = size * price
        bid_size, bid_notional = self.bid_size, self.bid_notional
        ask_size, ask_notional = self.ask_size, self.ask_notional
        if side is BUY:
            return Claims(bid_size + size, bid_notional + notional, ask_size, ask_notional)
        return Claims(bid_size, bid_notional, ask_size + size, ask_notional + notional)

    def change(self, side: Side, size: Decimal, price: Decimal) -> None:
        """Add `size` (below zero: take away) at `price`."""
        if side is BUY:
            self.bid_size += size
            self.bid_notional += size * price
        else:
            self.ask_size += size
            self.ask_notional += size * price


NO_CLAIMS = Claims()


def crosses(side: Side, limit: Decimal, price: Decimal) -> bool:
    """Whether an order of `side` with `limit` accepts `price`."""
    return price <= limit if side is BUY else price >= limit


def is_better(side: Side, price: Decimal, other: Decimal) -> bool:
    """Whether a quote of `side` at `price` stands ahead of one at `other`."""
    return price > other if side is BUY else price < other


class CoinBook:
    """Orders of one coin. At the same price the modelled market stands ahead of users' orders.

    `reducers` are the reduce-only orders here, by user: they follow the position. `claims` is the
    index, by user and coin, that all books together keep of what margin needs.
    """

    def __init__(
        self,
        instrument: Instrument,
        market: Market,
        model: MarketModel,
        seed: int,
        claims: dict[str, dict[str, Claims]],
    ) -> None:
        self.instrument = instrument
        self.market = market
        self._claims = claims
        self.reducers: dict[str, dict[int, Order]] = {}
        self._model = self._whole_model = model
        self._share = Decimal(1)
        self._seed = seed
        self._resting = {
            BUY: OrderQueue(highest_first=True),
            SELL: OrderQueue(highest_first=False),
        }
        self._above = OrderQueue(highest_first=False)
        self._below = OrderQueue(highest_first=True)
        # The modelled levels computed so far, good for one tick and mid.
        self._ladders: dict[Side, list[tuple[Decimal, Decimal]]] = {}
        self._tops: dict[Side, Quote] = {}
        # What `best` has answered, good until it changes or a better quote of that side comes.
        self._bests: dict[Side, Quote] = {}
        self._ladder_tick, self._ladder_mid = -1, market.mid

    @property
    def mid(self) -> Decimal | None:
        return self.market.mid

    def next_tick(self) -> None:
        """The modelled depth is whole again, drawn anew."""
        self.market.tick += 1
        self.market.taken_bids.clear()
        self.market.taken_asks.clear()

    def use_model(self, model: MarketModel) -> None:
        """From now on the modelled market is as `model` says, but for a thinning in force."""
        self._whole_model = model
        self.thin_to(self._share)

    def thin_to(self, share: Decimal) -> None:
        """The modelled market offers only `share` (0 to 1) of its depth until told otherwise."""
        self._share = share
        whole = self._whole_model
        self._model = replace(whole, top_notional=whole.top_notional * share)
        self._ladder_tick = -1

    def add(self, order: Order) -> None:
        """Queue a resting order by price and time, or an armed trigger by its trigger price."""
        queue, price = self._place_of(order)
        queue.add(price, order)
        if order.reduce_only:
            self.reducers.setdefault(order.user, {})[order.oid] = order
        if order.phase == "resting":
            side = order.side
            best = self._bests.get(side)
            if best is not None and is_better(side, price, best.price):
                del self._bests[side]
            if not order.reduce_only:
                self._claim(order, order.size)

    def remove(self, order: Order) -> None:
        """Take out an order that `add` queued."""
        queue, price = self._place_of(order)
        queue.remove(price, order)
        self._forget_best_of(order)
        if order.reduce_only:
            mine = self.reducers[order.user]
            del mine[order.oid]
            if not mine:
                del self.reducers[order.user]
        elif order.phase == "resting":
            self._claim(order, -order.size)

    def shrink(self, order: Order, size: Decimal) -> None:
        """Take `size` off a queued order: it was executed, or exceeds the position."""
        if order.phase == "resting":
            self._forget_best_of(order)
            if not order.reduce_only:
                self._claim(order, -size)
        order.size -= size

    def _forget_best_of(self, order: Order) -> None:
        """`order` changes: if it is a best quote, that holds no longer."""
        best = self._bests.get(order.side)
        if best is not None and best.order is order:
            del self._bests[order.side]

    def _claim(self, order: Order, size: Decimal) -> None:
        mine = self._claims.setdefault(order.user, {})
        claims = mine.get(order.coin)
        if claims is None:
            claims = mine[order.coin] = Claims()
        claims.change(order.side, size, order.price)
        if not claims.bid_size and not claims.ask_size:
            del mine[order.coin]

    def _place_of(self, order: Order) -> tuple[OrderQueue, Decimal]:
        if order.phase == "armed":
            terms = order.terms
            return (self._above if terms.above else self._below), terms.price
        return self._resting[order.side], order.price

    def _taken(self, side: Side) -> dict[int, Decimal]:
        return self.market.taken_bids if side is BUY else self.market.taken_asks

    def _rung(self, mid: Decimal, side: Side, level: int) -> tuple[Decimal, Decimal]:
        """Price and full depth of a modelled level, computed once a tick."""
        market = self.market
        self._keep_up()
        ladder = self._ladders[side]
        while len(ladder) <= level:
            number = len(ladder)
            price = self._model.price(self.instrument, mid, side, number)
            seed = (self._seed, market.asset, market.tick)
            depth = self._model.depth(self.instrument, price, side, number, seed)
            ladder.append((price, depth))
        return ladder[level]

    def modelled(self, side: Side) -> Iterator[Quote]:
        """Modelled levels of `side` with something left, best first."""
        mid = self.market.mid
        if mid is None:
            return
        taken = self._taken(side)
        for level in range(self._model.levels):
            price, depth = self._rung(mid, side, level)
            left = depth - taken[level] if level in taken else depth
            if left > 0:
                yield Quote(price, left, None, level)

    def best(self, side: Side) -> Quote | None:
        """The quote of `side` that a taker meets first."""
        self._keep_up()
        known = self._bests.get(side)
        if known is None:
            known = self._find_best(side)
            if known is not None:
                self._bests[side] = known
        return known

    def _find_best(self, side: Side) -> Quote | None:
        modelled = self._best_modelled(side)
        resting = self._resting[side]
        if not resting:
            return modelled
        price = resting.best
        if modelled is None or is_better(side, price, modelled.price):
            order = resting.first
            return Quote(price, order.size, order)
        return modelled

    def _best_modelled(self, side: Side) -> Quote | None:
        """The first of `modelled`, which every order asks for, remembered until it changes."""
        top = self._tops.get(side)
        if top is None:
            top = next(self.modelled(side), None)
            if top is not None:
                self._tops[side] = top
        return top

    def _keep_up(self) -> None:
        """Forget the modelled levels of another tick or mid."""
        market = self.market
        if self._ladder_tick != market.tick or self._ladder_mid is not market.mid:
            self._ladders = {BUY: [], SELL: []}
            self._tops = {}
            self._bests = {}
            self._ladder_tick, self._ladder_mid = market.tick, market.mid

    def best_resting(self, side: Side) -> Decimal | None:
        """Best price of users' orders of `side`."""
        queue = self._resting[side]
        return queue.best if queue else None

    def modelled_best(self, side: Side) -> Decimal | None:
        """Best price of the modelled market's whole depth of `side`."""
        mid = self.market.mid
        if mid is None or not self._model.levels:
            return None
        return self._rung(mid, side, 0)[0]

    def take_modelled(self, side: Side, quote: Quote, size: Decimal) -> None:
        """Use up `size` of `quote`, which is `best` and modelled, until the next tick."""
        taken = self._taken(side)
        level = quote.level
        taken[level] = taken.get(level, ZERO) + size
        if size < quote.size:
            left = Quote(quote.price, quote.size - size, None, level)
            self._tops[side] = self._bests[side] = left
        else:
            self._tops.pop(side, None)
            self._bests.pop(side, None)

    def levels(self, side: Side) -> Iterator[Level]:
        """Aggregated levels of `side`, best first, computed only as far as they are asked for."""
        rank = -1 if side is BUY else 1
        modelled = ((quote.price, quote.size, 1) for quote in self.modelled(side))
        resting = (
            (price, sum((order.size for order in orders), ZERO), len(orders))
            for price, orders in self._resting[side].levels()
        )
        both = merge(modelled, resting, key=lambda level: rank * level[0])
        for price, same in groupby(both, key=itemgetter(0)):
            _, sizes, counts = zip(*same, strict=True)
            yield Level(price, sum(sizes, ZERO), sum(counts))

    def depth(self, side: Side, count: int = 20) -> list[Level]:
        """The first `count` of `levels`."""
        return list(islice(self.levels(side), count))

    def due(self) -> Order | None:
        """A resting order the mid has reached, else a trigger the mark has reached."""
        mid = self.market.mid
        if mid is None:
            return None
        for side, queue in self._resting.items():
            # The mid at or beyond a resting price means the market came to the order.
            if queue and crosses(side, queue.best, mid):
                return queue.first
        return self.fired()

    def fired(self) -> Order | None:
        """A trigger the mark has reached, the earlier one first."""
        mid = self.market.mid
        if mid is None or not (self._below or self._above):
            return None
        mark = mid + self.market.prices.mark_shift
        heads = (queue.first for queue in (self._below, self._above) if queue)
        fired = [order for order in heads if is_fired(order, mark)]
        return min(fired, key=lambda order: order.rank, default=None)

    def next_stop(self, target: Decimal) -> Decimal:
        """The first price on the way from the mid to `target` at which an order becomes due."""
        mid = self.market.mid
        if mid is None:
            return target
        falling = target < mid
        resting = self._resting[BUY if falling else SELL]
        triggers = self._below if falling else self._above
        levels = [target]
        if resting:
            levels.append(resting.best)
        if triggers:
            # Triggers look at the mark, which keeps its distance from the mid along the way.
            levels.append(triggers.best - self.market.prices.mark_shift)
        return max(levels) if falling else min(levels)


def is_fired(order: Order, mark: Decimal) -> bool:
    """Whether the mark price has reached the order's trigger price."""
    terms = order.terms
    return mark >= terms.price if terms.above else mark <= terms.price
