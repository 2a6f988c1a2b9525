"""Laws that hold after every step of any sequence of actions by many users."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from exchange_world import LISTINGS, ORIGIN_MS, Trader, limit, trigger
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fractaltrader.exchange.port import Side
from fractaltrader.market.instrument import to_wire
from fractaltrader.simulator.clearing.accounts import signed
from fractaltrader.simulator.clearing.conservation import books_balance, open_sizes
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.state import Fill
from fractaltrader.simulator.trading.book import Claims
from fractaltrader.simulator.virtual_time import SteppedClock

USERS = ("alice", "bob", "carol")
COINS = ("BTC", "ETH")
START = {"BTC": 100_000, "ETH": 4_000}
SIZES = {"BTC": ("0.003", "0.05", "0.7", "6"), "ETH": ("0.05", "1.5", "20", "150")}

user = st.integers(0, len(USERS) - 1)
asset = st.integers(0, 1)
side = st.sampled_from("BA")
size = st.integers(0, 3)
bps = st.integers(-60, 60)
flag = st.booleans()
tif = st.sampled_from(["Gtc", "Gtc", "Gtc", "Ioc", "Alo", "FrontendMarket"])

STEPS = st.one_of(
    st.tuples(st.just("order"), user, asset, side, size, bps, tif, flag),
    st.tuples(st.just("order"), user, asset, side, size, bps, tif, st.just(False)),
    st.tuples(st.just("move"), asset, st.integers(-400, 400), flag),
    st.tuples(st.just("move"), asset, st.integers(-30, 30), flag),
    st.tuples(st.just("bracket"), user, asset, side, size, bps, tif),
    st.tuples(st.just("bracket"), user, asset, side, size, bps, st.just("Ioc")),
    st.tuples(st.just("stop"), user, asset, side, size, st.integers(1, 200), flag, flag),
    st.tuples(st.just("protect"), user, asset, size, flag, flag),
    st.tuples(st.just("close"), user, asset, tif),
    st.tuples(st.just("reduce"), user, asset, size, bps, tif),
    st.tuples(st.just("campaign"), user, asset, side, size),
    st.tuples(st.just("whipsaw"), asset),
    st.tuples(st.just("linger"), user, asset, side, size),
    st.tuples(st.just("duel"), user, user, asset, side, size, size),
    st.tuples(st.just("cancel"), user, st.integers(0, 5)),
    st.tuples(st.just("modify"), user, st.integers(0, 5), bps, tif, flag),
    st.tuples(st.just("twap"), user, asset, side, size, flag, flag),
    st.tuples(st.just("give_up"), user),
    st.tuples(st.just("schedule"), user, st.integers(5, 40)),
    st.tuples(st.just("leverage"), user, asset, st.sampled_from([3, 10, 25])),
    st.tuples(st.just("wait"), st.integers(1, 90)),
)


@dataclass
class World:
    """Traders on one exchange and what was seen of their fills."""

    exchange: LocalExchange
    clock: SteppedClock
    traders: list[Trader]
    seen: dict[str, int] = field(default_factory=dict)

    def price(self, number: int, distance_bps: int) -> str:
        """A legal price so many basis points from the coin's price."""
        coin = COINS[number]
        mid = self.exchange.state.markets[coin].mid or Decimal(START[coin])
        instrument = LISTINGS[number].instrument
        return to_wire(instrument.round_price(mid * (10_000 + distance_bps) / 10_000))

    def step(self, kind: str, *details: Any) -> None:
        getattr(self, f"_{kind}")(*details)

    def _order(self, who, number, way, many, distance, time_in_force, reduce_only):
        price = self.price(number, distance)
        order = limit(
            way, SIZES[COINS[number]][many], price, time_in_force, a=number, r=reduce_only
        )
        self.traders[who].order(order)

    def _exit(self, number, way, many, distance, kind, **more):
        return trigger(
            way, SIZES[COINS[number]][many], self.price(number, distance), kind, a=number, **more
        )

    def _bracket(self, who, number, way, many, distance, time_in_force):
        out, up = ("A", 1) if way == "B" else ("B", -1)
        family = [
            limit(
                way,
                SIZES[COINS[number]][many],
                self.price(number, distance),
                time_in_force,
                a=number,
            ),
            self._exit(number, out, many, -90 * up, "sl"),
            self._exit(number, out, many, 90 * up, "tp"),
        ]
        self.traders[who].order(*family, grouping="normalTpsl")

    def _stop(self, who, number, way, many, distance, is_market, reduce_only):
        up = 1 if way == "B" else -1
        stop = self._exit(number, way, many, distance * up, "sl", market=is_market, r=reduce_only)
        self.traders[who].order(stop)

    def _protect(self, who, number, many, whole, as_limit):
        way = "A" if self.traders[who].position(COINS[number]) > 0 else "B"
        up = 1 if way == "A" else -1
        pair = [
            self._exit(number, way, many, -70 * up, "sl"),
            self._exit(number, way, many, 70 * up, "tp", market=not as_limit),
        ]
        if whole:
            pair = [leg | {"s": "0"} for leg in pair]
        self.traders[who].order(*pair, grouping="positionTpsl")

    def _close(self, who, number, time_in_force):
        way, up = ("A", -1) if self.traders[who].position(COINS[number]) > 0 else ("B", 1)
        price = self.price(number, 50 * up)
        self.traders[who].order(limit(way, "0", price, time_in_force, a=number, r=True))

    def _reduce(self, who, number, many, distance, time_in_force):
        way = "A" if self.traders[who].position(COINS[number]) > 0 else "B"
        self._order(who, number, way, many, distance, time_in_force, True)

    def _campaign(self, who, number, way, many):
        """Open twice, and protect a part: more is held than one exit closes."""
        self._order(who, number, way, many, 50 if way == "B" else -50, "Ioc", False)
        self._bracket(who, number, way, max(many - 1, 0), 50 if way == "B" else -50, "Ioc")

    def _duel(self, maker, taker, number, way, more, less):
        """Inside the spread one rests and the other meets it, be it the same trader."""
        self._order(maker, number, way, more, 0, "Gtc", False)
        self._order(taker, number, "A" if way == "B" else "B", less, 0, "Ioc", False)

    def _linger(self, who, number, way, many):
        """Rest inside the spread while the market trades on by itself."""
        self._wait(10)
        self._move(number, 0, False)
        self._order(who, number, way, many, 0, "Gtc", False)
        self._wait(10)

    def _whipsaw(self, number):
        """Through the stops and targets of either side, one after the other."""
        for distance in (-110, 220, -110):
            self._move(number, distance, False)

    def _nth(self, who, place):
        live = list(self.exchange.state.accounts[self.traders[who].address].live)
        return self.exchange.state.orders[live[place % len(live)]] if live else None

    def _cancel(self, who, place):
        order = self._nth(who, place)
        if order is not None:
            self.traders[who].cancel(order.oid, asset=COINS.index(order.coin))

    def _modify(self, who, place, distance, time_in_force, always):
        order = self._nth(who, place)
        if order is None:
            return
        number = COINS.index(order.coin)
        price = self.price(number, distance)
        new = limit(order.side.value, to_wire(order.original_size), price, time_in_force, a=number)
        action = {"type": "batchModify", "modifies": [{"oid": order.oid, "order": new}]}
        self.traders[who].act(action | ({"a": True} if always else {}))

    def _twap(self, who, number, way, many, reduce_only, randomize):
        wire = {"a": number, "b": way == "B", "s": SIZES[COINS[number]][many], "r": reduce_only}
        self.traders[who].act({"type": "twapOrder", "twap": wire | {"m": 5, "t": randomize}})

    def _give_up(self, who):
        for twap in list(self.exchange.state.twaps.values()):
            if twap.user == self.traders[who].address:
                number = COINS.index(twap.terms.coin)
                self.traders[who].act({"type": "twapCancel", "a": number, "t": twap.twap_id})

    def _schedule(self, who, seconds):
        self.traders[who].act(
            {"type": "scheduleCancel", "time": self.clock.now_ms() + seconds * 1000}
        )

    def _leverage(self, who, number, leverage):
        action = {"type": "updateLeverage", "asset": number, "isCross": True, "leverage": leverage}
        self.traders[who].act(action)

    def _move(self, number, distance, jump):
        price = Decimal(self.price(number, distance))
        self.exchange.move(COINS[number], price, jump=jump, volume=Decimal(1))

    def _wait(self, seconds):
        self.clock.set(self.clock.now_ms() + seconds * 1_000)
        self.exchange.advance()

    def new_fills(self) -> list[tuple[str, Fill]]:
        """Fills since the last call, with their owners."""
        found = []
        for address, account in self.exchange.state.accounts.items():
            for key, fills in (("", account.fills), ("twap", account.slice_fills)):
                start = self.seen.get(address + key, 0)
                self.seen[address + key] = len(fills)
                found += [(address, fill) for fill in fills[start:]]
        return found


