"""The venue's table of what each request answers, tells and fills (hyperliquid.md section 11)."""

from decimal import Decimal

import pytest
from exchange_world import Trader, limit, trigger

IOC_MISS = "Order could not immediately match against any resting orders. asset=0"
STOP = trigger("A", "0.01", "98000", "sl")
TARGET = trigger("A", "0.01", "103000", "tp")


class Watched:
    """A trader whose order updates and fills are written down."""

    def __init__(self, exchange, trader: Trader) -> None:
        self.exchange, self.trader = exchange, trader
        self.frames: list[list[tuple[str, str]]] = []
        self.fills: list[dict] = []
        exchange.subscribe({"type": "orderUpdates", "user": trader.address}, self._updates)
        exchange.subscribe({"type": "userEvents", "user": trader.address}, self._events)

    def _updates(self, message):
        if message["channel"] == "orderUpdates":
            self.frames.append([(u["status"], u["order"]["sz"]) for u in message["data"]])

    def _events(self, message):
        if message["channel"] == "user":
            self.fills += message["data"].get("fills", [])

    @property
    def statuses(self):
        return [status for frame in self.frames for status, _ in frame]

    def buy(self, **more):
        self.trader.order(limit("B", "0.01", "101000", "Ioc"), **more)
        self.frames.clear()
        self.fills.clear()


@pytest.fixture
def alice(exchange, trader) -> Watched:
    return Watched(exchange, trader("alice", "100000"))


@pytest.mark.parametrize(
    ("order", "kind", "frame", "crossed"),
    [
        (limit("B", "0.01", "99000"), "resting", [("open", "0.01")], []),
        (limit("B", "0.01", "99000", "Alo"), "resting", [("open", "0.01")], []),
        (limit("B", "0.01", "101000"), "filled", [("open", "0.01"), ("filled", "0.0")], [True]),
        (
            limit("B", "0.01", "101000", "Ioc"),
            "filled",
            [("open", "0.01"), ("filled", "0.0")],
            [True],
        ),
        (limit("B", "0.01", "99000", "Ioc"), "error", [("iocCancelRejected", "0.01")], []),
        (limit("B", "0.01", "101000", "Alo"), "error", [("badAloPxRejected", "0.01")], []),
        (limit("B", "0.0001", "90000"), "error", [("minTradeNtlRejected", "0.0001")], []),
        (limit("B", "90", "99000"), "error", [("perpMarginRejected", "90.0")], []),
        (limit("B", "0.01", "4000"), "error", None, []),
    ],
)
def test_a_single_order(alice, order, kind, frame, crossed):
    """Answer, the one frame of order updates (none before validation) and the fills."""
    (status,) = alice.trader.order(order)
    assert list(status) == [kind]
    assert alice.frames == ([] if frame is None else [frame])
    assert [fill["crossed"] for fill in alice.fills] == crossed
    assert len(alice.trader.ask("historicalOrders")) == (frame is not None)


def test_an_ioc_that_fills_in_part(alice):
    """It answers `filled` with less, tells open and canceled with what was left, and fills."""
    alice.trader.exchange.faucet(alice.trader.address, Decimal(10_000_000))
    (status,) = alice.trader.order(limit("B", "2", "100010", "Ioc"))
    done = Decimal(status["filled"]["totalSz"])
    assert 0 < done < 2
    assert [name for name, _ in alice.frames[0]] == ["open", "canceled"]
    assert Decimal(alice.frames[0][1][1]) == 2 - done
    assert sum(Decimal(fill["sz"]) for fill in alice.fills) == done


def test_a_maker_is_told_when_it_is_done_not_before(alice, trader):
    """A partial fill of a resting order tells a fill only; the last one tells `filled`."""
    alice.trader.order(limit("B", "0.02", "99999"))
    alice.frames.clear()
    bob = trader("bob")
    bob.order(limit("A", "0.005", "99999", "Ioc"))
    assert (alice.frames, len(alice.fills)) == ([], 1)
    bob.order(limit("A", "0.015", "99999", "Ioc"))
    assert alice.frames == [[("filled", "0.0")]]
    assert [fill["crossed"] for fill in alice.fills] == [False, False]


def test_cancels_and_modifies(alice):
    """A cancel tells `canceled`; a modify ends the old order and opens one with a new oid and the
    same client order id."""
    cloid = "0x" + "7" * 32
    oid = alice.trader.order(limit("B", "0.01", "90000"))[0]["resting"]["oid"]
    assert alice.trader.cancel(oid) == "success"
    oid = alice.trader.order(limit("B", "0.01", "90000", c=cloid))[0]["resting"]["oid"]
    new = limit("B", "0.01", "91000", c=cloid)
    answer = alice.trader.act({"type": "modify", "oid": oid, "order": new})
    assert answer == {"status": "ok", "response": {"type": "default"}}
    assert alice.statuses == ["open", "canceled", "open", "canceled", "open"]
    (moved,) = alice.trader.ask("frontendOpenOrders")
    assert (moved["cloid"], moved["oid"] > oid) == (cloid, True)


def test_a_bracket_from_parent_to_target(alice):
    """waitingForFill below a resting parent, waitingForTrigger below a filled one; the trigger that
    hits goes through `triggered` to `filled`, its sibling ends."""
    resting = alice.trader.order(limit("B", "0.01", "99500"), STOP, TARGET, grouping="normalTpsl")
    assert [list(resting[0]), *resting[1:]] == [["resting"], "waitingForFill", "waitingForFill"]
    alice.trader.cancel(resting[0]["resting"]["oid"])
    assert alice.statuses == ["open", "canceled", "canceled", "canceled"]
    alice.frames.clear()
    filled = alice.trader.order(
        limit("B", "0.01", "101000", "Ioc"), STOP, TARGET, grouping="normalTpsl"
    )
    assert [list(filled[0]), *filled[1:]] == [["filled"], "waitingForTrigger", "waitingForTrigger"]
    alice.exchange.move("BTC", Decimal(104_000))
    assert alice.statuses[:4] == ["open", "filled", "open", "open"]
    assert alice.statuses[4:] == ["triggered", "filled", "siblingFilledCanceled"]
    assert alice.fills[-1]["dir"] == "Close Long"


def test_children_can_be_cancelled_before_their_parent(alice):
    """Each waiting child is cancelled by itself, then the parent: three successes."""
    alice.trader.order(limit("B", "0.01", "99500"), STOP, TARGET, grouping="normalTpsl")
    oids = sorted(order["oid"] for order in alice.trader.ask("openOrders"))
    assert [alice.trader.cancel(oid) for oid in reversed(oids)] == ["success"] * 3


def test_reduce_only_leftovers_and_own_orders_end(alice):
    """What can no longer reduce ends as reduceOnlyCanceled, an own order that is met as
    selfTradeCanceled, without a fill or a print between the two."""
    alice.buy()
    alice.trader.order(limit("A", "0.01", "105000", r=True))
    alice.trader.order(limit("A", "0.01", "99000", "Ioc"))
    assert alice.statuses == ["open", "open", "filled", "reduceOnlyCanceled"]
    alice.frames.clear()
    prints = len(alice.exchange.state.markets["BTC"].trades)
    alice.trader.order(limit("A", "0.01", "100001"))
    alice.trader.order(limit("B", "0.01", "100001", "Ioc"))
    assert alice.statuses == ["open", "open", "selfTradeCanceled", "iocCancelRejected"]
    assert len(alice.exchange.state.markets["BTC"].trades) == prints
