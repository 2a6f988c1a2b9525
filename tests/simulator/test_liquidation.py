"""Liquidation: who is closed, at which price, how much, and what everybody is told."""

from decimal import Decimal

import pytest
from exchange_world import Trader, limit, trigger
from money_world import Market, coin

from fractaltrader.simulator.clearing.conservation import books_balance, open_sizes
from fractaltrader.simulator.trading.market_model import MarketModel

D = Decimal


@pytest.fixture
def market() -> Market:
    """BTC (40x) at 100000 and ETH (25x) at 4000."""
    made = Market(coin("BTC", 5, 40), coin("ETH", 4, 25, 1))
    made.price("BTC", "100000")
    made.price("ETH", "4000")
    return made


def long(market: Market, name: str, usd: str, size: str, *, cross: bool = True) -> Trader:
    """A trader with 40x who is long `size` BTC from 100000."""
    trader = Trader(market.exchange, name, usd)
    action = {"type": "updateLeverage", "asset": 0, "isCross": cross, "leverage": 40}
    assert trader.act(action)["status"] == "ok"
    market.trade(trader, 0, "B", size, "100000")
    return trader


def liquidation_price(trader: Trader) -> Decimal:
    held = trader.ask("clearinghouseState")["assetPositions"][0]["position"]
    return D(held["liquidationPx"])


def test_a_long_is_closed_at_its_liquidation_price_and_not_before(market):
    """Falling to just above the shown price leaves the position alone; going on closes it there,
    cancels the orders first and tells ledger, events and fills."""
    alice = long(market, "alice", "2000", "0.5")
    told = []
    alice_is = {"user": alice.address}
    market.exchange.subscribe({"type": "userEvents", **alice_is}, told.append)
    price = liquidation_price(alice)
    resting = alice.order(limit("B", "0.01", "90000"))[0]["resting"]["oid"]
    market.exchange.move("BTC", price.to_integral_value() + 1)
    assert alice.position() == D("0.5")
    market.exchange.move("BTC", D(90_000))
    assert alice.position() == 0
    assert alice.status(resting) == "liquidatedCanceled"
    fill = alice.ask("userFills")[0]
    assert price - 30 < D(fill["px"]) < price + 10
    assert fill["dir"] == "Close Long"
    assert fill["liquidation"]["method"] == "market"
    assert fill["liquidation"]["liquidatedUser"] == alice.address
    assert abs(D(fill["liquidation"]["markPx"]) - price) <= 1
    entry = alice.ask("userNonFundingLedgerUpdates", startTime=0)[-1]["delta"]
    assert entry["type"] == "liquidation"
    assert entry["liquidatedPositions"] == [{"coin": "BTC", "szi": "0.5"}]
    events = [key for frame in told if "data" in frame for key in frame["data"]]
    assert {"nonUserCancel", "liquidation"} <= set(events)
    # Something of the maintenance margin is left, as closing at market leaves it.
    assert 0 < D(alice.ask("clearinghouseState")["withdrawable"]) < 600
    assert books_balance(market.core) == 0


def test_a_stop_before_the_liquidation_price_saves_the_account(market):
    """On the way down a stop above the liquidation price acts first; nothing is liquidated."""
    alice = long(market, "alice", "2000", "0.5")
    stop = liquidation_price(alice).to_integral_value() + 200
    alice.order(trigger("A", "0.5", str(stop), "sl"))
    market.exchange.move("BTC", D(90_000))
    fills = alice.ask("userFills")
    assert alice.position() == 0
    assert all("liquidation" not in fill for fill in fills)


def test_a_jump_far_below_hands_the_account_to_the_backstop(market):
    """Below two thirds of maintenance the backstop takes position and what is left, at the mark;
    even a loss beyond the deposit does not leave the account in debt."""
    alice = long(market, "alice", "2000", "0.5")
    market.price("BTC", "95000")
    state = alice.ask("clearinghouseState")
    assert state["assetPositions"] == []
    assert D(state["marginSummary"]["accountValue"]) == 0
    fill = alice.ask("userFills")[0]
    assert (fill["liquidation"]["method"], fill["px"], fill["fee"]) == (
        "backstop",
        "95000.0",
        "0.0",
    )
    backstop = market.exchange.state.backstop
    assert backstop.positions["BTC"].size == D("0.5")
    # 2000 deposited, 22.5 paid in fees, 2500 lost: 522.5 short.
    assert backstop.cash == D("-522.5")
    assert books_balance(market.core) == 0
    assert set(open_sizes(market.core).values()) == {D(0)}


