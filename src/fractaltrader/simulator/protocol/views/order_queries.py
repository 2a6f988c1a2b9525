"""Orders of an account as the wire shows them (hyperliquid.md 2.2)."""

from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol.views.orders import frontend_order, open_order
from fractaltrader.simulator.state import Order


def _newest_first(core: Core, user: str) -> list[Order]:
    return sorted(core.live_orders(user), key=lambda order: order.oid, reverse=True)


def open_orders(core: Core, user: str) -> list[dict[str, Any]]:
    """Orders that rest, wait or are armed, newest first, in the short form."""
    return [open_order(order) for order in _newest_first(core, user)]


def frontend_view(core: Core, order: Order) -> dict[str, Any]:
    """The long form of an order with the children that still wait for it."""
    known = (core.state.orders.get(oid) for oid in order.children)
    waiting = [child for child in known if child is not None and child.phase == "waiting"]
    return frontend_order(order, waiting)


def frontend_open_orders(core: Core, user: str) -> list[dict[str, Any]]:
    """The same orders in the long form; waiting children appear nested and on their own."""
    return [frontend_view(core, order) for order in _newest_first(core, user)]


def order_record(core: Core, order: Order) -> dict[str, Any]:
    """An order with its last status."""
    return {
        "order": frontend_view(core, order),
        "status": order.status,
        "statusTimestamp": order.status_ms,
    }


def order_status(core: Core, user: str, reference: int | str) -> dict[str, Any]:
    """One order by oid or client order id; `unknownOid` when the user has none such."""
    account = core.state.accounts.get(user)
    oid = reference
    if isinstance(reference, str):
        oid = account.cloids.get(reference, 0) if account else 0
    order = core.state.orders.get(oid) if isinstance(oid, int) else None
    if order is None or order.user != user:
        return {"status": "unknownOid"}
    return {"status": "order", "order": order_record(core, order)}


def historical_orders(core: Core, user: str, limit: int) -> list[dict[str, Any]]:
    """Every remembered order once with its last status, latest change first."""
    account = core.account_or_empty(user)
    orders = [core.state.orders[oid] for oid in (*account.live, *account.done)]
    orders.sort(key=lambda order: (order.status_ms, order.oid), reverse=True)
    return [order_record(core, order) for order in orders[:limit]]
