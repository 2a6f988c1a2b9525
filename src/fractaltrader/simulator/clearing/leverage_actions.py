"""Leverage, margin mode and isolated margin of a user's coins (hyperliquid.md 3.2 and 7.5)."""

from decimal import Decimal
from typing import Any

from fractaltrader.simulator.clearing import isolated, margin, tiers
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.numbers import MICRO, ZERO
from fractaltrader.simulator.protocol.forms.account import UpdateLeverageAction
from fractaltrader.simulator.protocol.forms.money import (
    TopUpIsolatedOnlyMarginAction,
    UpdateIsolatedMarginAction,
)
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Account

OK = {"type": "default"}


def update_leverage(core: Core, user: str, action: UpdateLeverageAction) -> dict[str, Any]:
    """Set leverage and margin mode of a coin; raises RefusedError with the venue's text."""
    coin = core.by_asset[action.asset].coin
    account = core.account(user)
    _check_leverage(core, account, coin, action.leverage)
    if action.is_cross and core.state.markets[coin].margin_mode is not None:
        raise RefusedError("Cross margin is not allowed for this asset.")
    position = account.positions.get(coin)
    if position is not None and (position.isolated is None) != action.is_cross:
        raise RefusedError("Cannot switch leverage type with open position.")
    before = margin.leverage_of(account, core.instruments[coin])
    mode = margin.is_isolated(core, account, coin)
    account.leverage[coin], account.isolated[coin] = action.leverage, not action.is_cross
    fault = _lacks_margin(core, account, coin) if action.leverage < before else None
    if fault is not None:
        account.leverage[coin], account.isolated[coin] = before, mode
        raise RefusedError(fault)
    return dict(OK)


def _check_leverage(core: Core, account: Account, coin: str, leverage: int) -> None:
    """At most what the tier of the open position allows."""
    market = core.state.markets[coin]
    highest = core.instruments[coin].max_leverage
    position = account.positions.get(coin)
    if position is not None:
        table = tiers.table_of(core.state.margin_tables, market)
        notional = abs(position.size) * core.mark(coin)
        highest = min(highest, tiers.max_leverage_at(table, notional))
    if not 1 <= leverage <= highest:
        raise RefusedError("Invalid leverage value")


def _lacks_margin(core: Core, account: Account, coin: str) -> str | None:
    """Why the open position cannot have the leverage just set, else None."""
    position = account.positions.get(coin)
    if position is None:
        return None
    if position.isolated is None:
        summary = margin.cross_summary(core, account)
        if summary.margin_used > summary.account_value:
            return (
                "Cross position does not have sufficient margin available to decrease leverage. "
                "To decrease leverage, deposit more collateral."
            )
        return None
    mark = core.mark(coin)
    leverage = margin.leverage_of(account, core.instruments[coin])
    needed = margin.initial_margin(abs(position.size) * mark, leverage)
    if margin.isolated_value(position, mark) < needed:
        return (
            "Isolated position does not have sufficient margin available to decrease leverage. "
            "To decrease leverage, add margin to the position."
        )
    return None


def update_isolated_margin(
    core: Core, user: str, action: UpdateIsolatedMarginAction
) -> dict[str, Any]:
    """Add margin to an isolated position or take some out; raises RefusedError."""
    coin = core.by_asset[action.asset].coin
    isolated.change(core, core.account(user), coin, Decimal(action.ntli) * MICRO)
    return dict(OK)


def top_up(core: Core, user: str, action: TopUpIsolatedOnlyMarginAction) -> dict[str, Any]:
    """Add what an isolated position lacks to have the wanted leverage; raises RefusedError."""
    coin = core.by_asset[action.asset].coin
    account = core.account(user)
    position = isolated.isolated_position(core, account, coin)
    leverage = Decimal(action.leverage)
    if leverage <= 0:
        raise RefusedError("Invalid leverage value")
    mark = core.mark(coin)
    wanted = (abs(position.size) * mark / leverage).quantize(MICRO)
    lacking = wanted - margin.isolated_value(position, mark)
    isolated.change(core, account, coin, max(lacking, ZERO))
    return dict(OK)


HANDLERS: dict[type, Handler] = {
    UpdateLeverageAction: update_leverage,
    UpdateIsolatedMarginAction: update_isolated_margin,
    TopUpIsolatedOnlyMarginAction: top_up,
}