def test_a_fifth_of_a_large_position_may_save_the_rest(market):
    """Above 100,000 USDC a fifth goes first, and it stays at that when it was enough; a fall within
    the cool-down takes the rest whole."""
    alice = long(market, "alice", "10000", "3")
    price = liquidation_price(alice).to_integral_value()
    market.exchange.move("BTC", price - 1)
    assert alice.position() == D("2.4")
    market.later(29_000)
    assert alice.position() == D("2.4")
    market.exchange.move("BTC", price - 600)
    assert alice.position() == 0
    assert books_balance(market.core) == 0


def test_the_next_block_takes_the_rest_when_a_fifth_is_not_enough(market):
    """An account that the first part left below maintenance is looked at again a block later."""
    alice = long(market, "alice", "10000", "3")
    market.price("BTC", "97600")
    assert alice.position() == D("2.4")
    market.later(999)
    assert alice.position() == D("2.4")
    market.later(1)
    assert alice.position() == 0
    methods = {f["liquidation"]["method"] for f in alice.ask("userFills") if "liquidation" in f}
    assert methods == {"market"}


def test_an_isolated_position_falls_alone(market):
    """Its loss ends with its margin: other positions, orders of other coins and the rest of the
    balance stay."""
    alice = long(market, "alice", "10000", "0.2", cross=False)
    market.trade(alice, 1, "B", "1", "4000")
    resting = alice.order(limit("B", "1", "3500", a=1))[0]["resting"]["oid"]
    gone = alice.order(limit("A", "0.1", "110000"))[0]["resting"]["oid"]
    before = D(alice.ask("clearinghouseState")["crossMarginSummary"]["accountValue"])
    market.price("BTC", "90000")
    state = alice.ask("clearinghouseState")
    assert [item["position"]["coin"] for item in state["assetPositions"]] == ["ETH"]
    assert D(state["crossMarginSummary"]["accountValue"]) == before
    assert alice.status(resting) == "open"
    assert alice.status(gone) == "liquidatedCanceled"
    entry = alice.ask("userNonFundingLedgerUpdates", startTime=0)[-1]["delta"]
    assert entry["leverageType"] == "Isolated"
    assert books_balance(market.core) == 0


@pytest.mark.parametrize("cross", [True, False])
def test_a_thin_book_leaves_no_debt(cross):
    """When the book closes a position far beyond what stood behind it, the backstop pays the rest:
    the account has nothing left of it and owes nothing."""
    thin = MarketModel(levels=3, step_bps=D(300), top_notional=D(1_000), growth=D(100))
    market = Market(coin("BTC", 5, 40), model=thin)
    market.price("BTC", "100000")
    alice = long(market, "alice", "2000", "0.5", cross=cross)
    before = D(alice.ask("clearinghouseState")["crossMarginSummary"]["accountValue"])
    market.exchange.move("BTC", (liquidation_price(alice) - 1) // 1)
    assert alice.ask("userFills")[0]["liquidation"]["method"] == "market"
    left = D(alice.ask("clearinghouseState")["marginSummary"]["accountValue"])
    assert left == (0 if cross else before)
    assert market.exchange.state.backstop.cash < 0
    assert books_balance(market.core) == 0


def test_cross_positions_stand_for_each_other(market):
    """A loss in one coin liquidates the account's cross positions until maintenance is met again,
    the largest first; a profit elsewhere keeps them all."""
    alice = long(market, "alice", "3200", "0.9")
    market.trade(alice, 1, "B", "1", "4000")
    bob = long(market, "bob", "3200", "0.9")
    market.trade(bob, 1, "B", "1", "4000")
    market.price("ETH", "6000")
    bob_before = bob.position("ETH")
    market.price("ETH", "4000")
    market.exchange.move("BTC", D("97_500"))
    for trader in (alice, bob):
        assert trader.position("BTC") == 0
        assert trader.position("ETH") == bob_before
    assert books_balance(market.core) == 0


def test_a_user_who_makes_for_a_liquidation_sees_whose_it_is(market):
    """The counterparty's fill carries the same mark of a liquidation."""
    alice = long(market, "alice", "2000", "0.5")
    price = liquidation_price(alice) // 1
    bob = Trader(market.exchange, "bob", "100000")
    bob.order(limit("B", "0.5", str(price - 2)))
    market.exchange.move("BTC", price - 2)
    seen = [f["liquidation"]["liquidatedUser"] for f in bob.ask("userFills")]
    assert seen == [alice.address]
    assert alice.position() == 0
