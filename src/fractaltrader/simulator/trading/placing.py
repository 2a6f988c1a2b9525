"""The order action: accept or refuse each order, execute it, answer in the venue's statuses."""

from typing import Any

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, venue_number
from fractaltrader.simulator.protocol.forms import decimal_of
from fractaltrader.simulator.protocol.order_forms import OrderAction, OrderWire
from fractaltrader.simulator.state import Order, TriggerTerms
from fractaltrader.simulator.trading.lifecycle import average_price, enliven, finish, register
from fractaltrader.simulator.trading.matching import take
from fractaltrader.simulator.trading.order_rules import (
    BatchRefusedError,
    check_order,
    check_wire,
    is_on_tick,
    is_sane_trigger,
)
from fractaltrader.simulator.trading.triggers import arm, settle_consequences

Status = dict[str, Any] | str


def place_batch(core: Core, user: str, action: OrderAction) -> list[Status]:
    """Statuses of an order action in the order of the request, or one error for all of it."""
    try:
        faults = _precheck(core, action)
        if action.grouping == "normalTpsl":
            return _place_family(core, user, action.orders, faults)
        grouped = action.grouping == "positionTpsl"
        return _place_each(core, user, action.orders, faults, grouped=grouped)
    except BatchRefusedError as refusal:
        return [{"error": str(refusal)}]


def _precheck(core: Core, action: OrderAction) -> list[str | None]:
    """Faults without an oid per order; raises BatchRefusedError for those of the batch."""
    orders = action.orders
    if not orders:
        raise BatchRefusedError("Orders are empty.")
    if action.builder is not None and action.builder.f > 0:
        raise BatchRefusedError("Builder fee has not been approved.")
    faults = [check_wire(core, order, core.by_asset[order.a]) for order in orders]
    if action.grouping == "normalTpsl":
        parent, *children = orders
        if parent.t.trigger is not None:
            raise BatchRefusedError("Main order cannot be trigger order.")
        if not 1 <= len(children) <= 2 or any(child.t.trigger is None for child in children):
            raise BatchRefusedError("Unexpected number of trigger orders")
        if any(child.b == parent.b or child.a != parent.a for child in children):
            raise BatchRefusedError("Trigger order has unexpected side.")
    triggers = orders[1:] if action.grouping == "normalTpsl" else orders
    if action.grouping != "na" and not all(order.r for order in triggers):
        raise BatchRefusedError("Trigger order is not reduce only.")
    if action.grouping == "positionTpsl" and any(order.t.trigger is None for order in orders):
        raise BatchRefusedError("Unexpected number of trigger orders")
    return faults


def _place_each(
    core: Core, user: str, wires: list[OrderWire], faults: list[str | None], *, grouped: bool
) -> list[Status]:
    statuses: list[Status] = []
    placed: list[Order] = []
    for wire, fault in zip(wires, faults, strict=True):
        if fault is not None:
            statuses.append({"error": fault})
            continue
        order = new_order(core, user, wire)
        order.is_position_tpsl = grouped
        order.follows_position = grouped and order.original_size == ZERO
        status = submit(core, order)
        waits = grouped and order.is_live
        statuses.append("waitingForTrigger" if waits else status)
        placed.append(order)
    if grouped:
        _make_siblings([order for order in placed if order.is_live])
    settle_consequences(core)
    return statuses


def _place_family(
    core: Core, user: str, wires: list[OrderWire], faults: list[str | None]
) -> list[Status]:
    """A parent and its stop and target; the children live once the parent has wholly filled."""
    first = next((fault for fault in faults if fault is not None), None)
    if first is not None:
        raise BatchRefusedError(first)
    parent, *children = [new_order(core, user, wire, known=False) for wire in wires]
    for child in children:
        fault = _child_fault(core, child)
        if fault is not None:
            raise BatchRefusedError(fault)
    for order in (parent, *children):
        register(core, order)
    parent.children = [child.oid for child in children]
    for child in children:
        child.parent = parent.oid
        child.status = "open"
        enliven(core, child, "waiting")
    _make_siblings(children)
    status = submit(core, parent)
    if "error" in status and not parent.filled:
        for child in children:
            _forget(core, child)
        return [status] * len(wires)
    settle_consequences(core)
    waiting = "waitingForTrigger" if parent.status == "filled" else "waitingForFill"
    return [status, *[waiting] * len(children)]


def _child_fault(core: Core, child: Order) -> str | None:
    instrument = core.instruments[child.coin]
    if not is_on_tick(instrument, child):
        return f"Price must be divisible by tick size. asset={instrument.asset}"
    if not is_sane_trigger(child):
        return f"Invalid TP/SL price. asset={instrument.asset}"
    return None


def _forget(core: Core, child: Order) -> None:
    """A child of a refused parent was never placed: nothing of it remains."""
    account = core.account(child.user)
    for oids in (account.live, account.done):
        if child.oid in oids:
            oids.remove(child.oid)
    core.state.orders.pop(child.oid, None)
    if child.cloid is not None and account.cloids.get(child.cloid) == child.oid:
        del account.cloids[child.cloid]


def _make_siblings(orders: list[Order]) -> None:
    for order in orders:
        order.siblings = [other.oid for other in orders if other is not order]


def new_order(core: Core, user: str, wire: OrderWire, *, known: bool = True) -> Order:
    """The order `wire` asks for, with an oid; `known` registers it with its owner."""
    now = core.now_ms()
    trigger = wire.t.trigger
    side = Side.BUY if wire.b else Side.SELL
    order = Order(
        oid=core.new_oid(),
        user=user,
        coin=core.by_asset[wire.a].coin,
        side=side,
        price=decimal_of(wire.p),
        size=decimal_of(wire.s),
        original_size=decimal_of(wire.s),
        tif=wire.t.limit.tif if wire.t.limit else None,
        reduce_only=wire.r,
        trigger=(
            TriggerTerms(
                decimal_of(trigger.trigger_px),
                trigger.tpsl,
                trigger.is_market,
                above=(trigger.tpsl == "tp") == (side is Side.SELL),
            )
            if trigger
            else None
        ),
        cloid=wire.c,
        placed_ms=now,
        status="open",
        status_ms=now,
    )
    if known:
        register(core, order)
    return order


def submit(core: Core, order: Order) -> dict[str, Any]:
    """Check and execute a registered order; the status to answer."""
    rejection = check_order(core, order)
    if rejection is not None:
        core.set_status(order, rejection.status)
        return {"error": rejection.text}
    if order.trigger is not None:
        arm(core, order)
        return _resting(order)
    core.set_status(order, "open")
    take(core, order, order.price)
    if order.size == 0:
        finish(core, order, "filled")
        return _filled(core, order)
    if order.tif in ("Gtc", "Alo"):
        enliven(core, order, "resting")
        core.touched[(order.user, order.coin)] = None
        return _resting(order)
    if order.filled:
        finish(core, order, "canceled")
        return _filled(core, order)
    finish(core, order, "iocCancelRejected")
    asset = core.instruments[order.coin].asset
    return {"error": f"Order could not immediately match against any resting orders. asset={asset}"}


def _reference(order: Order) -> dict[str, Any]:
    return {"oid": order.oid} | ({"cloid": order.cloid} if order.cloid is not None else {})


def _resting(order: Order) -> dict[str, Any]:
    return {"resting": _reference(order)}


def _filled(core: Core, order: Order) -> dict[str, Any]:
    sums = {"totalSz": venue_number(order.filled), "avgPx": average_price(core, order)}
    return {"filled": sums | _reference(order)}
