"""Rules that few orders meet: caps, limits, groups, priority, builders, fast cancels, modifies."""

from decimal import Decimal

import pytest
from exchange_world import Trader, limit, trigger

from fractaltrader.simulator.local_exchange import LocalExchange

GONE = "Order was never placed, already canceled, or filled. asset=0"


def modified(trader, oid, order, *, always=False):
    """Status of a batchModify of one order."""
    action = {"type": "batchModify", "modifies": [{"oid": oid, "order": order}]}
    answer = trader.act(action | ({"a": True} if always else {}))
    return answer["response"]["data"]["statuses"][0]


def resting(trader, *args, **more):
    return trader.order(limit(*args, **more))[0]["resting"]["oid"]


@pytest.mark.parametrize(
    ("most", "order"),
    [
        (30_000_000, limit("B", "300", "100100", "Ioc")),
        (30_000_000, limit("B", "7500", "4004", "FrontendMarket", a=1)),
        (300_000_000, limit("B", "3100", "99000")),
    ],
)
def test_an_order_has_a_largest_value(exchange, trader, most, order):
    """Market orders are limited by the coin's leverage, limit orders at ten times that; no oid."""
    whale = trader(usd="1000000000")
    assert whale.order(order) == [{"error": f"Order value too large. Max is ${most}."}]
    assert whale.ask("historicalOrders") == []


def test_whole_positions_may_close_below_the_minimum_parts_may_not(exchange, trader):
    """A reduce-only close of everything is exempt from the $10, of a part it is not; size 0 with
    reduce-only means everything."""
    alice = trader()
    alice.order(limit("B", "0.00012", "101000", "Ioc"))
    text = "Order must have minimum value of $10. asset=0"
    assert alice.order(limit("A", "0.00006", "99000", "Ioc", r=True)) == [{"error": text}]
    exchange.move("BTC", Decimal(50_000))
    done = alice.order(limit("A", "0", "49000", "Ioc", r=True))[0]
    assert done["filled"]["totalSz"] == "0.00012"
    assert alice.position() == 0


def test_a_thousand_open_orders_leave_no_room_for_exits(exchange, trader):
    """At 1000 open orders triggers and reduce-only orders are refused, and without volume any
    other; what executes at once is not concerned."""
    alice = trader(usd="100000000")
    alice.order(limit("B", "0.01", "101000", "Ioc"))
    for _ in range(10):
        alice.order(*[limit("B", "0.001", "90000")] * 100)
    error = {"error": "Too many open orders."}
    assert alice.order(trigger("A", "0.01", "95000", "sl")) == [error]
    assert alice.order(limit("A", "0.01", "105000", r=True)) == [error]
    assert alice.order(limit("B", "0.01", "90000")) == [error]
    assert alice.ask("historicalOrders")[0]["status"] == "tooManyOpenOrdersRejected"
    assert "filled" in alice.order(limit("A", "0.01", "99000", "Ioc", r=True))[0]
    exchange.state.accounts[alice.address].volume = Decimal(5_000_000)
    assert "resting" in alice.order(limit("B", "0.01", "90000"))[0]
    assert alice.order(limit("B", "0.01", "90000")) == [error]


def test_a_market_at_its_open_interest_cap_takes_only_closing_orders(exchange, trader):
    """Taking that opens or flips, prices beyond the oracle and resting openers that are met end,
    each with its own status; closing goes on."""
    alice, bob = trader("alice", "1000000"), trader("bob", "1000000")
    alice.order(limit("B", "1", "101000", "Ioc"))
    passive = resting(bob, "B", "1", "99000")
    exchange.state.markets["BTC"].interest_cap = Decimal(100_000)
    capped = "Order would increase open interest while open interest is capped"
    beyond = "Order rejected due to price more aggressive than oracle while at open interest cap"
    assert bob.order(limit("B", "0.1", "101000", "Ioc")) == [{"error": capped}]
    assert alice.order(limit("A", "2", "99500", "Ioc")) == [{"error": capped}]
    assert bob.order(limit("B", "0.1", "100001")) == [{"error": beyond}]
    assert "resting" in bob.order(limit("B", "0.1", "98000"))[0]
    assert "filled" in alice.order(limit("A", "0.5", "99500", "Ioc"))[0]
    exchange.state.markets["BTC"].interest_cap = Decimal(10_000)
    exchange.move("BTC", Decimal(98_500))
    assert bob.status(passive) == "openInterestCapCanceled"
    seen = [r["status"] for who in (alice, bob) for r in who.ask("historicalOrders")]
    for status in (
        "positionIncreaseAtOpenInterestCapRejected",
        "positionFlipAtOpenInterestCapRejected",
        "tooAggressiveAtOpenInterestCapRejected",
    ):
        assert status in seen


