"""Balances, positions and margin as the wire shows them (hyperliquid.md 2.2 and 7.10)."""

from decimal import Decimal
from typing import Any

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.clearing import accounts, margin
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, truncated, venue_number
from fractaltrader.simulator.state import Account, MarginTable, Position


def _summary(summary: margin.Summary) -> dict[str, str]:
    return {
        "accountValue": venue_number(summary.account_value),
        "totalNtlPos": venue_number(summary.notional),
        "totalRawUsd": venue_number(summary.raw_usd),
        "totalMarginUsed": venue_number(summary.margin_used),
    }


def clearinghouse_state(core: Core, user: str) -> dict[str, Any]:
    """Margin summaries of all and of the cross positions, and the positions in asset order."""
    account = core.account_or_empty(user)
    cross = margin.cross_summary(core, account)
    coins = sorted(account.positions, key=lambda coin: core.instruments[coin].asset)
    return {
        "marginSummary": _summary(margin.total_summary(core, account, cross)),
        "crossMarginSummary": _summary(cross),
        "crossMaintenanceMarginUsed": venue_number(cross.maintenance),
        "withdrawable": venue_number(cross.withdrawable),
        "assetPositions": [
            {"type": "oneWay", "position": _position(core, account, coin, cross)} for coin in coins
        ],
        "time": core.now_ms(),
    }


def leverage_view(core: Core, account: Account, coin: str) -> dict[str, Any]:
    """The account's leverage for a coin; an isolated one shows the position's raw USD."""
    value = margin.leverage_of(account, core.instruments[coin])
    if not margin.is_isolated(core, account, coin):
        return {"type": "cross", "value": value}
    position = account.positions.get(coin)
    raw = margin.raw_usd(position) if position else ZERO
    return {"type": "isolated", "value": value, "rawUsd": venue_number(raw)}


def _position(core: Core, account: Account, coin: str, cross: margin.Summary) -> dict[str, Any]:
    position: Position = account.positions[coin]
    instrument = core.instruments[coin]
    mark = core.mark(coin)
    size = abs(position.size)
    leverage = margin.leverage_of(account, instrument)
    profit = margin.unrealized(position, mark)
    entry_price = position.entry_notional / size
    entry_price = entry_price.quantize(Decimal(1).scaleb(instrument.sz_decimals - 6))
    liquidation = margin.liquidation_price_of(core, coin, position, cross)
    used = (
        margin.initial_margin(size * mark, leverage)
        if position.isolated is None
        else margin.isolated_value(position, mark)
    )
    paid = account.funding_paid.get(coin, ZERO)
    return {
        "coin": coin,
        "szi": venue_number(position.size),
        "leverage": leverage_view(core, account, coin),
        "entryPx": venue_number(entry_price),
        "positionValue": venue_number(size * mark),
        "unrealizedPnl": venue_number(profit),
        "returnOnEquity": venue_number(round(profit * leverage / position.entry_notional, 10)),
        "liquidationPx": None if liquidation is None else venue_number(round(liquidation, 10)),
        "marginUsed": venue_number(used),
        "maxLeverage": instrument.max_leverage,
        "cumFunding": {
            "allTime": venue_number(paid),
            "sinceOpen": venue_number(position.funding_since_open),
            "sinceChange": venue_number(position.funding_since_change),
        },
    }


def active_asset_data(core: Core, user: str, coin: str) -> dict[str, Any]:
    """Leverage and what can still be traded, as [buy, sell]."""
    account = core.account_or_empty(user)
    instrument = core.instruments[coin]
    mark = core.mark(coin)
    leverage = margin.leverage_of(account, instrument)
    used = margin.total_requirement(core, account)
    free = max(margin.cross_value(account, core.mark) - used, ZERO)
    sizes, values = [], []
    for side in Side:
        held = accounts.reducible(account, coin, side)
        # Closing the position needs no margin, and what it frees serves the reversal.
        closing = margin.initial_margin(held * mark, leverage)
        freed = margin.released(core, account, coin) if held else ZERO
        values.append(free + closing + (freed or closing))
        sizes.append(instrument.round_size(values[-1] * leverage / mark))
    return {
        "user": user,
        "coin": coin,
        "leverage": leverage_view(core, account, coin),
        "maxTradeSzs": [venue_number(size) for size in sizes],
        "availableToTrade": [venue_number(truncated(value, 6)) for value in values],
        "markPx": venue_number(mark),
    }


def spot_state(core: Core, user: str) -> dict[str, Any]:
    """Spot balances; USDC is the only token."""
    account = core.state.accounts.get(user)
    if account is None:
        return {"balances": []}
    usdc = {
        "coin": "USDC",
        "token": 0,  # nosec B105
        "total": venue_number(account.spot_usdc),
        "hold": "0.0",
        "entryNtl": "0.0",
    }
    return {"balances": [usdc]}


def margin_table(table: MarginTable) -> dict[str, Any]:
    """A margin table as `meta` and `marginTable` show it."""
    return {
        "description": table.description,
        "marginTiers": [
            {"lowerBound": venue_number(bound), "maxLeverage": leverage}
            for bound, leverage in table.tiers
        ],
    }
