"""What `/info` says of orders and fills (hyperliquid.md 2.2)."""

from collections.abc import Callable
from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol import order_views as views
from fractaltrader.simulator.protocol.fields import FAR_FUTURE_MS, Request, time_of, user_of
from fractaltrader.simulator.protocol.forms import UnprocessableError
from fractaltrader.simulator.protocol.views import fill_view
from fractaltrader.simulator.state import Fill

FILLS_PER_PAGE = 2_000


def _order_status(core: Core, request: Request) -> Any:
    reference = request.get("oid")
    if isinstance(reference, bool) or not isinstance(reference, int | str):
        raise UnprocessableError("missing field `oid`")
    if isinstance(reference, str):
        reference = reference.lower()
    return views.order_status(core, user_of(request), reference)


def _historical_orders(core: Core, request: Request) -> Any:
    return views.historical_orders(core, user_of(request), FILLS_PER_PAGE)


def _fills(core: Core, request: Request) -> list[Fill]:
    return core.account_or_empty(user_of(request)).fills


def _user_fills(core: Core, request: Request) -> Any:
    return [fill_view(fill) for fill in reversed(_fills(core, request)[-FILLS_PER_PAGE:])]


def _user_fills_by_time(core: Core, request: Request) -> Any:
    start, end = time_of(request, "startTime"), time_of(request, "endTime", FAR_FUTURE_MS)
    found = [fill for fill in _fills(core, request) if start <= fill.time_ms <= end]
    if request.get("reversed"):
        found.reverse()
    return [fill_view(fill) for fill in found[:FILLS_PER_PAGE]]


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
}