def test_open_interest_may_not_grow_too_quickly(exchange, clock, trader):
    """More than the market's growth within a few seconds is refused, later it is welcome."""
    alice = trader(usd="1000000")
    exchange.state.markets["BTC"].interest_growth = Decimal(150_000)
    assert "filled" in alice.order(limit("B", "1", "101000", "Ioc"))[0]
    text = "Order would increase open interest too quickly"
    assert alice.order(limit("B", "1", "101000", "Ioc")) == [{"error": text}]
    assert alice.ask("historicalOrders")[0]["status"] == "openInterestIncreaseRejected"
    clock.set(clock.now_ms() + 6_000)
    assert "filled" in alice.order(limit("B", "1", "101000", "Ioc"))[0]


def test_a_price_far_from_the_oracle_is_refused(exchange, trader):
    """The band around the oracle holds where the oracle has left the mark behind."""
    alice = trader()
    exchange.state.markets["BTC"].prices.oracle_offset = Decimal(400_000)
    assert alice.order(limit("B", "0.01", "20000")) == [
        {"error": "Price too far from oracle asset=0"}
    ]
    assert alice.ask("historicalOrders")[0]["status"] == "oracleRejected"


def test_a_market_stop_executes_whatever_its_limit_price(exchange, trader):
    """`p` of a market trigger is checked for its tick alone, at placement and when it fires."""
    alice = trader()
    alice.order(limit("B", "0.01", "101000", "Ioc"))
    odd = alice.order(trigger("A", "0.01", "98000", "sl", p="1234.567"))
    assert odd == [{"error": "Price must be divisible by tick size. asset=0"}]
    oid = alice.order(trigger("A", "0.01", "98000", "sl", p="1000"))[0]["resting"]["oid"]
    exchange.move("BTC", Decimal(97_900))
    assert alice.status(oid) == "filled"


def test_a_market_order_without_any_liquidity_says_so(exchange, trader):
    """When the whole side is used up a market order hears another text than an IOC."""
    whale = trader(usd="1000000000")
    while "filled" in whale.order(limit("B", "250", "110000", "Ioc"))[0]:
        pass
    error = whale.order(limit("B", "1", "110000", "FrontendMarket"))
    assert error == [{"error": "No liquidity available for market order."}]
    assert whale.ask("historicalOrders")[0]["status"] == "marketOrderNoLiquidityRejected"


def test_a_stop_entry_needs_its_margin_when_it_fires(exchange, trader):
    """A trigger that opens claims no margin while it waits and is rejected if there is none."""
    alice = trader(usd="1000")
    oid = alice.order(trigger("B", "0.19", "101000", "sl", p="102000", r=False))[0]["resting"][
        "oid"
    ]
    poor = alice.order(trigger("B", "0.9", "101500", "sl", p="102000", r=False))[0]["resting"][
        "oid"
    ]
    exchange.move("BTC", Decimal(101_600))
    assert alice.status(oid) == "filled"
    assert alice.status(poor) == "perpMarginRejected"
    assert alice.position() == Decimal("0.19")


def test_fast_cancels_are_not_for_triggers(exchange, trader):
    """`f` cancels a limit order and refuses a stop."""
    alice = trader()
    alice.order(limit("B", "0.01", "101000", "Ioc"))
    stop = alice.order(trigger("A", "0.01", "95000", "sl"))[0]["resting"]["oid"]
    cancels = [{"a": 0, "o": stop}, {"a": 0, "o": resting(alice, "B", "0.01", "90000")}]
    answer = alice.act({"type": "cancel", "cancels": cancels, "f": True})
    assert answer["response"]["data"]["statuses"] == [{"error": GONE}, "success"]
    assert alice.status(stop) == "open"


