"""Money that moves without a trade: deposits, withdrawals, transfers (hyperliquid.md 3.2, 2.2).

Every movement is entered in the ledger of whom it concerns (`userNonFundingLedgerUpdates`).
"""

from decimal import Decimal
from typing import Any

from fractaltrader.simulator.clearing import margin
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.numbers import MICRO, venue_number
from fractaltrader.simulator.protocol.forms.money import (
    AgentSendAssetAction,
    ReserveRequestWeightAction,
    SubAccountTransferAction,
)
from fractaltrader.simulator.protocol.forms.user_signed import (
    SendAssetAction,
    UsdClassTransferAction,
    UsdSendAction,
    Withdraw3Action,
)
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Account, LedgerEntry

LEDGER_KEPT = 2_000
WITHDRAWAL_FEE = Decimal(1)
REQUEST_PRICE = Decimal("0.0005")
OK = {"type": "default"}
# The only token.
USDC = "USDC"


def enter(core: Core, user: str, delta: dict[str, Any]) -> None:
    """Enter `delta` in the user's ledger and tell it."""
    entry = LedgerEntry(core.now_ms(), core.new_hash(), delta)
    ledger = core.account(user).ledger
    ledger.append(entry)
    del ledger[:-LEDGER_KEPT]
    told = {"time": entry.time_ms, "hash": entry.hash, "delta": delta}
    core.outbox.ledger_updates.setdefault(user, []).append(told)


def deposit(core: Core, user: str, usd: Decimal) -> None:
    """Money from outside; opens the account."""
    account = core.state.accounts.setdefault(user, Account(user))
    _credit(account, usd)
    core.state.external += usd
    enter(core, user, {"type": "deposit", "usdc": venue_number(usd)})


def _credit(account: Account, usd: Decimal) -> None:
    account.cash += usd
    account.deposited += usd


def _debit(core: Core, user: str, usd: Decimal, refusal: str) -> Account:
    """Take `usd` of what may leave the account; raises RefusedError with `refusal`."""
    account = core.account(user)
    if usd <= 0 or usd > margin.withdrawable(core, account):
        raise RefusedError(refusal)
    _credit(account, -usd)
    return account


def move_usd(
    core: Core,
    source: str,
    destination: str,
    usd: Decimal,
    kind: str,
    refusal: str = "Insufficient balance for token transfer",
) -> None:
    """Move perp USDC between accounts, opening the destination's; one ledger entry for each.

    `kind` is the ledger's type: internalTransfer, subAccountTransfer or send. Raises RefusedError
    with `refusal` when the source cannot spare it.
    """
    if source == destination:
        raise RefusedError("Invalid send")
    _debit(core, source, usd, refusal)
    target = core.state.accounts.setdefault(destination, Account(destination))
    _credit(target, usd)
    delta: dict[str, Any] = {
        "type": kind,
        "usdc": venue_number(usd),
        "user": source,
        "destination": destination,
    }
    if kind != "subAccountTransfer":
        delta["fee"] = "0.0"
    for user in (source, destination):
        enter(core, user, dict(delta))


def _withdraw(core: Core, user: str, action: Withdraw3Action) -> dict[str, Any]:
    """To the chain at once, where the venue takes about five minutes; the fee is part of it."""
    usd = _amount(action.amount)
    if usd <= WITHDRAWAL_FEE:
        raise RefusedError("Insufficient balance for withdrawal")
    _debit(core, user, usd, "Insufficient balance for withdrawal")
    core.state.fees_collected += WITHDRAWAL_FEE
    core.state.external -= usd - WITHDRAWAL_FEE
    delta = {
        "type": "withdraw",
        "usdc": venue_number(usd),
        "nonce": action.time,
        "fee": venue_number(WITHDRAWAL_FEE),
    }
    enter(core, user, delta)
    return dict(OK)


def _send(core: Core, user: str, action: UsdSendAction) -> dict[str, Any]:
    move_usd(core, user, action.destination.lower(), _amount(action.amount), "internalTransfer")
    return dict(OK)


def _amount(text: str) -> Decimal:
    return Decimal(text).quantize(MICRO)


def _own_account(core: Core, user: str, address: str) -> str:
    """The signer, or the sub-account of the signer that `address` names."""
    if not address:
        return user
    sub = core.state.sub_accounts.get(address.lower())
    if sub is None or sub.master != user:
        raise RefusedError(f"Sub-account {address.lower()} is not registered to {user}")
    return address.lower()


