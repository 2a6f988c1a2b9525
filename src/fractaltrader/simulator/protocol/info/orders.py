"""What `/info` says of orders, fills and TWAPs (hyperliquid.md 2.2)."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import msgspec

from fractaltrader.simulator.core import FILLS_KEPT, Core
from fractaltrader.simulator.numbers import ZERO, truncated
from fractaltrader.simulator.protocol.forms.common import UnprocessableError
from fractaltrader.simulator.protocol.info.fields import FAR_FUTURE_MS, Request, time_of, user_of
from fractaltrader.simulator.protocol.views import order_queries as views
from fractaltrader.simulator.protocol.views.orders import fill_view
from fractaltrader.simulator.protocol.views.twaps import slice_fill, twap_change
from fractaltrader.simulator.state import Fill

FILLS_PER_PAGE = 2_000
ORDERS_PER_PAGE = 2_000


def _order_status(core: Core, request: Request) -> Any:
    reference = request.get("oid")
    if isinstance(reference, bool) or not isinstance(reference, int | str):
        raise UnprocessableError("missing field `oid`")
    if isinstance(reference, str):
        reference = reference.lower()
    return views.order_status(core, user_of(request), reference)


def _historical_orders(core: Core, request: Request) -> Any:
    return views.historical_orders(core, user_of(request), ORDERS_PER_PAGE)


def _flag(request: Request, key: str) -> bool:
    value = request.get(key)
    if value is not None and not isinstance(value, bool):
        raise UnprocessableError(f"invalid type: `{key}` must be a boolean")
    return bool(value)


def aggregated(fills: Iterable[Fill]) -> Iterator[Fill]:
    """Consecutive fills that one taker order made in one block, as one at their average price."""

    def taker(fill: Fill) -> tuple[Any, ...]:
        return (fill.oid, fill.time_ms, fill.hash) if fill.crossed else (fill.tid, fill.oid)

    for _, same in groupby(fills, key=taker):
        parts = list(same)
        if len(parts) == 1:
            yield parts[0]
            continue
        size = sum((part.size for part in parts), ZERO)
        yield msgspec.structs.replace(
            parts[0],
            price=truncated(sum((part.price * part.size for part in parts), ZERO) / size, 6),
            size=size,
            closed_pnl=sum((part.closed_pnl for part in parts), ZERO),
            fee=sum((part.fee for part in parts), ZERO),
            builder_fee=sum((part.builder_fee for part in parts), ZERO),
        )


def _in_time(request: Request, fills: list[Fill]) -> list[Fill]:
    """Fills between `startTime` and `endTime`, the oldest page of them, ascending or `reversed`."""
    start, end = time_of(request, "startTime"), time_of(request, "endTime", FAR_FUTURE_MS)
    found = [fill for fill in fills if start <= fill.time_ms <= end]
    return found[::-1] if _flag(request, "reversed") else found


def _user_fills(core: Core, request: Request) -> Any:
    fills = core.account_or_empty(user_of(request)).fills
    if _flag(request, "aggregateByTime"):
        fills = list(aggregated(fills))
    return [fill_view(fill) for fill in reversed(fills[-FILLS_PER_PAGE:])]


def _user_fills_by_time(core: Core, request: Request) -> Any:
    fills = core.account_or_empty(user_of(request)).fills[-FILLS_KEPT:]
    if _flag(request, "aggregateByTime"):
        fills = list(aggregated(fills))
    return [fill_view(fill) for fill in _in_time(request, fills)[:FILLS_PER_PAGE]]


def _slice_fills(core: Core, request: Request) -> Any:
    fills = core.account_or_empty(user_of(request)).slice_fills
    return [slice_fill(fill) for fill in reversed(fills[-FILLS_PER_PAGE:])]


def _slice_fills_by_time(core: Core, request: Request) -> Any:
    fills = _in_time(request, core.account_or_empty(user_of(request)).slice_fills[-FILLS_KEPT:])
    return [slice_fill(fill) for fill in fills[:FILLS_PER_PAGE]]


def _twap_history(core: Core, request: Request) -> Any:
    return [twap_change(twap) for twap in reversed(core.account_or_empty(user_of(request)).twaps)]


def _open_orders(core: Core, request: Request) -> Any:
    return views.open_orders(core, user_of(request))


def _frontend_open_orders(core: Core, request: Request) -> Any:
    return views.frontend_open_orders(core, user_of(request))


HANDLERS: dict[str, Callable[[Core, Request], Any]] = {
    "openOrders": _open_orders,
    "frontendOpenOrders": _frontend_open_orders,
    "orderStatus": _order_status,
    "historicalOrders": _historical_orders,
    "userFills": _user_fills,
    "userFillsByTime": _user_fills_by_time,
    "userTwapSliceFills": _slice_fills,
    "userTwapSliceFillsByTime": _slice_fills_by_time,
    "twapHistory": _twap_history,
}
