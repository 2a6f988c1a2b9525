"""Topics about one user (hyperliquid.md 5.2)."""

from collections.abc import Iterator
from typing import Any

from fractaltrader.exchange.port import Side
from fractaltrader.market.instrument import to_wire
from fractaltrader.simulator.clearing.funding import payment_view
from fractaltrader.simulator.core import Core, OrderChange
from fractaltrader.simulator.protocol.info import answers
from fractaltrader.simulator.protocol.info.orders import aggregated
from fractaltrader.simulator.protocol.topics.topic import REQUIRED, Subscription, Topic, frame
from fractaltrader.simulator.protocol.views.order_queries import order_record
from fractaltrader.simulator.protocol.views.orders import fill_view, order_update
from fractaltrader.simulator.protocol.views.twaps import slice_fill, twap_change, twap_states
from fractaltrader.simulator.protocol.views.web_data import web_data_2, web_data_3
from fractaltrader.simulator.state import Fill, Twap

FULL_MS = 5_000
ACTIVE_MS = 1_000

# `userFills` with `aggregateByTime` hears other frames than without.
AGGREGATED_FILLS = "userFills aggregated"

# The topic whose listeners are told, and the frame.
Push = tuple[str, dict[str, Any]]


def _ask(core: Core, kind: str, user: str, **fields: Any) -> Any:
    """What `/info` answers about `user`: streams and requests cannot disagree."""
    return answers.answer(core, {"type": kind, "user": user} | fields)


def _user_fills(core: Core, wanted: Subscription) -> Any:
    user = wanted["user"]
    fills = _ask(core, "userFills", user, aggregateByTime=wanted["aggregateByTime"])
    return {"isSnapshot": True, "user": user, "fills": fills}


def _user_fundings(core: Core, wanted: Subscription) -> Any:
    paid = core.account_or_empty(wanted["user"]).fundings
    rows = [{"time": payment.time_ms} | payment_view(payment) for payment in paid]
    return {"isSnapshot": True, "user": wanted["user"], "fundings": rows}


def _ledger(core: Core, wanted: Subscription) -> Any:
    ledger = core.account_or_empty(wanted["user"]).ledger
    rows = [{"time": e.time_ms, "hash": e.hash, "delta": e.delta} for e in ledger]
    return {"isSnapshot": True, "user": wanted["user"], "nonFundingLedgerUpdates": rows}


def _slice_fills(core: Core, wanted: Subscription) -> Any:
    fills = _ask(core, "userTwapSliceFills", wanted["user"])
    return {"isSnapshot": True, "user": wanted["user"], "twapSliceFills": fills}


def _twap_history(core: Core, wanted: Subscription) -> Any:
    history = _ask(core, "twapHistory", wanted["user"])
    return {"isSnapshot": True, "user": wanted["user"], "history": history}


def _order_history(core: Core, wanted: Subscription) -> Any:
    history = _ask(core, "historicalOrders", wanted["user"])
    return {"isSnapshot": True, "user": wanted["user"], "orderHistory": history}


def _open_orders(core: Core, wanted: Subscription) -> Any:
    orders = _ask(core, "frontendOpenOrders", wanted["user"])
    return {"dex": wanted["dex"], "user": wanted["user"], "orders": orders}


def _clearinghouse(core: Core, wanted: Subscription) -> Any:
    state = _ask(core, "clearinghouseState", wanted["user"])
    return {"dex": wanted["dex"], "user": wanted["user"], "clearinghouseState": state}


def _all_clearinghouses(core: Core, wanted: Subscription) -> Any:
    state = _ask(core, "clearinghouseState", wanted["user"])
    return {"user": wanted["user"], "clearinghouseStates": [["", state]]}


def _spot_state(core: Core, wanted: Subscription) -> Any:
    state = _ask(core, "spotClearinghouseState", wanted["user"])
    return {"user": wanted["user"], "spotState": state}


def _active_data(core: Core, wanted: Subscription) -> Any:
    return _ask(core, "activeAssetData", wanted["user"], coin=wanted["coin"])


def _twap_states(core: Core, wanted: Subscription) -> Any:
    states = twap_states(core, wanted["user"])
    return {"dex": wanted["dex"], "user": wanted["user"], "states": states}


_USER = {"user": REQUIRED}
_USER_DEX = {"user": REQUIRED, "dex": ""}

