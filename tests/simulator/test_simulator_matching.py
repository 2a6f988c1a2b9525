"""Limit orders: who trades with whom, at what price, and what is refused."""

from decimal import Decimal

import pytest
from exchange_world import limit, trigger


def fills_of(trader):
    """(price, size, maker or taker) of a trader's fills, newest first."""
    return [(f["px"], f["sz"], f["crossed"]) for f in trader.ask("userFills")]


def test_price_then_time_decides_who_trades(exchange, trader):
    """A seller inside the spread meets the best bid first and equal bids in order of arrival."""
    early, late, best, seller = (trader(name) for name in ("early", "late", "best", "seller"))
    early.order(limit("B", "0.01", "99998"))
    late.order(limit("B", "0.01", "99998"))
    best.order(limit("B", "0.01", "99999"))
    status = seller.order(limit("A", "0.025", "99998", "Ioc"))
    assert status[0]["filled"]["totalSz"] == "0.025"
    assert fills_of(best) == [("99999.0", "0.01", False)]
    assert fills_of(early) == [("99998.0", "0.01", False)]
    assert fills_of(late) == [("99998.0", "0.005", False)]
    assert late.ask("openOrders")[0]["sz"] == "0.005"
    tids = {f["tid"] for who in (best, early, late) for f in who.ask("userFills")}
    assert tids == {f["tid"] for f in seller.ask("userFills")}
    assert len({f["hash"] for f in seller.ask("userFills")}) == 1


def test_a_taker_walks_the_modelled_depth_and_stops_at_its_limit(exchange, trader):
    """An IOC larger than the depth within its limit fills in part, in rising prices; the depth is
    used up until the next tick."""
    whale = trader(usd="100000000")
    status = whale.order(limit("B", "40", "100100", "Ioc"))[0]
    done = Decimal(status["filled"]["totalSz"])
    assert 0 < done < 40
    prices = [Decimal(price) for price, _, _ in reversed(fills_of(whale))]
    assert prices == sorted(set(prices))
    assert prices[-1] <= 100_100
    assert whale.status(status["filled"]["oid"]) == "canceled"
    assert "error" in whale.order(limit("B", "1", "100100", "Ioc"))[0]
    exchange.move("BTC", Decimal(100_000))
    again = whale.order(limit("B", "40", "100100", "Ioc"))[0]["filled"]
    assert Decimal(again["totalSz"]) > done / 2


def test_a_partly_filled_gtc_rests_with_the_remainder(exchange, trader):
    """What a crossing GTC cannot take rests at its limit and its original size stays visible."""
    whale = trader(usd="100000000")
    status = whale.order(limit("B", "40", "100100"))[0]
    resting = whale.ask("openOrders")[0]
    assert resting["oid"] == status["resting"]["oid"]
    assert resting["origSz"] == "40.0"
    assert Decimal(resting["sz"]) == 40 - whale.position()
    assert whale.position() > 0


def test_own_resting_orders_are_cancelled_not_traded(exchange, trader):
    """A taker never trades with itself: its resting order dies as selfTradeCanceled."""
    alice, bob = trader("alice"), trader("bob")
    mine = alice.order(limit("B", "0.01", "99999"))[0]["resting"]["oid"]
    bob.order(limit("B", "0.01", "99998"))
    alice.order(limit("A", "0.01", "99998", "Ioc"))
    assert alice.status(mine) == "selfTradeCanceled"
    assert fills_of(bob) == [("99998.0", "0.01", False)]
    assert alice.position() == Decimal("-0.01")


@pytest.mark.parametrize(
    ("order", "text", "status"),
    [
        (limit("B", "0.0001", "90000"), "Order must have minimum value of $10.", "minTradeNtl"),
        (limit("B", "1", "99999.5"), "Price must be divisible by tick size.", "tick"),
        (limit("B", "5", "90000"), "Insufficient margin to place order.", "perpMargin"),
        (
            limit("B", "0.01", "99000", r=True),
            "Reduce only order would increase position.",
            "reduceOnly",
        ),
        (
            limit("B", "0.01", "100005", "Alo"),
            "Post only order would have immediately matched, bbo was 99995@100005.",
            "badAloPx",
        ),
        (
            limit("B", "0.01", "99000", "Ioc"),
            "Order could not immediately match against any resting orders.",
            "iocCancel",
        ),
    ],
)
def test_rejections_have_the_venues_text_an_oid_and_a_history(
    exchange, trader, order, text, status
):
    """Each rule answers in the venue's words, and the rejected order is in history and stream."""
    alice = trader()
    if order["p"] == "90000" and order["s"] == "0.0001":
        order = order | {"s": "0.00011"}
    updates = []
    exchange.subscribe({"type": "orderUpdates", "user": alice.address}, updates.append)
    assert alice.order(order) == [{"error": f"{text} asset=0"}]
    (record,) = alice.ask("historicalOrders")
    assert record["status"] == f"{status}Rejected"
    assert [u["status"] for u in updates[-1]["data"]] == [f"{status}Rejected"]
    assert alice.ask("openOrders") == []


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (limit("B", "0", "90000"), "Order has zero size."),
        (limit("B", "0.000001", "90000"), "Order has invalid size."),
        (limit("B", "1", "0"), "Order has invalid price."),
    ],
)
def test_unreadable_orders_cost_no_oid(exchange, trader, order, text):
    """Size and price that are no size and price leave no trace."""
    alice = trader()
    assert alice.order(order) == [{"error": text}]
    assert alice.ask("historicalOrders") == []


