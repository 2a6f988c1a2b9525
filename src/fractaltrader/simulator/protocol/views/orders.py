"""Orders, fills and trades as the venue writes them (hyperliquid.md 2.2, 5.2)."""

from typing import Any

from fractaltrader.simulator.core import OrderChange
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.state import Fill, Order, Trade


def open_order(order: Order) -> dict[str, Any]:
    """The short form of `openOrders`."""
    view: dict[str, Any] = {
        "coin": order.coin,
        "side": order.side.value,
        "limitPx": venue_number(order.price),
        "sz": venue_number(order.size),
        "oid": order.oid,
        "timestamp": order.placed_ms,
        "origSz": venue_number(order.original_size),
    }
    if order.cloid is not None:
        view["cloid"] = order.cloid
    if order.reduce_only:
        view["reduceOnly"] = True
    return view


def order_update(change: OrderChange) -> dict[str, Any]:
    """One entry of an `orderUpdates` frame, as of the change."""
    view = open_order(change.order)
    view.pop("reduceOnly", None)
    view["sz"] = venue_number(change.size)
    return {"order": view, "status": change.status, "statusTimestamp": change.time_ms}


def _order_type(order: Order) -> str:
    if order.twap is not None:
        return "Twap Slice"
    if order.trigger is not None:
        kind = "Stop" if order.trigger.kind == "sl" else "Take Profit"
        return f"{kind} {'Market' if order.trigger.is_market else 'Limit'}"
    return "Market" if order.tif == "FrontendMarket" else "Limit"


def _trigger_condition(order: Order) -> str:
    if order.trigger is None:
        return "N/A"
    word = "above" if order.trigger.above else "below"
    return f"Price {word} {venue_number(order.trigger.price).removesuffix('.0')}"


def frontend_order(order: Order, children: list[Order]) -> dict[str, Any]:
    """The long form of `frontendOpenOrders`, `orderStatus` and `historicalOrders`."""
    trigger = order.trigger
    return {
        "coin": order.coin,
        "side": order.side.value,
        "limitPx": venue_number(order.price),
        "sz": venue_number(order.size),
        "oid": order.oid,
        "timestamp": order.placed_ms,
        "triggerCondition": _trigger_condition(order),
        "isTrigger": trigger is not None,
        "triggerPx": venue_number(trigger.price) if trigger else "0.0",
        "children": [frontend_order(child, []) for child in children],
        "isPositionTpsl": order.is_position_tpsl,
        "reduceOnly": order.reduce_only,
        "orderType": _order_type(order),
        "origSz": venue_number(order.original_size),
        "tif": order.tif,
        "cloid": order.cloid,
    }


def fill_view(fill: Fill) -> dict[str, Any]:
    """A fill of `userFills`, REST and WebSocket alike."""
    view: dict[str, Any] = {
        "coin": fill.coin,
        "px": venue_number(fill.price),
        "sz": venue_number(fill.size),
        "side": fill.side.value,
        "time": fill.time_ms,
        "startPosition": venue_number(fill.start_position),
        "dir": fill.direction,
        "closedPnl": venue_number(fill.closed_pnl),
        "hash": fill.hash,
        "oid": fill.oid,
        "crossed": fill.crossed,
        "fee": venue_number(fill.fee),
        "tid": fill.tid,
    }
    if fill.cloid is not None:
        view["cloid"] = fill.cloid
    if fill.builder_fee:
        view["builderFee"] = venue_number(fill.builder_fee)
    if fill.liquidation is not None:
        view["liquidation"] = {
            "liquidatedUser": fill.liquidation.user,
            "markPx": venue_number(fill.liquidation.mark),
            "method": fill.liquidation.method,
        }
    view["feeToken"], view["twapId"] = "USDC", fill.twap
    return view


def trade_view(trade: Trade) -> dict[str, Any]:
    """A public trade."""
    return {
        "coin": trade.coin,
        "side": trade.side.value,
        "px": venue_number(trade.price),
        "sz": venue_number(trade.size),
        "time": trade.time_ms,
        "hash": trade.hash,
        "tid": trade.tid,
        "users": list(trade.users),
    }
