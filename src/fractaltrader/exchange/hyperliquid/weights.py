"""What each request weighs at the venue (hyperliquid.md 6.1, 6.2) and which of our limits it is
under."""

from collections.abc import Mapping
from typing import Any

from fractaltrader.exchange.limits import Cost
from fractaltrader.market import Timeframe

_LIGHT = frozenset(
    {
        "l2Book",
        "allMids",
        "clearinghouseState",
        "orderStatus",
        "spotClearinghouseState",
        "exchangeStatus",
    }
)
_METHODS = {
    "candleSnapshot": ("candles",),
    "allMids": ("price",),
    "l2Book": ("price",),
    "meta": ("symbols",),
    "clearinghouseState": ("portfolio",),
}
CANDLES_A_WEIGHT = 60
MOST_CANDLES = 5_000
ITEMS_A_WEIGHT = 20
# The most items one answer can hold.
_MOST_ITEMS = {
    "historicalOrders": 2_000,
    "userFills": 2_000,
    "userFillsByTime": 2_000,
    "recentTrades": 100,
    "fundingHistory": 2_000,
    "userFunding": 500,
    "userNonFundingLedgerUpdates": 500,
}
_BATCHES = ("orders", "cancels", "modifies")
_CANCELS = frozenset({"cancel", "cancelByCloid", "scheduleCancel"})
_ORDERS = frozenset({"order", "modify", "batchModify"})


def info_cost(request: Mapping[str, Any]) -> Cost:
    """Cost of an `/info` request, with the most its answer can add."""
    kind = str(request["type"])
    base = 2 if kind in _LIGHT else 60 if kind == "userRole" else 20
    most = extra_weight(kind, _MOST_ITEMS.get(kind, 0))
    if kind == "candleSnapshot":
        most = extra_weight(kind, _candles(request["req"]))
    return Cost(kind, base, most, _METHODS.get(kind, ()))


def joint_cost(first: Cost, second: Cost) -> Cost:
    """Cost of two `/info` requests that leave together."""
    return Cost(
        f"{first.what} and {second.what}",
        first.base + second.base,
        first.most_extra + second.most_extra,
        first.methods + second.methods,
    )


def extra_weight(kind: str, items: int) -> int:
    """Extra weight of an answer with so many items."""
    if kind == "candleSnapshot":
        return items // CANDLES_A_WEIGHT
    return items // ITEMS_A_WEIGHT if kind in _MOST_ITEMS else 0


def action_cost(action: Mapping[str, Any], address: str, coin: str | None = None) -> Cost:
    """Cost of an action signed for `address`; a batch of n counts n there and 1 + n/40 here."""
    kind = str(action["type"])
    count = max(1, sum(len(action.get(name, ())) for name in _BATCHES))
    return Cost(
        kind,
        1 + count // 40,
        methods=("orders",) if kind in _ORDERS else (),
        coin=coin,
        address=address,
        actions=count,
        cancels=kind in _CANCELS,
    )


def _candles(request: Mapping[str, Any]) -> int:
    span: int = request["endTime"] - request["startTime"]
    interval = Timeframe.parse(request["interval"])
    return min(MOST_CANDLES, max(span, 0) // interval.ms + 2)