def made_world(seed: int) -> World:
    """Rich, ordinary and poor traders, so that margin and liquidation matter too."""
    clock = SteppedClock(ORIGIN_MS)
    exchange = LocalExchange(LISTINGS, clock=clock, seed=seed)
    exchange.state.schedule_cancel_volume = Decimal(0)
    for coin in COINS:
        exchange.move(coin, Decimal(START[coin]))
    funds = ("100000000", "1000000", "5000")
    traders = [Trader(exchange, name, usd) for name, usd in zip(USERS, funds, strict=True)]
    return World(exchange, clock, traders)


def check_fills(world: World) -> None:
    """Within the order's limit, never more than ordered, and reduce-only only reduces."""
    for _, fill in world.new_fills():
        assert fill.size > 0
        order = world.exchange.state.orders.get(fill.oid)
        if order is None:
            continue
        if order.trigger is None or not order.trigger.is_market:
            inside = (
                fill.price <= order.price if fill.side.value == "B" else fill.price >= order.price
            )
            assert inside, (fill, order)
        if order.reduce_only:
            after = fill.start_position + signed(fill.side, fill.size)
            assert abs(after) < abs(fill.start_position), fill
            assert after * fill.start_position >= 0, fill


def check_orders(world: World) -> None:
    """Sizes, families and the indexes that the books keep of them."""
    state, core = world.exchange.state, world.exchange._core
    claims: dict[str, dict[str, Claims]] = {}
    reducing: dict[tuple[str, str], Decimal] = {}
    for order in state.orders.values():
        assert order.size >= 0
        assert order.filled <= order.original_size or order.follows_position
        assert order.size > 0 or not order.is_live or order.follows_position
        if order.status == "filled":
            others = (state.orders.get(oid) for oid in order.siblings)
            assert not any(other is not None and other.status == "filled" for other in others)
        if order.phase != "resting":
            continue
        if order.reduce_only:
            key = (order.user, order.coin)
            reducing[key] = reducing.get(key, Decimal(0)) + signed(order.side, order.size)
        else:
            mine = claims.setdefault(order.user, {}).setdefault(order.coin, Claims())
            mine.change(order.side, order.size, order.price)
    assert {who: held for who, held in core.claims.items() if held} == claims
    for (who, coin), total in reducing.items():
        held = state.accounts[who].positions.get(coin)
        assert held is not None, (who, coin)
        assert held.size * total < 0, (held, total)
        assert abs(total) <= abs(held.size), (held, total)


