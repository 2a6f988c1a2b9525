"""Which key signs, and whether it may trade the account."""

import os
from pathlib import Path
from typing import Any

from fractaltrader.errors import UserError
from fractaltrader.exchange.hyperliquid.signing import Signer, keccak256
from fractaltrader.live.local_venue import is_loopback

KEY_VARIABLE = "FRACTAL_PRIVATE_KEY"
GUARD_KEY_VARIABLE = "FRACTAL_GUARD_KEY"


def signer_for(url: str, home: Path, variable: str = KEY_VARIABLE) -> Signer:
    """The key from the environment; for the local exchange a throwaway key of this folder.

    Raises UserError when a real venue is meant and no key is given, or the key is malformed.
    """
    private_key = os.environ.get(variable)
    if private_key:
        return Signer(private_key)
    if not is_loopback(url):
        raise UserError(f"private key: {variable} is not set; it is needed to trade on {url}")
    # Play money only: anyone who knows the folder's path knows this key.
    return Signer(keccak256(f"fractaltrader local play key {home.resolve()}".encode()).hex())


def check_role(role: dict[str, Any], signer: Signer, account: str | None) -> str:
    """The account that `signer` trades; `role` is the venue's `userRole` answer.

    Raises UserError when the key is neither the account's own nor an agent of it, or unknown.
    """
    kind = role.get("role")
    if kind == "missing":
        raise UserError(
            f"private key: the venue does not know {signer.address}; deposit to it, or approve it "
            "as an agent of the account"
        )
    owner = signer.address
    if kind == "agent":
        owner = str(role["data"]["user"]).lower()
    if account is not None and account.lower() != owner:
        raise UserError(
            f"private key: it belongs to {owner}, not to venue.account = {account}; "
            "give the key of that account or of an agent it approved"
        )
    return owner
