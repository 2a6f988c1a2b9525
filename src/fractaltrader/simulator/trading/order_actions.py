"""Order, cancel and modify actions of an authenticated user (hyperliquid.md 3.2)."""

from typing import Any

from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.protocol.order_forms import (
    BatchModifyAction,
    CancelAction,
    CancelByCloidAction,
    ModifyAction,
    OrderAction,
    OrderWire,
)
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Order
from fractaltrader.simulator.trading.lifecycle import finish
from fractaltrader.simulator.trading.placing import Status, place_batch
from fractaltrader.simulator.trading.triggers import settle_consequences

Response = dict[str, Any]


def place(core: Core, user: str, action: OrderAction) -> Response:
    """Place orders."""
    return _with_statuses("order", place_batch(core, user, action))


def cancel(core: Core, user: str, action: CancelAction) -> Response:
    """Cancel orders by oid."""
    statuses = [_cancel(core, user, item.a, item.o) for item in action.cancels]
    return _with_statuses("cancel", statuses)


def cancel_by_cloid(core: Core, user: str, action: CancelByCloidAction) -> Response:
    """Cancel orders by client order id."""
    cloids = core.account(user).cloids
    targets = [(item.asset, cloids.get(item.cloid, 0)) for item in action.cancels]
    return _with_statuses("cancel", [_cancel(core, user, *target) for target in targets])


def modify(core: Core, user: str, action: ModifyAction) -> Response:
    """Replace one order; raises RefusedError with the venue's text."""
    status = _modify(core, user, action.oid, action.order)
    if isinstance(status, dict) and "error" in status:
        raise RefusedError(status["error"])
    return {"type": "default"}


def batch_modify(core: Core, user: str, action: BatchModifyAction) -> Response:
    """Replace orders."""
    statuses = [_modify(core, user, item.oid, item.order) for item in action.modifies]
    return _with_statuses("order", statuses)


def _with_statuses(kind: str, statuses: list[Status]) -> Response:
    return {"type": kind, "data": {"statuses": statuses}}


def _cancel(core: Core, user: str, asset: int, oid: int) -> Status:
    order = _live_order(core, user, asset, oid)
    if order is None:
        text = f"Order was never placed, already canceled, or filled. asset={asset}"
        return {"error": text}
    finish(core, order, "canceled")
    settle_consequences(core)
    return "success"


def _live_order(core: Core, user: str, asset: int, oid: int) -> Order | None:
    """The user's live order on that asset, else None."""
    order = core.state.orders.get(oid)
    if order is None or order.user != user or not order.is_live:
        return None
    return order if core.instruments[order.coin].asset == asset else None


def _modify(core: Core, user: str, reference: int | str, new: OrderWire) -> Status:
    """Cancel and replace: new oid, and the original is gone when the replacement is refused."""
    if isinstance(reference, str):
        reference = core.account(user).cloids.get(reference, 0)
    order = _live_order(core, user, new.a, reference)
    if order is None:
        return {"error": "Cannot modify canceled or filled order"}
    finish(core, order, "canceled")
    action = OrderAction(orders=[new], grouping="na")
    status = place_batch(core, user, action)[0]
    if isinstance(status, dict) and "error" in status:
        return {"error": f"Error placing new order during modify: {status['error']}"}
    return status


HANDLERS: dict[type, Handler] = {
    OrderAction: place,
    CancelAction: cancel,
    CancelByCloidAction: cancel_by_cloid,
    ModifyAction: modify,
    BatchModifyAction: batch_modify,
}