def test_a_modify_may_not_turn_into_an_order_that_takes(exchange, trader):
    """Without always-place only a limit order that rests may replace, and it becomes post-only; the
    original stays when the new one is no such order."""
    alice = trader()
    oid = resting(alice, "B", "0.01", "90000")
    invalid = {"error": "Attempted to modify to invalid new order"}
    assert modified(alice, oid, limit("B", "0.01", "101000", "Ioc")) == invalid
    assert modified(alice, oid, limit("B", "0.01", "101000")) == invalid
    assert modified(alice, oid, trigger("A", "0.01", "95000", "sl")) == invalid
    assert alice.status(oid) == "open"
    new = modified(alice, oid, limit("B", "0.01", "91000"))["resting"]["oid"]
    assert alice.ask("orderStatus", oid=new)["order"]["order"]["tif"] == "Alo"
    crossing = modified(alice, new, limit("B", "0.01", "101000", "Alo"))["error"]
    assert crossing.startswith("Error placing new order during modify: Post only order would")
    assert alice.ask("openOrders") == []


def test_always_place_modifies_anything_and_survives_a_lost_original(exchange, trader):
    """With `a` the new order may take, and is placed even when the old one is gone."""
    alice = trader()
    gone = resting(alice, "B", "0.01", "90000")
    alice.cancel(gone)
    assert modified(alice, gone, limit("B", "0.01", "90000")) == {
        "error": "Cannot modify canceled or filled order"
    }
    placed = modified(alice, gone, limit("B", "0.01", "101000", "Ioc"), always=True)
    assert placed["filled"]["totalSz"] == "0.01"
    stop = alice.order(trigger("A", "0.01", "95000", "sl"))[0]["resting"]["oid"]
    moved = modified(alice, stop, trigger("A", "0.01", "96000", "sl"), always=True)
    assert alice.status(stop) == "canceled"
    exchange.move("BTC", Decimal(95_900))
    assert alice.status(moved["resting"]["oid"]) == "filled"


def test_what_has_triggered_stays_triggered(exchange, trader):
    """A stop-limit that rests after its trigger cannot be made a trigger again."""
    alice = trader()
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    stop = trigger("A", "0.05", "98000", "sl", p="97500", market=False)
    oid = alice.order(stop)[0]["resting"]["oid"]
    exchange.move("BTC", Decimal(95_000), jump=True)
    assert alice.status(oid) == "triggered"
    again = trigger("A", "0.05", "94000", "sl", p="93000")
    assert "invalid new order" in modified(alice, oid, again, always=True)["error"]
    assert alice.status(oid) == "triggered"


@pytest.mark.parametrize(
    ("rate", "orders", "text"),
    [
        (0, [limit("B", "0.01", "90000")], "Invalid TIF"),
        (
            5,
            [limit("B", "0.01", "90000", "Alo"), limit("B", "0.01", "101000", "Ioc")],
            "Invalid TIF",
        ),
        (
            5,
            [limit("B", "0.01", "101000", "Ioc")],
            "Insufficient delegatable balance for priority order",
        ),
    ],
)
def test_priority_is_for_all_ioc_or_all_post_only_and_must_be_paid(
    exchange, trader, rate, orders, text
):
    """A priority grouping is validated, and nobody here has staking balance to pay for one."""
    alice = trader()
    action = {"type": "order", "orders": orders, "grouping": {"p": rate}}
    assert alice.act(action) == {"status": "err", "response": text}
    free = {"type": "order", "orders": [limit("B", "0.01", "90000", "Alo")], "grouping": {"p": 0}}
    assert "resting" in alice.act(free)["response"]["data"]["statuses"][0]


def test_a_builder_is_paid_what_was_approved(exchange: LocalExchange, trader):
    """Without approval every order is refused; with it the fee holds the builder's part, which the
    builder receives."""
    alice, builder = trader(), "0x" + "b" * 40
    action = {
        "type": "order",
        "orders": [limit("B", "0.01", "101000", "Ioc")],
        "grouping": "na",
        "builder": {"b": builder, "f": 10},
    }
    refused = {"error": "Builder fee has not been approved."}
    assert alice.act(action)["response"]["data"]["statuses"] == [refused]
    exchange.state.builder_fees[alice.address] = {builder: 10}
    assert "filled" in alice.act(action)["response"]["data"]["statuses"][0]
    (fill,) = alice.ask("userFills")
    paid = Decimal(fill["px"]) * Decimal("0.01") * Decimal("0.0001")
    assert Decimal(fill["builderFee"]) == exchange.state.accounts[builder].cash == paid
    assert Decimal(fill["fee"]) - paid == (
        Decimal(fill["px"]) * Decimal("0.01") * Decimal("0.00045")
    ).quantize(Decimal("0.000001"), rounding="ROUND_FLOOR")


