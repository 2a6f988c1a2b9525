"""What each entry of the venue's ledger did to the perp balance, shape by shape."""

from decimal import Decimal
from typing import Any

import pytest

from fractaltrader.exchange.hyperliquid.transfers import transfer
from fractaltrader.exchange.hyperliquid.wire import LedgerUpdate

ME, OTHER = "0x" + "ab" * 20, "0x" + "cd" * 20
OUT, IN = {"user": ME, "destination": OTHER}, {"user": OTHER, "destination": ME}
USDC = {"type": "send", "token": "USDC:0x6d1e", "amount": "10", "usdc": "99"}


# Shapes: hyperliquid.md 2.2.
@pytest.mark.parametrize(
    ("delta", "change"),
    [
        ({"type": "deposit", "usdc": "10.5"}, "10.5"),
        ({"type": "withdraw", "usdc": "10", "fee": "1"}, "-10"),
        ({"type": "accountClassTransfer", "usdc": "10", "toPerp": True}, "10"),
        ({"type": "accountClassTransfer", "usdc": "10", "toPerp": False}, "-10"),
        ({"type": "internalTransfer", "usdc": "10", "fee": "1"} | OUT, "-11"),
        ({"type": "internalTransfer", "usdc": "10", "fee": "1"} | IN, "10"),
        ({"type": "internalTransfer", "usdc": "10"} | IN | {"destination": ME.upper()}, "10"),
        ({"type": "subAccountTransfer", "usdc": "10"} | OUT, "-10"),
        ({"type": "subAccountTransfer", "usdc": "10"} | IN, "10"),
        (USDC | OUT | {"sourceDex": "", "destinationDex": "spot", "fee": "0.5"}, "-10.5"),
        (USDC | OUT | {"sourceDex": "spot", "destinationDex": ""}, "0"),
        (USDC | IN | {"sourceDex": "spot", "destinationDex": ""}, "10"),
        (USDC | IN | {"sourceDex": "", "destinationDex": "spot"}, "0"),
        (USDC | OUT | {"token": "HYPE:0x0d01", "sourceDex": "", "destinationDex": ""}, "0"),
        ({"type": "spotTransfer", "token": "USDC", "amount": "10", "usdcValue": "10"} | IN, "0"),
        ({"type": "liquidation", "liquidatedNtlPos": "10"}, "0"),
        ({"type": "vaultDeposit", "usdc": "10"}, "0"),
        ({}, "0"),
    ],
)
def test_the_change_of_the_perp_balance(delta: dict[str, Any], change: str) -> None:
    """Amounts have their sign, the sender pays the fee, and other balances do not count."""
    found = transfer(LedgerUpdate(7, "0x1", delta), ME)
    assert (found.time_ms, found.usdc) == (7, Decimal(change))
    assert found.kind == delta.get("type", "unknown")
