"""Orders as the venue wants them: key order is part of the signature."""

from collections.abc import Sequence
from typing import Any

import msgspec

from fractaltrader.exchange.classify import classify_refusal
from fractaltrader.exchange.hyperliquid.wire import OrderStatusItem
from fractaltrader.exchange.port import OrderOutcome, OrderRequest, OutcomeKind, Side
from fractaltrader.market.instrument import to_wire


def order_wire(request: OrderRequest) -> dict[str, Any]:
    """One order of an `order` action."""
    kind: dict[str, Any]
    if request.trigger is None:
        kind = {"limit": {"tif": request.tif}}
    else:
        kind = {
            "trigger": {
                "isMarket": True,
                "triggerPx": to_wire(request.trigger.price),
                "tpsl": request.trigger.kind,
            }
        }
    return {
        "a": request.instrument.asset,
        "b": request.side is Side.BUY,
        "p": to_wire(request.price),
        "s": to_wire(request.size),
        "r": request.reduce_only,
        "t": kind,
        "c": request.cloid,
    }


def order_action(orders: Sequence[OrderRequest], grouping: str) -> dict[str, Any]:
    """An `order` action; `grouping` is 'na', 'normalTpsl' or 'positionTpsl'."""
    return {
        "type": "order",
        "orders": [order_wire(order) for order in orders],
        "grouping": grouping,
    }


def outcomes(statuses: Sequence[OrderStatusItem | str], orders: int) -> list[OrderOutcome]:
    """One outcome per order; a batch refused before validation answers once for all."""
    parsed = [_outcome(status) for status in statuses]
    if len(parsed) == 1 and orders > 1:
        return parsed * orders
    if len(parsed) != orders:
        raise msgspec.ValidationError(f"{len(parsed)} statuses for {orders} orders")
    return parsed


def _outcome(status: OrderStatusItem | str) -> OrderOutcome:
    if isinstance(status, str):
        return OrderOutcome(OutcomeKind.WAITING)
    if status.error is not None:
        known = classify_refusal(status.error)
        return OrderOutcome(OutcomeKind.REJECTED, error=status.error, classified=known)
    if status.filled is not None:
        filled = status.filled
        return OrderOutcome(OutcomeKind.FILLED, filled.oid, filled.total_sz, filled.avg_px)
    if status.resting is not None:
        return OrderOutcome(OutcomeKind.RESTING, status.resting.oid)
    raise msgspec.ValidationError(f"order status without a known key: {status}")
