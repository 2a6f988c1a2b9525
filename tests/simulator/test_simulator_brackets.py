"""Stops and targets: one signed action, the price path decides, one cancels the other."""

from decimal import Decimal

import pytest
from exchange_world import limit, trigger

STOP, TARGET = trigger("A", "0.05", "98000", "sl"), trigger("A", "0.05", "103000", "tp")


def bracket(trader, entry):
    """Place entry, stop and target; (answer, the oids of the three, in order)."""
    statuses = trader.order(entry, STOP, TARGET, grouping="normalTpsl")
    oids = sorted(r["order"]["oid"] for r in trader.ask("historicalOrders"))
    return statuses, oids


def statuses_of(trader, oids):
    return [trader.status(oid) for oid in oids]


def test_children_wait_live_and_cancel_each_other(exchange, trader):
    """Waiting below a resting parent, armed once it filled, and when the target fills the stop
    ends as siblingFilledCanceled."""
    alice = trader()
    updates = []
    exchange.subscribe({"type": "orderUpdates", "user": alice.address}, updates.append)
    statuses, oids = bracket(alice, limit("B", "0.05", "99500"))
    assert statuses == [{"resting": {"oid": oids[0]}}, "waitingForFill", "waitingForFill"]
    (parent,) = (o for o in alice.ask("frontendOpenOrders") if o["children"])
    assert [child["oid"] for child in parent["children"]] == oids[1:]
    exchange.move("BTC", Decimal(99_400))
    assert statuses_of(alice, oids) == ["filled", "open", "open"]
    exchange.move("BTC", Decimal(103_500))
    assert statuses_of(alice, oids) == ["filled", "siblingFilledCanceled", "filled"]
    assert alice.position() == 0
    seen = [(u["order"]["oid"], u["status"]) for m in updates[1:] for u in m["data"]]
    assert seen == [
        (oids[0], "open"),
        (oids[0], "filled"),
        (oids[1], "open"),
        (oids[2], "open"),
        (oids[2], "triggered"),
        (oids[2], "filled"),
        (oids[1], "siblingFilledCanceled"),
    ]


def test_the_path_decides_which_child_executes_and_where(exchange, trader):
    """Falling through the stop executes it from its trigger price, not from the tick's end, and a
    later rise through the target finds nothing."""
    alice = trader()
    statuses, oids = bracket(alice, limit("B", "0.05", "101000", "Ioc"))
    assert statuses[1:] == ["waitingForTrigger", "waitingForTrigger"]
    exchange.move("BTC", Decimal(90_000))
    exchange.move("BTC", Decimal(110_000))
    assert statuses_of(alice, oids) == ["filled", "filled", "siblingFilledCanceled"]
    stop_fill = alice.ask("userFills")[0]
    assert Decimal(97_980) <= Decimal(stop_fill["px"]) <= Decimal(98_000)
    assert stop_fill["dir"] == "Close Long"
    assert stop_fill["crossed"] is True


def test_a_gap_executes_the_stop_at_the_new_price(exchange, trader):
    """A jump over the trigger price fills from the price after the jump."""
    alice = trader()
    _, oids = bracket(alice, limit("B", "0.05", "101000", "Ioc"))
    exchange.move("BTC", Decimal(95_000), jump=True)
    assert alice.status(oids[1]) == "filled"
    assert Decimal(94_980) <= Decimal(alice.ask("userFills")[0]["px"]) <= Decimal(95_000)


def test_an_entry_and_its_stop_can_execute_within_one_move(exchange, trader):
    """On the way down the entry fills at its limit, its stop arms and fires on the same way."""
    alice = trader()
    _, oids = bracket(alice, limit("B", "0.05", "99500"))
    exchange.move("BTC", Decimal(97_000))
    assert statuses_of(alice, oids) == ["filled", "filled", "siblingFilledCanceled"]
    exit_fill, entry_fill = alice.ask("userFills")
    assert (entry_fill["px"], entry_fill["crossed"]) == ("99500.0", False)
    assert Decimal(exit_fill["px"]) <= 98_000


def test_cancelling_the_parent_ends_its_children(exchange, trader):
    """A cancelled entry leaves no stop or target behind."""
    alice = trader()
    _, oids = bracket(alice, limit("B", "0.05", "99500"))
    assert alice.cancel(oids[0]) == "success"
    assert statuses_of(alice, oids) == ["canceled"] * 3
    assert alice.ask("openOrders") == []