def test_a_fixed_position_stop_keeps_its_size(exchange, trader):
    """positionTpsl with a size closes that much, and ends when the position is gone."""
    alice = trader(usd="100000")
    alice.order(limit("B", "0.1", "101000", "Ioc"))
    statuses = alice.order(
        trigger("A", "0.04", "98000", "sl"),
        trigger("A", "0.04", "103000", "tp"),
        grouping="positionTpsl",
    )
    assert statuses == ["waitingForTrigger"] * 2
    exchange.move("BTC", Decimal(97_500))
    assert alice.position() == Decimal("0.06")
    alice.order(trigger("A", "0.02", "95000", "sl"), grouping="positionTpsl")
    alice.order(limit("A", "0", "90000", "Ioc", r=True))
    assert {r["status"] for r in alice.ask("historicalOrders")} == {
        "filled",
        "siblingFilledCanceled",
        "reduceOnlyCanceled",
    }


def test_a_partly_filled_parent_takes_its_children_along_unless_margin_ends_it(exchange, trader):
    """Cancelled after a partial fill the children go too; ended for margin they protect what was
    bought."""
    alice, bob = trader("alice", "3000"), trader("bob", "1000000")
    family = [
        limit("B", "0.05", "99999"),
        trigger("A", "0.05", "98000", "sl"),
    ]
    for ending in ("canceled", "marginCanceled"):
        parent = alice.order(*family, grouping="normalTpsl")[0]["resting"]["oid"]
        bob.order(limit("A", "0.02", "99999", "Ioc"))
        if ending == "canceled":
            assert alice.cancel(parent) == "success"
        else:
            exchange.state.accounts[alice.address].cash -= 2_850
            bob.order(limit("A", "0.02", "99999", "Ioc"))
        assert alice.status(parent) == ending
        assert alice.status(parent + 1) == ("canceled" if ending == "canceled" else "open")


def test_the_flow_between_ticks_fills_an_order_inside_the_spread_in_part(exchange, clock, trader):
    """Trades of the modelled market meet the best quote, be it a user's; prints come between ticks
    and never outside the spread."""
    alice = trader(usd="1000000")
    heard = []
    exchange.subscribe({"type": "trades", "coin": "BTC"}, heard.append)
    for _ in range(12):
        clock.set(clock.now_ms() + 1_000)
        exchange.move("BTC", Decimal(100_000), volume=Decimal(2))
        if not alice.ask("openOrders"):
            alice.order(limit("B", "5", "99999"), limit("A", "5", "100001", c="0x" + "1" * 32))
        clock.set(clock.now_ms() + 9_000)
        exchange.advance()
        book = exchange.info({"type": "l2Book", "coin": "BTC"})["levels"]
        assert Decimal(book[0][0]["px"]) < Decimal(book[1][0]["px"])
    fills = alice.ask("userFills")
    assert fills
    assert all(not fill["crossed"] and Decimal(fill["sz"]) < 2 for fill in fills)
    prints = [trade for message in heard[1:] for trade in message["data"]]
    assert any(trade["time"] % 10_000 for trade in prints)
    assert all(99_990 < Decimal(trade["px"]) < 100_010 for trade in prints)


def test_fills_of_one_taker_can_be_asked_for_as_one(exchange, trader):
    """aggregateByTime adds up what one order took; time ranges and the order of pages hold."""
    whale: Trader = trader(usd="100000000")
    whale.order(limit("B", "3", "100200", "Ioc"))
    parts = whale.ask("userFills")
    (whole,) = whale.ask("userFills", aggregateByTime=True)
    assert len(parts) > 2
    for key in ("sz", "fee", "closedPnl"):
        assert Decimal(whole[key]) == sum(Decimal(part[key]) for part in parts)
    assert whole["startPosition"] == "0.0"
    start = parts[0]["time"]
    ascending = whale.ask("userFillsByTime", startTime=start)
    assert ascending == parts[::-1]
    assert whale.ask("userFillsByTime", startTime=start, reversed=True) == parts
    assert whale.ask("userFillsByTime", startTime=start + 1) == []
    assert whale.ask("userFillsByTime", startTime=0, endTime=start, aggregateByTime=True) == [whole]