def check_books(world: World) -> None:
    """Money and positions add up to nothing; no book is ever crossed."""
    core = world.exchange._core
    assert books_balance(core) == 0
    assert not any(open_sizes(core).values())
    for coin in COINS:
        bids, asks = world.exchange.info({"type": "l2Book", "coin": coin})["levels"]
        assert all(Decimal(level["sz"]) > 0 for level in (*bids, *asks))
        if bids and asks:
            assert Decimal(bids[0]["px"]) < Decimal(asks[0]["px"])
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            best = core.books[coin].best(side)
            assert (best is None) == (not levels)
            if best is not None:
                assert best.price == Decimal(levels[0]["px"])
                assert best.order is None or best.size == best.order.size


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=8, max_size=40), st.integers(0, 3))
def test_no_sequence_of_actions_breaks_a_law(steps, seed):
    """After every step: money and positions balance, no size below zero, no crossed book, no fill
    outside a limit, no pair of exits filled twice, reduce-only never increases; and the same seed
    and steps write the same bytes, which restore to the same, best quotes included."""
    world, twin = made_world(seed), made_world(seed)
    for step in steps:
        world.step(*step)
        check_fills(world)
        check_orders(world)
        check_books(world)
    for step in steps:
        twin.step(*step)
        twin.exchange.info({"type": "l2Book", "coin": "BTC"})
    written = world.exchange.snapshot()
    assert written == twin.exchange.snapshot()
    restored = LocalExchange.restored(written, clock=world.clock)
    assert restored.snapshot() == written
    for side in Side:
        for coin, book in world.exchange._core.books.items():
            assert book.best(side) == restored._core.books[coin].best(side)
