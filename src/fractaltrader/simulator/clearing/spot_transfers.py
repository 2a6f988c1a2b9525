"""Spot USDC between accounts, and vaults, which do not exist here (hyperliquid.md 3.2)."""

from decimal import Decimal
from typing import Any

from fractaltrader.simulator.clearing.transfers import USDC, enter
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.numbers import MICRO, venue_number
from fractaltrader.simulator.protocol.forms.money import (
    SubAccountSpotTransferAction,
    VaultTransferAction,
)
from fractaltrader.simulator.protocol.forms.user_signed import SpotSendAction
from fractaltrader.simulator.protocol.identity.sub_accounts import require_sub_account
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Account


def _move(core: Core, source: str, destination: str, token: str, amount: str) -> None:
    """Enter the transfer in both ledgers; raises RefusedError when the source cannot spare it."""
    usd = Decimal(amount).quantize(MICRO)
    if token.partition(":")[0] != USDC or source == destination:
        raise RefusedError("Invalid send")
    account = core.account(source)
    if not 0 < usd <= account.spot_usdc:
        raise RefusedError("Insufficient balance for token transfer")
    account.spot_usdc -= usd
    target = core.state.accounts.setdefault(destination, Account(destination))
    target.spot_usdc += usd
    delta = {
        "type": "spotTransfer",
        "token": USDC,
        "amount": venue_number(usd),
        "usdcValue": venue_number(usd),
        "user": source,
        "destination": destination,
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": None,
        "feeToken": "",
    }
    for user in (source, destination):
        enter(core, user, dict(delta))


def _spot_send(core: Core, user: str, action: SpotSendAction) -> dict[str, Any]:
    _move(core, user, action.destination.lower(), action.token, action.amount)
    return {"type": "default"}


def _sub_account(core: Core, user: str, action: SubAccountSpotTransferAction) -> dict[str, Any]:
    sub = require_sub_account(core, action.sub_account_user, user)
    source, destination = (user, sub) if action.is_deposit else (sub, user)
    _move(core, source, destination, action.token, action.amount)
    return {"type": "default"}


def _vault(_core: Core, _user: str, action: VaultTransferAction) -> dict[str, Any]:
    raise RefusedError(f"Vault not registered: {action.vault_address}")


HANDLERS: dict[type, Handler] = {
    SpotSendAction: _spot_send,
    SubAccountSpotTransferAction: _sub_account,
    VaultTransferAction: _vault,
}
