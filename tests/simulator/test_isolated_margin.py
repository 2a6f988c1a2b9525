"""Isolated margin and margin modes: what each action does to the money, and every refusal."""

from decimal import Decimal

import pytest
from exchange_world import Trader, limit
from money_world import Market, coin

from fractaltrader.simulator.clearing.conservation import books_balance

D = Decimal


@pytest.fixture
def market() -> Market:
    """BTC (40x) at 100000, ONE that allows isolated margin only and STRICT that keeps it."""
    made = Market(
        coin("BTC", 5, 40),
        coin("ONE", 2, 10, 1, margin_mode="noCross"),
        coin("STRICT", 2, 10, 2, margin_mode="strictIsolated"),
    )
    made.price("BTC", "100000")
    made.price("ONE", "100")
    made.price("STRICT", "100")
    return made


def leverage(trader: Trader, value: int, *, cross: bool = False, asset: int = 0) -> str:
    """Set leverage; "ok" or the refusal."""
    action = {"type": "updateLeverage", "asset": asset, "isCross": cross, "leverage": value}
    answer = trader.act(action)
    return "ok" if answer["status"] == "ok" else answer["response"]


def change(trader: Trader, micro: int, asset: int = 0) -> str:
    """Add to or take from the isolated margin; "ok" or the refusal."""
    action = {"type": "updateIsolatedMargin", "asset": asset, "isBuy": True, "ntli": micro}
    answer = trader.act(action)
    return "ok" if answer["status"] == "ok" else answer["response"]


def held(trader: Trader) -> dict:
    return trader.ask("clearinghouseState")["assetPositions"][0]["position"]


def cross_value(trader: Trader) -> Decimal:
    return D(trader.ask("clearinghouseState")["crossMarginSummary"]["accountValue"])


def test_margin_leaves_the_cross_balance_on_opening_and_returns_on_closing(market):
    """Opening takes notional / leverage, a half close returns half with its profit, the rest
    returns with the last close; afterwards only profit and fees separate the balance from before.
    """
    alice = Trader(market.exchange, "alice", "10000")
    assert leverage(alice, 10) == "ok"
    market.trade(alice, 0, "B", "0.2", "100000")
    fee = D("9")
    assert cross_value(alice) == 8_000
    assert D(held(alice)["marginUsed"]) == 2_000 - fee
    market.price("BTC", "101000")
    assert cross_value(alice) == 8_000
    market.trade(alice, 0, "A", "0.1", "101000")
    closing_fee = D("4.545")
    assert cross_value(alice) == 8_000 + (2_000 - fee) / 2 + 100 - closing_fee
    market.trade(alice, 0, "A", "0.1", "101000")
    assert cross_value(alice) == 10_000 + 200 - fee - 2 * closing_fee
    assert books_balance(market.core) == 0


def test_a_flip_releases_the_old_margin_and_takes_the_new(market):
    """Selling three against an isolated long of one leaves a short of two with its own margin."""
    alice = Trader(market.exchange, "alice", "10000")
    leverage(alice, 10)
    market.trade(alice, 0, "B", "0.1", "100000")
    market.trade(alice, 0, "A", "0.3", "100000")
    fees = D("4.5"), D("13.5")
    position = held(alice)
    assert (position["szi"], position["leverage"]["type"]) == ("-0.2", "isolated")
    assert D(position["marginUsed"]) == 2_000 - fees[1] * 2 / 3
    assert cross_value(alice) == 10_000 - 2_000 - fees[0] - fees[1] / 3