def test_a_price_far_from_the_market_refuses_the_whole_batch(exchange, trader):
    """One order outside the band gives one error for the batch and places nothing."""
    alice = trader()
    statuses = alice.order(limit("B", "0.01", "90000"), limit("B", "1", "4999"))
    text = "Order price cannot be more than 95% away from the reference price"
    assert statuses == [{"error": text}]
    assert alice.ask("historicalOrders") == []


def test_margin_counts_resting_orders_and_leverage(exchange, trader):
    """Resting orders reserve margin at their limit; more leverage lets one more in; an order that
    reduces is always welcome."""
    alice = trader(usd="1000")
    for _ in range(2):
        assert "resting" in alice.order(limit("B", "0.1", "90000"))[0]
    assert "Insufficient margin" in alice.order(limit("B", "0.1", "90000"))[0]["error"]
    leverage = {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40}
    assert alice.act(leverage) == {"status": "ok", "response": {"type": "default"}}
    assert "resting" in alice.order(limit("B", "0.1", "90000"))[0]
    assert alice.act(leverage | {"leverage": 41})["response"] == "Invalid leverage value"
    exchange.move("BTC", Decimal(89_000))
    assert alice.position() == Decimal("0.3")
    assert "filled" in alice.order(limit("A", "0.3", "88000", "Ioc"))[0]
    assert alice.position() == 0


def test_a_reduce_only_order_claims_no_margin(exchange, trader):
    """A take-profit that rests beside the position leaves room for an order against it."""
    alice = trader(usd="300")
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    alice.order(limit("A", "0.05", "105000", r=True))
    assert "resting" in alice.order(limit("A", "0.06", "106000"))[0]
    assert "Insufficient margin" in alice.order(limit("A", "0.06", "106000"))[0]["error"]


def test_cancel_knows_only_live_orders_of_the_user(exchange, trader):
    """Cancelling works once, by oid or cloid, for the owner alone; else the venue's one text."""
    alice, bob = trader("alice"), trader("bob")
    gone = {"error": "Order was never placed, already canceled, or filled. asset=0"}
    oid = alice.order(limit("B", "0.01", "90000"))[0]["resting"]["oid"]
    assert bob.cancel(oid) == gone
    assert alice.cancel(oid, asset=1) == {"error": gone["error"].replace("=0", "=1")}
    assert alice.cancel(oid) == "success"
    assert alice.cancel(oid) == gone
    cloid = "0x" + "ab" * 16
    placed = alice.order(limit("B", "0.01", "90000", c=cloid))[0]["resting"]
    assert placed["cloid"] == cloid
    action = {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid}]}
    assert alice.act(action)["response"]["data"]["statuses"] == ["success"]
    assert alice.status(cloid) == "canceled"


def test_modify_replaces_and_a_bad_replacement_loses_the_original(exchange, trader):
    """A modified order gets a new oid; a refused replacement leaves nothing resting."""
    alice = trader()
    oid = alice.order(limit("B", "0.01", "90000"))[0]["resting"]["oid"]
    modify = {
        "type": "batchModify",
        "modifies": [{"oid": oid, "order": limit("B", "0.01", "91000")}],
    }
    new = alice.act(modify)["response"]["data"]["statuses"][0]["resting"]["oid"]
    assert new > oid
    assert alice.status(oid) == "canceled"
    assert [o["limitPx"] for o in alice.ask("openOrders")] == ["91000.0"]
    bad = {
        "type": "batchModify",
        "modifies": [{"oid": new, "order": limit("B", "0.0001", "91000")}],
    }
    error = alice.act(bad)["response"]["data"]["statuses"][0]["error"]
    assert error.startswith("Error placing new order during modify: Order must have minimum value")
    assert alice.ask("openOrders") == []


def test_reduce_only_orders_follow_the_position(exchange, trader):
    """They shrink to the position at entry and later, and end when it is flat."""
    alice = trader()
    alice.order(limit("B", "0.01", "101000", "Ioc"))
    closed = alice.order(limit("A", "0.02", "99000", "Ioc", r=True))[0]
    assert closed["filled"]["totalSz"] == "0.01"
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    oid = alice.order(limit("A", "0.08", "105000", r=True))[0]["resting"]["oid"]
    resting = alice.ask("openOrders")[0]
    assert (resting["sz"], resting["origSz"], resting["reduceOnly"]) == ("0.05", "0.08", True)
    alice.order(limit("A", "0.02", "99000", "Ioc"))
    assert alice.ask("openOrders")[0]["sz"] == "0.03"
    stop = alice.order(trigger("A", "0.03", "95000", "sl"))[0]["resting"]["oid"]
    alice.order(limit("A", "0.03", "99000", "Ioc"))
    assert alice.status(oid) == alice.status(stop) == "reduceOnlyCanceled"


def test_two_reduce_only_orders_never_exceed_the_position(exchange, trader):
    """A second resting reduce-only order that makes them too large together ends the earlier."""
    alice = trader()
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    first = alice.order(limit("A", "0.04", "105000", r=True))[0]["resting"]["oid"]
    second = alice.order(limit("A", "0.04", "106000", r=True))[0]["resting"]["oid"]
    assert alice.status(first) == "reduceOnlyCanceled"
    assert alice.status(second) == "open"


def test_a_maker_without_margin_is_cancelled_when_met(exchange, trader):
    """A resting order that its owner can no longer carry dies as marginCanceled."""
    alice, bob = trader("alice", "1000"), trader("bob", "1000000")
    alice.order(limit("B", "2", "4005", "Ioc", a=1))
    oid = alice.order(limit("B", "0.1", "99999"))[0]["resting"]["oid"]
    exchange.move("ETH", Decimal(3_600))
    bob.order(limit("A", "0.1", "99999", "Ioc"))
    assert alice.status(oid) == "marginCanceled"
    assert alice.position() == 0