def _class_transfer(core: Core, user: str, action: UsdClassTransferAction) -> dict[str, Any]:
    """Between the perp and the spot balance."""
    number, _, owner = action.amount.partition(" subaccount:")
    user = _own_account(core, user, owner)
    _between_classes(core, user, _amount(number), to_perp=action.to_perp)
    return dict(OK)


def _between_classes(core: Core, user: str, usd: Decimal, *, to_perp: bool) -> None:
    account = core.account(user)
    if to_perp:
        if not 0 < usd <= account.spot_usdc:
            raise RefusedError("Insufficient balance for token transfer")
        account.spot_usdc -= usd
        _credit(account, usd)
    else:
        _debit(core, user, usd, "Insufficient balance for token transfer")
        account.spot_usdc += usd
    delta = {"type": "accountClassTransfer", "usdc": venue_number(usd), "toPerp": to_perp}
    enter(core, user, delta)


def _agent_send_asset(core: Core, user: str, action: AgentSendAssetAction) -> dict[str, Any]:
    """What an agent may send stays with its master."""
    destination = action.destination
    sub = core.state.sub_accounts.get(destination)
    if destination != user and (sub is None or sub.master != user):
        raise RefusedError("Agent can only send asset to same user or their sub-accounts.")
    return _send_asset(core, user, action)


def _send_asset(
    core: Core, user: str, action: SendAssetAction | AgentSendAssetAction
) -> dict[str, Any]:
    """USDC between the perp and spot balances of any two accounts; no other token is listed."""
    usd = _amount(action.amount)
    source = _own_account(core, user, action.from_sub_account)
    destination = action.destination.lower()
    dexes = (action.source_dex, action.destination_dex)
    if action.token.partition(":")[0] != USDC or not {*dexes} <= {"", "spot"}:
        raise RefusedError("Invalid send")
    if source == destination:
        if dexes[0] == dexes[1]:
            raise RefusedError("Invalid send")
        _between_classes(core, source, usd, to_perp=dexes[0] == "spot")
        return dict(OK)
    account = core.account(source)
    if dexes[0] == "spot":
        if not 0 < usd <= account.spot_usdc:
            raise RefusedError("Insufficient balance for token transfer")
        account.spot_usdc -= usd
    else:
        _debit(core, source, usd, "Insufficient balance for token transfer")
    target = core.state.accounts.setdefault(destination, Account(destination))
    if dexes[1] == "spot":
        target.spot_usdc += usd
    else:
        _credit(target, usd)
    delta = {
        "type": "send",
        "user": source,
        "destination": destination,
        "sourceDex": dexes[0],
        "destinationDex": dexes[1],
        "token": USDC,
        "amount": venue_number(usd),
        "usdcValue": venue_number(usd),
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": action.nonce,
        "feeToken": "",
    }
    for owner in (source, destination):
        enter(core, owner, dict(delta))
    return dict(OK)


def _sub_account_transfer(
    core: Core, user: str, action: SubAccountTransferAction
) -> dict[str, Any]:
    """Between a master and its sub-account."""
    sub = _own_account(core, user, action.sub_account_user)
    pair = (user, sub) if action.is_deposit else (sub, user)
    refusal = f"Invalid sub-account transfer from {pair[0]} to {pair[1]}"
    move_usd(core, *pair, Decimal(action.usd) * MICRO, "subAccountTransfer", refusal)
    return dict(OK)


def _reserve_weight(core: Core, user: str, action: ReserveRequestWeightAction) -> dict[str, Any]:
    """Buy actions for an address budget (hyperliquid.md 6.2)."""
    destination = action.destination or user
    if destination not in core.state.accounts:
        raise RefusedError("Invalid send")
    price = action.units * REQUEST_PRICE
    _debit(core, user, price, "Insufficient balance for token transfer")
    core.state.fees_collected += price
    core.account(destination).requests_bought += action.units
    return dict(OK)


HANDLERS: dict[type, Handler] = {
    Withdraw3Action: _withdraw,
    UsdSendAction: _send,
    UsdClassTransferAction: _class_transfer,
    SendAssetAction: _send_asset,
    AgentSendAssetAction: _agent_send_asset,
    SubAccountTransferAction: _sub_account_transfer,
    ReserveRequestWeightAction: _reserve_weight,
}