def test_margin_may_be_added_and_taken_out_within_limits(market):
    """Adding moves the liquidation price away; taking out stops at the initial margin; every
    refusal has the venue's words."""
    alice = Trader(market.exchange, "alice", "10000")
    assert change(alice, 1_000_000) == "Position does not use isolated margin."
    leverage(alice, 10)
    assert change(alice, 1_000_000) == "Cannot update margin for empty position."
    market.trade(alice, 0, "B", "0.2", "100000")
    before = D(held(alice)["liquidationPx"])
    assert change(alice, 1_500_000_000) == "ok"
    assert D(held(alice)["liquidationPx"]) < before - 7_000
    assert cross_value(alice) == 6_500
    assert change(alice, 0) == "Update to isolated margin cannot be zero."
    too_much = "Account does not have sufficient margin available for increase."
    assert change(alice, 6_500_000_001) == too_much
    lacking = "Position does not have sufficient margin for reduction."
    assert change(alice, -1_500_000_000) == lacking
    assert change(alice, -1_491_000_000) == "ok"
    assert D(held(alice)["marginUsed"]) == 2_000
    assert change(alice, -1) == lacking
    assert books_balance(market.core) == 0


def test_topping_up_reaches_the_wanted_leverage(market):
    """topUpIsolatedOnlyMargin adds what the position lacks to have that leverage, never less."""
    alice = Trader(market.exchange, "alice", "10000")
    leverage(alice, 10)
    market.trade(alice, 0, "B", "0.2", "100000")
    wish = {"type": "topUpIsolatedOnlyMargin", "asset": 0, "leverage": "5"}
    assert alice.act(wish)["status"] == "ok"
    assert D(held(alice)["marginUsed"]) == 4_000
    assert alice.act(wish)["response"] == "Update to isolated margin cannot be zero."


def test_switching_the_mode_and_lowering_leverage_are_guarded(market):
    """No switch with an open position; lower leverage needs the margin, in either mode."""
    alice = Trader(market.exchange, "alice", "3000")
    assert leverage(alice, 41, cross=True) == "Invalid leverage value"
    assert leverage(alice, 0) == "Invalid leverage value"
    leverage(alice, 20)
    market.trade(alice, 0, "B", "0.2", "100000")
    assert leverage(alice, 20, cross=True) == "Cannot switch leverage type with open position."
    assert leverage(alice, 10) == (
        "Isolated position does not have sufficient margin available to decrease leverage. "
        "To decrease leverage, add margin to the position."
    )
    assert leverage(alice, 25) == "ok"
    bob = Trader(market.exchange, "bob", "1100")
    leverage(bob, 20, cross=True)
    market.trade(bob, 0, "B", "0.2", "100000")
    assert leverage(bob, 15, cross=True) == (
        "Cross position does not have sufficient margin available to decrease leverage. "
        "To decrease leverage, deposit more collateral."
    )


def test_coins_without_cross_margin_are_isolated_from_the_start(market):
    """noCross and strictIsolated coins refuse cross; only strictIsolated keeps what was put in."""
    alice = Trader(market.exchange, "alice", "1000")
    assert leverage(alice, 5, cross=True, asset=1) == "Cross margin is not allowed for this asset."
    for asset in (1, 2):
        assert leverage(alice, 10, asset=asset) == "ok"
        market.trade(alice, asset, "B", "2", "100")
        assert change(alice, 10_000_000, asset) == "ok"
    assert change(alice, -5_000_000, 1) == "ok"
    assert change(alice, -5_000_000, 2) == (
        "Cannot remove isolated margin for this asset. To remove margin, reduce the position."
    )
    universe = market.exchange.info({"type": "meta"})["universe"]
    assert [item.get("marginMode") for item in universe] == [None, "noCross", "strictIsolated"]


def test_isolated_orders_claim_margin_beside_what_positions_hold(market):
    """A resting isolated order needs free cross balance; one that would only reduce needs none."""
    alice = Trader(market.exchange, "alice", "3000")
    leverage(alice, 10)
    market.trade(alice, 0, "B", "0.2", "100000")
    refused = alice.order(limit("B", "0.2", "99000"))
    assert refused == [{"error": "Insufficient margin to place order. asset=0"}]
    assert "resting" in alice.order(limit("A", "0.2", "101000"))[0]
    assert "resting" in alice.order(limit("B", "0.1", "99000"))[0]
    data = alice.ask("activeAssetData", coin="BTC")
    assert (data["leverage"]["type"], data["availableToTrade"][0]) == ("isolated", "10.0")
    assert D(data["leverage"]["rawUsd"]) == D("1991") - 20_000
