"""Errors of orders, modifies and cancels."""

from decimal import Decimal
from typing import Any

from provoking import GTC, IOC, Provocation, fault, holding, leg, market, raw, said, trigger
from served_world import ServedWorld

from fractaltrader.simulator.clearing import prices
from fractaltrader.simulator.state import MarginTable


def order(*arguments: Any, **options: Any) -> Provocation:
    """One order of a fresh user by the SDK."""

    def provoke(world: ServedWorld, name: str) -> str:
        return said(world.sdk(name).order(*arguments, **options))

    return provoke


def batch(*legs: dict[str, Any], grouping: str = "na") -> Provocation:
    """A batch of a fresh user by the SDK."""

    def provoke(world: ServedWorld, name: str) -> str:
        answer = world.sdk(name).bulk_orders(list(legs), grouping=grouping)
        assert len(answer["response"]["data"]["statuses"]) == 1
        return said(answer)

    return provoke


def no_liquidity(world: ServedWorld, name: str) -> str:
    taker = world.sdk(name, 50_000_000)
    # The modelled side is finite between two ticks.
    answer = taker.order("ETH", False, 1_000, 2_500, IOC)
    while "filled" in answer["response"]["data"]["statuses"][0]:
        answer = taker.order("ETH", False, 1_000, 2_500, IOC)
    text = said(taker.order("ETH", False, 500, 2_500, {"limit": {"tif": "FrontendMarket"}}))
    taker.market_close("ETH")
    world.move("ETH", 4_000)
    return text


def capped(world: ServedWorld, name: str, tif: dict[str, Any], price: float, **values: Any) -> str:
    holding(world, f"{name} holder")
    sdk = world.sdk(name)
    with market(world, "BTC", **values):
        return said(sdk.order("BTC", True, 0.05, price, tif))


def far_from_oracle(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)

    def put(usd: int) -> None:
        world.do(lambda ex: prices.set_offsets(ex._core, "ETH", oracle=Decimal(usd)))

    put(-3_000)
    try:
        return said(sdk.order("ETH", True, 0.1, 3_500, GTC))
    finally:
        put(0)


def beyond_tier(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name, 100_000)
    sdk.update_leverage(40, "BTC")
    table = MarginTable("tiered", [(Decimal(0), 40), (Decimal(10_000), 5)])
    world.do(lambda ex: ex.state.margin_tables.update({99: table}))
    with market(world, "BTC", margin_table=99):
        return said(sdk.order("BTC", True, 0.5, 99_000, GTC))


def too_many_orders(world: ServedWorld, name: str) -> str:
    sdk = holding(world, name)
    world.fund(name, 1_000_000)
    for part in range(5):
        legs = [leg(True, 0.001, 20_000 + part, GTC) for _ in range(200)]
        assert all("resting" in s for s in sdk.bulk_orders(legs)["response"]["data"]["statuses"])
    return said(sdk.order("BTC", False, 0.01, 90_000, trigger(90_000, "sl"), reduce_only=True))


def modified(world: ServedWorld, name: str, price: float, tif: dict[str, Any]) -> str:
    sdk = world.sdk(name)
    placed = sdk.order("BTC", True, 0.01, 90_000, GTC)
    oid = placed["response"]["data"]["statuses"][0]["resting"]["oid"]
    return said(sdk.modify_order(oid, "BTC", True, 0.01, price, tif))


def modified_to_refused(world: ServedWorld, name: str) -> str:
    """The SDK cannot send `a`, which places the new order whatever becomes of the old."""
    sdk = world.sdk(name)
    placed = sdk.order("BTC", True, 0.01, 90_000, GTC)
    oid = placed["response"]["data"]["statuses"][0]["resting"]["oid"]
    wire = {"a": 0, "b": True, "p": "90000", "s": "0.0001", "r": False, "t": GTC}
    action = {"type": "batchModify", "modifies": [{"oid": oid, "order": wire}], "a": True}
    return said(raw(world, name, action))


def during(kind: str) -> Provocation:
    def provoke(world: ServedWorld, name: str) -> str:
        sdk = world.sdk(name)
        with fault(world, kind=kind):
            return said(sdk.order("BTC", True, 0.01, 90_000, GTC))

    return provoke


def priority(rate: int, tif: dict[str, Any]) -> Provocation:
    def provoke(world: ServedWorld, name: str) -> str:
        world.fund(name)
        wire = {"a": 0, "b": True, "p": "90000", "s": "0.01", "r": False, "t": tif}
        return said(raw(world, name, {"type": "order", "orders": [wire], "grouping": {"p": rate}}))

    return provoke