USER_TOPICS: dict[str, Topic] = {
    "orderUpdates": Topic(_USER),
    "userEvents": Topic(_USER, channel="user"),
    "notification": Topic(_USER),
    "userFills": Topic(_USER | {"aggregateByTime": False}, _user_fills),
    "userFundings": Topic(_USER, _user_fundings),
    "userNonFundingLedgerUpdates": Topic(_USER, _ledger),
    "userTwapSliceFills": Topic(_USER, _slice_fills),
    "userTwapHistory": Topic(_USER, _twap_history),
    "userHistoricalOrders": Topic(_USER, _order_history),
    "openOrders": Topic(_USER_DEX, _open_orders, FULL_MS),
    "clearinghouseState": Topic(_USER_DEX, _clearinghouse, FULL_MS),
    "allDexsClearinghouseState": Topic(_USER, _all_clearinghouses, FULL_MS),
    "spotState": Topic(_USER | {"ignorePortfolioMargin": False}, _spot_state, FULL_MS),
    "twapStates": Topic(_USER_DEX, _twap_states, FULL_MS),
    "webData2": Topic(_USER, lambda core, wanted: web_data_2(core, wanted["user"]), FULL_MS),
    "webData3": Topic(_USER, lambda core, wanted: web_data_3(core, wanted["user"]), FULL_MS),
    "activeAssetData": Topic(_USER | {"coin": REQUIRED}, _active_data, ACTIVE_MS),
}


def order_pushes(core: Core, user: str, changes: list[OrderChange]) -> Iterator[Push]:
    """Frames that tell `user` of orders with a new status."""
    yield "orderUpdates", frame("orderUpdates", [order_update(change) for change in changes])
    history = [
        order_record(core, change.order)
        | {"status": change.status, "statusTimestamp": change.time_ms}
        for change in changes
    ]
    yield "userHistoricalOrders", frame(
        "userHistoricalOrders", {"user": user, "orderHistory": history}
    )


def fill_pushes(user: str, fills: list[Fill]) -> Iterator[Push]:
    """Frames that tell `user` of executions."""
    views = [fill_view(fill) for fill in fills]
    yield "userEvents", frame("user", {"fills": views})
    yield "userFills", frame("userFills", {"user": user, "fills": views})
    merged = [fill_view(fill) for fill in aggregated(fills)]
    yield AGGREGATED_FILLS, frame("userFills", {"user": user, "fills": merged})
    for fill in fills:
        if not fill.crossed:
            yield "notification", frame("notification", {"notification": _resting_filled(fill)})


def _resting_filled(fill: Fill) -> str:
    word = "Bought" if fill.side is Side.BUY else "Sold"
    return (
        f"Resting order filled: {word} {to_wire(fill.size)} {fill.coin} at ${to_wire(fill.price)}"
    )


def slice_pushes(user: str, fills: list[Fill]) -> Iterator[Push]:
    """Frames that tell `user` of executions of TWAP slices, which are not among the fills."""
    views = [slice_fill(fill) for fill in fills]
    yield "userEvents", frame("user", {"twapSliceFills": views})
    yield "userTwapSliceFills", frame("userTwapSliceFills", {"user": user, "twapSliceFills": views})


def funding_pushes(user: str, fundings: list[dict[str, Any]]) -> Iterator[Push]:
    """Frames that tell `user` of funding paid or received."""
    yield "userFundings", frame("userFundings", {"user": user, "fundings": fundings})


def ledger_pushes(user: str, rows: list[dict[str, Any]]) -> Iterator[Push]:
    """Frames that tell `user` of money that moved."""
    yield "userNonFundingLedgerUpdates", frame(
        "userNonFundingLedgerUpdates", {"user": user, "nonFundingLedgerUpdates": rows}
    )


def event_pushes(events: list[dict[str, Any]]) -> Iterator[Push]:
    """Frames for what else happened to a user: liquidation, funding, cancels by the venue."""
    for event in events:
        yield "userEvents", frame("user", event)


def twap_pushes(user: str, twaps: list[Twap]) -> Iterator[Push]:
    """Frames that tell `user` of TWAPs with a new status."""
    history = [twap_change(twap) for twap in twaps]
    yield "userEvents", frame("user", {"twapHistory": history})
    yield "userTwapHistory", frame("userTwapHistory", {"user": user, "history": history})
