"""Margin tables: how much leverage a position of a size may have, and what it must maintain.

Source: hyperliquid.md 2.1 (ids below 50 stand for a single tier of that leverage) and 7.5.
"""

from decimal import Decimal
from functools import lru_cache

from fractaltrader.simulator.numbers import ZERO, floor_micro
from fractaltrader.simulator.state import MarginTable, Market

SINGLE_TIER_IDS = 50


def _table(description: str, *tiers: tuple[int, int]) -> MarginTable:
    return MarginTable(description, [(Decimal(bound), leverage) for bound, leverage in tiers])


# The venue's tables as recorded in August 2025.
VENUE_TABLES: dict[int, MarginTable] = {
    50: _table("", (0, 50)),
    51: _table("tiered 10x", (0, 10), (3_000_000, 5)),
    52: _table("tiered 10x (2)", (0, 10), (20_000_000, 5)),
    53: _table("tiered 20x", (0, 20), (40_000_000, 10)),
    54: _table("tiered 20x (2)", (0, 20), (70_000_000, 10)),
    55: _table("tiered 25x", (0, 25), (100_000_000, 15)),
    56: _table("tiered 40x", (0, 40), (150_000_000, 20)),
}
_TABLE_OF = {"BTC": 56, "ETH": 55, "SOL": 54, "XRP": 53}
_TABLE_OF |= dict.fromkeys(["AVAX", "LTC", "DOGE", "SUI", "kPEPE", "LINK", "BCH", "APT"], 52)
_TABLE_OF |= dict.fromkeys(["AAVE", "WLD", "ADA", "NEAR", "HYPE"], 52)
_TABLE_OF |= dict.fromkeys(["BNB", "OP", "ARB", "TRX", "DOT", "TON"], 51)


@lru_cache(maxsize=128)
def single(leverage: int) -> MarginTable:
    """The table of one tier that an id below 50 stands for."""
    return MarginTable("", [(ZERO, leverage)])


def default_table_id(coin: str, max_leverage: int) -> int:
    """The venue's table of `coin` when it starts at `max_leverage`, else a single tier."""
    known = _TABLE_OF.get(coin)
    if known is not None and VENUE_TABLES[known].tiers[0][1] == max_leverage:
        return known
    return max_leverage


def table_id(market: Market) -> int:
    """Id of the coin's margin table."""
    return market.max_leverage if market.margin_table is None else market.margin_table


def table_of(tables: dict[int, MarginTable], market: Market) -> MarginTable:
    """The coin's margin table; `tables` are those of the state, ahead of the venue's own."""
    number = table_id(market)
    found = tables.get(number) or VENUE_TABLES.get(number)
    return found or single(number)


def max_leverage_at(table: MarginTable, notional: Decimal) -> int:
    """The highest leverage that a position of `notional` USDC may have."""
    allowed = table.tiers[0][1]
    for bound, leverage in table.tiers[1:]:
        if notional <= bound:
            break
        allowed = leverage
    return allowed


def rate_and_deduction(table: MarginTable, notional: Decimal) -> tuple[Decimal, Decimal]:
    """The tier's maintenance rate and the sum that keeps the requirement continuous.

    rate(n) = 1 / (2 maxLeverage(n)), deduction(n) = deduction(n-1) + lowerBound(n) (rate(n) -
    rate(n-1)); hyperliquid.md 7.5.
    """
    rate = Decimal(1) / (2 * table.tiers[0][1])
    deduction = ZERO
    for bound, leverage in table.tiers[1:]:
        if notional <= bound:
            break
        above = Decimal(1) / (2 * leverage)
        deduction += bound * (above - rate)
        rate = above
    return rate, deduction


def maintenance(table: MarginTable, notional: Decimal) -> Decimal:
    """Margin a position of `notional` USDC must maintain, floored at 6 decimals."""
    if len(table.tiers) == 1 or notional <= table.tiers[1][0]:
        # The common case, and exact where 1 / (2 maxLeverage) is no finite decimal.
        return floor_micro(notional / (2 * table.tiers[0][1]))
    rate, deduction = rate_and_deduction(table, notional)
    return floor_micro(notional * rate - deduction)
