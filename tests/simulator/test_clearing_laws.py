"""Laws of the clearing house over random histories: nothing is created, nobody is left in debt."""

from decimal import Decimal

from exchange_world import Trader, limit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from money_world import Market, coin, wallet

from fractaltrader.market.instrument import to_wire
from fractaltrader.simulator.clearing import margin, prices
from fractaltrader.simulator.clearing.conservation import books_balance, open_sizes
from fractaltrader.simulator.local_exchange import LocalExchange

D = Decimal
COINS = ("BTC", "ONE")
PRICES = {0: D(100_000), 1: D(100)}
STEPS = {0: D(500), 1: D(1)}
LOTS = {0: D("0.01"), 1: D(10)}

WHO = st.integers(0, 2)
ASSET = st.integers(0, 1)
MOVES = st.sampled_from([-30, -12, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 12, 30])
WAITS = st.sampled_from([1, 30_000, 1_800_000, 3_600_000, 7_200_000])
steps = st.one_of(
    st.tuples(st.just("order"), WHO, ASSET, st.integers(-8, 8), st.integers(-60, 60)),
    st.tuples(st.just("move"), WHO, ASSET, MOVES, st.booleans()),
    st.tuples(st.just("wait"), WHO, ASSET, WAITS, st.just(0)),
    st.tuples(st.just("leverage"), WHO, ASSET, st.integers(1, 40), st.booleans()),
    st.tuples(st.just("margin"), WHO, ASSET, st.integers(-3_000, 3_000), st.just(0)),
    st.tuples(st.just("send"), WHO, ASSET, st.integers(1, 3_000), WHO),
    st.tuples(st.just("class"), WHO, ASSET, st.integers(1, 3_000), st.booleans()),
    st.tuples(st.just("withdraw"), WHO, ASSET, st.integers(1, 3_000), st.just(0)),
    st.tuples(st.just("oracle"), WHO, ASSET, st.integers(-2, 2), st.integers(-2, 2)),
)


def begin(market: Market, traders: list[Trader]) -> None:
    """Everybody holds something that a move of a few per cent ruins."""
    for trader, asset, cross, side, size in zip(
        traders, (0, 1, 0), (True, False, False), "BAA", ("1.2", "300", "0.9"), strict=True
    ):
        most = (40, 10)[asset]
        action = {"type": "updateLeverage", "asset": asset, "isCross": cross, "leverage": most}
        assert trader.act(action)["status"] == "ok"
        market.trade(trader, asset, side, size, to_wire(PRICES[asset]))
    market.price("BTC", "100000.77")


def apply(market: Market, traders: list[Trader], step: tuple) -> None:
    """Do one random thing; whatever the venue answers is fine."""
    kind, who, asset, number, extra = step
    trader, unit = traders[who], STEPS[asset]
    price = PRICES[asset] + number * unit
    if kind == "order" and extra:
        size = to_wire(abs(extra) * LOTS[asset])
        trader.order(limit("B" if extra > 0 else "A", size, to_wire(price), a=asset))
    elif kind == "move":
        # An uneven price, so that payments have something to round.
        market.exchange.move(COINS[asset], price + D("0.77"), jump=extra, volume=D(1))
    elif kind == "wait":
        market.later(number)
    elif kind == "leverage":
        action = {"type": "updateLeverage", "asset": asset, "isCross": extra, "leverage": number}
        trader.act(action)
    elif kind == "margin":
        micro = number * 1_000_000
        trader.act({"type": "updateIsolatedMargin", "asset": asset, "isBuy": True, "ntli": micro})
    elif kind == "send":
        wallet(trader, "usdSend", destination=traders[extra].address, amount=str(number))
    elif kind == "class":
        wallet(trader, "usdClassTransfer", amount=str(number), toPerp=extra)
    elif kind == "withdraw":
        wallet(trader, "withdraw3", destination=trader.address, amount=str(number))
    elif kind == "oracle":
        prices.set_offsets(market.core, COINS[asset], oracle=number * unit, perp=extra * unit)


def check(market: Market, traders: list[Trader], step: tuple) -> None:
    core = market.core
    assert books_balance(core) == 0
    assert set(open_sizes(core).values()) == {D(0)}
    for coin_name, holders in core.holders.items():
        everyone = [*core.state.accounts.values(), core.state.house, core.state.backstop]
        with_position = {a.address for a in everyone if coin_name in a.positions}
        assert set(holders) == with_position
    for trader in traders:
        account = core.state.accounts[trader.address]
        state = trader.ask("clearinghouseState")
        cross = margin.cross_summary(core, account)
        total = margin.account_value(account, core.mark)
        assert D(state["marginSummary"]["accountValue"]) == total
        assert D(state["marginSummary"]["totalRawUsd"]) == total - sum(
            position.size * core.mark(name) for name, position in account.positions.items()
        )
        assert account.spot_usdc >= 0
        if step[0] == "move" and not account.positions:
            # Whoever was liquidated to the last position owes nothing.
            assert cross.account_value >= 0


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=40))
def test_money_is_conserved_whatever_happens(history):
    """Over random orders, moves, hours, leverage, margin, transfers and oracle offsets of three
    traders: the books balance to the last digit, positions cancel out, the summaries agree with the
    account, and the restored exchange writes the same bytes."""
    market = Market(coin("BTC", 5, 40), coin("ONE", 2, 10, 1))
    market.price("BTC", "100000")
    market.price("ONE", "100")
    traders = [Trader(market.exchange, name, "5000") for name in ("a", "b", "c")]
    begin(market, traders)
    for step in history:
        market.later(1_000)
        apply(market, traders, step)
        check(market, traders, step)
    twin = LocalExchange.restored(market.exchange.snapshot(), clock=market.clock)
    assert twin.snapshot() == market.exchange.snapshot()
    for world in (twin, market.exchange):
        world.move("BTC", D(90_000))
        world.move("ONE", D(150))
    assert twin.snapshot() == market.exchange.snapshot()
