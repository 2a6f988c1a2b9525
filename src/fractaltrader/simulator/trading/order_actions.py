"""Order, cancel and modify actions of an authenticated user (hyperliquid.md 3.2).

Every action is executed when it arrives, as if it were alone in its block: the venue's order of
actions within a block (7.3: cancels and post-only before takers) therefore never comes into play.
"""

from typing import Any

import msgspec

from fractaltrader.exchange.port import BUY, SELL
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.protocol.forms.common import decimal_of
from fractaltrader.simulator.protocol.forms.orders import (
    BatchModifyAction,
    CancelAction,
    CancelByCloidAction,
    LimitTerms,
    ModifyAction,
    OrderAction,
    OrderTerms,
    OrderWire,
)
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Order
from fractaltrader.simulator.trading.book import crosses
from fractaltrader.simulator.trading.lifecycle import finish, oid_of_cloid
from fractaltrader.simulator.trading.placing import Status, place_batch
from fractaltrader.simulator.trading.triggers import settle_consequences

Response = dict[str, Any]


def place(core: Core, user: str, action: OrderAction) -> Response:
    """Place orders."""
    return _with_statuses("order", place_batch(core, user, action))


def cancel(core: Core, user: str, action: CancelAction) -> Response:
    """Cancel orders by oid."""
    targets = [(item.a, item.o) for item in action.cancels]
    statuses = [_cancel(core, user, *target, fast=action.f) for target in targets]
    return _with_statuses("cancel", statuses)


def cancel_by_cloid(core: Core, user: str, action: CancelByCloidAction) -> Response:
    """Cancel orders by client order id."""
    targets = [(item.asset, oid_of_cloid(core, user, item.cloid)) for item in action.cancels]
    statuses = [_cancel(core, user, *target, fast=action.f) for target in targets]
    return _with_statuses("cancel", statuses)


def modify(core: Core, user: str, action: ModifyAction) -> Response:
    """Replace one order; raises RefusedError with the venue's text."""
    status = _modify(core, user, action.oid, action.order, always=action.a)
    if isinstance(status, dict) and "error" in status:
        raise RefusedError(status["error"])
    return {"type": "default"}


def batch_modify(core: Core, user: str, action: BatchModifyAction) -> Response:
    """Replace orders."""
    pairs = [(item.oid, item.order) for item in action.modifies]
    statuses = [_modify(core, user, *pair, always=action.a) for pair in pairs]
    return _with_statuses("order", statuses)


def _with_statuses(kind: str, statuses: list[Status]) -> Response:
    return {"type": kind, "data": {"statuses": statuses}}


def _cancel(core: Core, user: str, asset: int, oid: int, *, fast: bool) -> Status:
    order = _live_order(core, user, asset, oid)
    # The text for a fast cancel of a trigger is recorded nowhere; this one is the only refusal.
    if order is None or (fast and order.trigger is not None):
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


def _modify(core: Core, user: str, reference: int | str, new: OrderWire, *, always: bool) -> Status:
    """Cancel and replace: new oid, and the original is gone when the replacement is refused.

    Unless it is `always` to be placed, the new order must be a limit order that cannot execute at
    once, and is placed as post-only; such a one that is not leaves the original as it was.
    """
    if isinstance(reference, str):
        reference = oid_of_cloid(core, user, reference)
    order = _live_order(core, user, new.a, reference)
    if order is None and not always:
        return {"error": "Cannot modify canceled or filled order"}
    if order is not None and not _may_replace(core, order, new, always=always):
        return {"error": "Attempted to modify to invalid new order"}
    if order is not None:
        finish(core, order, "canceled")
        settle_consequences(core)
    if not always:
        new = msgspec.structs.replace(new, t=OrderTerms(limit=LimitTerms("Alo")))
    status = place_batch(core, user, OrderAction(orders=[new], grouping="na"))[0]
    if isinstance(status, dict) and "error" in status:
        return {"error": f"Error placing new order during modify: {status['error']}"}
    return status


def _may_replace(core: Core, order: Order, new: OrderWire, *, always: bool) -> bool:
    """Whether `new` may take the place of `order`."""
    if order.trigger is not None and order.phase == "resting" and new.t.trigger is not None:
        # It has triggered: that cannot be undone.
        return False
    if always:
        return True
    if new.t.limit is None or new.t.limit.tif not in ("Gtc", "Alo"):
        return False
    if new.t.limit.tif == "Alo":
        return True
    side = BUY if new.b else SELL
    met = core.books[order.coin].best(side.opposite)
    return met is None or not crosses(side, decimal_of(new.p), met.price)


HANDLERS: dict[type, Handler] = {
    OrderAction: place,
    CancelAction: cancel,
    CancelByCloidAction: cancel_by_cloid,
    ModifyAction: modify,
    BatchModifyAction: batch_modify,
}
