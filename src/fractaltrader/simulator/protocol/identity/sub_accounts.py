"""Sub-accounts: accounts of their own that a master and its agents act for (hyperliquid.md 3)."""

from typing import Any

from fractaltrader.exchange.hyperliquid.signing import keccak256
from fractaltrader.market.instrument import to_wire
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.protocol.forms.identity import (
    CreateSubAccountAction,
    SubAccountModifyAction,
)
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Account, SubAccount


def sub_accounts_of(core: Core, master: str) -> dict[str, SubAccount]:
    """The sub-accounts of `master` by address, oldest first."""
    known = core.state.sub_accounts.items()
    return {address: sub for address, sub in known if sub.master == master}


def require_sub_account(core: Core, address: str, master: str) -> str:
    """`address` when it is a sub-account of `master`; else RefusedError in the venue's words."""
    sub = core.state.sub_accounts.get(address)
    if sub is None or sub.master != master:
        raise RefusedError(f"Sub-account {address} is not registered to {master}")
    return address


def _create(core: Core, user: str, action: CreateSubAccountAction) -> dict[str, Any]:
    required, traded = core.state.sub_account_volume, core.account(user).volume
    if traded < required:
        raise RefusedError(
            "Cannot create sub-accounts until enough volume traded. "
            f"Required: ${to_wire(required)}. Traded: ${to_wire(traded)}."
        )
    count = len(core.state.sub_accounts)
    address = "0x" + keccak256(f"{core.state.seed}:{user}:{count}".encode())[-20:].hex()
    core.state.sub_accounts[address] = SubAccount(user, action.name)
    core.state.accounts.setdefault(address, Account(address))
    return {"type": "createSubAccount", "data": address}


def _modify(core: Core, user: str, action: SubAccountModifyAction) -> dict[str, Any]:
    address = require_sub_account(core, action.sub_account_user, user)
    core.state.sub_accounts[address].name = action.name
    return {"type": "default"}


HANDLERS: dict[type, Handler] = {
    CreateSubAccountAction: _create,
    SubAccountModifyAction: _modify,
}