def test_a_partial_ioc_entry_leaves_no_live_child(exchange, trader):
    """An IOC entry that fills in part keeps its position but its children never live."""
    whale = trader(usd="100000000")
    size = "40"
    statuses = whale.order(
        limit("B", size, "100100", "Ioc"),
        trigger("A", size, "98000", "sl"),
        trigger("A", size, "103000", "tp"),
        grouping="normalTpsl",
    )
    assert 0 < Decimal(statuses[0]["filled"]["totalSz"]) < 40
    assert whale.ask("frontendOpenOrders") == []
    assert sorted(r["status"] for r in whale.ask("historicalOrders")) == ["canceled"] * 3


def test_a_refused_entry_places_no_children(exchange, trader):
    """When the entry is rejected only the entry is remembered, with its reason."""
    alice = trader()
    error = {"error": "Order could not immediately match against any resting orders. asset=0"}
    assert (
        alice.order(limit("B", "0.05", "99000", "Ioc"), STOP, TARGET, grouping="normalTpsl")
        == [error] * 3
    )
    assert [r["status"] for r in alice.ask("historicalOrders")] == ["iocCancelRejected"]
    assert alice.ask("openOrders") == []


@pytest.mark.parametrize(
    ("orders", "text"),
    [
        ([limit("B", "0.05", "99000")], "Unexpected number of trigger orders"),
        ([STOP, TARGET], "Main order cannot be trigger order."),
        (
            [limit("B", "0.05", "99000"), trigger("A", "0.05", "98000", "sl", r=False)],
            "Trigger order is not reduce only.",
        ),
        (
            [limit("B", "0.05", "99000"), trigger("B", "0.05", "98000", "sl")],
            "Trigger order has unexpected side.",
        ),
        (
            [limit("B", "0.05", "99000"), trigger("A", "0.05", "98000.5", "sl"), TARGET],
            "Price must be divisible by tick size. asset=0",
        ),
        (
            [
                limit("B", "0.05", "99000"),
                trigger("A", "1", "98000", "sl", p="98001", market=False),
            ],
            "Invalid TP/SL price. asset=0",
        ),
        (
            [limit("B", "0.05", "99000"), STOP, trigger("A", "0.000001", "103000", "tp")],
            "Order has invalid size.",
        ),
    ],
)
def test_malformed_brackets_are_refused_whole(exchange, trader, orders, text):
    """A grouping that makes no sense gives one error and places nothing."""
    alice = trader()
    assert alice.order(*orders, grouping="normalTpsl") == [{"error": text}]
    assert alice.ask("historicalOrders") == []


def test_a_trigger_that_would_fire_at_once_is_refused(exchange, trader):
    """Stops above and targets below the mark of a long, and stop-limits on the wrong side."""
    alice = trader()
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    for bad in (
        trigger("A", "0.05", "100500", "sl"),
        trigger("A", "0.05", "99500", "tp"),
        trigger("A", "0.05", "98000", "sl", p="98500", market=False),
    ):
        assert alice.order(bad) == [{"error": "Invalid TP/SL price. asset=0"}]
        assert alice.ask("historicalOrders")[0]["status"] == "badTriggerPxRejected"


def test_position_stop_follows_the_whole_position(exchange, trader):
    """A positionTpsl without size closes whatever the position has grown to."""
    alice = trader(usd="100000")
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    statuses = alice.order(trigger("A", "0", "98000", "sl", p="90000"), grouping="positionTpsl")
    assert statuses == ["waitingForTrigger"]
    assert alice.ask("frontendOpenOrders")[0]["isPositionTpsl"] is True
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    exchange.move("BTC", Decimal(97_000))
    assert alice.position() == 0


def test_a_triggered_stop_limit_rests_at_its_limit(exchange, trader):
    """Gapped over, a stop-limit rests and fills as maker when the price comes back."""
    alice = trader()
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    stop = trigger("A", "0.05", "98000", "sl", p="97500", market=False)
    oid = alice.order(stop)[0]["resting"]["oid"]
    exchange.move("BTC", Decimal(95_000), jump=True)
    assert alice.status(oid) == "triggered"
    assert alice.ask("openOrders")[0]["limitPx"] == "97500.0"
    exchange.move("BTC", Decimal(97_600))
    assert alice.status(oid) == "filled"
    assert alice.ask("userFills")[0]["crossed"] is False
