"""Leverage and margin mode of an authenticated user's coins (hyperliquid.md 7.5)."""

from typing import Any

from fractaltrader.simulator.clearing.margin import leverage_of, summary_of
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.protocol.account_forms import UpdateLeverageAction
from fractaltrader.simulator.refusal import RefusedError


def update_leverage(core: Core, user: str, action: UpdateLeverageAction) -> dict[str, Any]:
    """Set the leverage of a coin; raises RefusedError with the venue's text."""
    instrument = core.by_asset[action.asset]
    account = core.account(user)
    if not 1 <= action.leverage <= instrument.max_leverage:
        raise RefusedError("Invalid leverage value")
    if not action.is_cross:
        # Isolated margin is a room of its own, to come; refusing beats pretending.
        raise RefusedError("Isolated margin is not supported by this exchange.")
    before = leverage_of(account, instrument)
    account.leverage[instrument.coin] = action.leverage
    summary = summary_of(account, core.instruments, core.mark)
    lacks_margin = summary.margin_used > summary.account_value
    if lacks_margin and action.leverage < before and instrument.coin in account.positions:
        account.leverage[instrument.coin] = before
        raise RefusedError(
            "Cross position does not have sufficient margin available to decrease leverage. "
            "To decrease leverage, deposit more collateral."
        )
    return {"type": "default"}


HANDLERS: dict[type, Handler] = {UpdateLeverageAction: update_leverage}
