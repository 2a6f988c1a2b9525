"""What the exchange remembers of an account is bounded: the newest, as the venue has it."""

from typing import Any

import pytest
from exchange_world import limit

from fractaltrader.simulator import core
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.trading import lifecycle


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds small enough to pass many times; the venue's are in the thousands."""
    monkeypatch.setattr(lifecycle, "ORDERS_KEPT", 20)
    monkeypatch.setattr(lifecycle, "FORGOTTEN_AT_ONCE", 5)
    monkeypatch.setattr(core, "FILLS_KEPT", 20)
    monkeypatch.setattr(core, "FILLS_FORGOTTEN_AT_ONCE", 5)


def cloid(number: int) -> str:
    return f"0x{number:032x}"


def orders(trader: Any, count: int, price: str, tif: str) -> list[int]:
    """So many orders one after the other, each with a cloid of its number; their oids."""
    for number in range(count):
        trader.order(limit("B", "0.001", price, tif, c=cloid(number)))
    return sorted(order["order"]["oid"] for order in trader.ask("historicalOrders"))


@pytest.mark.usefixtures("forgetful")
def test_the_oldest_finished_orders_are_forgotten(exchange, trader, clock) -> None:
    """Of a hundred orders that ended only the newest two dozen are known, by oid and by cloid; a
    live one is never forgotten however old, and what was forgotten stays so after a restart."""
    alice = trader()
    resting = alice.order(limit("B", "0.001", "90000", c=cloid(999)))[0]["resting"]["oid"]
    known = orders(alice, 100, "50000", "Ioc")
    assert known[0] == resting
    assert 20 <= len(known) - 1 < 25
    assert known[1:] == list(range(known[1], known[-1] + 1))
    found = [n for n in range(100) if alice.ask("orderStatus", oid=cloid(n))["status"] == "order"]
    assert found == list(range(101 - len(known), 100))
    twin = LocalExchange.restored(exchange.snapshot(), clock=clock)
    history = {"type": "historicalOrders", "user": alice.address}
    assert twin.info(history) == exchange.info(history)
    assert alice.status(cloid(999)) == "open"
    assert alice.cancel(resting) == "success"
    # A cloid whose order is forgotten may be used again.
    (again,) = alice.order(limit("B", "0.001", "90000", c=cloid(0)))
    assert alice.status(cloid(0)) == "open"
    assert (
        alice.ask("orderStatus", oid=cloid(0))["order"]["order"]["oid"] == again["resting"]["oid"]
    )


@pytest.mark.usefixtures("forgetful")
def test_the_oldest_fills_are_forgotten_and_the_position_is_not(exchange, trader) -> None:
    """A hundred executions leave the newest two dozen in the history, and their sum in the
    position."""
    alice = trader()
    orders(alice, 100, "101000", "Ioc")
    fills = alice.ask("userFills")
    assert 20 <= len(fills) < 25
    assert {fill["cloid"] for fill in fills} == {
        cloid(100 - len(fills) + n) for n in range(len(fills))
    }
    assert str(alice.position()) == "0.1"
