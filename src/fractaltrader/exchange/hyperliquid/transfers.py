"""What an entry of `userNonFundingLedgerUpdates` did to the perp balance (hyperliquid.md 2.2)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fractaltrader.exchange.hyperliquid.wire import LedgerUpdate
from fractaltrader.exchange.port import Transfer


def transfer(update: LedgerUpdate, account: str) -> Transfer:
    """The entry as `account`'s perp balance saw it; 0 USDC for what concerned other balances."""
    delta = update.delta
    return Transfer(
        update.time, update.hash, str(delta.get("type", "unknown")), _change(delta, account)
    )


def _change(delta: Mapping[str, Any], account: str) -> Decimal:
    amount = Decimal(str(delta.get("usdc", "0")))
    match delta.get("type"):
        case "deposit":
            return amount
        case "withdraw":  # the fee is part of it
            return -amount
        case "accountClassTransfer":
            return amount if delta.get("toPerp") else -amount
        case "internalTransfer" | "subAccountTransfer":
            return _between(delta, account, amount, source="", target="")
        case "send" if str(delta.get("token", "")).partition(":")[0] == "USDC":
            sides = str(delta.get("sourceDex", "")), str(delta.get("destinationDex", ""))
            sent = Decimal(str(delta.get("amount", "0")))
            return _between(delta, account, sent, source=sides[0], target=sides[1])
    return Decimal(0)


def _between(
    delta: Mapping[str, Any], account: str, amount: Decimal, *, source: str, target: str
) -> Decimal:
    """From one user's balance to another's; the sender pays the fee. The name of the perp balance
    is empty."""
    change = Decimal(0)
    if str(delta.get("user", "")).lower() == account and source == "":
        change -= amount + Decimal(str(delta.get("fee", "0")))
    if str(delta.get("destination", "")).lower() == account and target == "":
        change += amount
    return change
