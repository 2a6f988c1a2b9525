"""The order action: accept or refuse each order, execute it, answer in the venue's statuses."""

from decimal import Decimal
from typing import Any

import msgspec

from fractaltrader.exchange.port import BUY, SELL, Side
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.protocol.forms.orders import (
    Builder,
    OrderAction,
    OrderWire,
    Priority,
    TriggerWire,
)
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Order, TriggerTerms
from fractaltrader.simulator.trading.lifecycle import (
    average_price,
    enliven,
    finish,
    register,
    unregister,
)
from fractaltrader.simulator.trading.matching import take
from fractaltrader.simulator.trading.order_rules import (
    IMMEDIATE,
    BatchRefusedError,
    check_order,
    check_wire,
    is_on_tick,
    is_sane_trigger,
    unmatched_text,
)
from fractaltrader.simulator.trading.triggers import arm, settle_consequences

Status = dict[str, Any] | str
BUILDER_FEE_MOST = 100


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An order as asked for, its numbers read; `fault` is what is wrong with it already."""

    wire: OrderWire
    price: Decimal
    size: Decimal
    fault: str | None


def place_batch(core: Core, user: str, action: OrderAction) -> list[Status]:
    """Statuses of an order action in the order of the request, or one error for all of it.

    Raises RefusedError where the venue refuses the action as such.
    """
    if type(action.grouping) is Priority:
        check_priority(action.grouping, action.orders)
    try:
        drafts = _precheck(core, user, action)
        if action.grouping == "normalTpsl":
            return _place_family(core, user, drafts, action.builder)
        grouped = action.grouping == "positionTpsl"
        return _place_each(core, user, drafts, action.builder, grouped=grouped)
    except BatchRefusedError as refusal:
        return [{"error": str(refusal)}]


def check_priority(grouping: Priority, orders: list[OrderWire]) -> None:
    """Raise RefusedError unless the orders may have priority and it can be paid (3.2).

    Nobody has staking balance here, so only the rate 0 can be paid.
    """
    tifs = {order.t.limit.tif if order.t.limit else "" for order in orders}
    is_maker = tifs == {"Alo"} and not any(order.r for order in orders)
    if tifs != {"Ioc"} and not is_maker:
        raise RefusedError("Invalid TIF")
    if grouping.p > 0:
        raise RefusedError("Insufficient delegatable balance for priority order")


def _precheck(core: Core, user: str, action: OrderAction) -> list[Draft]:
    """The orders with faults that cost no oid; raises BatchRefusedError for those of the batch."""
    orders = action.orders
    if not orders:
        raise BatchRefusedError("Orders are empty.")
    if action.builder is not None:
        _check_builder(core, user, action.builder)
    drafts = [draft_of(core, order) for order in orders]
    if action.grouping in ("normalTpsl", "positionTpsl"):
        _check_group(orders, is_family=action.grouping == "normalTpsl")
    return drafts


def draft_of(core: Core, wire: OrderWire) -> Draft:
    """Read the numbers of `wire` (in normal form) and look for faults; raises BatchRefusedError."""
    price, size = Decimal(wire.p), Decimal(wire.s)
    return Draft(wire, price, size, check_wire(core, wire, core.by_asset[wire.a], price, size))


def _check_builder(core: Core, user: str, builder: Builder) -> None:
    if builder.f == 0:
        return
    approved = core.state.builder_fees.get(user, {}).get(builder.b, 0)
    if not 0 < builder.f <= min(approved, BUILDER_FEE_MOST):
        raise BatchRefusedError("Builder fee has not been approved.")


def _check_group(orders: list[OrderWire], *, is_family: bool) -> None:
    triggers = orders
    if is_family:
        parent, *triggers = orders
        if parent.t.trigger is not None:
            raise BatchRefusedError("Main order cannot be trigger order.")
        if not 1 <= len(triggers) <= 2:
            raise BatchRefusedError("Unexpected number of trigger orders")
    if any(order.t.trigger is None for order in triggers):
        raise BatchRefusedError("Unexpected number of trigger orders")
    first = orders[0]
    if any((order.b == first.b) == is_family or order.a != first.a for order in triggers):
        raise BatchRefusedError("Trigger order has unexpected side.")
    if not all(order.r for order in triggers):
        raise BatchRefusedError("Trigger order is not reduce only.")


def _place_each(
    core: Core, user: str, drafts: list[Draft], builder: Builder | None, *, grouped: bool
) -> list[Status]:
    statuses: list[Status] = []
    placed: list[Order] = []
    for draft in drafts:
        if draft.fault is not None:
            statuses.append({"error": draft.fault})
            continue
        order = new_order(core, user, draft, builder)
        register(core, order)
        if grouped:
            order.is_position_tpsl = True
            order.follows_position = not order.original_size
        status = submit(core, order)
        statuses.append("waitingForTrigger" if grouped and order.is_live else status)
        placed.append(order)
    if grouped:
        _make_siblings([order for order in placed if order.is_live])
    settle_consequences(core)
    return statuses


def _place_family(
    core: Core, user: str, drafts: list[Draft], builder: Builder | None
) -> list[Status]:
    """A parent and its stop and target; the children live once the parent has wholly filled."""
    first = next((draft.fault for draft in drafts if draft.fault is not None), None)
    if first is not None:
        raise BatchRefusedError(first)
    parent, *children = [new_order(core, user, draft, builder) for draft in drafts]
    for child in children:
        fault = _child_fault(core, child)
        if fault is not None:
            raise BatchRefusedError(fault)
    for order in (parent, *children):
        register(core, order)
    parent.children = tuple(child.oid for child in children)
    for child in children:
        child.parent = parent.oid
        child.status = "open"
        # Reduce-only of size 0 means the whole position (hyperliquid.md 3.3).
        child.follows_position = not child.original_size
        enliven(core, child, "waiting")
    _make_siblings(children)
    status = submit(core, parent)
    if "error" in status and not parent.filled:
        # Children of a refused parent were never placed.
        for child in children:
            unregister(core, child)
        return [status] * len(drafts)
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


def _make_siblings(orders: list[Order]) -> None:
    """Stops and targets cancel each other; several targets of one position do not."""
    for order in orders:
        others = [other for other in orders if other.terms.kind != order.terms.kind]
        order.siblings = tuple(other.oid for other in others)


def new_order(core: Core, user: str, draft: Draft, builder: Builder | None = None) -> Order:
    """The order that `draft` asks for, with an oid; nobody knows of it until it is registered."""
    now = core.now_ms()
    wire, price, size = draft.wire, draft.price, draft.size
    limit, trigger = wire.t.limit, wire.t.trigger
    side = BUY if wire.b else SELL
    # Some by place: a call with more than 15 keywords takes Python six times as long.
    return Order(
        core.new_oid(),
        user,
        core.by_asset[wire.a].coin,
        side,
        price,
        size,
        original_size=size,
        tif=None if limit is None else limit.tif,
        reduce_only=wire.r,
        trigger=None if trigger is None else _trigger_terms(trigger, side),
        cloid=wire.c,
        placed_ms=now,
        status="open",
        status_ms=now,
        builder=None if builder is None else builder.b,
        builder_fee=0 if builder is None else builder.f,
    )


def _trigger_terms(wire: TriggerWire, side: Side) -> TriggerTerms:
    above = (wire.tpsl == "tp") == (side is SELL)
    return TriggerTerms(Decimal(wire.trigger_px), wire.tpsl, wire.is_market, above)


def submit(core: Core, order: Order) -> dict[str, Any]:
    """Check and execute a registered order; the status to answer.

    A GTC order that executes in part and rests with the remainder is answered as `resting`: no
    source says which the venue takes (hyperliquid.md 3.1).
    """
    vetoed = core.order_veto(order) if core.order_veto is not None else None
    if vetoed is not None:
        core.set_status(order, vetoed[0])
        return {"error": vetoed[1]}
    rejection = check_order(core, order)
    if rejection is not None:
        core.set_status(order, rejection.status)
        return {"error": rejection.text}
    if order.trigger is not None:
        arm(core, order)
        return _resting(order)
    core.set_status(order, "open")
    take(core, order, order.price)
    if not order.size:
        finish(core, order, "filled")
        return _filled(core, order)
    if order.tif not in IMMEDIATE:
        enliven(core, order, "resting")
        if order.reduce_only:
            core.touched[(order.user, order.coin)] = None
        return _resting(order)
    if order.filled:
        finish(core, order, "canceled")
        return _filled(core, order)
    # Whatever it met was cancelled instead of executing.
    finish(core, order, "iocCancelRejected")
    return {"error": unmatched_text(f" asset={core.instruments[order.coin].asset}")}


def _reference(order: Order) -> dict[str, Any]:
    if order.cloid is None:
        return {"oid": order.oid}
    return {"oid": order.oid, "cloid": order.cloid}


def _resting(order: Order) -> dict[str, Any]:
    return {"resting": _reference(order)}


def _filled(core: Core, order: Order) -> dict[str, Any]:
    total, price = venue_number(order.filled), average_price(core, order)
    return {"filled": {"totalSz": total, "avgPx": price, **_reference(order)}}
