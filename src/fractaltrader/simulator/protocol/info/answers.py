"""POST /info: every question the exchange answers (hyperliquid.md section 2)."""

from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol.forms.common import UnprocessableError
from fractaltrader.simulator.protocol.info import clearing, identity, markets, orders

HANDLERS = {
    **markets.HANDLERS,
    **orders.HANDLERS,
    **clearing.HANDLERS,
    **identity.HANDLERS,
}


def answer(core: Core, request: object) -> Any:
    """The answer to an `/info` request; raises UnprocessableError for an unknown or wrong one."""
    if not isinstance(request, dict):
        raise UnprocessableError("expected an object")
    kind = request.get("type")
    handler = HANDLERS.get(kind) if isinstance(kind, str) else None
    if handler is None:
        raise UnprocessableError(f"unknown variant {request.get('type')!r}")
    if request.get("dex"):
        raise UnprocessableError(f"unknown dex {request['dex']!r}")
    return handler(core, request)
