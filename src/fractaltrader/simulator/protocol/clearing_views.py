"""Balances, positions and margin as the wire shows them (hyperliquid.md 2.2)."""

from decimal import Decimal
from typing import Any

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.clearing import accounts, margin
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, truncated, venue_number
from fractaltrader.simulator.state import Account, Position

_FUNDING = {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"}


def clearinghouse_state(core: Core, user: str) -> dict[str, Any]:
    """Margin summary and positions; all cross for now."""
    account = core.account_or_empty(user)
    summary = margin.summary_of(account, core.instruments, core.mark)
    figures = {
        "accountValue": venue_number(summary.account_value),
        "totalNtlPos": venue_number(summary.notional),
        "totalRawUsd": venue_number(summary.raw_usd),
        "totalMarginUsed": venue_number(summary.margin_used),
    }
    coins = sorted(account.positions, key=lambda coin: core.instruments[coin].asset)
    return {
        "marginSummary": figures,
        "crossMarginSummary": dict(figures),
        "crossMaintenanceMarginUsed": venue_number(summary.maintenance),
        "withdrawable": venue_number(summary.withdrawable),
        "assetPositions": [
            {"type": "oneWay", "position": _position(core, account, coin, summary)}
            for coin in coins
        ],
        "time": core.now_ms(),
    }


def _position(core: Core, account: Account, coin: str, summary: margin.Summary) -> dict[str, Any]:
    position: Position = account.positions[coin]
    instrument = core.instruments[coin]
    mark = core.mark(coin)
    size = abs(position.size)
    leverage = margin.leverage_of(account, instrument)
    profit = margin.unrealized(position, mark)
    entry_price = position.entry_notional / size
    entry_price = entry_price.quantize(Decimal(1).scaleb(instrument.sz_decimals - 6))
    liquidation = margin.liquidation_price(position, mark, instrument.max_leverage, summary)
    return {
        "coin": coin,
        "szi": venue_number(position.size),
        "leverage": {"type": "cross", "value": leverage},
        "entryPx": venue_number(entry_price),
        "positionValue": venue_number(size * mark),
        "unrealizedPnl": venue_number(profit),
        "returnOnEquity": venue_number(truncated(profit * leverage / position.entry_notional, 10)),
        "liquidationPx": None if liquidation is None else venue_number(truncated(liquidation, 10)),
        "marginUsed": venue_number(margin.initial_margin(size * mark, leverage)),
        "maxLeverage": instrument.max_leverage,
        "cumFunding": dict(_FUNDING),
    }


def active_asset_data(core: Core, user: str, coin: str) -> dict[str, Any]:
    """Leverage and what can still be traded, as [buy, sell]."""
    account = core.account_or_empty(user)
    instrument = core.instruments[coin]
    mark = core.mark(coin)
    leverage = margin.leverage_of(account, instrument)
    live = core.live_orders(user)
    used = sum(
        (
            margin.coin_requirement(
                accounts.position_size(account, other),
                core.mark(other),
                margin.leverage_of(account, core.instruments[other]),
                margin.claims_of(live, other),
            )
            for other in {*account.positions, *(order.coin for order in live)}
        ),
        ZERO,
    )
    free = max(margin.account_value(account, core.mark) - used, ZERO)
    sizes, values = [], []
    for side in Side:
        held = accounts.reducible(account, coin, side)
        # Closing the position frees its margin once for the close and once for the reversal.
        values.append(free + 2 * margin.initial_margin(held * mark, leverage))
        sizes.append(instrument.round_size(values[-1] * leverage / mark))
    return {
        "user": user,
        "coin": coin,
        "leverage": {"type": "cross", "value": leverage},
        "maxTradeSzs": [venue_number(size) for size in sizes],
        "availableToTrade": [venue_number(truncated(value, 6)) for value in values],
        "markPx": venue_number(mark),
    }
