"""POST /info: every question the exchange answers (hyperliquid.md section 2)."""

from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol import (
    clearing_info,
    identity_info,
    market_info,
    order_info,
)
from fractaltrader.simulator.protocol.forms import UnprocessableError

_HANDLERS = {
    **market_info.HANDLERS,
    **order_info.HANDLERS,
    **clearing_info.HANDLERS,
    **identity_info.HANDLERS,
}


def answer(core: Core, request: object) -> Any:
    """The answer to an `/info` request; raises UnprocessableError for an unknown or wrong one."""
    if not isinstance(request, dict):
        raise UnprocessableError("expected an object")
    kind = request.get("type")
    handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
    if handler is None:
        raise UnprocessableError(f"unknown variant {request.get('type')!r}")
    if request.get("dex"):
        raise UnprocessableError(f"unknown dex {request['dex']!r}")
    return handler(core, request)
