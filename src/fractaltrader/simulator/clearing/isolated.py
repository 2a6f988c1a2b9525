"""Isolated margin: taken from the cross balance on opening, given back on closing.

Source: hyperliquid.md 7.5 and 7.10; that the fee of an opening comes out of the isolated margin is
what the recorded isolated position shows (2 HYPE at 37.829, 10x: 7.5658 - 0.034046).
"""

from decimal import ROUND_HALF_EVEN, Decimal

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.clearing import margin
from fractaltrader.simulator.clearing.accounts import Execution, signed
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import MICRO, ZERO
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Account, Position


def rebalance(
    core: Core,
    account: Account,
    coin: str,
    before: Decimal | None,
    done: Execution,
    trade: tuple[Side, Decimal, Decimal],
    fee: Decimal,
) -> None:
    """Set the margin of an open isolated position after an execution (side, price, size).

    `before` was its margin, None for a new one. The closed share of it is released with the profit
    of that share; a loss beyond the share is taken from what stays.
    """
    side, price, size = trade
    position = account.positions[coin]
    kept = before or ZERO
    closed = min(size, max(-signed(side, done.start_position), ZERO))
    if closed:
        share = (kept * closed / abs(done.start_position)).quantize(MICRO, ROUND_HALF_EVEN)
        kept += min(share + done.closed_pnl, ZERO) - share
    opened = size - closed
    if opened:
        leverage = margin.leverage_of(account, core.instruments[coin])
        opening_fee = (fee * opened / size).quantize(MICRO, ROUND_HALF_EVEN)
        kept += margin.initial_margin(opened * price, leverage) - opening_fee
    position.isolated = kept


def reserve(core: Core, coin: str, position: Position, leverage: int) -> Decimal:
    """What must stay in the position: max(initial margin, a tenth of its notional), USDC."""
    notional = abs(position.size) * core.mark(coin)
    return max(margin.initial_margin(notional, leverage), notional / 10)


def change(core: Core, account: Account, coin: str, usd: Decimal) -> None:
    """Move `usd` between cross balance and position (below zero: out of it).

    Raises RefusedError in the venue's words (hyperliquid.md section 10, rows 66 to 68).
    """
    if not usd:
        raise RefusedError("Update to isolated margin cannot be zero.")
    position = isolated_position(core, account, coin)
    if usd > 0:
        if usd > margin.withdrawable(core, account):
            raise RefusedError("Account does not have sufficient margin available for increase.")
    else:
        if core.state.markets[coin].margin_mode == "strictIsolated":
            raise RefusedError(
                "Cannot remove isolated margin for this asset. "
                "To remove margin, reduce the position."
            )
        leverage = margin.leverage_of(account, core.instruments[coin])
        left = margin.isolated_value(position, core.mark(coin)) + usd
        if left < reserve(core, coin, position, leverage):
            raise RefusedError("Position does not have sufficient margin for reduction.")
    position.isolated = (position.isolated or ZERO) + usd


def isolated_position(core: Core, account: Account, coin: str) -> Position:
    """The open isolated position; raises RefusedError when there is none."""
    position = account.positions.get(coin)
    if position is None:
        if not margin.is_isolated(core, account, coin):
            raise RefusedError("Position does not use isolated margin.")
        raise RefusedError("Cannot update margin for empty position.")
    if position.isolated is None:
        raise RefusedError("Position does not use isolated margin.")
    return position
